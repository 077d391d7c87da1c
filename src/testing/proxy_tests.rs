//! Each fault, on an echo server.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A server that says what it was told, and counts it.
struct Echo {
    address: SocketAddr,
    heard: Arc<AtomicUsize>,
}

fn echo() -> Echo {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&heard);
    thread::spawn(move || {
        for client in server.incoming() {
            let (mut client, heard) = (client.unwrap(), Arc::clone(&counts));
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    heard.fetch_add(read, Ordering::SeqCst);
                    if client.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    Echo { address, heard }
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    client.set_nodelay(true).unwrap();
    client
}

/// What comes back, if anything does.
fn ask(client: &mut TcpStream, text: &str) -> io::Result<String> {
    client.write_all(text.as_bytes())?;
    let mut buffer = [0; 64];
    let read = client.read(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
}

fn is_closed(outcome: &io::Result<String>) -> bool {
    match outcome {
        Ok(text) => text.is_empty(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    }
}

fn is_silent(outcome: &io::Result<String>) -> bool {
    !is_closed(outcome) && outcome.is_err()
}

#[test]
fn what_is_said_is_passed_on_both_ways() {
    let echo = echo();
    let proxy = Proxy::start(echo.address).unwrap();
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    assert_eq!(ask(&mut one, "hello").unwrap(), "hello");
    assert_eq!(ask(&mut other, "there").unwrap(), "there");
    assert_eq!((echo.heard.load(Ordering::SeqCst), proxy.connections()), (10, 2));
    drop(one);
    while proxy.connections() == 2 {
        thread::yield_now();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a delay is measured")]
fn a_reply_is_delayed_until_the_delay_is_over() {
    let proxy = Proxy::start(echo().address).unwrap();
    let mut client = connect(&proxy);
    assert_eq!(ask(&mut client, "a").unwrap(), "a");
    let delay = Duration::from_millis(60);
    proxy.delay(delay);
    let begun = std::time::Instant::now();
    assert_eq!(ask(&mut client, "b").unwrap(), "b");
    assert!(begun.elapsed() >= delay);
    proxy.delay(Duration::from_secs(3600));
    let late = ask(&mut client, "c");
    assert!(is_silent(&late), "{late:?}");
    proxy.pass();
    let mut buffer = [0; 9];
    assert_eq!(client.read(&mut buffer).unwrap(), 1, "it comes at last");
}

#[test]
fn a_cut_closes_what_is_open_and_serves_what_is_new() {
    let proxy = Proxy::start(echo().address).unwrap();
    let mut client = connect(&proxy);
    assert_eq!(ask(&mut client, "a").unwrap(), "a");
    proxy.cut();
    assert!(is_closed(&ask(&mut client, "b")));
    assert_eq!(ask(&mut connect(&proxy), "c").unwrap(), "c");
}

#[test]
fn where_connections_are_refused_there_is_nobody() {
    let proxy = Proxy::start(echo().address).unwrap();
    let mut client = connect(&proxy);
    assert_eq!(ask(&mut client, "a").unwrap(), "a");
    proxy.refuse();
    assert!(is_closed(&ask(&mut client, "b")));
    let refused = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    proxy.pass();
    assert_eq!(ask(&mut connect(&proxy), "c").unwrap(), "c");
}

#[test]
fn a_proxy_that_hangs_answers_nobody_and_the_server_hears_nothing() {
    let echo = echo();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    assert_eq!(ask(&mut client, "a").unwrap(), "a");
    proxy.hang();
    assert!(is_silent(&ask(&mut client, "b")));
    let mut new = connect(&proxy);
    assert!(is_silent(&ask(&mut new, "c")));
    assert_eq!(echo.heard.load(Ordering::SeqCst), 1);
    proxy.pass();
    assert!(is_closed(&ask(&mut client, "d")) && is_closed(&ask(&mut new, "e")));
    assert_eq!(ask(&mut connect(&proxy), "f").unwrap(), "f");
}

#[test]
fn a_connection_that_said_nothing_while_the_proxy_hung_goes_on() {
    let proxy = Proxy::start(echo().address).unwrap();
    let mut old = connect(&proxy);
    assert_eq!(ask(&mut old, "a").unwrap(), "a");
    proxy.hang();
    let mut new = connect(&proxy);
    proxy.pass();
    assert_eq!(ask(&mut old, "b").unwrap(), "b");
    assert_eq!(ask(&mut new, "c").unwrap(), "c");
}

#[test]
fn a_lost_reply_is_of_a_message_that_arrived() {
    let echo = echo();
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = connect(&proxy);
    proxy.lose_reply("");
    assert!(is_closed(&ask(&mut client, "abc")));
    assert_eq!((echo.heard.load(Ordering::SeqCst), proxy.lost()), (3, 1));
    assert_eq!(ask(&mut connect(&proxy), "d").unwrap(), "d", "one is lost and no more");
}

#[test]
fn only_the_reply_to_the_marked_message_is_lost() {
    let proxy = Proxy::start(echo().address).unwrap();
    let (mut ping, mut write) = (connect(&proxy), connect(&proxy));
    proxy.lose_reply("UPDATE");
    assert_eq!(ask(&mut ping, "PING").unwrap(), "PING");
    assert_eq!(ask(&mut write, "UP").unwrap(), "UP");
    assert!(is_closed(&ask(&mut write, "DATE sessions")), "the marker is in two pieces");
    assert_eq!(ask(&mut ping, "PING").unwrap(), "PING");
    assert_eq!(proxy.lost(), 1);
}

#[test]
fn a_server_that_is_not_there_closes_the_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(nobody).unwrap();
    assert!(is_closed(&ask(&mut connect(&proxy), "a")));
}

#[test]
fn a_dropped_proxy_leaves_no_connection_and_no_port() {
    let proxy = Proxy::start(echo().address).unwrap();
    let address = proxy.address();
    let mut client = connect(&proxy);
    assert_eq!(ask(&mut client, "a").unwrap(), "a");
    proxy.hang();
    drop(proxy);
    assert!(is_closed(&ask(&mut client, "b")));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_round_trip_is_counted_once_however_many_pieces_it_is_sent_in() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(server.local_addr().unwrap()).unwrap();
    let mut client = connect(&proxy);
    let (mut there, _) = server.accept().unwrap();
    assert_eq!(proxy.round_trips(), 0);
    let mut buffer = [0; 64];
    for trip in 1..=3 {
        for piece in ["a", "b"] {
            client.write_all(piece.as_bytes()).unwrap();
            // The piece is through before the next one is sent.
            assert_eq!(there.read(&mut buffer).unwrap(), 1);
        }
        assert_eq!(proxy.round_trips(), trip);
        there.write_all(b"answer").unwrap();
        assert_eq!(client.read(&mut buffer).unwrap(), 6);
        assert_eq!(proxy.round_trips(), trip);
    }
}
