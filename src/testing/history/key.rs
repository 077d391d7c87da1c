//! A key that clients work on, and what they write under it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::log::History;
use crate::id::SessionKey;
use crate::record::{Body, Record, Revision};
use crate::subject::Subject;
use crate::testing::schedule::Random;
use crate::time::Timestamp;

/// A key, its history, and its character.
pub(super) struct Key {
    /// No two are the same.
    pub(super) number: u64,
    pub(super) key: SessionKey,
    pub(super) subjects: [Subject; 3],
    pub(super) history: History,
    /// Whether some of its deadlines are near.
    is_short: bool,
    first: u64,
    /// Of a thousand calls, how many end it.
    pub(super) ends: u64,
    /// How many answers it gets at most, and how many once it has ended.
    limits: (u64, u64),
    answers: AtomicU64,
    answers_ended: AtomicU64,
    is_ended: AtomicBool,
    /// Writes without an answer.
    lost: AtomicU64,
}

/// So many writes without an answer, and a key is only read.
const MOST_LOST: u64 = 150;

impl Key {
    pub(super) fn new(seed: u64, number: u64, history: History) -> Self {
        let mut random = Random(seed ^ number << 20);
        // Neighbours differ in the last byte, for stores that cut keys.
        let mut bytes = bytes(&mut Random(seed ^ number / 2 << 20 ^ 1 << 63));
        bytes[31] = number as u8;
        let block = number / 16;
        let subject = |n| Subject::from(format!("{seed} {block} {n}"));
        let is_short = random.next() % 3 == 0;
        let ends = [2, 5, 20, 60][(random.next() % 4) as usize];
        let limits = (60 + random.next() % 1200, 10 + random.next() % 60);
        // Also revisions that a floating-point number cannot hold.
        let first = if random.next() % 4 == 0 { 1 << 62 | 1 } else { random.next() % 1000 };
        Self {
            number,
            key: SessionKey::from_bytes(bytes),
            subjects: [subject(0), subject(1), subject(2)],
            history,
            is_short,
            first,
            ends,
            limits,
            answers: AtomicU64::new(0),
            answers_ended: AtomicU64::new(0),
            is_ended: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        }
    }

    /// Notes that a call was answered.
    pub(super) fn answered(&self, ended: bool) {
        if ended {
            self.is_ended.store(true, Ordering::SeqCst);
        }
        self.answers.fetch_add(1, Ordering::SeqCst);
        if self.is_ended.load(Ordering::SeqCst) {
            self.answers_ended.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Notes that a write got no answer.
    pub(super) fn lost(&self) {
        self.lost.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn is_for_reading(&self) -> bool {
        self.lost.load(Ordering::SeqCst) >= MOST_LOST
    }

    /// Whether another key takes its place.
    pub(super) fn is_old(&self) -> bool {
        self.answers.load(Ordering::SeqCst) >= self.limits.0
            || self.answers_ended.load(Ordering::SeqCst) >= self.limits.1
    }

    /// The revision of a first record.
    pub(super) fn first(&self, random: &mut Random) -> Revision {
        Revision::from_u64(self.first + random.next() % (1 << 32))
    }

    /// A deadline: half an hour off, or near if the key has such.
    pub(super) fn deadline(&self, random: &mut Random, now: Timestamp) -> Timestamp {
        if self.is_short && random.next() % 2 == 0 {
            let most = if random.next() % 2 == 0 { 20 } else { 400 };
            return now.plus(Duration::from_millis(random.next() % most)).minus(EARLIER);
        }
        now.plus(Duration::from_millis(1_800_000 + random.next() % 1_800_000))
    }

    /// A record of this revision, which is like no other.
    pub(super) fn record(&self, random: &mut Random, now: Timestamp, revision: Revision) -> Record {
        let subject = self.subjects.get((random.next() % 4) as usize).copied();
        let mut body = bytes(random)[..(random.next() % 33) as usize].to_vec();
        if random.next() % 1000 == 0 {
            body.resize(1 << 16, 0xfe);
        }
        let expires_at = self.deadline(random, now);
        Record { revision, subject, expires_at, body: Body(body) }
    }

    pub(super) fn tombstone(&self, random: &mut Random, now: Timestamp) -> Record {
        let body = Body(bytes(random)[..12].to_vec());
        let expires_at = self.deadline(random, now);
        Record { revision: Revision::ENDED, subject: None, expires_at, body }
    }
}

/// Some deadlines are over when they are written.
const EARLIER: Duration = Duration::from_millis(5);

fn bytes(random: &mut Random) -> [u8; 32] {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes());
    }
    bytes
}
