//! Typed, server-side HTTP sessions.
#![forbid(unsafe_code)]

pub mod cookie;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::entropy::{Entropy, EntropyError, SystemEntropy};
pub use crate::id::{ParseKeyError, SessionId, SessionKey};
pub use crate::record::Record;
pub use crate::subject::Subject;
pub use crate::time::{Clock, SystemClock, Timestamp};

mod entropy;
mod id;
mod record;
mod subject;
mod time;
pub mod merge;
