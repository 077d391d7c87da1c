//! Sessions without any framework and without any runtime: bytes in, strings
//! out. A server of the simplest kind, on the standard library alone, that
//! counts visits.
//!
//!     cargo run --example by-hand        # http://127.0.0.1:3000, or PORT

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use serde::{Deserialize, Serialize};
use typed_session::cookie::CookiePolicy;
use typed_session::store::MemoryStore;
use typed_session::{SessionData, SessionLayer};

#[derive(Default, Deserialize, Serialize)]
struct Visits {
    count: u64,
}

impl SessionData for Visits {}

type Sessions = SessionLayer<Visits, MemoryStore>;

fn main() -> io::Result<()> {
    let sessions =
        Sessions::new(MemoryStore::new()).cookie(CookiePolicy::dangerous_plain_http_on_localhost());
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("http://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        if let Err(error) = stream.and_then(|stream| answer(&sessions, stream)) {
            eprintln!("a connection failed: {error}");
        }
    }
    Ok(())
}

fn answer(sessions: &Sessions, mut stream: TcpStream) -> io::Result<()> {
    let cookies = cookies(&stream)?;
    let exchange = sessions.open(cookies.iter().map(Vec::as_slice));

    // What a handler does.
    let page = futures_executor::block_on(async {
        let session = exchange.session().await?;
        let count = session.update(|visits| {
            visits.count += 1;
            visits.count
        });
        Ok::<_, typed_session::Error>(format!("visit {count}, session {}\n", session.verdict()))
    });

    // What an adapter does: finish before the headers leave, then copy.
    let outcome = futures_executor::block_on(exchange.finish());
    let (status, body) = match (page, outcome.error) {
        (Ok(page), None) => (200, page),
        (Err(error), _) | (_, Some(error)) => (error.status(), error.public_message().into()),
    };
    write!(stream, "HTTP/1.1 {status} -\r\nContent-Length: {}\r\n", body.len())?;
    for header in outcome.effects.headers() {
        write!(stream, "{}: {}\r\n", header.name, header.value)?;
    }
    write!(stream, "Connection: close\r\n\r\n{body}")
}

/// The values of a request's `Cookie` fields.
fn cookies(stream: &TcpStream) -> io::Result<Vec<Vec<u8>>> {
    let mut cookies = Vec::new();
    for line in BufReader::new(stream).split(b'\n') {
        let line = line?;
        match line.split_first_chunk::<7>() {
            Some((name, value)) if name.eq_ignore_ascii_case(b"cookie:") => {
                cookies.push(value.trim_ascii().to_vec());
            }
            _ if line.trim_ascii().is_empty() => break,
            _ => {}
        }
    }
    Ok(cookies)
}
