//! What all contestants have in common.

use crate::workload::Workload;

/// An application, with its own store of sessions, called in process.
///
/// It has one route for each workload, see [`Workload::path`].
pub trait App {
    /// Answers a request.
    fn visit(&mut self, path: &str, cookie: Option<&str>) -> Answer;

    /// Makes requests ready, which is not measured.
    fn prepare(&mut self, requests: &[(&str, Option<&str>)]);

    /// Answers the requests that were made ready, and makes nothing of the responses.
    fn serve(&mut self);
}

/// What there is to know of a response.
pub struct Answer {
    pub status: u16,
    /// The `name=value` of its `Set-Cookie`.
    pub cookie: Option<String>,
}

impl Answer {
    /// Makes one of a status and the value of a `Set-Cookie`.
    pub fn of(status: u16, set_cookie: Option<&str>) -> Self {
        let cookie = set_cookie.and_then(|line| line.split(';').next()).map(str::to_owned);
        Self { status, cookie }
    }
}

/// Who is measured.
#[derive(Clone, Copy)]
pub struct Contestant {
    pub name: &'static str,
    pub make: fn() -> Box<dyn App>,
}

/// Creates sessions, and makes ready one request of the workload for each.
pub fn prepare(app: &mut dyn App, sessions: usize, workload: Workload) {
    let cookies: Vec<String> = (0..sessions)
        .map(|_| app.visit(workload.prepared_by(), None).cookie)
        .map(|cookie| cookie.unwrap_or_else(|| LOOKALIKE.to_owned()))
        .collect();
    // Not in the order in which they lie in memory.
    let requests: Vec<_> = (0..sessions)
        .map(|at| cookies[at * STRIDE % sessions].as_str())
        .map(|cookie| (workload.path(), workload.has_cookie().then_some(cookie)))
        .collect();
    app.prepare(&requests);
}

/// A prime, and so each session has its turn.
const STRIDE: usize = 617;

/// For the application without sessions, which must not look at it.
const LOOKALIKE: &str = "__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
