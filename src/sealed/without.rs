//! A program that was built without the feature `sealed`: it seals nothing and opens nothing.

use crate::effects::IdHeader;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::id::{SessionId, SessionKey};
use crate::subject::Subject;

/// The row that data lies in.
#[expect(dead_code, reason = "nobody looks")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) id: &'a SessionId,
    pub(crate) key: &'a SessionKey,
    pub(crate) subject: Option<&'a Subject>,
}

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sealing {}

pub(crate) const fn accepts_unsealed(sealing: Option<Sealing>) -> bool {
    match sealing {
        None => true,
        Some(sealing) => match sealing {},
    }
}

pub(crate) fn seal(
    sealing: Sealing,
    _: Place<'_>,
    _: Vec<u8>,
    _: &[u8],
    _: &dyn Entropy,
) -> Result<Vec<u8>, Error> {
    match sealing {}
}

pub(crate) const fn open(_: Place<'_>, _: &[u8], _: usize) -> Option<Vec<u8>> {
    None
}

/// Sessions are in the store alone.
#[derive(Default)]
pub(crate) struct Slot;

impl Slot {
    pub(crate) const fn empty() -> Self {
        Self
    }

    pub(crate) const fn take_written(&self) -> Option<IdHeader> {
        None
    }
}
