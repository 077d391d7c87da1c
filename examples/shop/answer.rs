//! The shop's pages as a type of its own, for frameworks that know none of the `http` crate's:
//! each makes its own response of it.

use typed_session::Error;

use crate::pages::{self, Page};

/// A page that the framework can send.
pub struct Answer(pub Page);

impl From<Page> for Answer {
    fn from(page: Page) -> Self {
        Self(page)
    }
}

/// For `?`.
impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        Self(pages::failed(error))
    }
}
