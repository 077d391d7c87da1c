//! Clean-up: removing what has expired.
//!
//! An expired session is dead whether it has been removed or not; clean-up is
//! about space alone. So it needs no precision, and may run anywhere and on any
//! number of nodes at once.

use std::future::Future;
use std::time::Duration;

use crate::data::SessionData;
use crate::error::Error;
use crate::event::Event;
use crate::layer::SessionLayer;
use crate::store::{self, Store};

/// How many records are removed by one call of the store.
const BATCH: usize = 1000;

/// The shortest and the longest pause between two batches.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];

impl<T: SessionData, S: Store> SessionLayer<T, S> {
    /// Removes all that has expired, in batches of a thousand, one after the
    /// other, and returns how many records those were.
    ///
    /// Where requests go on meanwhile, [`sweep_every`](Self::sweep_every) is
    /// gentler.
    ///
    /// # Errors
    ///
    /// If the store fails. What was removed until then stays removed.
    pub async fn sweep(&self) -> store::Result<usize> {
        self.sweep_in_batches(|_| std::future::ready(())).await
    }

    async fn sweep_in_batches<F: Future<Output = ()>>(
        &self,
        mut pause: impl FnMut(Duration) -> F,
    ) -> store::Result<usize> {
        let mut began = self.now();
        let now = began;
        let mut removed = 0;
        loop {
            let batch = self.store().remove_expired(now, BATCH).await?;
            removed += batch;
            if batch < BATCH {
                return Ok(removed);
            }
            pause(self.now().since(began)).await;
            began = self.now();
        }
    }

    /// Sweeps again and again, at once and then after each `interval`, for ever.
    ///
    /// Spawn the future on whatever runtime there is; it needs to be told how to
    /// sleep there. A failing store is an [event](Event::Failed), and no end: the
    /// next interval tries again. Dropping the future stops it.
    ///
    /// An hour is a good interval: what has expired costs space and nothing else.
    /// Between two batches it sleeps for as long as the first one took, a second at
    /// most, so that others get about half of an engine that lets one writer in at a time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use typed_session::{SessionData, SessionLayer, store::MemoryStore};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Visits { count: u64 }
    /// # impl SessionData for Visits {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
    /// tokio::spawn(sessions.clone().sweep_every(Duration::from_secs(3600), tokio::time::sleep));
    /// # }
    /// ```
    pub async fn sweep_every<F>(self, interval: Duration, mut sleep: impl FnMut(Duration) -> F)
    where
        F: Future<Output = ()>,
    {
        loop {
            let pause = |took: Duration| sleep(took.clamp(PAUSES[0], PAUSES[1]));
            if let Err(error) = self.sweep_in_batches(pause).await {
                self.event(&Event::Failed { key: None, error: &Error::Store(error) });
            }
            sleep(interval).await;
        }
    }
}
