//! What a request wants of its session.

use crate::lifetime::Lifetime;
use crate::subject::Subject;

/// What the request wants, each with the number of the wish, so that a wish
/// which comes while another one is carried out is not taken for it.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) last: u64,
    pub(super) done: u64,
    pub(super) rotate: Option<(u64, Rotate)>,
    pub(super) lifetime: Option<Box<(u64, Lifetime)>>,
    /// The subject that the data was already made fit for, on its way to the store.
    pub(super) switched: Option<Box<Subject>>,
    /// The user allows to be remembered.
    pub(super) consent: bool,
    /// There is to be a session, whatever its data is.
    pub(super) establish: bool,
    /// The client holds the id as it would not be written today, and is to be given it anew.
    pub(super) rewrite: bool,
    /// A change panicked half way.
    pub(super) torn: bool,
}

/// What comes with a new id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rotate {
    /// Nothing else.
    IdAlone,
    /// The user has proved again who they are.
    Authenticated,
}

impl Wishes {
    pub(super) const fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) const fn pending(&self) -> bool {
        self.last > self.done
    }

    pub(super) fn lifetime(&self) -> Option<Lifetime> {
        self.lifetime.as_ref().map(|lifetime| lifetime.1)
    }

    pub(super) fn fulfil(&mut self, until: u64) {
        self.done = self.done.max(until);
        self.rotate = self.rotate.filter(|(wish, _)| *wish > until);
        self.lifetime = self.lifetime.take().filter(|lifetime| lifetime.0 > until);
    }
}
