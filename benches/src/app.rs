//! The application that every contestant is measured under: one route a workload.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tower_service::Service;

/// What a session holds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Profile {
    pub user_id: u64,
    pub name: String,
    pub roles: Vec<String>,
    pub counter: u64,
    pub theme: String,
}

impl Profile {
    pub fn visitor() -> Self {
        Self { counter: 1, theme: "dark".into(), ..Self::default() }
    }

    /// Somebody new each time.
    pub fn user() -> Self {
        let mut profile = Self::visitor();
        profile.log_in();
        profile
    }

    pub fn log_in(&mut self) {
        static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
        self.user_id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.name = "ann.o.nymous".into();
        self.roles = vec!["reader".into(), "editor".into()];
    }
}

/// What a request does with its session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Workload {
    /// No cookie, and the handler leaves the session alone.
    Bare,
    /// A good cookie, and the handler leaves the session alone.
    Untouched,
    /// One field is read.
    Read,
    /// A counter is increased.
    Write,
    /// No cookie; a session is created.
    Create,
    /// A visitor logs in: data is written and the id changes.
    Login,
}

impl Workload {
    pub const ALL: [Self; 6] =
        [Self::Bare, Self::Untouched, Self::Read, Self::Write, Self::Create, Self::Login];

    pub const fn path(self) -> &'static str {
        match self {
            Self::Bare | Self::Untouched => "/alone",
            Self::Read => "/read",
            Self::Write => "/write",
            Self::Create => "/create",
            Self::Login => "/login",
        }
    }

    pub const fn describe(self) -> &'static str {
        match self {
            Self::Bare => "W0 no cookie, left alone",
            Self::Untouched => "W1 cookie, left alone",
            Self::Read => "W2 reads a field",
            Self::Write => "W3 increases a counter",
            Self::Create => "W4 creates a session",
            Self::Login => "W5 logs in, new id",
        }
    }

    /// The route that makes the sessions which the workload is measured on.
    const fn prepared_by(self) -> &'static str {
        match self {
            Self::Login => "/visit",
            _ => Self::Create.path(),
        }
    }

    const fn has_cookie(self) -> bool {
        !matches!(self, Self::Bare | Self::Create)
    }

    pub const fn sets_cookie(self) -> bool {
        matches!(self, Self::Create | Self::Login)
    }
}

/// Calls the application, which never waits.
pub fn call(app: &mut Router, request: Request) -> Response {
    let mut future = std::pin::pin!(app.call(request));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(error)) => match error {},
        Poll::Pending => panic!("nothing in this application waits"),
    }
}

pub fn request(path: &str, cookie: Option<&str>) -> Request {
    let mut request = Request::builder().uri(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::empty()).unwrap()
}

/// The `name=value` of a response's `Set-Cookie`.
pub fn cookie(response: &Response) -> Option<String> {
    let line = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(line.split(';').next().unwrap().to_owned())
}

/// Creates sessions, and returns one request of the workload for each.
pub fn prepare(app: &mut Router, sessions: usize, workload: Workload) -> Vec<Request> {
    let cookies: Vec<String> = (0..sessions)
        .map(|_| cookie(&call(app, request(workload.prepared_by(), None))))
        .map(|cookie| cookie.unwrap_or_else(|| LOOKALIKE.to_owned()))
        .collect();
    // Not in the order in which they lie in memory.
    (0..sessions)
        .map(|at| &cookies[at * STRIDE % sessions])
        .map(|cookie| request(workload.path(), workload.has_cookie().then_some(cookie)))
        .collect()
}

/// A prime, and so each session has its turn.
const STRIDE: usize = 617;

/// For the application without sessions, which must not look at it.
const LOOKALIKE: &str = "__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
