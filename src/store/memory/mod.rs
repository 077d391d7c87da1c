//! Sessions in this process's memory.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::shard::{Progress, Shard};
use super::{Cursor, Error, ErrorKind, Inserted, Page, Replaced, Result, Revision, Scan, Store};
use crate::id::SessionKey;
use crate::record::Record;
use crate::subject::Subject;
use crate::time::Timestamp;

mod shard;

/// A store in this process's memory: for tests, for one process, and for data
/// that a restart may lose.
///
/// It forgets nothing by itself: without calls of
/// [`remove_expired`](Store::remove_expired) it grows with every session.
///
/// A session without a subject takes about 90 bytes beside its body, one with a
/// subject about 50 more.
///
/// ```
/// use std::sync::Arc;
/// use typed_session::store::MemoryStore;
///
/// let store = Arc::new(MemoryStore::with_capacity_limit(100_000));
/// assert!(store.is_empty());
/// ```
pub struct MemoryStore {
    /// Each holds the keys that begin with its number, so that walking through
    /// them in turn gives ascending keys. A record and its place in the index
    /// are in one shard and change under one lock.
    shards: [Mutex<Shard>; SHARDS],
    /// How many records all shards hold, changed under the lock of one.
    len: AtomicUsize,
    limit: usize,
}

/// 64 locks: more than the threads that run at once on most machines, and few
/// enough for `sessions_of` to visit them all in microseconds.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 6;

/// How many records are looked at under one lock by `remove_expired`. Each
/// takes 0.1 to 0.3 µs.
const PIECE: usize = 512;

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity_limit(usize::MAX)
    }

    /// Makes an empty store that holds at most `records` sessions.
    ///
    /// When it is full, `insert` is refused with [`ErrorKind::Unavailable`] until
    /// [`remove_expired`](Store::remove_expired) has made room. It removes
    /// nothing to make room by itself: a session in use must not go in silence,
    /// and what is expired it cannot know, for it asks no clock.
    ///
    /// Whatever ends a session is never refused. Only the tombstone of a key
    /// that is not there can exceed the limit.
    #[must_use]
    pub fn with_capacity_limit(records: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            len: AtomicUsize::new(0),
            limit: records,
        }
    }

    /// Returns the number of records, expired ones and tombstones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Returns whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &SessionKey) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of(key)])
    }
}

fn shard_of(key: &SessionKey) -> usize {
    usize::from(key.as_bytes()[0] >> (u8::BITS - SHARD_BITS))
}

/// A panic of another thread is that thread's affair: no call under a lock can
/// leave a record half written.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        Ok(self.shard(key).get(key))
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        let mut shard = self.shard(key);
        if shard.contains(key) {
            return Ok(Inserted::Exists);
        }
        self.len
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |len| {
                (len < self.limit).then(|| len + 1)
            })
            .map_err(|_| Error::new(ErrorKind::Unavailable, Full))?;
        shard.add(key, record);
        Ok(Inserted::Created)
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        Ok(self.shard(key).replace(key, expected, record))
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.shard(key).touch(key, at, expires_at);
        Ok(())
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        let mut shard = self.shard(key);
        if !shard.end(key, tombstone) {
            self.len.fetch_add(1, Ordering::Relaxed);
            let subject = None;
            shard.add(key, &Record { revision: Revision::ENDED, subject, ..tombstone.clone() });
        }
        Ok(())
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        let mut keys = Vec::new();
        for shard in &self.shards[after.map_or(0, shard_of)..] {
            if keys.len() >= limit {
                break;
            }
            lock(shard).sessions_of(subject, after, &mut keys);
        }
        keys.truncate(limit);
        Ok(keys)
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut removed = 0;
        for shard in &self.shards {
            let mut progress = Progress::default();
            while removed < limit && !progress.done {
                let mut shard = lock(shard);
                let piece = shard.remove_expired(now, PIECE.min(limit - removed), &mut progress);
                self.len.fetch_sub(piece, Ordering::Relaxed);
                removed += piece;
            }
        }
        Ok(removed)
    }
}

/// A piece of a shard at a time, so that requests are not held up.
impl Scan for MemoryStore {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        let (mut shard, mut chain) = from.map_or((0, 0), place);
        let mut rows = Vec::new();
        while let Some(its) = self.shards.get(shard) {
            if rows.len() >= limit.max(1) {
                return Ok(Page { rows, next: Some(cursor(shard, chain)), ..Page::default() });
            }
            // A chain has about one row.
            match lock(its).scan(chain, PIECE.min(limit.max(1)), &mut rows) {
                Some(next) => chain = next,
                None => (shard, chain) = (shard + 1, 0),
            }
        }
        Ok(Page { rows, ..Page::default() })
    }
}

fn cursor(shard: usize, chain: usize) -> Cursor {
    Cursor::from_bytes([shard, chain].map(|n| (n as u64).to_be_bytes()).concat())
}

/// Where a cursor points to. One that is not ours is past the end.
fn place(cursor: &Cursor) -> (usize, usize) {
    let Ok(bytes) = <[u8; 16]>::try_from(cursor.as_bytes()) else { return (SHARDS, 0) };
    let both = u128::from_be_bytes(bytes);
    ((both >> 64) as usize, both as u64 as usize)
}

#[derive(Debug, thiserror::Error)]
#[error("the memory store holds as many sessions as it may")]
struct Full;
