//! The application without sessions; and in middleware that does nothing, which is what poem
//! itself takes for any.

use std::hint::black_box;

use poem::http::HeaderValue;
use poem::http::header::CONTENT_LENGTH;
use poem::{Endpoint, EndpointExt, Middleware, Request, Response, Result, Route, get, handler};

use crate::workload::Profile;

/// What all handlers answer: with a header, as axum's do by themselves, so that nobody is charged
/// for the first.
pub(super) fn fine() -> Response {
    let mut response = Response::default();
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

#[handler]
pub(super) fn alone() -> Response {
    fine()
}

#[handler]
fn visit() -> Response {
    drop(black_box(Profile::visitor()));
    fine()
}

#[handler]
fn create() -> Response {
    drop(black_box(Profile::user()));
    fine()
}

#[handler]
fn login() -> Response {
    let mut profile = Profile::default();
    profile.log_in();
    drop(black_box(profile));
    fine()
}

pub(super) fn floor() -> Route {
    Route::new()
        .at("/alone", get(alone))
        .at("/read", get(alone))
        .at("/write", get(alone))
        .at("/visit", get(visit))
        .at("/create", get(create))
        .at("/login", get(login))
}

pub(super) fn empty() -> impl Endpoint<Output = Response> {
    floor().with(Empty)
}

struct Empty;

struct EmptyEndpoint<E>(E);

impl<E: Endpoint> Middleware<E> for Empty {
    type Output = EmptyEndpoint<E>;

    fn transform(&self, inner: E) -> EmptyEndpoint<E> {
        EmptyEndpoint(inner)
    }
}

impl<E: Endpoint> Endpoint for EmptyEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, request: Request) -> Result<E::Output> {
        self.0.call(request).await
    }
}
