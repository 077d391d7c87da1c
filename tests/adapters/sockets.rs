//! A WebSocket that is closed because its session has ended: axum, SQLite, a real connection.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{any, post};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt;
use typed_session::store::SqliteStore;
use typed_session::{Session, SessionData, SessionLayer, Subject, Verdict, Watch};

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Chat {
    user: Option<String>,
}

impl SessionData for Chat {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

/// One machine of several, on one database.
#[derive(Clone)]
struct Machine {
    app: Router,
    watch: Watch,
}

impl Machine {
    async fn new(pool: &SqlitePool) -> Self {
        let watch = Watch::new();
        let store = SqliteStore::new(pool.clone());
        store.migrate().await.unwrap();
        let sessions = SessionLayer::<Chat, _>::new(store).observer(watch.clone());
        let app = Router::new()
            .route(
                "/login",
                post(async |s: Session<Chat>| s.update(|s| s.user = Some("ann".into()))),
            )
            .route("/logout", post(async |s: Session<Chat>| s.end()))
            .route("/confirm", post(async |s: Session<Chat>| s.reauthenticate()))
            .route("/chat", any(chat))
            .layer(sessions)
            .with_state(watch.clone());
        Self { app, watch }
    }

    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, self.app.clone()).into_future());
        address
    }

    /// A request, and the cookie of its answer.
    async fn post(&self, path: &str, cookie: Option<&str>) -> String {
        let mut request = axum::http::Request::post(path);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        assert!(response.status().is_success());
        let line = response.headers()["set-cookie"].to_str().unwrap();
        line.split(';').next().unwrap().to_owned()
    }
}

async fn chat(
    session: Session<Chat>,
    State(watch): State<Watch>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(async move |socket| drop(talk(socket, session, watch).await))
}

/// Echoes until the session is over, and says then why.
async fn talk(
    mut socket: WebSocket,
    session: Session<Chat>,
    watch: Watch,
) -> Result<(), axum::Error> {
    let mut watcher = watch.watch(&session);
    loop {
        tokio::select! {
            biased;
            verdict = watcher.ended() => {
                let code = match verdict {
                    Verdict::Superseded => 4409, // the page opens another
                    _ => 4401,                   // the page shows the login
                };
                let reason = verdict.to_string().into();
                return socket.send(Message::Close(Some(CloseFrame { code, reason }))).await;
            }
            message = socket.recv() => match message {
                Some(message) => socket.send(message?).await?,
                None => return Ok(()),
            },
        }
    }
}

type Client = WebSocketStream<TcpStream>;

async fn connect(address: SocketAddr, cookie: &str) -> Client {
    let mut request = format!("ws://{address}/chat").into_client_request().unwrap();
    request.headers_mut().append("cookie", cookie.parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, _) = client_async(request, stream).await.unwrap();
    client.send(tungstenite::Message::text("hello")).await.unwrap();
    let echo = client.next().await.unwrap().unwrap();
    assert_eq!(echo.into_text().unwrap().as_str(), "hello");
    client
}

/// Waits until the server closes, and returns its code and reason.
async fn closed(client: &mut Client) -> (u16, String) {
    let message = tokio::time::timeout(Duration::from_secs(30), client.next());
    match message.await.expect("it is closed").unwrap().unwrap() {
        tungstenite::Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn asvs_4_4_4_a_websocket_is_closed_by_a_logout_here_or_on_another_machine() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("sessions.db"))
        .create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let (here, there) = (Machine::new(&pool).await, Machine::new(&pool).await);
    let address = here.serve().await;

    // On this machine, at once: nobody looks by the clock.
    let cookie = here.post("/login", None).await;
    let other = here.post("/login", None).await;
    let mut socket = connect(address, &cookie).await;
    let mut others = connect(address, &other).await;
    here.post("/logout", Some(&cookie)).await;
    assert_eq!(closed(&mut socket).await, (4401, "ended: logged out".to_owned()));

    // On another one, within the interval.
    let interval = Duration::from_millis(160);
    tokio::spawn(here.watch.clone().check_every(interval, tokio::time::sleep));
    there.post("/logout", Some(&other)).await;
    assert_eq!(closed(&mut others).await, (4401, "ended: logged out".to_owned()));

    // A login in the same browser, which takes another id: the socket was the old one's.
    let cookie = there.post("/login", None).await;
    let mut socket = connect(address, &cookie).await;
    let mut stays = connect(address, &here.post("/login", None).await).await;
    there.post("/confirm", Some(&cookie)).await;
    assert_eq!(closed(&mut socket).await, (4409, "superseded id".to_owned()));
    stays.send(tungstenite::Message::text("still")).await.unwrap();
    assert_eq!(stays.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "still");

    // Nothing is left of those that are gone.
    drop(stays);
    while !here.watch.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
