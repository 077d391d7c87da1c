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

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use pin_project_lite::pin_project;

use self::http::{Head, add_effects, add_headers, sentence, status};
pub use crate::adapter::middleware::SessionMiddleware;
use crate::data::SessionData;
use crate::error::{Error, Rejection};
use crate::exchange::{Exchange, Outcome};
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
    type Future = SessionFuture<T, S, I::Future>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let exchange = self.layer.receive(&Head(&request));
        if let Some(rejection) = exchange.rejection() {
            let response = request.into_response(rejection.error_response());
            return SessionFuture { state: State::Refused { response: Some(response) } };
        }
        let outer = request.extensions_mut().insert(exchange.pending());
        let future = self.inner.call(request);
        SessionFuture { state: State::Handling { future, kept: Some((exchange, outer)) } }
    }
}

pin_project! {
    /// The response of a [`SessionMiddleware`].
    ///
    /// Dropped while the handler is at work, it stores nothing; dropped while it
    /// stores, the change is stored as a whole or not at all.
    pub struct SessionFuture<T, S, F> {
        #[pin]
        state: State<T, S, F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<T, S, F> {
        Handling { #[pin] future: F, kept: Option<(Exchange<T, S>, Outer<T>)> },
        Refused { response: Option<ServiceResponse> },
        // Boxed only here: most requests have nothing to ask the store at their end.
        Finishing { finish: BoxFuture<'static, Outcome>, kept: Option<(Answer, Outer<T>)> },
    }
}

/// What another layer around this one has put among the request's extensions.
type Outer<T> = Option<PendingSession<T>>;

type Answer = Result<ServiceResponse, actix_web::Error>;

impl<T, S, F, B> Future for SessionFuture<T, S, F>
where
    T: SessionData,
    S: Backend,
    F: Future<Output = Result<ServiceResponse<B>, actix_web::Error>>,
    B: MessageBody + 'static,
{
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        loop {
            let mut this = self.as_mut().project();
            let next = match this.state.as_mut().project() {
                StateProj::Handling { future, kept } => {
                    let answer = ready!(future.poll(cx));
                    let answer = answer.map(ServiceResponse::map_into_boxed_body);
                    let (exchange, outer) = kept.take().expect(ENDED);
                    match exchange.finish_or_box() {
                        Ok(outcome) => return Poll::Ready(apply(outcome, answer, outer)),
                        Err(finish) => State::Finishing { finish, kept: Some((answer, outer)) },
                    }
                }
                StateProj::Refused { response } => {
                    return Poll::Ready(Ok(response.take().expect(ENDED)));
                }
                StateProj::Finishing { finish, kept } => {
                    let outcome = ready!(finish.as_mut().poll(cx));
                    let (answer, outer) = kept.take().expect(ENDED);
                    return Poll::Ready(apply(outcome, answer, outer));
                }
            };
            this.state.set(next);
        }
    }
}

const ENDED: &str = "a future is not polled after its end";

/// Adds the effects to the answer, or to one of the error's own.
fn apply<T: SessionData>(outcome: Outcome, answer: Answer, outer: Outer<T>) -> Answer {
    let effects = outcome.effects;
    let answer = match (answer, outcome.error) {
        (answer, None) => answer,
        (Ok(response), Some(error)) => Ok(response.error_response(error)),
        (Err(_), Some(error)) => Err(error.into()),
    };
    match answer {
        Ok(mut response) => {
            add_effects(effects, response.headers_mut());
            // For what is between this layer and another one around it.
            outer.map(|outer| response.request().extensions_mut().insert(outer));
            Ok(response)
        }
        // No response is made of it: that needs the request, which is gone.
        Err(mut error) => {
            error.add_response_mapper(move |mut response| {
                add_headers(effects.headers(), response.headers_mut());
                response
            });
            Err(error)
        }
    }
}

/// Loads the session, once a request; one whose handler has no such argument costs no store call.
impl<T: SessionData> FromRequest for Session<T> {
    type Error = Rejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Extraction::of(request, Ok)
    }
}

/// Loads the session and keeps out whom the requirement does not meet: the handler is not run.
impl<T: SessionData, R: Requirement<T>> FromRequest for Guard<T, R> {
    type Error = Rejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Extraction::of(request, Self::check)
    }
}

/// The argument of a handler, when its session is loaded.
pub struct Extraction<V>(Extracting<V>);

enum Extracting<V> {
    AtOnce(Ready<Result<V, Rejection>>),
    // Boxed only here: a store in memory answers at once.
    Later(BoxFuture<'static, Result<V, Rejection>>),
}

type Check<T, V> = fn(Session<T>) -> Result<V, Rejection>;

impl<V: 'static> Extraction<V> {
    fn of<T: SessionData>(request: &HttpRequest, check: Check<T, V>) -> Self {
        let pending = PendingSession::found(request.extensions().get());
        let loaded = pending.map(PendingSession::load_at_once);
        Self(match loaded {
            Err(rejection) => Extracting::AtOnce(ready(Err(rejection))),
            Ok(Ok(Err(error))) => Extracting::AtOnce(ready(Err(error.into()))),
            Ok(Ok(Ok(session))) => Extracting::AtOnce(ready(check(session))),
            Ok(Err(pending)) => {
                Extracting::Later(Box::pin(async move { check(pending.into_session().await?) }))
            }
        })
    }
}

impl<V> Future for Extraction<V> {
    type Output = Result<V, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Extracting::AtOnce(extracted) => Pin::new(extracted).poll(cx),
            Extracting::Later(extracted) => extracted.as_mut().poll(cx),
        }
    }
}

impl<V> fmt::Debug for Extraction<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extraction(..)")
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
        add_headers(self.headers(), response.headers_mut());
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
