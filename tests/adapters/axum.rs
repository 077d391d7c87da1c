//! axum, called in process.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use typed_session::cookie::{Attributes, CookiePolicy};
use typed_session::store::{ErrorKind, MemoryStore};
use typed_session::testing::{Faults, Faulty, Spied, Spy, Verb, When};
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

#[derive(Default, Deserialize, Serialize)]
struct Theme {
    dark: bool,
}

impl SessionData for Theme {}

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
        .route("/plain", get(|| async { "plain" }))
        .route("/read", get(|s: Session<Shop>| async move { s.read(|s| s.visits).to_string() }))
        .route("/visit", post(visit))
        .route("/login", post(async |s: Session<Shop>| s.update(|s| s.user = Some("ann".into()))))
        .route("/logout", post(async |s: Session<Shop>| s.end()))
}

async fn visit(session: Session<Shop>) {
    session.update(|shop| shop.visits += 1);
}

impl App {
    async fn call(&self, method: &str, path: &str, cookies: &[&[u8]]) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        for cookie in cookies {
            let value = HeaderValue::from_bytes(cookie).unwrap();
            request.headers_mut().append(header::COOKIE, value);
        }
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str, cookie: &str) -> Response<Body> {
        self.call("GET", path, &[cookie.as_bytes()]).await
    }

    async fn post(&self, path: &str, cookie: &str) -> Response<Body> {
        self.call("POST", path, &[cookie.as_bytes()]).await
    }

    /// A new session with one visit.
    async fn new_session(&self) -> String {
        let created = self.post("/visit", "").await;
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
async fn a_session_is_created_by_the_first_write_and_lives_until_logout() {
    let app = app(routes());
    assert_eq!(cookie(&app.get("/read", "").await), None);
    let created = app.post("/visit", "").await;
    assert_eq!(created.headers()[header::CACHE_CONTROL], "no-store");
    let id = cookie(&created).unwrap();
    assert_eq!(text(app.get("/read", &id).await).await, "1");
    assert_eq!(cookie(&app.post("/visit", &id).await), None);
    assert_eq!(text(app.get("/read", &id).await).await, "2");

    let login = cookie(&app.post("/login", &id).await).unwrap();
    assert_ne!(login, id);
    assert_eq!(text(app.get("/read", &login).await).await, "2");
    let late = app.post("/visit", &id).await;
    assert_eq!((late.status(), cookie(&late)), (StatusCode::CONFLICT, None));
    assert_eq!(text(app.get("/read", &id).await).await, "0");

    let logout = app.post("/logout", &login).await;
    assert_eq!(
        set_cookies(&logout),
        ["__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; \
          Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
    );
    assert_eq!(text(app.get("/read", &login).await).await, "0");
}

#[tokio::test]
async fn a_request_that_does_not_ask_for_its_session_costs_nothing() {
    let app = app(routes());
    let id = app.new_session().await;
    let response = app.get("/plain", &id).await;
    assert_eq!(app.spied.take(), []);
    for name in [header::SET_COOKIE, header::VARY, header::CACHE_CONTROL] {
        assert!(!response.headers().contains_key(&name), "{name}");
    }
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
    assert_eq!(text(app.call("GET", "/maybe", &[]).await).await, "not asked");
    assert_eq!(app.spied.take(), []);
    let id = app.new_session().await;
    assert_eq!(text(app.get("/maybe", &id).await).await, "1");
}

#[tokio::test]
async fn the_session_is_found_among_several_cookies_and_several_fields() {
    let app = app(routes());
    let id = app.new_session().await;
    let fields: [&[u8]; 3] = [b"a=1; caf\xe9=\"x; __Host-session=bad", id.as_bytes(), b"b=2"];
    assert_eq!(text(app.call("GET", "/read", &fields).await).await, "1");
    let mut huge = vec![b'x'; 64 << 10];
    huge.extend_from_slice(b"; ");
    huge.extend_from_slice(id.as_bytes());
    assert_eq!(text(app.call("GET", "/read", &[&huge]).await).await, "1");
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
    let response = app.get("/", "").await;
    assert_eq!(set_cookies(&response).len(), 2);
    assert_eq!(set_cookies(&response)[0], "theme=dark");
    let values = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(values(header::VARY), ["Accept", "Cookie"]);
    assert_eq!(values(header::CACHE_CONTROL), ["no-store"]);
}

#[tokio::test]
async fn what_is_written_before_an_error_response_or_a_redirect_is_kept() {
    let fails = async |session: Session<Shop>| {
        session.update(|shop| shop.visits += 1);
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let moves = async |session: Session<Shop>| {
        session.update(|shop| shop.user = Some("bob".into()));
        axum::response::Redirect::to("/")
    };
    let app = app(routes().route("/fails", post(fails)).route("/moves", post(moves)));
    let failed = app.post("/fails", "").await;
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let id = cookie(&failed).unwrap();
    assert_eq!(text(app.get("/read", &id).await).await, "1");
    let moved = app.post("/moves", &id).await;
    assert_eq!(moved.status(), StatusCode::SEE_OTHER);
    assert_eq!(text(app.get("/read", &cookie(&moved).unwrap()).await).await, "1");
    assert_eq!(app.get("/nowhere", &id).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_outage_is_a_503_that_touches_no_cookie() {
    let app = app(routes());
    let id = app.new_session().await;
    app.faults.outage();
    for (method, path, cookie) in
        [("GET", "/read", &*id), ("POST", "/visit", &*id), ("POST", "/visit", "")]
    {
        let response = app.call(method, path, &[cookie.as_bytes()]).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
        assert_eq!(set_cookies(&response), [] as [&str; 0]);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(
            text(response).await,
            "Sessions are not available at the moment. Please try again."
        );
    }
    assert_eq!(app.get("/plain", &id).await.status(), StatusCode::OK);
    app.faults.clear();
    assert_eq!(text(app.get("/read", &id).await).await, "1");
}

#[tokio::test]
async fn an_outage_between_load_and_commit_is_no_success() {
    let app = app(routes());
    let id = app.new_session().await;
    app.faults.every(Verb::Replace, ErrorKind::Unavailable, When::Before);
    let response = app.post("/visit", &id).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let login = app.post("/login", &id).await;
    assert_eq!((login.status(), cookie(&login)), (StatusCode::SERVICE_UNAVAILABLE, None));
    app.faults.clear();
    assert_eq!(text(app.get("/read", &id).await).await, "1");
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

#[tokio::test]
async fn a_change_lost_to_a_logout_is_a_409() {
    let slow = async |session: Session<Shop>, other: axum::Extension<Arc<Mutex<Option<Ender>>>>| {
        session.update(|shop| shop.visits += 1);
        let ender = other.lock().unwrap().take();
        if let Some(ender) = ender {
            ender.await;
        }
        "kept"
    };
    let other = Arc::new(Mutex::new(None));
    let app = Arc::new(app(routes()
        .route("/slow", post(slow))
        .layer(axum::Extension(Arc::clone(&other)))));
    let id = app.new_session().await;
    let (meanwhile, same) = (Arc::clone(&app), id.clone());
    *other.lock().unwrap() = Some(Box::pin(async move {
        assert_eq!(meanwhile.post("/logout", &same).await.status(), StatusCode::OK);
    }) as Ender);
    let response = app.post("/slow", &id).await;
    assert_eq!((response.status(), cookie(&response)), (StatusCode::CONFLICT, None));
    assert!(text(response).await.contains("was not kept"));
    assert_eq!(text(app.get("/read", &id).await).await, "0");
}

type Ender = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[tokio::test]
async fn a_missing_layer_is_a_500_that_says_what_to_do() {
    let app = routes();
    let request = Request::get("/read").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text(response).await.contains("put `SessionLayer"));
}

#[tokio::test]
async fn a_layer_for_other_data_is_a_missing_layer() {
    let theme = async |session: Session<Theme>| session.read(|theme| theme.dark).to_string();
    let app = app(Router::new().route("/theme", get(theme)));
    assert_eq!(app.get("/theme", "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn two_layers_with_other_data_and_other_cookies_do_not_meet() {
    let both = async |shop: Session<Shop>, theme: Session<Theme>| {
        shop.update(|shop| shop.visits += 1);
        theme.update(|theme| theme.dark = true);
        Json((shop.read(|shop| shop.visits), theme.read(|theme| theme.dark)))
    };
    let policy = CookiePolicy::new("__Host-theme", Attributes::default()).unwrap();
    let themes = SessionLayer::<Theme, _>::new(MemoryStore::new()).cookie(policy);
    let app = app(Router::new().route("/", get(both)).layer(themes));
    let response = app.get("/", "").await;
    let lines = set_cookies(&response);
    assert_eq!(lines.len(), 2);
    let jar = lines.iter().map(|line| line.split(';').next().unwrap()).collect::<Vec<_>>();
    assert_eq!(text(app.get("/", &jar.join("; ")).await).await, "[2,true]");
}

#[tokio::test]
async fn a_layer_applied_twice_is_harmless() {
    let store = Arc::new(MemoryStore::new());
    let layer = SessionLayer::<Shop, _>::new(Arc::clone(&store));
    let inner = Router::new().route("/visit", post(visit)).layer(layer.clone());
    let router = Router::new().nest("/shop", inner).layer(layer);
    let request = Request::post("/shop/visit").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert!(cookie(&response).is_some());
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn a_panic_in_a_handler_stores_nothing() {
    let panics = async |session: Session<Shop>| {
        session.update(|shop| shop.visits += 1);
        panic!("in the handler");
        #[expect(unreachable_code)]
        ()
    };
    let app = Arc::new(app(routes().route("/panics", post(panics))));
    let id = app.new_session().await;
    let (other, same) = (Arc::clone(&app), id.clone());
    let crashed = tokio::spawn(async move { other.post("/panics", &same).await }).await;
    assert!(crashed.unwrap_err().is_panic());
    assert_eq!(app.spied.take(), [Verb::Load]);
    assert_eq!(text(app.get("/read", &id).await).await, "1");
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_half_done() {
    let waits = async |session: Session<Shop>| {
        session.update(|shop| shop.visits += 1);
        std::future::pending::<()>().await;
    };
    let app = app(routes().route("/waits", post(waits)));
    let id = app.new_session().await;
    {
        let mut request = std::pin::pin!(app.post("/waits", &id));
        assert!(futures_util::poll!(&mut request).is_pending());
    }
    assert_eq!(app.spied.take(), [Verb::Load]);
    assert_eq!(text(app.get("/read", &id).await).await, "1");
}

#[tokio::test]
async fn a_handle_kept_after_the_response_reads_and_commits() {
    let kept = Arc::new(Mutex::new(None));
    let keeper = Arc::clone(&kept);
    let keep = move |session: Session<Shop>| async move {
        *keeper.lock().unwrap() = Some(session);
    };
    let app = app(routes().route("/keep", post(keep)));
    let id = app.new_session().await;
    app.post("/keep", &id).await;
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(
        session.update(|shop| {
            shop.visits += 1;
            shop.visits
        }),
        2
    );
    session.commit().await.unwrap();
    assert_eq!(text(app.get("/read", &id).await).await, "2");
    app.post("/logout", &id).await;
    session.update(|shop| shop.visits += 1);
    assert_eq!(session.commit().await.unwrap_err().status(), 409);
}

#[tokio::test]
async fn the_cookie_of_an_early_commit_is_in_the_head_of_a_stream() {
    let streams = async |session: Session<Shop>| {
        session.update(|shop| shop.visits += 1);
        session.commit().await?;
        Ok::<_, Error>(Body::from_stream(futures_util::stream::iter(
            ["a", "b"].map(Ok::<_, std::convert::Infallible>),
        )))
    };
    let app = app(routes().route("/streams", get(streams)));
    let response = app.get("/streams", "").await;
    let id = cookie(&response).unwrap();
    assert_eq!(text(response).await, "ab");
    assert_eq!(text(app.get("/read", &id).await).await, "1");
}

#[tokio::test]
async fn an_error_of_a_transaction_is_a_response() {
    let buy = async |session: Session<Shop>| {
        let visits = session.transact(|shop| {
            shop.visits += 1;
            shop.visits
        });
        visits.await.map(|visits| visits.to_string())
    };
    let app = app(routes().route("/buy", post(buy)));
    let id = app.new_session().await;
    assert_eq!(text(app.post("/buy", &id).await).await, "2");
    app.faults.every(Verb::Replace, ErrorKind::Unavailable, When::Before);
    let response = app.post("/buy", &id).await.into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
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
