//! What every program of the shop does at its start and at its end, on tokio.

use std::env::{self, VarError};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use typed_session::cookie::CookiePolicy;
use typed_session::store::{DynStore, TimeLimit};
use typed_session::{ClientPolicy, Clock, SessionLayer, SystemClock, Timestamp, TracingObserver};

use crate::{Failure, Shop};

/// The layer of the shop's sessions, with any store, chosen when the shop opens.
pub type Sessions = SessionLayer<Shop, TimeLimit<DynStore>>;

/// A shop that is ready to serve.
pub struct Open {
    address: SocketAddr,
    store: DynStore,
    sessions: Sessions,
}

/// Reads the settings, and prepares the sessions. What these report is printed to stderr.
///
/// | variable | default | |
/// | --- | --- | --- |
/// | `PORT` | 3000 | on 127.0.0.1; any free one for 0 |
/// | `DATABASE_URL` | the SQLite file `shop.db` | where sessions live, in any store that is built in; so they survive a restart |
/// | `SECONDS_AHEAD` | 0 | by how much the shop's clock is ahead: to see sessions expire without waiting |
/// | `PUBLIC_URL` | none | where browsers see the shop; with `https://`, because a proxy in front does TLS, the cookie is the default one, `__Host-session` |
///
/// # Errors
///
/// A setting that makes no sense, or a store that does not answer.
pub async fn open() -> Result<Open, Failure> {
    // A program may have a subscriber of its own; then that one is told.
    tracing_subscriber::fmt().with_writer(std::io::stderr).try_init().ok();

    let port = setting("PORT")?.unwrap_or_else(|| "3000".to_owned());
    let port: u16 = port.parse().map_err(|error| Failure::new("PORT", error))?;
    let ahead = setting("SECONDS_AHEAD")?.unwrap_or_else(|| "0".to_owned());
    let ahead = ahead.parse().map_err(|error| Failure::new("SECONDS_AHEAD", error))?;
    let ahead = Duration::from_secs(ahead);
    let url = setting("DATABASE_URL")?.unwrap_or_else(|| "sqlite://shop.db?mode=rwc".to_owned());
    let store =
        DynStore::connect(&url).await.map_err(|error| Failure::new("DATABASE_URL", error))?;
    store.migrate().await.map_err(|error| Failure::new("cannot make the table", error))?;

    // Whatever becomes of a server, a visitor has an answer by then.
    let limited = TimeLimit::new(store.clone(), Duration::from_secs(10), tokio::time::sleep);
    let public = setting("PUBLIC_URL")?.unwrap_or_default();
    let cookie = if public.starts_with("https://") {
        CookiePolicy::default()
    } else {
        CookiePolicy::dangerous_plain_http_on_localhost()
    };
    // Behind a proxy, who is connected is the proxy.
    let client = match public.as_str() {
        "" => ClientPolicy::default().peer_address(),
        _ => ClientPolicy::default(),
    };
    let sessions = Sessions::new(limited)
        .cookie(cookie)
        .clock(Ahead(ahead))
        .client_info(client)
        .login_page("/login")
        .reauthentication_page("/confirm")
        .observer(TracingObserver);

    // What has expired is dead at once; this gives its space back, now and every hour.
    let hour = Duration::from_secs(60 * 60);
    tokio::spawn(sessions.clone().sweep_every(hour, tokio::time::sleep));

    Ok(Open { address: (Ipv4Addr::LOCALHOST, port).into(), store, sessions })
}

impl Open {
    /// The layer to put around the routes.
    pub fn sessions(&self) -> Sessions {
        self.sessions.clone()
    }

    /// Where to listen, for a framework that does so itself, and then [announces](Self::announce)
    /// the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells the user where the shop is.
    pub fn announce(port: u16) {
        println!("The shop is open at http://127.0.0.1:{port}");
    }

    /// Listens, for all others. `into_std` makes it a listener of the standard library.
    ///
    /// # Errors
    ///
    /// If the port is taken, or not for us.
    pub async fn listen(&self) -> Result<TcpListener, Failure> {
        let bound = TcpListener::bind(self.address).await;
        let failed = |error| Failure::new(&format!("cannot listen on {}", self.address), error);
        let listener = bound.map_err(failed)?;
        Self::announce(listener.local_addr()?.port());
        Ok(listener)
    }

    /// Listens, for programs that serve each connection themselves.
    ///
    /// # Errors
    ///
    /// If the port is taken, or not for us.
    pub async fn visitors(&self) -> Result<Visitors, Failure> {
        Ok(Visitors { listener: self.listen().await?, interrupted: Box::pin(interrupted()) })
    }

    /// Closes the store, once nothing is served any more.
    pub async fn close(self) {
        self.store.close().await;
        println!("The shop is closed.");
    }
}

/// The connections of those who visit the shop.
pub struct Visitors {
    listener: TcpListener,
    interrupted: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Visitors {
    /// Waits for the next one, until Ctrl-C.
    pub async fn next(&mut self) -> Option<TcpStream> {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut self.interrupted => return None,
            };
            match accepted {
                Ok((stream, _)) => return Some(stream),
                // One who is gone already; or there are too many, until some have gone.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// Waits for Ctrl-C.
pub async fn interrupted() {
    // Without the signal there is nothing to wait for but a kill.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A clock that is ahead.
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.0)
    }
}

fn setting(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(error @ VarError::NotUnicode(_)) => Err(Failure::new(name, error)),
    }
}
