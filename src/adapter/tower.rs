//! [`SessionLayer`] as a [`tower_layer::Layer`]: for warp, cot, hyper, and every other service on
//! `http` 1.
//!
//! A handler finds a [`PendingSession`](crate::PendingSession) among the request's extensions. The
//! response's body must be `From<&'static str>`: a failed commit is answered by a sentence. An `Err`
//! of the service passes without headers, and stores nothing: let it be a response by then.
//!
//! ```
//! # use typed_session::{PendingSession, Rejection, SessionData, SessionLayer, store::MemoryStore};
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # struct Visits { count: u64 }
//! # impl SessionData for Visits {}
//! # use http::{Request, Response};
//! # use tower_layer::Layer;
//! async fn visit(request: Request<()>) -> Result<Response<String>, Rejection> {
//!     let session = PendingSession::<Visits>::found(request.extensions().get())?.load().await?;
//!     Ok(Response::new(session.read(|visits| visits.count.to_string())))
//! }
//! let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
//! let service = sessions.layer(tower::service_fn(visit));
//! ```
//!
//! For who is logged in only: [`PendingSession::guarded`](crate::PendingSession::guarded), or
//! `Authenticated::try_from(session)`. A [`Rejection`](crate::Rejection) becomes a response by
//! `Response::from(rejection)`, with its status, its sentence and its headers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::adapter::answer::apply;
use crate::adapter::http::Head;
use crate::data::SessionData;
use crate::exchange::{Exchange, Outcome};
use crate::layer::SessionLayer;
use crate::session::BoxFuture;
use crate::store::Backend;

impl<T: SessionData, S: Backend, I> Layer<I> for SessionLayer<T, S> {
    type Service = SessionService<T, S, I>;

    fn layer(&self, inner: I) -> Self::Service {
        SessionService { layer: self.clone(), inner }
    }
}

/// A service with sessions around it; [`SessionLayer`] makes it.
///
/// It puts a [`PendingSession`](crate::PendingSession) among each request's extensions, and adds
/// what the session needs to the response. The body of an error of its own is a sentence.
#[derive(Debug)]
pub struct SessionService<T, S, I> {
    layer: SessionLayer<T, S>,
    inner: I,
}

// Not derived, because it would ask for a `T` and an `S` that can be cloned.
impl<T, S, I: Clone> Clone for SessionService<T, S, I> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), inner: self.inner.clone() }
    }
}

impl<T, S, I, Q, B> Service<Request<Q>> for SessionService<T, S, I>
where
    T: SessionData,
    S: Backend,
    I: Service<Request<Q>, Response = Response<B>>,
    B: From<&'static str>,
{
    type Response = Response<B>;
    type Error = I::Error;
    type Future = SessionFuture<T, S, I::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let exchange = self.layer.receive(&Head { method, uri, headers, peer: None });
        if let Some(rejection) = exchange.rejection() {
            let response = Response::from(rejection);
            return SessionFuture { state: State::Refused { response: Some(response) } };
        }
        request.extensions_mut().insert(exchange.pending());
        let future = self.inner.call(request);
        SessionFuture { state: State::Handling { future, exchange: Some(exchange) } }
    }
}

pin_project! {
    /// The response of a [`SessionService`].
    ///
    /// Dropped while the handler is at work, it stores nothing; dropped while it
    /// stores, the change is stored as a whole or not at all.
    pub struct SessionFuture<T, S, F, B> {
        #[pin]
        state: State<T, S, F, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<T, S, F, B> {
        Handling { #[pin] future: F, exchange: Option<Exchange<T, S>> },
        Refused { response: Option<Response<B>> },
        // Boxed only here: most requests have nothing to ask the store at their end.
        Finishing { finish: BoxFuture<'static, Outcome>, response: Option<Response<B>> },
    }
}

impl<T, S, F, B, E> Future for SessionFuture<T, S, F, B>
where
    T: SessionData,
    S: Backend,
    F: Future<Output = Result<Response<B>, E>>,
    B: From<&'static str>,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            let mut this = self.as_mut().project();
            let next = match this.state.as_mut().project() {
                StateProj::Handling { future, exchange } => {
                    // An error of the service carries no response, and so no effects.
                    let response = ready!(future.poll(cx))?;
                    match exchange.take().expect(ENDED).finish_or_box() {
                        Ok(outcome) => return Poll::Ready(Ok(apply(outcome, response))),
                        Err(finish) => State::Finishing { finish, response: Some(response) },
                    }
                }
                StateProj::Refused { response } => {
                    return Poll::Ready(Ok(response.take().expect(ENDED)));
                }
                StateProj::Finishing { finish, response } => {
                    let outcome = ready!(finish.as_mut().poll(cx));
                    let response = response.take().expect(ENDED);
                    return Poll::Ready(Ok(apply(outcome, response)));
                }
            };
            this.state.set(next);
        }
    }
}

const ENDED: &str = "a future is not polled after its end";
