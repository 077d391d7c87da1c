//! Events as `tracing` events.

use tracing::{debug, error, info, warn};

use super::{Event, Observer};

/// Passes every event on to `tracing`, with the target `typed_session`.
///
/// What is usual is `debug`, a session's start, end and new id `info`; another client, an id or a
/// token that is good for nothing, another site's request, guessing, and a merge that overwrote
/// something `warn`; and a failure `error`.
///
/// ```
/// # use typed_session::{SessionData, SessionLayer, TracingObserver, store::MemoryStore};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Visits { count: u64 }
/// # impl SessionData for Visits {}
/// let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new()).observer(TracingObserver);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn event(&self, event: &Event<'_>) {
        const NONE: &str = "none";
        match event {
            Event::Created { key } => info!(target: TARGET, %key, "session created"),
            Event::Resumed { key } => debug!(target: TARGET, %key, "session resumed"),
            Event::Rotated { key, cause } => {
                info!(target: TARGET, %key, ?cause, "session id rotated");
            }
            Event::Ended { key, reason } => info!(target: TARGET, %key, ?reason, "session ended"),
            Event::ClientChanged { key } => {
                warn!(target: TARGET, %key, "session used by another client");
            }
            Event::Rejected { key: Some(key), verdict } => {
                warn!(target: TARGET, %key, %verdict, "session id rejected");
            }
            Event::Rejected { key: None, verdict } => {
                warn!(target: TARGET, key = NONE, %verdict, "session id rejected");
            }
            Event::Conflict { key, overwritten: 0 } => {
                debug!(target: TARGET, %key, "session changes merged");
            }
            Event::Conflict { key, overwritten } => {
                warn!(target: TARGET, %key, overwritten, "session changes merged, some overwritten");
            }
            Event::CrossOrigin { why } => {
                warn!(target: TARGET, %why, "request of another site refused");
            }
            Event::ForgedToken { key: Some(key) } => {
                warn!(target: TARGET, %key, "token of a form refused");
            }
            Event::ForgedToken { key: None } => {
                warn!(target: TARGET, key = NONE, "token of a form refused");
            }
            Event::Withheld => {
                debug!(target: TARGET, "session changes withheld: there is no consent");
            }
            Event::Guessing { count, interval } => {
                warn!(target: TARGET, count, ?interval, "session ids are being guessed");
            }
            Event::Failed { key: Some(key), error } => {
                error!(target: TARGET, %key, error = *error as &(dyn std::error::Error + 'static), "session failed");
            }
            Event::Failed { key: None, error } => {
                error!(target: TARGET, key = NONE, error = *error as &(dyn std::error::Error + 'static), "session failed");
            }
        }
    }
}

const TARGET: &str = "typed_session";

pub(super) fn missing_layer(data: &'static str) {
    error!(
        target: TARGET,
        data,
        "a handler takes a Session, and no SessionLayer of its data type is around the route: put one around it, as middleware"
    );
}
