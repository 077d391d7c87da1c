//! What an engine tells of changes that others have made.

use std::future::Future;

use super::Result;
use crate::id::SessionKey;

/// Something that may have changed in a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// This record changed.
    Key(SessionKey),
    /// Changes may have been missed: any record may have changed.
    Missed,
}

/// Changes in a store as its engine tells of them, for
/// [`Cached::follow`](https://docs.rs/typed-session/latest/typed_session/store/struct.Cached.html#method.follow).
///
/// A source may tell of more than has changed, and of this process's own writes.
/// What it has missed, as while it was not connected, it must own up to by
/// [`Change::Missed`].
pub trait Changes: Send {
    /// Waits for the next change.
    ///
    /// It may be dropped and called again without missing a change.
    ///
    /// # Errors
    ///
    /// If no more will come. A source that connects again by itself answers
    /// [`Change::Missed`] instead.
    fn next(&mut self) -> impl Future<Output = Result<Change>> + Send;
}
