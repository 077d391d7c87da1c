//! The client: one request on one connection, every wait with a limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::carrier::{Carrier, Issued};

/// How the client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What a step of a story came to: a value, or what is wrong.
pub(super) type Check<T = ()> = Result<T, String>;

/// How long to wait for anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(pub(super) Duration);

impl Limit {
    pub(super) async fn on<T>(self, what: &str, future: impl Future<Output = T>) -> Check<T> {
        let done = tokio::time::timeout(self.0, future).await;
        done.map_err(|_| format!("{what}: {TIMEOUT} {:?}", self.0))
    }
}

/// What is said of a wait that was too long.
pub(super) const TIMEOUT: &str = "nothing within";

/// A connection to the application; dropped, it is closed at once.
pub(super) struct Connection {
    sender: Sender,
    driver: Arc<Driver>,
    limit: Limit,
}

/// The task that moves the bytes; dropped, it ends.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Sender {
    Http1(http1::SendRequest<String>),
    Http2(http2::SendRequest<String>),
}

impl Connection {
    pub(super) async fn open(address: SocketAddr, protocol: Protocol, limit: Limit) -> Check<Self> {
        let failed = |error: &dyn std::fmt::Display| format!("no connection: {error}");
        let stream = limit.on("connecting", TcpStream::connect(address)).await?;
        let stream = stream.map_err(|error| failed(&error))?;
        // Lest small frames wait for the acknowledgement of others.
        stream.set_nodelay(true).map_err(|error| failed(&error))?;
        let stream = TokioIo::new(stream);
        let (sender, driver) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) =
                    http1::handshake(stream).await.map_err(|error| failed(&error))?;
                (Sender::Http1(sender), tokio::spawn(async move { drop(connection.await) }))
            }
            Protocol::Http2 => {
                let shaking = http2::handshake(TokioExecutor::new(), stream);
                let (sender, connection) =
                    limit.on("HTTP/2 handshake", shaking).await?.map_err(|error| failed(&error))?;
                (Sender::Http2(sender), tokio::spawn(async move { drop(connection.await) }))
            }
        };
        Ok(Self { sender, driver: Arc::new(Driver(driver)), limit })
    }

    /// Sends a request, and waits for the head of its response.
    pub(super) async fn send(&mut self, request: &Ask<'_>) -> Check<Response<Incoming>> {
        let what = format!("{} {}", request.method, request.path);
        let failed = |error: hyper::Error| format!("{what}: no response: {}", chain(&error));
        let sent = async {
            match &mut self.sender {
                Sender::Http1(sender) => {
                    let request = request.build("")?;
                    sender.ready().await.map_err(failed)?;
                    sender.send_request(request).await.map_err(failed)
                }
                Sender::Http2(sender) => {
                    let request = request.build("http://127.0.0.1")?;
                    sender.ready().await.map_err(failed)?;
                    sender.send_request(request).await.map_err(failed)
                }
            }
        };
        self.limit.on(&what, sent).await?
    }

    /// The same connection once more, if it can carry requests side by side.
    pub(super) fn beside(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                driver: Arc::clone(&self.driver),
                limit: self.limit,
            }),
        }
    }
}

/// An error and its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) fields: Vec<(HeaderName, Vec<u8>)>,
}

impl Ask<'_> {
    fn build(&self, origin: &str) -> Check<Request<String>> {
        let broken = |error: http::Error| format!("the suite's own request is broken: {error}");
        let mut request =
            Request::builder().method(self.method).uri(format!("{origin}{}", self.path));
        if origin.is_empty() {
            request = request.header("host", "127.0.0.1");
        }
        let mut request = request.body(String::new()).map_err(broken)?;
        for (name, value) in &self.fields {
            let value = HeaderValue::from_bytes(value).map_err(|error| broken(error.into()))?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

/// A response whose head has come.
pub(super) struct Open {
    pub(super) head: Answer,
    body: Incoming,
    /// Held until the body is read.
    connection: Connection,
}

impl Open {
    pub(super) fn new(
        what: String,
        carrier: Carrier,
        response: Response<Incoming>,
        connection: Connection,
    ) -> Self {
        let (head, body) = response.into_parts();
        let head = Answer {
            what,
            carrier,
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::new(),
        };
        Self { head, body, connection }
    }

    /// Reads the body to its end.
    pub(super) async fn rest(self) -> Check<Answer> {
        self.rest_and_connection().await.map(|(answer, _)| answer)
    }

    /// Reads the body to its end, and returns the connection for the next request.
    pub(super) async fn rest_and_connection(self) -> Check<(Answer, Connection)> {
        let Self { mut head, body, connection } = self;
        let what = format!("{}: the body", head.what);
        let body = connection.limit.on(&what, body.collect()).await?;
        let body = body.map_err(|error| format!("{what} breaks off: {}", chain(&error)))?;
        head.body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok((head, connection))
    }
}

/// A response.
#[derive(Clone)]
pub(super) struct Answer {
    /// The request.
    pub(super) what: String,
    /// How the ids of the shop's sessions travel.
    pub(super) carrier: Carrier,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    /// Checks the status.
    pub(super) fn is(self, status: u16) -> Check<Self> {
        if self.status == status {
            return Ok(self);
        }
        Err(format!("{}: status {}, not {status}", self.what, self.status))
    }

    /// Checks the body.
    pub(super) fn says(self, text: &str) -> Check<Self> {
        if self.body == text {
            return Ok(self);
        }
        Err(format!("{}: the body is {:?}, not {text:?}", self.what, self.body))
    }

    /// Checks anything.
    pub(super) fn holds(self, condition: impl FnOnce(&Self) -> bool, else_: &str) -> Check<Self> {
        if condition(&self) {
            return Ok(self);
        }
        Err(format!("{}: {else_}", self.what))
    }

    /// Returns all values of a header, as text.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// Tells whether `Vary` names the header that carries the id.
    pub(super) fn varies(&self) -> bool {
        self.varies_by(self.carrier.request_header().as_str())
    }

    /// Tells whether `Vary` names a header.
    pub(super) fn varies_by(&self, name: &str) -> bool {
        let values = self.values("vary");
        values
            .iter()
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(name))
    }

    /// Tells whether no cache may keep it.
    pub(super) fn is_no_store(&self) -> bool {
        self.values("cache-control") == ["no-store"]
    }

    /// Returns what it does to the id of the shop's session.
    pub(super) fn issued(&self) -> Check<Issued> {
        self.carrier.issued(self)
    }

    /// Checks that it has a new id.
    pub(super) fn issues_id(self) -> Check<Self> {
        match self.issued()? {
            Issued::Id(_) => Ok(self),
            other => Err(format!("{}: a new id was expected, not {other:?}", self.what)),
        }
    }

    /// Checks that it leaves the client's id alone.
    pub(super) fn issues_nothing(self) -> Check<Self> {
        match self.issued()? {
            Issued::Nothing => Ok(self),
            other => Err(format!("{}: no new id was expected, not {other:?}", self.what)),
        }
    }

    /// Checks that it removes the client's id.
    pub(super) fn removes_id(self) -> Check<Self> {
        match self.issued()? {
            Issued::Removal => Ok(self),
            other => Err(format!("{}: the removal was expected, not {other:?}", self.what)),
        }
    }
}
