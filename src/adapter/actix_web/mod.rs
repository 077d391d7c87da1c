//! [`SessionLayer`] as an actix-web [`Transform`], [`Session`] as an extractor.
//!
//! ```
//! use actix_web::{App, HttpServer, web};
//! # use typed_session::{Session, SessionData, SessionLayer, store::MemoryStore};
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # struct Visits { count: u64 }
//! # impl SessionData for Visits {}
//! async fn visit(session: Session<Visits>) -> String {
//!     session.update(|visits| { visits.count += 1; format!("visit {}", visits.count) })
//! }
//!
//! // Outside of the closure, which makes an application for each worker.
//! let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
//! HttpServer::new(move || App::new().route("/", web::post().to(visit)).wrap(sessions.clone()));
//! ```
//!
//! What is wrapped before the layer is inside of it, and may use the session too. A handler's `Err`
//! is a response by then. One of a middleware inside stays what it is: the headers are put on its
//! `error_response`, unless middleware outside answers by one of its own. Bodies come out boxed.
//! `Option<Session<T>>` is `None` in an outage, too: take `Result<Session<T>, Rejection>`.
//! [`Authenticated<T>`](crate::Authenticated) and every other [`Guard`] is an argument, too.

use std::future::{Future, Ready, ready};
use std::pin::Pin;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};

use self::http::{Head, add, sentence, status};
pub use crate::adapter::middleware::SessionMiddleware;
use crate::data::SessionData;
use crate::error::{Error, Rejection};
use crate::guard::{Guard, Requirement};
use crate::layer::SessionLayer;
use crate::session::{BoxFuture, PendingSession, Session};
use crate::store::Backend;

mod http;

impl<T: SessionData, S: Backend, I, B> Transform<I, ServiceRequest> for SessionLayer<T, S>
where
    I: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = actix_web::Error;
    type Transform = SessionMiddleware<T, S, I>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: I) -> Self::Future {
        ready(Ok(SessionMiddleware { layer: self.clone(), inner }))
    }
}

impl<T: SessionData, S: Backend, I, B> Service<ServiceRequest> for SessionMiddleware<T, S, I>
where
    I: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<ServiceResponse, actix_web::Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let exchange = self.layer.receive(&Head(&request));
        if let Some(rejection) = exchange.rejection() {
            let response = request.into_response(rejection.error_response());
            return Box::pin(ready(Ok(response)));
        }
        let outer = request.extensions_mut().insert(exchange.pending());
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await;
            let outcome = exchange.finish().await;
            let mut response = match (response, outcome.error) {
                (response, None) => response.map(ServiceResponse::map_into_boxed_body),
                (Ok(response), Some(error)) => Ok(response.error_response(error)),
                (Err(_), Some(error)) => Err(error.into()),
            };
            match &mut response {
                Ok(response) => {
                    add(outcome.effects.headers(), response.headers_mut());
                    // For what is between this layer and another one around it.
                    outer.map(|outer| response.request().extensions_mut().insert(outer));
                }
                // No response is made of it: that needs the request, which is gone.
                Err(error) => error.add_response_mapper(move |mut response| {
                    add(outcome.effects.headers(), response.headers_mut());
                    response
                }),
            }
            response
        })
    }
}

/// Loads the session, once a request; one whose handler has no such argument costs no store call.
impl<T: SessionData> FromRequest for Session<T> {
    type Error = Rejection;
    type Future = BoxFuture<'static, Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pending = PendingSession::found(request.extensions().get());
        Box::pin(async move { Ok(pending?.load().await?) })
    }
}

/// Loads the session and keeps out whom the requirement does not meet: the handler is not run.
impl<T: SessionData, R: Requirement<T>> FromRequest for Guard<T, R> {
    type Error = Rejection;
    type Future = BoxFuture<'static, Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pending = PendingSession::found(request.extensions().get());
        Box::pin(async move { pending?.guarded().await })
    }
}

/// The session that nobody has asked for, for a handler that decides later whether it loads it.
impl<T: SessionData> FromRequest for PendingSession<T> {
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::found(request.extensions().get()))
    }
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        status(self.status())
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = sentence(self.status(), self.public_message());
        add(self.headers(), response.headers_mut());
        response
    }
}

/// For handlers that use `?` on [`Session::transact`] and [`Session::commit`].
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status(self.status())
    }

    fn error_response(&self) -> HttpResponse {
        sentence(self.status(), self.public_message())
    }
}
