//! Walking through all of a store, for operators.

use super::{ErrorKind, Result, Revision, Store};
use crate::id::SessionKey;
use crate::seats;
use crate::subject::Subject;
use crate::time::Timestamp;

/// A store that an operator can walk through, record by record.
///
/// No request needs this; statistics and "end everything" do. All stores of
/// this library implement it.
///
/// ```
/// use typed_session::store::{Scan, Store};
///
/// async fn count(store: &impl Scan) -> typed_session::store::Result<usize> {
///     let (mut count, mut page) = (0, store.scan(None, 1000).await?);
///     loop {
///         count += page.rows.len();
///         match page.next {
///             Some(next) => page = store.scan(Some(&next), 1000).await?,
///             None => return Ok(count),
///         }
///     }
/// }
/// # let store = typed_session::store::MemoryStore::new();
/// # assert_eq!(futures_executor::block_on(count(&store)).unwrap(), 0);
/// ```
pub trait Scan: Store {
    /// Returns some rows, and where the next ones begin.
    ///
    /// A record that is there during the whole walk is on at least one page;
    /// one that comes or goes meanwhile may be on any or none. Tombstones and
    /// expired records count like any other. `limit` is how many rows to fetch at
    /// once; a page may have fewer, or none, without being the last, and in an
    /// engine that walks by its own buckets also somewhat more. A row that makes no
    /// sense is no error: its key is among [`corrupt`](Page::corrupt).
    fn scan(
        &self,
        from: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page>> + Send;
}

/// Some rows of a store, in no order that means anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// What was found.
    pub rows: Vec<Row>,
    /// The keys of what was found and makes no sense: one bad row must not keep an
    /// operator from the others.
    pub corrupt: Vec<SessionKey>,
    /// Where to go on, or `None` if that was all.
    pub next: Option<Cursor>,
}

impl Page {
    /// Puts rows on a page, and those aside that are
    /// [`ErrorKind::Corrupt`](super::ErrorKind::Corrupt).
    ///
    /// # Errors
    ///
    /// The first one of any other kind.
    pub fn of(rows: impl IntoIterator<Item = (SessionKey, Result<Row>)>) -> Result<Self> {
        let mut page = Self::default();
        for (key, row) in rows {
            match row {
                Ok(row) => page.rows.push(row),
                Err(error) if error.kind() == ErrorKind::Corrupt => page.corrupt.push(key),
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }
}

/// A record without its body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// What it is kept under.
    pub key: SessionKey,
    /// Its revision; [`Revision::ENDED`] for a tombstone.
    pub revision: Revision,
    /// Whose session it is.
    pub subject: Option<Subject>,
    /// When its time is over.
    pub expires_at: Timestamp,
}

impl Row {
    /// Tells whether it is a session's, and not what the library keeps beside: the seats of
    /// [`max_sessions`](crate::SessionLayer::max_sessions).
    #[must_use]
    pub fn is_session(&self) -> bool {
        !seats::is_table(self.subject)
    }

    /// Makes a row of a record's values.
    #[must_use]
    pub const fn new(
        key: SessionKey,
        revision: Revision,
        subject: Option<Subject>,
        expires_at: Timestamp,
    ) -> Self {
        Self { key, revision, subject, expires_at }
    }
}

/// A place in a walk. What is in it is the store's own affair.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Makes a cursor of a store's own bytes.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes it was made of.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
