//! The ids that a request carries.

use std::ops::ControlFlow;

use crate::id::SessionId;
use crate::id_form::{Age, Read};
use crate::verdict::Verdict;

/// The well-formed ids among what a request carries in their place, a handful at
/// most.
///
/// There may be several: whoever controls a neighbouring host or path can plant
/// a cookie beside the good one ("cookie tossing"), and nothing in a request says
/// which is which.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// Apart, because there is mostly one, which then costs no allocation.
    first: Option<Candidate>,
    others: Vec<Candidate>,
    /// What is to be said of the values that are no ids.
    refused: Verdict,
}

/// An id, and whether the client has it as it would be written today.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: SessionId,
    pub(crate) age: Age,
}

/// Each costs a store call, so it is a small number. What no key vouches for does
/// not count: it must not hide the good one.
const AT_MOST: usize = 5;

impl Default for Candidates {
    fn default() -> Self {
        Self { first: None, others: Vec::new(), refused: Verdict::New }
    }
}

impl Candidates {
    /// Takes what was read of a value that should be an id, and says whether to go on.
    pub(crate) fn take(&mut self, value: Read) -> ControlFlow<()> {
        match value {
            Read::Malformed => self.refuse(Verdict::Malformed),
            Read::Unverified => self.refuse(Verdict::Unverified),
            Read::Id(id, age) => {
                if let Some(known) = self.find(&id) {
                    // It need not be written anew where it is held anew as well.
                    if age == Age::Current {
                        known.age = age;
                    }
                } else if self.first.is_none() {
                    self.first = Some(Candidate { id, age });
                } else if self.others.len() + 1 < AT_MOST {
                    self.others.push(Candidate { id, age });
                } else {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Candidate> {
        match index {
            0 => self.first.as_ref(),
            index => self.others.get(index - 1),
        }
    }

    /// What is to be said of the values that are no ids; [`Verdict::New`] if there are none.
    pub(crate) const fn refused(&self) -> Verdict {
        self.refused
    }

    fn refuse(&mut self, verdict: Verdict) {
        if verdict.weight() > self.refused.weight() {
            self.refused = verdict;
        }
    }

    fn find(&mut self, id: &SessionId) -> Option<&mut Candidate> {
        self.first.iter_mut().chain(&mut self.others).find(|known| known.id == *id)
    }
}
