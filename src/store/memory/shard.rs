//! One shard of the memory store: a hash table whose rows are threaded into
//! lists by deadline. It takes about 90 bytes a session beside the body, where a
//! `HashMap` and two `BTreeSet`s take 250.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::SessionKey;
use crate::record::{Body, Record, Revision};
use crate::subject::Subject;
use crate::time::Timestamp;

/// Records by key, by deadline and by subject.
///
/// Invariants, which hold whenever the lock is free:
/// - a row is either on the list of free rows, or it holds a record and is on
///   one chain and in one bucket;
/// - a row is in a bucket no later than that of its deadline;
/// - `subjects` holds exactly the rows that have a subject.
#[derive(Default)]
pub(super) struct Shard {
    rows: Vec<Row>,
    /// The first of the free rows, which are linked by `next`.
    free: Option<Slot>,
    len: usize,
    /// The first row of each chain of keys with the same hash; a power of two.
    chains: Vec<Option<Slot>>,
    /// A deadline that moves forward leaves its row where it is;
    /// [`remove_expired`](Self::remove_expired) meets it there and files it
    /// anew. So a row is filed once however often it is touched.
    buckets: BTreeMap<u32, Bucket>,
    /// The first bytes of a subject, and a row of it.
    subjects: BTreeSet<(u32, Slot)>,
}

struct Row {
    key: SessionKey,
    revision: Revision,
    expires_at: Timestamp,
    /// The subject and the body, in one allocation. See [`pack`].
    packed: Box<[u8]>,
    /// The next row of the same chain.
    chained: Option<Slot>,
    /// The bucket that the row is in.
    bucket: u32,
    /// The neighbours in the bucket, whose rows form a ring.
    next: Slot,
    previous: Slot,
}

/// The place of a row in `rows`, plus one, so that `Option<Slot>` is as small.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Slot(std::num::NonZeroU32);

/// Rows whose deadlines fall, or once fell, into the same 16 seconds.
struct Bucket {
    first: Slot,
    len: usize,
}

/// How far a walk through a shard has come.
#[derive(Default)]
pub(super) struct Progress {
    /// Nothing is left to remove.
    pub(super) done: bool,
    /// How many rows of the bucket of `now` were not looked at yet.
    left: Option<usize>,
    /// What the removed rows weighed.
    pub(super) bytes: usize,
}

impl Shard {
    pub(super) fn get(&self, key: &SessionKey) -> Option<Record> {
        self.find(key).map(|slot| self.row(slot).record())
    }

    pub(super) fn contains(&self, key: &SessionKey) -> bool {
        self.find(key).is_some()
    }

    /// What the record under a key weighs.
    pub(super) fn weight(&self, key: &SessionKey) -> Option<usize> {
        self.find(key).map(|slot| self.row(slot).weight())
    }

    /// Where that record is and what it weighs, if it can be replaced at this revision; or else
    /// what is there.
    pub(super) fn at(
        &self,
        key: &SessionKey,
        expected: Revision,
    ) -> Result<(Slot, usize), Option<Record>> {
        let slot = self.find(key).ok_or(None)?;
        let row = self.row(slot);
        if row.revision != expected || row.revision == Revision::ENDED {
            return Err(Some(row.record()));
        }
        Ok((slot, row.weight()))
    }

    /// Adds a record under a key that has none.
    pub(super) fn add(&mut self, key: &SessionKey, record: &Record) {
        self.len += 1;
        if self.len > self.chains.len() {
            self.lengthen_chains();
        }
        let chain = self.chain_of(key);
        let row = |slot| Row {
            key: *key,
            revision: record.revision,
            expires_at: record.expires_at,
            packed: pack(record),
            chained: self.chains[chain],
            bucket: bucket_of(record.expires_at),
            next: slot,
            previous: slot,
        };
        let slot = match self.free {
            Some(slot) => {
                let free = &mut self.rows[slot.index()];
                self.free = (free.next != slot).then_some(free.next);
                *free = row(slot);
                slot
            }
            None => {
                let slot = Slot::new(self.rows.len());
                if self.rows.len() == self.rows.capacity() {
                    // Not doubled: half of it would stay empty.
                    self.rows.reserve_exact(self.rows.len() / 16 + 8);
                }
                self.rows.push(row(slot));
                slot
            }
        };
        self.chains[chain] = Some(slot);
        self.file(slot);
        if let Some(subject) = &record.subject {
            self.subjects.insert((prefix(subject), slot));
        }
    }

    pub(super) fn touch(&mut self, key: &SessionKey, at: Revision, expires_at: Timestamp) {
        if let Some(slot) = self.find(key).filter(|slot| self.row(*slot).revision == at) {
            let row = self.row_mut(slot);
            row.expires_at = row.expires_at.max(expires_at);
        }
    }

    /// Puts a tombstone in a record's place, or answers that there is none.
    pub(super) fn end(&mut self, key: &SessionKey, tombstone: &Record) -> bool {
        let Some(slot) = self.find(key) else { return false };
        let row = self.row(slot);
        let expires_at = match row.revision {
            Revision::ENDED => row.expires_at.max(tombstone.expires_at),
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
        let prefix = prefix(subject);
        let rows = self.subjects.range((prefix, Slot::MIN)..=(prefix, Slot::MAX));
        keys.extend(
            rows.map(|(_, slot)| self.row(*slot))
                .filter(|row| row.subject().as_ref() == Some(subject))
                .map(|row| row.key)
                .filter(|key| after.is_none_or(|after| key > after)),
        );
        keys[start..].sort_unstable();
    }

    /// Appends the rows of `count` chains from that of a number on, and returns the
    /// number of the next.
    ///
    /// If there are more chains by then, because they were lengthened, a row that
    /// was on a chain before is on one there again; none is left out.
    pub(super) fn scan(
        &self,
        from: usize,
        count: usize,
        rows: &mut Vec<crate::store::Row>,
    ) -> Option<usize> {
        let next = from.saturating_add(count);
        for mut link in self.chains.iter().take(next).skip(from).copied() {
            while let Some(slot) = link {
                let row = self.row(slot);
                let subject = row.subject();
                rows.push(crate::store::Row::new(row.key, row.revision, subject, row.expires_at));
                link = row.chained;
            }
        }
        (next < self.chains.len()).then_some(next)
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
            let (at, bucket) = match self.buckets.first_entry() {
                Some(bucket) if *bucket.key() <= present => (*bucket.key(), bucket.into_mut()),
                _ => {
                    progress.done = true;
                    break;
                }
            };
            // Rows may stay in the bucket of `now` alone: it is gone round once.
            if at == present {
                let left = progress.left.get_or_insert(bucket.len);
                if *left == 0 {
                    progress.done = true;
                    break;
                }
                *left -= 1;
            }
            let slot = bucket.first;
            let row = &self.rows[slot.index()];
            if row.expires_at <= now {
                progress.bytes += row.weight();
                self.remove(slot);
                removed += 1;
            } else if bucket_of(row.expires_at) == at {
                bucket.first = row.next;
            } else {
                self.unfile(slot);
                self.file(slot);
            }
        }
        removed
    }

    /// Writes a record into a row that holds another one of the same key.
    pub(super) fn put(&mut self, slot: Slot, record: &Record) {
        let row = &mut self.rows[slot.index()];
        let subject = row.subject();
        row.revision = record.revision;
        row.expires_at = record.expires_at;
        row.packed = pack(record);
        if bucket_of(record.expires_at) < row.bucket {
            self.unfile(slot);
            self.file(slot);
        }
        if subject != record.subject {
            if let Some(subject) = &subject {
                self.subjects.remove(&(prefix(subject), slot));
            }
            if let Some(subject) = &record.subject {
                self.subjects.insert((prefix(subject), slot));
            }
        }
    }

    fn remove(&mut self, slot: Slot) {
        self.len -= 1;
        if self.len == 0 {
            // Gives the memory back.
            *self = Self::default();
            return;
        }
        self.unfile(slot);
        let row = &mut self.rows[slot.index()];
        let (key, chained, subject) = (row.key, row.chained, row.subject());
        row.packed = Box::default();
        // The last of the free rows is followed by itself.
        row.next = self.free.unwrap_or(slot);
        self.free = Some(slot);
        if let Some(subject) = &subject {
            self.subjects.remove(&(prefix(subject), slot));
        }
        let chain = self.chain_of(&key);
        let mut link = &mut self.chains[chain];
        while let Some(there) = *link {
            if there == slot {
                *link = chained;
                break;
            }
            link = &mut self.rows[there.index()].chained;
        }
    }

    fn find(&self, key: &SessionKey) -> Option<Slot> {
        let mut link = *self.chains.get(self.chain_of(key))?;
        while let Some(slot) = link {
            let row = self.row(slot);
            if row.key == *key {
                break;
            }
            link = row.chained;
        }
        link
    }

    /// Returns the number of a key's chain. Keys are hashes already, so any of
    /// their bits would do; all of them are folded in for keys made by hand.
    fn chain_of(&self, key: &SessionKey) -> usize {
        let (words, _) = key.as_bytes().as_chunks::<8>();
        let hash = words.iter().fold(0, |hash: u64, word| {
            (hash.rotate_left(32) ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        (hash >> 32) as usize & self.chains.len().wrapping_sub(1)
    }

    fn lengthen_chains(&mut self) {
        let chains = std::mem::take(&mut self.chains);
        self.chains = vec![None; (2 * chains.len()).max(8)];
        for mut link in chains {
            while let Some(slot) = link {
                let chain = self.chain_of(&self.row(slot).key);
                let first = self.chains[chain].replace(slot);
                link = std::mem::replace(&mut self.row_mut(slot).chained, first);
            }
        }
    }

    /// Puts a row at the end of the bucket of its deadline.
    fn file(&mut self, slot: Slot) {
        let row = &mut self.rows[slot.index()];
        row.bucket = bucket_of(row.expires_at);
        let bucket = self.buckets.entry(row.bucket).or_insert(Bucket { first: slot, len: 0 });
        bucket.len += 1;
        let next = bucket.first;
        if next == slot {
            self.link(slot, slot);
        } else {
            let previous = self.row(next).previous;
            self.link(previous, slot);
            self.link(slot, next);
        }
    }

    /// Takes a row out of its bucket.
    fn unfile(&mut self, slot: Slot) {
        let Row { bucket: at, next, previous, .. } = *self.row(slot);
        self.link(previous, next);
        if let Some(bucket) = self.buckets.get_mut(&at) {
            bucket.len -= 1;
            if bucket.first == slot {
                bucket.first = next;
            }
            if bucket.len == 0 {
                self.buckets.remove(&at);
            }
        }
    }

    fn link(&mut self, previous: Slot, next: Slot) {
        self.row_mut(previous).next = next;
        self.row_mut(next).previous = previous;
    }

    fn row(&self, slot: Slot) -> &Row {
        &self.rows[slot.index()]
    }

    fn row_mut(&mut self, slot: Slot) -> &mut Row {
        &mut self.rows[slot.index()]
    }
}

impl Row {
    fn weight(&self) -> usize {
        ROW + unpack(&self.packed).1.len()
    }

    fn subject(&self) -> Option<Subject> {
        unpack(&self.packed).0
    }

    fn record(&self) -> Record {
        let (subject, body) = unpack(&self.packed);
        Record {
            revision: self.revision,
            subject,
            expires_at: self.expires_at,
            body: Body(body.to_vec()),
        }
    }
}

impl Slot {
    const MIN: Self = Self(std::num::NonZeroU32::MIN);
    const MAX: Self = Self(std::num::NonZeroU32::MAX);

    /// # Panics
    ///
    /// At 2^32 - 1 rows, which take 320 GiB in one of 64 shards.
    fn new(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(std::num::NonZeroU32::new);
        Self(number.expect("a shard has fewer than 2^32 rows"))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What a record counts as, in bytes.
pub(super) fn weight(record: &Record) -> usize {
    ROW + record.body.len()
}

/// What a row takes beside the body: 90 bytes, and with a subject 50 more.
const ROW: usize = 144;

/// Writes a subject and a body into one allocation: a byte that says whether
/// there is a subject, the subject, the body.
fn pack(record: &Record) -> Box<[u8]> {
    let subject: &[u8] = record.subject.as_ref().map_or(&[], |subject| subject.as_bytes());
    let mut packed = Vec::with_capacity(1 + subject.len() + record.body.len());
    packed.push(u8::from(record.subject.is_some()));
    packed.extend_from_slice(subject);
    packed.extend_from_slice(&record.body);
    packed.into_boxed_slice()
}

fn unpack(packed: &[u8]) -> (Option<Subject>, &[u8]) {
    match packed {
        [1, packed @ ..] => match packed.split_first_chunk() {
            Some((subject, body)) => (Some(Subject::from_hash(*subject)), body),
            None => (None, packed),
        },
        [_, body @ ..] => (None, body),
        [] => (None, &[]),
    }
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
            let mut chained = 0;
            for (chain, mut link) in self.chains.iter().copied().enumerate() {
                while let Some(slot) = link {
                    let row = self.row(slot);
                    assert_eq!(self.chain_of(&row.key), chain);
                    assert!(row.bucket <= bucket_of(row.expires_at));
                    (chained, link) = (chained + 1, row.chained);
                }
            }
            let mut filed = 0;
            for (at, bucket) in &self.buckets {
                let mut slot = bucket.first;
                for _ in 0..bucket.len {
                    let row = self.row(slot);
                    assert_eq!(row.bucket, *at);
                    assert!(self.row(row.next).previous == slot);
                    slot = row.next;
                }
                assert!(slot == bucket.first && bucket.len > 0);
                filed += bucket.len;
            }
            let mut free = 0;
            let mut link = self.free;
            while let Some(slot) = link {
                let next = self.row(slot).next;
                (free, link) = (free + 1, (next != slot).then_some(next));
            }
            assert_eq!([chained, filed, self.rows.len() - free], [self.len; 3]);
            for (prefix_there, slot) in &self.subjects {
                assert_eq!(self.row(*slot).subject().as_ref().map(prefix), Some(*prefix_there));
            }
        }
    }

    fn record(revision: u64, subject: u64, deadline: i64) -> Record {
        Record {
            revision: Revision::from_u64(revision),
            subject: (subject > 0).then(|| subject.into()),
            expires_at: Timestamp::from_millis(deadline),
            body: Body(vec![1; revision as usize % 50]),
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
        let counts = [shard.rows.len(), shard.buckets.len(), shard.subjects.len()];
        assert_eq!(counts, [1, 1, 0]);
        assert_eq!((shard.rows.capacity(), shard.chains.len()), (8, 8));
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

    #[test]
    fn a_row_takes_80_bytes() {
        assert_eq!(size_of::<Row>(), 80);
    }
}
