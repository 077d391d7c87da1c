//! A store with a choice of mistakes, each of which real session stores make.
//!
//! They prove the [`conformance`](super::conformance) suite: it must find each,
//! and name the rule. Without its mistake the store is correct.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::lock::Mutex as AsyncMutex;

use super::schedule::yield_now;
use crate::id::SessionKey;
use crate::record::{Body, Record};
use crate::store::{Error, ErrorKind, Inserted, Replaced, Result, Revision, Store};
use crate::subject::Subject;
use crate::time::{Clock, SystemClock, Timestamp};

/// What a [`WrongStore`] does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Mistake {
    /// Nothing.
    None,
    /// `load` fails where nothing is.
    AbsentIsAnError,
    /// `insert` answers and writes nothing.
    InsertForgets,
    /// Of a key only 31 bytes are kept.
    KeysAreCut,
    /// Of a body only 65,535 bytes are kept, as MySQL's `BLOB` does.
    BodiesAreCut,
    /// Bodies pass through text.
    BodiesAreText,
    /// Deadlines are kept in seconds.
    SecondsOnly,
    /// Revisions are kept as floating-point numbers, as JSON and Lua do.
    RevisionsAreFloats,
    /// The subject goes into the index and not into the record.
    SubjectIsForgotten,
    /// Bodies above 1 MiB are cut instead of refused.
    LargeBodiesAreCut,
    /// `load` hides what is past its time.
    LoadHidesExpired,
    /// `load` hides tombstones.
    LoadHidesTombstones,
    /// `insert` is an upsert.
    InsertOverwrites,
    /// `insert` takes an expired record for none.
    InsertOverwritesExpired,
    /// `insert` takes a tombstone for none.
    InsertOverwritesTombstones,
    /// `replace` leaves the subject as it was.
    ReplaceKeepsSubject,
    /// `replace` moves the deadline forward only.
    ReplaceKeepsLaterDeadline,
    /// `replace` needs a record and does not look at its revision.
    ReplaceIgnoresRevision,
    /// `replace` takes every revision up to the expected one.
    ReplaceTakesOlder,
    /// `replace` moves the deadline also where it is refused.
    RefusedReplaceTouches,
    /// `replace` is an upsert.
    ReplaceUpserts,
    /// `replace` creates where nothing is, and is right otherwise.
    ReplaceCreates,
    /// `replace` never says what is there.
    ReplaceSaysNothing,
    /// `replace` takes an expired record for none.
    ReplaceHidesExpired,
    /// `touch` does nothing.
    TouchForgets,
    /// `touch` creates where nothing is.
    TouchCreates,
    /// `touch` moves a deadline back.
    TouchMovesBack,
    /// `touch` moves the deadline of whatever revision is there.
    TouchIgnoresRevision,
    /// `touch` makes a new revision.
    TouchBumpsRevision,
    /// `end` keeps the deadline of the record, if that is later.
    EndKeepsRecordsDeadline,
    /// `end` is an update.
    EndNeedsRecord,
    /// `end` deletes.
    EndDeletes,
    /// `end` shortens the life of a tombstone.
    EndShortensTombstones,
    /// `replace` writes over tombstones.
    ReplaceTakesTombstones,
    /// A tombstone is kept without its body.
    TombstonesLoseBody,
    /// `insert` does not write the index.
    InsertSkipsIndex,
    /// `replace` does not write the index.
    ReplaceSkipsIndex,
    /// The index hides what is past its time.
    IndexHidesExpired,
    /// `touch` takes the key out of the index.
    TouchDropsIndex,
    /// The index is in the order of deadlines, or none.
    PagesDescend,
    /// `sessions_of` ignores `limit`.
    PagesIgnoreLimit,
    /// `sessions_of` ignores `after`.
    PagesIgnoreAfter,
    /// `sessions_of` begins with `after`.
    PagesIncludeAfter,
    /// A page is one key short.
    PagesAreShort,
    /// A page begins at the place where `after` is, if it still is.
    PagesCount,
    /// `remove_expired` does nothing.
    SweepForgets,
    /// `remove_expired` leaves what is due at `now`.
    SweepMissesNow,
    /// `remove_expired` takes what is due in the next millisecond.
    SweepTakesNext,
    /// `remove_expired` ignores `limit`.
    SweepIsUnbounded,
    /// `remove_expired` always answers 0.
    SweepSaysZero,
    /// `remove_expired` stops after three.
    SweepStopsEarly,
    /// `remove_expired` leaves tombstones.
    SweepKeepsTombstones,
    /// `remove_expired` goes by the deadline that a record was inserted with.
    SweepGoesByFirstDeadline,
    /// `insert` looks, then writes.
    InsertInTwoSteps,
    /// `replace` looks, then writes.
    ReplaceInTwoSteps,
    /// `touch` reads a record, then writes it back.
    TouchInTwoSteps,
    /// `end` deletes, then writes the tombstone.
    EndInTwoSteps,
    /// `remove_expired` selects, then deletes.
    SweepInTwoSteps,
    /// A cache that writes clear, and that a slow load fills.
    CacheIsFilledLate,
    /// The record is written before the index.
    IndexAfterRecord,
    /// The index forgets a key before the record does.
    IndexDroppedFirst,
    /// `replace` deletes, then writes, under a lock.
    ReplaceInTwoStepsUnderLock,
}

impl Mistake {
    /// All mistakes.
    pub const ALL: [Self; 61] = [
        Self::AbsentIsAnError,
        Self::InsertForgets,
        Self::KeysAreCut,
        Self::BodiesAreCut,
        Self::BodiesAreText,
        Self::SecondsOnly,
        Self::RevisionsAreFloats,
        Self::SubjectIsForgotten,
        Self::LargeBodiesAreCut,
        Self::LoadHidesExpired,
        Self::LoadHidesTombstones,
        Self::InsertOverwrites,
        Self::InsertOverwritesExpired,
        Self::InsertOverwritesTombstones,
        Self::ReplaceKeepsSubject,
        Self::ReplaceKeepsLaterDeadline,
        Self::ReplaceIgnoresRevision,
        Self::ReplaceTakesOlder,
        Self::RefusedReplaceTouches,
        Self::ReplaceUpserts,
        Self::ReplaceCreates,
        Self::ReplaceSaysNothing,
        Self::ReplaceHidesExpired,
        Self::TouchForgets,
        Self::TouchCreates,
        Self::TouchMovesBack,
        Self::TouchIgnoresRevision,
        Self::TouchBumpsRevision,
        Self::EndKeepsRecordsDeadline,
        Self::EndNeedsRecord,
        Self::EndDeletes,
        Self::EndShortensTombstones,
        Self::ReplaceTakesTombstones,
        Self::TombstonesLoseBody,
        Self::InsertSkipsIndex,
        Self::ReplaceSkipsIndex,
        Self::IndexHidesExpired,
        Self::TouchDropsIndex,
        Self::PagesDescend,
        Self::PagesIgnoreLimit,
        Self::PagesIgnoreAfter,
        Self::PagesIncludeAfter,
        Self::PagesAreShort,
        Self::PagesCount,
        Self::SweepForgets,
        Self::SweepMissesNow,
        Self::SweepTakesNext,
        Self::SweepIsUnbounded,
        Self::SweepSaysZero,
        Self::SweepStopsEarly,
        Self::SweepKeepsTombstones,
        Self::SweepGoesByFirstDeadline,
        Self::InsertInTwoSteps,
        Self::ReplaceInTwoSteps,
        Self::TouchInTwoSteps,
        Self::EndInTwoSteps,
        Self::SweepInTwoSteps,
        Self::CacheIsFilledLate,
        Self::IndexAfterRecord,
        Self::IndexDroppedFirst,
        Self::ReplaceInTwoStepsUnderLock,
    ];
}

/// A store in memory that makes one mistake.
///
/// Its records and its index are apart, as in an engine that cannot write both
/// in one step.
#[derive(Debug)]
pub struct WrongStore {
    mistake: Mistake,
    rows: Mutex<Rows>,
    lock: AsyncMutex<()>,
}

#[derive(Debug, Default)]
struct Rows {
    records: BTreeMap<SessionKey, Record>,
    index: BTreeSet<(Subject, SessionKey)>,
    first_deadlines: BTreeMap<SessionKey, Timestamp>,
    cache: BTreeMap<SessionKey, Record>,
}

impl WrongStore {
    /// Makes an empty store that makes this mistake.
    #[must_use]
    pub fn new(mistake: Mistake) -> Self {
        Self { mistake, rows: Mutex::default(), lock: AsyncMutex::new(()) }
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key as the engine keeps it.
    fn key(&self, key: &SessionKey) -> SessionKey {
        let mut bytes = *key.as_bytes();
        if self.makes(Mistake::KeysAreCut) {
            bytes[31] = 0;
        }
        SessionKey::from_bytes(bytes)
    }

    /// The record as the engine keeps it.
    fn kept(&self, record: &Record) -> Record {
        let mut record = record.clone();
        match self.mistake {
            Mistake::BodiesAreCut if record.body.len() <= 1 << 16 => {
                record.body.0.truncate((1 << 16) - 1);
            }
            Mistake::BodiesAreText => {
                record.body = Body(String::from_utf8_lossy(&record.body).into_owned().into());
            }
            Mistake::LargeBodiesAreCut => record.body.0.truncate(1 << 20),
            Mistake::SecondsOnly => {
                let seconds = record.expires_at.as_millis() / 1000;
                record.expires_at = Timestamp::from_millis(seconds * 1000);
            }
            Mistake::RevisionsAreFloats if record.revision != Revision::ENDED => {
                record.revision = Revision::from_u64(record.revision.as_u64() as f64 as u64);
            }
            Mistake::SubjectIsForgotten => record.subject = None,
            _ => {}
        }
        record
    }

    fn hides(&self, record: &Record, expired: Mistake) -> bool {
        self.makes(expired) && record.expires_at <= SystemClock.now()
    }

    /// Puts a record, and with it the index.
    fn put(&self, rows: &mut Rows, key: SessionKey, record: &Record, index: Index) {
        let named = record.subject.map(|subject| (subject, key));
        if index == Index::Written {
            rows.index.retain(|entry| entry.1 != key || Some(*entry) == named);
            rows.index.extend(named);
        }
        rows.cache.remove(&key);
        rows.first_deadlines.entry(key).or_insert(record.expires_at);
        rows.records.insert(key, self.kept(record));
    }

    /// How a verb that writes a subject writes the index.
    fn index(&self, skips: Mistake) -> Index {
        let apart = self.makes(Mistake::IndexAfterRecord);
        if apart || self.makes(skips) { Index::Skipped } else { Index::Written }
    }

    /// Comes before every write of a record.
    async fn before(&self, key: SessionKey, record: &Record) {
        if self.makes(Mistake::IndexDroppedFirst) {
            let named = record.subject.map(|subject| (subject, key));
            self.rows().index.retain(|entry| entry.1 != key || Some(*entry) == named);
            yield_now().await;
        }
    }

    /// Comes after every write of a record.
    async fn after(&self, key: SessionKey, record: &Record) {
        if self.makes(Mistake::IndexAfterRecord) {
            yield_now().await;
            self.rows().index.extend(record.subject.map(|subject| (subject, key)));
        }
    }

    /// Holds up everybody else, for the mistake that needs it.
    async fn locked(&self) -> Option<futures_util::lock::MutexGuard<'_, ()>> {
        match self.makes(Mistake::ReplaceInTwoStepsUnderLock) {
            true => Some(self.lock.lock().await),
            false => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Index {
    Written,
    Skipped,
}

impl Store for WrongStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        let key = self.key(key);
        let _lock = self.locked().await;
        if let Some(cached) = self.rows().cache.get(&key) {
            return Ok(Some(cached.clone()));
        }
        let found = self.rows().records.get(&key).cloned();
        let Some(record) = found else {
            return match self.makes(Mistake::AbsentIsAnError) {
                true => Err(Error::from(ErrorKind::Corrupt)),
                false => Ok(None),
            };
        };
        if self.makes(Mistake::CacheIsFilledLate) {
            yield_now().await;
            self.rows().cache.insert(key, record.clone());
        }
        let ended = record.revision == Revision::ENDED;
        let hidden = self.makes(Mistake::LoadHidesTombstones) && ended
            || self.hides(&record, Mistake::LoadHidesExpired);
        Ok((!hidden).then_some(record))
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        let key = self.key(key);
        let _lock = self.locked().await;
        self.before(key, record).await;
        let free = |there: Option<&Record>| match there {
            None => true,
            Some(there) => match self.mistake {
                Mistake::InsertOverwrites => there.revision != Revision::ENDED,
                Mistake::InsertOverwritesTombstones => there.revision == Revision::ENDED,
                _ => self.hides(there, Mistake::InsertOverwritesExpired),
            },
        };
        if self.makes(Mistake::InsertForgets) {
            return Ok(Inserted::Created);
        }
        if self.makes(Mistake::InsertInTwoSteps) {
            if !free(self.rows().records.get(&key)) {
                return Ok(Inserted::Exists);
            }
            yield_now().await;
            self.put(&mut self.rows(), key, record, Index::Written);
            return Ok(Inserted::Created);
        }
        {
            let mut rows = self.rows();
            if !free(rows.records.get(&key)) {
                return Ok(Inserted::Exists);
            }
            self.put(&mut rows, key, record, self.index(Mistake::InsertSkipsIndex));
        }
        self.after(key, record).await;
        Ok(Inserted::Created)
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        let key = self.key(key);
        let _lock = self.locked().await;
        self.before(key, record).await;
        let fits = |there: Option<&Record>| match (self.mistake, there) {
            (Mistake::ReplaceCreates | Mistake::ReplaceUpserts, None) => true,
            (_, None) => false,
            (Mistake::ReplaceIgnoresRevision | Mistake::ReplaceUpserts, Some(there)) => {
                there.revision != Revision::ENDED
            }
            (Mistake::ReplaceTakesTombstones, Some(there)) if there.revision == Revision::ENDED => {
                true
            }
            (Mistake::ReplaceTakesOlder, Some(there)) => there.revision <= expected,
            (Mistake::ReplaceHidesExpired, Some(there))
                if self.hides(there, Mistake::ReplaceHidesExpired) =>
            {
                false
            }
            (_, Some(there)) => there.revision == expected,
        };
        let mut new = record.clone();
        {
            let mut rows = self.rows();
            let there = rows.records.get(&key).cloned();
            if !fits(there.as_ref()) {
                if let Some(there) = rows.records.get_mut(&key)
                    && self.makes(Mistake::RefusedReplaceTouches)
                    && there.revision != Revision::ENDED
                {
                    there.expires_at = there.expires_at.max(record.expires_at);
                }
                let said = there.filter(|_| !self.makes(Mistake::ReplaceSaysNothing));
                return Ok(Replaced::Conflict(said));
            }
            match (self.mistake, there) {
                (Mistake::ReplaceKeepsSubject, Some(there)) => new.subject = there.subject,
                (Mistake::ReplaceKeepsLaterDeadline, Some(there)) => {
                    new.expires_at = new.expires_at.max(there.expires_at);
                }
                (Mistake::ReplaceInTwoStepsUnderLock, Some(_)) => {
                    rows.records.remove(&key);
                }
                _ => {}
            }
            if !self.makes(Mistake::ReplaceInTwoSteps)
                && !self.makes(Mistake::ReplaceInTwoStepsUnderLock)
            {
                self.put(&mut rows, key, &new, self.index(Mistake::ReplaceSkipsIndex));
            }
        }
        if self.makes(Mistake::ReplaceInTwoSteps) || self.makes(Mistake::ReplaceInTwoStepsUnderLock)
        {
            yield_now().await;
            self.put(&mut self.rows(), key, &new, Index::Written);
        }
        self.after(key, record).await;
        Ok(Replaced::Done)
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        let key = self.key(key);
        let _lock = self.locked().await;
        if self.makes(Mistake::TouchInTwoSteps) {
            let there = self.rows().records.get(&key).cloned();
            if let Some(there) =
                there.filter(|there| there.revision == at && there.expires_at < expires_at)
            {
                yield_now().await;
                let moved = Record { expires_at, ..there };
                self.put(&mut self.rows(), key, &moved, Index::Written);
            }
            return Ok(());
        }
        let mut rows = self.rows();
        rows.cache.remove(&key);
        match rows.records.get_mut(&key) {
            Some(there) if there.revision == at || self.makes(Mistake::TouchIgnoresRevision) => {
                let forward = there.expires_at < expires_at;
                if self.makes(Mistake::TouchMovesBack)
                    || forward && !self.makes(Mistake::TouchForgets)
                {
                    let moved = Record { expires_at, ..there.clone() };
                    *there = self.kept(&moved);
                }
                if self.makes(Mistake::TouchBumpsRevision) && there.revision != Revision::ENDED {
                    there.revision = Revision::from_u64(there.revision.as_u64() + 1);
                }
                if self.makes(Mistake::TouchDropsIndex) {
                    rows.index.retain(|entry| entry.1 != key);
                }
            }
            None if self.makes(Mistake::TouchCreates) => {
                let revision = Revision::from_u64(0);
                let body = Body::default();
                let record = Record { revision, subject: None, expires_at, body };
                self.put(&mut rows, key, &record, Index::Skipped);
            }
            _ => {}
        }
        Ok(())
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        let key = self.key(key);
        let _lock = self.locked().await;
        self.before(key, tombstone).await;
        let removed = match self.mistake {
            Mistake::EndInTwoSteps => {
                let removed = self.rows().records.remove(&key);
                yield_now().await;
                removed
            }
            _ => None,
        };
        let mut new = tombstone.clone();
        let mut rows = self.rows();
        let there = rows.records.get(&key).cloned().or(removed);
        match self.mistake {
            Mistake::EndNeedsRecord if there.is_none() => return Ok(()),
            Mistake::EndDeletes => {
                rows.records.remove(&key);
                rows.index.retain(|entry| entry.1 != key);
                return Ok(());
            }
            _ => {}
        }
        if let Some(there) = there {
            let ended = there.revision == Revision::ENDED;
            if ended && !self.makes(Mistake::EndShortensTombstones)
                || self.makes(Mistake::EndKeepsRecordsDeadline)
            {
                new.expires_at = new.expires_at.max(there.expires_at);
            }
        }
        if self.makes(Mistake::TombstonesLoseBody) {
            new.body = Body::default();
        }
        self.put(&mut rows, key, &new, Index::Written);
        Ok(())
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        let rows = self.rows();
        let mut keys: Vec<_> =
            rows.index.iter().filter(|entry| entry.0 == *subject).map(|entry| entry.1).collect();
        keys.retain(|key| {
            let record = rows.records.get(key);
            !record.is_some_and(|record| self.hides(record, Mistake::IndexHidesExpired))
        });
        match (self.mistake, after) {
            (Mistake::PagesIgnoreAfter, _) | (_, None) => {}
            (Mistake::PagesIncludeAfter, Some(after)) => keys.retain(|key| key >= after),
            (Mistake::PagesCount, Some(after)) => {
                let place = keys.iter().position(|key| key == after);
                keys.drain(..place.map_or(keys.len(), |place| place + 1));
            }
            (_, Some(after)) => keys.retain(|key| key > after),
        }
        match self.mistake {
            Mistake::PagesDescend => keys.reverse(),
            Mistake::PagesAreShort => keys.truncate(limit.saturating_sub(1)),
            _ => {}
        }
        if !self.makes(Mistake::PagesIgnoreLimit) {
            keys.truncate(limit);
        }
        Ok(keys)
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let _lock = self.locked().await;
        let millis = std::time::Duration::from_millis(1);
        let (now, limit) = match self.mistake {
            Mistake::SweepForgets => return Ok(0),
            Mistake::SweepMissesNow => (now.minus(millis), limit),
            Mistake::SweepTakesNext => (now.plus(millis), limit),
            Mistake::SweepIsUnbounded => (now, usize::MAX),
            Mistake::SweepStopsEarly => (now, limit.min(3)),
            _ => (now, limit),
        };
        let due = |rows: &Rows, key: &SessionKey, record: &Record| match self.mistake {
            Mistake::SweepGoesByFirstDeadline => {
                rows.first_deadlines.get(key).is_some_and(|first| *first <= now)
            }
            Mistake::SweepKeepsTombstones if record.revision == Revision::ENDED => false,
            _ => record.expires_at <= now,
        };
        let select = |rows: &Rows| -> Vec<SessionKey> {
            let records = rows.records.iter();
            let keys = records.filter(|(key, record)| due(rows, key, record)).map(|(key, _)| *key);
            keys.take(limit).collect()
        };
        let delete = |rows: &mut Rows, keys: &[SessionKey]| {
            for key in keys {
                rows.records.remove(key);
                rows.first_deadlines.remove(key);
                rows.cache.remove(key);
                rows.index.retain(|entry| entry.1 != *key);
            }
        };
        let removed = if self.makes(Mistake::SweepInTwoSteps) {
            let keys = select(&self.rows());
            yield_now().await;
            delete(&mut self.rows(), &keys);
            keys.len()
        } else {
            let mut rows = self.rows();
            let keys = select(&rows);
            delete(&mut rows, &keys);
            keys.len()
        };
        Ok(if self.makes(Mistake::SweepSaysZero) { 0 } else { removed })
    }
}
