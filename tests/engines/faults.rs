//! What a lost reply, an outage and a killed server do to sessions.
//!
//! An engine attaches each in one line:
//!
//! ```text
//! faults::lost_reply_is_recognised(&shared(Kind::Redis), async |url| store(&url).await).await;
//! faults::outages(&shared(Kind::Redis), async |url| store(&url).await, LIMIT).await;
//!
//! let server = Server::start(Kind::Redis);
//! let losses = faults::killed(
//!     async || store(server.url()).await,
//!     || server.kill(),
//!     || server.restart(),
//! ).await;
//! assert_eq!((losses.writes, losses.ends), (0, 0));
//! ```
//!
//! `store` connects again by itself, and gives up a call within the limit. The data must reach
//! the server as it is: not compressed, not encrypted.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use typed_session::store::{Body, Inserted, Replaced, Revision, Store};
use typed_session::testing::proxy::Proxy;
use typed_session::{
    Clock, Error, Record, SessionData, SessionKey, SessionLayer, Subject, SystemClock,
};

use crate::histories::before;

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Shop {
    user: Option<u64>,
    visits: u64,
    note: String,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.map(Subject::from)
    }
}

/// A word that is in the data of one write alone.
const MARKER: &str = "lose-the-reply-to-this";

/// What a store under fire gives a call, or a connection, at most.
pub(crate) const LIMIT: Duration = Duration::from_millis(800);

/// A server that was out of reach is found again by then.
const RECOVERY: Duration = Duration::from_secs(15);

/// A request that changes something and must be kept; returns its cookie, if one is set.
async fn change<S: Store>(
    sessions: &SessionLayer<Shop, S>,
    cookie: &str,
    f: impl FnOnce(&mut Shop),
) -> Option<String> {
    let exchange = sessions.open([cookie.as_bytes()]);
    let session = exchange.session().await.unwrap();
    session.update(f);
    let outcome = exchange.finish().await;
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let cookie = outcome.effects.set_cookie()?;
    Some(cookie.split(';').next().unwrap().to_owned())
}

async fn read<S: Store>(sessions: &SessionLayer<Shop, S>, cookie: &str) -> Result<Shop, Error> {
    let session = sessions.open([cookie.as_bytes()]).session().await?;
    Ok(session.read(Shop::clone))
}

/// Tries again until it works.
pub(crate) async fn at_last<T, E: Debug, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
{
    let tries = async {
        loop {
            match call().await {
                Ok(done) => return done,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(RECOVERY, tries).await.expect("the server is found again")
}

/// A replace whose reply was lost, and that is tried again, is recognised as one's own: it is
/// not taken for somebody else's change, and not applied twice.
pub(crate) async fn lost_reply_is_recognised<S: Store>(
    url: &str,
    connect: impl AsyncFn(String) -> S,
) {
    let (proxy, proxied) = before(url);
    let direct = SessionLayer::<Shop, _>::new(connect(url.to_owned()).await);
    let sessions = SessionLayer::<Shop, _>::new(connect(proxied).await);
    for (logs_in, more) in [(false, false), (false, true), (true, false), (true, true)] {
        let cookie = change(&direct, "", |shop| shop.visits = 1).await.unwrap();
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = at_last(|| exchange.session()).await;
        session.update(|shop| {
            shop.visits += 1;
            shop.user = logs_in.then_some(7);
            MARKER.clone_into(&mut shop.note);
        });
        let lost = proxy.lost();
        proxy.lose_reply(MARKER);
        // Some drivers try again by themselves, and the core never hears of it.
        let answer = session.commit().await;
        assert_eq!(proxy.lost(), lost + 1, "the write went through the proxy");
        match &answer {
            Ok(()) => println!("the driver tried again by itself"),
            Err(error) => assert_eq!(error.status(), 503, "{error}"),
        }
        if more {
            session.update(|shop| shop.visits += 10);
        }
        let again = tokio::time::timeout(RECOVERY, async {
            loop {
                match session.commit().await {
                    Err(error) if error.status() == 503 => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    other => return other,
                }
            }
        });
        again.await.expect("the server is found again").expect("it is no conflict");
        let outcome = exchange.finish().await;
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        let new = outcome.effects.set_cookie().map(|line| line.split(';').next().unwrap());
        assert_eq!(new.is_some(), logs_in, "the id changes with the subject");
        let shop = read(&direct, new.unwrap_or(&cookie)).await.unwrap();
        let visits = if more { 12 } else { 2 };
        assert_eq!(shop, Shop { user: logs_in.then_some(7), visits, note: MARKER.to_owned() });
    }
}

/// An outage is not a logout: 503 within `limit`, no cookie is touched, and what was there is
/// there afterwards.
pub(crate) async fn outages<S: Store>(
    url: &str,
    connect: impl AsyncFn(String) -> S,
    limit: Duration,
) {
    let (proxy, proxied) = before(url);
    let sessions = SessionLayer::<Shop, _>::new(connect(proxied).await);
    for name in ["cut", "refused", "hanging"] {
        let fault = |proxy: &Proxy| match name {
            "cut" => proxy.cut(),
            "refused" => proxy.refuse(),
            _ => proxy.hang(),
        };
        println!("connections are {name}");
        let cookie = change(&sessions, "", |shop| shop.visits = 1).await.unwrap();

        // In the middle of a request, and at its beginning.
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = exchange.session().await.unwrap();
        session.update(|shop| shop.visits = 2);
        fault(&proxy);
        let outcome = tokio::time::timeout(limit, exchange.finish()).await.expect("within limits");
        assert_eq!(outcome.effects.set_cookie(), None, "{name}");
        let written = outcome.error.is_none();
        // After a cut the driver may connect again.
        assert!(!written || name == "cut", "{name}");
        if let Some(error) = &outcome.error {
            assert_eq!(error.status(), 503, "{name}: {error}");
        }

        if name == "cut" {
            fault(&proxy);
        }
        let exchange = sessions.open([cookie.as_bytes()]);
        let loaded = tokio::time::timeout(limit, exchange.session()).await.expect("within limits");
        match loaded {
            Ok(_) => assert_eq!(name, "cut"),
            Err(error) => assert_eq!(error.status(), 503, "{name}: {error}"),
        }
        let outcome = tokio::time::timeout(limit, exchange.finish()).await.expect("within limits");
        assert_eq!(outcome.effects.set_cookie(), None, "{name}");

        proxy.pass();
        let shop = at_last(|| read(&sessions, &cookie)).await;
        let wanted = if written { 2..=2 } else { 1..=2 };
        assert!(wanted.contains(&shop.visits), "{name}: {shop:?}");
        let changed = change(&sessions, &cookie, |shop| shop.visits = 3).await;
        assert_eq!(changed, None, "{name}: it is the session it was");
        assert_eq!(read(&sessions, &cookie).await.unwrap().visits, 3, "{name}");
    }
}

/// What a killed server had acknowledged, and did not have afterwards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    /// All that was acknowledged.
    pub(crate) acknowledged: u64,
    /// Sessions of which something newer was acknowledged than what is there.
    pub(crate) writes: u64,
    /// Sessions whose end was acknowledged, and that are there.
    pub(crate) ends: u64,
}

/// How long clients write before the server is killed, and after it is back.
const UNDER_LOAD: Duration = Duration::from_millis(700);

/// Kills a server under load, starts it again, and counts what it has lost.
pub(crate) async fn killed<S: Store>(
    connect: impl AsyncFn() -> S,
    kill: impl FnOnce(),
    restart: impl FnOnce(),
) -> Losses {
    let over = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    for client in 0..4 {
        let store = connect().await;
        let (over, acknowledged) = (Arc::clone(&over), Arc::clone(&acknowledged));
        clients.push(tokio::spawn(write(client, store, over, acknowledged)));
    }
    tokio::time::sleep(UNDER_LOAD).await;
    tokio::task::block_in_place(kill);
    tokio::task::block_in_place(restart);
    tokio::time::sleep(UNDER_LOAD).await;
    over.store(true, Ordering::SeqCst);
    let store = connect().await;
    let mut losses = Losses::default();
    for client in clients {
        for (key, last) in client.await.unwrap() {
            let there = at_last(|| store.load(&key)).await;
            let there = there.map_or(0, |there| there.revision.as_u64());
            if there < last {
                *if last == Revision::ENDED.as_u64() {
                    &mut losses.ends
                } else {
                    &mut losses.writes
                } += 1;
            }
        }
    }
    losses.acknowledged = acknowledged.load(Ordering::SeqCst);
    println!("{losses:?}");
    assert!(losses.acknowledged > 0);
    losses
}

/// One session after the other: begins, goes on, is ended. Returns the last revision of each that
/// was acknowledged.
async fn write<S: Store>(
    client: u64,
    store: S,
    over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> Vec<(SessionKey, u64)> {
    let mut sessions = Vec::new();
    let run = SystemClock.now().as_millis();
    for number in 0_u64.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let key = *Subject::from(format!("{run} {client} {number}")).as_bytes();
        let key = SessionKey::from_bytes(key);
        let expires_at = SystemClock.now().plus(Duration::from_secs(600));
        let subject = Some(Subject::from(client));
        let record = |revision: u64| Record {
            revision: Revision::from_u64(revision),
            subject,
            expires_at,
            body: Body(format!("revision {revision}").into_bytes()),
        };
        let tombstone = Record { subject: None, ..record(Revision::ENDED.as_u64()) };
        let mut last = 0;
        for step in 1..=5 {
            let from = Revision::from_u64(step - 1);
            let done = match step {
                1 => store.insert(&key, &record(1)).await.map(|done| done == Inserted::Created),
                5 if number.is_multiple_of(2) => store.end(&key, &tombstone).await.map(|()| true),
                _ => store
                    .replace(&key, from, &record(step))
                    .await
                    .map(|done| done == Replaced::Done),
            };
            match done {
                Ok(true) if step == 5 && number.is_multiple_of(2) => {
                    last = Revision::ENDED.as_u64()
                }
                Ok(true) => last = step,
                // A write was lost before; what is there is looked at in the end.
                Ok(false) => break,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    break;
                }
            }
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        if last > 0 {
            sessions.push((key, last));
        }
    }
    sessions
}
