//! For what the stories do not ask: a client, and sessions in a store that fails on demand.
#![allow(dead_code, reason = "not every framework needs all of it")]

use std::error::Error;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use typed_session::SessionLayer;
use typed_session::store::MemoryStore;
use typed_session::testing::adapter::Shop;
use typed_session::testing::{Faults, Faulty, Spied, Spy};

/// Sessions in a store that is watched, and fails on demand.
pub(crate) struct Watched {
    pub(crate) sessions: SessionLayer<Shop, Spy<Faulty<MemoryStore>>>,
    pub(crate) faults: Faults,
    pub(crate) spied: Spied,
}

impl Watched {
    pub(crate) fn new() -> Self {
        let store = Faulty::new(MemoryStore::new());
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
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&request).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a response");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
