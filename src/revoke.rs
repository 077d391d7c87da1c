//! Ending sessions from outside of them.

use crate::data::SessionData;
use crate::event::Event;
use crate::id::SessionKey;
use crate::layer::SessionLayer;
use crate::lifecycle::tombstone;
use crate::store::{self, ErrorKind, Replaced, Store};
use crate::subject::Subject;
use crate::verdict::EndReason;

/// How many keys are asked of the index at once.
const PAGE: usize = 100;

impl<T: SessionData, S: Store> SessionLayer<T, S> {
    /// Ends the session of this key, whatever its holder is doing.
    ///
    /// Once it returns, no request in flight can make the session readable
    /// again. Also a key without a record is marked as ended, so that an
    /// insertion under way fails.
    ///
    /// # Errors
    ///
    /// If the store fails; the session may be ended or not then.
    pub async fn end(&self, key: &SessionKey, reason: EndReason) -> store::Result<()> {
        self.store().end(key, &tombstone(reason, self.now(), self.remembers_ended())).await?;
        self.event(&Event::Ended { key: *key, reason });
        Ok(())
    }

    /// Ends every session of a subject: "log out everywhere". Returns how many
    /// those were.
    ///
    /// It is complete: every session whose login was acknowledged before the call
    /// is ended when it returns (OWASP ASVS 5.0, 7.4.2, 7.4.5). A login that is
    /// acknowledged later is a later login.
    ///
    /// ```
    /// # use typed_session::{EndReason, SessionData, SessionLayer, Subject, store::MemoryStore};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop { user: Option<u64> }
    /// # impl SessionData for Shop {
    /// #     fn subject(&self) -> Option<Subject> { self.user.map(Subject::from) }
    /// # }
    /// # futures_executor::block_on(async {
    /// let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new());
    /// # let exchange = sessions.open([]);
    /// # exchange.session().await.unwrap().update(|shop| shop.user = Some(42));
    /// # assert!(exchange.finish().await.error.is_none());
    /// let ended = sessions.end_all(Subject::from(42u64), EndReason::Revoked).await?;
    /// # assert_eq!(ended, 1);
    /// # Ok::<(), typed_session::store::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If the store fails; some of the sessions may be ended then, so call it
    /// again.
    pub async fn end_all(&self, subject: Subject, reason: EndReason) -> store::Result<usize> {
        let mut ended = 0;
        let mut after = None;
        loop {
            let keys = self.store().sessions_of(&subject, after.as_ref(), PAGE).await?;
            for key in &keys {
                ended += usize::from(self.end_if_of(&subject, key, reason).await?);
            }
            match keys.last() {
                Some(last) if keys.len() == PAGE => after = Some(*last),
                _ => return Ok(ended),
            }
        }
    }

    /// Ends the session of this key, if it belongs to the subject. The index may
    /// name others; ending one of those would log out somebody else.
    async fn end_if_of(
        &self,
        subject: &Subject,
        key: &SessionKey,
        reason: EndReason,
    ) -> store::Result<bool> {
        let mut record = match self.store().load(key).await {
            // A row that makes no sense must not keep the others logged in; and the
            // index says that it is the subject's.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            record => record?,
        };
        loop {
            let Some(there) = record else {
                // In the index and not yet, or no more, in the store: what comes later
                // must find it ended.
                self.end(key, reason).await?;
                return Ok(false);
            };
            if there.subject != Some(*subject) {
                return Ok(false);
            }
            let tombstone = tombstone(reason, self.now(), self.remembers_ended());
            match self.store().replace(key, there.revision, &tombstone).await? {
                Replaced::Done => {
                    self.event(&Event::Ended { key: *key, reason });
                    return Ok(true);
                }
                Replaced::Conflict(newer) => record = newer,
            }
        }
    }
}
