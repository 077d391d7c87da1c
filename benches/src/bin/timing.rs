//! Whether the time of a request tells anything of a secret: a statistical test, in the manner of
//! dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017).
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --bin timing             1,000,000 measurements a class
//! cargo run --release --manifest-path benches/Cargo.toml --bin timing 5000000     more of them
//! ```
//!
//! Two classes of input, drawn at random for each measurement; the time of each; Welch's t of
//! their means, over all times and over those below each of several percentiles, because the
//! slowest are the machine's. A |t| above 4.5 is a difference: chance has it once in 100,000. More
//! measurements find smaller differences. It is no part of the tests: it needs a quiet machine and
//! minutes. The program fails if it finds a difference where there must be none, or none in a
//! control.
//!
//! | pair | the two classes |
//! | --- | --- |
//! | comparison | 32 bytes that differ from the secret in the first, or in the last; by `blake3::Hash`, as ids and verifiers are compared |
//! | verifier | a whole request, of an id for which the record keeps a verifier that is wrong in its first byte, or in its last |
//! | secret | a whole request, of an id of which the first byte of the secret half is wrong, or the last |
//! | locator | a whole request, of an unknown id whose locator shares all but the last byte with one that is not in the memory store, or with one that is |
//! | control: comparison | the same as the first, byte by byte and leaving at the first difference |
//! | control: request | the whole request of the second, followed by that comparison |
//!
//! Figures of 1,000,000 measurements a class, on two cores of an AMD EPYC that had other work to do
//! (load 15), rustc 1.95.0, 2026-11-22:
//!
//! ```text
//!                              ns  more ns       t   of the fastest
//! comparison                 24.9    -0.01    -1.5   99 %
//! control: comparison        25.4    15.02  1973.7   90 %
//! verifier                  570.3     0.01     1.3   25 %
//! control: request          590.0    20.33   974.4   90 %
//! secret                    567.6     0.03     3.3   25 %
//! locator                   537.9    -0.35    -2.0   99 %
//! ```
//!
//! So this run found no difference where there must be none. Earlier forms of the program did, of
//! some 0.1 ns and of the locator: it had one id for each class then, and their bytes, which were always the
//! same, made the difference by themselves. So now many ids stand for each class.
//!
//! The controls must be found out; the last says that a leak of some nanoseconds is seen in the
//! noise of a whole request.
//!
//! That the locator tells nothing is so by construction: `MemoryStore` looks for a hash of it, so
//! which chain is walked, and where the keys on it begin to differ, has nothing to do with how near
//! a guess is. The same is true of every store: none sees a locator.

use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use typed_session::store::{Inserted, MemoryStore, Replaced, Result, Store};
use typed_session::{
    Record, Revision, SessionData, SessionKey, SessionLayer, Subject, Timestamp, Verdict,
};

/// The two classes.
#[derive(Clone, Copy)]
enum Class {
    First,
    Last,
}

/// Above this a difference is none of chance's.
const T: f64 = 4.5;

/// Of the times, the shares that are looked at: all, and the fastest.
const SHARES: [f64; 7] = [1.0, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25];

fn main() -> ExitCode {
    let count = std::env::args().nth(1);
    let count = count.map_or(1_000_000, |count| count.parse().expect("how many measurements"));
    let secret = random::<32>();
    let mut fine = true;
    println!("{:22} {:>8} {:>8} {:>7}   of the fastest", "", "ns", "more ns", "t");
    let mut pair = |name, is_control: bool, mut prepare: Prepare<'_>| {
        let found = measure(count, &mut *prepare);
        let is_found = found.t.abs() > T;
        let says = match (is_found, is_control) {
            (false, false) | (true, true) => "",
            (true, false) => "   A DIFFERENCE",
            (false, true) => "   NOT FOUND: measure more, or on a quieter machine",
        };
        fine &= says.is_empty();
        let Found { mean, more, t, share } = found;
        println!("{name:22} {mean:>8.1} {more:>8.2} {t:>7.1}   {:.0} %{says}", 100.0 * share);
    };

    let mut other = secret;
    pair(
        "comparison",
        false,
        Box::new(|class| {
            other = wrong(&secret, class);
            let other = &other;
            timed(|| {
                blake3::Hash::from_bytes(*black_box(&secret))
                    == blake3::Hash::from_bytes(*black_box(other))
            })
        }),
    );
    let mut other = secret;
    pair(
        "control: comparison",
        true,
        Box::new(|class| {
            other = wrong(&secret, class);
            let other = &other;
            timed(|| early_exit(black_box(&secret), black_box(other)))
        }),
    );

    let server = Server::new();
    pair(
        "verifier",
        false,
        Box::new(|class| {
            server.crafted.spoil(class);
            timed(|| server.request(&server.id))
        }),
    );
    let mut other = secret;
    pair(
        "control: request",
        true,
        Box::new(|class| {
            server.crafted.spoil(class);
            other = wrong(&secret, class);
            let other = &other;
            timed(|| (server.request(&server.id), early_exit(black_box(&secret), black_box(other))))
        }),
    );
    server.crafted.restore();

    let mut id = server.id;
    pair(
        "secret",
        false,
        Box::new(|class| {
            let at = match class {
                Class::First => 16,
                Class::Last => 31,
            };
            id = server.id_with(|bytes| bytes[at] ^= not_zero());
            let id = &id;
            timed(|| server.request(id))
        }),
    );

    let memory = Server::new();
    // Many, because of two single ones the bytes themselves make a difference of 0.1 ns.
    let stored: [_; POOL] = std::array::from_fn(|_| decoded(&memory.log_in()));
    let elsewhere: [_; POOL] = std::array::from_fn(|_| random::<32>());
    let mut id = memory.id;
    pair(
        "locator",
        false,
        Box::new(|class| {
            // Near to one that is not in the store, or to one that is.
            let pools = [&elsewhere, &stored];
            let mut bytes = pools[black_box(class as usize)][quick_random() as usize % POOL];
            bytes[15] ^= not_zero();
            id = encoded(&bytes);
            let id = &id;
            timed(|| memory.request_in_memory(id))
        }),
    );
    match fine {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prepares a measurement of a class, and does it.
type Prepare<'a> = Box<dyn FnMut(Class) -> f64 + 'a>;

struct Found {
    mean: f64,
    /// How much longer the second class takes.
    more: f64,
    t: f64,
    share: f64,
}

fn measure(count: usize, prepare: &mut dyn FnMut(Class) -> f64) -> Found {
    for _ in 0..10_000 {
        prepare(Class::First);
        prepare(Class::Last);
    }
    let mut times = [Vec::with_capacity(count), Vec::with_capacity(count)];
    while times.iter().any(|times| times.len() < count) {
        // Drawn, not in turn: a rhythm of the machine must not fall on one of them.
        let class = if quick_random() & 1 == 0 { Class::First } else { Class::Last };
        times[class as usize].push(prepare(class));
    }
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let found = SHARES.map(|share| {
        let limit = all[((all.len() - 1) as f64 * share) as usize];
        let [first, last] = times.each_ref().map(|times| Moments::of(times, limit));
        let error = (first.variance / first.count + last.variance / last.count).sqrt();
        let more = last.mean - first.mean;
        let t = if error > 0.0 { more / error } else { 0.0 };
        Found { mean: first.mean, more, t, share }
    });
    found.into_iter().max_by(|a, b| a.t.abs().total_cmp(&b.t.abs())).expect("there are shares")
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(times: &[f64], limit: f64) -> Self {
        let within = || times.iter().copied().filter(|time| *time <= limit);
        let count = within().count() as f64;
        let mean = within().sum::<f64>() / count;
        let variance = within().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { count, mean, variance }
    }
}

/// Runs it and returns the nanoseconds.
#[inline(never)]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn timed<R>(f: impl FnOnce() -> R) -> f64 {
    settle();
    let start = Instant::now();
    let result = black_box(f());
    let time = start.elapsed();
    drop(result);
    time.as_nanos() as f64
}

/// Lets the preparation come to its end, which a processor runs into what follows it, and makes the
/// last branches the same for both classes. Without it there are differences of 0.2 ns.
#[inline(never)]
fn settle() {
    let mut state = 1_u64;
    for _ in 0..400 {
        state = black_box(state).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    }
    black_box(state);
}

/// What no comparison of a secret must do.
#[inline(never)]
fn early_exit(ours: &[u8; 32], theirs: &[u8; 32]) -> bool {
    for (ours, theirs) in ours.iter().zip(theirs) {
        if black_box(ours) != black_box(theirs) {
            return false;
        }
    }
    true
}

/// The same work for both classes.
fn wrong(secret: &[u8; 32], class: Class) -> [u8; 32] {
    let at = match class {
        Class::First => 0,
        Class::Last => 31,
    };
    let mut other = *secret;
    other[black_box(at)] ^= not_zero();
    other
}

#[derive(Default, serde::Deserialize, serde::Serialize)]
struct Data {
    user: u64,
}

impl SessionData for Data {
    fn subject(&self) -> Option<Subject> {
        Some(Subject::from(self.user))
    }
}

/// An application with one session.
struct Server {
    /// On a store that gives its one record with a spoilt verifier.
    layer: SessionLayer<Data, Arc<Crafted>>,
    crafted: Arc<Crafted>,
    in_memory: SessionLayer<Data, MemoryStore>,
    /// The cookie of the session.
    id: [u8; COOKIE],
}

const NAME: &[u8] = b"__Host-session=";
const COOKIE: usize = NAME.len() + 43;

/// How many locators there are of each class.
const POOL: usize = 1024;

impl Server {
    fn new() -> Self {
        let in_memory = SessionLayer::<Data, _>::new(MemoryStore::new());
        let exchange = in_memory.open([]);
        let session = now(exchange.session()).expect("a session");
        session.update(|data| data.user = 7);
        let outcome = now(exchange.finish());
        let line = outcome.effects.set_cookie().expect("a cookie").as_bytes();
        let id = *line.first_chunk().expect("an id");
        let key = session.key().expect("it is stored");
        let record = now(in_memory.store().load(&key)).expect("memory").expect("a record");
        let crafted = Arc::new(Crafted { good: record.clone(), given: Mutex::new(record) });
        Self { layer: SessionLayer::new(Arc::clone(&crafted)), crafted, in_memory, id }
    }

    /// A request with this cookie, as far as its verdict.
    fn request(&self, cookie: &[u8; COOKIE]) -> Verdict {
        let exchange = self.layer.open([&black_box(cookie)[..]]);
        now(exchange.session()).expect("the store answers").verdict()
    }

    fn request_in_memory(&self, cookie: &[u8; COOKIE]) -> Verdict {
        let exchange = self.in_memory.open([&black_box(cookie)[..]]);
        now(exchange.session()).expect("the store answers").verdict()
    }

    /// Another session in memory, and its cookie.
    fn log_in(&self) -> [u8; COOKIE] {
        let exchange = self.in_memory.open([]);
        now(exchange.session()).expect("a session").update(|data| data.user = 7);
        let outcome = now(exchange.finish());
        *outcome.effects.set_cookie().expect("a cookie").as_bytes().first_chunk().expect("an id")
    }

    /// The session's cookie with other bytes in its id.
    fn id_with(&self, change: impl FnOnce(&mut [u8; 32])) -> [u8; COOKIE] {
        let mut bytes = decoded(&self.id);
        change(&mut bytes);
        encoded(&bytes)
    }
}

fn decoded(cookie: &[u8; COOKIE]) -> [u8; 32] {
    let mut bytes = [0; 32];
    URL_SAFE_NO_PAD.decode_slice(&cookie[NAME.len()..], &mut bytes).expect("an id");
    bytes
}

fn encoded(id: &[u8; 32]) -> [u8; COOKIE] {
    let mut cookie = [0; COOKIE];
    cookie[..NAME.len()].copy_from_slice(NAME);
    URL_SAFE_NO_PAD.encode_slice(id, &mut cookie[NAME.len()..]).expect("an id");
    cookie
}

/// A store of one record, under every key.
struct Crafted {
    good: Record,
    given: Mutex<Record>,
}

/// Where in a body the verifier of the current id stands.
const VERIFIER: usize = 3;

impl Crafted {
    /// Gives the record with one wrong byte in its verifier.
    fn spoil(&self, class: Class) {
        let good: &[u8; 32] = self.good.body[VERIFIER..].first_chunk().expect("a verifier");
        let verifier = wrong(good, class);
        let mut given = self.given.lock().expect("nobody panics");
        given.body.0[VERIFIER..VERIFIER + 32].copy_from_slice(&verifier);
    }

    fn restore(&self) {
        self.given.lock().expect("nobody panics").clone_from(&self.good);
    }
}

impl Store for Crafted {
    async fn load(&self, _: &SessionKey) -> Result<Option<Record>> {
        Ok(Some(self.given.lock().expect("nobody panics").clone()))
    }

    async fn insert(&self, _: &SessionKey, _: &Record) -> Result<Inserted> {
        Ok(Inserted::Exists)
    }

    async fn replace(&self, _: &SessionKey, _: Revision, _: &Record) -> Result<Replaced> {
        Ok(Replaced::Conflict(None))
    }

    async fn touch(&self, _: &SessionKey, _: Revision, _: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn end(&self, _: &SessionKey, _: &Record) -> Result<()> {
        Ok(())
    }

    async fn sessions_of(
        &self,
        _: &Subject,
        _: Option<&SessionKey>,
        _: usize,
    ) -> Result<Vec<SessionKey>> {
        Ok(Vec::new())
    }

    async fn remove_expired(&self, _: Timestamp, _: usize) -> Result<usize> {
        Ok(0)
    }
}

/// A future that is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).expect("the system has randomness");
    bytes
}

fn not_zero() -> u8 {
    (quick_random() % 255) as u8 + 1
}

/// Not for secrets: SplitMix64.
fn quick_random() -> u64 {
    thread_local!(static STATE: std::cell::Cell<u64> = std::cell::Cell::new(u64::from_le_bytes(random())));
    STATE.with(|state| {
        state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let x = state.get();
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    })
}
