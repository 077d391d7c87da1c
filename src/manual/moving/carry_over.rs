//! Users of tower-sessions stay signed in: axum middleware, put around the `SessionLayer`.
//!
//! A request that has an old cookie and none of ours has its old session read, once. What the
//! application needs of it goes into a new session, and the request goes on with that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::OnceCell;
use tower_sessions_core::SessionStore as OldStore;
use tower_sessions_core::session::{Id as OldId, Record as OldRecord};
use typed_session::cookie::{self, CookiePolicy};
use typed_session::store::{self, ErrorKind, Inserted, Revision, Store};
use typed_session::{Clock, Effects, EndReason, Error, Mode, Record, Session, SessionData};
use typed_session::{SessionKey, SessionLayer, Subject, SystemClock, Timestamp, Verdict};

/// So long the requests of one browser that have the old cookie share its new session. They come
/// at once, from several tabs, or again because an answer was lost.
const SHARED: Duration = Duration::from_secs(60);

/// So much longer than the old session is remembered that it was carried over, because a server
/// that still runs the old program may have given it more time.
const LONGER: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Each id costs a call of the old store, so it is a small number.
const OLD_IDS: usize = 5;

/// What the middleware needs to know.
pub(crate) struct CarryOver<T, S, Old> {
    sessions: SessionLayer<T, S>,
    old: Arc<Old>,
    old_cookie: CookiePolicy,
    fill: fn(&OldRecord, &Session<T>),
    clock: Arc<dyn Clock>,
    moves: Arc<Mutex<HashMap<OldId, Move>>>,
}

/// An old session on its way.
struct Move {
    began: Timestamp,
    found: Arc<OnceCell<Found>>,
}

/// What became of an old id.
#[derive(Clone)]
enum Found {
    /// There is no such session, or nothing in it that is needed.
    Nothing,
    /// It was carried over by another server a moment ago.
    UsedUp,
    /// It is a new session now.
    Moved(Effects),
}

impl<T: SessionData, S: Store, Old: OldStore> CarryOver<T, S, Old> {
    /// `old_cookie` has the name and attributes of the old cookie. `fill` puts what is needed of
    /// the old record into the new session; if that is nothing, none is made.
    pub(crate) fn new(
        sessions: SessionLayer<T, S>,
        old: Arc<Old>,
        old_cookie: CookiePolicy,
        fill: fn(&OldRecord, &Session<T>),
    ) -> Self {
        let (clock, moves) = (Arc::new(SystemClock), Arc::default());
        Self { sessions, old, old_cookie, fill, clock, moves }
    }

    /// Sets the clock.
    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The old ids of a request.
    fn old_ids(&self, headers: &HeaderMap) -> Vec<OldId> {
        cookies(headers)
            .flat_map(|field| cookie::values(field, self.old_cookie.name()))
            .filter_map(|value| std::str::from_utf8(value).ok()?.parse().ok())
            .take(OLD_IDS)
            .collect()
    }

    /// Whether this browser has, or had until now, a session of the new kind: then the old one is
    /// of no interest. A logout is a logout.
    async fn is_ours(&self, headers: &HeaderMap) -> Result<bool, Error> {
        let session = self.sessions.open(cookies(headers)).session().await?;
        Ok(!matches!(session.verdict(), Verdict::New | Verdict::Malformed | Verdict::Unknown))
    }

    async fn find(&self, headers: &HeaderMap, ids: Vec<OldId>) -> Result<Found, Error> {
        if self.is_ours(headers).await? {
            // The browser forgets it, so nobody else shall use it.
            for id in &ids {
                self.delete(id).await;
            }
            return Ok(Found::Nothing);
        }
        let mut best = Found::Nothing;
        for id in ids {
            match self.find_once(id).await? {
                Found::Nothing => {}
                Found::UsedUp => best = Found::UsedUp,
                moved @ Found::Moved(_) => return Ok(moved),
            }
        }
        Ok(best)
    }

    /// Of the requests with one id, one looks for it and the others wait.
    async fn find_once(&self, id: OldId) -> Result<Found, Error> {
        let (now, this) = (self.clock.now(), self.clone());
        let cell = {
            let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
            moves.retain(|_, known| now.since(known.began) < SHARED);
            let new = || Move { began: now, found: Arc::default() };
            Arc::clone(&moves.entry(id).or_insert_with(new).found)
        };
        // A task of its own, so that a client that hangs up does not leave it half done.
        let task = tokio::spawn(async move {
            let found = cell.get_or_try_init(|| this.move_session(id)).await.cloned();
            if !matches!(found, Ok(Found::Moved(_))) {
                this.moves.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
            found
        });
        task.await.unwrap_or(Err(Error::Torn))
    }

    async fn move_session(&self, id: OldId) -> Result<Found, Error> {
        let claim = claim_on(id);
        let old = self.old.load(&id).await.map_err(unavailable)?;
        let Some(old) = old.filter(|old| expires_at(old) > self.clock.now()) else {
            return Ok(self.used_up(&claim).await?);
        };

        let exchange = self.sessions.open([]);
        let session = exchange.session().await?;
        (self.fill)(&old, &session);
        let outcome = exchange.finish().await;
        if let Some(error) = outcome.error {
            return Err(error);
        }
        let Some(key) = session.key() else { return Ok(Found::Nothing) };

        // The old store cannot say who deleted a record. Ours can say who inserted one: that
        // decides, also among several servers. Only then may the old session go.
        match self.sessions.store().insert(&claim, &claimed(&old, self.clock.now())).await? {
            Inserted::Created => {}
            Inserted::Exists => {
                // Nobody else has its id.
                self.sessions.end(&key, EndReason::Revoked).await?;
                return Ok(self.used_up(&claim).await?);
            }
        }
        // If it stays, the claim stands: it cannot be used again all the same.
        self.delete(&id).await;
        Ok(Found::Moved(outcome.effects))
    }

    /// What becomes of an old id that is no session any more. For a moment the browser may be about
    /// to get the new cookie from another server, and must not get another one. Not for ever: a
    /// cookie that cannot be removed would lock its user out.
    async fn used_up(&self, claim: &SessionKey) -> store::Result<Found> {
        let claimed = self.sessions.store().load(claim).await?;
        let claimed = claimed.and_then(|record| record.body[..].try_into().ok());
        let claimed = claimed.map(|at| Timestamp::from_millis(i64::from_be_bytes(at)));
        Ok(match claimed {
            Some(at) if self.clock.now().since(at) < SHARED => Found::UsedUp,
            _ => Found::Nothing,
        })
    }

    async fn delete(&self, id: &OldId) {
        if let Err(error) = self.old.delete(id).await {
            eprintln!("an old session was not deleted: {error}");
        }
    }

    /// Whether the new session has been ended, or got another id, since it was moved. Then its first
    /// cookie must not take the place of a later one.
    async fn is_outdated(&self, effects: &Effects) -> bool {
        let session = self.sessions.open(pair(effects).map(str::as_bytes)).session().await;
        let verdict = session.map(|session| session.verdict());
        matches!(verdict, Ok(Verdict::Superseded | Verdict::Ended(_)))
    }
}

/// The middleware: `axum::middleware::from_fn_with_state(carry_over, carry_over::middleware)`.
pub(crate) async fn middleware<T: SessionData, S: Store, Old: OldStore>(
    State(this): State<CarryOver<T, S, Old>>,
    mut request: Request,
    next: Next,
) -> Response {
    let ids = this.old_ids(request.headers());
    if ids.is_empty() {
        return next.run(request).await;
    }
    let found = match this.find(request.headers(), ids).await {
        Ok(found) => found,
        // An outage is not a logout: both cookies stay.
        Err(error) => return (NO_STORE, error).into_response(),
    };
    let mut response = match found {
        Found::Nothing => next.run(request).await,
        Found::UsedUp => Error::Lost(Verdict::Superseded).into_response(),
        Found::Moved(effects) => {
            let cookie = pair(&effects).and_then(|pair| HeaderValue::try_from(pair).ok());
            if let Some(cookie) = cookie {
                request.headers_mut().append(COOKIE, cookie);
            }
            let mut response = next.run(request).await;
            if !this.is_outdated(&effects).await {
                apply(&effects, response.headers_mut());
            }
            response
        }
    };
    if let Ok(removal) = HeaderValue::try_from(this.old_cookie.removal()) {
        response.headers_mut().append(SET_COOKIE, removal);
    }
    let [(name, value)] = NO_STORE;
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// Adds the effects of the move, unless the handler has set a newer cookie.
fn apply(effects: &Effects, headers: &mut HeaderMap) {
    let name = pair(effects).and_then(|pair| pair.split_once('=')).map_or("", |(name, _)| name);
    let is_ours = |value: &HeaderValue| {
        value.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    let has_newer = headers.get_all(SET_COOKIE).into_iter().any(is_ours);
    for header in effects.headers() {
        let (Ok(name), Ok(mut value)) =
            (HeaderName::try_from(header.name), HeaderValue::try_from(header.value))
        else {
            continue;
        };
        let is_cookie = name == SET_COOKIE;
        value.set_sensitive(header.is_secret);
        match header.mode {
            Mode::Append if is_cookie && has_newer => {}
            // `Vary`, where the handler has asked for its session, too.
            Mode::Append if headers.get_all(&name).into_iter().any(|there| there == value) => {}
            Mode::Append => drop(headers.append(name, value)),
            Mode::Replace => drop(headers.insert(name, value)),
        }
    }
}

/// The cookie as a request carries it: `name=value`.
fn pair(effects: &Effects) -> Option<&str> {
    effects.set_cookie()?.split(';').next()
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes)
}

/// Where our store keeps that an old id is used up: under a hash of it.
fn claim_on(id: OldId) -> SessionKey {
    let hash = Subject::from(format!("carried over from {id}"));
    SessionKey::from_bytes(*hash.as_bytes())
}

fn claimed(old: &OldRecord, now: Timestamp) -> Record {
    Record {
        revision: Revision::from_u64(1),
        subject: None,
        expires_at: expires_at(old).plus(LONGER),
        body: now.as_millis().to_be_bytes().to_vec().into(),
    }
}

fn expires_at(old: &OldRecord) -> Timestamp {
    Timestamp::from_millis(old.expiry_date.unix_timestamp().saturating_mul(1000))
}

fn unavailable(error: tower_sessions_core::session_store::Error) -> Error {
    store::Error::new(ErrorKind::Unavailable, error).into()
}

// Not derived, because it would ask for a `T`, an `S` and an `Old` that can be cloned.
impl<T, S, Old> Clone for CarryOver<T, S, Old> {
    fn clone(&self) -> Self {
        Self {
            sessions: self.sessions.clone(),
            old: Arc::clone(&self.old),
            old_cookie: self.old_cookie.clone(),
            fill: self.fill,
            clock: Arc::clone(&self.clock),
            moves: Arc::clone(&self.moves),
        }
    }
}
