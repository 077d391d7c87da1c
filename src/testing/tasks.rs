//! Futures that run at the same time, on the caller's threads if there are any.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures_util::future::join_all;
use futures_util::task::AtomicWaker;

/// A future that may move to another thread.
pub(super) type Job<T = ()> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How the caller starts a task.
pub(super) type Spawn = Arc<dyn Fn(Job) + Send + Sync>;

/// Runs all jobs at the same time, spawned if it is said how.
pub(super) async fn race<T: Send + 'static>(
    spawn: Option<&Spawn>,
    jobs: Vec<Job<T>>,
) -> Result<Vec<T>, String> {
    let jobs = jobs.into_iter().map(|job| {
        let slot = Arc::new(Slot::default());
        match spawn {
            None => Ok(job),
            Some(spawn) => {
                let filler = Filler(Arc::clone(&slot));
                spawn(Box::pin(async move { filler.fill(job.await) }));
                Err(slot)
            }
        }
    });
    let answers = join_all(jobs.map(async |job| match job {
        Ok(job) => Ok(job.await),
        Err(slot) => slot.wait().await,
    }));
    answers.await.into_iter().collect()
}

/// Where a spawned task leaves its answer.
struct Slot<T> {
    answer: Mutex<Option<T>>,
    over: AtomicBool,
    waker: AtomicWaker,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { answer: Mutex::new(None), over: AtomicBool::new(false), waker: AtomicWaker::new() }
    }
}

impl<T> Slot<T> {
    async fn wait(&self) -> Result<T, String> {
        std::future::poll_fn(|context| {
            self.waker.register(context.waker());
            if !self.over.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
            let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
            Poll::Ready(answer.ok_or_else(|| "a spawned task panicked or was dropped".to_owned()))
        })
        .await
    }
}

/// The other end of a slot; wakes also if the task never comes to its answer.
struct Filler<T>(Arc<Slot<T>>);

impl<T> Filler<T> {
    fn fill(self, answer: T) {
        *self.0.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

impl<T> Drop for Filler<T> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
        self.0.waker.wake();
    }
}
