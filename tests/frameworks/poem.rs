//! poem 3.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt, stream};
use poem::error::{InternalServerError, NotFoundError, ResponseError};
use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::middleware::{CatchPanic, CookieJarManager};
use poem::web::cookie::{Cookie, CookieJar};
use poem::web::websocket::{Message, WebSocket};
use poem::web::{Data, Path, Redirect};
use poem::{
    Body, Endpoint, EndpointExt, IntoResponse, Response, Result, Route, Server, get, handler, post,
};
use typed_session::store::ErrorKind;
use typed_session::testing::adapter::{Missing, Setup, Shop, Stage, Suite, Theme};
use typed_session::testing::{Verb, When};
use typed_session::{Authenticated, AuthenticatedWithin, PendingSession, Session};

use crate::loopback::{SoldOut, Watched, send};

#[test]
fn poem_comes_true() {
    Suite::new().run(start);
}

/// Starts the application, and returns where it listens.
fn start(setup: Setup) -> SocketAddr {
    let nested = Route::new().at("/act/:action", get(act).post(act)).with(setup.sessions.clone());
    listen(
        Route::new()
            .at("/act/:action", get(act).post(act))
            .at("/plain", get(plain))
            .at("/twice", get(twice))
            .at("/both", get(both))
            .at("/missing", get(missing))
            .at("/cookies", get(cookies))
            .at("/fail", post(fail))
            .at("/members", get(members).post(members))
            .at("/fresh", get(fresh).post(fresh))
            .at("/redirect", post(redirect))
            .at("/panic", post(panics))
            .at("/slow", post(slow))
            .at("/stream", get(streams))
            .at("/committed", get(committed))
            .at("/ws", get(socket))
            .nest("/nested", nested)
            .with(setup.sessions)
            .with(setup.themes)
            .with(CookieJarManager::new())
            .data(setup.stage),
    )
}

fn listen(app: impl Endpoint + 'static) -> SocketAddr {
    crate::serve(|listener| async {
        Server::new_with_acceptor(TcpAcceptor::from_tokio(listener).unwrap()).run(app).await
    })
}

#[handler]
async fn act(
    stage: Data<&Stage>,
    Path(action): Path<String>,
    session: Session<Shop>,
) -> Result<String> {
    Ok(stage.act(&session, &action).await?)
}

#[handler]
fn plain() -> &'static str {
    "plain"
}

#[handler]
fn twice(stage: Data<&Stage>, one: Session<Shop>, other: Session<Shop>) -> String {
    stage.twice(&one, &other)
}

#[handler]
fn both(stage: Data<&Stage>, shop: Session<Shop>, theme: Session<Theme>) -> String {
    stage.both(&shop, &theme)
}

#[handler]
fn missing(_: Session<Missing>) {}

#[handler]
fn cookies(stage: Data<&Stage>, jar: &CookieJar, session: Session<Shop>) -> impl IntoResponse {
    jar.add(Cookie::new_with_str("theme", "dark"));
    stage.visit(&session).with_header("vary", "Accept")
}

#[handler]
fn fail(stage: Data<&Stage>, session: Session<Shop>) -> Result<()> {
    stage.visit(&session);
    Err(InternalServerError(std::io::Error::other("on purpose")))
}

#[handler]
fn members(stage: Data<&Stage>, session: Authenticated<Shop>) -> String {
    stage.visit(&session)
}

#[handler]
fn fresh(stage: Data<&Stage>, session: AuthenticatedWithin<Shop, 300>) -> String {
    stage.visit(&session)
}

#[handler]
fn redirect(stage: Data<&Stage>, session: Session<Shop>) -> Redirect {
    stage.login(&session);
    Redirect::see_other("/act/read")
}

#[handler]
fn panics(stage: Data<&Stage>, session: Session<Shop>) {
    stage.visit(&session);
    panic!("on purpose");
}

#[handler]
async fn slow(stage: Data<&Stage>, session: Session<Shop>) -> &'static str {
    stage.visit(&session);
    stage.pause().await;
    "kept"
}

#[handler]
fn streams(stage: Data<&Stage>, session: Session<Shop>) -> Response {
    stage.visit(&session);
    chunks(&stage)
}

#[handler]
async fn committed(stage: Data<&Stage>, session: Session<Shop>) -> Result<Response> {
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
    Body::from_bytes_stream(stream::iter([Ok::<_, std::io::Error>("a")]).chain(second)).into()
}

#[handler]
fn socket(
    Data(stage): Data<&Stage>,
    session: Session<Shop>,
    socket: WebSocket,
) -> impl IntoResponse {
    let stage = stage.clone();
    socket.on_upgrade(async move |mut socket| {
        while let Some(Ok(Message::Text(action))) = socket.next().await {
            let answer = stage.act(&session, &action).await;
            let answer = answer.unwrap_or_else(|_| "error".to_owned());
            if socket.send(Message::text(answer)).await.is_err() {
                break;
            }
        }
    })
}

// ---- What is poem's own: an `Err` is no response yet.

fn routes() -> Route {
    Route::new().at("/visit", get(visit)).at("/sold-out", post(sold_out)).at("/early", post(early))
}

impl ResponseError for SoldOut {
    fn status(&self) -> StatusCode {
        StatusCode::GONE
    }
}

#[handler]
fn visit(session: Session<Shop>) -> String {
    session.update(|shop| {
        shop.visits += 1;
        shop.visits.to_string()
    })
}

#[handler]
fn sold_out(session: Session<Shop>) -> Result<()> {
    session.update(|shop| shop.visits += 1);
    Err(SoldOut.into())
}

#[handler]
async fn early(pending: PendingSession<Shop>) -> Result<String> {
    let _ = pending;
    Err(SoldOut.into())
}

async fn caught(_: SoldOut) -> impl IntoResponse {
    "caught".with_status(StatusCode::IM_A_TEAPOT)
}

#[test]
fn what_is_written_before_an_err_is_kept_and_the_cookie_is_on_its_response() {
    let shop = Watched::new();
    let address = listen(routes().with(shop.sessions));
    let answer = send(address, "POST", "/sold-out", "");
    assert_eq!((answer.status, &*answer.body), (410, "sold out"));
    assert_eq!(answer.values("cache-control"), ["no-store"]);
    assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
}

#[test]
fn an_err_is_seen_by_catch_error_inside_of_the_layer_with_the_cookie() {
    let shop = Watched::new();
    let address = listen(routes().catch_error(caught).with(shop.sessions));
    let answer = send(address, "POST", "/sold-out", "");
    assert_eq!((answer.status, &*answer.body), (418, "caught"));
    assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
}

#[test]
fn an_err_with_a_cookie_is_a_response_outside_of_the_layer() {
    let shop = Watched::new();
    let address = listen(routes().with(shop.sessions).catch_error(caught));
    let answer = send(address, "POST", "/sold-out", "");
    assert_eq!((answer.status, &*answer.body), (410, "sold out"));
    assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
}

#[test]
fn an_err_of_a_request_that_did_not_ask_for_its_session_stays_one() {
    let shop = Watched::new();
    let not_found = async |_: NotFoundError| "here is the map".with_status(StatusCode::NOT_FOUND);
    let app = routes().with(shop.sessions).catch_error(caught).catch_error(not_found);
    let address = listen(app);
    assert_eq!(send(address, "POST", "/early", "").body, "caught");
    let answer = send(address, "GET", "/nowhere", "");
    assert_eq!((answer.status, &*answer.body), (404, "here is the map"));
    assert_eq!(answer.values("vary"), [] as [&str; 0]);
    assert_eq!(shop.spied.take(), []);
}

#[test]
fn an_outage_is_a_503_whatever_the_handler_has_returned() {
    let shop = Watched::new();
    let address = listen(routes().with(shop.sessions));
    shop.faults.every(Verb::Insert, ErrorKind::Unavailable, When::Before);
    for (method, path) in [("GET", "/visit"), ("POST", "/sold-out")] {
        let answer = send(address, method, path, "");
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.body.starts_with("Sessions are not available"), "{}", answer.body);
        assert_eq!(answer.values("set-cookie"), [] as [&str; 0]);
        assert_eq!(answer.values("cache-control"), ["no-store"]);
    }
}

#[test]
fn the_error_of_an_argument_can_be_caught_and_says_nothing_of_the_store() {
    let shop = Watched::new();
    let sessions = shop.sessions;
    let address = listen(routes().with(sessions.clone()));
    let cookie = send(address, "GET", "/visit", "").cookie().to_owned();
    shop.faults.outage();
    let answer = send(address, "GET", "/visit", &cookie);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "Sessions are not available at the moment. Please try again.");
    assert_eq!(answer.values("content-type"), ["text/plain; charset=utf-8"]);

    let sorry = async |error: typed_session::Error| format!("sorry: {}", error.status());
    let address = listen(routes().catch_error(sorry).with(sessions));
    assert_eq!(send(address, "GET", "/visit", &cookie).body, "sorry: 503");
}

#[test]
fn the_endpoint_can_be_shared_and_the_layer_used_for_several() {
    let shop = Watched::new();
    let one = Arc::new(get(visit).with(shop.sessions.clone()));
    let other = get(visit).with(shop.sessions);
    let address = listen(Route::new().at("/a", Arc::clone(&one)).at("/b", one).at("/c", other));
    let cookie = send(address, "GET", "/a", "").cookie().to_owned();
    assert_eq!(send(address, "GET", "/b", &cookie).body, "2");
    assert_eq!(send(address, "GET", "/c", &cookie).body, "3");
}

#[test]
fn a_route_without_the_layer_says_what_to_do() {
    let answer = send(listen(routes()), "GET", "/visit", "");
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("put `SessionLayer"), "{}", answer.body);
}

#[test]
fn what_a_panic_left_half_done_is_not_stored_where_a_middleware_answers_for_the_handler() {
    #[handler]
    fn panics(session: Session<Shop>) {
        session.update(|shop| shop.visits += 1);
        panic!("on purpose");
    }

    let shop = Watched::new();
    let routes = Route::new().at("/panic", post(panics));
    let address = listen(routes.with(CatchPanic::new()).with(shop.sessions));
    let answer = send(address, "POST", "/panic", "");
    assert_eq!((answer.status, &*answer.body), (500, "The session could not be kept."));
    assert!(answer.values("set-cookie").is_empty(), "{answer:?}");
    assert_eq!(shop.spied.take(), []);
}
