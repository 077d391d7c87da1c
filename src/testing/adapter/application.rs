use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use futures_util::stream::{self, StreamExt};
use tokio::runtime::Runtime;
use typed_session::testing::adapter::{Missing, Setup, Shop, Stage, Suite, Theme};
use typed_session::{Authenticated, AuthenticatedWithin, Error, Session};

#[test]
fn axum_comes_true() {
    Suite::new().run(start);
}

/// Starts the application in threads of its own, and returns where it listens.
fn start(setup: Setup) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(|| {
        Runtime::new().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app(setup)).await.unwrap();
        });
    });
    address
}

fn app(setup: Setup) -> Router {
    let Setup { sessions, themes, stage, .. } = setup;
    let nested = Router::new().route("/act/{action}", any(act)).layer(sessions.clone());
    routes().nest("/nested", nested).layer(sessions).layer(themes).with_state(stage)
}

pub(crate) fn routes() -> Router<Stage> {
    Router::new()
        .route("/act/{action}", any(act))
        .route("/plain", get(async || "plain"))
        .route("/twice", get(twice))
        .route("/both", get(both))
        .route("/missing", get(async |_: Session<Missing>| "there is a layer for it"))
        .route("/cookies", get(cookies))
        .route("/fail", post(fail))
        .route("/members", any(members))
        .route("/fresh", any(fresh))
        .route("/redirect", post(redirect))
        .route("/panic", post(panic))
        .route("/slow", post(slow))
        .route("/stream", get(stream))
        .route("/committed", get(committed))
        .route("/ws", any(websocket))
}

pub(crate) async fn act(
    State(stage): State<Stage>,
    session: Session<Shop>,
    Path(action): Path<String>,
) -> Result<String, Error> {
    stage.act(&session, &action).await
}

async fn twice(State(stage): State<Stage>, one: Session<Shop>, other: Session<Shop>) -> String {
    stage.twice(&one, &other)
}

async fn both(State(stage): State<Stage>, shop: Session<Shop>, theme: Session<Theme>) -> String {
    stage.both(&shop, &theme)
}

async fn cookies(State(stage): State<Stage>, session: Session<Shop>) -> impl IntoResponse {
    let headers = AppendHeaders([("set-cookie", "theme=dark"), ("vary", "Accept")]);
    (headers, stage.visit(&session))
}

async fn fail(State(stage): State<Stage>, session: Session<Shop>) -> StatusCode {
    stage.visit(&session);
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn members(State(stage): State<Stage>, session: Authenticated<Shop>) -> String {
    stage.visit(&session)
}

async fn fresh(State(stage): State<Stage>, session: AuthenticatedWithin<Shop, 300>) -> String {
    stage.visit(&session)
}

async fn redirect(State(stage): State<Stage>, session: Session<Shop>) -> Redirect {
    stage.login(&session);
    Redirect::to("/act/read")
}

async fn panic(State(stage): State<Stage>, session: Session<Shop>) {
    stage.visit(&session);
    panic!("as the story wants it");
}

async fn slow(State(stage): State<Stage>, session: Session<Shop>) -> &'static str {
    stage.visit(&session);
    stage.pause().await;
    "kept"
}

async fn stream(State(stage): State<Stage>, session: Session<Shop>) -> Body {
    stage.visit(&session);
    two_chunks(stage)
}

async fn committed(State(stage): State<Stage>, session: Session<Shop>) -> Result<Body, Error> {
    stage.visit(&session);
    session.commit().await?;
    Ok(two_chunks(stage))
}

fn two_chunks(stage: Stage) -> Body {
    let first = stream::once(async { Ok::<_, Infallible>("a") });
    let second = stream::once(async move {
        stage.pause().await;
        Ok("b")
    });
    Body::from_stream(first.chain(second))
}

async fn websocket(
    State(stage): State<Stage>,
    session: Session<Shop>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |socket| talk(socket, stage, session))
}

async fn talk(mut socket: WebSocket, stage: Stage, session: Session<Shop>) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(action) = message else { continue };
        let answer = stage.act(&session, &action).await;
        let answer = answer.unwrap_or_else(|_| "error".to_owned());
        if socket.send(Message::text(answer)).await.is_err() {
            return;
        }
    }
}
