//! What the handles of one request share, and the way from there to the store.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::candidates::Candidates;
use crate::client::ClientInfo;
use crate::data::SessionData;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::event::Observer;
use crate::exchange::Outcome;
use crate::lifecycle::{Machine, Policy, Standing};
use crate::sealed::Slot;
use crate::time::{Clock, Timestamp};
use crate::turns::Turn;

pub(crate) struct Inner<T> {
    machine: Mutex<Machine<T>>,
    /// Loads, commits and whole transactions of one request take turns.
    pub(crate) turn: futures_util::lock::Mutex<()>,
    /// The thread that runs a closure on the data, or 0.
    closure_on: AtomicUsize,
    /// A panic has dropped a handle, and the state does not know yet.
    panicked: AtomicBool,
    pub(crate) visit: Visit,
    /// There as soon as it is made.
    driver: Option<Arc<dyn Driver<T>>>,
}

/// What there is to know of a request beside its session.
#[derive(Default)]
pub(crate) struct Visit {
    /// When it came in, where that can matter: only timed rotation asks.
    pub(crate) arrived: Option<Timestamp>,
    /// The browser goes to the page that answers, so that another page may take its place.
    pub(crate) navigates: bool,
    /// What the request brought of what a store would keep.
    pub(crate) slot: Slot,
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The layer, as a session sees it: without its store's type.
pub(crate) trait Driver<T>: Send + Sync {
    /// Does the job. It is the caller's [`turn`](Inner::turn) among the handles of this request;
    /// `turn` is this request's among those of other requests.
    fn drive<'a>(
        &'a self,
        inner: &'a Inner<T>,
        job: Job,
        turn: &'a mut Turn,
    ) -> BoxFuture<'a, Result<Driven, Error>>;

    /// Judges the session by what the store has now. It is the caller's turn.
    fn check<'a>(&'a self, inner: &'a Inner<T>) -> BoxFuture<'a, Result<Standing, Error>>;

    /// What the layer was told of the world, for what needs no store.
    fn world(&self) -> World<'_>;

    /// Loads the session, if that needs no wait.
    fn load_at_once(
        &self,
        machine: &mut Machine<T>,
        visit: &Visit,
    ) -> Option<Result<Driven, Error>>;

    /// Finishes the request, if that needs no wait. It is the caller's turn.
    fn finish_at_once(&self, machine: &mut Machine<T>, visit: &Visit) -> Option<Outcome>;

    /// Finishes the request.
    fn finish(self: Arc<Self>, inner: Arc<Inner<T>>) -> BoxFuture<'static, Outcome>;
}

/// Where a session lives, but for the store.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) observer: &'a dyn Observer,
}

/// What the store is needed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Job {
    Load,
    /// A commit that the handler asks for.
    Commit,
    /// The one at the end of the request.
    Finish,
    /// Try what a transaction has staged; for the first time or again.
    Attempt {
        first: bool,
    },
}

/// What came of a job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Driven {
    Done,
    /// The transaction met newer data.
    Again,
}

impl<T> Default for Inner<T> {
    #[inline(always)]
    fn default() -> Self {
        Self {
            machine: Mutex::default(),
            turn: futures_util::lock::Mutex::new(()),
            closure_on: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            visit: Visit::default(),
            driver: None,
        }
    }
}

impl<T> Inner<T> {
    /// Makes what the handles of a request share.
    // Its place is made first and filled then: to make it elsewhere and move it there, part by
    // part, takes longer than all that a request without a cookie does else.
    #[inline]
    pub(crate) fn new(
        candidates: Candidates,
        client: Option<ClientInfo>,
        visit: Visit,
        driver: Arc<dyn Driver<T>>,
    ) -> Arc<Self>
    where
        T: SessionData,
    {
        let mut shared = Arc::<Self>::default();
        if let Some(inner) = Arc::get_mut(&mut shared) {
            let machine = inner.machine.get_mut().unwrap_or_else(PoisonError::into_inner);
            machine.begin(candidates, client);
            inner.visit = visit;
            inner.driver = Some(driver);
        }
        shared
    }

    /// The way to the store, and to what the layer was told.
    pub(crate) fn driver(&self) -> &Arc<dyn Driver<T>> {
        self.driver.as_ref().expect("`new` gives it one")
    }

    /// Locks the state for a moment; never across an `await`.
    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine<T>> {
        assert!(
            self.closure_on.load(Ordering::Relaxed) != this_thread(),
            "a session was used inside one of its own closures: take what is needed out of it first"
        );
        // A panic in a closure poisons the lock; whether it tore the data apart, the
        // machine knows.
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        if self.panicked.load(Ordering::Relaxed) {
            self.panicked.store(false, Ordering::Relaxed);
            machine.tear();
        }
        machine
    }

    /// Does what `machine` would, for who has the only handle, which spares the lock.
    pub(crate) fn alone(&mut self) -> (&mut Machine<T>, &Visit, &dyn Driver<T>) {
        let machine = self.machine.get_mut().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(self.panicked.get_mut()) {
            machine.tear();
        }
        (machine, &self.visit, &**self.driver.as_ref().expect("`new` gives it one"))
    }

    /// Notes that a panic drops a handle; without the lock, which the panic may hold.
    pub(super) fn panics(&self) {
        self.panicked.store(true, Ordering::Relaxed);
    }

    pub(crate) fn policy(&self) -> &Policy {
        self.driver().world().policy
    }

    /// Runs a closure of the user's under the lock.
    pub(super) fn closure<R>(&self, f: impl FnOnce(&mut Machine<T>) -> R) -> R {
        struct Leave<'a>(&'a AtomicUsize);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.store(0, Ordering::Relaxed);
            }
        }

        let mut machine = self.machine();
        self.closure_on.store(this_thread(), Ordering::Relaxed);
        // Dropped before the lock is, also in a panic.
        let _leave = Leave(&self.closure_on);
        f(&mut machine)
    }
}

/// A number of this thread; not 0.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
