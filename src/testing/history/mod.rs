//! Histories: many clients at work on a few keys of any [`Store`], every call
//! written down, and an order looked for that explains all the answers.
//!
//! ```
//! use std::sync::Arc;
//! use typed_session::store::MemoryStore;
//! use typed_session::testing::history;
//!
//! # async fn test() {
//! let store = Arc::new(MemoryStore::new());
//! history::run(async || Arc::clone(&store)).await;
//! # }
//! # typed_session::testing::schedule::run(test());
//! ```
//!
//! The closure makes the store of one client; all of them reach the same records,
//! by one connection or by several. What [`conformance`](super::conformance) asks in
//! small and orderly scenes, this asks in a crowd: it knows no rule but the model of
//! the verbs, and finds what nobody thought of. It is made to be run with faults: put
//! a [`Faulty`](super::Faulty) store before each client, or a
//! [`Proxy`](super::proxy::Proxy) before the server, kill the server, drop futures. A
//! call that failed, or whose future was dropped, may have happened at any later time,
//! or never; every other answer must fit.
//!
//! A minute on tokio, with tasks on its threads, and calls that are given up after
//! two seconds:
//!
//! ```no_run
//! # use typed_session::store::MemoryStore;
//! # async fn connect() -> std::sync::Arc<MemoryStore> { Default::default() }
//! use std::time::Duration;
//! use typed_session::testing::history::{Violation, Workload};
//!
//! # async fn test() -> Result<(), Violation> {
//! let report = Workload::new()
//!     .lasting(Duration::from_secs(60))
//!     .patience(|| tokio::time::sleep(Duration::from_secs(2)))
//!     .spawn(|client| drop(tokio::spawn(client)))
//!     .check(async || connect().await)
//!     .await?;
//! println!("{report:?}");
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked
//!
//! For each key, that its calls are linearizable: each happened at one instant between
//! its call and its answer. So no acknowledged write is lost, no ended session comes
//! back, no load is stale. And that the index never misses: a walk with
//! [`sessions_of`](Store::sessions_of) that does not name a key is right only if there
//! was an instant during the walk at which the record was not the subject's.
//!
//! Records vanish after their deadline and not before, whether the engine removes them
//! by itself or not: the clients sweep. So a store with native expiry needs no
//! setting, if its server's clock is the clock of the test.
//!
//! It writes random keys and subjects, and leaves its records behind, to expire within
//! an hour. What it cannot see: anything that is about more than one key but the
//! index, and what a sweep leaves.

use std::fmt;

use crate::store::Store;

pub(super) use self::log::{History, said};
pub(super) use self::model::{Op, State};
pub use self::workload::{Run, Workload};

mod client;
mod excerpt;
mod key;
mod log;
mod lost;
mod model;
mod search;
mod workload;

/// Has eight clients at work on a store, and looks for an order that explains what
/// it answered.
///
/// The same as `Workload::new().run(connect)`.
///
/// # Panics
///
/// If there is none; the message shows the calls.
pub async fn run<S: Store>(connect: impl AsyncFn() -> S) {
    Workload::new().run(connect).await;
}

/// What was done, and nothing was wrong.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// The calls of all verbs.
    pub operations: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose future was dropped before its answer.
    pub dropped: u64,
    /// The writes among both: nobody knows whether they happened.
    pub unknown: u64,
    /// The keys whose history was explained.
    pub keys: u64,
    /// The most calls there were on one key.
    pub longest: usize,
    /// The keys whose history has so many lost calls that there are too many orders
    /// to look at.
    pub undecided: u64,
    /// The situations that the search has looked at: a measure of its effort.
    pub visited: u64,
}

/// A history that nothing explains.
///
/// `Debug` is as readable as `Display`, for the sake of `unwrap`.
#[derive(Clone)]
pub struct Violation {
    details: String,
    seed: u64,
}

impl Violation {
    /// Returns the seed of the run, for [`Workload::seed`].
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { details, seed } = self;
        write!(f, "the store breaks its contract:\n  {details}\n  seed {seed}")
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Violation {}
