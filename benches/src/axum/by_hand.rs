//! The application with sessions written by hand: the library's main promises in
//! the shortest way that is fast, for this one type of data.
//!
//! An id of 32 random bytes whose halves name the session and prove its owner;
//! only hashes stored; a compare-and-swap for every write, so that no update is
//! lost and no ended session comes back; two deadlines; a new id at login, whose
//! predecessor is remembered. Left out: merging, timed rotation, end everywhere,
//! transactions, other stores, migrations, events, several cookies of one name.

use std::collections::HashMap;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::SystemTime;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use tower_layer::Layer;
use tower_service::Service;

use super::{Pause, show};
use crate::app::{END, LIGHT, PAUSED, PAUSED_THEME, SHOW};
use crate::workload::Profile;

const NAME: &str = "__Host-session";
const IDLE: i64 = 60 * 60 * 1000;
const ABSOLUTE: i64 = 24 * 60 * 60 * 1000;
const TOUCH_EVERY: i64 = 60 * 1000;
const REMEMBER_SUPERSEDED: i64 = 2 * 60 * 1000;

type Hash = blake3::Hash;

#[derive(Clone, Copy)]
struct Id([u8; 32]);

impl Id {
    fn generate() -> Self {
        let mut id = Self([0; 32]);
        SysRng.try_fill_bytes(&mut id.0).unwrap();
        id
    }

    fn with_fresh_secret(mut self) -> Self {
        SysRng.try_fill_bytes(&mut self.0[16..]).unwrap();
        self
    }

    fn read(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get(COOKIE)?.as_bytes();
        cookies.split(|byte| *byte == b';').find_map(|pair| {
            let value = pair.trim_ascii().strip_prefix(NAME.as_bytes())?.strip_prefix(b"=")?;
            let mut id = Self([0; 32]);
            let len = URL_SAFE_NO_PAD.decode_slice(value, &mut id.0).ok()?;
            (len == 32).then_some(id)
        })
    }

    fn key(&self) -> Hash {
        blake3::keyed_hash(b"the key of a session, by its id.", &self.0[..16])
    }

    fn verifier(&self) -> Hash {
        blake3::keyed_hash(b"the verifier of a session's id..", &self.0)
    }
}

struct Row {
    revision: u64,
    verifier: Hash,
    superseded: Option<(Hash, i64)>,
    expires_at: i64,
    deadline: i64,
    user: u64,
    data: Box<[u8]>,
}

#[derive(Default)]
struct Sessions(Mutex<HashMap<Hash, Row>>);

/// What a handler holds.
#[derive(Clone)]
pub(crate) struct Session(Arc<Shared>);

struct Shared {
    sessions: Arc<Sessions>,
    state: Mutex<Slot>,
}

/// A request's session, loaded or not yet.
struct Slot {
    id: Option<Id>,
    loaded: Option<Loaded>,
}

struct Loaded {
    data: Profile,
    there: Option<There>,
    superseded: bool,
    dirty: bool,
}

/// The row as it was loaded.
struct There {
    key: Hash,
    revision: u64,
    expires_at: i64,
    deadline: i64,
    user: u64,
}

fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the clock")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

impl Slot {
    fn load(&mut self, sessions: &Sessions) -> &mut Loaded {
        if self.loaded.is_none() {
            self.loaded = Some(self.id.map_or_else(Loaded::new, |id| sessions.load(&id)));
        }
        self.loaded.as_mut().unwrap()
    }
}

impl Loaded {
    fn new() -> Self {
        Self { data: Profile::default(), there: None, superseded: false, dirty: false }
    }
}

impl Session {
    pub(crate) fn read<R>(&self, f: impl FnOnce(&Profile) -> R) -> R {
        f(&self.0.state.lock().unwrap().load(&self.0.sessions).data)
    }

    pub(crate) fn update<R>(&self, f: impl FnOnce(&mut Profile) -> R) -> R {
        let mut request = self.0.state.lock().unwrap();
        let loaded = request.load(&self.0.sessions);
        loaded.dirty = true;
        f(&mut loaded.data)
    }

    fn end(&self) {
        let mut request = self.0.state.lock().unwrap();
        if let Some(there) = &request.load(&self.0.sessions).there {
            self.0.sessions.0.lock().unwrap().remove(&there.key);
        }
        *request = Slot { id: None, loaded: None };
    }
}

impl Sessions {
    fn load(&self, id: &Id) -> Loaded {
        let (key, verifier, now) = (id.key(), id.verifier(), now());
        let mut loaded = Loaded::new();
        let rows = self.0.lock().unwrap();
        let Some(row) = rows.get(&key) else { return loaded };
        if row.verifier != verifier {
            loaded.superseded =
                row.superseded.is_some_and(|(old, until)| old == verifier && now < until);
        } else if now < row.expires_at
            && now < row.deadline
            && let Ok(data) = serde_json::from_slice(&row.data)
        {
            let Row { revision, expires_at, deadline, user, .. } = *row;
            loaded.data = data;
            loaded.there = Some(There { key, revision, expires_at, deadline, user });
        }
        loaded
    }

    /// Stores what was changed and returns the id to hand out, if there is a new one.
    fn commit(&self, id: Option<Id>, loaded: &Loaded) -> Result<Option<Id>, StatusCode> {
        let now = now();
        if !loaded.dirty {
            if let Some(there) = &loaded.there {
                let expires_at = (now + IDLE).min(there.deadline);
                if expires_at - there.expires_at >= TOUCH_EVERY
                    && let Some(row) = self.0.lock().unwrap().get_mut(&there.key)
                {
                    row.expires_at = row.expires_at.max(expires_at);
                }
            }
            return Ok(None);
        }
        if loaded.superseded {
            return Err(StatusCode::CONFLICT);
        }
        let data = serde_json::to_vec(&loaded.data)
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
            .into_boxed_slice();
        let user = loaded.data.user_id;
        let (Some(there), Some(id)) = (&loaded.there, id) else {
            let id = Id::generate();
            let row = Row {
                revision: 0,
                verifier: id.verifier(),
                superseded: None,
                expires_at: now + IDLE,
                deadline: now + ABSOLUTE,
                user,
                data,
            };
            self.0.lock().unwrap().insert(id.key(), row);
            return Ok(Some(id));
        };
        let rotated = (user != there.user).then(|| id.with_fresh_secret());
        let verifier = rotated.map(|id| id.verifier());
        let mut rows = self.0.lock().unwrap();
        let row = rows
            .get_mut(&there.key)
            .filter(|row| row.revision == there.revision)
            .ok_or(StatusCode::CONFLICT)?;
        if let Some(verifier) = verifier {
            let old = std::mem::replace(&mut row.verifier, verifier);
            row.superseded = Some((old, now + REMEMBER_SUPERSEDED));
            row.deadline = now + ABSOLUTE;
        }
        row.revision += 1;
        row.expires_at = (now + IDLE).min(row.deadline);
        row.user = user;
        let old = std::mem::replace(&mut row.data, data);
        drop(rows);
        drop(old);
        Ok(rotated)
    }
}

#[derive(Clone, Default)]
pub(crate) struct ByHand(Arc<Sessions>);

#[derive(Clone)]
pub(crate) struct ByHandService<I> {
    sessions: Arc<Sessions>,
    inner: I,
}

impl<I> Layer<I> for ByHand {
    type Service = ByHandService<I>;

    fn layer(&self, inner: I) -> ByHandService<I> {
        ByHandService { sessions: Arc::clone(&self.0), inner }
    }
}

// Not `middleware::from_fn`, which takes two more allocations.
impl<I, Q, B> Service<Request<Q>> for ByHandService<I>
where
    I: Service<Request<Q>, Response = Response<B>>,
    I::Future: Send + 'static,
    B: Default,
{
    type Response = Response<B>;
    type Error = I::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, I::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        let state = Mutex::new(Slot { id: Id::read(request.headers()), loaded: None });
        let session = Session(Arc::new(Shared { sessions: Arc::clone(&self.sessions), state }));
        request.extensions_mut().insert(session.clone());
        let response = self.inner.call(request);
        Box::pin(async move { Ok(finish(&session, response.await?)) })
    }
}

fn finish<B: Default>(session: &Session, mut response: Response<B>) -> Response<B> {
    let state = session.0.state.lock().unwrap();
    let Some(loaded) = &state.loaded else { return response };
    match session.0.sessions.commit(state.id, loaded) {
        Ok(None) => {}
        Ok(Some(id)) => {
            let mut text = [0; 43];
            URL_SAFE_NO_PAD.encode_slice(id.0, &mut text).unwrap();
            let text = std::str::from_utf8(&text).unwrap();
            let cookie = format!("{NAME}={text}; Path=/; Secure; HttpOnly; SameSite=Lax");
            let mut cookie = HeaderValue::try_from(cookie).unwrap();
            cookie.set_sensitive(true);
            response.headers_mut().append(SET_COOKIE, cookie);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Err(status) => {
            response = Response::default();
            *response.status_mut() = status;
        }
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("Cookie"));
    response
}

pub fn by_hand() -> Router {
    type Extractor = Extension<Session>;
    Router::new()
        .route("/alone", get(async || {}))
        .route(
            "/read",
            get(async |Extension(session): Extractor| {
                black_box(session.read(|profile| profile.counter));
            }),
        )
        .route(
            "/write",
            get(async |Extension(session): Extractor| {
                session.update(|profile| profile.counter += 1);
            }),
        )
        .route(
            "/visit",
            get(async |Extension(session): Extractor| {
                session.update(|profile| *profile = Profile::visitor());
            }),
        )
        .route(
            "/create",
            get(async |Extension(session): Extractor| {
                session.update(|profile| *profile = Profile::user());
            }),
        )
        .route("/login", get(async |Extension(session): Extractor| session.update(Profile::log_in)))
        .route(END, get(async |Extension(session): Extractor| session.end()))
        .route(SHOW, get(async |Extension(session): Extractor| session.read(show)))
        .route(
            PAUSED,
            get(async |Extension(session): Extractor| {
                let counter = session.read(|profile| profile.counter);
                Pause::default().await;
                session.update(|profile| profile.counter = counter + 1);
            }),
        )
        .route(
            PAUSED_THEME,
            get(async |Extension(session): Extractor| {
                black_box(session.read(|profile| profile.theme.clone()));
                Pause::default().await;
                session.update(|profile| profile.theme = LIGHT.into());
            }),
        )
        .layer(ByHand::default())
}
