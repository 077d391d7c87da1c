//! The tokens of a session, as a handler asks for them.

use crate::csrf::Token;
use crate::data::SessionData;
use crate::error::{Error, Rejection};
use crate::event::Event;
use crate::session::{Job, Session};
use crate::turns::Turn;

impl<T: SessionData> Session<T> {
    /// Returns a new token for the forms of this session, and creates the session at the commit if
    /// there is none.
    ///
    /// See [`Token`] for how long it is good. If what was changed gives the session another
    /// id, a login for example, it is committed first.
    ///
    /// Under an id whose record this program cannot read, it is a token of a new session, as with any
    /// change.
    ///
    /// Where the layer [requires consent](crate::SessionLayer::require_consent) and there is none, no
    /// session is created and the token is good for nothing: call `give_consent` first.
    ///
    /// # Errors
    ///
    /// That there is no randomness, or that what was changed was not stored.
    pub async fn csrf_token(&self) -> Result<Token, Error> {
        let _turn = self.0.turn.lock().await;
        if self.0.machine().changes_id() {
            self.0.driver().drive(&self.0, Job::Commit, &mut Turn::None).await?;
        }
        Ok(self.0.machine().csrf_token(self.0.driver().world().entropy)?)
    }

    /// Checks the token that a request carries, in the field of a form or in a header.
    ///
    /// ```
    /// # use typed_session::{Rejection, Session, SessionData, csrf};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop { basket: Vec<String> }
    /// # impl SessionData for Shop {}
    /// fn buy(session: &Session<Shop>, form: &[u8]) -> Result<(), Rejection> {
    ///     session.verify_csrf(csrf::find(form).unwrap_or_default())?;
    ///     session.update(|shop| shop.basket.push("tea".to_owned()));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Rejection::CsrfToken`], which is a 403: it is no token, or one of another session, of
    /// before a login, of before a logout.
    ///
    /// # Security
    ///
    /// Check it before anything is changed, with every request that changes something: no layer does
    /// it. In constant time (OWASP ASVS 5.0, 3.5.1).
    pub fn verify_csrf(&self, token: impl AsRef<[u8]>) -> Result<(), Rejection> {
        if self.0.machine().has_csrf_token(token.as_ref()) {
            return Ok(());
        }
        let key = self.key();
        self.0.driver().world().observer.event(&Event::ForgedToken { key });
        Err(Rejection::CsrfToken)
    }
}
