//! How many clients, on how many keys, for how long.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::client::Client;
use super::key::Key;
use super::log::{History, Order};
use super::{Report, Violation};
use crate::entropy::{Entropy, SystemEntropy};
use crate::store::Store;
use crate::testing::schedule::Random;
use crate::testing::tasks::{Job, Spawn, race};
use crate::time::{Clock, SystemClock, Timestamp};

type Patience = Arc<dyn Fn() -> Job + Send + Sync>;

/// The clients and their work.
#[derive(Clone)]
#[must_use]
pub struct Workload {
    seed: u64,
    clients: usize,
    keys: usize,
    operations: Option<u64>,
    lasting: Option<Duration>,
    drops: u64,
    clock: Arc<dyn Clock>,
    patience: Option<Patience>,
    spawn: Option<Spawn>,
}

impl Default for Workload {
    fn default() -> Self {
        let mut seed = [0; 8];
        // Without randomness the seed is 0, which is as good for one run.
        let _ = SystemEntropy.fill(&mut seed);
        Self {
            seed: u64::from_le_bytes(seed) % 1_000_000_000,
            clients: 8,
            keys: 6,
            operations: None,
            lasting: None,
            drops: 20,
            clock: Arc::new(SystemClock),
            patience: None,
            spawn: None,
        }
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload")
            .field("seed", &self.seed)
            .field("clients", &self.clients)
            .field("keys", &self.keys)
            .field("operations", &self.operations)
            .field("lasting", &self.lasting)
            .field("drops", &self.drops)
            .finish_non_exhaustive()
    }
}

/// How many calls there are if it is not said.
const OPERATIONS: u64 = 20_000;

impl Workload {
    /// Makes the workload with a random seed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the seed, from which keys, records and choices follow. What overlaps
    /// with what is up to the runtime and the engine.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how many clients there are; 8 if not set.
    pub const fn clients(mut self, clients: usize) -> Self {
        self.clients = clients;
        self
    }

    /// Sets how many keys they work on at a time; 6 if not set, and at least one.
    /// A key that has ended, or is used up, makes room for a fresh one.
    pub const fn keys(mut self, keys: usize) -> Self {
        self.keys = if keys == 0 { 1 } else { keys };
        self
    }

    /// Sets how many calls there are in all; 20,000 if not set and no time is either.
    pub const fn operations(mut self, operations: u64) -> Self {
        self.operations = Some(operations);
        self
    }

    /// Sets how long the clients are at work.
    pub const fn lasting(mut self, duration: Duration) -> Self {
        self.lasting = Some(duration);
        self
    }

    /// Sets how many of a thousand calls are dropped halfway; 20 if not set.
    pub const fn drops(mut self, of_a_thousand: u64) -> Self {
        self.drops = of_a_thousand;
        self
    }

    /// Sets the clock, which must not differ from that of an engine that removes
    /// records by itself.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how long a call may take, as a future that is ready when it is too long.
    ///
    /// If not set, a store that never answers is waited for.
    pub fn patience<F>(mut self, patience: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.patience = Some(Arc::new(move || Box::pin(patience())));
        self
    }

    /// Sets how a task is started, so that the clients run on several threads.
    ///
    /// If not set, they are polled by the caller's task.
    pub fn spawn(
        mut self,
        spawn: impl Fn(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static,
    ) -> Self {
        self.spawn = Some(Arc::new(spawn));
        self
    }

    /// Has the clients at work, and looks for an order that explains what they saw.
    ///
    /// # Panics
    ///
    /// If there is none; the message shows the calls.
    pub async fn run<S: Store>(&self, connect: impl AsyncFn() -> S) {
        if let Err(violation) = self.check(connect).await {
            panic!("{violation}");
        }
    }

    /// Has the clients at work, and looks for an order that explains what they saw.
    ///
    /// `connect` is called once for each client.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn check<S: Store>(&self, connect: impl AsyncFn() -> S) -> Result<Report, Violation> {
        let run = self.begin();
        let mut clients: Vec<Job> = Vec::new();
        for _ in 0..self.clients {
            clients.push(Box::pin(run.client(connect().await)));
        }
        let lost = race(self.spawn.as_ref(), clients).await;
        if let Err(lost) = lost {
            run.shared.wrong(lost);
        }
        run.finish(connect().await).await
    }

    /// Begins, for a caller that starts its clients by itself.
    #[must_use = "its clients do the work"]
    pub fn begin(&self) -> Run {
        let now = self.clock.now();
        let operations = match (self.operations, self.lasting) {
            (Some(operations), _) => operations,
            (None, Some(_)) => u64::MAX,
            (None, None) => OPERATIONS,
        };
        let shared = Shared {
            order: Order::default(),
            count: Count::default(),
            drops: self.drops,
            patience: self.patience.clone(),
            seed: self.seed,
            clock: Arc::clone(&self.clock),
            until: self.lasting.map_or(Timestamp::MAX, |lasting| now.plus(lasting)),
            operations,
            begun: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            forked: Mutex::new(Random(self.seed)),
            keys: Mutex::default(),
            born: AtomicU64::new(0),
            violation: Mutex::default(),
        };
        let keys = (0..self.keys).map(|_| shared.fresh()).collect();
        *shared.lock() = keys;
        Run { shared: Arc::new(shared) }
    }
}

/// A workload that has begun: to be given its clients, and then finished.
pub struct Run {
    shared: Arc<Shared>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Run(..)")
    }
}

impl Run {
    /// Returns the work of one client, to be spawned or polled together with others.
    pub fn client<S: Store>(&self, store: S) -> impl Future<Output = ()> + Send + 'static {
        Client::new(Arc::clone(&self.shared), store).work()
    }

    /// Tells the clients to stop; each is ready once its call is over.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
    }

    /// Looks at every key a last time, and for an order that explains everything.
    ///
    /// Clients that are still at work are told to stop. What they do from then on is
    /// not looked at; to see all of it, wait for them first.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn finish<S: Store>(self, store: S) -> Result<Report, Violation> {
        self.stop();
        let shared = self.shared;
        let mut last = Client::new(Arc::clone(&shared), store);
        last.look_at_all().await;
        drop(last);
        // They stay in their places, where a client may be about to take one.
        for (_, key) in shared.keys() {
            shared.judge(&key);
        }
        let violation = shared.violation.lock().unwrap_or_else(PoisonError::into_inner).take();
        match violation {
            Some(details) => Err(Violation { details, seed: shared.seed }),
            None => Ok(shared.count.report(shared.seed, shared.begun.load(Ordering::SeqCst))),
        }
    }
}

/// What the clients share.
pub(super) struct Shared {
    pub(super) order: Order,
    pub(super) count: Count,
    /// Of a thousand calls.
    pub(super) drops: u64,
    pub(super) patience: Option<Patience>,
    seed: u64,
    clock: Arc<dyn Clock>,
    until: Timestamp,
    operations: u64,
    begun: AtomicU64,
    stopped: AtomicBool,
    forked: Mutex<Random>,
    keys: Mutex<Vec<Arc<Key>>>,
    born: AtomicU64,
    violation: Mutex<Option<String>>,
}

impl Shared {
    /// Randomness of a client's own.
    pub(super) fn fork(&self) -> Random {
        Random(self.forked.lock().unwrap_or_else(PoisonError::into_inner).next())
    }

    /// Whether there is a call left to make.
    pub(super) fn goes_on(&self) -> bool {
        if self.stopped.load(Ordering::SeqCst) || self.now() >= self.until {
            return false;
        }
        let left = |begun| (begun < self.operations).then_some(begun + 1);
        self.begun.try_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Key>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn places(&self) -> u64 {
        self.lock().len() as u64
    }

    pub(super) fn key(&self, place: usize) -> Arc<Key> {
        Arc::clone(&self.lock()[place])
    }

    /// All keys of the moment, and their places.
    pub(super) fn keys(&self) -> Vec<(usize, Arc<Key>)> {
        self.lock().iter().cloned().enumerate().collect()
    }

    fn fresh(&self) -> Arc<Key> {
        let number = self.born.fetch_add(1, Ordering::SeqCst);
        let history = History::new(self.order.clone(), Some(Arc::clone(&self.clock)));
        Arc::new(Key::new(self.seed, number, history))
    }

    /// Gives a key back. An old one makes room, and whoever has it last looks for
    /// the explanation of its history, so that histories do not pile up.
    pub(super) fn let_go(&self, place: usize, key: Arc<Key>) {
        if key.is_old() {
            let mut keys = self.lock();
            if keys.get(place).is_some_and(|there| Arc::ptr_eq(there, &key)) {
                keys[place] = self.fresh();
            }
        }
        if let Some(key) = Arc::into_inner(key) {
            self.judge(&key);
        }
    }

    /// Looks for an order that explains what happened to a key.
    fn judge(&self, key: &Key) {
        match key.history.check(&None) {
            Ok(effort) => self.count.explained(key.history.len(), effort.map(|e| e.visited)),
            Err(excerpt) => self.wrong(excerpt),
        }
    }

    /// Stops all clients. The first word stands.
    pub(super) fn wrong(&self, details: String) {
        self.violation.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(details);
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// What is counted.
#[derive(Default)]
pub(super) struct Count(Mutex<Report>);

impl Count {
    fn report(&self, seed: u64, operations: u64) -> Report {
        let mut report = self.lock();
        (report.seed, report.operations) = (seed, operations);
        report.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self) {
        self.lock().failed += 1;
    }

    pub(super) fn dropped(&self) {
        self.lock().dropped += 1;
    }

    pub(super) fn unknown(&self) {
        self.lock().unknown += 1;
    }

    fn explained(&self, calls: usize, visited: Option<usize>) {
        let mut report = self.lock();
        report.keys += 1;
        report.longest = report.longest.max(calls);
        match visited {
            Some(visited) => report.visited += visited as u64,
            None => report.undecided += 1,
        }
    }
}
