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

/// Also what went wrong is a page.
impl From<Result<Page, Error>> for Answer {
    fn from(page: Result<Page, Error>) -> Self {
        page.map_or_else(Self::from, Self)
    }
}

/// For `?`.
impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        Self(pages::failed(error))
    }
}
