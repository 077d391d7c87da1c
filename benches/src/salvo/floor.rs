//! The application without sessions; and in a hoop that does nothing, which is what salvo itself
//! takes for any.

use std::hint::black_box;

use salvo_core::prelude::*;

use crate::workload::Profile;

#[handler]
async fn alone() -> StatusCode {
    fine()
}

#[handler]
async fn visit() -> StatusCode {
    drop(black_box(Profile::visitor()));
    fine()
}

#[handler]
async fn create() -> StatusCode {
    drop(black_box(Profile::user()));
    fine()
}

#[handler]
async fn login() -> StatusCode {
    let mut profile = Profile::default();
    profile.log_in();
    drop(black_box(profile));
    fine()
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

/// What all handlers answer. Of a 200 without a body salvo warns.
pub(super) fn fine() -> StatusCode {
    StatusCode::NO_CONTENT
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
