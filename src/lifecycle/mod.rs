//! The life of a session within a request, as a state machine.
//!
//! Nothing here waits, reads a clock or draws a random number by itself: what
//! is needed is in a [`Context`], and what must be done is a [`Call`]. One
//! driver, in `driver.rs`, performs the calls and brings back the answers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::candidates::Candidates;
use crate::client::ClientPolicy;
use crate::codec::{EncodeError, Encoding};
use crate::csrf::OriginCheck;
use crate::data::SessionData;
use crate::entropy::Entropy;
use crate::event::Observer;
use crate::id::SessionKey;
use crate::id_form::IdForm;
use crate::lifetime::Lifetime;
use crate::record::{Record, Revision};
use crate::refusal::Pages;
use crate::sealed::Sealing;
use crate::seats::{Limit, Seating};
use crate::store::{self, Inserted, Recalled, Replaced};
use crate::time::Timestamp;
use crate::transport::Transport;
use crate::verdict::Verdict;

pub(crate) use self::judge::Held;
pub(crate) use self::machine::{Machine, Proof};
pub(crate) use self::wishes::Rotate;

mod judge;
mod machine;
mod plan;
mod wishes;

/// What a transition may know of the world.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    /// When the request came in: by this the grace of an old id is judged.
    pub(crate) arrived: Timestamp,
    pub(crate) policy: &'a Policy,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) observer: &'a dyn Observer,
    /// It is the request's last commit: what it says goes to no handler.
    pub(crate) finishing: bool,
    /// By how much a revision grows; random, though no secret.
    pub(crate) step: u32,
    pub(crate) default: &'a DefaultData,
}

/// The bytes of the default data in the layer's encoding, as soon as anybody has asked.
#[derive(Debug, Default)]
pub(crate) struct DefaultData(OnceLock<Box<[u8]>>);

impl DefaultData {
    fn bytes<T: SessionData>(&self, encoding: Encoding) -> Result<&[u8], EncodeError> {
        if let Some(bytes) = self.0.get() {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        encoding.encode(&T::default(), &mut bytes)?;
        Ok(self.0.get_or_init(|| bytes.into_boxed_slice()))
    }
}

/// The rules of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) transport: Transport,
    pub(crate) id_form: IdForm,
    pub(crate) lifetime: Lifetime,
    pub(crate) touch_every: Duration,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) remember_ended: Duration,
    pub(crate) remember_superseded: Duration,
    pub(crate) clear_site_data: Option<&'static str>,
    pub(crate) encoding: Encoding,
    pub(crate) origin_check: OriginCheck,
    pub(crate) pages: Pages,
    pub(crate) requires_consent: bool,
    pub(crate) client: Option<ClientPolicy>,
    pub(crate) limit: Option<Limit>,
    pub(crate) sealing: Option<Sealing>,
}

impl Policy {
    /// The ids among the values of a request's fields.
    pub(crate) fn candidates<'h>(&self, fields: impl Iterator<Item = &'h [u8]>) -> Candidates {
        self.transport.candidates(&self.id_form, fields)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            transport: Transport::default(),
            id_form: IdForm::default(),
            lifetime: Lifetime::default(),
            touch_every: Duration::from_secs(60),
            rotation: None,
            remember_ended: Duration::from_secs(10 * 60),
            remember_superseded: Duration::from_secs(2 * 60),
            clear_site_data: None,
            encoding: Encoding::default(),
            pages: Pages::default(),
            origin_check: OriginCheck::new(),
            requires_consent: false,
            client: None,
            limit: None,
            sealing: None,
        }
    }
}

/// Timed rotation: the id of a session with a subject changes now and then.
///
/// It makes before it breaks. When it is due, the client is offered a new id,
/// the same one by every response, until it shows it; then the old id is good
/// for its grace only, and only for requests that arrive within it.
///
/// ```
/// use std::time::Duration;
/// use typed_session::{Reuse, Rotation};
///
/// let rotation = Rotation::default().every(Duration::from_secs(5 * 60)).on_reuse(Reuse::EndSession);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotation {
    pub(crate) every: Duration,
    pub(crate) grace: Duration,
    pub(crate) on_reuse: Reuse,
}

/// What happens when an id that timed rotation has replaced is shown after its
/// grace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reuse {
    /// It is no session, and an event.
    Reject,
    /// The session is ended as well: two parties hold its ids, and one of them is
    /// not the user.
    EndSession,
}

impl Rotation {
    /// Sets how old an id grows: 15 minutes by default, at least a second.
    #[must_use]
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = if every.as_secs() == 0 { Duration::from_secs(1) } else { every };
        self
    }

    /// Sets how long the old id is good after the new one was shown: 30 seconds
    /// by default, which is for requests that were under way.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets what happens to an id that is shown after its grace.
    #[must_use]
    pub const fn on_reuse(mut self, on_reuse: Reuse) -> Self {
        self.on_reuse = on_reuse;
        self
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(15 * 60),
            grace: Duration::from_secs(30),
            on_reuse: Reuse::Reject,
        }
    }
}

/// What the store is to be asked. Small, because it is moved about: what is large is behind a pointer.
#[derive(Debug)]
pub(crate) enum Call {
    Recall { key: SessionKey },
    Load { key: SessionKey },
    Insert { held: Arc<Held> },
    Replace { held: Arc<Held>, expected: Revision },
    ReplaceByTombstone { key: SessionKey, expected: Revision, tombstone: Box<Record> },
    Touch { key: SessionKey, at: Revision, expires_at: Timestamp },
    End { key: SessionKey, tombstone: Box<Record> },
}

/// What the store said.
#[derive(Debug)]
pub(crate) enum Answer {
    Recalled(Recalled),
    Loaded(Option<Record>),
    Inserted(Inserted),
    Replaced(Replaced),
    /// The store was not asked to replace anything: another request of this process has left this
    /// newer record. By now there may be a newer one still.
    Left(Record),
    Touched,
    Ended,
}

impl Call {
    /// The key and the revision that is expected there, if it is a compare-and-swap.
    pub(crate) fn swap(&self) -> Option<(&SessionKey, Revision)> {
        match self {
            Self::Replace { held, expected } => Some((&held.key, *expected)),
            Self::ReplaceByTombstone { key, expected, .. } => Some((key, *expected)),
            Self::Recall { .. }
            | Self::Load { .. }
            | Self::Insert { .. }
            | Self::Touch { .. }
            | Self::End { .. } => None,
        }
    }

    /// What a compare-and-swap writes.
    pub(crate) fn written(&self) -> Option<&Record> {
        match self {
            Self::Replace { held, .. } => Some(&held.record),
            Self::ReplaceByTombstone { tombstone, .. } => Some(tombstone),
            Self::Recall { .. }
            | Self::Load { .. }
            | Self::Insert { .. }
            | Self::Touch { .. }
            | Self::End { .. } => None,
        }
    }

    pub(crate) async fn perform<S: store::Store>(&self, store: &S) -> store::Result<Answer> {
        Ok(match self {
            Self::Recall { key } => Answer::Recalled(store.recall(key).await?),
            Self::Load { key } => Answer::Loaded(store.load(key).await?),
            Self::Insert { held } => Answer::Inserted(store.insert(&held.key, &held.record).await?),
            Self::Replace { held, expected } => {
                Answer::Replaced(store.replace(&held.key, *expected, &held.record).await?)
            }
            Self::ReplaceByTombstone { key, expected, tombstone } => {
                Answer::Replaced(store.replace(key, *expected, tombstone).await?)
            }
            Self::Touch { key, at, expires_at } => {
                store.touch(key, *at, *expires_at).await?;
                Answer::Touched
            }
            Self::End { key, tombstone } => {
                store.end(key, tombstone).await?;
                Answer::Ended
            }
        })
    }
}

/// What comes next.
#[derive(Debug)]
#[must_use]
pub(crate) enum Step {
    /// Ask the store, and bring the answer.
    Call(Call),
    /// Take a seat for a login, and bring the answer.
    Seat(Box<Seating>),
    /// Nothing: it is done.
    Done,
    /// The attempt met a newer record, which was taken over: try again on it.
    Again,
}

/// How a session stands by another look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) verdict: Verdict,
    /// When it expires as things stand, if it lives.
    pub(crate) expires_at: Option<Timestamp>,
}
