//! What all contestants have in common.

use crate::workload::{Profile, Workload};

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

    /// Answers two requests with one cookie at once: the first one's handler waits, as that of
    /// [`PAUSED`] does, until the second one is answered. None if it does not wait, or the
    /// application cannot be asked so.
    fn overlap(&mut self, _first: &str, _second: &str, _cookie: &str) -> Option<[Answer; 2]> {
        None
    }
}

/// A route for checks, never measured: reads the counter, waits once, writes it increased.
pub const PAUSED: &str = "/paused";

/// A route for checks, never measured: reads the theme, waits once, writes [`LIGHT`].
pub const PAUSED_THEME: &str = "/paused-theme";

/// A route for checks, never measured: reads the counter, waits once, and increases it by the
/// means that the library has for counters, if it has any.
pub const PAUSED_COUNTER: &str = "/paused-counter";

/// A route for checks, never measured: ends the session.
pub const END: &str = "/end";

/// A route for checks, never measured: answers with [`shown`].
pub const SHOW: &str = "/show";

pub const LIGHT: &str = "light";

/// The status that tells what is in a profile: 200 plus the counter, plus 50 if the theme is
/// [`LIGHT`].
pub fn shown(profile: &Profile) -> u16 {
    200 + profile.counter.min(49) as u16 + if profile.theme == LIGHT { 50 } else { 0 }
}

/// What there is to know of a response.
pub struct Answer {
    pub status: u16,
    /// What a browser would send from then on: `name=value` of its `Set-Cookie`, all of them with
    /// `; ` in between if there are several, those that are taken away left out.
    pub cookie: Option<String>,
}

impl Answer {
    /// Makes one of a status and the values of all `Set-Cookie`.
    pub fn of<'a>(status: u16, set_cookie: impl Iterator<Item = &'a str>) -> Self {
        let pairs = set_cookie.filter_map(|line| line.split(';').next());
        // A cookie without a value is taken away.
        let is_set = |pair: &&str| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty());
        let mut pairs: Vec<&str> = pairs.filter(is_set).collect();
        pairs.sort_unstable();
        let cookie = (!pairs.is_empty()).then(|| pairs.join("; "));
        Self { status, cookie }
    }
}

/// Who is measured.
#[derive(Clone, Copy)]
pub struct Contestant {
    /// Unique within its framework.
    pub name: &'static str,
    pub framework: &'static str,
    pub kind: Kind,
    /// The same application without sessions, called in the same way, which is subtracted.
    /// None for a floor.
    pub floor: Option<&'static Contestant>,
    pub cookies: Cookies,
    pub make: fn() -> Box<dyn App>,
}

impl Contestant {
    /// The name for readers, with its framework unless that is axum.
    pub fn label(&self) -> String {
        let name = if self.kind == Kind::Library { "typed-session" } else { self.name };
        match self.framework {
            "axum" => name.to_owned(),
            framework => format!("{name}, {framework}"),
        }
    }

    /// The name for arguments of programs.
    pub fn id(&self) -> String {
        match self.framework {
            "axum" => self.name.to_owned(),
            framework => format!("{}, {framework}", self.name),
        }
    }

    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.framework == other.framework
    }
}

/// What a contestant is there for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The application without sessions.
    Floor,
    /// A layer that does nothing.
    EmptyLayer,
    /// Our promises, written by hand for this one application.
    ByHand,
    /// This library.
    Library,
    /// Another library of sessions.
    Peer,
}

/// Which responses carry the session's cookie, by a library's documentation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cookies {
    /// None.
    Never,
    /// When the id is new.
    WhenNew,
    /// Whenever the session was written.
    WhenWritten,
    /// Every response to a request that has a session.
    WhenThere,
    /// Every response.
    Always,
}

impl Cookies {
    pub fn set_by(self, workload: Workload) -> bool {
        match self {
            Self::Never => false,
            Self::WhenNew => workload.sets_cookie(),
            Self::WhenWritten => workload.sets_cookie() || workload == Workload::Write,
            Self::WhenThere => workload != Workload::Bare,
            Self::Always => true,
        }
    }
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
