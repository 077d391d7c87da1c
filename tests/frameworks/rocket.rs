//! rocket.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;

use rocket::config::{Config, LogLevel, Shutdown};
use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Header, Method, Status};
use rocket::local::asynchronous::Client;
use rocket::request::{FromRequest, Outcome};
use rocket::response::stream::TextStream;
use rocket::response::{Redirect, Responder};
use rocket::shield::Shield;
use rocket::{Build, Request, Rocket, State, catch, catchers, get, post, routes};
use rocket_ws::{Channel, Message, WebSocket};
use serde::{Deserialize, Serialize};
use typed_session::store::{ErrorKind, MemoryStore};
use typed_session::testing::adapter::{Feature, Missing, Setup, Shop, Stage, Suite, Theme};
use typed_session::testing::{Faults, Spied, Verb, When};
use typed_session::{
    Authenticated, AuthenticatedWithin, Error, PendingSession, Rejection, Session, SessionData,
    SessionLayer,
};

use crate::loopback::{self, Answer, Watched};

// ---- The stories.

#[test]
fn rocket_comes_true() {
    Suite::new()
        .without(Feature::Bytes, "rocket drops such fields before any fairing sees them")
        .run(start);
}

/// Starts the application of the stories.
fn start(setup: Setup) -> SocketAddr {
    let Setup { sessions, themes, stage, .. } = setup;
    let act = routes![read, act];
    let others = routes![
        plain, twice, both, missing, cookies, fail, members, join, fresh, confirm, redirect, panic,
        slow, stream, committed, ws
    ];
    // Fairings are around all routes, so that a nested scope can only attach the layer again.
    let app = rocket().attach(sessions.clone()).attach(themes).attach(sessions).manage(stage);
    serve(app.mount("/", others).mount("/", act.clone()).mount("/nested", act))
}

#[get("/act/<action>")]
async fn read(s: Session<Shop>, action: &str, stage: &State<Stage>) -> Result<String, Error> {
    stage.act(&s, action).await
}

#[post("/act/<action>")]
async fn act(s: Session<Shop>, action: &str, stage: &State<Stage>) -> Result<String, Error> {
    stage.act(&s, action).await
}

#[get("/plain")]
fn plain() -> &'static str {
    "plain"
}

#[get("/twice")]
fn twice(one: Session<Shop>, other: Session<Shop>, stage: &State<Stage>) -> String {
    stage.twice(&one, &other)
}

#[get("/both")]
fn both(shop: Session<Shop>, theme: Session<Theme>, stage: &State<Stage>) -> String {
    stage.both(&shop, &theme)
}

/// Hides the session from rocket, which does not launch such an application.
struct Hidden;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Hidden {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        request.guard::<Session<Missing>>().await.map(|_| Self)
    }
}

#[get("/missing")]
fn missing(_hidden: Hidden) {}

#[derive(Responder)]
struct Varied(String, Header<'static>);

#[get("/cookies")]
fn cookies(s: Session<Shop>, jar: &CookieJar<'_>, stage: &State<Stage>) -> Varied {
    jar.add(("theme", "dark"));
    Varied(stage.visit(&s), Header::new("Vary", "Accept"))
}

#[post("/fail")]
fn fail(s: Session<Shop>, stage: &State<Stage>) -> Status {
    stage.visit(&s);
    Status::InternalServerError
}

#[get("/members")]
fn members(s: Authenticated<Shop>, stage: &State<Stage>) -> String {
    stage.visit(&s)
}

#[post("/members")]
fn join(s: Authenticated<Shop>, stage: &State<Stage>) -> String {
    stage.visit(&s)
}

#[get("/fresh")]
fn fresh(s: AuthenticatedWithin<Shop, 300>, stage: &State<Stage>) -> String {
    stage.visit(&s)
}

#[post("/fresh")]
fn confirm(s: AuthenticatedWithin<Shop, 300>, stage: &State<Stage>) -> String {
    stage.visit(&s)
}

#[post("/redirect")]
fn redirect(s: Session<Shop>, stage: &State<Stage>) -> Redirect {
    stage.login(&s);
    Redirect::to("/act/read")
}

#[post("/panic")]
fn panic(s: Session<Shop>, stage: &State<Stage>) {
    stage.visit(&s);
    panic!("as asked");
}

#[post("/slow")]
async fn slow(s: Session<Shop>, stage: &State<Stage>) -> &'static str {
    stage.visit(&s);
    stage.pause().await;
    "kept"
}

#[get("/stream")]
fn stream(s: Session<Shop>, stage: &State<Stage>) -> TextStream![&'static str] {
    stage.visit(&s);
    chunks(stage.inner().clone())
}

#[get("/committed")]
async fn committed(
    s: Session<Shop>,
    stage: &State<Stage>,
) -> Result<TextStream![&'static str], Error> {
    stage.visit(&s);
    s.commit().await?;
    Ok(chunks(stage.inner().clone()))
}

fn chunks(stage: Stage) -> TextStream![&'static str] {
    TextStream! {
        yield "a";
        stage.pause().await;
        yield "b";
    }
}

#[get("/ws")]
fn ws(s: Session<Shop>, ws: WebSocket, stage: &State<Stage>) -> Channel<'static> {
    use futures_util::{SinkExt, StreamExt};

    let stage = stage.inner().clone();
    ws.channel(move |mut socket| {
        Box::pin(async move {
            while let Some(message) = socket.next().await {
                let Message::Text(action) = message? else { continue };
                let answer = stage.act(&s, action.as_str()).await;
                let answer = answer.unwrap_or_else(|_| "error".to_owned());
                socket.send(Message::Text(answer)).await?;
            }
            Ok(())
        })
    })
}

/// A rocket that is silent and leaves signals alone.
fn rocket() -> Rocket<Build> {
    rocket::custom(Config {
        port: 0,
        address: Ipv4Addr::LOCALHOST.into(),
        log_level: LogLevel::Off,
        shutdown: Shutdown { ctrlc: false, signals: [].into(), ..Shutdown::default() },
        ..Config::debug_default()
    })
}

/// Serves on a thread of its own, for as long as the process lives.
fn serve(rocket: Rocket<Build>) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    let tell = AdHoc::on_liftoff("the port", move |rocket| {
        Box::pin(async move {
            let _ = sender.send(rocket.config().port);
        })
    });
    thread::spawn(move || drop(rocket::execute(rocket.attach(tell).launch())));
    (Ipv4Addr::LOCALHOST, receiver.recv().unwrap()).into()
}

// ---- What is rocket's own.

struct App {
    address: SocketAddr,
    spied: Spied,
    faults: Faults,
}

/// An application with sessions; `build` adds the routes.
fn app(build: impl FnOnce(Rocket<Build>) -> Rocket<Build>) -> App {
    let Watched { sessions, spied, faults } = Watched::new();
    let address = serve(build(rocket().attach(sessions).manage(Stage::default())));
    App { address, spied, faults }
}

impl App {
    fn get(&self, path: &str, cookie: &str) -> Answer {
        loopback::send(self.address, "GET", path, cookie)
    }

    fn post(&self, path: &str, cookie: &str) -> Answer {
        loopback::send(self.address, "POST", path, cookie)
    }

    /// Visits, and returns the cookie for the next request.
    fn visitor(&self) -> String {
        let answer = self.post("/act/visit", "");
        self.spied.take();
        answer.cookie().to_owned()
    }
}

/// Checks that the answer is the library's own.
#[track_caller]
fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.values("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(answer.body, "Sessions are not available at the moment. Please try again.");
    assert_eq!(answer.values("content-length"), [answer.body.len().to_string()]);
    assert_eq!(answer.values("cache-control"), ["no-store"]);
    assert!(answer.values("set-cookie").is_empty(), "{answer:?}");
}

#[catch(503)]
fn unavailable() -> &'static str {
    "the application's own page"
}

#[catch(default)]
fn other(status: Status, _: &Request<'_>) -> String {
    format!("the application's page for {}", status.code)
}

#[post("/transact")]
async fn transact(session: Session<Shop>) -> Result<(), Error> {
    session.transact(|shop| shop.visits += 1).await
}

#[test]
fn a_guard_that_fails_is_answered_by_the_sentence() {
    let app = app(|rocket| rocket.mount("/", routes![read, act]));
    let cookie = app.visitor();
    app.faults.outage();
    let answer = app.get("/act/read", &cookie);
    is_unavailable(&answer);
    // rocket would prefer JSON now.
    let fields = [format!("cookie: {cookie}"), "accept: application/json".to_owned()];
    let fields = fields.each_ref().map(|field| field.as_bytes());
    is_unavailable(&loopback::send_fields(app.address, "GET", "/act/read", &fields));
    app.faults.clear();
    assert_eq!(app.get("/act/read", &cookie).body, "1");
}

#[test]
fn an_error_of_a_handler_is_answered_by_the_sentence() {
    let app = app(|rocket| rocket.mount("/", routes![act, transact]));
    let cookie = app.visitor();
    app.faults.every(Verb::Replace, ErrorKind::Unavailable, When::Before);
    is_unavailable(&app.post("/transact", &cookie));
}

#[test]
fn a_catcher_of_the_application_wins() {
    let app = app(|rocket| {
        rocket
            .mount("/", routes![act, transact])
            .mount("/other", routes![read])
            .register("/other", catchers![other])
            .register("/act", catchers![unavailable])
            .register("/transact", catchers![unavailable])
    });
    let cookie = app.visitor();
    app.faults.outage();
    for path in ["/transact", "/act/visit"] {
        let answer = app.post(path, &cookie);
        assert_eq!((answer.status, &*answer.body), (503, "the application's own page"), "{path}");
        assert_eq!(answer.values("cache-control"), ["no-store"], "{path}");
    }
    let answer = app.get("/other/act/read", &cookie);
    assert_eq!((answer.status, &*answer.body), (503, "the application's page for 503"));
}

#[test]
fn a_catcher_of_another_path_or_status_does_not_count() {
    let app = app(|rocket| {
        let rocket = rocket.mount("/", routes![read, act]);
        rocket.register("/elsewhere", catchers![other]).register("/", catchers![not_found])
    });
    let cookie = app.visitor();
    app.faults.outage();
    is_unavailable(&app.get("/act/read", &cookie));
}

#[get("/members")]
fn refused(session: Result<Authenticated<Shop>, Rejection>) -> Result<String, (Status, String)> {
    match session {
        Ok(session) => Ok(session.read(|shop| shop.visits.to_string())),
        Err(rejection) => Err((Status::Forbidden, format!("in place of a {}", rejection.status()))),
    }
}

#[catch(401)]
fn unknown() -> &'static str {
    "who are you?"
}

#[catch(default)]
fn elsewhere() -> (Status, &'static str) {
    (Status::NotFound, "nothing here")
}

#[test]
fn a_guard_that_refuses_goes_to_the_catchers_and_keeps_its_headers() {
    let app = |catchers| {
        let Watched { sessions, .. } = Watched::new();
        let rocket = rocket().attach(sessions.login_page("/login")).manage(Stage::default());
        let rocket = rocket.mount("/", routes![members, join]).register("/", catchers);
        serve(rocket.mount("/own", routes![refused]))
    };
    let location: [&str; 1] = ["/login"];
    let plain = app(catchers![]);
    let answer = loopback::send(plain, "GET", "/members", "");
    assert_eq!((answer.status, &*answer.body), (303, "Please log in."));
    assert_eq!(answer.values("location"), location);
    let answer = loopback::send(plain, "POST", "/members", "");
    assert_eq!((answer.status, &*answer.body), (401, "Please log in."));
    assert!(answer.values("location").is_empty());
    // The handler's own answer is its own.
    let answer = loopback::send(plain, "GET", "/own/members", "");
    assert_eq!((answer.status, &*answer.body), (403, "in place of a 303"));
    assert!(answer.values("location").is_empty());

    let caught = app(catchers![unknown, other]);
    let answer = loopback::send(caught, "GET", "/members", "");
    assert_eq!((answer.status, &*answer.body), (303, "the application's page for 303"));
    assert_eq!(answer.values("location"), location);
    let answer = loopback::send(caught, "POST", "/members", "");
    assert_eq!((answer.status, &*answer.body), (401, "who are you?"));
    assert_eq!(answer.values("cache-control"), ["no-store"]);

    // A catcher that answers by another status has decided otherwise.
    let answer = loopback::send(app(catchers![elsewhere]), "GET", "/members", "");
    assert_eq!((answer.status, &*answer.body), (404, "nothing here"));
    assert!(answer.values("location").is_empty());
}

#[catch(404)]
async fn not_found(request: &Request<'_>) -> Result<String, Status> {
    let session = request.guard::<Session<Shop>>().await.succeeded();
    let session = session.ok_or(Status::ServiceUnavailable)?;
    Ok(format!("visit {}", Stage::default().visit(&session)))
}

#[test]
fn a_catcher_can_use_the_session() {
    let app = app(|rocket| rocket.register("/", catchers![not_found]));
    let first = app.get("/nowhere", "");
    assert_eq!((first.status, &*first.body), (404, "visit 1"));
    assert_eq!(app.get("/nowhere", first.cookie()).body, "visit 2");
}

#[test]
fn what_is_lost_at_the_end_is_not_for_catchers() {
    let app = app(|rocket| {
        rocket.mount("/", routes![read, act, cookies]).register("/", catchers![other])
    });
    let cookie = app.visitor();
    app.faults.every(Verb::Replace, ErrorKind::Unavailable, When::Before);
    let answer = app.get("/cookies", &cookie);
    is_unavailable(&answer);
    assert_eq!(answer.values("vary"), ["Cookie"]);
}

#[test]
fn a_shield_that_is_attached_after_the_layer_is_on_what_takes_the_place_of_a_response() {
    for again in [false, true] {
        let app = app(|rocket| {
            let rocket = rocket.mount("/", routes![act]);
            if again { rocket.attach(Shield::default()) } else { rocket }
        });
        assert_eq!(app.post("/act/visit", "").values("x-content-type-options"), ["nosniff"]);
        app.faults.outage();
        let answer = app.post("/act/visit", "");
        is_unavailable(&answer);
        assert_eq!(answer.values("x-content-type-options").len(), usize::from(again));
    }
}

#[test]
fn a_fairing_that_sets_the_method_again_gets_no_request_of_another_site_through() {
    let again = AdHoc::on_request("Override", |request, _| {
        Box::pin(async move { request.set_method(Method::Post) })
    });
    let app = app(|rocket| rocket.mount("/", routes![act]).attach(again));
    let cookie = app.visitor();
    let fields = [format!("cookie: {cookie}"), "sec-fetch-site: cross-site".to_owned()];
    let fields = fields.each_ref().map(|field| field.as_bytes());
    let answer = loopback::send_fields(app.address, "POST", "/act/visit", &fields);
    assert_eq!((answer.status, answer.values("set-cookie").len()), (403, 0), "{answer:?}");
    assert_eq!(app.spied.take(), [], "no store call");
    assert_eq!(app.post("/act/visit", &cookie).body, "2", "its own go through");
}

#[get("/ranked", rank = 1)]
fn forwards(session: Session<Shop>, _never: Never, stage: &State<Stage>) -> String {
    stage.visit(&session)
}

struct Never;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Never {
    type Error = ();

    /// Changes the session, and leaves the request to the next route.
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let session = request.guard::<Session<Shop>>().await.succeeded().unwrap();
        Stage::default().visit(&session);
        Outcome::Forward(Status::Unauthorized)
    }
}

#[get("/ranked", rank = 2)]
fn ranked(session: Session<Shop>, stage: &State<Stage>) -> String {
    stage.visit(&session)
}

#[get("/forwarded")]
fn forwarded(_never: Never) {}

#[test]
fn routes_that_forward_share_the_session() {
    let app = app(|rocket| rocket.mount("/", routes![read, act, forwards, ranked, forwarded]));
    let cookie = app.visitor();
    assert_eq!(app.get("/ranked", &cookie).body, "3");
    assert_eq!(app.spied.take(), [Verb::Load, Verb::Replace]);
    // Also where no route is left.
    assert_eq!(app.get("/forwarded", &cookie).status, 401);
    assert_eq!(app.get("/act/read", &cookie).body, "4");
}

#[get("/option")]
fn option(session: Option<Session<Shop>>) -> String {
    session.map_or("none".into(), |s| s.read(|shop| shop.visits.to_string()))
}

#[get("/result")]
fn result(session: Result<Session<Shop>, Rejection>) -> Result<String, Rejection> {
    session.map(|s| s.read(|shop| shop.visits.to_string()))
}

#[get("/handled")]
fn handled(session: Result<Session<Shop>, Rejection>) -> Result<&'static str, String> {
    match session {
        Ok(_) => Ok("session"),
        Err(rejection) => Err(format!("handled {}", rejection.status())),
    }
}

#[get("/pending")]
async fn pending(session: PendingSession<Shop>) -> (Status, String) {
    match session.load().await {
        Ok(session) => (Status::Ok, session.read(|shop| shop.visits.to_string())),
        Err(error) => (Status::new(error.status()), "no session just now".to_owned()),
    }
}

#[test]
fn a_handler_can_take_the_failure() {
    let app = app(|rocket| rocket.mount("/", routes![act, option, result, handled, pending]));
    let cookie = app.visitor();
    for path in ["/option", "/result", "/pending"] {
        assert_eq!(app.get(path, &cookie).body, "1", "{path}");
    }
    app.faults.outage();
    assert_eq!(app.get("/option", &cookie).body, "none");
    is_unavailable(&app.get("/result", &cookie));
    assert_eq!(app.get("/handled", &cookie).body, "handled 503");
    let answer = app.get("/pending", &cookie);
    assert_eq!((answer.status, &*answer.body), (503, "no session just now"));
}

/// rocket does not say whether the page is its own or the handler's.
#[test]
fn a_handler_that_took_the_failure_as_a_result_answers_its_status_by_the_sentence() {
    #[get("/own")]
    fn own(session: Result<Session<Shop>, Rejection>) -> (Status, &'static str) {
        session.map_or((Status::ServiceUnavailable, "own"), |_| (Status::Ok, "fine"))
    }

    let app = app(|rocket| rocket.mount("/", routes![act, own]));
    let cookie = app.visitor();
    assert_eq!(app.get("/own", &cookie).body, "fine");
    app.faults.outage();
    is_unavailable(&app.get("/own", &cookie));
}

#[test]
fn a_panic_is_answered_by_its_catcher_unless_it_cost_a_change() {
    #[post("/reads")]
    fn reads(session: Session<Shop>) {
        panic!("{}", session.read(|shop| shop.visits));
    }

    let app = app(|rocket| {
        rocket.mount("/", routes![read, act, panic, reads]).register("/", catchers![other])
    });
    let cookie = app.visitor();
    assert_eq!(app.post("/reads", &cookie).body, "the application's page for 500");
    let answer = app.post("/panic", &cookie);
    assert_eq!((answer.status, &*answer.body), (500, "The session could not be kept."));
    assert_eq!(app.get("/act/read", &cookie).body, "1");
}

#[test]
fn a_pending_session_costs_no_store_call() {
    #[get("/ignored")]
    fn ignored(_session: PendingSession<Shop>) {}

    let app = app(|rocket| rocket.mount("/", routes![act, ignored]));
    let cookie = app.visitor();
    let answer = app.get("/ignored", &cookie);
    assert_eq!((answer.status, answer.values("vary")), (200, vec![]));
    assert_eq!(app.spied.take(), []);
}

#[test]
fn later_fairings_see_the_headers() {
    let app = app(|rocket| {
        let see = AdHoc::on_response("see", |_, response| {
            Box::pin(async move {
                let cookies = response.headers().get("set-cookie").count().to_string();
                response.set_raw_header("x-cookies", cookies);
            })
        });
        rocket.attach(see).mount("/", routes![act])
    });
    assert_eq!(app.post("/act/visit", "").values("x-cookies"), ["1"]);
}

#[test]
fn a_cookie_is_not_for_caches_whatever_the_handler_says() {
    #[get("/cached")]
    fn cached(s: Session<Shop>, stage: &State<Stage>) -> Varied {
        Varied(stage.visit(&s), Header::new("Cache-Control", "public"))
    }

    let app = app(|rocket| rocket.mount("/", routes![cached]));
    let first = app.get("/cached", "");
    assert_eq!(first.values("cache-control"), ["no-store"]);
    assert_eq!(app.get("/cached", first.cookie()).values("cache-control"), ["public"]);
}

/// rocket drops header fields that are not UTF-8 before any fairing sees them.
#[test]
fn a_field_that_is_not_utf8_hides_its_cookies_and_no_others() {
    let app = app(|rocket| rocket.mount("/", routes![read, act]));
    let cookie = app.visitor();
    let ours = format!("cookie: {cookie}").into_bytes();
    let joined = [&ours, &b"; theme=\xff"[..]].concat();
    let reads =
        |fields: &[&[u8]]| loopback::send_fields(app.address, "GET", "/act/read", fields).body;
    assert_eq!(reads(&[b"cookie: theme=\xff", &ours]), "1");
    assert_eq!(reads(&[&joined]), "0");
}

#[tokio::test]
async fn an_application_without_the_layer_does_not_launch() {
    #[derive(Default, Deserialize, Serialize)]
    struct Other;
    impl SessionData for Other {}

    #[get("/")]
    fn loaded(_session: Session<Other>) {}

    #[get("/")]
    fn optional(_session: Option<Session<Other>>) {}

    #[get("/")]
    fn guarded(_session: Authenticated<Other>) {}

    for routes in [routes![loaded], routes![optional], routes![guarded]] {
        let rocket = || rocket().attach(Watched::new().sessions).mount("/", routes.clone());
        let error = rocket().ignite().await.unwrap_err();
        assert!(matches!(error.kind(), rocket::error::ErrorKind::SentinelAborts(_)));
        let layer = SessionLayer::<Other, _>::new(MemoryStore::new());
        rocket().attach(layer).ignite().await.unwrap();
    }
}

#[tokio::test]
async fn of_a_layer_attached_twice_the_last_one_counts() {
    let [first, second] = [(); 2].map(|()| Watched::new());
    let themes = SessionLayer::<Theme, _>::new(MemoryStore::new());
    let other_store = SessionLayer::<Shop, _>::new(MemoryStore::new());
    // What this one changed in the first one's session would be lost.
    let between = AdHoc::on_request("between", |request, _| {
        Box::pin(async { assert!(request.guard::<Session<Shop>>().await.is_error()) })
    });
    let app = rocket().attach(first.sessions).attach(themes).attach(between).attach(other_store);
    let app = app.attach(second.sessions).manage(Stage::default());
    let client = Client::untracked(app.mount("/", routes![both])).await.unwrap();
    let response = client.get("/both").dispatch().await;
    assert_eq!(response.headers().get("set-cookie").count(), 2);
    assert_eq!((first.spied.take(), second.spied.take()), (vec![], vec![Verb::Insert]));
}

/// The local client keeps cookies where no header is.
#[tokio::test]
async fn the_local_client_has_sessions() {
    let app = rocket().attach(Watched::new().sessions).manage(Stage::default());
    let client = Client::tracked(app.mount("/", routes![read, act])).await.unwrap();
    let request = client.post("/act/visit");
    assert_eq!(request.clone().dispatch().await.into_string().await.unwrap(), "1");
    let second = client.post("/act/visit").dispatch().await;
    assert_eq!(second.into_string().await.unwrap(), "2");
    // A copy shares the local cache with its original; its session is its own.
    assert_eq!(request.dispatch().await.into_string().await.unwrap(), "1");
    client.post("/act/logout").dispatch().await;
    assert_eq!(client.get("/act/read").dispatch().await.into_string().await.unwrap(), "0");
}

#[tokio::test]
async fn a_login_is_answered_by_a_cookie_that_the_client_takes() {
    let app = rocket().attach(Watched::new().sessions).manage(Stage::default());
    let client = Client::tracked(app.mount("/", routes![read, act])).await.unwrap();
    client.post("/act/login").dispatch().await;
    let user = client.get("/act/user").dispatch().await;
    assert_eq!(user.into_string().await.unwrap(), "bob");
}
