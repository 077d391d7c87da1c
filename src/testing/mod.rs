//! What tests of sessions need: time and randomness to hand, stores that watch
//! and fail, every order of events, and the store contract as code.
//!
//! Nothing here needs a runtime; nothing but [`proxy`] and `adapter` sleeps or opens a socket.
//!
//! | for | there is |
//! | --- | --- |
//! | the author of a store | [`conformance::run`]: the whole contract of [`Store`](crate::store::Store) in one line |
//! | .. | [`history::run`]: many clients at work, and an order looked for that explains what they saw |
//! | the author of a cache | the same two on [`Recalling`] |
//! | the author of an adapter | `adapter::Suite`, with the feature `adapter-suite`: the stories that an adapter is held to, over real connections |
//! | whoever asks what a network does | [`proxy::Proxy`]: cuts, delays, hangs, and loses replies |
//! | whoever suspects a race | [`schedule::Explorer`]: every interleaving of a few futures; [`Yielding`]: a store with await points |
//! | whoever counts store calls | [`Spy`] |
//! | whoever asks what an outage does | [`Faulty`] |
//! | whoever answers for an application | [`assert_asvs`]: the settings of its sessions, held to OWASP ASVS |
//! | whoever tells a story | [`browser::Browser`]: a cookie jar that obeys the rules of browsers |
//! | time and randomness | [`ManualClock`], [`SeededEntropy`] |

#[cfg(feature = "adapter-suite")]
pub mod adapter;
pub mod browser;
pub mod conformance;
pub mod history;
pub mod proxy;
pub mod schedule;
pub mod wrong;

pub use self::asvs::assert_asvs;
pub use self::clock::ManualClock;
pub use self::entropy::SeededEntropy;
pub use self::faulty::{Faults, Faulty, When};
pub use self::ids::bare_id;
pub use self::recalling::Recalling;
pub use self::spy::{Calls, Spied, Spy};
pub use self::verb::Verb;
pub use self::yielding::{Yielding, Yields};

mod asvs;
mod clock;
mod entropy;
mod faulty;
mod ids;
mod recalling;
mod spy;
mod tasks;
mod verb;
mod yielding;
