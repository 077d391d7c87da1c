//! The shop's pages as viz's responses, and its forms with a limit, which viz's own do not have.

use serde::de::DeserializeOwned;
use viz::{Body, Error, FromRequest, IntoResponse, Request, RequestLimitsExt, Response, Result};

use crate::{BODY_LIMIT, Page, form};

/// A page that viz can send.
pub fn answer(page: Page) -> Response {
    page.map(|text| Body::Full(text.into()))
}

/// The same for what was typed and cannot be taken.
pub fn refusal(page: Page) -> Error {
    answer(page).into_error()
}

/// What was typed.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Form<T> {
    type Error = Error;

    async fn extract(request: &mut Request) -> Result<Self> {
        let body = request.bytes_with(None, BODY_LIMIT as u64).await;
        form(&body.map_err(IntoResponse::into_error)?).map(Self).map_err(refusal)
    }
}
