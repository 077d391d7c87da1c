//! The core's values, as a user of the crate sees them.

mod cookie;
mod transact;
