//! Histories.
mod excerpt;
mod log;
mod lost;
mod model;
mod search;

pub(super) use self::log::{History, said};
pub(super) use self::model::{Op, State};
