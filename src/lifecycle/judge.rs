//! The judgement of an id: what the record says of it.

use std::sync::Arc;

use super::Context;
use crate::data::SessionData;
use crate::envelope::{Envelope, Ids, Live};
use crate::id::{SessionId, SessionKey};
use crate::record::{Record, Revision};
use crate::verdict::Verdict;

/// A live session, as it stood in the store, in the hands of a request that has
/// shown a good id of it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(super) key: SessionKey,
    pub(super) id: SessionId,
    pub(super) shown: Shown,
    pub(super) live: Live,
    pub(super) record: Record,
}

impl Held {
    /// The encoded data.
    pub(super) fn data(&self) -> &[u8] {
        self.record.body.get(self.live.data_at..).unwrap_or_default()
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
    let data = live.encoding().and_then(|encoding| {
        encoding.decode(live.version, record.body.get(live.data_at..).unwrap_or_default())
    });
    let held = Arc::new(Held { key, id: id.clone(), shown, live, record });
    match data {
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
    if let Some((previous, grace)) = &ids.previous
        && verifier == *previous
    {
        return if cx.arrived < *grace { Ok(Shown::Previous) } else { Err(Wrong::OutOfGrace) };
    }
    if ids.dead.iter().any(|(dead, until)| verifier == *dead && cx.now < *until) {
        return Err(Wrong::Superseded);
    }
    Err(Wrong::Forged)
}
