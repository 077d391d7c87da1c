//! Every order of events: a scheduler that polls a few futures one at a time,
//! in one order after the other.
//!
//! A scenario is a closure that builds its world from scratch and returns the
//! futures that run in it and a check for afterwards. The [`Explorer`] runs it
//! once for every order in which the futures can be polled. If a check fails,
//! a future panics, or all of them wait for each other, the order is printed
//! and can be [replayed](Explorer::replay).
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use typed_session::testing::schedule::{Explorer, Scenario, yield_now};
//!
//! // Two tasks that read, then write: an increment is lost in some orders.
//! let failure = Explorer::new()
//!     .explore(|_| {
//!         let counter = Arc::new(Mutex::new(0));
//!         let increment = |counter: Arc<Mutex<u32>>| async move {
//!             let read = *counter.lock().unwrap();
//!             yield_now().await;
//!             *counter.lock().unwrap() = read + 1;
//!         };
//!         Scenario::new()
//!             .task(increment(counter.clone()))
//!             .task(increment(counter.clone()))
//!             .check(move || match *counter.lock().unwrap() {
//!                 2 => Ok(()),
//!                 other => Err(format!("counted {other}")),
//!             })
//!     })
//!     .unwrap_err();
//! assert_eq!(failure.message(), "counted 1");
//! assert_eq!(failure.schedule().to_string(), "A B A B");
//! ```
//!
//! # What counts as an await point
//!
//! A step is one poll. A future gives way where it is really pending: at
//! [`yield_now`], at a [`Yielding`](super::Yielding) store, at a lock that
//! somebody else holds. Between two such points it runs undisturbed, so code
//! that must be interleaved needs one. The scenario must do the same when it is
//! run in the same order again: no threads, no clock, no randomness of its own
//! (see [`Choice`] for what may vary).

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

pub use self::notation::{ParseScheduleError, Schedule};
use self::running::{Progress, Running};
pub use self::running::{run, yield_now};
pub(super) use self::search::Random;
use self::search::Search;

mod notation;
mod running;
mod search;

/// One of a scenario's futures.
pub(super) type Task = std::pin::Pin<Box<dyn Future<Output = ()>>>;

type Check = Box<dyn FnOnce() -> Result<(), String>>;

/// A few futures that run at the same time, and what must be true afterwards.
#[derive(Default)]
#[must_use]
pub struct Scenario {
    tasks: Vec<Task>,
    check: Option<Check>,
}

impl Scenario {
    /// Makes a scenario without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task. The first is A in schedules, the second B, and so on.
    ///
    /// # Panics
    ///
    /// On the 27th: the letters are used up, and nobody would live to see the
    /// end of it.
    pub fn task(mut self, task: impl Future<Output = ()> + 'static) -> Self {
        assert!(self.tasks.len() < notation::TASKS, "a scenario has at most 26 tasks");
        self.tasks.push(Box::pin(task));
        self
    }

    /// Sets what is checked once all tasks have ended. A panic is a failed
    /// check, here as in a task.
    pub fn check(mut self, check: impl FnOnce() -> Result<(), String> + 'static) -> Self {
        self.check = Some(Box::new(check));
        self
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

/// Lets a scenario vary in more than its order, in the same search.
///
/// ```
/// use typed_session::testing::schedule::{Explorer, Scenario};
///
/// let explored = Explorer::new()
///     .explore(|choice| {
///         let lost = choice.of(2) == 0;
///         Scenario::new().task(async move { if lost { /* no answer */ } })
///     })
///     .unwrap();
/// assert_eq!(explored.runs, 2);
/// ```
///
/// A clone may be moved into a task and asked there.
#[derive(Clone, Debug)]
pub struct Choice(Arc<Mutex<Search>>);

impl Choice {
    /// Picks one of the numbers below `options`: each of them in some run.
    ///
    /// # Panics
    ///
    /// If there is nothing to choose from.
    #[must_use]
    pub fn of(&self, options: usize) -> usize {
        assert!(options > 0, "there is nothing to choose from");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pick(options)
    }
}

/// Runs a scenario in every order, or in many.
#[derive(Clone, Debug)]
#[must_use]
pub struct Explorer {
    max_runs: usize,
    max_steps: usize,
    drops: usize,
    seed: u64,
}

impl Default for Explorer {
    fn default() -> Self {
        Self { max_runs: 1_000_000, max_steps: 10_000, drops: 0, seed: 0 }
    }
}

impl Explorer {
    /// Makes an explorer that tries up to a million orders.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many orders are tried at most.
    ///
    /// All of them, if there are no more; else one half of the runs goes through
    /// them in order and the other takes them at random.
    pub const fn max_runs(mut self, runs: usize) -> Self {
        self.max_runs = runs;
        self
    }

    /// Sets how many steps one run may take before it counts as endless.
    pub const fn max_steps(mut self, steps: usize) -> Self {
        self.max_steps = steps;
        self
    }

    /// Lets up to so many tasks of a run be dropped at one of their await
    /// points, as a server does with a request whose client has gone.
    pub const fn drops(mut self, tasks: usize) -> Self {
        self.drops = tasks;
        self
    }

    /// Sets the seed of the random half.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs the scenario in one order after the other.
    ///
    /// # Errors
    ///
    /// The first order in which the check failed, something panicked, or nothing
    /// could go on.
    pub fn explore(
        &self,
        mut scenario: impl FnMut(&Choice) -> Scenario,
    ) -> Result<Explored, Failure> {
        let search = Arc::new(Mutex::new(Search::new(self.max_runs, self.drops, self.seed)));
        self.run_all(&search, &mut scenario)
    }

    /// Runs the scenario once, in the order of a schedule that was printed.
    ///
    /// Where the schedule ends before the scenario does, the first task that can
    /// go on does.
    ///
    /// # Errors
    ///
    /// As [`explore`](Self::explore); also if the text is no schedule, or not
    /// one of this scenario.
    pub fn replay(
        &self,
        schedule: &str,
        mut scenario: impl FnMut(&Choice) -> Scenario,
    ) -> Result<Explored, Failure> {
        let schedule: Schedule = schedule.parse().map_err(|error: ParseScheduleError| Failure {
            schedule: Schedule::default(),
            seed: self.seed,
            runs: 0,
            message: error.to_string(),
        })?;
        let search = Arc::new(Mutex::new(Search::replay(schedule, self.drops)));
        self.run_all(&search, &mut scenario)
    }

    fn run_all(
        &self,
        search: &Arc<Mutex<Search>>,
        scenario: &mut dyn FnMut(&Choice) -> Scenario,
    ) -> Result<Explored, Failure> {
        let choice = Choice(Arc::clone(search));
        loop {
            let outcome =
                catch_unwind(AssertUnwindSafe(|| self.run_once(search, scenario(&choice))))
                    .unwrap_or_else(|panic| Err(words(&*panic)));
            let mut search = search.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = match search.diverged() {
                true => Err("the scenario does not do the same when run again in the same order, \
                             or the schedule is not one of it"
                    .to_owned()),
                false => outcome,
            };
            if let Err(message) = outcome {
                let schedule = search.schedule();
                return Err(Failure {
                    schedule,
                    seed: self.seed,
                    runs: search.runs() + 1,
                    message,
                });
            }
            if !search.advance() {
                return Ok(Explored { runs: search.runs(), complete: search.complete() });
            }
        }
    }

    fn run_once(&self, search: &Mutex<Search>, scenario: Scenario) -> Result<(), String> {
        let mut running = Running::new(scenario.tasks);
        let mut steps = 0;
        loop {
            match running.step(search) {
                Progress::Stepped if steps < self.max_steps => steps += 1,
                Progress::Stepped => return Err(format!("no end after {steps} steps")),
                Progress::Waiting => {
                    return Err(format!("deadlock: {} wait for each other", running.waiting()));
                }
                Progress::Finished => break,
            }
        }
        scenario.check.map_or(Ok(()), |check| check())
    }
}

/// What an exploration without a failure has seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Explored {
    /// How many orders were run.
    pub runs: usize,
    /// Whether these are all there are.
    pub complete: bool,
}

/// An order in which a scenario failed.
///
/// `Debug` is as readable as `Display`, for the sake of `unwrap`.
#[derive(Clone)]
pub struct Failure {
    schedule: Schedule,
    seed: u64,
    runs: usize,
    message: String,
}

impl Failure {
    /// Returns the order, for [`Explorer::replay`].
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Returns what the check said, or the panic.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedule, seed, runs, message } = self;
        write!(f, "{message}\n  in the order: {schedule}\n  run {runs} of seed {seed}")
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// Runs, on the caller's runtime, a scenario in up to `max_runs` orders.
///
/// Unlike [`Explorer::explore`] it waits where no task can go on, so that the
/// tasks may do real input and output; their order is then the engine's too,
/// and the search takes it as it comes.
pub(super) async fn explore_here<C, T, Fut>(
    max_runs: usize,
    drops: usize,
    seed: u64,
    mut scenario: impl FnMut() -> Fut,
    mut check: impl AsyncFnMut(C) -> Result<(), String>,
) -> Result<usize, String>
where
    Fut: Future<Output = Result<(Vec<T>, C), String>>,
    T: Future<Output = ()> + Unpin,
{
    let search = Mutex::new(Search::new(max_runs, drops, seed).tolerant());
    loop {
        let (tasks, context) = scenario().await?;
        let mut running = Running::new(tasks);
        std::future::poll_fn(|context| running.poll_all(&search, context)).await;
        drop(running);
        let outcome = check(context).await;
        let mut search = search.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(message) = outcome {
            return Err(format!("{message}\n  in the order: {}", search.schedule()));
        }
        if !search.advance() {
            return Ok(search.runs());
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text.as_str(),
        (None, None) => "a panic without words",
    };
    format!("panicked: {text}")
}

#[cfg(test)]
mod tests;
