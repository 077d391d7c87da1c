//! Servers on loopback, and a client for what the stories do not ask.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;

use tokio::net::TcpListener;

/// Runs a server on a runtime and in a thread of its own until the process ends.
pub(crate) fn serve<F: Future>(
    server: impl FnOnce(TcpListener) -> F + Send + 'static,
) -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { server(TcpListener::from_std(listener).unwrap()).await });
    });
    address
}

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
    let mut stream = TcpStream::connect(address).unwrap();
    let end = "content-length: 0\r\nconnection: close";
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n{end}\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a response");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
