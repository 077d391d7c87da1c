//! Where the rows of a shard lie: each as one run of bytes, beside others of the same length.
//!
//! So a row is one place in memory, and costs no allocation. It stays where it is unless it
//! becomes longer or shorter by eight bytes or so.

use crate::id::SessionKey;
use crate::record::{Body, Record, Revision};
use crate::subject::Subject;
use crate::time::Timestamp;

/// Rows, by the place where they lie.
#[derive(Default)]
pub(super) struct Rows {
    /// One for each length of rows, as they first came.
    slabs: Vec<Slab>,
}

/// Where a row lies: the number of its slab, of its chunk, and its number there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slot(u32);

/// Rows of one length.
struct Slab {
    /// The bytes of a row. Where they are those of [`HEAD`] alone, what is behind the head is in
    /// a box of its own.
    length: usize,
    chunks: Vec<Chunk>,
    /// The chunks that have room.
    roomy: Vec<u32>,
    used: usize,
}

/// Up to 1024 rows. It is given back once none of them is used.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    boxes: Vec<Box<[u8]>>,
    used: u16,
    /// The first of the rows that are free again, which are linked by `NEXT`.
    free: Option<u16>,
}

const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 10;
const SLAB_BITS: u32 = 7;

/// A row as it is read.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    head: &'a [u8; HEAD],
    rest: &'a [u8],
}

/// What every row begins with: the key, the numbers, and how it goes on. Then there is the
/// subject, if it has one, the body, and what is left to a multiple of [`STEP`].
const HEAD: usize = 61;

/// The offsets of what is in a head.
const REVISION: usize = 32;
const EXPIRES_AT: usize = 40;
const BUCKET: usize = 48;
const NEXT: usize = 52;
const PREVIOUS: usize = 56;
const KIND: usize = 60;

/// Of the last byte of a head: there is a subject. The other bits say how many bytes are left
/// over.
const HAS_SUBJECT: u8 = 0x80;

const STEP: usize = 8;

/// Longer rows have a box for what is behind their heads.
const LONGEST: usize = 1016;

impl Rows {
    /// Writes a row, not yet linked to others.
    pub(super) fn insert(&mut self, key: &SessionKey, record: &Record) -> Slot {
        let length = length_of(record);
        let slab = match self.slabs.iter().position(|slab| slab.length == length) {
            Some(slab) => slab,
            None => {
                self.slabs.reserve_exact(1);
                self.slabs.push(Slab::new(length));
                self.slabs.len() - 1
            }
        };
        let slot = Slot::new(slab, self.slabs[slab].take());
        self.head_mut(slot)[..REVISION].copy_from_slice(key.as_bytes());
        self.write(slot, record);
        slot
    }

    /// Writes another record into a row, if it is as long.
    pub(super) fn rewrite(&mut self, slot: Slot, record: &Record) -> bool {
        let fits = self.slabs[slot.slab()].length == length_of(record);
        if fits {
            self.write(slot, record);
        }
        fits
    }

    fn write(&mut self, slot: Slot, record: &Record) {
        let subject = record.subject.as_ref().map_or(&[][..], |subject| subject.as_bytes());
        let len = subject.len() + record.body.len();
        let slab = &mut self.slabs[slot.slab()];
        let length = slab.length;
        let chunk = &mut slab.chunks[slot.chunk()];
        let row = &mut chunk.bytes[length * slot.number()..][..length];
        let (head, rest) = row.split_at_mut(HEAD);
        head[REVISION..EXPIRES_AT].copy_from_slice(&record.revision.as_u64().to_le_bytes());
        head[EXPIRES_AT..BUCKET].copy_from_slice(&record.expires_at.as_millis().to_le_bytes());
        let rest = match chunk.boxes.get_mut(slot.number()) {
            Some(boxed) => {
                if boxed.len() != len {
                    *boxed = vec![0; len].into_boxed_slice();
                }
                boxed
            }
            None => rest,
        };
        head[KIND] = (rest.len() - len) as u8;
        if record.subject.is_some() {
            head[KIND] |= HAS_SUBJECT;
        }
        rest[..subject.len()].copy_from_slice(subject);
        rest[subject.len()..len].copy_from_slice(&record.body);
    }

    /// Frees a row that nothing is linked to any more.
    pub(super) fn remove(&mut self, slot: Slot) {
        self.slabs[slot.slab()].give(slot);
    }

    pub(super) fn row(&self, slot: Slot) -> Row<'_> {
        let slab = &self.slabs[slot.slab()];
        let chunk = &slab.chunks[slot.chunk()];
        let row = &chunk.bytes[slab.length * slot.number()..][..slab.length];
        let (head, rest) = row.split_first_chunk().expect("no row is shorter than its head");
        let rest = chunk.boxes.get(slot.number()).map_or(rest, |boxed| boxed);
        Row { head, rest }
    }

    pub(super) fn set_expires_at(&mut self, slot: Slot, at: Timestamp) {
        self.head_mut(slot)[EXPIRES_AT..BUCKET].copy_from_slice(&at.as_millis().to_le_bytes());
    }

    pub(super) fn set_bucket(&mut self, slot: Slot, bucket: u32) {
        self.head_mut(slot)[BUCKET..NEXT].copy_from_slice(&bucket.to_le_bytes());
    }

    /// Makes two rows neighbours.
    pub(super) fn link(&mut self, previous: Slot, next: Slot) {
        self.head_mut(previous)[NEXT..PREVIOUS].copy_from_slice(&next.0.to_le_bytes());
        self.head_mut(next)[PREVIOUS..KIND].copy_from_slice(&previous.0.to_le_bytes());
    }

    fn head_mut(&mut self, slot: Slot) -> &mut [u8; HEAD] {
        let slab = &mut self.slabs[slot.slab()];
        slab.chunks[slot.chunk()].head_mut(slab.length, slot.number())
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.slabs.iter().map(|slab| slab.used).sum()
    }

    /// How many bytes they have on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        let mut heap = self.slabs.capacity() * size_of::<Slab>();
        for slab in &self.slabs {
            heap += slab.chunks.capacity() * size_of::<Chunk>() + slab.roomy.capacity() * 4;
            for chunk in &slab.chunks {
                heap += chunk.bytes.capacity() + chunk.boxes.capacity() * size_of::<Box<[u8]>>();
                heap += chunk.boxes.iter().map(|boxed| boxed.len()).sum::<usize>();
            }
        }
        heap
    }
}

impl Slab {
    const fn new(length: usize) -> Self {
        Self { length, chunks: Vec::new(), roomy: Vec::new(), used: 0 }
    }

    /// Finds room for a row.
    fn take(&mut self) -> usize {
        let number = match self.roomy.last() {
            Some(number) => *number as usize,
            None => {
                let number = self.chunks.len();
                if number == self.chunks.capacity() {
                    self.chunks.reserve_exact(number / 8 + 1);
                }
                self.chunks.push(Chunk::default());
                self.roomy.reserve_exact(1);
                self.roomy.push(number as u32);
                number
            }
        };
        let more = self.used / 32 + 2;
        self.used += 1;
        let chunk = &mut self.chunks[number];
        let row = chunk.take(self.length, more);
        if !chunk.has_room(self.length) {
            self.roomy.pop();
        }
        number << CHUNK_BITS | row
    }

    fn give(&mut self, slot: Slot) {
        self.used -= 1;
        let chunk = &mut self.chunks[slot.chunk()];
        if !chunk.has_room(self.length) {
            self.roomy.push(slot.chunk() as u32);
        }
        chunk.give(self.length, slot.number());
    }
}

impl Chunk {
    fn has_room(&self, length: usize) -> bool {
        self.free.is_some() || self.bytes.len() < CHUNK * length
    }

    /// Finds room for a row; if there is none, for as many as that.
    fn take(&mut self, length: usize, more: usize) -> usize {
        self.used += 1;
        if let Some(free) = self.free {
            // The last of the free rows is followed by itself.
            let next = &self.head_mut(length, free.into())[NEXT..];
            let next = u16::from_le_bytes([next[0], next[1]]);
            self.free = (next != free).then_some(next);
            return free.into();
        }
        let number = self.bytes.len() / length;
        if self.bytes.len() == self.bytes.capacity() {
            // Not doubled: half of it would stay empty.
            self.bytes.reserve_exact(length * more.min(CHUNK - number));
        }
        self.bytes.resize(self.bytes.len() + length, 0);
        if length == HEAD {
            self.boxes.push(Box::default());
        }
        number
    }

    fn give(&mut self, length: usize, number: usize) {
        self.used -= 1;
        if self.used == 0 {
            *self = Self::default();
            return;
        }
        if let Some(boxed) = self.boxes.get_mut(number) {
            *boxed = Box::default();
        }
        let next = self.free.replace(number as u16).unwrap_or(number as u16);
        self.head_mut(length, number)[NEXT..NEXT + 2].copy_from_slice(&next.to_le_bytes());
    }

    fn head_mut(&mut self, length: usize, number: usize) -> &mut [u8; HEAD] {
        let row = &mut self.bytes[length * number..];
        row.first_chunk_mut().expect("no row is shorter than its head")
    }
}

impl Row<'_> {
    pub(super) fn key(&self) -> SessionKey {
        SessionKey::from_bytes(self.field(0))
    }

    pub(super) fn is_of(&self, key: &SessionKey) -> bool {
        self.head[..REVISION] == key.as_bytes()[..]
    }

    pub(super) fn revision(&self) -> Revision {
        Revision::from_u64(u64::from_le_bytes(self.field(REVISION)))
    }

    pub(super) fn expires_at(&self) -> Timestamp {
        Timestamp::from_millis(i64::from_le_bytes(self.field(EXPIRES_AT)))
    }

    /// The bucket that the row is in.
    pub(super) fn bucket(&self) -> u32 {
        u32::from_le_bytes(self.field(BUCKET))
    }

    /// The next row of the bucket.
    pub(super) fn next(&self) -> Slot {
        Slot(u32::from_le_bytes(self.field(NEXT)))
    }

    pub(super) fn previous(&self) -> Slot {
        Slot(u32::from_le_bytes(self.field(PREVIOUS)))
    }

    pub(super) fn subject(&self) -> Option<Subject> {
        let subject = self.rest.first_chunk().filter(|_| self.has_subject())?;
        Some(Subject::from_hash(*subject))
    }

    pub(super) fn body(&self) -> &[u8] {
        let start = if self.has_subject() { SUBJECT } else { 0 };
        let left_over = usize::from(self.head[KIND] & !HAS_SUBJECT);
        &self.rest[start..self.rest.len() - left_over]
    }

    pub(super) fn record(&self) -> Record {
        Record {
            revision: self.revision(),
            subject: self.subject(),
            expires_at: self.expires_at(),
            body: Body(self.body().to_vec()),
        }
    }

    const fn has_subject(&self) -> bool {
        self.head[KIND] & HAS_SUBJECT != 0
    }

    fn field<const N: usize>(&self, offset: usize) -> [u8; N] {
        *self.head[offset..].first_chunk().expect("the head is longer")
    }
}

impl Slot {
    /// # Panics
    ///
    /// At 2^25 rows of one length in one of 64 shards, which take more than 2 GiB there and
    /// 128 GiB in all: twice what the store takes.
    fn new(slab: usize, row: usize) -> Self {
        const { assert!((LONGEST - HEAD) / STEP + 2 <= 1 << SLAB_BITS) };
        assert!(
            row >> (u32::BITS - SLAB_BITS) == 0,
            "a shard has fewer than 2^25 rows of a length"
        );
        Self((slab as u32) << (u32::BITS - SLAB_BITS) | row as u32)
    }

    pub(super) const fn number_of(self) -> u32 {
        self.0
    }

    pub(super) const fn of_number(number: u32) -> Self {
        Self(number)
    }

    const fn slab(self) -> usize {
        (self.0 >> (u32::BITS - SLAB_BITS)) as usize
    }

    const fn chunk(self) -> usize {
        ((self.0 << SLAB_BITS) >> (SLAB_BITS + CHUNK_BITS)) as usize
    }

    const fn number(self) -> usize {
        self.0 as usize % CHUNK
    }
}

/// The bytes of a row that holds this record.
fn length_of(record: &Record) -> usize {
    let subject = if record.subject.is_some() { SUBJECT } else { 0 };
    let length = (HEAD + subject).saturating_add(record.body.len()).next_multiple_of(STEP);
    if length > LONGEST { HEAD } else { length }
}

const SUBJECT: usize = 32;
