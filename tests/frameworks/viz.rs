//! viz 0.11.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt, stream};
use typed_session::store::ErrorKind;
use typed_session::testing::adapter::{Missing, Setup, Shop, Stage, Suite, Theme};
use typed_session::testing::{Verb, When};
use typed_session::{Authenticated, AuthenticatedWithin, Rejection, Session};
use viz::middleware::cookie;
use viz::types::{Cookie, Cookies, Message, Params, State, WebSocket};
use viz::{
    Body, Error, FromRequest, HandlerExt, IntoHandler, IntoResponse, Request, RequestExt, Response,
    ResponseExt, Result, Router, StatusCode, get, post,
};

use crate::loopback::{SoldOut, Watched, send};

#[test]
fn viz_comes_true() {
    Suite::new().run(start);
}

/// Starts the application, and returns where it listens.
fn start(setup: Setup) -> SocketAddr {
    let act = || get(act.into_handler()).post(act.into_handler());
    let nested = Router::new().route("/act/:action", act()).with(setup.sessions.clone());
    listen(
        Router::new()
            .route("/act/:action", act())
            .get("/plain", plain)
            .get("/twice", twice.into_handler())
            .get("/both", both.into_handler())
            .get("/missing", missing.into_handler())
            .get("/cookies", cookies.into_handler())
            .post("/fail", fail.into_handler())
            .get("/members", members.into_handler())
            .post("/members", members.into_handler())
            .get("/fresh", fresh.into_handler())
            .post("/fresh", fresh.into_handler())
            .post("/redirect", redirect.into_handler())
            .post("/panic", panics.into_handler())
            .post("/slow", slow.into_handler())
            .get("/stream", streams.into_handler())
            .get("/committed", committed.into_handler())
            .get("/ws", socket.into_handler())
            .nest("/nested", nested)
            .with(setup.sessions)
            .with(setup.themes)
            .with(cookie::Config::default())
            .with(State::new(setup.stage)),
    )
}

fn listen(app: Router) -> SocketAddr {
    crate::serve(|listener| async { viz::serve(listener, app).await })
}

async fn act(
    State(stage): State<Stage>,
    Params(action): Params<String>,
    session: Session<Shop>,
) -> Result<String> {
    Ok(stage.act(&session, &action).await?)
}

async fn plain(_: Request) -> Result<&'static str> {
    Ok("plain")
}

async fn twice(
    State(stage): State<Stage>,
    one: Session<Shop>,
    other: Session<Shop>,
) -> Result<String> {
    Ok(stage.twice(&one, &other))
}

async fn both(
    State(stage): State<Stage>,
    shop: Session<Shop>,
    theme: Session<Theme>,
) -> Result<String> {
    Ok(stage.both(&shop, &theme))
}

async fn missing(_: Session<Missing>) -> Result<()> {
    Ok(())
}

async fn cookies(
    State(stage): State<Stage>,
    cookies: Cookies,
    session: Session<Shop>,
) -> Result<Response> {
    cookies.add(Cookie::new("theme", "dark"));
    let mut response = stage.visit(&session).into_response();
    response.headers_mut().insert("vary", "Accept".parse().unwrap());
    Ok(response)
}

async fn fail(State(stage): State<Stage>, session: Session<Shop>) -> Result<()> {
    stage.visit(&session);
    Err(Error::boxed("on purpose"))
}

async fn members(State(stage): State<Stage>, session: Authenticated<Shop>) -> Result<String> {
    Ok(stage.visit(&session))
}

async fn fresh(
    State(stage): State<Stage>,
    session: AuthenticatedWithin<Shop, 300>,
) -> Result<String> {
    Ok(stage.visit(&session))
}

async fn redirect(State(stage): State<Stage>, session: Session<Shop>) -> Result<Response> {
    stage.login(&session);
    Ok(Response::see_other("/act/read"))
}

async fn panics(State(stage): State<Stage>, session: Session<Shop>) -> Result<()> {
    stage.visit(&session);
    panic!("on purpose");
}

async fn slow(State(stage): State<Stage>, session: Session<Shop>) -> Result<&'static str> {
    stage.visit(&session);
    stage.pause().await;
    Ok("kept")
}

async fn streams(State(stage): State<Stage>, session: Session<Shop>) -> Result<Response> {
    stage.visit(&session);
    Ok(chunks(&stage))
}

async fn committed(State(stage): State<Stage>, session: Session<Shop>) -> Result<Response> {
    stage.visit(&session);
    session.commit().await?;
    Ok(chunks(&stage))
}

fn chunks(stage: &Stage) -> Response {
    let pause = stage.pause();
    let second = stream::once(async {
        pause.await;
        Ok("b")
    });
    Response::new(Body::from_stream(stream::iter([Ok::<_, std::io::Error>("a")]).chain(second)))
}

async fn socket(
    State(stage): State<Stage>,
    session: Session<Shop>,
    socket: WebSocket,
) -> Result<Response> {
    Ok(socket.on_upgrade(async move |mut socket| {
        while let Some(Ok(Message::Text(action))) = socket.next().await {
            let answer = stage.act(&session, &action).await;
            let answer = answer.unwrap_or_else(|_| "error".to_owned());
            if socket.send(Message::text(answer)).await.is_err() {
                break;
            }
        }
    }))
}

// ---- What is viz's own: an `Err` of three kinds, and middleware of each route.

async fn visit(session: Session<Shop>) -> Result<String> {
    Ok(session.update(|shop| {
        shop.visits += 1;
        shop.visits.to_string()
    }))
}

/// Fails after it has used its session, in a way that the path names.
async fn fails(mut request: Request) -> Result<()> {
    visit(Session::extract(&mut request).await?).await?;
    Err(match request.path() {
        "/boxed" => Error::boxed(SoldOut),
        "/response" => (StatusCode::GONE, "sold out").into_error(),
        _ => (SoldOut, (StatusCode::GONE, "sold out")).into(),
    })
}

async fn early(_: Request) -> Result<()> {
    Err(Error::boxed(SoldOut))
}

async fn caught(_: SoldOut) -> impl IntoResponse {
    (StatusCode::IM_A_TEAPOT, "caught")
}

async fn rejected(rejection: Rejection) -> impl IntoResponse {
    format!("sorry: {}", rejection.status())
}

#[test]
fn what_is_written_before_an_err_is_kept_and_the_cookie_is_on_its_response() {
    let shop = Watched::new();
    let app = Router::new().get("/visit", visit.into_handler());
    let app = app.post("/boxed", fails).post("/response", fails).post("/both", fails);
    let address = listen(app.with(shop.sessions));
    for (path, status) in [("/boxed", 500), ("/response", 410), ("/both", 410)] {
        let answer = send(address, "POST", path, "");
        assert_eq!((answer.status, &*answer.body), (status, "sold out"), "{path}");
        assert_eq!(answer.values("cache-control"), ["no-store"]);
        assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
    }
}

#[test]
fn an_err_is_seen_by_catch_error_inside_of_the_layer_and_not_outside() {
    let shop = Watched::new();
    let inside = post(fails.catch_error(caught).with(shop.sessions.clone()));
    let outside = post(fails.with(shop.sessions.clone()).catch_error(caught));
    let visits = get(visit.into_handler().with(shop.sessions));
    let app = Router::new().route("/inside", inside).route("/outside", outside);
    let address = listen(app.route("/visit", visits));
    for (path, expected) in [("/inside", (418, "caught")), ("/outside", (410, "sold out"))] {
        let answer = send(address, "POST", path, "");
        assert_eq!((answer.status, &*answer.body), expected, "{path}");
        assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
    }
}

#[test]
fn an_err_of_a_request_that_did_not_ask_for_its_session_stays_one() {
    let shop = Watched::new();
    let handler = early.with(shop.sessions).catch_error(caught);
    let answer = send(listen(Router::new().post("/early", handler)), "POST", "/early", "");
    assert_eq!((answer.status, &*answer.body), (418, "caught"));
    assert_eq!(answer.values("vary"), [] as [&str; 0]);
    assert_eq!(shop.spied.take(), []);
}

#[test]
fn an_outage_is_a_503_whatever_the_handler_has_returned() {
    let shop = Watched::new();
    let app = Router::new().get("/visit", visit.into_handler()).post("/both", fails);
    let address = listen(app.with(shop.sessions));
    shop.faults.every(Verb::Insert, ErrorKind::Unavailable, When::Before);
    for (method, path) in [("GET", "/visit"), ("POST", "/both")] {
        let answer = send(address, method, path, "");
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.body.starts_with("Sessions are not available"), "{}", answer.body);
        assert_eq!(answer.values("set-cookie"), [] as [&str; 0]);
        assert_eq!(answer.values("cache-control"), ["no-store"]);
    }
}

#[test]
fn a_rejection_can_be_caught_and_says_nothing_of_the_store() {
    let shop = Watched::new();
    let sessions = shop.sessions;
    let caught = post(fails.catch_error(rejected).with(sessions.clone()));
    let app = Router::new().get("/visit", visit.into_handler()).with(sessions);
    let address = listen(app.route("/caught", caught));
    let cookie = send(address, "GET", "/visit", "").cookie().to_owned();
    shop.faults.outage();
    let answer = send(address, "GET", "/visit", &cookie);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "Sessions are not available at the moment. Please try again.");
    assert_eq!(answer.values("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(send(address, "POST", "/caught", &cookie).body, "sorry: 503");
}

#[test]
fn nested_routers_have_the_layer_that_they_were_given() {
    let shop = Watched::new();
    let inner = || Router::new().get("/visit", visit.into_handler());
    let covered = Router::new().nest("/before", inner()).with(shop.sessions.clone());
    let app = covered.nest("/own", inner().with(shop.sessions)).nest("/bare", inner());
    let address = listen(app);
    let cookie = send(address, "GET", "/before/visit", "").cookie().to_owned();
    assert_eq!(send(address, "GET", "/own/visit", &cookie).body, "2");
    let answer = send(address, "GET", "/bare/visit", &cookie);
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("put `SessionLayer"), "{}", answer.body);
}
