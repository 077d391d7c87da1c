//! One shard of the memory store: rows in lists by deadline, and two sorted sets of where they
//! lie, by key and by subject. A session takes about 80 bytes beside its body, where a `HashMap`
//! and two `BTreeSet`s take 250.

use super::rows::{Row, Rows, Slot};
use super::sorted::{Entry, Sorted};
use crate::id::SessionKey;
use crate::record::{Record, Revision};
use crate::subject::Subject;
use crate::time::Timestamp;

/// Records by key, by deadline and by subject.
///
/// Whatever is done to one record moves a few kilobytes at most, and touches its own row, its
/// two neighbours' and one place in each set, however many records there are.
///
/// Invariants, which hold whenever the lock is free:
/// - a row that is used holds a record and is in one bucket;
/// - a row is in a bucket no later than that of its deadline;
/// - `keys` holds exactly the rows that are used, `subjects` those that have a subject.
pub(super) struct Shard {
    rows: Rows,
    /// A hash of a key, and the row of it.
    keys: Sorted<u64>,
    /// The first bytes of a subject, and a row of it.
    subjects: Sorted<u64>,
    /// A deadline that moves forward leaves its row where it is;
    /// [`remove_expired`](Self::remove_expired) meets it there and files it
    /// anew. So a row is filed once however often it is touched.
    buckets: Sorted<Bucket>,
    walk: Walk,
    len: usize,
}

/// Rows whose deadlines fall, or once fell, into the same 16 seconds. They form a ring.
#[derive(Clone, Copy)]
struct Bucket {
    at: u32,
    first: Slot,
    len: u32,
}

/// What is known of a bucket whose time is now, so that it is not gone round again and again.
#[derive(Clone, Copy)]
struct Walk {
    bucket: u32,
    /// No row of the bucket that was met since, or put there, has an earlier deadline.
    earliest: Timestamp,
    /// All of its rows have been met.
    is_whole: bool,
    /// Counts the walks, of which there may be several at once.
    number: u64,
}

/// How far a walk through a shard has come.
#[derive(Default)]
pub(super) struct Progress {
    /// Nothing is left to remove.
    pub(super) done: bool,
    /// The number of the walk round the bucket of `now`, and how many rows were not looked at yet.
    left: Option<(u64, u32)>,
    /// What the removed rows weighed.
    pub(super) bytes: usize,
    /// How many rows were looked at.
    #[cfg(test)]
    looked_at: usize,
}

impl Shard {
    pub(super) fn get(&self, key: &SessionKey) -> Option<Record> {
        self.find(key).map(|slot| self.rows.row(slot).record())
    }

    pub(super) fn contains(&self, key: &SessionKey) -> bool {
        self.find(key).is_some()
    }

    /// What the record under a key weighs.
    pub(super) fn weight(&self, key: &SessionKey) -> Option<usize> {
        self.find(key).map(|slot| weight_of(self.rows.row(slot)))
    }

    /// Where that record is and what it weighs, if it can be replaced at this revision; or else
    /// what is there.
    pub(super) fn at(
        &self,
        key: &SessionKey,
        expected: Revision,
    ) -> Result<(Slot, usize), Option<Record>> {
        let slot = self.find(key).ok_or(None)?;
        let row = self.rows.row(slot);
        if row.revision() != expected || expected == Revision::ENDED {
            return Err(Some(row.record()));
        }
        Ok((slot, weight_of(row)))
    }

    /// Adds a record under a key that has none.
    pub(super) fn add(&mut self, key: &SessionKey, record: &Record) {
        self.len += 1;
        let slot = self.rows.insert(key, record);
        self.keys.insert(entry(hash(key), slot));
        self.file(slot);
        if let Some(subject) = &record.subject {
            self.subjects.insert(entry(prefix(subject), slot));
        }
    }

    pub(super) fn touch(&mut self, key: &SessionKey, at: Revision, expires_at: Timestamp) {
        let Some(slot) = self.find(key) else { return };
        let row = self.rows.row(slot);
        if row.revision() == at && row.expires_at() < expires_at {
            self.rows.set_expires_at(slot, expires_at);
        }
    }

    /// Puts a tombstone in a record's place, or answers that there is none.
    pub(super) fn end(&mut self, key: &SessionKey, tombstone: &Record) -> bool {
        let Some(slot) = self.find(key) else { return false };
        let row = self.rows.row(slot);
        let expires_at = match row.revision() {
            Revision::ENDED => row.expires_at().max(tombstone.expires_at),
            _ => tombstone.expires_at,
        };
        let body = tombstone.body.clone();
        self.put(slot, &Record { revision: Revision::ENDED, subject: None, expires_at, body });
        true
    }

    /// Appends a subject's keys greater than `after`, in ascending order.
    pub(super) fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        keys: &mut Vec<SessionKey>,
    ) {
        let start = keys.len();
        keys.extend(
            with(&self.subjects, prefix(subject))
                .map(|slot| self.rows.row(slot))
                .filter(|row| row.subject().as_ref() == Some(subject))
                .map(|row| row.key())
                .filter(|key| after.is_none_or(|after| key > after)),
        );
        keys[start..].sort_unstable();
    }

    /// Appends `count` rows in the order of their keys' hashes, from a hash on, and those that have
    /// the last one's hash; and returns the next hash, unless these were all.
    pub(super) fn scan(
        &self,
        from: u32,
        count: usize,
        rows: &mut Vec<crate::store::Row>,
    ) -> Option<u32> {
        let (mut last, mut left) = (from, count);
        for entry in self.keys.from(u64::from(from) << 32) {
            let (hash, slot) = parts(*entry);
            if left == 0 && hash != last {
                return Some(hash);
            }
            (last, left) = (hash, left.saturating_sub(1));
            let row = self.rows.row(slot);
            let (revision, subject) = (row.revision(), row.subject());
            rows.push(crate::store::Row::new(row.key(), revision, subject, row.expires_at()));
        }
        None
    }

    /// Looks at `count` rows at most, those whose time has come first, removes
    /// the expired and says how many.
    pub(super) fn remove_expired(
        &mut self,
        now: Timestamp,
        count: usize,
        progress: &mut Progress,
    ) -> usize {
        let present = bucket_of(now);
        let mut removed = 0;
        for _ in 0..count {
            let Some(bucket) = self.buckets.first_mut().filter(|bucket| bucket.at <= present)
            else {
                progress.done = true;
                break;
            };
            // Rows may stay in the bucket of `now` alone: it is gone round once.
            if bucket.at == present && !self.walk.goes_on(bucket, now, progress) {
                progress.done = true;
                break;
            }
            #[cfg(test)]
            (progress.looked_at += 1);
            let (at, slot) = (bucket.at, bucket.first);
            let row = self.rows.row(slot);
            let deadline = row.expires_at();
            if deadline <= now {
                progress.bytes += weight_of(row);
                self.remove(slot);
                removed += 1;
            } else if bucket_of(deadline) == at {
                bucket.first = row.next();
                self.walk.meets(at, deadline);
            } else {
                self.unfile(slot);
                self.file(slot);
            }
        }
        removed
    }

    /// Writes a record into a row that holds another one of the same key.
    pub(super) fn put(&mut self, slot: Slot, record: &Record) {
        let row = self.rows.row(slot);
        let (subject, bucket) = (row.subject(), row.bucket());
        let mut now_at = slot;
        if !self.rows.rewrite(slot, record) {
            now_at = self.move_to_another(slot, record);
        }
        if bucket_of(record.expires_at) < bucket {
            self.unfile(now_at);
            self.file(now_at);
        } else {
            self.walk.meets(bucket, record.expires_at);
        }
        if subject != record.subject || now_at != slot {
            if let Some(subject) = &subject {
                self.subjects.remove(entry(prefix(subject), slot));
            }
            if let Some(subject) = &record.subject {
                self.subjects.insert(entry(prefix(subject), now_at));
            }
        }
    }

    /// Writes a record of another length into a new row, in the old one's place in its bucket
    /// and among the keys.
    fn move_to_another(&mut self, old: Slot, record: &Record) -> Slot {
        let row = self.rows.row(old);
        let (key, at, next, previous) = (row.key(), row.bucket(), row.next(), row.previous());
        let new = self.rows.insert(&key, record);
        self.rows.set_bucket(new, at);
        if next == old {
            self.rows.link(new, new);
        } else {
            self.rows.link(previous, new);
            self.rows.link(new, next);
        }
        if let Some(bucket) = self.buckets.get_mut(at.into())
            && bucket.first == old
        {
            bucket.first = new;
        }
        self.rows.remove(old);
        self.keys.remove(entry(hash(&key), old));
        self.keys.insert(entry(hash(&key), new));
        new
    }

    fn remove(&mut self, slot: Slot) {
        self.len -= 1;
        if self.len == 0 {
            // Gives the memory back. A walk that is under way knows itself by its number.
            let number = self.walk.number;
            *self = Self::default();
            self.walk.number = number;
            return;
        }
        self.unfile(slot);
        let row = self.rows.row(slot);
        self.keys.remove(entry(hash(&row.key()), slot));
        if let Some(subject) = &row.subject() {
            self.subjects.remove(entry(prefix(subject), slot));
        }
        self.rows.remove(slot);
    }

    fn find(&self, key: &SessionKey) -> Option<Slot> {
        with(&self.keys, hash(key)).find(|slot| self.rows.row(*slot).is_of(key))
    }

    /// Puts a row at the end of the bucket of its deadline.
    fn file(&mut self, slot: Slot) {
        let deadline = self.rows.row(slot).expires_at();
        let at = bucket_of(deadline);
        self.walk.meets(at, deadline);
        self.rows.set_bucket(slot, at);
        match self.buckets.get_mut(at.into()) {
            Some(bucket) => {
                bucket.len += 1;
                let next = bucket.first;
                let previous = self.rows.row(next).previous();
                self.rows.link(previous, slot);
                self.rows.link(slot, next);
            }
            None => {
                self.rows.link(slot, slot);
                self.buckets.insert(Bucket { at, first: slot, len: 1 });
            }
        }
    }

    /// Takes a row out of its bucket.
    fn unfile(&mut self, slot: Slot) {
        let row = self.rows.row(slot);
        let (at, next, previous) = (row.bucket(), row.next(), row.previous());
        self.rows.link(previous, next);
        if let Some(bucket) = self.buckets.get_mut(at.into()) {
            bucket.len -= 1;
            if bucket.first == slot {
                bucket.first = next;
            }
            if bucket.len == 0 {
                self.buckets.remove(at.into());
            }
        }
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            rows: Rows::default(),
            keys: Sorted::new(),
            subjects: Sorted::new(),
            buckets: Sorted::new(),
            walk: Walk { bucket: 0, earliest: Timestamp::MAX, is_whole: false, number: 0 },
            len: 0,
        }
    }
}

impl Entry for Bucket {
    fn order(&self) -> u64 {
        self.at.into()
    }
}

impl Walk {
    /// Whether there are rows in the bucket that this walk has not met.
    fn goes_on(&mut self, bucket: &Bucket, now: Timestamp, progress: &mut Progress) -> bool {
        if self.bucket == bucket.at && self.is_whole && now < self.earliest {
            return false;
        }
        let (number, left) = progress.left.get_or_insert_with(|| {
            let (earliest, number) = (Timestamp::MAX, self.number + 1);
            *self = Self { bucket: bucket.at, earliest, is_whole: false, number };
            (number, bucket.len)
        });
        if *left == 0 {
            // Another walk that began later has still to meet them all.
            self.is_whole |= *number == self.number;
            return false;
        }
        *left -= 1;
        true
    }

    fn meets(&mut self, bucket: u32, deadline: Timestamp) {
        if bucket == self.bucket {
            self.earliest = self.earliest.min(deadline);
        }
    }
}

/// The slots under a hash.
fn with(set: &Sorted<u64>, hash: u32) -> impl Iterator<Item = Slot> {
    let all = set.from(u64::from(hash) << 32).map(|entry| parts(*entry));
    all.take_while(move |(its, _)| *its == hash).map(|(_, slot)| slot)
}

fn entry(hash: u32, slot: Slot) -> u64 {
    u64::from(hash) << 32 | u64::from(slot.number_of())
}

const fn parts(entry: u64) -> (u32, Slot) {
    ((entry >> 32) as u32, Slot::of_number(entry as u32))
}

/// What a record counts as, in bytes.
pub(super) fn weight(record: &Record) -> usize {
    ROW + record.body.len()
}

fn weight_of(row: Row<'_>) -> usize {
    ROW + row.body().len()
}

/// What a row counts as beside the body; it takes 80 bytes, and with a subject 45 more.
const ROW: usize = 144;

/// Keys are hashes already, so any of their bits would do but those that choose the shard; all of
/// them are folded in for keys made by hand.
fn hash(key: &SessionKey) -> u32 {
    let (words, _) = key.as_bytes().as_chunks::<8>();
    let hash = words.iter().fold(0, |hash: u64, word| {
        (hash.rotate_left(32) ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    (hash >> 32) as u32
}

fn prefix(subject: &Subject) -> u32 {
    let [a, b, c, d, ..] = *subject.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Returns the bucket of a deadline: 2^14 milliseconds each. Later deadlines
/// have the same bucket or a later one; all before 1970 and all after the year
/// 4199 share one.
fn bucket_of(deadline: Timestamp) -> u32 {
    (deadline.as_millis() >> 14).clamp(0, u32::MAX.into()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Body;
    use crate::store::Replaced;

    impl Shard {
        fn replace(&mut self, key: &SessionKey, expected: Revision, record: &Record) -> Replaced {
            match self.at(key, expected) {
                Ok((slot, _)) => self.put(slot, record),
                Err(there) => return Replaced::Conflict(there),
            }
            Replaced::Done
        }

        /// Holds the shard to its invariants.
        #[track_caller]
        fn check(&self) {
            self.keys.check();
            self.subjects.check();
            let (mut with_subject, mut filed) = (0, 0);
            for entry in self.keys.from(0) {
                let (its, slot) = parts(*entry);
                let row = self.rows.row(slot);
                assert_eq!(hash(&row.key()), its);
                assert!(row.bucket() <= bucket_of(row.expires_at()));
                with_subject += usize::from(row.subject().is_some());
            }
            for entry in self.subjects.from(0) {
                let (its, slot) = parts(*entry);
                assert_eq!(self.rows.row(slot).subject().as_ref().map(prefix), Some(its));
            }
            for bucket in self.buckets.from(0) {
                let mut slot = bucket.first;
                for _ in 0..bucket.len {
                    let row = self.rows.row(slot);
                    assert_eq!(row.bucket(), bucket.at);
                    assert!(self.rows.row(row.next()).previous() == slot);
                    if self.walk.is_whole && self.walk.bucket == bucket.at {
                        assert!(self.walk.earliest <= row.expires_at());
                    }
                    slot = row.next();
                }
                assert!(slot == bucket.first && bucket.len > 0);
                filed += bucket.len as usize;
            }
            assert_eq!([self.keys.len(), filed, self.rows.used()], [self.len; 3]);
            assert_eq!(self.subjects.len(), with_subject);
        }

        /// How many bytes it has on the heap.
        fn heap(&self) -> usize {
            let sets = self.keys.heap() + self.subjects.heap() + self.buckets.heap();
            self.rows.heap() + sets
        }
    }

    fn record(revision: u64, subject: u64, deadline: i64) -> Record {
        Record {
            revision: Revision::from_u64(revision),
            subject: (subject > 0).then(|| subject.into()),
            expires_at: Timestamp::from_millis(deadline),
            // Of many lengths, one in seven too long to be in a row.
            body: Body(vec![1; revision as usize % 50 + revision as usize % 7 / 6 * 1000]),
        }
    }

    #[test]
    fn a_session_changed_a_million_times_takes_no_more_room() {
        let key = SessionKey::from_bytes([1; 32]);
        let mut shard = Shard::default();
        shard.add(&key, &record(0, 1, 1 << 50));
        for n in 0..1_000_000_i64 {
            // Forward by a day, back to a bucket not used before, forward.
            let at = Revision::from_u64(n as u64);
            shard.touch(&key, at, Timestamp::from_millis((1 << 50) + n * 86_400_000));
            let next = record(n as u64 + 1, n as u64 % 3, (1 << 50) - (n << 15));
            let done = shard.replace(&key, at, &next);
            assert_eq!(done, Replaced::Done);
            shard.touch(&key, next.revision, Timestamp::from_millis(1 << 60));
        }
        shard.check();
        let counts = [shard.rows.used(), shard.buckets.len(), shard.subjects.len()];
        assert_eq!(counts, [1, 1, 0]);
        // Seven lengths, with one row each at most.
        assert!(shard.heap() < 4000, "{}", shard.heap());
    }

    #[test]
    fn the_lists_stay_whole_whatever_is_done() {
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (random >> 33) % below
        };
        let mut shard = Shard::default();
        for step in 0..20_000_u64 {
            let now = (step << 8) as i64;
            let key = SessionKey::from_bytes([next(200) as u8; 32]);
            let its = record(step, next(4), now + next(1 << 18) as i64 - (1 << 14));
            match (next(5), shard.get(&key)) {
                (0, Some(there)) => {
                    assert_eq!(shard.replace(&key, there.revision, &its), Replaced::Done);
                    assert_eq!(shard.get(&key), Some(its));
                }
                (1, there) => {
                    let at = there.as_ref().map_or(its.revision, |there| there.revision);
                    shard.touch(&key, at, its.expires_at);
                    let later = |mut there: Record| {
                        there.expires_at = there.expires_at.max(its.expires_at);
                        there
                    };
                    assert_eq!(shard.get(&key), there.map(later));
                }
                (2, _) => {
                    let now = Timestamp::from_millis(now);
                    let expired = |shard: &Shard| {
                        let all =
                            (0..200).filter_map(|n| shard.get(&SessionKey::from_bytes([n; 32])));
                        all.filter(|record| record.expires_at <= now).count()
                    };
                    let (due, mut removed, mut progress) =
                        (expired(&shard), 0, Progress::default());
                    while !progress.done {
                        removed += shard.remove_expired(now, 3, &mut progress);
                    }
                    assert_eq!((removed, expired(&shard)), (due, 0));
                }
                (_, None) => shard.add(&key, &its),
                (_, Some(_)) => {}
            }
            if step % 16 == 0 {
                shard.check();
            }
        }
    }

    #[test]
    fn a_walk_looks_at_what_is_due_and_at_nothing_else() {
        let mut shard = Shard::default();
        let key = |n: u32| SessionKey::from_bytes(*Subject::from(n).as_bytes());
        for n in 0..1000 {
            // One in ten is due; one in ten of the others shares its bucket.
            let deadline = [0, 16_000, 1 << 40][(n % 10).min(2) as usize];
            shard.add(&key(n), &record(1, 0, deadline));
        }
        let mut progress = Progress::default();
        let removed = shard.remove_expired(Timestamp::from_millis(5), 201, &mut progress);
        assert_eq!((removed, progress.done), (100, true));
    }

    /// A user's record with the body of the given length.
    fn user(n: u64, bytes: usize, deadline: i64) -> Record {
        Record { body: Body(vec![1; bytes]), ..record(1, n + 1, deadline) }
    }

    fn numbered(n: u64) -> SessionKey {
        SessionKey::from_bytes(*Subject::from(n).as_bytes())
    }

    #[test]
    fn a_session_of_151_bytes_with_a_user_takes_280_at_most() {
        // As many as a shard has of three thousand sessions, and of a million, and all between. Of
        // fewer, the room for the next rows counts: 290 bytes of a thousand.
        let mut shard = Shard::default();
        for n in 0..16_000 {
            shard.add(&numbered(n), &user(n, 151, 1 << 40));
            if n + 1 >= 48 {
                let bytes = shard.heap() as f64 / (n + 1) as f64;
                assert!(bytes <= 280.0, "{bytes} bytes a session of {}", n + 1);
            }
        }
        let bytes = shard.heap() as f64 / 16_000.0;
        assert!(bytes <= 272.0, "{bytes} bytes a session");
    }

    #[test]
    fn what_is_removed_is_given_back() {
        let mut shard = Shard::default();
        // Those that come together go together.
        for n in 0..40_000 {
            shard.add(&numbered(n), &user(n, 100, (n << 14) as i64));
        }
        let full = shard.heap();
        let mut progress = Progress::default();
        let now = Timestamp::from_millis(39_000 << 14);
        assert_eq!(shard.remove_expired(now, usize::MAX, &mut progress), 39_001);
        shard.check();
        assert!(shard.heap() * 10 < full, "{} of {full}", shard.heap());
        // And it is used again where it is kept.
        let kept = shard.heap();
        for n in 50_000..50_300 {
            shard.add(&numbered(n), &user(n, 100, 0));
        }
        shard.check();
        assert!(shard.heap() < kept + 300 * 300, "{} after {kept}", shard.heap());
    }

    #[test]
    fn removal_costs_what_is_removed_however_many_are_kept() {
        for others in [100, 20_000] {
            let mut shard = Shard::default();
            let now = 100 << 14;
            // A hundred were to expire, of which one in ten was touched; ten are due a little
            // later, and the others much later.
            for n in 0..100 {
                shard.add(&numbered(n), &user(n, 100, n as i64 * 16_000));
                if n % 10 == 0 {
                    let later = Timestamp::from_millis(now + (1 << 20));
                    shard.touch(&numbered(n), Revision::from_u64(1), later);
                }
            }
            for n in 100..110 {
                shard.add(&numbered(n), &user(n, 100, now + 5 + n as i64));
            }
            for n in 0..others {
                let deadline = now + (1 << 14) + n as i64 * 1000;
                shard.add(&numbered(1000 + n), &user(n, 100, deadline));
            }
            let mut sweep = |millis| {
                let mut progress = Progress::default();
                let now = Timestamp::from_millis(millis);
                let removed = shard.remove_expired(now, usize::MAX, &mut progress);
                shard.check();
                (removed, progress.looked_at)
            };
            // Those that were touched are met as well, and the ten of the same 16 seconds.
            assert_eq!(sweep(now), (90, 100 + 10));
            // Nothing is looked at again before it is due.
            assert_eq!(sweep(now), (0, 0));
            assert_eq!(sweep(now + 104), (0, 0));
            assert_eq!(sweep(now + 105), (1, 10));
            assert_eq!(sweep(now + 105), (0, 0));
        }
    }

    #[test]
    fn a_row_that_comes_to_a_bucket_gone_round_is_met() {
        let now = Timestamp::from_millis(5000);
        let sweep =
            |shard: &mut Shard| shard.remove_expired(now, usize::MAX, &mut Progress::default());
        let mut shard = Shard::default();
        for n in 0..4 {
            shard.add(&numbered(n), &user(n, 100, 9000));
        }
        assert_eq!(sweep(&mut shard), 0);
        shard.add(&numbered(9), &user(9, 100, 5000));
        assert_eq!(sweep(&mut shard), 1);
        // Moved back within the bucket, in its place and to another one.
        for (n, bytes) in [(0, 100), (1, 200)] {
            assert_eq!(sweep(&mut shard), 0);
            let (slot, _) = shard.at(&numbered(n), Revision::from_u64(1)).unwrap();
            shard.put(slot, &user(n, bytes, 4000));
            assert_eq!(sweep(&mut shard), 1);
        }
        // While a walk is under way, and with another one in its midst.
        shard.add(&numbered(5), &user(5, 100, 9000));
        let (mut one, mut other) = (Progress::default(), Progress::default());
        assert_eq!(shard.remove_expired(now, 2, &mut one), 0);
        assert_eq!(shard.remove_expired(now, 1, &mut other), 0);
        shard.add(&numbered(6), &user(6, 100, 5000));
        shard.remove_expired(now, 1, &mut one);
        shard.remove_expired(now, 1, &mut one);
        shard.remove_expired(now, usize::MAX, &mut other);
        sweep(&mut shard);
        assert!(!shard.contains(&numbered(6)));
        shard.check();
    }

    #[test]
    fn a_walk_that_another_one_has_overtaken_has_not_met_all() {
        let mut shard = Shard::default();
        for (n, deadline) in [(0, 9000), (1, 6000), (2, 9000), (3, 9000)] {
            shard.add(&numbered(n), &user(n, 100, deadline));
        }
        let (mut one, mut other) = (Progress::default(), Progress::default());
        let now = Timestamp::from_millis(5000);
        for (count, walk) in [(3, &mut one), (1, &mut other)] {
            assert_eq!(shard.remove_expired(now, count, walk), 0);
        }
        assert_eq!(shard.remove_expired(now, usize::MAX, &mut one), 0);
        let later = Timestamp::from_millis(6000);
        assert_eq!(shard.remove_expired(later, usize::MAX, &mut Progress::default()), 1);
    }

    #[test]
    fn a_walk_from_before_the_shard_was_empty_is_not_taken_for_a_later_one() {
        let mut shard = Shard::default();
        let add = |shard: &mut Shard, n, deadline| shard.add(&numbered(n), &user(n, 100, deadline));
        let at = Timestamp::from_millis;
        for n in [0, 1] {
            add(&mut shard, n, 9000);
        }
        let (mut one, mut other) = (Progress::default(), Progress::default());
        assert_eq!(shard.remove_expired(at(5000), 1, &mut one), 0);
        assert_eq!(shard.remove_expired(at(9000), usize::MAX, &mut Progress::default()), 2);
        for (n, deadline) in [(2, 9000), (3, 9000), (4, 6000)] {
            add(&mut shard, n, deadline);
        }
        assert_eq!(shard.remove_expired(at(5000), 1, &mut other), 0);
        assert_eq!(shard.remove_expired(at(5000), usize::MAX, &mut one), 0);
        assert_eq!(shard.remove_expired(at(7000), usize::MAX, &mut Progress::default()), 1);
        shard.check();
    }

    #[test]
    fn a_free_row_is_used_before_there_are_more() {
        let mut shard = Shard::default();
        for n in 0..1500 {
            shard.add(&numbered(n), &user(n, 100, n as i64));
        }
        // Of the same length, a record stays where it is.
        let (slot, _) = shard.at(&numbered(7), Revision::from_u64(1)).unwrap();
        shard.put(slot, &user(7, 101, 7));
        assert_eq!(shard.find(&numbered(7)), Some(slot));
        let full = shard.rows.heap();
        for n in 2000..4000 {
            let mut progress = Progress::default();
            let now = Timestamp::from_millis(n as i64 - 2000);
            assert_eq!(shard.remove_expired(now, usize::MAX, &mut progress), 1);
            shard.add(&numbered(n), &user(n, 100, n as i64 - 500));
        }
        assert!(shard.rows.heap() <= full + 100, "{} of {full}", shard.rows.heap());
        shard.check();
    }
}
