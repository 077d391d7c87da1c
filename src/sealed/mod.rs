//! What only the holder of a key can read: data at rest, and sessions that live in their cookie.

#[cfg(feature = "sealed")]
pub use self::at_rest::Unsealed;
#[cfg(feature = "sealed")]
pub(crate) use self::at_rest::{Place, Sealing, accepts_unsealed, open, seal};
#[cfg(feature = "sealed")]
pub(crate) use self::slot::Slot;
#[cfg(feature = "sealed")]
pub use self::stateless::{NotBefore, Stateless};
#[cfg(all(fuzzing, feature = "sealed"))]
pub(crate) use self::token::text_of;
#[cfg(not(feature = "sealed"))]
pub(crate) use self::without::{Place, Sealing, Slot, accepts_unsealed, open, seal};

#[cfg(feature = "sealed")]
mod at_rest;
#[cfg(feature = "sealed")]
mod cipher;
#[cfg(feature = "sealed")]
mod slot;
#[cfg(feature = "sealed")]
mod stateless;
#[cfg(feature = "sealed")]
mod token;
#[cfg(not(feature = "sealed"))]
mod without;
