//! Sessions that live in their cookie alone.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::slot::{Session, Slot};
use super::token::{self, Opened};
use crate::candidates::Candidates;
use crate::data::SessionData;
use crate::effects::IdHeader;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::id_form::Read;
use crate::keys::KeyRing;
use crate::layer::SessionLayer;
use crate::lifecycle::{Answer, Call, Held, Policy, tombstone};
use crate::lifetime::CookieLifetime;
use crate::record::Record;
use crate::session::World;
use crate::store::{self, Backend, ErrorKind, Inserted, Perform, Recalled, Replaced};
use crate::subject::Subject;
use crate::time::Timestamp;
use crate::verdict::EndReason;

/// No store: the whole session is in the cookie, encrypted.
///
/// [`SessionLayer::stateless`] makes a layer of it. It is no [`Store`](crate::store::Store), so
/// what such a layer cannot do does not compile: to end a session from outside, to list those of a user,
/// to rotate ids by time.
#[derive(Clone)]
pub struct Stateless {
    keys: KeyRing,
    not_before: Option<Arc<dyn Check>>,
}

/// Shows the ids of the keys.
impl fmt::Debug for Stateless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stateless").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl<T: SessionData> SessionLayer<T, Stateless> {
    /// Makes a layer without a store, whose sessions travel as a whole in their cookie, encrypted
    /// by the newest of these keys.
    #[must_use]
    pub fn stateless(keys: KeyRing) -> Self {
        Self::of(Stateless { keys, not_before: None })
    }

    /// Asks, for each session with a subject that a request shows, from when on that subject's
    /// logins count.
    #[must_use]
    pub fn not_before(mut self, check: impl NotBefore) -> Self {
        let settings = self.settings();
        let keys = settings.store.keys.clone();
        settings.store = Arc::new(Stateless { keys, not_before: Some(Arc::new(check)) });
        self
    }
}

/// From when on the logins of a subject count.
pub trait NotBefore: Send + Sync + 'static {
    /// Returns the time before which no login of this subject counts, or `None` if all do.
    ///
    /// # Errors
    ///
    /// If it cannot be told.
    fn not_before(
        &self,
        subject: &Subject,
    ) -> impl Future<Output = store::Result<Option<Timestamp>>> + Send;
}

/// [`NotBefore`], callable through `dyn`.
#[async_trait]
trait Check: Send + Sync {
    async fn time_of(&self, subject: &Subject) -> store::Result<Option<Timestamp>>;
}

#[async_trait]
impl<N: NotBefore> Check for N {
    async fn time_of(&self, subject: &Subject) -> store::Result<Option<Timestamp>> {
        self.not_before(subject).await
    }
}

impl Backend for Stateless {}

impl Perform for Stateless {
    fn open<'h>(
        &self,
        policy: &Policy,
        values: impl Iterator<Item = &'h [u8]>,
    ) -> (Candidates, Slot) {
        let slot = Slot::default();
        let scope = policy.transport.scope();
        let candidates = policy.transport.candidates_by(values, |text| {
            match token::read(&self.keys, text, scope) {
                Opened::Session(id, record, age) => {
                    slot.put(id.clone(), record);
                    Read::Id(id, age)
                }
                Opened::Unverified => Read::Unverified,
                Opened::Malformed => Read::Malformed,
            }
        });
        (candidates, slot)
    }

    async fn perform(&self, call: &Call, slot: &Slot, world: World<'_>) -> store::Result<Answer> {
        let conflict = |there| Ok(Answer::Replaced(Replaced::Conflict(there)));
        match call {
            Call::Recall { key } => {
                let record = self.judged(slot.get(key), world).await?;
                Ok(Answer::Recalled(Recalled::Current(record)))
            }
            Call::Load { key } => Ok(Answer::Loaded(self.judged(slot.get(key), world).await?)),
            Call::Insert { held } => {
                let session = session(held);
                let written = self.write(&session, world)?;
                Ok(Answer::Inserted(match slot.insert(session, written) {
                    true => Inserted::Created,
                    false => Inserted::Exists,
                }))
            }
            Call::Replace { held, expected } => {
                let session = session(held);
                let written = self.write(&session, world)?;
                match slot.replace(*expected, session, Some(written)) {
                    Ok(()) => Ok(Answer::Replaced(Replaced::Done)),
                    Err(there) => conflict(there),
                }
            }
            Call::ReplaceByTombstone { key, expected, tombstone } => match slot.get(key) {
                Some(there) if there.record.revision == *expected => {
                    slot.end(key, tombstone);
                    Ok(Answer::Replaced(Replaced::Done))
                }
                there => conflict(there.map(|there| there.record)),
            },
            Call::Touch { key, at, expires_at } => {
                if let Some(there) = slot.get(key)
                    && there.record.revision == *at
                    && there.record.expires_at < *expires_at
                {
                    let session = there.until(*expires_at);
                    let written = self.write(&session, world)?;
                    // Nobody else has it: the request takes turns with itself.
                    let _ = slot.replace(*at, session, Some(written));
                }
                Ok(Answer::Touched)
            }
            Call::End { key, tombstone } => {
                slot.end(key, tombstone);
                Ok(Answer::Ended)
            }
        }
    }
}

impl Stateless {
    /// The header that gives the session to the client.
    fn write(&self, session: &Session, world: World<'_>) -> store::Result<IdHeader> {
        let Session { id, record, .. } = session;
        let transport = &world.policy.transport;
        let scope = transport.scope();
        let text = token::write(&self.keys, id, record, scope, world.entropy).map_err(failed)?;
        let octets = scope.name.len() + text.len();
        if octets > token::LONGEST {
            return Err(store::Error::new(ErrorKind::TooLarge, TooLong { octets }));
        }
        let max_age = match Envelope::decode(&record.body) {
            Some(Envelope::Live(live)) if live.cookie == CookieLifetime::Persistent => {
                Some(record.expires_at.since(world.clock.now()))
            }
            _ => None,
        };
        transport
            .hand_out_text(&text, max_age)
            .map_err(|error| store::Error::new(ErrorKind::Other, error))
    }

    /// The session's record, or a tombstone if its subject's logins do not count any more.
    async fn judged(
        &self,
        session: Option<Session>,
        world: World<'_>,
    ) -> store::Result<Option<Record>> {
        let Some(Session { record, .. }) = session else { return Ok(None) };
        let (Some(check), Some(subject)) = (&self.not_before, &record.subject) else {
            return Ok(Some(record));
        };
        let Some(Envelope::Live(live)) = Envelope::decode(&record.body) else {
            return Ok(Some(record));
        };
        let counts = check.time_of(subject).await?.is_none_or(|time| live.anchor() >= time);
        Ok(Some(if counts {
            record
        } else {
            let remember = world.policy.remember_ended;
            tombstone(EndReason::Revoked, world.clock.now(), remember)
        }))
    }
}

fn session(held: &Held) -> Session {
    Session { id: held.id.clone(), key: held.key, record: held.record.clone() }
}

/// The session does not fit into a cookie (RFC 6265bis, section 5.6).
#[derive(Debug, thiserror::Error)]
#[error(
    "the session takes {octets} octets with its name, and browsers keep 4096; put less into it, or use a store"
)]
struct TooLong {
    octets: usize,
}

/// No session is written without its keys or its nonce: an outage.
fn failed(error: Error) -> store::Error {
    store::Error::new(ErrorKind::Unavailable, error)
}
