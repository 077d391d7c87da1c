//! warp, through the tower layer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt, Stream, StreamExt, stream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::Layer;
use typed_session::testing::Verb;
use typed_session::testing::adapter::{Missing, Setup, Shop, Stage, Suite, Theme};
use typed_session::{
    Error, Guard, LoggedIn, PendingSession, Rejection, Requirement, Session, SessionData, Within,
};
use warp::filters::BoxedFilter;
use warp::http::{StatusCode, Uri, header};
use warp::reply::{self, Reply, Response};
use warp::ws::{Message, WebSocket, Ws};
use warp::{Filter, any, ext, path, reject};

use crate::loopback::{self, Watched};

#[test]
fn warp_comes_true() {
    Suite::new().run(start);
}

fn start(setup: Setup) -> SocketAddr {
    let Setup { sessions, themes, stage, .. } = setup;
    // warp has no middleware for groups of routes, so that the second layer is around all.
    let app = sessions.layer(sessions.layer(themes.layer(warp::service(routes(stage)))));
    crate::serve(|listener| serve(listener, TowerToHyperService::new(app)))
}

async fn serve<S>(listener: TcpListener, service: S) -> io::Result<Infallible>
where
    S: hyper::service::Service<
            hyper::Request<hyper::body::Incoming>,
            Response = Response,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}

/// The session, or a rejection, which is for [`recover`].
fn session<T: SessionData>() -> BoxedFilter<(Session<T>,)> {
    let load = |pending: Option<PendingSession<T>>| async move {
        let loaded = async { Ok(PendingSession::found(pending.as_ref())?.load().await?) };
        loaded.await.map_err(|rejection: Rejection| reject::custom(NoSession(rejection)))
    };
    ext::optional().and_then(load).boxed()
}

/// The session of those who may have it.
fn guarded<T: SessionData, R: Requirement<T>>() -> BoxedFilter<(Guard<T, R>,)> {
    let check = |session| async {
        Guard::check(session).map_err(|rejection| reject::custom(NoSession(rejection)))
    };
    session::<T>().and_then(check).boxed()
}

#[derive(Debug)]
struct NoSession(Rejection);

impl reject::Reject for NoSession {}

async fn recover(rejection: warp::Rejection) -> Result<Response, warp::Rejection> {
    match rejection.find() {
        Some(NoSession(why)) => {
            let mut response = sentence(why.status(), why.public_message());
            for header in why.headers() {
                let name: header::HeaderName = header.name.parse().unwrap();
                response.headers_mut().insert(name, header.value.parse().unwrap());
            }
            Ok(response)
        }
        None => Err(rejection),
    }
}

fn sentence(status: u16, text: &'static str) -> Response {
    reply::with_status(text, StatusCode::from_u16(status).unwrap()).into_response()
}

fn answer(result: Result<String, Error>) -> Response {
    match result {
        Ok(text) => text.into_response(),
        Err(error) => sentence(error.status(), error.public_message()),
    }
}

fn routes(stage: Stage) -> BoxedFilter<(Response,)> {
    let stage = any().map(move || stage.clone());
    let shop = || session::<Shop>().and(stage.clone());
    let act = || path!("act" / String).and(shop()).then(act);
    let pages = get("plain")
        .map(|| "plain".into_response())
        .or(get("twice").and(session()).and(shop()).map(twice))
        .unify()
        .or(get("both").and(session()).and(shop()).map(both))
        .unify()
        .or(get("missing").and(session()).map(missing))
        .unify()
        .or(get("cookies").and(shop()).map(cookies))
        .unify()
        .or(get("stream").and(shop()).map(stream))
        .unify()
        .or(get("committed").and(shop()).then(committed))
        .unify()
        .or(get("ws").and(shop()).and(warp::ws()).map(websocket))
        .unify();
    let forms = post("fail")
        .and(shop())
        .and_then(fail)
        .or(post("redirect").and(shop()).map(redirect))
        .unify()
        .or(post("panic").and(shop()).map(panic))
        .unify()
        .or(post("slow").and(shop()).then(slow))
        .unify();
    let members = path!("members").and(guarded::<Shop, LoggedIn>()).and(stage.clone());
    let fresh = path!("fresh").and(guarded::<Shop, Within<300>>()).and(stage.clone());
    let guarded = members.map(guard).or(fresh.map(guard)).unify();
    let acts = act().or(path("nested").and(act())).unify();
    pages.or(forms).unify().or(guarded).unify().or(acts).unify().recover(recover).unify().boxed()
}

/// The path before the method, so that no path is a 404, and no 405.
fn get(name: &'static str) -> impl Filter<Extract = (), Error = warp::Rejection> + Copy {
    path(name).and(path::end()).and(warp::get())
}

fn post(name: &'static str) -> impl Filter<Extract = (), Error = warp::Rejection> + Copy {
    path(name).and(path::end()).and(warp::post())
}

async fn act(action: String, session: Session<Shop>, stage: Stage) -> Response {
    answer(stage.act(&session, &action).await)
}

fn guard<R>(session: Guard<Shop, R>, stage: Stage) -> Response {
    stage.visit(&session).into_response()
}

fn twice(one: Session<Shop>, other: Session<Shop>, stage: Stage) -> Response {
    stage.twice(&one, &other).into_response()
}

fn both(theme: Session<Theme>, shop: Session<Shop>, stage: Stage) -> Response {
    stage.both(&shop, &theme).into_response()
}

fn missing(_: Session<Missing>) -> Response {
    "there is a layer for it".into_response()
}

fn cookies(session: Session<Shop>, stage: Stage) -> Response {
    let reply = reply::with_header(stage.visit(&session), header::SET_COOKIE, "theme=dark");
    reply::with_header(reply, header::VARY, "Accept").into_response()
}

#[derive(Debug)]
struct Failed;

impl reject::Reject for Failed {}

/// A rejection that nobody recovers from is a 500.
async fn fail(session: Session<Shop>, stage: Stage) -> Result<Response, warp::Rejection> {
    stage.visit(&session);
    Err(reject::custom(Failed))
}

fn redirect(session: Session<Shop>, stage: Stage) -> Response {
    stage.login(&session);
    warp::redirect::see_other(Uri::from_static("/act/read")).into_response()
}

fn panic(session: Session<Shop>, stage: Stage) -> Response {
    stage.visit(&session);
    panic!("as the story wants it");
}

async fn slow(session: Session<Shop>, stage: Stage) -> Response {
    stage.visit(&session);
    stage.pause().await;
    "kept".into_response()
}

fn stream(session: Session<Shop>, stage: Stage) -> Response {
    stage.visit(&session);
    reply::stream(two_chunks(stage)).into_response()
}

async fn committed(session: Session<Shop>, stage: Stage) -> Response {
    stage.visit(&session);
    match session.commit().await {
        Ok(()) => reply::stream(two_chunks(stage)).into_response(),
        Err(error) => answer(Err(error)),
    }
}

fn two_chunks(stage: Stage) -> impl Stream<Item = Result<&'static str, Infallible>> {
    let first = stream::once(async { Ok("a") });
    let second = stream::once(async move {
        stage.pause().await;
        Ok("b")
    });
    first.chain(second)
}

fn websocket(session: Session<Shop>, stage: Stage, upgrade: Ws) -> Response {
    upgrade.on_upgrade(move |socket| talk(socket, stage, session)).into_response()
}

async fn talk(mut socket: WebSocket, stage: Stage, session: Session<Shop>) {
    while let Some(Ok(message)) = socket.next().await {
        let Ok(action) = message.to_str() else { continue };
        let answer = stage.act(&session, action).await;
        let answer = answer.unwrap_or_else(|_| "error".to_owned());
        if socket.send(Message::text(answer)).await.is_err() {
            return;
        }
    }
}

#[test]
fn filters_that_reject_share_the_session_with_those_that_follow() {
    let Watched { sessions, spied, .. } = Watched::new();
    let visit = || session::<Shop>().map(|session: Session<Shop>| Stage::default().visit(&session));
    let rejects = visit().and_then(async |_| Err::<String, _>(reject::custom(Failed)));
    let app = sessions.layer(warp::service(rejects.or(visit()).unify()));
    let address = crate::serve(|listener| serve(listener, TowerToHyperService::new(app)));
    let first = loopback::send(address, "GET", "/", "");
    assert_eq!((&*first.body, spied.take()), ("2", vec![Verb::Insert]));
    assert_eq!(loopback::send(address, "GET", "/", first.cookie()).body, "4");
    assert_eq!(spied.take(), [Verb::Load, Verb::Replace]);
}
