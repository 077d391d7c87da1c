//! [`SessionLayer`] as a salvo [`Handler`] to hoop, and [`Session`] as an extractor.
//!
//! ```
//! # use salvo_core as salvo;
//! use salvo::prelude::*;
//! use typed_session::{Session, SessionData, SessionLayer, store::MemoryStore};
//!
//! #[derive(Default, serde::Serialize, serde::Deserialize)]
//! struct Visits { count: u64 }
//! impl SessionData for Visits {}
//!
//! #[handler]
//! async fn visit(session: Session<Visits>) -> String {
//!     session.update(|visits| visits.count += 1);
//!     format!("visit {}", session.read(|visits| visits.count))
//! }
//!
//! let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
//! let app = Router::new().hoop(sessions).push(Router::with_path("visit").post(visit));
//! # drop(app);
//! ```
//!
//! Hoop the layer to the router whose routes use sessions. It must be before every hoop that does.
//!
//! What a handler did to its session is kept whatever the status of its response is, and also after
//! `skip_rest` and `cease`. An `Err` is written to the response before the layer sees it. The
//! `Catcher` comes after the layer: it gives a page to errors without one and leaves the headers, so
//! cookies survive it; the sentence of a failed session is a page.
//!
//! A [`PendingSession`] is in the `Depot`, too, for hoops and goals that have no arguments of their
//! own: `depot.get_typed::<PendingSession<Visits>>()`. [`Authenticated<T>`](crate::Authenticated)
//! and every other [`Guard`] is an argument as [`Session`] is.

use async_trait::async_trait;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use salvo_core::extract::{Extractible, Metadata};
use salvo_core::{Depot, FlowCtrl, Handler, Request, Response, Scribe};

use crate::adapter::http::{Head, add_effects, add_headers, status};
use crate::data::SessionData;
use crate::error::{Error, Rejection};
use crate::guard::{Guard, Requirement};
use crate::layer::SessionLayer;
use crate::session::{PendingSession, Session};
use crate::store::Backend;

#[async_trait]
impl<T: SessionData, S: Backend> Handler for SessionLayer<T, S> {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let peer = request.remote_addr().ip();
        let exchange = self.receive(&Head { method, uri, headers, peer });
        if let Some(rejection) = exchange.rejection() {
            answer(rejection, response);
            ctrl.skip_rest();
            return;
        }
        let outer = depot.get_typed::<PendingSession<T>>().ok().cloned();
        depot.insert_typed(exchange.pending());
        // Of those who are outside of the layer; there are none as a rule.
        let headers = Some(response.headers()).filter(|headers| !headers.is_empty()).cloned();
        ctrl.call_next(request, depot, response).await;
        let outcome = exchange.finish().await;
        if let Some(error) = outcome.error {
            // Nothing of the handler's is left, cookies included.
            *response = Response::new();
            response.set_headers(headers.unwrap_or_default());
            response.render(error);
        } else if let Some(SentElsewhere(code)) = response.extensions.remove()
            && response.status_code == Some(StatusCode::BAD_REQUEST)
        {
            response.status_code(code);
        }
        add_effects(outcome.effects, response.headers_mut());
        // Of another layer around this one, whose hoops may still have something to do.
        if let Some(outer) = outer {
            depot.insert_typed(outer);
        }
    }
}

/// Loads the session, once a request; a request whose handler has no such
/// argument costs no store call.
impl<'ex, T: SessionData> Extractible<'ex> for Session<T> {
    fn metadata() -> &'static Metadata {
        &NO_FIELDS
    }

    #[expect(refining_impl_trait, reason = "so that whoever calls it by hand knows why it failed")]
    async fn extract(_: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, Rejection> {
        Ok(PendingSession::found(depot.get_typed().ok())?.into_session().await?)
    }
}

/// Loads the session and keeps out whom the requirement does not meet: the handler is not run.
impl<'ex, T: SessionData, R: Requirement<T>> Extractible<'ex> for Guard<T, R> {
    fn metadata() -> &'static Metadata {
        &NO_FIELDS
    }

    #[expect(refining_impl_trait, reason = "so that whoever calls it by hand knows why it failed")]
    async fn extract(_: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, Rejection> {
        PendingSession::found(depot.get_typed().ok())?.guarded().await
    }
}

/// The session that nobody has asked for, for a handler that decides later
/// whether it loads it.
impl<'ex, T: SessionData> Extractible<'ex> for PendingSession<T> {
    fn metadata() -> &'static Metadata {
        &NO_FIELDS
    }

    #[expect(refining_impl_trait, reason = "so that whoever calls it by hand knows why it failed")]
    async fn extract(_: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, Rejection> {
        Self::found(depot.get_typed().ok())
    }
}

/// The status of a rejection that is a redirect: salvo makes a 400 of it if an argument fails so.
#[derive(Clone)]
struct SentElsewhere(StatusCode);

static NO_FIELDS: Metadata = Metadata::new("");

impl Scribe for Rejection {
    fn render(self, response: &mut Response) {
        answer(&self, response);
    }
}

/// For handlers that use `?` on [`Session::transact`] and [`Session::commit`].
impl Scribe for Error {
    fn render(self, response: &mut Response) {
        Rejection::from(self).render(response);
    }
}

fn answer(rejection: &Rejection, response: &mut Response) {
    response.status_code(status(rejection.status())).body(rejection.public_message());
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    add_headers(rejection.headers(), response.headers_mut());
    if response.status_code.is_some_and(|code| code.is_redirection()) {
        response.extensions.insert(SentElsewhere(status(rejection.status())));
    }
}
