//! Typed, server-side HTTP sessions.
#![forbid(unsafe_code)]

pub mod cookie;
pub mod data;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod merge;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "axum")]
pub use crate::adapter::axum::Rejection;
#[cfg(feature = "tower")]
pub use crate::adapter::tower::{SessionFuture, SessionService};
pub use crate::codec::{EncodeError, Encoding};
pub use crate::data::SessionData;
pub use crate::effects::{Effects, Header, Mode};
pub use crate::entropy::{Entropy, EntropyError, SystemEntropy};
pub use crate::error::Error;
#[cfg(feature = "tracing")]
pub use crate::event::TracingObserver;
pub use crate::event::{Event, Observer, RotationCause};
pub use crate::id::{ParseKeyError, SessionId, SessionKey};
pub use crate::layer::{ClearSiteData, Exchange, Outcome, SessionLayer};
pub use crate::lifecycle::{Reuse, Rotation};
pub use crate::lifetime::{CookieLifetime, Lifetime};
pub use crate::record::{Body, Record, Revision};
pub use crate::session::{PendingSession, Session, Times};
pub use crate::subject::Subject;
pub use crate::time::{Clock, SystemClock, Timestamp};
pub use crate::verdict::{EndReason, Verdict};

#[cfg(feature = "tower")]
mod adapter;
mod codec;
mod effects;
mod entropy;
mod envelope;
mod error;
mod event;
#[cfg(test)]
mod golden;
mod id;
mod layer;
mod lifecycle;
mod lifetime;
mod record;
mod revoke;
mod session;
mod subject;
mod sweep;
mod time;
mod verdict;
