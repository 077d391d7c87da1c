//! The application without sessions, which is subtracted; and with a layer that
//! does nothing, which is what axum itself takes for a layer.

use std::hint::black_box;
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::get;
use tower_layer::Layer;
use tower_service::Service;

use crate::app::{END, PAUSED, PAUSED_COUNTER, PAUSED_THEME, SHOW};
use crate::workload::Profile;

pub fn floor() -> Router {
    Router::new()
        .route("/alone", get(async || {}))
        .route("/read", get(async || {}))
        .route("/write", get(async || {}))
        .route("/visit", get(async || drop(black_box(Profile::visitor()))))
        .route("/create", get(async || drop(black_box(Profile::user()))))
        .route(
            "/login",
            get(async || {
                let mut profile = Profile::default();
                profile.log_in();
                drop(black_box(profile));
            }),
        )
        .route(END, get(async || {}))
        .route(SHOW, get(async || {}))
        .route(PAUSED, get(async || {}))
        .route(PAUSED_THEME, get(async || {}))
        .route(PAUSED_COUNTER, get(async || {}))
}

pub fn empty_layer() -> Router {
    floor().layer(Empty)
}

#[derive(Clone, Copy)]
struct Empty;

#[derive(Clone)]
struct EmptyService<I>(I);

impl<I> Layer<I> for Empty {
    type Service = EmptyService<I>;

    fn layer(&self, inner: I) -> EmptyService<I> {
        EmptyService(inner)
    }
}

impl<I: Service<Q>, Q> Service<Q> for EmptyService<I> {
    type Response = I::Response;
    type Error = I::Error;
    type Future = I::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Q) -> I::Future {
        self.0.call(request)
    }
}
