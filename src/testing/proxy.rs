//! A proxy between a store's driver and its server, which does what networks do.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use typed_session::testing::proxy::Proxy;
//!
//! # fn main() -> std::io::Result<()> {
//! let server = TcpListener::bind("127.0.0.1:0")?;
//! # let address = server.local_addr()?;
//! # std::thread::spawn(move || {
//! #     for client in server.incoming() {
//! #         let mut client = client.unwrap();
//! #         std::thread::spawn(move || std::io::copy(&mut client.try_clone().unwrap(), &mut client));
//! #     }
//! # });
//! # let ask = |client: &mut TcpStream, text: &str| -> std::io::Result<usize> {
//! #     client.write_all(text.as_bytes())?;
//! #     client.read(&mut [0; 9])
//! # };
//! let proxy = Proxy::start(address)?; // and the driver connects to proxy.address()
//! let mut client = TcpStream::connect(proxy.address())?;
//! assert_eq!(ask(&mut client, "one")?, 3);
//!
//! // The server gets the next message that contains "two"; its answer is lost.
//! proxy.lose_reply("two");
//! assert_eq!(ask(&mut client, "one")?, 3);
//! assert_eq!(ask(&mut client, "two").unwrap_or(0), 0);
//! assert_eq!(proxy.lost(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! It is made of threads and blocking sockets, knows no protocol, and sends small
//! messages at once (`TCP_NODELAY`). A proxy that is dropped closes all its
//! connections and waits for its threads.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A proxy on a port of its own before one server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

/// What it does with connections and bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Pass,
    Delay(Duration),
    Refuse,
    Hang,
    /// The proxy was dropped.
    Over,
}

#[derive(Debug)]
struct Shared {
    server: Vec<SocketAddr>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// Whether the port is open.
    listens: bool,
    connections: Vec<Connection>,
    next: u64,
    /// What the message contains whose reply gets lost.
    losses: Vec<Vec<u8>>,
    lost: usize,
    round_trips: u64,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    client: TcpStream,
    /// As soon as there is one.
    server: Option<TcpStream>,
    /// The reply to what was sent last gets lost.
    loses: bool,
    /// Bytes were swallowed, so nothing sensible can follow.
    broken: bool,
    /// The client spoke last.
    asks: bool,
}

impl Connection {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        if let Some(server) = &self.server {
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}

/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);

impl Proxy {
    /// Starts a proxy on a free port of the loopback interface; it passes everything.
    ///
    /// # Errors
    ///
    /// The server's name is unknown, or there is no free port.
    pub fn start(server: impl ToSocketAddrs) -> io::Result<Self> {
        let server = server.to_socket_addrs()?.collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            state: Mutex::new(State {
                mode: Mode::Pass,
                listens: true,
                connections: Vec::new(),
                next: 0,
                losses: Vec::new(),
                lost: 0,
                round_trips: 0,
                threads: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let listening = Arc::clone(&shared);
        let listening = thread::spawn(move || listening.listen(address, listener));
        Ok(Self { address, shared, listening: Some(listening) })
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes everything on, as in the beginning. Connections whose bytes were
    /// swallowed are closed.
    pub fn pass(&self) {
        self.set(Mode::Pass, |connection| connection.broken);
    }

    /// Passes everything on, each of the server's messages this much later.
    pub fn delay(&self, duration: Duration) {
        self.set(Mode::Delay(duration), |connection| connection.broken);
    }

    /// Closes all connections, on both sides. New ones are served.
    pub fn cut(&self) {
        for connection in self.shared.state().connections.drain(..) {
            connection.close();
        }
        self.shared.changed.notify_all();
    }

    /// Closes all connections and the port, until [`pass`](Self::pass): new ones are
    /// refused, as if no server were running.
    pub fn refuse(&self) {
        self.set(Mode::Refuse, |_| true);
    }

    /// Accepts connections and swallows every byte, until [`pass`](Self::pass): a
    /// server, or a network, that answers nothing.
    pub fn hang(&self) {
        self.set(Mode::Hang, |_| false);
    }

    /// Loses the reply to the next message that contains `marker`, once: the message
    /// reaches the server, and as soon as its reply has come to the proxy, which is when
    /// it was done, the connection is closed on both sides.
    ///
    /// An empty marker is in every message. The reply is what the server sends after
    /// the message; so where a driver sends several requests without waiting, it may
    /// be that to an earlier one. Choose as marker what is in the write alone, as a word
    /// in the session's data: a statement's text is often sent without its values, to
    /// be prepared. Called twice, it loses two replies; any other fault takes back what
    /// was asked for.
    pub fn lose_reply(&self, marker: impl AsRef<[u8]>) {
        self.shared.state().losses.push(marker.as_ref().to_vec());
    }

    /// Returns how many replies were lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.shared.state().lost
    }

    /// Returns how many round trips were begun: how often a client has spoken to whom the
    /// server had spoken last, or nobody had.
    ///
    /// What a client sends without waiting for an answer is one, whatever it is.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.shared.state().round_trips
    }

    /// Returns how many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Takes the new mode, closes some connections, and waits until the port is open
    /// or closed accordingly.
    fn set(&self, mode: Mode, closes: impl Fn(&Connection) -> bool) {
        let mut state = self.shared.state();
        state.mode = mode;
        state.losses.clear();
        state.connections.retain(|connection| {
            let closes = closes(connection);
            if closes {
                connection.close();
            }
            !closes
        });
        self.shared.changed.notify_all();
        let listens = !matches!(mode, Mode::Refuse | Mode::Over);
        while state.listens != listens {
            if !listens {
                drop(state);
                // Wakes the thread that waits for a connection.
                let _ = TcpStream::connect_timeout(&self.address, CONNECT);
                state = self.shared.state();
                if state.listens == listens {
                    break;
                }
            }
            state = self.shared.wait(state, Duration::from_millis(50));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::Over, |_| true);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
        let threads = std::mem::take(&mut self.shared.state().threads);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, at_most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn listen(self: Arc<Self>, address: SocketAddr, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let mode = self.state().mode;
            match (mode, &listener) {
                (Mode::Over, _) => break,
                (Mode::Refuse, _) => {
                    listener = None;
                    let mut state = self.state();
                    state.listens = false;
                    self.changed.notify_all();
                    while state.mode == Mode::Refuse {
                        state = self.wait(state, Duration::from_millis(50));
                    }
                }
                (_, None) => match TcpListener::bind(address) {
                    Ok(bound) => {
                        listener = Some(bound);
                        self.state().listens = true;
                        self.changed.notify_all();
                    }
                    // The port is not free yet.
                    Err(_) => drop(self.wait(self.state(), Duration::from_millis(10))),
                },
                (_, Some(open)) => {
                    if let Ok((client, _)) = open.accept() {
                        self.accepted(client);
                    }
                }
            }
        }
        drop(listener);
        self.state().listens = false;
        self.changed.notify_all();
    }

    fn accepted(self: &Arc<Self>, client: TcpStream) {
        let _ = client.set_nodelay(true);
        let Ok(ours) = client.try_clone() else { return };
        let mut state = self.state();
        if matches!(state.mode, Mode::Refuse | Mode::Over) {
            return;
        }
        let number = state.next;
        state.next += 1;
        let connection = Connection {
            number,
            client: ours,
            server: None,
            loses: false,
            broken: false,
            asks: false,
        };
        state.connections.push(connection);
        state.threads.retain(|thread| !thread.is_finished());
        let shared = Arc::clone(self);
        state.threads.push(thread::spawn(move || {
            let _ = shared.serve(number, client);
            shared.close(number);
        }));
    }

    fn close(&self, number: u64) {
        let mut state = self.state();
        state.connections.retain(|connection| {
            let closes = connection.number == number;
            if closes {
                connection.close();
            }
            !closes
        });
        self.changed.notify_all();
    }

    /// Passes on what the client says, and starts to pass on what the server does.
    fn serve(self: &Arc<Self>, number: u64, mut client: TcpStream) -> io::Result<()> {
        let mut server: Option<TcpStream> = None;
        let mut buffer = vec![0; 1 << 16];
        // The end of what was said before, as a marker may be in two pieces.
        let mut tail: Vec<u8> = Vec::new();
        let mut replies = None;
        if self.state().mode != Mode::Hang {
            // Some servers speak first.
            server = Some(self.connect(number, &client, &mut replies)?);
        }
        let outcome = loop {
            let read = match client.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(read) => read,
                Err(error) => break Err(error),
            };
            {
                let mut state = self.state();
                let State { mode, losses, connections, round_trips, .. } = &mut *state;
                let Some(ours) = connections.iter_mut().find(|one| one.number == number) else {
                    break Ok(());
                };
                if *mode == Mode::Hang || ours.broken {
                    ours.broken = true;
                    continue;
                }
                if !ours.asks {
                    ours.asks = true;
                    *round_trips += 1;
                }
                tail.extend_from_slice(&buffer[..read]);
                let hit = losses.iter().position(|marker| contains(&tail, marker));
                if let Some(hit) = hit {
                    losses.remove(hit);
                    ours.loses = true;
                    tail.clear();
                }
                let longest = losses.iter().map(Vec::len).max().unwrap_or(0);
                tail.drain(..tail.len().saturating_sub(longest.max(LONGEST)));
            }
            let server = match &mut server {
                Some(server) => server,
                none => none.insert(self.connect(number, &client, &mut replies)?),
            };
            if let Err(error) = server.write_all(&buffer[..read]) {
                break Err(error);
            }
        };
        self.close(number);
        if let Some(replies) = replies {
            let _ = JoinHandle::join(replies);
        }
        outcome
    }

    fn connect(
        self: &Arc<Self>,
        number: u64,
        client: &TcpStream,
        replies: &mut Option<JoinHandle<()>>,
    ) -> io::Result<TcpStream> {
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &self.server {
            match TcpStream::connect_timeout(address, CONNECT) {
                Ok(server) => {
                    server.set_nodelay(true)?;
                    let (ours, theirs) = (server.try_clone()?, server.try_clone()?);
                    let mut state = self.state();
                    let mut connections = state.connections.iter_mut();
                    let Some(connection) = connections.find(|one| one.number == number) else {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    };
                    connection.server = Some(ours);
                    let (shared, client) = (Arc::clone(self), client.try_clone()?);
                    *replies = Some(thread::spawn(move || {
                        let _ = shared.reply(number, theirs, client);
                        shared.close(number);
                    }));
                    return Ok(server);
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Passes on what the server says.
    fn reply(&self, number: u64, mut server: TcpStream, mut client: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = server.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            {
                let mut state = self.state();
                if let Mode::Delay(duration) = state.mode {
                    state = self.delayed(state, duration);
                }
                let State { mode, connections, lost, .. } = &mut *state;
                let Some(ours) = connections.iter_mut().find(|one| one.number == number) else {
                    return Ok(());
                };
                if ours.loses {
                    *lost += 1;
                    return Ok(());
                }
                if *mode == Mode::Hang || ours.broken {
                    ours.broken = true;
                    continue;
                }
                // Before the client has it, and may speak again.
                ours.asks = false;
            }
            client.write_all(&buffer[..read])?;
        }
    }

    /// Waits, unless the delay is over before that.
    #[expect(clippy::disallowed_methods, reason = "a real delay on real sockets")]
    fn delayed<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        duration: Duration,
    ) -> MutexGuard<'a, State> {
        let until = std::time::Instant::now() + duration;
        while matches!(state.mode, Mode::Delay(_)) {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wait(state, left);
        }
        state
    }
}

/// How much is remembered of what was said, so that a marker that is in two pieces is
/// found also if it is asked for in between.
const LONGEST: usize = 64;

fn contains(bytes: &[u8], marker: &[u8]) -> bool {
    marker.is_empty() || bytes.windows(marker.len()).any(|window| window == marker)
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
