//! A minute of a store on its server, in a crowd and with faults.
//!
//! An engine attaches it in one line, given its URL and how to connect to one:
//!
//! ```text
//! #[tokio::test(flavor = "multi_thread")]
//! #[ignore = "needs a server: ./tests/run engines"]
//! async fn a_minute_of_histories_has_an_explanation() {
//!     histories::minute(&shared(Kind::Redis), async |url| store(&url).await).await;
//! }
//! ```
//!
//! `connect` is called once for each client, with the server's own address or with that of a
//! proxy before it. What it returns must connect again by itself if its connection is cut, and
//! give up a call some time, best below a second. `HISTORY_SECONDS` says how long, 60 if not set.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use typed_session::store::Store;
use typed_session::testing::history::{Report, Workload};
use typed_session::testing::proxy::Proxy;

const CLIENTS: usize = 8;

/// No call of a client takes longer; it is dropped then.
const PATIENCE: Duration = Duration::from_secs(2);

/// Has clients at work on a server, half of them through a proxy that cuts, delays and loses, and
/// looks for an explanation of what they saw.
pub(crate) async fn minute<S: Store>(url: &str, connect: impl AsyncFn(String) -> S) -> Report {
    let (proxy, proxied) = before(url);
    let proxy = Arc::new(proxy);
    let workload = Workload::new().lasting(seconds()).patience(|| tokio::time::sleep(PATIENCE));
    println!("{workload:?}");
    let run = workload.begin();
    let mut stores = Vec::new();
    for client in 0..CLIENTS {
        stores.push(connect(if client % 2 == 0 { url.to_owned() } else { proxied.clone() }).await);
    }
    let clients: Vec<_> = stores.into_iter().map(|store| tokio::spawn(run.client(store))).collect();
    let over = Arc::new(AtomicBool::new(false));
    let chaos = tokio::spawn(chaos(Arc::clone(&proxy), Arc::clone(&over), seconds().as_secs()));
    for client in clients {
        client.await.unwrap();
    }
    over.store(true, Ordering::SeqCst);
    let faults = chaos.await.unwrap();
    let report = run.finish(connect(url.to_owned()).await).await.unwrap();
    println!("{faults} faults, {} of them lost replies: {report:?}", proxy.lost());
    assert_eq!(report.undecided, 0, "every history is looked through");
    assert!(report.unknown > 0 && report.keys > 0, "there was something to explain");
    report
}

/// The same without faults, for what is no single server, or may not lose an answer.
pub(crate) async fn calm_minute<S: Store>(connect: impl AsyncFn() -> S) -> Report {
    let workload = Workload::new().lasting(seconds()).drops(0);
    println!("{workload:?}");
    let run = workload.begin();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(tokio::spawn(run.client(connect().await)));
    }
    for client in clients {
        client.await.unwrap();
    }
    let report = run.finish(connect().await).await.unwrap();
    println!("{report:?}");
    assert_eq!((report.undecided, report.unknown), (0, 0));
    assert!(report.keys > 0);
    report
}

fn seconds() -> Duration {
    let seconds = env::var("HISTORY_SECONDS").map_or(60, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// One fault after the other; returns how many.
async fn chaos(proxy: Arc<Proxy>, over: Arc<AtomicBool>, seed: u64) -> usize {
    let mut random = seed;
    let mut faults = 0;
    while !over.load(Ordering::SeqCst) {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = random >> 33;
        let mut lasts = Duration::from_millis(20 + pick % 130);
        match pick % 9 {
            0..4 => proxy.lose_reply(""),
            4 | 5 => proxy.cut(),
            6 => proxy.delay(Duration::from_millis(pick % 40)),
            7 => proxy.refuse(),
            _ => {
                proxy.hang();
                lasts *= 3;
            }
        }
        faults += 1;
        tokio::time::sleep(lasts).await;
        proxy.pass();
        tokio::time::sleep(Duration::from_millis(pick % 60)).await;
    }
    faults
}

/// A proxy before the server of a URL, and the URL through it.
pub(crate) fn before(url: &str) -> (Proxy, String) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', ',']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, server) = match authority.rsplit_once('@') {
        Some((user, server)) => (format!("{user}@"), server),
        None => (String::new(), authority),
    };
    let proxy = Proxy::start(server).unwrap();
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    let proxied = format!("{scheme}{user}{}{path}", proxy.address());
    (proxy, proxied)
}

#[test]
fn a_url_is_led_through_the_proxy() {
    let (proxy, proxied) = before("postgres://ann:pass@127.0.0.1:5432/sessions?x=1");
    assert_eq!(proxied, format!("postgres://ann:pass@{}/sessions?x=1", proxy.address()));
    let (proxy, proxied) = before("redis://127.0.0.1:6379");
    assert_eq!(proxied, format!("redis://{}", proxy.address()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes its time: ./tests/run engines"]
async fn a_minute_in_memory_has_an_explanation() {
    let store = Arc::new(typed_session::store::MemoryStore::new());
    calm_minute(async || Arc::clone(&store)).await;
}
