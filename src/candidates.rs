//! The ids that a request carries.

use crate::id::SessionId;

/// The well-formed ids among what a request carries in their place, a handful at
/// most.
///
/// There may be several: whoever controls a neighbouring host or path can plant
/// a cookie beside the good one ("cookie tossing"), and nothing in a request says
/// which is which.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Apart, because there is mostly one, which then costs no allocation.
    first: Option<SessionId>,
    others: Vec<SessionId>,
    /// There were values that have not the form of an id.
    malformed: bool,
}

/// Each costs a store call, so it is a small number.
const AT_MOST: usize = 5;

impl Candidates {
    /// Reads values that should be ids.
    pub(crate) fn of<'h>(values: impl Iterator<Item = &'h [u8]>) -> Self {
        let mut candidates = Self::default();
        for value in values {
            match SessionId::parse(value) {
                None => candidates.malformed = true,
                Some(id) if candidates.iter().any(|known| *known == id) => {}
                Some(id) if candidates.first.is_none() => candidates.first = Some(id),
                Some(id) if candidates.others.len() + 1 < AT_MOST => candidates.others.push(id),
                Some(_) => break,
            }
        }
        candidates
    }

    pub(crate) fn get(&self, index: usize) -> Option<&SessionId> {
        match index {
            0 => self.first.as_ref(),
            index => self.others.get(index - 1),
        }
    }

    pub(crate) const fn malformed(&self) -> bool {
        self.malformed
    }

    fn iter(&self) -> impl Iterator<Item = &SessionId> {
        self.first.iter().chain(&self.others)
    }
}
