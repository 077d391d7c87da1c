//! Sessions in this process's memory.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::shard::{Progress, Shard, weight};
use super::{Cursor, Error, ErrorKind, Inserted, Page, Replaced, Result, Revision, Scan, Store};
use crate::id::SessionKey;
use crate::record::Record;
use crate::subject::Subject;
use crate::time::{Clock, Timestamp};

mod rows;
mod shard;
mod sorted;

/// A store in this process's memory: for tests, for one process, and for data
/// that a restart may lose.
///
/// It forgets nothing by itself: without calls of
/// [`remove_expired`](Store::remove_expired) it grows with every session, up to its limits.
///
/// A session without a subject takes about 80 bytes beside its body, one with a
/// subject about 40 more. No verb holds one of its 64 locks for longer the more
/// sessions there are, but for `sessions_of` the more a subject has.
///
/// # Limits
///
/// | limit | default | why |
/// | --- | --- | --- |
/// | [`byte_limit`](Self::byte_limit) | 1 GiB | some three million sessions of 200 bytes: more than a busy site has, and less than makes an end of the process |
/// | [`with_capacity_limit`](Self::with_capacity_limit) | 2<sup>30</sup> | the bytes are the limit |
///
/// Whoever may write into a session without logging in can fill a store, one request a session. In
/// a store that is full no session is created, nor does one grow: `insert` and `replace` are
/// refused with [`ErrorKind::Unavailable`], which is a 503, until
/// [`remove_expired`](Store::remove_expired) has made room, or the store itself, if it has a
/// [`clock`](Self::clock). Sessions that are there go on. None of them ever goes to make room, and no tombstone
/// does: that would log users out, or bring back who was logged out. And whatever ends a session
/// is never refused; the tombstone of a key that is not there can exceed the limits.
///
/// ```
/// use std::sync::Arc;
/// use typed_session::store::MemoryStore;
///
/// let store = Arc::new(MemoryStore::with_capacity_limit(100_000).byte_limit(64 * 1024 * 1024));
/// assert!(store.is_empty());
/// ```
pub struct MemoryStore {
    /// Each holds the keys that begin with its number, so that walking through
    /// them in turn gives ascending keys. A record and its place in the index
    /// are in one shard and change under one lock.
    shards: [Apart<Mutex<Shard>>; SHARDS],
    counts: Apart<Counts>,
    limit: usize,
    byte_limit: usize,
    /// By which a full store removes what has expired.
    clock: Option<Arc<dyn Clock>>,
}

/// What all shards hold, changed under the lock of one.
#[derive(Default)]
struct Counts {
    /// How many records.
    len: AtomicUsize,
    /// How many bytes they take by [`weight`].
    bytes: AtomicUsize,
}

/// What one thread writes must not lie beside what others use: their processors would wait for
/// it. Two lines of the cache, because some fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// 64 locks: more than the threads that run at once on most machines, and few
/// enough for `sessions_of` to visit them all in microseconds.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 6;

/// How many records are looked at under one lock by `remove_expired`. Each
/// takes 0.2 µs, and 1 µs in a store of ten million.
const PIECE: usize = 128;

/// Half of what the shards have numbers for. Keys are hashes, so no shard is filled long before the
/// others.
const MOST_RECORDS: usize = 1 << 30;

const BYTE_LIMIT: usize = 1024 * 1024 * 1024;

impl MemoryStore {
    /// Makes an empty store of at most 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity_limit(usize::MAX)
    }

    /// Makes an empty store that holds at most `records` sessions, exactly.
    #[must_use]
    pub fn with_capacity_limit(records: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Apart::default()),
            counts: Apart::default(),
            limit: records.min(MOST_RECORDS),
            byte_limit: BYTE_LIMIT,
            clock: None,
        }
    }

    /// Sets how many bytes the sessions take at most: 1 GiB by default.
    ///
    /// A session counts with its body and 144 bytes, which is what it takes beside, with a subject
    /// and the room that allocators waste. The limit is exact by this reckoning.
    #[must_use]
    pub const fn byte_limit(mut self, bytes: usize) -> Self {
        self.byte_limit = bytes;
        self
    }

    /// Lets a store that is full remove by itself what has expired by this clock, to make room.
    ///
    /// It is the layer's clock, or nothing. Without it, the default, what has expired goes with the
    /// next sweep, see [`SessionLayer::sweep_every`](crate::SessionLayer::sweep_every).
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Returns the number of records, expired ones and tombstones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.0.len.load(Ordering::Relaxed)
    }

    /// Returns whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many bytes the records take, as reckoned for [`byte_limit`](Self::byte_limit).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.counts.0.bytes.load(Ordering::Relaxed)
    }

    /// Takes room for a record, if there is any. Under the lock of its shard.
    fn take_record(&self, bytes: usize) -> bool {
        let taken = take(&self.counts.0.len, 1, self.limit);
        if taken && !take(&self.counts.0.bytes, bytes, self.byte_limit) {
            self.counts.0.len.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        taken
    }

    /// Notes that a record of so many bytes became one of so many, whatever the limits are.
    fn resize(&self, from: usize, to: usize) {
        if to > from {
            self.counts.0.bytes.fetch_add(to - from, Ordering::Relaxed);
        } else if from > to {
            self.counts.0.bytes.fetch_sub(from - to, Ordering::Relaxed);
        }
    }

    /// Removes a few records that have expired, if that can be known; or the store is full.
    fn make_room(&self) -> Result<()> {
        match &self.clock {
            Some(clock) if self.remove(clock.now(), PIECE) > 0 => Ok(()),
            _ => Err(Error::new(ErrorKind::Unavailable, Full)),
        }
    }

    fn remove(&self, now: Timestamp, limit: usize) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            let mut progress = Progress::default();
            while removed < limit && !progress.done {
                let mut shard = lock(shard);
                let piece = shard.remove_expired(now, PIECE.min(limit - removed), &mut progress);
                self.counts.0.len.fetch_sub(piece, Ordering::Relaxed);
                self.counts
                    .0
                    .bytes
                    .fetch_sub(std::mem::take(&mut progress.bytes), Ordering::Relaxed);
                removed += piece;
            }
        }
        removed
    }

    fn shard(&self, key: &SessionKey) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of(key)])
    }
}

/// Adds to a count, if that stays within the limit.
fn take(count: &AtomicUsize, more: usize, limit: usize) -> bool {
    let within = |count: usize| count.checked_add(more).filter(|count| *count <= limit);
    count.try_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
}

fn shard_of(key: &SessionKey) -> usize {
    usize::from(key.as_bytes()[0] >> (u8::BITS - SHARD_BITS))
}

/// A panic of another thread is that thread's affair: no call under a lock can
/// leave a record half written.
fn lock(shard: &Apart<Mutex<Shard>>) -> MutexGuard<'_, Shard> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    const ANSWERS_AT_ONCE: bool = true;

    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        Ok(self.shard(key).get(key))
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        loop {
            let mut shard = self.shard(key);
            if shard.contains(key) {
                return Ok(Inserted::Exists);
            }
            if self.take_record(weight(record)) {
                shard.add(key, record);
                return Ok(Inserted::Created);
            }
            drop(shard);
            self.make_room()?;
        }
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        let to = weight(record);
        loop {
            let mut shard = self.shard(key);
            let (slot, from) = match shard.at(key, expected) {
                Ok(there) => there,
                Err(there) => return Ok(Replaced::Conflict(there)),
            };
            // Whatever ends a session is never refused.
            if to <= from || record.revision == Revision::ENDED {
                self.resize(from, to);
            } else if !take(&self.counts.0.bytes, to - from, self.byte_limit) {
                drop(shard);
                self.make_room()?;
                continue;
            }
            shard.put(slot, record);
            return Ok(Replaced::Done);
        }
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.shard(key).touch(key, at, expires_at);
        Ok(())
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        let mut shard = self.shard(key);
        let subject = None;
        let tombstone = Record { revision: Revision::ENDED, subject, ..tombstone.clone() };
        match shard.weight(key) {
            Some(from) => {
                self.resize(from, weight(&tombstone));
                shard.end(key, &tombstone);
            }
            None => {
                self.counts.0.len.fetch_add(1, Ordering::Relaxed);
                self.resize(0, weight(&tombstone));
                shard.add(key, &tombstone);
            }
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
        Ok(self.remove(now, limit))
    }
}

/// A piece of a shard at a time, so that requests are not held up.
impl Scan for MemoryStore {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        let (mut shard, mut hash) = from.map_or((0, 0), place);
        let mut rows = Vec::new();
        while let Some(its) = self.shards.get(shard) {
            if rows.len() >= limit.max(1) {
                return Ok(Page { rows, next: Some(cursor(shard, hash)), ..Page::default() });
            }
            match lock(its).scan(hash, PIECE.min(limit.max(1)), &mut rows) {
                Some(next) => hash = next,
                None => (shard, hash) = (shard + 1, 0),
            }
        }
        Ok(Page { rows, ..Page::default() })
    }
}

fn cursor(shard: usize, hash: u32) -> Cursor {
    Cursor::from_bytes([shard as u64, hash.into()].map(u64::to_be_bytes).concat())
}

/// Where a cursor points to. One that is not ours is past the end.
fn place(cursor: &Cursor) -> (usize, u32) {
    let Ok(bytes) = <[u8; 16]>::try_from(cursor.as_bytes()) else { return (SHARDS, 0) };
    let both = u128::from_be_bytes(bytes);
    match u32::try_from(both as u64) {
        Ok(hash) => ((both >> 64) as usize, hash),
        Err(_) => (SHARDS, 0),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the memory store holds as many sessions as it may")]
struct Full;
