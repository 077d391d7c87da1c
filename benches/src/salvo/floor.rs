//! The application without sessions; and in a hoop that does nothing, which is what salvo itself
//! takes for any.

use std::hint::black_box;

use salvo_core::http::HeaderValue;
use salvo_core::http::header::CONTENT_LENGTH;
use salvo_core::prelude::*;

use crate::workload::Profile;

#[handler]
pub(super) async fn alone() -> Fine {
    Fine
}

#[handler]
async fn visit() -> Fine {
    drop(black_box(Profile::visitor()));
    Fine
}

#[handler]
async fn create() -> Fine {
    drop(black_box(Profile::user()));
    Fine
}

#[handler]
async fn login() -> Fine {
    let mut profile = Profile::default();
    profile.log_in();
    drop(black_box(profile));
    Fine
}

#[handler]
async fn nothing(
    request: &mut Request,
    depot: &mut Depot,
    response: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    ctrl.call_next(request, depot, response).await;
}

/// What all handlers answer: with a header, as axum's do by themselves, so that nobody is charged
/// for the first. Of a 200 without a body salvo warns.
pub(super) struct Fine;

impl Scribe for Fine {
    fn render(self, response: &mut Response) {
        response.status_code(StatusCode::NO_CONTENT);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

pub(super) fn floor() -> Router {
    Router::new()
        .push(Router::with_path("alone").get(alone))
        .push(Router::with_path("read").get(alone))
        .push(Router::with_path("write").get(alone))
        .push(Router::with_path("visit").get(visit))
        .push(Router::with_path("create").get(create))
        .push(Router::with_path("login").get(login))
}

pub(super) fn empty() -> Router {
    floor().hoop(nothing)
}
