//! salvo 1.

use std::net::SocketAddr;

use futures_util::{StreamExt, stream};
use salvo::catcher::Catcher;
use salvo::conn::tcp::TcpAcceptor;
use salvo::extract::PathParam;
use salvo::http::cookie::Cookie;
use salvo::prelude::*;
use salvo::websocket::{Message, WebSocketUpgrade};
use typed_session::store::ErrorKind;
use typed_session::testing::adapter::{Missing, Setup, Shop, Stage, Suite, Theme};
use typed_session::testing::{Verb, When};
use typed_session::{Authenticated, AuthenticatedWithin, Error, PendingSession, Session};

use crate::loopback::{Watched, send};

#[test]
fn salvo_comes_true() {
    Suite::new().run(start);
}

/// Starts the application, and returns where it listens.
fn start(setup: Setup) -> SocketAddr {
    let acts = || Router::with_path("act/{action}").get(act).post(act);
    let nested = Router::with_path("nested").hoop(setup.sessions.clone()).push(acts());
    listen(
        Router::new()
            .hoop(Staged(setup.stage))
            .hoop(setup.sessions)
            .hoop(setup.themes)
            .push(acts())
            .push(Router::with_path("plain").get(plain))
            .push(Router::with_path("twice").get(twice))
            .push(Router::with_path("both").get(both))
            .push(Router::with_path("missing").get(missing))
            .push(Router::with_path("cookies").get(cookies))
            .push(Router::with_path("fail").post(fail))
            .push(Router::with_path("members").get(members).post(members))
            .push(Router::with_path("fresh").get(fresh).post(fresh))
            .push(Router::with_path("redirect").post(redirect))
            .push(Router::with_path("panic").post(panics))
            .push(Router::with_path("slow").post(slow))
            .push(Router::with_path("stream").get(streams))
            .push(Router::with_path("committed").get(committed))
            .push(Router::with_path("ws").get(speak))
            .push(nested),
    )
}

fn listen(app: impl Into<Service> + Send + 'static) -> SocketAddr {
    crate::serve(|listener| async {
        Server::new(TcpAcceptor::try_from(listener).unwrap()).serve(app).await;
    })
}

/// Puts the stage where handlers find it.
struct Staged(Stage);

#[handler]
impl Staged {
    async fn handle(&self, depot: &mut Depot) {
        depot.insert_typed(self.0.clone());
    }
}

fn stage(depot: &Depot) -> &Stage {
    depot.get_typed().unwrap()
}

#[handler]
async fn act(
    depot: &mut Depot,
    action: PathParam<String>,
    session: Session<Shop>,
) -> Result<String, Error> {
    stage(depot).act(&session, &action).await
}

#[handler]
async fn plain() -> &'static str {
    "plain"
}

#[handler]
async fn twice(depot: &mut Depot, one: Session<Shop>, other: Session<Shop>) -> String {
    stage(depot).twice(&one, &other)
}

#[handler]
async fn both(depot: &mut Depot, shop: Session<Shop>, theme: Session<Theme>) -> String {
    stage(depot).both(&shop, &theme)
}

#[handler]
async fn missing(session: Session<Missing>) {
    drop(session);
}

#[handler]
async fn cookies(depot: &mut Depot, response: &mut Response, session: Session<Shop>) {
    response.add_cookie(Cookie::new("theme", "dark"));
    response.add_header("vary", "Accept", false).unwrap();
    response.render(stage(depot).visit(&session));
}

#[handler]
async fn fail(depot: &mut Depot, session: Session<Shop>) -> Result<(), StatusError> {
    stage(depot).visit(&session);
    Err(StatusError::internal_server_error())
}

#[handler]
async fn members(depot: &mut Depot, session: Authenticated<Shop>) -> String {
    stage(depot).visit(&session)
}

#[handler]
async fn fresh(depot: &mut Depot, session: AuthenticatedWithin<Shop, 300>) -> String {
    stage(depot).visit(&session)
}

#[handler]
async fn redirect(depot: &mut Depot, session: Session<Shop>) -> Redirect {
    stage(depot).login(&session);
    Redirect::other("/act/read")
}

#[handler]
async fn panics(depot: &mut Depot, session: Session<Shop>) {
    stage(depot).visit(&session);
    panic!("on purpose");
}

#[handler]
async fn slow(depot: &mut Depot, session: Session<Shop>) -> &'static str {
    let stage = stage(depot);
    stage.visit(&session);
    stage.pause().await;
    "kept"
}

#[handler]
async fn streams(depot: &mut Depot, response: &mut Response, session: Session<Shop>) {
    stage(depot).visit(&session);
    chunks(stage(depot), response);
}

#[handler]
async fn committed(
    depot: &mut Depot,
    response: &mut Response,
    session: Session<Shop>,
) -> Result<(), Error> {
    stage(depot).visit(&session);
    session.commit().await?;
    chunks(stage(depot), response);
    Ok(())
}

fn chunks(stage: &Stage, response: &mut Response) {
    let pause = stage.pause();
    let second = stream::once(async {
        pause.await;
        Ok("b")
    });
    response.stream(stream::iter([Ok::<_, std::io::Error>("a")]).chain(second));
}

#[handler]
async fn speak(
    request: &mut Request,
    depot: &mut Depot,
    response: &mut Response,
    session: Session<Shop>,
) -> Result<(), StatusError> {
    let stage = stage(depot).clone();
    let talk = async move |mut socket: salvo::websocket::WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            let Ok(action) = message.as_str() else { break };
            let answer = stage.act(&session, action).await;
            let answer = answer.unwrap_or_else(|_| "error".to_owned());
            if socket.send(Message::text(answer)).await.is_err() {
                break;
            }
        }
    };
    WebSocketUpgrade::new().upgrade(request, response, talk).await
}

// ---- What is salvo's own: hoops that stop the flow, and the catcher.

fn count(session: &Session<Shop>) -> String {
    session.update(|shop| {
        shop.visits += 1;
        shop.visits.to_string()
    })
}

#[handler]
async fn visit(session: Session<Shop>) -> String {
    count(&session)
}

/// Fails without a page of its own.
#[handler]
async fn pageless(response: &mut Response, session: Session<Shop>) {
    count(&session);
    response.status_code(StatusCode::GONE);
}

/// Fails when it has begun to answer.
#[handler]
async fn half(response: &mut Response, session: Session<Shop>) -> Result<(), Error> {
    count(&session);
    response.render(Text::Html("<p>half a page"));
    session.commit().await
}

/// Answers with all that a response can have.
#[handler]
async fn rich(response: &mut Response, session: Session<Shop>) {
    count(&session);
    response.add_cookie(Cookie::new("bought", "tea"));
    response.add_header("location", "/thanks", true).unwrap();
    response.render("thank you");
}

/// A hoop that needs no argument, and stops the flow.
struct Stop {
    cease: bool,
}

#[handler]
impl Stop {
    async fn handle(&self, depot: &mut Depot, response: &mut Response, ctrl: &mut FlowCtrl) {
        let pending = depot.get_typed::<PendingSession<Shop>>().unwrap().clone();
        response.render(count(&pending.load().await.unwrap()));
        if self.cease {
            ctrl.cease();
        } else {
            ctrl.skip_rest();
        }
    }
}

/// A hoop that does its work after the goal.
#[handler]
async fn late(
    request: &mut Request,
    depot: &mut Depot,
    response: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    ctrl.call_next(request, depot, response).await;
    let pending = depot.get_typed::<PendingSession<Shop>>().unwrap().clone();
    count(&pending.load().await.unwrap());
}

/// A hoop that is around the layer.
#[handler]
async fn around(response: &mut Response) {
    response.add_header("x-around", "yes", true).unwrap();
}

#[handler]
async fn page(response: &mut Response, ctrl: &mut FlowCtrl) {
    response.render("a page of the catcher's");
    ctrl.skip_rest();
}

fn routes() -> Router {
    Router::new()
        .push(Router::with_path("visit").get(visit))
        .push(Router::with_path("pageless").post(pageless))
        .push(Router::with_path("half").post(half))
        .push(Router::with_path("rich").post(rich))
        .push(Router::with_path("skipped").hoop(Stop { cease: false }).get(plain))
        .push(Router::with_path("ceased").hoop(Stop { cease: true }).get(plain))
}

fn caught(router: Router) -> Service {
    Service::new(router).catcher(Catcher::default().hoop(page))
}

#[test]
fn what_is_written_is_kept_when_a_hoop_stops_the_flow() {
    let shop = Watched::new();
    let address = listen(Router::new().hoop(shop.sessions).push(routes()));
    for path in ["/skipped", "/ceased"] {
        let answer = send(address, "GET", path, "");
        assert_eq!((answer.status, &*answer.body), (200, "1"), "{path}");
        assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2", "{path}");
    }
}

#[test]
fn the_cookie_survives_the_catcher() {
    for custom in [false, true] {
        let shop = Watched::new();
        let router = Router::new().hoop(shop.sessions).push(routes());
        let address = if custom { listen(caught(router)) } else { listen(router) };
        let answer = send(address, "POST", "/pageless", "");
        assert_eq!(answer.status, 410);
        assert_eq!(answer.body == "a page of the catcher's", custom, "{}", answer.body);
        assert_eq!(answer.values("cache-control"), ["no-store"]);
        assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
    }
}

#[test]
fn the_sentence_of_a_failed_session_is_not_replaced_by_the_catcher() {
    let shop = Watched::new();
    let address = listen(caught(Router::new().hoop(shop.sessions).push(routes())));
    let cookie = send(address, "GET", "/visit", "").cookie().to_owned();
    let sorry = "Sessions are not available at the moment. Please try again.";
    shop.faults.every(Verb::Replace, ErrorKind::Unavailable, When::Before);
    let at_the_end = send(address, "GET", "/visit", &cookie);
    shop.faults.outage();
    let at_the_start = send(address, "GET", "/visit", &cookie);
    for answer in [at_the_end, at_the_start] {
        assert_eq!((answer.status, &*answer.body), (503, sorry));
        assert_eq!(answer.values("content-type"), ["text/plain; charset=utf-8"]);
        assert_eq!(answer.values("cache-control"), ["no-store"]);
    }
}

#[test]
fn nothing_of_a_response_is_left_that_must_not_be_sent() {
    let shop = Watched::new();
    let address = listen(Router::new().hoop(around).hoop(shop.sessions).push(routes()));
    let answer = send(address, "POST", "/rich", "");
    assert_eq!((answer.status, answer.values("set-cookie").len()), (200, 2));
    assert_eq!(
        (answer.values("location"), answer.values("x-around")),
        (vec!["/thanks"], vec!["yes"])
    );

    shop.faults.every(Verb::Insert, ErrorKind::Unavailable, When::Before);
    let answer = send(address, "POST", "/rich", "");
    assert_eq!((answer.status, answer.values("set-cookie").len()), (503, 0));
    assert_eq!((answer.values("location"), answer.values("x-around")), (vec![], vec!["yes"]));
    assert!(!answer.body.contains("thank you"), "{}", answer.body);
}

#[test]
fn an_error_that_is_returned_takes_the_place_of_half_a_page() {
    let shop = Watched::new();
    let address = listen(Router::new().hoop(shop.sessions).push(routes()));
    shop.faults.nth(1, Verb::Insert, ErrorKind::Unavailable, When::Before);
    let answer = send(address, "POST", "/half", "");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "Sessions are not available at the moment. Please try again.");
    assert_eq!(answer.values("content-type"), ["text/plain; charset=utf-8"]);
    // The store is back by the end of the request, so what it wrote is kept after all.
    assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
}

#[test]
fn a_layer_around_the_whole_service_leaves_unknown_routes_alone() {
    let shop = Watched::new();
    let address = listen(caught(routes()).hoop(shop.sessions));
    let cookie = send(address, "GET", "/visit", "").cookie().to_owned();
    shop.spied.take();
    let answer = send(address, "GET", "/nowhere", &cookie);
    assert_eq!((answer.status, &*answer.body), (404, "a page of the catcher's"));
    assert_eq!(answer.values("vary"), [] as [&str; 0]);
    assert_eq!(shop.spied.take(), []);
    assert_eq!(send(address, "GET", "/visit", &cookie).body, "2");
}

#[test]
fn a_route_without_the_layer_says_what_to_do() {
    let answer = send(listen(caught(routes())), "GET", "/visit", "");
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("put `SessionLayer"), "{}", answer.body);
}

#[test]
fn a_hoop_around_an_inner_layer_has_the_session_of_the_outer_one_again() {
    let (outer, inner) = (Watched::new(), Watched::new());
    let nested = Router::with_path("nested").hoop(late);
    let nested = nested.push(Router::new().hoop(inner.sessions).get(plain));
    let address = listen(Router::new().hoop(outer.sessions).push(routes()).push(nested));
    let answer = send(address, "GET", "/nested", "");
    assert_eq!(inner.spied.take(), []);
    assert_eq!(send(address, "GET", "/visit", answer.cookie()).body, "2");
}
