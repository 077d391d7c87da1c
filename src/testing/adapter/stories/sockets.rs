//! WebSockets.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::testing::adapter::client::{Check, Limit};
use crate::testing::adapter::scene::{Scene, Visitor};

pub(super) async fn socket(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    let mut socket = Socket::open(&visitor).await?;
    socket.says("read", "1").await?;
    // What others change meanwhile is there after the next commit.
    visitor.act("visit").await?.is(200)?.says("2")?;
    socket.says("transact", "3").await?;
    visitor.reads("read", "3").await?;
    socket.says("commit", "4").await?;
    visitor.reads("read", "4").await?;
    // An outage is a word, and not the end.
    scene.commits_fail();
    socket.says("transact", "error").await?;
    scene.faults.clear();
    socket.says("transact", "5").await?;
    visitor.reads("read", "5").await?;
    // After the logout it can change nothing any more.
    visitor.clone().act("logout").await?.is(200)?.removes_id()?;
    socket.says("transact", "error").await?;
    visitor.reads("read", "0").await
}

pub(super) async fn login(scene: &Scene) -> Check {
    let visitor = scene.guest().await?;
    let mut socket = Socket::open(&visitor).await?;
    socket.says("login", "1").await?;
    // Nothing is stored before the commit.
    visitor.reads("user", "").await?;
    visitor.reads("read", "1").await?;
    socket.says("commit", "2").await?;
    socket.says("user", "bob").await?;
    // The id is another one now, and nothing could carry it to the client.
    visitor.reads("verdict", "superseded id").await?;
    visitor.reads("user", "").await?;
    visitor.act("visit").await?.is(409)?.issues_nothing().map(drop)
}

struct Socket {
    stream: WebSocketStream<TcpStream>,
    limit: Limit,
}

impl Socket {
    async fn open(visitor: &Visitor<'_>) -> Check<Self> {
        let failed = |error: &dyn std::fmt::Display| format!("GET /ws: no WebSocket: {error}");
        let (address, limit) = (visitor.scene.address(), visitor.scene.limit);
        let request = format!("ws://{address}/ws").into_client_request();
        let mut request = request.map_err(|error| failed(&error))?;
        for (name, value) in visitor.fields() {
            let value = value
                .try_into()
                .map_err(|error: http::header::InvalidHeaderValue| failed(&error))?;
            request.headers_mut().append(name, value);
        }
        let stream = limit.on("connecting", TcpStream::connect(address)).await?;
        let stream = stream.map_err(|error| failed(&error))?;
        let opened = limit.on("GET /ws", client_async(request, stream)).await?;
        let (stream, response) = opened.map_err(|error| failed(&error))?;
        if response.headers().contains_key(visitor.scene.shop.response_header()) {
            return Err("GET /ws: a new id, and nothing was changed".to_owned());
        }
        Ok(Self { stream, limit })
    }

    /// Sends an action and checks the answer.
    async fn says(&mut self, action: &str, expected: &str) -> Check {
        let broken = |error: &dyn std::fmt::Display| format!("WebSocket, {action}: {error}");
        let sent = self.stream.send(Message::text(action));
        self.limit.on(action, sent).await?.map_err(|error| broken(&error))?;
        loop {
            let message = self.limit.on(&broken(&"no answer"), self.stream.next()).await?;
            let message = message.ok_or_else(|| broken(&"it was closed"))?;
            match message.map_err(|error| broken(&error))? {
                Message::Text(text) if text.as_str() == expected => return Ok(()),
                Message::Text(text) => {
                    return Err(broken(&format!("{:?}, not {expected:?}", text.as_str())));
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => return Err(broken(&format!("an answer that is no text: {other:?}"))),
            }
        }
    }
}
