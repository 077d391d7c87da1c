//! The stories that every adapter is held to, told over a real connection.
//!
//! An adapter is finished when [`Suite`] says so. Its author writes one small application on the
//! framework, with the routes below, and a function that starts it; the suite is the client, on
//! HTTP/1.1, HTTP/2 and WebSockets, with the ids in cookies, in `Authorization` and in a header of
//! their own. Each [`Story`] says what it shows. A broken one is named, with what was seen:
//!
//! ```text
//! the adapter breaks 2 of the stories (HTTP/1.1, cookie):
//! OwnHeaders: The handler's own `Set-Cookie` and `Vary` stay.
//!   cookies `theme=dark`: 0, not 1
//! TwoLayers: Two layers with different data and different cookies do not meet.
//!   GET /both: Nothing for Cookie("__Host-session"), and no new id
//! ```
//!
//! # The application
//!
//! Handlers are one line each: what a session goes through is [`Stage`]'s business, what is the
//! framework's own (a redirect, an error, a stream, a WebSocket, a cookie of the application) is
//! the application's. [`Setup::sessions`] and [`Setup::themes`] are around all the routes.
//!
//! | route | takes | what the handler does |
//! | --- | --- | --- |
//! | `GET` and `POST /act/{action}` | `Session<Shop>` | returns `stage.act(&session, action).await?` as text, its error by the framework's own conversion of [`Error`] |
//! | `GET /plain` | nothing | returns `plain` |
//! | `GET /twice` | `Session<Shop>`, two times | returns `stage.twice(&one, &other)` |
//! | `GET /both` | `Session<Shop>`, `Session<Theme>` | returns `stage.both(&shop, &theme)` |
//! | `GET /missing` | `Session<Missing>` | whatever: there is no layer for it |
//! | `GET /cookies` | `Session<Shop>` | calls `stage.visit(&session)`; returns its text with a cookie `theme=dark`, set by the framework's means if it has any, and a header `Vary: Accept` |
//! | `POST /fail` | `Session<Shop>` | calls `stage.visit(&session)`; fails by the framework's own means with status 500 |
//! | `GET` and `POST /members` | `Authenticated<Shop>` | returns `stage.visit(&session)` |
//! | `GET` and `POST /fresh` | `AuthenticatedWithin<Shop, 300>` | returns `stage.visit(&session)` |
//! | `POST /redirect` | `Session<Shop>` | calls `stage.login(&session)`; redirects to `/act/read` by 303, or what the framework has |
//! | `POST /panic` | `Session<Shop>` | calls `stage.visit(&session)` and panics |
//! | `POST /slow` | `Session<Shop>` | calls `stage.visit(&session)`, awaits `stage.pause()`, returns `kept` |
//! | `GET /stream` | `Session<Shop>` | calls `stage.visit(&session)`; answers with a body of two chunks, `a`, and, after `stage.pause()`, `b` |
//! | `GET /committed` | `Session<Shop>` | the same, but awaits `session.commit()` before the body |
//! | `GET /ws` | `Session<Shop>` | becomes a WebSocket, if the framework has them; answers each text message with `stage.act(&session, message)`'s text, or with the word `error`; commits by itself: the stage does |
//! | `/nested/..` | | `/nested/act/{action}`, as above, in a nested router or scope which has `sessions` around it once more, if the framework can do that |
//! | any other | | 404 by the framework's own means |
//!
//! What the framework does not have is left out by [`Suite::without`], which wants the reason.
//!
//! The suite asks nothing of request bodies, of TLS and of speed, and it does not say which of a
//! handler's own headers stay when its response is replaced by an error.
//!
//! # Example: axum
//!
//! The application that axum's adapter is tested with, as a whole. It panics where the story wants
//! it, and so its test prints a few panics and passes.
//!
#![cfg_attr(feature = "axum", doc = "```no_run")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
#![doc = include_str!("application.rs")]
//! ```

mod carrier;
mod client;
mod scene;
mod stage;
mod stories;
mod story;
mod suite;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::stage::Stage;
pub use self::story::{Feature, Story};
pub use self::suite::{Broken, Report, Suite};
use crate::data::SessionData;
#[expect(unused_imports, reason = "named in the documentation")]
use crate::error::Error;
use crate::layer::SessionLayer;
use crate::store::MemoryStore;
use crate::subject::Subject;
use crate::testing::{Faulty, Spy};

/// What the sessions of the stories hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Shop {
    /// Who is logged in.
    pub user: Option<String>,
    /// How often the visitor came.
    pub visits: u64,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

/// What the other sessions of the same application hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Theme {
    /// Light letters on a dark ground.
    pub dark: bool,
}

impl SessionData for Theme {}

/// Sessions for which the application has no layer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Missing;

impl SessionData for Missing {}

/// The store of the stories: it is watched, and fails on demand.
pub type TestStore = Spy<Faulty<Arc<MemoryStore>>>;

/// What the application under test is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// Around all the routes.
    pub sessions: SessionLayer<Shop, TestStore>,
    /// Around all the routes, too.
    pub themes: SessionLayer<Theme, TestStore>,
    /// For the handlers: the application's state, or in their closures.
    pub stage: Stage,
}
