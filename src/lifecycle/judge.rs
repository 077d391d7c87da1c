//! The judgement of an id: what the record says of it.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Context;
use super::plan::decode;
use crate::data::SessionData;
use crate::envelope::{Envelope, Ids, Live};
use crate::error::Error;
use crate::id::{SessionId, SessionKey};
use crate::record::{Body, Record, Revision};
use crate::sealed::{self, Place};
use crate::verdict::Verdict;

/// A live session, as it stood in the store, in the hands of a request that has
/// shown a good id of it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) key: SessionKey,
    pub(crate) id: SessionId,
    pub(super) shown: Shown,
    pub(super) live: Live,
    pub(crate) record: Record,
    pub(super) data: Data,
}

impl Held {
    /// The encoded data; none if it cannot be opened.
    pub(super) fn data(&self) -> &[u8] {
        match &self.data {
            Data::InBody => self.record.body.get(self.live.data_at..).unwrap_or_default(),
            Data::Opened(data) => data,
            Data::Shut => &[],
        }
    }

    /// What stands before the data in the body, if the data can be read there.
    pub(super) fn head(&self) -> &[u8] {
        match self.data {
            Data::InBody => self.record.body.get(..self.live.data_at).unwrap_or_default(),
            Data::Opened(_) | Data::Shut => &[],
        }
    }

    /// Makes the body of the record, and of the data what can be read of it.
    pub(super) fn body(
        live: &mut Live,
        place: Place<'_>,
        data: Vec<u8>,
        cx: &Context<'_>,
    ) -> Result<(Body, Data), Error> {
        live.sealed = cx.policy.sealing.is_some();
        Ok(match cx.policy.sealing {
            None => (Body(live.encode(data)), Data::InBody),
            Some(sealing) => {
                let data = Zeroizing::new(data);
                let head = live.encode(Vec::new());
                let body = sealed::seal(sealing, place, head, &data, cx.entropy)?;
                (Body(body), Data::Opened(data))
            }
        })
    }
}

/// Where the encoded data can be read.
#[derive(Clone)]
pub(super) enum Data {
    /// In the record's body.
    InBody,
    /// Here: in the body it is encrypted.
    Opened(Zeroizing<Vec<u8>>),
    /// Nowhere: it does not open.
    Shut,
}

/// Shows none of it.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InBody => "InBody",
            Self::Opened(_) => "Opened(..)",
            Self::Shut => "Shut",
        })
    }
}

/// Which of a session's ids a request has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    Current,
    Successor,
    Previous,
}

pub(super) enum Judgement<T> {
    /// The id is good.
    Live(Arc<Held>, T),
    /// The id is good, and the data is of a form that this program cannot read.
    Unreadable(Arc<Held>),
    /// The id is good for nothing.
    Dead(Verdict),
    /// [`Verdict::Superseded`], and by timed rotation, whose grace is over.
    ///
    /// With the revision at which it is so.
    Reused(Revision),
}

impl<T> Judgement<T> {
    pub(super) const fn verdict(&self) -> Verdict {
        match self {
            Self::Live(..) => Verdict::Resumed,
            Self::Unreadable(_) => Verdict::Undecodable,
            Self::Dead(verdict) => *verdict,
            Self::Reused(_) => Verdict::Superseded,
        }
    }

    /// Tells whether a newer record could make no difference that matters here.
    ///
    /// Where a record is remembered, another machine may have changed it since.
    pub(super) fn stands(&self) -> bool {
        match self {
            // What was written meanwhile, a commit will find. Not while a new id is on
            // offer: it would be offered again after a login, and cost the login.
            Self::Live(held, _) => held.live.ids.successor.is_none(),
            // Nothing replaces a tombstone.
            Self::Dead(verdict) => matches!(verdict, Verdict::Ended(_)),
            // The id may be newer than the record, and so may be the deadline.
            Self::Unreadable(_) | Self::Reused(_) => false,
        }
    }
}

/// Judges an id by the record under its key.
pub(super) fn judge<T: SessionData>(
    id: &SessionId,
    key: SessionKey,
    record: Option<Record>,
    cx: &Context<'_>,
) -> Judgement<T> {
    let Some(record) = record else { return Judgement::Dead(Verdict::Unknown) };
    let live = match Envelope::decode(&record.body) {
        Some(Envelope::Live(live)) => live,
        Some(Envelope::Tombstone(tombstone)) => {
            return Judgement::Dead(Verdict::Ended(tombstone.reason));
        }
        None => return Judgement::Dead(Verdict::Undecodable),
    };
    let shown = verify(id, &live.ids, cx);
    if let Err(Wrong::Forged) = shown {
        return Judgement::Dead(Verdict::Forged);
    }
    // Invariant: both deadlines are checked here, on every load; whatever the
    // store thinks of them. For the old ids too: a session that is over forbids
    // nobody to begin a new one.
    if cx.now >= live.absolute_deadline {
        return Judgement::Dead(Verdict::AbsoluteExpired);
    }
    if cx.now >= record.expires_at {
        return Judgement::Dead(Verdict::IdleExpired);
    }
    let shown = match shown {
        Ok(shown) => shown,
        Err(Wrong::OutOfGrace) => return Judgement::Reused(record.revision),
        Err(Wrong::Superseded) => return Judgement::Dead(Verdict::Superseded),
        Err(Wrong::Forged) => return Judgement::Dead(Verdict::Forged),
    };
    let data = if live.sealed {
        let place = Place { id, key: &key, subject: record.subject.as_ref() };
        match sealed::open(place, &record.body, live.data_at) {
            Some(data) => Data::Opened(Zeroizing::new(data)),
            None => Data::Shut,
        }
    } else if sealed::accepts_unsealed(cx.policy.sealing) {
        Data::InBody
    } else {
        Data::Shut
    };
    let held = Arc::new(Held { key, id: id.clone(), shown, live, record, data });
    match decode(&held) {
        Some(data) => Judgement::Live(held, data),
        None => Judgement::Unreadable(held),
    }
}

enum Wrong {
    Superseded,
    OutOfGrace,
    Forged,
}

fn verify(id: &SessionId, ids: &Ids, cx: &Context<'_>) -> Result<Shown, Wrong> {
    let verifier = id.verifier();
    if verifier == ids.current {
        return Ok(Shown::Current);
    }
    if ids.successor.as_ref().is_some_and(|successor| verifier == successor.verifier) {
        return Ok(Shown::Successor);
    }
    if let Some((previous, grace)) = ids.previous.as_deref()
        && verifier == *previous
    {
        return if cx.arrived < *grace { Ok(Shown::Previous) } else { Err(Wrong::OutOfGrace) };
    }
    if ids.dead.iter().any(|(dead, until)| verifier == *dead && cx.now < *until) {
        return Err(Wrong::Superseded);
    }
    Err(Wrong::Forged)
}
