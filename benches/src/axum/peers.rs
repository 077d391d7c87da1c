//! The published libraries of sessions on axum.

use super::{ON_AXUM, axum_session, served, tower_sessions, typed_session_0_9};
use crate::app::{Contestant, Cookies, Kind};

pub const PEERS: [Contestant; 4] =
    [TOWER_SESSIONS, AXUM_SESSION, AXUM_SESSION_MANUAL, TYPED_SESSION_0_9];

/// Its every save sets the cookie.
const TOWER_SESSIONS: Contestant = Contestant {
    name: "tower-sessions",
    cookies: Cookies::WhenWritten,
    make: || served(tower_sessions::tower_sessions()),
    ..PEER
};

const AXUM_SESSION: Contestant = Contestant {
    name: "axum_session",
    cookies: Cookies::Always,
    make: axum_session::axum_session::<axum_session::Persistent>,
    ..PEER
};

const AXUM_SESSION_MANUAL: Contestant = Contestant {
    name: "axum_session, manual",
    cookies: Cookies::WhenThere,
    make: axum_session::axum_session::<axum_session::Manual>,
    ..PEER
};

/// Its every write makes a new id.
const TYPED_SESSION_0_9: Contestant = Contestant {
    name: "typed-session 0.9",
    cookies: Cookies::WhenWritten,
    make: || served(typed_session_0_9::typed_session_0_9()),
    ..PEER
};

const PEER: Contestant = Contestant { kind: Kind::Peer, ..ON_AXUM };
