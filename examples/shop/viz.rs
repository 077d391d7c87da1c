//! The shop's pages as viz's responses, and its forms with a limit, which viz's own do not have.

use serde::de::DeserializeOwned;
use viz::{
    Body, Error, FromRequest, Handler, IntoResponse, Request, RequestLimitsExt, Response, Result,
};

use crate::{BODY_LIMIT, Page, Sent, form};

/// A page that viz can send.
pub fn answer(page: Page) -> Response {
    page.map(|text| Body::Full(text.into()))
}

/// The same for what was typed and cannot be taken.
pub fn refusal(page: Page) -> Error {
    answer(page).into_error()
}

impl<F: DeserializeOwned> FromRequest for Sent<F> {
    type Error = Error;

    async fn extract(request: &mut Request) -> Result<Self> {
        let body = request.bytes_with(None, BODY_LIMIT as u64).await;
        form(&body.map_err(IntoResponse::into_error)?).map_err(refusal)
    }
}

/// A page that is the same for all.
pub fn fixed(page: fn() -> Page) -> impl Handler<Request, Output = Result<Response>> + Clone {
    move |_: Request| std::future::ready(Ok(answer(page())))
}
