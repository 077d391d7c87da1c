//! What is remembered, and what is under way: the part that must be right.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::age::Moment;
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::Error;

/// What each record takes beside its body: its other values, two allocations, and
/// its share of the cache's tables, with those for keys that have just gone.
///
/// Measured with a full cache of 64 MiB and bodies of 300 bytes: 309, of which 70
/// are for what has gone.
const OVERHEAD: u64 = 320;

/// What a record is reckoned to take, where the cache must guess how many it
/// will hold.
const TYPICAL: u64 = 2 * OVERHEAD;

const STRIPES: usize = 64;

/// A record, and a moment since which it was the store's, at some point.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Moment,
    pub(super) record: Record,
}

/// What came of a load that several wait for. Nothing, if it is not there yet.
pub(super) type Slot = Arc<futures_util::lock::Mutex<Option<Landed>>>;

pub(super) type Landed = Result<Option<Arc<Entry>>, Arc<Error>>;

/// The records, and the verbs under way.
///
/// Records are put in and taken out under the lock of their key's stripe, where
/// it is known what else is under way; they are read without it.
///
/// Invariant: a record in here was the store's after the answer of every write
/// of its key that has been answered. For,
///
/// - while a write is under way there is none: its beginning takes it out, and
///   nothing is put in until its end;
/// - a load puts in what it brings only if no write is under way and it is still
///   its key's flight, which a write's end takes from whatever flies. So no write
///   has been under way since such a load began. Nor does anybody join a load that
///   began before the end of a write that has been answered;
/// - a write puts in what it wrote only if no other was under way at any time
///   since it began. So nothing that this process was told of came later.
///
/// Another invariant, for what other machines do: what a request gets was the
/// store's at some time less than the maximum age before the request began, or
/// since. A record that is remembered is no older, and neither is a flight that is
/// joined: its load began when it did, or, if somebody else took the load over,
/// later. How long the load takes makes no difference.
///
/// A write ends when its future does, also if that is dropped or fails. What the
/// engine does of it after that is to this process what another machine does.
pub(super) struct Memory {
    records: Cache<SessionKey, Arc<Entry>, Bytes, OfHashes>,
    stripes: Box<[Mutex<Stripe>]>,
}

struct Stripe {
    /// The last ticket that was given out. None is given out twice.
    ticket: u64,
    /// The keys of which something is under way, and no others.
    busy: HashMap<SessionKey, Busy, OfHashes>,
}

#[derive(Default)]
struct Busy {
    /// The ticket of the write that began last, or of what was told of since.
    last: u64,
    writers: usize,
    flight: Option<Flight>,
}

/// The load that others of this key may join.
struct Flight {
    ticket: u64,
    /// A moment before its load began.
    began: Moment,
    /// How many wait for it, or do it.
    crew: usize,
    slot: Slot,
}

impl Stripe {
    fn ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    fn depart<'a>(&mut self, memory: &'a Memory, key: &'a SessionKey, began: Moment) -> Seat<'a> {
        let ticket = self.ticket();
        let slot = Slot::default();
        let busy = self.busy.entry(*key).or_default();
        busy.flight = Some(Flight { ticket, began, crew: 1, slot: Arc::clone(&slot) });
        Seat { memory, key, ticket, slot, joined: false }
    }

    /// Keeps what is under way from being remembered, or joined.
    fn disturb(&mut self, key: &SessionKey) {
        let ticket = self.ticket();
        if let Some(busy) = self.busy.get_mut(key) {
            busy.last = ticket;
            busy.flight = None;
            self.tidy(key);
        }
    }

    /// Forgets a key of which nothing is under way any more.
    fn tidy(&mut self, key: &SessionKey) {
        if self.busy.get(key).is_some_and(|busy| busy.writers == 0 && busy.flight.is_none()) {
            self.busy.remove(key);
        }
    }
}

impl Memory {
    pub(super) fn new(capacity: u64) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(capacity / TYPICAL).unwrap_or(usize::MAX))
            .weight_capacity(capacity)
            .build()
            .expect("both capacities are set");
        let hasher = OfHashes::new();
        let lifecycle = DefaultLifecycle::default();
        let stripe = || Mutex::new(Stripe { ticket: 0, busy: HashMap::with_hasher(hasher) });
        Self {
            records: Cache::with_options(options, Bytes, hasher, lifecycle),
            stripes: (0..STRIPES).map(|_| stripe()).collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.records.weight()
    }

    pub(super) fn under_way(&self) -> usize {
        self.stripes.iter().map(|stripe| lock(stripe).busy.len()).sum()
    }

    fn stripe(&self, key: &SessionKey) -> MutexGuard<'_, Stripe> {
        // Keys are hashes: any byte is as good.
        lock(&self.stripes[usize::from(key.as_bytes()[31]) % STRIPES])
    }

    pub(super) fn get(&self, key: &SessionKey) -> Option<Arc<Entry>> {
        self.records.get(key)
    }

    /// Finds what is good enough, or joins the flight of this key if that is young
    /// enough, or starts one.
    ///
    /// While a write of the key is under way nobody joins: its outcome may have been
    /// seen already, past the cache or by another load, and the flight may be from
    /// before it.
    pub(super) fn join<'a>(
        &'a self,
        key: &'a SessionKey,
        now: impl FnOnce() -> Moment,
        max_age: Duration,
        is_good: impl FnOnce(&Entry, Moment) -> bool,
    ) -> Joined<'a> {
        let mut stripe = self.stripe(key);
        // Under the lock, or a flight that has just begun could be of the future.
        let now = now();
        // Once more, under the lock: a flight may have landed since the caller looked.
        if let Some(entry) = self.records.get(key).filter(|entry| is_good(entry, now)) {
            return Joined::Found(entry);
        }
        let busy = stripe.busy.get_mut(key).filter(|busy| busy.writers == 0);
        let flight = busy.and_then(|busy| busy.flight.as_mut());
        Joined::Seat(match flight.filter(|flight| flight.began.is_within(max_age, now)) {
            Some(flight) => {
                flight.crew += 1;
                let (ticket, slot) = (flight.ticket, Arc::clone(&flight.slot));
                Seat { memory: self, key, ticket, slot, joined: true }
            }
            None => stripe.depart(self, key, now),
        })
    }

    /// Starts a flight. One that is under way is not this key's any more: it began
    /// too early for whoever asks now.
    pub(super) fn depart<'a>(&'a self, key: &'a SessionKey, began: Moment) -> Seat<'a> {
        self.stripe(key).depart(self, key, began)
    }

    /// Begins a write, which ends when the answer is dropped.
    pub(super) fn write<'a>(&'a self, key: &'a SessionKey) -> Write<'a> {
        let mut stripe = self.stripe(key);
        let ticket = stripe.ticket();
        let busy = stripe.busy.entry(*key).or_default();
        let alone = busy.writers == 0;
        busy.writers += 1;
        busy.last = ticket;
        let before = self.records.remove(key).map(|(_, entry)| entry);
        Write { memory: self, key, ticket, alone, before, after: None }
    }

    /// Forgets a record that somebody else has changed.
    pub(super) fn forget(&self, key: &SessionKey) {
        let mut stripe = self.stripe(key);
        stripe.disturb(key);
        self.records.remove(key);
    }

    /// Forgets everything.
    pub(super) fn forget_all(&self) {
        self.disturb_all();
        // What is put in from here on has begun since this did.
        self.records.clear();
    }

    /// Keeps what is under way from being remembered, or joined.
    pub(super) fn disturb_all(&self) {
        for stripe in &self.stripes {
            let mut stripe = lock(stripe);
            let keys: Vec<_> = stripe.busy.keys().copied().collect();
            keys.iter().for_each(|key| stripe.disturb(key));
        }
    }
}

fn lock(stripe: &Mutex<Stripe>) -> MutexGuard<'_, Stripe> {
    stripe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came of [`Memory::join`].
pub(super) enum Joined<'a> {
    Found(Arc<Entry>),
    Seat(Seat<'a>),
}

/// A place in a flight. It is left when this is dropped; the last one to leave a
/// flight that has not landed takes it away.
pub(super) struct Seat<'a> {
    memory: &'a Memory,
    key: &'a SessionKey,
    ticket: u64,
    pub(super) slot: Slot,
    /// The flight was there before.
    pub(super) joined: bool,
}

impl Seat<'_> {
    /// Ends the flight: nobody joins it any more. What it brings, if it brings
    /// anything, is remembered if nothing has come between.
    pub(super) fn land(&self, landed: &Landed) {
        let mut stripe = self.memory.stripe(self.key);
        let Some(busy) = stripe.busy.get_mut(self.key) else { return };
        if busy.flight.take_if(|flight| flight.ticket == self.ticket).is_none() {
            return;
        }
        let is_quiet = busy.writers == 0;
        match landed {
            Ok(Some(entry)) if is_quiet => self.memory.records.insert(*self.key, entry.clone()),
            Ok(None) => drop(self.memory.records.remove(self.key)),
            Ok(Some(_)) | Err(_) => {}
        }
        stripe.tidy(self.key);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut stripe = self.memory.stripe(self.key);
        let Some(busy) = stripe.busy.get_mut(self.key) else { return };
        if let Some(flight) = busy.flight.as_mut().filter(|flight| flight.ticket == self.ticket) {
            flight.crew -= 1;
            if flight.crew == 0 {
                busy.flight = None;
                stripe.tidy(self.key);
            }
        }
    }
}

/// A write under way. It ends when this is dropped, whatever came of it.
pub(super) struct Write<'a> {
    memory: &'a Memory,
    key: &'a SessionKey,
    ticket: u64,
    /// No other write was under way when this one began.
    alone: bool,
    /// What was remembered before it.
    pub(super) before: Option<Arc<Entry>>,
    /// What to remember after it, if nothing has come between.
    pub(super) after: Option<Entry>,
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let mut stripe = self.memory.stripe(self.key);
        let Some(busy) = stripe.busy.get_mut(self.key) else { return };
        busy.writers -= 1;
        busy.flight = None;
        if self.alone
            && busy.last == self.ticket
            && let Some(entry) = self.after.take()
        {
            self.memory.records.insert(*self.key, Arc::new(entry));
        }
        stripe.tidy(self.key);
    }
}

/// Weighs a record by what it takes in memory.
#[derive(Clone)]
struct Bytes;

impl Weighter<SessionKey, Arc<Entry>> for Bytes {
    fn weight(&self, _: &SessionKey, entry: &Arc<Entry>) -> u64 {
        OVERHEAD + entry.record.body.len() as u64
    }
}

/// Hashes keys, which are hashes: half of one, under two secrets.
///
/// Who wishes for keys that fall together must find ids whose keys are alike in 128 bits, or know
/// the secrets.
#[derive(Clone, Copy)]
struct OfHashes([u64; 2]);

impl OfHashes {
    fn new() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(0), random.hash_one(1)])
    }
}

impl BuildHasher for OfHashes {
    type Hasher = OfHash;

    fn build_hasher(&self) -> OfHash {
        OfHash { secrets: self.0, hash: 0 }
    }
}

struct OfHash {
    secrets: [u64; 2],
    hash: u64,
}

impl Hasher for OfHash {
    fn write(&mut self, bytes: &[u8]) {
        let half = |at: usize| bytes.get(at..at + 8).and_then(|half| half.try_into().ok());
        let [a, b] = [half(0), half(8)].map(|half| u64::from_le_bytes(half.unwrap_or_default()));
        let product = u128::from(a ^ self.secrets[0]) * u128::from(b ^ self.secrets[1]);
        self.hash ^= (product >> 64) as u64 ^ product as u64;
    }

    /// The length of the bytes, which is the same for all.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hashed_by_their_first_half_and_by_secrets() {
        let key = |change: usize| {
            let mut bytes = [7; 32];
            bytes[change] = 8;
            SessionKey::from_bytes(bytes)
        };
        let (ours, theirs) = (OfHashes::new(), OfHashes::new());
        let mut hashes: Vec<u64> = (0..16).map(|at| ours.hash_one(key(at))).collect();
        hashes.push(theirs.hash_one(key(0)));
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
        assert_eq!(ours.hash_one(key(16)), ours.hash_one(key(31)));
    }
}
