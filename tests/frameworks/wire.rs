//! What the tests of a framework's own share: a client that speaks HTTP/1.1 in bytes, a layer. The
//! stories have theirs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use typed_session::store::MemoryStore;
use typed_session::testing::adapter::{Shop, TestStore};
use typed_session::testing::{Faults, Faulty, Spied, Spy};
use typed_session::{Session, SessionLayer};

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    head: String,
}

impl Answer {
    #[track_caller]
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a response");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, body: body.to_owned(), head: head.to_owned() }
    }

    /// The values of a header, whose name is given in lower case.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|line| line.0.eq_ignore_ascii_case(name)).map(|line| line.1).collect()
    }

    /// The one cookie that the response sets, as a request carries it.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        let lines = self.all("set-cookie");
        assert_eq!(lines.len(), 1, "{self:?}");
        lines[0].split(';').next().unwrap().to_owned()
    }
}

/// Sends a request on a connection of its own.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, line: &str, cookie: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: 0\r\nCookie: {cookie}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Answer::read(&String::from_utf8(bytes).unwrap())
}

/// Opens a WebSocket, and returns the head of the answer.
#[track_caller]
pub(crate) fn upgrade(address: SocketAddr, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    Answer::read(&String::from_utf8(head).unwrap())
}

/// A store that is watched and fails on demand, in a layer.
pub(crate) fn sessions() -> (SessionLayer<Shop, TestStore>, Spied, Faults) {
    let faulty = Faulty::new(Arc::new(MemoryStore::new()));
    let faults = faulty.faults();
    let store = Spy::new(faulty);
    let spied = store.handle();
    (SessionLayer::new(store), spied, faults)
}

/// Counts a visit, and returns how many there were.
pub(crate) fn visit(session: &Session<Shop>) -> String {
    session.update(|shop| {
        shop.visits += 1;
        shop.visits.to_string()
    })
}

/// A listener on a port that was free.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
