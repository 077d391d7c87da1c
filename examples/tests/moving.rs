//! Users who were signed in before the move from tower-sessions: what becomes of them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use axum::http::{Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_sessions_core::session::{Id as OldId, Record as OldRecord};
use tower_sessions_core::session_store::{Error as OldError, Result as OldResult};
use tower_sessions_core::{Session as OldSession, SessionStore as OldStore};
use typed_session::cookie::CookiePolicy;
use typed_session::store::MemoryStore;
use typed_session::testing::browser::Browser;
use typed_session::testing::{Faults, Faulty, ManualClock, Spied, Spy};
use typed_session::{Clock, EndReason, SessionLayer, Subject, SystemClock};

use crate::app::{OldMemoryStore, Shop};
use crate::carry_over::CarryOver;

#[path = "../moving/app.rs"]
mod app;
#[path = "../../src/manual/moving/carry_over.rs"]
mod carry_over;

const URL: &str = "https://shop.example/";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The old store, which counts its loads, and fails or makes wait when it is told to.
#[derive(Debug)]
struct Old {
    records: OldMemoryStore,
    loads: AtomicUsize,
    is_down: AtomicBool,
    keeps_all: AtomicBool,
    gate: Semaphore,
}

#[async_trait::async_trait]
impl OldStore for Old {
    async fn create(&self, record: &mut OldRecord) -> OldResult<()> {
        self.records.create(record).await
    }

    async fn save(&self, record: &OldRecord) -> OldResult<()> {
        self.records.save(record).await
    }

    async fn load(&self, id: &OldId) -> OldResult<Option<OldRecord>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(OldError::Backend("out of reach".into()));
        }
        let record = self.records.load(id).await;
        drop(self.gate.acquire().await);
        record
    }

    async fn delete(&self, id: &OldId) -> OldResult<()> {
        if self.keeps_all.load(Ordering::SeqCst) {
            return Err(OldError::Backend("out of reach".into()));
        }
        self.records.delete(id).await
    }
}

type Store = Arc<Spy<Faulty<MemoryStore>>>;

/// One server, or several: the stores and the time are shared.
struct World {
    old: Arc<Old>,
    sessions: SessionLayer<Shop, Store>,
    spied: Spied,
    faults: Faults,
    clock: ManualClock,
    server: Router,
}

impl World {
    fn new() -> Self {
        let old = Arc::new(Old {
            records: OldMemoryStore::default(),
            loads: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
            keeps_all: AtomicBool::new(false),
            gate: Semaphore::new(1000),
        });
        let store = Faulty::new(MemoryStore::new());
        let faults = store.faults();
        let store = Spy::new(store);
        let spied = store.handle();
        // The old sessions are made by the old library, which asks the system for the time.
        let clock = ManualClock::at(SystemClock.now());
        let sessions = SessionLayer::new(Arc::new(store)).clock(clock.clone());
        let server = server(&sessions, &old, &clock);
        Self { old, sessions, spied, faults, clock, server }
    }

    /// One more server, with the same stores.
    fn another_server(&self) -> Router {
        server(&self.sessions, &self.old, &self.clock)
    }

    /// A browser with an old cookie, signed in as user 42.
    async fn browser(&self) -> Browser {
        let session = OldSession::new(None, Arc::clone(&self.old), None);
        session.insert("user_id", 42).await.unwrap();
        session.insert("basket", ["tea"]).await.unwrap();
        session.save().await.unwrap();
        let browser = Browser::new(self.clock.clone());
        let cookie = format!(
            "id={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=1209600",
            session.id().unwrap()
        );
        assert_eq!(browser.receive(URL, [cookie]), [Ok(())]);
        browser
    }

    fn old_sessions(&self) -> usize {
        self.old.records.0.lock().unwrap().len()
    }

    /// How many sessions user 42 has; and they are ended.
    async fn sessions_of_42(&self) -> usize {
        self.sessions.end_all(Subject::from(42u64), EndReason::Revoked).await.unwrap()
    }
}

fn server(sessions: &SessionLayer<Shop, Store>, old: &Arc<Old>, clock: &ManualClock) -> Router {
    let carry_over = CarryOver::new(sessions.clone(), Arc::clone(old), old_cookie(), app::fill);
    app::with(sessions.clone(), carry_over.clock(clock.clone()))
}

fn old_cookie() -> CookiePolicy {
    CookiePolicy::new("id", app::old_attributes()).unwrap()
}

fn request(path: &str, cookies: Option<&str>) -> Request<Body> {
    let method = if path == "/" || path == "/about" { "GET" } else { "POST" };
    let mut request = Request::builder().uri(path).method(method);
    if let Some(cookies) = cookies {
        request = request.header(COOKIE, cookies);
    }
    request.body(Body::from("milk")).unwrap()
}

fn set_cookies(response: &Response<Body>) -> Vec<String> {
    let values = response.headers().get_all(SET_COOKIE).into_iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1000).await.unwrap().to_vec()).unwrap()
}

/// Sends what the browser sends, and lets it take what comes back.
async fn visit(browser: &Browser, server: &Router, path: &str) -> (StatusCode, String) {
    let cookies = browser.cookie_header(URL);
    let response = server.clone().oneshot(request(path, cookies.as_deref())).await.unwrap();
    for taken in browser.receive(URL, set_cookies(&response)) {
        taken.unwrap();
    }
    (response.status(), text(response).await)
}

/// Lets the others go on until it is so.
async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to that");
}

const SIGNED_IN: &str = "user Some(42), basket [\"tea\"]\n";
const VISITOR: &str = "user None, basket []\n";

#[test]
fn the_guide_shows_what_is_compiled_here() {
    const GUIDE: &str = include_str!("../../src/manual/moving/users_stay_signed_in.md");
    const PROGRAM: [&str; 2] =
        [include_str!("../moving/app.rs"), include_str!("../moving/main.rs")];
    let excerpt = GUIDE.split("```").nth(1).unwrap().strip_prefix("text\n").unwrap();
    // Names are without their modules' there.
    let program = PROGRAM.concat().replace("pub(crate) ", "").replace("app::", "");
    for line in excerpt.lines().map(str::trim).filter(|line| !line.is_empty()) {
        assert!(program.contains(line), "{line}");
    }
}

#[tokio::test]
async fn a_user_stays_signed_in() {
    let world = World::new();
    let browser = world.browser().await;
    assert_eq!(visit(&browser, &world.server, "/").await, (StatusCode::OK, SIGNED_IN.into()));
    assert!(browser.get("id").is_none(), "the old cookie is gone");
    assert!(browser.get("__Host-session").is_some());
    assert_eq!(world.old_sessions(), 0);

    assert_eq!(visit(&browser, &world.server, "/add").await.0, StatusCode::OK);
    let (_, page) = visit(&browser, &world.server, "/").await;
    assert_eq!(page, "user Some(42), basket [\"tea\", \"milk\"]\n");
    assert_eq!(world.old.loads.load(Ordering::SeqCst), 1, "the old store is asked once");
    assert_eq!(world.sessions_of_42().await, 1);
}

#[tokio::test]
async fn the_first_request_may_write() {
    let world = World::new();
    let browser = world.browser().await;
    assert_eq!(visit(&browser, &world.server, "/add").await.0, StatusCode::OK);
    let (_, page) = visit(&browser, &world.server, "/").await;
    assert_eq!(page, "user Some(42), basket [\"tea\", \"milk\"]\n");
}

#[tokio::test]
async fn the_first_request_may_be_a_logout_or_a_login() {
    let world = World::new();
    let browser = world.browser().await;
    assert_eq!(visit(&browser, &world.server, "/logout").await.0, StatusCode::OK);
    assert!(browser.get("__Host-session").is_none());
    assert_eq!(visit(&browser, &world.server, "/").await.1, VISITOR);
    assert_eq!(world.sessions_of_42().await, 0);

    let browser = world.browser().await;
    visit(&browser, &world.server, "/login").await;
    assert_eq!(visit(&browser, &world.server, "/").await.1, "user Some(7), basket []\n");
}

#[tokio::test]
async fn an_old_cookie_is_good_once() {
    let world = World::new();
    let browser = world.browser().await;
    let thief = browser.clone();
    visit(&browser, &world.server, "/").await;
    let hasty = thief.clone();
    let another = world.another_server();
    assert_eq!(visit(&hasty, &another, "/").await.0, StatusCode::CONFLICT);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(visit(&thief, &world.server, "/").await, (StatusCode::OK, VISITOR.into()));
    for thief in [hasty, thief] {
        assert!(thief.cookies().is_empty(), "the old cookie is removed, and there is no other");
    }
    assert_eq!(visit(&browser, &world.server, "/").await.1, SIGNED_IN);
}

#[tokio::test]
async fn it_is_good_once_also_if_the_old_store_does_not_let_go() {
    let world = World::new();
    world.old.keeps_all.store(true, Ordering::SeqCst);
    let browser = world.browser().await;
    let thief = browser.clone();
    assert_eq!(visit(&browser, &world.server, "/").await.1, SIGNED_IN);
    assert_eq!(visit(&browser, &world.server, "/logout").await.0, StatusCode::OK);
    assert_eq!(world.old_sessions(), 1);
    // Nor after a restart, and not when the new session is forgotten.
    for (later, status) in [(Duration::ZERO, StatusCode::CONFLICT), (DAY, StatusCode::OK)] {
        world.clock.advance(later);
        world.sessions.sweep().await.unwrap();
        let late = thief.clone();
        let (answer, page) = visit(&late, &world.another_server(), "/").await;
        assert_eq!((answer, page.contains("42")), (status, false));
    }
    assert_eq!(world.sessions_of_42().await, 0);
}

#[tokio::test]
async fn a_logout_is_not_undone_by_the_old_cookie() {
    let world = World::new();
    let browser = world.browser().await;
    let late = browser.clone();
    visit(&browser, &world.server, "/").await;
    visit(&browser, &world.server, "/logout").await;
    // Within the time in which parallel requests share the new session, and after it.
    assert_eq!(visit(&late.clone(), &world.server, "/").await.1, VISITOR);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(visit(&late, &world.server, "/").await.1, VISITOR);
    assert_eq!(world.sessions_of_42().await, 0);
}

#[tokio::test]
async fn parallel_requests_to_one_server_get_one_session() {
    let world = World::new();
    let browser = world.browser().await;
    let cookies = browser.cookie_header(URL).unwrap();
    world.old.gate.forget_permits(1000);
    let at_once: Vec<_> = (0..8)
        .map(|_| tokio::spawn(world.server.clone().oneshot(request("/add", Some(&cookies)))))
        .collect();
    until(|| world.old.loads.load(Ordering::SeqCst) == 1).await;
    world.old.gate.add_permits(1000);
    let mut ids = Vec::new();
    for response in at_once {
        let response = response.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        ids.push(set_cookies(&response)[0].clone());
        browser.receive(URL, set_cookies(&response));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "all are answered with the same cookie");
    let (_, page) = visit(&browser, &world.server, "/").await;
    assert_eq!(page.matches("milk").count(), 8, "no change is lost: {page}");
    assert_eq!(world.old.loads.load(Ordering::SeqCst), 1);
    assert_eq!(world.sessions_of_42().await, 1);
}

#[tokio::test]
async fn of_parallel_requests_to_two_servers_one_wins_and_the_other_sets_no_cookie() {
    let world = World::new();
    let browser = world.browser().await;
    let cookies = browser.cookie_header(URL).unwrap();
    world.old.gate.forget_permits(1000);
    let at_once = [world.server.clone(), world.another_server()]
        .map(|server| tokio::spawn(server.oneshot(request("/add", Some(&cookies)))));
    until(|| world.old.loads.load(Ordering::SeqCst) == 2).await;
    world.old.gate.add_permits(1000);
    let mut won = 0;
    for response in at_once {
        let response = response.await.unwrap().unwrap();
        let gives = set_cookies(&response).iter().any(|it| it.starts_with("__Host-session="));
        match response.status() {
            StatusCode::OK => won += 1,
            status => assert_eq!(status, StatusCode::CONFLICT),
        }
        assert_eq!(gives, response.status() == StatusCode::OK);
        browser.receive(URL, set_cookies(&response));
    }
    assert_eq!(won, 1);
    let (_, page) = visit(&browser, &world.server, "/").await;
    assert_eq!(page, "user Some(42), basket [\"tea\", \"milk\"]\n");
    assert_eq!(world.sessions_of_42().await, 1, "the loser's session is ended");
}

#[tokio::test]
async fn an_outage_of_either_store_is_no_logout() {
    let world = World::new();
    let browser = world.browser().await;
    let before = browser.cookie_header(URL);

    world.old.is_down.store(true, Ordering::SeqCst);
    assert_eq!(visit(&browser, &world.server, "/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.cookie_header(URL), before);
    world.old.is_down.store(false, Ordering::SeqCst);

    world.faults.outage();
    assert_eq!(visit(&browser, &world.server, "/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.cookie_header(URL), before);
    world.faults.clear();

    assert_eq!(visit(&browser, &world.server, "/").await.1, SIGNED_IN);
}

#[tokio::test]
async fn an_old_session_that_has_expired_is_none() {
    let world = World::new();
    let browser = world.browser().await;
    // The browser's clock stands still: it sends its cookie, and this store hides nothing.
    let cookies = browser.cookie_header(URL).unwrap();
    world.clock.advance(14 * DAY);
    let request = request("/", Some(&cookies));
    let response = world.server.clone().oneshot(request).await.unwrap();
    assert_eq!(set_cookies(&response), [old_cookie().removal()]);
    assert_eq!(text(response).await, VISITOR);
    assert_eq!(world.sessions_of_42().await, 0);
}

#[tokio::test]
async fn a_session_of_ours_goes_first() {
    let world = World::new();
    let (browser, old) = (Browser::new(world.clock.clone()), world.browser().await);
    visit(&browser, &world.server, "/login").await;
    let ours = browser.cookie_header(URL).unwrap();
    let both = format!("{}; {ours}", old.cookie_header(URL).unwrap());
    let response = world.server.clone().oneshot(request("/", Some(&both))).await.unwrap();
    assert_eq!(set_cookies(&response), [old_cookie().removal()]);
    assert_eq!(text(response).await, "user Some(7), basket []\n");
    assert_eq!(world.old.loads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_has_no_old_cookie_costs_nothing() {
    let world = World::new();
    let browser = Browser::new(world.clock.clone());
    visit(&browser, &world.server, "/login").await;
    world.spied.take();
    visit(&browser, &world.server, "/about").await;
    assert_eq!(world.spied.take(), []);
    // A cookie of that name that is none of the old library's is somebody else's.
    let response = world.server.clone().oneshot(request("/", Some("id=7"))).await.unwrap();
    assert_eq!(set_cookies(&response), Vec::<String>::new());
    assert_eq!(world.old.loads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_can_come_back() {
    let world = World::new();
    let browser = world.browser().await;
    let cookies = browser.cookie_header(URL).unwrap();
    world.old.gate.forget_permits(1000);
    let first = tokio::spawn(world.server.clone().oneshot(request("/", Some(&cookies))));
    until(|| world.old.loads.load(Ordering::SeqCst) == 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.old.gate.add_permits(1000);
    until(|| world.old_sessions() == 0).await;
    assert_eq!(visit(&browser, &world.server, "/").await.1, SIGNED_IN);
    assert_eq!(world.sessions_of_42().await, 1);
}

#[tokio::test]
async fn a_planted_old_cookie_does_not_hide_the_good_one() {
    let world = World::new();
    let browser = world.browser().await;
    let cookies = format!("id={}; {}", OldId(7), browser.cookie_header(URL).unwrap());
    let response = world.server.clone().oneshot(request("/", Some(&cookies))).await.unwrap();
    let headers = response.headers();
    assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), ["Cookie"]);
    assert_eq!(headers.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(), ["no-store"]);
    assert_eq!(text(response).await, SIGNED_IN);
}

#[tokio::test]
async fn an_old_cookie_that_cannot_be_removed_locks_nobody_out() {
    let world = World::new();
    let browser = world.browser().await;
    // As if it had been set with another path: no removal reaches it.
    let stuck = browser.cookie_header(URL).unwrap();
    visit(&browser, &world.server, "/").await;
    visit(&browser, &world.server, "/logout").await;
    for server in [&world.server, &world.another_server()] {
        world.clock.advance(Duration::from_secs(60));
        let login = request("/login", Some(&stuck));
        let response = server.clone().oneshot(login).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let ours = set_cookies(&response)[0].split(';').next().unwrap().to_owned();
        let cookies = format!("{stuck}; {ours}");
        let response = server.clone().oneshot(request("/", Some(&cookies))).await.unwrap();
        assert_eq!(text(response).await, "user Some(7), basket []\n");
    }
}

#[tokio::test]
async fn an_old_session_beside_one_of_ours_is_deleted() {
    let world = World::new();
    let (browser, old) = (Browser::new(world.clock.clone()), world.browser().await);
    visit(&browser, &world.server, "/login").await;
    let ours = browser.cookie_header(URL).unwrap();
    let both = format!("{}; {ours}", old.cookie_header(URL).unwrap());
    world.server.clone().oneshot(request("/logout", Some(&both))).await.unwrap();
    assert_eq!(world.old_sessions(), 0);
    // Who had a copy of the old cookie is not signed in by it.
    assert_eq!(visit(&old, &world.server, "/").await.1, VISITOR);
}

#[tokio::test]
async fn a_late_request_with_the_old_cookie_does_not_undo_a_login() {
    let world = World::new();
    let browser = world.browser().await;
    let late = browser.cookie_header(URL).unwrap();
    visit(&browser, &world.server, "/").await;
    visit(&browser, &world.server, "/login").await;
    let response = world.server.clone().oneshot(request("/", Some(&late))).await.unwrap();
    assert_eq!(set_cookies(&response), [old_cookie().removal()]);
    browser.receive(URL, set_cookies(&response));
    assert_eq!(visit(&browser, &world.server, "/").await.1, "user Some(7), basket []\n");
}
