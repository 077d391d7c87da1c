//! For what the stories do not ask: a client, and sessions in a store that fails on demand.
#![allow(dead_code, reason = "not every framework needs all of it")]

use std::error::Error;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use typed_session::store::MemoryStore;
use typed_session::testing::adapter::{Shop, TestStore};
use typed_session::testing::{Faults, Faulty, Spied, Spy};
use typed_session::{Session, SessionLayer};

/// Sessions in a store that is watched, and fails on demand.
pub(crate) struct Watched {
    pub(crate) sessions: SessionLayer<Shop, TestStore>,
    pub(crate) faults: Faults,
    pub(crate) spied: Spied,
}

impl Watched {
    pub(crate) fn new() -> Self {
        let store = Faulty::new(Arc::new(MemoryStore::new()));
        let faults = store.faults();
        let store = Spy::new(store);
        let spied = store.handle();
        Self { sessions: SessionLayer::new(store), faults, spied }
    }
}

/// An error of an application.
#[derive(Debug)]
pub(crate) struct SoldOut;

impl fmt::Display for SoldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sold out")
    }
}

impl Error for SoldOut {}

/// What a server has answered.
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
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The values of all fields of a name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect()
    }

    /// The cookie that the session has set, as the next request sends it.
    #[track_caller]
    pub(crate) fn cookie(&self) -> &str {
        match self.values("set-cookie").as_slice() {
            [one] => one.split(';').next().unwrap(),
            _ => panic!("not one cookie in {self:?}"),
        }
    }
}

/// Sends a request on a connection of its own.
#[track_caller]
pub(crate) fn send(address: SocketAddr, method: &str, path: &str, cookie: &str) -> Answer {
    send_fields(address, method, path, &[format!("cookie: {cookie}").as_bytes()])
}

/// Sends a request with these lines in its head.
#[track_caller]
pub(crate) fn send_fields(
    address: SocketAddr,
    method: &str,
    path: &str,
    fields: &[&[u8]],
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
    let end: [&[u8]; 3] = [b"content-length: 0", b"connection: close", b""];
    for field in fields.iter().chain(&end) {
        request.extend_from_slice(field);
        request.extend_from_slice(b"\r\n");
    }
    let mut stream = connect(address);
    stream.write_all(&request).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    Answer::read(&text)
}

/// Opens a WebSocket, and returns the head of the answer.
#[track_caller]
pub(crate) fn upgrade(address: SocketAddr, path: &str) -> Answer {
    let mut stream = connect(address);
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
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

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// A listener on a port that was free.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Counts a visit, and returns how many there were.
pub(crate) fn visit(session: &Session<Shop>) -> String {
    session.update(|shop| {
        shop.visits += 1;
        shop.visits.to_string()
    })
}
