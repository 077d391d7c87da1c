//! What is measured: six things that a request does with its session.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

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
    pub const fn prepared_by(self) -> &'static str {
        match self {
            Self::Login => "/visit",
            _ => Self::Create.path(),
        }
    }

    pub const fn has_cookie(self) -> bool {
        !matches!(self, Self::Bare | Self::Create)
    }

    pub const fn sets_cookie(self) -> bool {
        matches!(self, Self::Create | Self::Login)
    }
}
