//! A user's sessions, seen and ended.

use std::sync::Arc;

use crate::client::ClientInfo;
use crate::data::SessionData;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::id::SessionKey;
use crate::layer::SessionLayer;
use crate::session::{Job, Session};
use crate::store::{self, ErrorKind, Store};
use crate::subject::Subject;
use crate::time::Timestamp;
use crate::verdict::{EndReason, Verdict};

/// A live session, as its user may see it on a page of "your devices".
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its name, for [`SessionLayer::end_of`].
    pub key: SessionKey,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its user last proved who they are.
    pub authenticated_at: Option<Timestamp>,
    /// When it was last used, or somewhat earlier.
    ///
    /// Its use is noted as rarely as [`touch_every`](SessionLayer::touch_every) says, and when it
    /// is written. Once the absolute limit is nearer than the idle one, this stands still.
    pub last_seen: Timestamp,
    /// When it ends if it is not used again.
    pub expires_at: Timestamp,
    /// When it ends however much it is used.
    pub absolute_deadline: Timestamp,
    /// Who logged in, if that is [kept](SessionLayer::client_info).
    pub client: Option<ClientInfo>,
}

impl SessionInfo {
    /// Tells whether it is the session of this request.
    #[must_use]
    pub fn is<T: SessionData>(&self, session: &Session<T>) -> bool {
        session.key() == Some(self.key)
    }
}

/// Some of a subject's sessions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SessionPage {
    /// Those that are alive.
    pub sessions: Vec<SessionInfo>,
    /// The keys of those that this program cannot read, because a later one wrote them or they
    /// are damaged. They may be alive elsewhere, and can be ended like any other.
    pub unreadable: Vec<SessionKey>,
    /// Where the next page begins, or `None` if this was the last.
    pub next: Option<SessionKey>,
}

/// What a key in the index of a subject turned out to be.
enum Found {
    /// A session of the subject.
    Live(SessionInfo),
    Unreadable,
    /// Over, gone, or somebody else's.
    Nothing,
}

impl<T: SessionData, S: Store> SessionLayer<T, S> {
    /// Returns the live sessions of a subject, page by page (OWASP ASVS 5.0, 7.5.2).
    ///
    /// In the order of their keys, which means nothing. The first page is `after` nothing, each
    /// later one after the last one's [`next`](SessionPage::next). `limit`, at least 1, is how
    /// many keys are looked at; a page may have fewer sessions, or none, without being the last,
    /// because the index may name what is over.
    ///
    /// It costs one store call and one more for each key.
    ///
    /// # Errors
    ///
    /// If the store fails. A record that makes no sense is none: its key is among the
    /// [`unreadable`](SessionPage::unreadable).
    ///
    /// # Security
    ///
    /// Show users their own sessions alone: `subject` comes from the session and not from the
    /// request.
    pub async fn sessions_of(
        &self,
        subject: Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> store::Result<SessionPage> {
        let limit = limit.max(1);
        let keys = self.store().sessions_of(&subject, after, limit).await?;
        let mut page = SessionPage::default();
        for key in &keys {
            match self.found(&subject, key).await? {
                Found::Live(info) => page.sessions.push(info),
                Found::Unreadable => page.unreadable.push(*key),
                Found::Nothing => {}
            }
        }
        page.next = keys.last().copied().filter(|_| keys.len() >= limit);
        Ok(page)
    }

    async fn found(&self, subject: &Subject, key: &SessionKey) -> store::Result<Found> {
        let record = match self.store().load(key).await {
            // The index says that it is the subject's.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Found::Unreadable),
            record => record?,
        };
        let now = self.now();
        let Some(record) =
            record.filter(|record| record.subject == Some(*subject) && now < record.expires_at)
        else {
            return Ok(Found::Nothing);
        };
        Ok(match Envelope::decode(&record.body) {
            Some(Envelope::Live(live)) if now < live.absolute_deadline => {
                Found::Live(SessionInfo {
                    key: *key,
                    created_at: live.created_at,
                    authenticated_at: live.authenticated_at,
                    last_seen: live.last_seen(record.expires_at),
                    expires_at: record.expires_at,
                    absolute_deadline: live.absolute_deadline,
                    client: live.client.map(Arc::unwrap_or_clone),
                })
            }
            Some(Envelope::Live(_) | Envelope::Tombstone(_)) => Found::Nothing,
            None => Found::Unreadable,
        })
    }

    /// Ends a session if it belongs to the subject, and tells whether it did (OWASP ASVS 5.0,
    /// 7.5.2).
    ///
    /// This is what a form on a page of "your devices" asks for. Its key is whatever the client
    /// says: that of somebody else's session, or of none, changes nothing.
    ///
    /// Once it returns `true`, no request in flight can make the session readable again.
    ///
    /// ```
    /// # use typed_session::{EndReason, Session, SessionData, SessionLayer, Subject, store::MemoryStore};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop { user: Option<u64> }
    /// # impl SessionData for Shop {
    /// #     fn subject(&self) -> Option<Subject> { self.user.map(Subject::from) }
    /// # }
    /// # async fn end(
    /// #     sessions: SessionLayer<Shop, MemoryStore>,
    /// #     session: Session<Shop>,
    /// #     form_key: &str,
    /// # ) -> Result<bool, Box<dyn std::error::Error>> {
    /// let Some(user) = session.read(|shop| shop.user) else { return Ok(false) };
    /// let ended = sessions.end_of(Subject::from(user), &form_key.parse()?, EndReason::Revoked).await?;
    /// # Ok(ended)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the store fails; the session may be ended or not then.
    pub async fn end_of(
        &self,
        subject: Subject,
        key: &SessionKey,
        reason: EndReason,
    ) -> store::Result<bool> {
        match self.store().load(key).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // Whose it is cannot be read; the index may know.
                let named = self.is_named(&subject, key).await?;
                if named {
                    self.end(key, reason).await?;
                }
                Ok(named)
            }
            Ok(Some(there)) => {
                let ended = self.end_while_of(&subject, key, there, reason).await?;
                Ok(ended.unwrap_or(false))
            }
            // Unlike a key out of the index, this one gets no tombstone: any client could
            // fill the store with them.
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells whether the index names this key for the subject.
    async fn is_named(&self, subject: &Subject, key: &SessionKey) -> store::Result<bool> {
        let after = before(key);
        let keys = self.store().sessions_of(subject, after.as_ref(), 1).await?;
        Ok(keys.first() == Some(key))
    }

    /// Ends all other sessions of this session's subject, and returns how many those were (OWASP
    /// ASVS 5.0, 7.4.3).
    ///
    /// Call it when the user has changed a password, or another factor. What this session has
    /// changed is committed first. The session gets a new id, so that whoever shares the old one
    /// is out as well; it goes out with the response, like any other.
    ///
    /// Complete like [`end_all`](Self::end_all).
    ///
    /// # Errors
    ///
    /// If the store says that this session has expired, was ended or goes by another id by now:
    /// then nothing is ended, whatever this request has read before; if it happens while the others
    /// are being ended, they are, and this session is no longer yours. If nobody is logged in in it:
    /// [`Error::NoSubject`]. If the store fails; some of the others may be ended then, and it can be
    /// called again.
    ///
    /// # Security
    ///
    /// Ask for the password before: of two who hold one id, the first to call this stays.
    pub async fn end_others(
        &self,
        session: &Session<T>,
        reason: EndReason,
    ) -> Result<usize, Error> {
        session.commit().await?;
        let Some(key) = session.key() else {
            return Err(match session.verdict() {
                // This very request has ended it; or there never was one.
                Verdict::Resumed | Verdict::New | Verdict::Malformed | Verdict::Unverified => {
                    Error::NoSubject
                }
                verdict => Error::Lost(verdict),
            });
        };
        // Not by what is remembered of it.
        let record = self.store().load(&key).await?;
        let stands = {
            let cx = self.shared.context(Job::Load, &session.0.visit, self.now());
            session.0.machine().stands(record, &cx)
        };
        let (key, subject) = stands.map_err(Error::Lost)?;
        let subject = subject.ok_or(Error::NoSubject)?;
        let mut ended = self.end_all_but(&subject, Some(&key), reason).await?;
        // A release may have begun to name the same user in another way.
        if let Some(named) = session.read(T::subject).filter(|named| *named != subject) {
            ended += self.end_all_but(&named, Some(&key), reason).await?;
        }
        session.rotate();
        session.commit().await?;
        Ok(ended)
    }
}

/// The greatest key that is less than this one.
fn before(key: &SessionKey) -> Option<SessionKey> {
    let mut bytes = *key.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(SessionKey::from_bytes(bytes));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_before_is_one_less() {
        let key = |end: &[u8]| {
            let mut bytes = [0; 32];
            bytes[32 - end.len()..].copy_from_slice(end);
            SessionKey::from_bytes(bytes)
        };
        assert_eq!(before(&key(&[7])), Some(key(&[6])));
        assert_eq!(before(&key(&[1, 0])), Some(key(&[0xff])));
        assert_eq!(before(&key(&[0])), None);
    }
}
