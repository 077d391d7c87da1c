//! [`SessionLayer`] as a [`tower_layer::Layer`]: for axum, and for every other
//! service on `http` 1.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::data::SessionData;
use crate::effects::{Effects, Mode};
use crate::error::Error;
use crate::layer::{Exchange, Outcome, SessionLayer};
use crate::store::Store;

impl<T: SessionData, S: Store, I> Layer<I> for SessionLayer<T, S> {
    type Service = SessionService<T, S, I>;

    fn layer(&self, inner: I) -> Self::Service {
        SessionService { layer: self.clone(), inner }
    }
}

/// A service with sessions around it; [`SessionLayer`] makes it.
///
/// It puts a [`PendingSession`](crate::PendingSession) among each request's
/// extensions, and adds what the session needs to the response. The body of an
/// error response of its own is a sentence, so the body type must be made from
/// one.
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
    S: Store,
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
        let cookies = request.headers().get_all(COOKIE).into_iter().map(HeaderValue::as_bytes);
        let exchange = self.layer.open(cookies);
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
        // Boxed only here: most requests have nothing to ask the store at their end.
        Finishing {
            finish: Pin<Box<dyn Future<Output = Outcome> + Send>>,
            response: Option<Response<B>>,
        },
    }
}

impl<T, S, F, B, E> Future for SessionFuture<T, S, F, B>
where
    T: SessionData,
    S: Store,
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
                    let Some(exchange) = exchange.take() else { return Poll::Ready(Ok(response)) };
                    let exchange = match exchange.finish_now() {
                        Ok(outcome) => return Poll::Ready(Ok(apply(outcome, response))),
                        Err(exchange) => exchange,
                    };
                    let finish = Box::pin(exchange.finish_later());
                    State::Finishing { finish, response: Some(response) }
                }
                StateProj::Finishing { finish, response } => {
                    let outcome = ready!(finish.as_mut().poll(cx));
                    let response = response.take().expect("a future is not polled after its end");
                    return Poll::Ready(Ok(apply(outcome, response)));
                }
            };
            this.state.set(next);
        }
    }
}

/// Adds the effects to the response, or to one of the error's own.
// Inlined, because a response is large to move.
#[inline]
fn apply<B: From<&'static str>>(outcome: Outcome, mut response: Response<B>) -> Response<B> {
    if let Some(error) = &outcome.error {
        response = error_response(error);
    }
    add_effects(outcome.effects, response.headers_mut());
    response
}

/// Answers an error of the session with its status and a sentence.
pub(crate) fn error_response<B: From<&'static str>>(error: &Error) -> Response<B> {
    let mut response = Response::new(B::from(error.public_message()));
    let status = StatusCode::from_u16(error.status());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

fn add_effects(effects: Effects, headers: &mut HeaderMap) {
    for header in effects.fixed_headers().into_iter().flatten() {
        let name = HeaderName::from_static(header.name);
        let value = HeaderValue::from_static(header.value);
        match header.mode {
            Mode::Append => drop(headers.append(name, value)),
            Mode::Replace => drop(headers.insert(name, value)),
        }
    }
    // Moved and not copied. It is visible ASCII, by the promise of `Header`.
    if let Some(Ok(mut value)) = effects.set_cookie.map(HeaderValue::try_from) {
        value.set_sensitive(true);
        headers.append(SET_COOKIE, value);
    }
}
