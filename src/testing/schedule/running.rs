//! A run: tasks that are polled one at a time.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

use super::notation::{Step, letter};
use super::search::Search;

/// The tasks of one run.
pub(super) struct Running<F> {
    tasks: Vec<Slot<F>>,
}

struct Slot<F> {
    /// Until it is ready or dropped.
    task: Option<F>,
    started: bool,
    ready: Arc<Ready>,
    waker: Waker,
}

/// Some runtimes give a task a budget of reads and writes and let them all be
/// pending once it is used up; only giving way renews it.
const STEPS_A_POLL: usize = 64;

/// Whether a task was woken since it was last polled.
#[derive(Debug)]
struct Ready {
    woken: AtomicBool,
    /// Who polls the run, if anybody can be woken there.
    outer: AtomicWaker,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.outer.wake();
    }
}

/// What a step of a run came to.
pub(super) enum Progress {
    /// One task was polled, or dropped.
    Stepped,
    /// There are tasks, and none can go on.
    Waiting,
    /// No task is left.
    Finished,
}

impl<F: Future<Output = ()> + Unpin> Running<F> {
    pub(super) fn new(tasks: Vec<F>) -> Self {
        let slot = |task| {
            let ready = Arc::new(Ready { woken: AtomicBool::new(true), outer: AtomicWaker::new() });
            let waker = Waker::from(Arc::clone(&ready));
            Slot { task: Some(task), started: false, ready, waker }
        };
        Self { tasks: tasks.into_iter().map(slot).collect() }
    }

    pub(super) fn step(&mut self, search: &Mutex<Search>) -> Progress {
        let (mut poll, mut drop, mut left) = (0, 0, false);
        for (index, slot) in self.tasks.iter().enumerate() {
            if slot.task.is_some() {
                left = true;
                poll |= u32::from(slot.ready.woken.load(Ordering::SeqCst)) << index;
                // To drop a task that was never polled is not to have it.
                drop |= u32::from(slot.started) << index;
            }
        }
        if !left {
            return Progress::Finished;
        }
        if poll == 0 {
            return Progress::Waiting;
        }
        let step = search.lock().unwrap_or_else(PoisonError::into_inner).task(poll, drop);
        match step {
            Step::Poll(index) => {
                let slot = &mut self.tasks[index];
                slot.started = true;
                slot.ready.woken.store(false, Ordering::SeqCst);
                if let Some(task) = &mut slot.task {
                    let polled = Pin::new(task).poll(&mut Context::from_waker(&slot.waker));
                    if polled.is_ready() {
                        slot.task = None;
                    }
                }
            }
            Step::Drop(index) => self.tasks[index].task = None,
            Step::Pick(_) => {}
        }
        Progress::Stepped
    }

    /// The names of the tasks that are left.
    pub(super) fn waiting(&self) -> String {
        let left = self.tasks.iter().enumerate().filter(|(_, slot)| slot.task.is_some());
        let names: Vec<_> = left.map(|(index, _)| letter(b'A', index).to_string()).collect();
        names.join(" and ")
    }

    /// Steps until all tasks have ended, and waits in between where none can go
    /// on.
    pub(super) fn poll_all(&mut self, search: &Mutex<Search>, context: &Context<'_>) -> Poll<()> {
        // Registered before the flags are read, so that no wake is lost.
        for slot in &self.tasks {
            slot.ready.outer.register(context.waker());
        }
        for _ in 0..STEPS_A_POLL {
            match self.step(search) {
                Progress::Stepped => {}
                Progress::Waiting => return Poll::Pending,
                Progress::Finished => return Poll::Ready(()),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Gives way once: an await point for an
/// [`Explorer`](super::Explorer), on every runtime.
pub async fn yield_now() {
    let mut gave_way = false;
    std::future::poll_fn(|context| {
        if gave_way {
            return Poll::Ready(());
        }
        gave_way = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs one future to its end, without a runtime.
///
/// ```
/// use typed_session::testing::schedule::{run, yield_now};
///
/// assert_eq!(run(async { yield_now().await; 7 }), 7);
/// ```
///
/// # Panics
///
/// If the future waits and nothing has woken it, which would be for ever: it
/// needs a runtime, or waits for itself.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let ready = Arc::new(Ready { woken: AtomicBool::new(true), outer: AtomicWaker::new() });
    let waker = Waker::from(Arc::clone(&ready));
    let mut future = pin!(future);
    while ready.woken.swap(false, Ordering::SeqCst) {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
    }
    panic!("the future waits and nothing will wake it");
}
