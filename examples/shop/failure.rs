//! Why the shop does not open.

use std::error::Error;
use std::fmt::{self, Debug, Formatter};

/// What a `main` returns; it is printed with what led to it.
pub struct Failure(String);

impl Failure {
    pub(crate) fn new(what: &str, reason: impl Error) -> Self {
        Self(format!("{what}: {}", Self::from(reason).0))
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(reason) = source {
            text.push_str(&format!(": {reason}"));
            source = reason.source();
        }
        Self(text)
    }
}

/// As people read it, for this is what Rust prints of the error of a `main`.
impl Debug for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
