//! The ids that a request carries.

use crate::cookie;
use crate::id::SessionId;

/// The well-formed ids among a request's cookies of our name, a handful at most.
///
/// There may be several: whoever controls a neighbouring host or path can plant
/// one beside the good one ("cookie tossing"), and nothing in a request says
/// which is which.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Apart, because there is mostly one, which then costs no allocation.
    first: Option<SessionId>,
    others: Vec<SessionId>,
    /// There were cookies of our name that have not the form of an id.
    malformed: bool,
}

/// Each costs a store call, so it is a small number.
const AT_MOST: usize = 5;

impl Candidates {
    /// Reads the `Cookie` fields of a request.
    pub(crate) fn read<'h>(fields: impl IntoIterator<Item = &'h [u8]>, name: &str) -> Self {
        let mut candidates = Self::default();
        for value in fields.into_iter().flat_map(|field| cookie::values(field, name)) {
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
