//! The contract of [`Store`] as code: one line tests any store.
//!
//! ```
//! # use typed_session::store::MemoryStore;
//! # async fn test() {
//! typed_session::testing::conformance::run(async || MemoryStore::new()).await;
//! # }
//! # typed_session::testing::schedule::run(test());
//! ```
//!
//! This runs in any test harness and on any runtime; its future is blocked on, as
//! `#[tokio::test]` does, and not spawned. The closure makes a store;
//! every [`Rule`] gets one of its own. Keys are random, and what a rule has
//! written it ends and sweeps up afterwards, so the database may hold other
//! data; only one suite should run on it at a time, as the rules on
//! `remove_expired` count. A rule that is broken is named, with the seed:
//!
//! ```should_panic
//! # use typed_session::testing::wrong::{Mistake, WrongStore};
//! # use typed_session::testing::conformance;
//! # async fn test() {
//! conformance::run(async || WrongStore::new(Mistake::TouchCreates)).await;
//! // panicked: the store breaks its contract (TouchNeverCreates):
//! //   touch: It never creates.
//! //   touch of an absent key made a record
//! //   seed 1234
//! # }
//! # typed_session::testing::schedule::run(test());
//! ```
//!
//! A store whose engine removes records by itself says so, and a store that is
//! safe to call from many threads is best tested on them:
//!
//! ```
//! # use typed_session::store::MemoryStore;
//! # use typed_session::testing::schedule;
//! use typed_session::testing::conformance::{Suite, Violation};
//!
//! # async fn test() -> Result<(), Violation> {
//! let report = Suite::new()
//!     .native_expiry()
//!     .spawn(|task| {
//!         std::thread::spawn(|| schedule::run(task)); // or tokio::spawn(task), or ..
//!     })
//!     .check(async || MemoryStore::new())
//!     .await?;
//! assert!(report.skipped.is_empty());
//! # Ok(())
//! # }
//! # futures_executor::block_on(test()).unwrap();
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use self::bench::Bench;
pub use self::rule::Rule;
use crate::entropy::{Entropy, SystemEntropy};
use crate::store::Store;
use crate::testing::tasks::Spawn;
use crate::time::{Clock, SystemClock, Timestamp};

mod bench;
mod end;
mod index;
mod insert;
mod load;
mod races;
mod replace;
mod rule;
mod sweep;
mod touch;

/// What a rule came to: nothing to say, or what is wrong.
type Check<T = ()> = Result<T, String>;

/// Holds a store to every rule of the contract.
///
/// The same as `Suite::new().run(fresh)`.
///
/// # Panics
///
/// If the store breaks a rule; the message names it.
pub async fn run<S: Store>(fresh: impl AsyncFn() -> S) {
    Suite::new().run(fresh).await;
}

/// The suite and its settings.
#[derive(Clone)]
#[must_use]
pub struct Suite {
    seed: u64,
    now: Timestamp,
    expiry: Expiry,
    runs: usize,
    width: usize,
    skipped: Vec<Rule>,
    spawn: Option<Spawn>,
}

/// Who removes records that are past their time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expiry {
    /// `remove_expired` alone.
    Swept,
    /// The engine, at any moment after the deadline.
    Native,
}

impl Default for Suite {
    fn default() -> Self {
        let mut seed = [0; 8];
        // Without randomness the seed is 0, which is as good for one run.
        let _ = SystemEntropy.fill(&mut seed);
        Self {
            seed: u64::from_le_bytes(seed) % 1_000_000_000,
            now: SystemClock.now(),
            expiry: Expiry::Swept,
            runs: 30,
            width: 12,
            skipped: Vec::new(),
            spawn: None,
        }
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("seed", &self.seed)
            .field("expiry", &self.expiry)
            .field("runs", &self.runs)
            .field("width", &self.width)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

impl Suite {
    /// Makes the suite with a random seed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the seed, from which keys, bodies and orders follow.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Says that the engine removes records by itself once their time is over.
    ///
    /// Records past their time may then be absent wherever the rules expect
    /// them, and `remove_expired` may answer 0.
    pub const fn native_expiry(mut self) -> Self {
        self.expiry = Expiry::Native;
        self
    }

    /// Sets how many orders of one race are tried at most; 30 if not set. Three
    /// verbs with one await point each have 90.
    pub const fn runs(mut self, runs: usize) -> Self {
        self.runs = runs;
        self
    }

    /// Sets how many calls are made at the same time; 12 if not set.
    pub const fn width(mut self, calls: usize) -> Self {
        self.width = calls;
        self
    }

    /// Sets how a task is started, so that races run on several threads.
    ///
    /// If not set, the calls of a race are polled by the caller's task, which is
    /// enough for every engine that is reached over a socket.
    pub fn spawn(
        mut self,
        spawn: impl Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static,
    ) -> Self {
        self.spawn = Some(Arc::new(spawn));
        self
    }

    /// Leaves a rule out. A store that needs this keeps no sessions safely; it
    /// is for looking at the rest.
    pub fn skip(mut self, rule: Rule) -> Self {
        self.skipped.push(rule);
        self
    }

    /// Holds a store to every rule of the contract.
    ///
    /// # Panics
    ///
    /// If the store breaks a rule; the message names it.
    pub async fn run<S: Store>(&self, fresh: impl AsyncFn() -> S) {
        if let Err(violation) = self.check(fresh).await {
            panic!("{violation}");
        }
    }

    /// Holds a store to every rule of the contract.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub async fn check<S: Store>(&self, fresh: impl AsyncFn() -> S) -> Result<Report, Violation> {
        let mut report = Report { seed: self.seed, kept: Vec::new(), skipped: Vec::new() };
        for rule in Rule::ALL {
            if self.skipped.contains(&rule) {
                report.skipped.push(rule);
                continue;
            }
            let bench = Bench::new(self, rule, fresh().await);
            let outcome = hold(&bench, rule).await;
            bench.clean_up().await;
            outcome.map_err(|details| Violation { rule, details, seed: self.seed })?;
            report.kept.push(rule);
        }
        Ok(report)
    }
}

/// Which code stands for which sentence.
async fn hold<S: Store>(bench: &Bench<S>, rule: Rule) -> Check {
    match rule {
        Rule::AbsentIsNone => load::absent_is_none(bench).await,
        Rule::InsertCreates => insert::creates(bench).await,
        Rule::ExpiredIsLoaded => load::expired_is_loaded(bench).await,
        Rule::ReplaceIgnoresTime => replace::ignores_time(bench).await,
        Rule::KeysAreWhole => load::keys_are_whole(bench).await,
        Rule::DeadlineAsItIs => load::deadline_as_it_is(bench).await,
        Rule::BodyAsItIs => load::body_as_it_is(bench).await,
        Rule::RevisionAsItIs => load::revision_as_it_is(bench).await,
        Rule::SubjectAsItIs => load::subject_as_it_is(bench).await,
        Rule::TooLargeIsSaid => load::too_large_is_said(bench).await,
        Rule::TombstoneIsLoaded => load::tombstone_is_loaded(bench).await,
        Rule::InsertNeverOverwrites => insert::never_overwrites(bench).await,
        Rule::InsertRespectsExpired => insert::respects_expired(bench).await,
        Rule::ReplaceSetsAllFour => replace::sets_all_four(bench).await,
        Rule::ReplaceMovesDeadlineBack => replace::moves_deadline_back(bench).await,
        Rule::ReplaceChecksRevision => replace::checks_revision(bench).await,
        Rule::ReplaceSaysWhatIsThere => replace::says_what_is_there(bench).await,
        Rule::ReplaceNeverCreates => replace::never_creates(bench).await,
        Rule::TouchMovesForward => touch::moves_forward(bench).await,
        Rule::TouchNeverCreates => touch::never_creates(bench).await,
        Rule::TouchChecksRevision => touch::checks_revision(bench).await,
        Rule::TouchNeverMovesBack => touch::never_moves_back(bench).await,
        Rule::TouchLeavesTheRest => touch::leaves_the_rest(bench).await,
        Rule::EndWhateverIsThere => end::whatever_is_there(bench).await,
        Rule::EndIfNothingIs => end::if_nothing_is(bench).await,
        Rule::TombstoneAsItIs => load::tombstone_as_it_is(bench).await,
        Rule::EndKeepsLaterDeadline => end::keeps_later_deadline(bench).await,
        Rule::EndedRefusesReplace => end::refuses_replace(bench).await,
        Rule::InsertRespectsTombstones => insert::respects_tombstones(bench).await,
        Rule::IndexNamesInserted => index::names_inserted(bench).await,
        Rule::IndexFollowsReplace => index::follows_replace(bench).await,
        Rule::IndexNamesExpired => index::names_expired(bench).await,
        Rule::IndexNamesTouched => index::names_touched(bench).await,
        Rule::PageAscends => index::page_ascends(bench).await,
        Rule::PageIsLimited => index::page_is_limited(bench).await,
        Rule::PageStartsAfter => index::page_starts_after(bench).await,
        Rule::ShortPageIsLast => index::short_page_is_last(bench).await,
        Rule::WalkMissesNothing => index::walk_misses_nothing(bench).await,
        Rule::SweepRemovesDue => sweep::removes_due(bench).await,
        Rule::SweepRemovesNow => sweep::removes_now(bench).await,
        Rule::SweepLeavesTheRest => sweep::leaves_the_rest(bench).await,
        Rule::SweepIsBounded => sweep::is_bounded(bench).await,
        Rule::SweepCounts => sweep::counts(bench).await,
        Rule::SweepFewerIsAll => sweep::fewer_is_all(bench).await,
        Rule::SweepTakesTombstones => sweep::takes_tombstones(bench).await,
        Rule::SweepGoesByTheDeadline => sweep::goes_by_the_deadline(bench).await,
        Rule::OneInsertWins => races::one_insert_wins(bench).await,
        Rule::OneReplaceWins => races::one_replace_wins(bench).await,
        Rule::NoIncrementIsLost => races::no_increment_is_lost(bench).await,
        Rule::EndedStaysEnded => races::ended_stays_ended(bench).await,
        Rule::IndexNeverMisses => races::index_never_misses(bench).await,
        Rule::SweepOrTouch => races::sweep_or_touch(bench).await,
        Rule::OneStep => races::one_step(bench).await,
        Rule::DroppedHalfway => races::dropped_halfway(bench).await,
    }
}

/// A contract that is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// The rules that hold.
    pub kept: Vec<Rule>,
    /// The rules that were left out.
    pub skipped: Vec<Rule>,
}

/// A rule that is broken.
///
/// `Debug` is as readable as `Display`, for the sake of `unwrap`.
#[derive(Clone)]
pub struct Violation {
    rule: Rule,
    details: String,
    seed: u64,
}

impl Violation {
    /// Returns which rule is broken.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// Returns the seed of the run, for [`Suite::seed`].
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, details, seed } = self;
        write!(
            f,
            "the store breaks its contract ({rule:?}):\n  {}\n  {details}\n  seed {seed}",
            rule.sentence()
        )
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Violation {}
