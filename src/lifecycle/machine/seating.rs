//! A seat, where a subject may have so many sessions and no more.

use std::sync::Arc;

use super::{Asked, Attempt, Loaded, Machine, Stage};
use crate::data::SessionData;
use crate::error::Error;
use crate::lifecycle::{Call, Policy, Step};
use crate::record::Revision;
use crate::seats::{Seated, Seating};
use crate::store;
use crate::subject::Subject;
use crate::verdict::{EndReason, Verdict};

/// The seat that an attempt needs before it may be written, if it makes a session of somebody
/// whose session it was not.
pub(super) fn needed<T>(
    loaded: &Loaded<T>,
    attempt: &Attempt,
    sat: Option<Subject>,
    policy: &Policy,
) -> Option<Seating> {
    let limit = policy.limit?;
    let subject = attempt.held.record.subject?;
    let held = loaded.held.as_ref();
    if held.and_then(|held| held.record.subject) == Some(subject) {
        return None;
    }
    Some(Seating {
        limit,
        subject,
        key: attempt.held.key,
        expected: held.map(|held| held.record.revision),
        until: attempt.held.live.absolute_deadline,
        again: sat == Some(subject),
    })
}

impl<T: SessionData> Machine<T> {
    /// Takes the answer to [`Step::Seat`].
    pub(crate) fn seated(&mut self, seated: store::Result<Seated>) -> Result<Step, Error> {
        let asked = std::mem::replace(&mut self.asked, Asked::Nothing);
        let (Stage::Loaded(loaded), Asked::Seat(expected)) = (&mut self.stage, asked) else {
            return Ok(Step::Done);
        };
        let Some(attempt) = &loaded.attempt else { return Ok(Step::Done) };
        let error = match seated {
            Ok(Seated::Taken) => {
                self.sat = attempt.held.record.subject;
                self.asked = Asked::Attempt;
                let held = Arc::clone(&attempt.held);
                return Ok(Step::Call(match expected {
                    Some(expected) => Call::Replace { held, expected },
                    None => Call::Insert { held },
                }));
            }
            Ok(Seated::Full) => Error::TooManySessions,
            Ok(Seated::Displaced) => Error::Lost(Verdict::Ended(EndReason::Displaced)),
            Ok(Seated::Busy) => Error::Conflict,
            Err(error) => Error::Store(error),
        };
        // It was never sent.
        self.forget_attempt();
        Err(error)
    }
}

/// At which revision the seat's record is to be written.
pub(super) type Expected = Option<Revision>;
