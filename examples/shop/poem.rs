//! The shop's pages as poem's responses.

use poem::endpoint::make_sync;
use poem::{Endpoint, Error, IntoResponse, Response};

use crate::{Answer, Page};

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (head, body) = self.0.into_parts();
        (head.status, head.headers, body).into_response()
    }
}

/// For what was typed and cannot be taken.
impl From<Answer> for Error {
    fn from(answer: Answer) -> Self {
        Self::from_response(answer.into_response())
    }
}

/// A page that is the same for all.
pub fn fixed(page: fn() -> Page) -> impl Endpoint {
    make_sync(move |_| Answer(page()))
}
