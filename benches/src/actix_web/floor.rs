//! The application without sessions; and in middleware that does nothing, which is what
//! actix-web itself takes for any.

use std::future::{Ready, ready};
use std::hint::black_box;

use actix_web::dev::{Service, ServiceRequest, Transform, forward_ready};
use actix_web::http::header::{CONTENT_LENGTH, HeaderValue};
use actix_web::test::init_service;
use actix_web::web::{ServiceConfig, get};
use actix_web::{App, HttpResponse};

use crate::actix_web::served;
use crate::app;
use crate::workload::Profile;

pub(super) fn floor() -> Box<dyn app::App> {
    served(init_service(App::new().configure(routes)))
}

pub(super) fn empty() -> Box<dyn app::App> {
    served(init_service(App::new().configure(routes).wrap(Empty)))
}

/// What all handlers answer: with a header, as axum's do by themselves, so that nobody is charged
/// for the first.
pub(super) fn fine() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_LENGTH, HeaderValue::from_static("0"))).finish()
}

fn routes(app: &mut ServiceConfig) {
    app.route("/alone", get().to(async || fine()))
        .route("/read", get().to(async || fine()))
        .route("/write", get().to(async || fine()))
        .route(
            "/visit",
            get().to(async || {
                drop(black_box(Profile::visitor()));
                fine()
            }),
        )
        .route(
            "/create",
            get().to(async || {
                drop(black_box(Profile::user()));
                fine()
            }),
        )
        .route(
            "/login",
            get().to(async || {
                let mut profile = Profile::default();
                profile.log_in();
                drop(black_box(profile));
                fine()
            }),
        );
}

struct Empty;

struct EmptyService<I> {
    inner: I,
}

impl<I: Service<ServiceRequest>> Transform<I, ServiceRequest> for Empty {
    type Response = I::Response;
    type Error = I::Error;
    type Transform = EmptyService<I>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: I) -> Self::Future {
        ready(Ok(EmptyService { inner }))
    }
}

impl<I: Service<ServiceRequest>> Service<ServiceRequest> for EmptyService<I> {
    type Response = I::Response;
    type Error = I::Error;
    type Future = I::Future;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> I::Future {
        self.inner.call(request)
    }
}
