//! Records in this process, in front of any store.
//!
//! What is remembered serves [`recall`](Store::recall) alone, which is what a
//! request asks first. Everything else goes to the store behind: `load`, by which
//! a request makes sure and "end all" looks whose a session is, and every write,
//! which compares revisions there.
//!
//! Why it cannot serve what this process has ended is written in `memory.rs`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use self::age::{Moment, Time};
use self::memory::{Entry, Joined, Landed, Memory, Seat};
use super::{
    Change, Changes, Cursor, Error, Inserted, Page, Recalled, Replaced, Result, Revision, Scan,
    Store,
};
use crate::id::SessionKey;
use crate::record::Record;
use crate::subject::Subject;
use crate::time::{Clock, Timestamp};

mod age;
mod memory;

/// A cache in front of a store, in this process's memory.
///
/// A request that finds its session here costs no trip to the store; one that
/// also writes costs the write. Requests for one session that is not here share
/// one load, while that is younger than the maximum age and no write of the session is
/// under way. It is for one value a process: put it in an [`Arc`] to keep a handle.
///
/// | setting | default | why |
/// | --- | --- | --- |
/// | [`max_age`](Self::max_age) | 1 second | the requests of one page come within it, and a logout elsewhere is no later than that |
/// | [`capacity`](Self::capacity) | 64 MiB | some 100,000 sessions of 300 bytes |
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use typed_session::store::{Cached, MemoryStore};
///
/// # let store_of_many_machines = MemoryStore::new();
/// let store = Arc::new(Cached::new(store_of_many_machines).max_age(Duration::from_secs(2)));
/// assert!(store.is_empty());
/// ```
///
/// # What it promises
///
/// - **On this machine nothing is late.** After the answer of a write, no request
///   that begins then sees what was there before it: not a session that was
///   ended, not an old id, not old data. That holds for every order of loads and
///   writes, for futures that are dropped, and for loads that take long.
/// - **On other machines it is late by [`max_age`](Self::max_age) at most.** So
///   long may a session that was ended elsewhere be read here, an id that was
///   replaced by a login elsewhere be good here for reading, and data be old. The
///   time is counted from before the load began, however long that takes: a request
///   that comes too late for it does not wait for it, and loads anew. Where the
///   store's engine tells of changes, [`follow`](Self::follow) makes it shorter; the
///   promise is the same. Who writes on one machine and reads on another may read
///   what was before.
/// - **A new id is good everywhere at once.** Where an id does not fit what is
///   remembered, or the session would have expired, the record is loaded before
///   that is believed.
/// - **Every write is the store's.** A commit compares the revision there. One
///   that began with old data is merged, or refused, as any other.
///
/// A write whose outcome is unknown, because it failed or was dropped, makes
/// nothing of it remembered. If the engine carries it out later, it is to this
/// cache like a write of another machine: it sees it `max_age` later at most.
///
/// # What is remembered
///
/// Records that were loaded or written, tombstones among them. Never that there is
/// none: whoever sends made-up ids would fill the memory with them. Nor what a
/// sweep may have removed, which is whatever is due by the latest `now` that
/// [`remove_expired`](Store::remove_expired) was ever given: if that is far in the
/// future, records that are due before it are loaded for every request from then on,
/// until this value is made anew. A deadline that another machine has moved may be
/// remembered as it was, which costs one more touch at most.
///
/// If a load fails, all who waited for it get the failure, and the next request
/// asks again: a store that is slow to fail is not asked by all of them in turn.
/// If the request that does the load is dropped, another one that waits does it.
pub struct Cached<S> {
    store: S,
    memory: Memory,
    /// The latest time for which somebody began to sweep.
    swept: AtomicI64,
    max_age: Duration,
    time: Time,
}

impl<S> Cached<S> {
    /// Puts a cache in front of a store.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self {
            store,
            memory: Memory::new(64 * 1024 * 1024),
            swept: AtomicI64::new(i64::MIN),
            max_age: Duration::from_secs(1),
            time: Time::system(),
        }
    }

    /// Sets how long after a load its record is served: 1 second by default.
    ///
    /// Whatever another machine does is seen here so much later at most. With zero
    /// nothing is served from memory, and no load is shared.
    ///
    /// # Security
    ///
    /// It is how long a session lives on elsewhere after a logout or a revocation.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets how many bytes are kept at most, and forgets what was: 64 MiB by
    /// default.
    ///
    /// A record counts with its body and 320 bytes, which is what it takes beside.
    /// Those that are used least go. The cache is in parts, four a processor; a
    /// record that is larger than its part is not kept.
    #[must_use]
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.memory = Memory::new(bytes);
        self
    }

    /// Sets the clock by which records grow old, for tests.
    ///
    /// If it is not set, both of the system's clocks are asked, the one that
    /// can be set back and the one that may stand still. What is too old by
    /// either is not served.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.memory.forget_all();
        self.time = Time::Given(Arc::new(clock));
        self
    }

    /// Returns the store behind.
    ///
    /// What is written to it directly is to this cache as if another machine did.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Returns how many records are remembered, too old ones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Tells whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many bytes the records take, as reckoned for
    /// [`capacity`](Self::capacity).
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.memory.bytes()
    }

    /// Forgets a record that somebody else has changed.
    ///
    /// Also a load under way is not remembered.
    pub fn forget(&self, key: &SessionKey) {
        self.memory.forget(key);
    }

    /// Forgets every record.
    pub fn forget_all(&self) {
        self.memory.forget_all();
    }

    /// Forgets what others change, for as long as the engine tells of it.
    ///
    /// Spawn it, and call it again, with a new source, after it has returned. It
    /// begins and ends by forgetting everything, as changes may have been missed
    /// before and will be missed after. Without it, or while it is not running,
    /// [`max_age`](Self::max_age) holds all the same.
    ///
    /// It returns why the source came to its end.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use typed_session::store::{Cached, Changes, Store};
    ///
    /// async fn keep_following<S: Store, C: Changes>(store: Arc<Cached<S>>, connect: impl AsyncFn() -> C) {
    ///     loop {
    ///         let error = store.follow(connect().await).await;
    ///         eprintln!("changes are not followed: {error}"); // and wait a while
    ///     }
    /// }
    /// ```
    pub async fn follow(&self, mut changes: impl Changes) -> Error {
        self.forget_all();
        loop {
            match changes.next().await {
                Ok(Change::Key(key)) => self.forget(&key),
                Ok(Change::Missed) => self.forget_all(),
                Err(error) => {
                    self.forget_all();
                    return error;
                }
            }
        }
    }

    /// Tells whether a record may be served from memory.
    fn is_good(&self, entry: &Entry, now: Moment) -> bool {
        entry.at.is_within(self.max_age, now) && !self.is_swept(&entry.record)
    }

    /// Tells whether a sweep may have removed a record.
    fn is_swept(&self, record: &Record) -> bool {
        record.expires_at.as_millis() <= self.swept.load(Ordering::SeqCst)
    }
}

impl<S: Store> Cached<S> {
    /// Waits for a flight, or does it. Tells whether its load began after the seat
    /// was taken.
    async fn fly(&self, key: &SessionKey, seat: Seat<'_>) -> Result<Recalled> {
        let mut slot = seat.slot.lock().await;
        if let Some(landed) = &*slot {
            return match landed {
                Ok(entry) => {
                    let record = entry.as_ref().map(|entry| entry.record.clone());
                    Ok(if seat.joined {
                        Recalled::Remembered(record)
                    } else {
                        Recalled::Current(record)
                    })
                }
                Err(error) => Err(shared(error)),
            };
        }
        let at = self.time.now();
        let landed: Landed = match self.store.load(key).await {
            Ok(record) => Ok(record.map(|record| Arc::new(Entry { at, record }))),
            Err(error) => Err(Arc::new(error)),
        };
        seat.land(&landed);
        let answer = match &landed {
            Ok(entry) => Ok(Recalled::Current(entry.as_ref().map(|entry| entry.record.clone()))),
            Err(error) => Err(shared(error)),
        };
        *slot = Some(landed);
        answer
    }
}

/// An error of which several get a copy.
fn shared(error: &Arc<Error>) -> Error {
    Error::new(error.kind(), Shared(Arc::clone(error)))
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Shared(Arc<Error>);

impl<S: Store> Store for Cached<S> {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        match self.fly(key, self.memory.depart(key, self.time.now())).await? {
            Recalled::Current(record) | Recalled::Remembered(record) => Ok(record),
        }
    }

    async fn recall(&self, key: &SessionKey) -> Result<Recalled> {
        let remembered = self.memory.get(key);
        if let Some(entry) = remembered.filter(|entry| self.is_good(entry, self.time.now())) {
            return Ok(Recalled::Remembered(Some(entry.record.clone())));
        }
        let is_good = |entry: &Entry, now| self.is_good(entry, now);
        match self.memory.join(key, || self.time.now(), self.max_age, is_good) {
            Joined::Found(entry) => Ok(Recalled::Remembered(Some(entry.record.clone()))),
            Joined::Seat(seat) => self.fly(key, seat).await,
        }
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        let mut write = self.memory.write(key);
        let at = self.time.now();
        let inserted = self.store.insert(key, record).await?;
        write.after = match inserted {
            Inserted::Created => Some(Entry { at, record: record.clone() }),
            Inserted::Exists => None,
        };
        Ok(inserted)
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        let mut write = self.memory.write(key);
        let at = self.time.now();
        let replaced = self.store.replace(key, expected, record).await?;
        write.after = match replaced {
            Replaced::Done => Some(Entry { at, record: record.clone() }),
            Replaced::Conflict(_) => None,
        };
        Ok(replaced)
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        let mut write = self.memory.write(key);
        self.store.touch(key, at, expires_at).await?;
        // As old as it was, because a touch does not say whether it met the record.
        // And not one that a sweep may have removed before the touch came.
        write.after = write
            .before
            .take()
            .filter(|before| before.record.revision == at && !self.is_swept(&before.record))
            .map(|before| {
                let expires_at = expires_at.max(before.record.expires_at);
                Entry { at: before.at, record: Record { expires_at, ..before.record.clone() } }
            });
        Ok(())
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        // What is there now is not known: a tombstone on a tombstone keeps the later
        // deadline.
        let _write = self.memory.write(key);
        self.store.end(key, tombstone).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.store.sessions_of(subject, after, limit).await
    }

    /// Removes records from the store behind, which are not served from here then.
    ///
    /// The latest `now` stands: no record that is due by then is served from memory any
    /// more, until this value is made anew. One far in the future therefore makes the
    /// cache useless for all that is due before it, until the process starts again;
    /// what is answered stays right.
    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        // First, so that nothing that it removes is served or kept by a touch.
        self.swept.fetch_max(now.as_millis(), Ordering::SeqCst);
        let removed = self.store.remove_expired(now, limit).await?;
        // Loads under way may have seen what is gone.
        self.memory.disturb_all();
        Ok(removed)
    }
}

impl<S: Scan> Scan for Cached<S> {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.store.scan(from, limit).await
    }
}

impl<S> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("records", &self.len())
            .field("bytes", &self.bytes())
            .field("under_way", &self.memory.under_way())
            .field("max_age", &self.max_age)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}
