//! The shop's pages as poem's responses.

use poem::endpoint::make_sync;
use poem::middleware::SizeLimit;
use poem::{Endpoint, EndpointExt, Error, IntoResponse, Response};

use crate::{Answer, BODY_LIMIT, Page};

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

/// What takes a form that is not too long. Of a request without a body it would want to know how long
/// that is, so it is not for all routes.
pub fn limited(form: impl Endpoint<Output = Response>) -> impl Endpoint {
    form.with(SizeLimit::new(BODY_LIMIT))
}

/// A page that is the same for all.
pub fn fixed(page: fn() -> Page) -> impl Endpoint {
    make_sync(move |_| Answer(page()))
}
