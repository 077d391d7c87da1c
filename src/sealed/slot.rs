//! What a request brings of the sessions that live in its own cookies, and what becomes of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::effects::IdHeader;
use crate::id::{SessionId, SessionKey};
use crate::record::{Record, Revision};
use crate::time::Timestamp;

/// What a request brings of the sessions that live in its own cookies: for so long its store.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Carried>);

#[derive(Default)]
struct Carried {
    /// One for each cookie that opens, of which there is a handful at most.
    sessions: Vec<Session>,
    /// What the client is to be given, until the response has it.
    written: Option<IdHeader>,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) key: SessionKey,
    pub(super) record: Record,
}

impl Slot {
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// Takes what a cookie held. Of two copies of one session the newer counts.
    pub(super) fn put(&self, id: SessionId, record: Record) {
        let session = Session { key: id.key(), id, record };
        let mut carried = self.carried();
        match carried.sessions.iter_mut().find(|known| known.key == session.key) {
            Some(known) if known.record.revision >= session.record.revision => {}
            Some(known) => *known = session,
            None => carried.sessions.push(session),
        }
    }

    pub(super) fn get(&self, key: &SessionKey) -> Option<Session> {
        self.carried().sessions.iter().find(|session| session.key == *key).cloned()
    }

    /// Puts `next` where a session is at the revision, and says otherwise what is there.
    pub(super) fn replace(
        &self,
        expected: Revision,
        next: Session,
        written: Option<IdHeader>,
    ) -> Result<(), Option<Record>> {
        let mut carried = self.carried();
        let there = carried.sessions.iter_mut().find(|known| known.key == next.key);
        match there {
            Some(there) if there.record.revision == expected => {
                *there = next;
                carried.written = written;
                Ok(())
            }
            Some(there) => Err(Some(there.record.clone())),
            None => Err(None),
        }
    }

    /// Adds a session, unless there is one of that key.
    pub(super) fn insert(&self, session: Session, written: IdHeader) -> bool {
        let mut carried = self.carried();
        let is_new = carried.sessions.iter().all(|known| known.key != session.key);
        if is_new {
            carried.sessions.push(session);
            carried.written = Some(written);
        }
        is_new
    }

    /// Puts a tombstone, whatever is there.
    pub(super) fn end(&self, key: &SessionKey, tombstone: &Record) {
        let mut carried = self.carried();
        carried.written = None;
        if let Some(there) = carried.sessions.iter_mut().find(|known| known.key == *key) {
            there.record = tombstone.clone();
        }
    }

    /// Returns what the client is to be given, once.
    pub(crate) fn take_written(&self) -> Option<IdHeader> {
        self.carried().written.take()
    }

    fn carried(&self) -> MutexGuard<'_, Carried> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The same, to live until then.
    pub(super) fn until(mut self, expires_at: Timestamp) -> Self {
        self.record.expires_at = expires_at;
        self
    }
}
