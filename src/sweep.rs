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

impl<T: SessionData, S: Store> SessionLayer<T, S> {
    /// Removes all that has expired, in bounded batches, and returns how many
    /// records those were.
    ///
    /// # Errors
    ///
    /// If the store fails. What was removed until then stays removed.
    pub async fn sweep(&self) -> store::Result<usize> {
        let now = self.now();
        let mut removed = 0;
        loop {
            let batch = self.store().remove_expired(now, BATCH).await?;
            removed += batch;
            if batch < BATCH {
                return Ok(removed);
            }
        }
    }

    /// Sweeps again and again, at once and then after each `interval`, for ever.
    ///
    /// Spawn the future on whatever runtime there is; it needs to be told how to
    /// sleep there. A failing store is an [event](Event::Failed), and no end: the
    /// next interval tries again. Dropping the future stops it.
    ///
    /// An hour is a good interval: what has expired costs space and nothing else.
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
            if let Err(error) = self.sweep().await {
                self.event(&Event::Failed { key: None, error: &Error::Store(error) });
            }
            sleep(interval).await;
        }
    }
}
