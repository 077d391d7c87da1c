//! What is axum's own, called in process; the stories of all adapters are told elsewhere, over
//! connections.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use typed_session::store::MemoryStore;
use typed_session::testing::{Faults, Faulty, Spied, Spy, Verb};
use typed_session::{
    Error, Event, Observer, PendingSession, Session, SessionData, SessionLayer, Subject,
};

#[derive(Default, Deserialize, Serialize)]
struct Shop {
    user: Option<String>,
    visits: u64,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

type Store = Spy<Faulty<MemoryStore>>;

struct App {
    router: Router,
    spied: Spied,
    faults: Faults,
}

/// An application with a layer around the routes.
fn app(routes: Router) -> App {
    app_with(routes, |layer| layer)
}

fn app_with(
    routes: Router,
    configure: impl FnOnce(SessionLayer<Shop, Store>) -> SessionLayer<Shop, Store>,
) -> App {
    let faulty = Faulty::new(MemoryStore::new());
    let faults = faulty.faults();
    let store = Spy::new(faulty);
    let spied = store.handle();
    App { router: routes.layer(configure(SessionLayer::new(store))), spied, faults }
}

fn routes() -> Router {
    Router::new()
        .route("/read", get(|s: Session<Shop>| async move { s.read(|s| s.visits).to_string() }))
        .route("/visit", post(visit))
        .route("/login", post(async |s: Session<Shop>| s.update(|s| s.user = Some("ann".into()))))
        .route("/logout", post(async |s: Session<Shop>| s.end()))
}

async fn visit(session: Session<Shop>) {
    session.update(|shop| shop.visits += 1);
}

impl App {
    async fn call(&self, method: &str, path: &str, cookie: Option<&str>) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn get(&self, path: &str, cookie: &str) -> Response<Body> {
        self.call("GET", path, Some(cookie)).await
    }

    async fn post(&self, path: &str, cookie: &str) -> Response<Body> {
        self.call("POST", path, Some(cookie)).await
    }

    /// A new session with one visit.
    async fn new_session(&self) -> String {
        let created = self.call("POST", "/visit", None).await;
        self.spied.take();
        cookie(&created).unwrap()
    }
}

fn set_cookies(response: &Response<Body>) -> Vec<&str> {
    let lines = response.headers().get_all(header::SET_COOKIE);
    lines.iter().map(|line| line.to_str().unwrap()).collect()
}

/// The one cookie that the response sets, as a request carries it.
#[track_caller]
fn cookie(response: &Response<Body>) -> Option<String> {
    let lines = set_cookies(response);
    assert!(lines.len() < 2, "{} cookies", lines.len());
    Some(lines.first()?.split(';').next()?.to_owned())
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_session_is_loaded_once_a_request_however_many_extractors_want_it() {
    let twice = async |one: Session<Shop>, two: Session<Shop>, three: Option<Session<Shop>>| {
        one.update(|shop| shop.visits += 10);
        two.update(|shop| shop.visits += 10);
        three.unwrap().read(|shop| shop.visits).to_string()
    };
    let app = app(routes().route("/twice", post(twice)));
    let id = app.new_session().await;
    let response = app.post("/twice", &id).await;
    assert_eq!(response.headers()[header::VARY], "Cookie");
    assert_eq!(text(response).await, "21");
    assert_eq!(app.spied.take(), [Verb::Load, Verb::Replace]);
}

#[tokio::test]
async fn a_handler_may_decide_later_whether_it_loads_the_session() {
    let maybe = async |headers: HeaderMap, pending: PendingSession<Shop>| {
        if headers.contains_key(header::COOKIE) {
            return Ok(pending.load().await?.read(|shop| shop.visits).to_string());
        }
        Ok::<_, Error>("not asked".to_owned())
    };
    let app = app(routes().route("/maybe", get(maybe)));
    assert_eq!(text(app.call("GET", "/maybe", None).await).await, "not asked");
    assert_eq!(app.spied.take(), []);
    let id = app.new_session().await;
    assert_eq!(text(app.get("/maybe", &id).await).await, "1");
}

#[tokio::test]
async fn other_headers_of_the_handler_survive() {
    let handler = async |session: Session<Shop>| {
        session.update(|shop| shop.visits += 1);
        let mut headers = HeaderMap::new();
        headers.append(header::SET_COOKIE, HeaderValue::from_static("theme=dark"));
        headers.append(header::VARY, HeaderValue::from_static("Accept"));
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        headers
    };
    let app = app(Router::new().route("/", get(handler)));
    let response = app.call("GET", "/", None).await;
    assert_eq!(set_cookies(&response).len(), 2);
    assert_eq!(set_cookies(&response)[0], "theme=dark");
    let values = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(values(header::VARY), ["Accept", "Cookie"]);
    assert_eq!(values(header::CACHE_CONTROL), ["no-store"]);
}

#[tokio::test]
async fn an_outage_is_not_a_visitor_without_a_session() {
    let optional = async |session: Option<Session<Shop>>| session.is_some().to_string();
    let app = app(routes().route("/optional", get(optional)));
    let id = app.new_session().await;
    assert_eq!(text(app.get("/optional", &id).await).await, "true");
    app.faults.outage();
    assert_eq!(app.get("/optional", &id).await.status(), StatusCode::SERVICE_UNAVAILABLE);

    let bare = Router::new().route("/optional", get(optional));
    let request = Request::get("/optional").body(Body::empty()).unwrap();
    assert_eq!(text(bare.oneshot(request).await.unwrap()).await, "false");
}

/// Notes down every event as text.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

#[tokio::test]
async fn no_event_carries_more_of_an_id_than_its_key() {
    let notes = Notes::default();
    let app = app_with(routes(), |layer| layer.observer(notes.clone()));
    let id = app.new_session().await;
    let login = cookie(&app.post("/login", &id).await).unwrap();
    app.post("/visit", &id).await;
    app.get("/read", "__Host-session=short").await;
    app.post("/logout", &login).await;
    app.get("/read", &login).await;
    app.faults.outage();
    app.get("/read", &login).await;

    let notes = notes.0.lock().unwrap();
    for word in ["Created", "Resumed", "Rotated", "Superseded", "Malformed", "Ended", "Failed"] {
        assert!(notes.iter().any(|note| note.contains(word)), "no {word} in {notes:#?}");
    }
    for cookie in [&id, &login] {
        let (_, secret) = cookie.split_once('=').unwrap();
        for part in secret.as_bytes().windows(8).map(|part| str::from_utf8(part).unwrap()) {
            assert!(!notes.iter().any(|note| note.contains(part)));
        }
    }
}

#[tokio::test]
async fn a_site_that_requires_consent_sets_no_cookie_before_it() {
    let routes = routes().route("/agree", post(async |s: Session<Shop>| s.give_consent()));
    let app = app_with(routes, SessionLayer::require_consent);
    let visit = app.call("POST", "/visit", None).await;
    assert_eq!(visit.status(), StatusCode::OK);
    assert_eq!(cookie(&visit), None);
    assert_eq!(visit.headers()[header::VARY], "Cookie");

    let login = app.call("POST", "/login", None).await;
    assert_eq!(login.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(cookie(&login), None);
    assert_eq!(login.headers()[header::CACHE_CONTROL], "no-store");

    let agreed = app.call("POST", "/agree", None).await;
    assert_eq!(agreed.status(), StatusCode::OK);
    let cookie = cookie(&agreed).unwrap();
    assert_eq!(app.post("/visit", &cookie).await.status(), StatusCode::OK);
    assert_eq!(text(app.get("/read", &cookie).await).await, "1");
}
