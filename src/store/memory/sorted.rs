//! A sorted set in short pieces, of numbers or of what has one.
//!
//! It takes 10 bytes for 8, where a `BTreeSet` takes 17, and no call moves more than one piece
//! and the list of pieces: none takes long, however many there are.

/// What is sorted by a number of its own.
pub(super) trait Entry: Copy {
    fn order(&self) -> u64;
}

impl Entry for u64 {
    fn order(&self) -> u64 {
        *self
    }
}

/// Entries in ascending order, no two of the same.
///
/// Invariants:
/// - there are as many `firsts` as `pieces`, and no piece is empty;
/// - the order of what is in a piece is that of its `first` or more, and less than that of the
///   next one's.
pub(super) struct Sorted<T> {
    /// Apart from the pieces, so that looking for one touches little memory.
    firsts: Vec<u64>,
    pieces: Vec<Vec<T>>,
}

/// How many entries a piece has at most. It is split in halves.
const PIECE: usize = 256;

/// Neighbours that have both become so short are joined.
const SHORT: usize = PIECE / 4;

impl<T: Entry> Sorted<T> {
    pub(super) const fn new() -> Self {
        Self { firsts: Vec::new(), pieces: Vec::new() }
    }

    pub(super) fn first_mut(&mut self) -> Option<&mut T> {
        self.pieces.first_mut()?.first_mut()
    }

    pub(super) fn get_mut(&mut self, order: u64) -> Option<&mut T> {
        let (piece, at) = self.place(order)?;
        self.pieces[piece].get_mut(at).filter(|entry| entry.order() == order)
    }

    /// Returns the entries of this order or a later one.
    pub(super) fn from(&self, order: u64) -> impl Iterator<Item = &T> {
        let (piece, at) = self.place(order).unwrap_or_default();
        let first = self.pieces.get(piece).map_or(&[][..], |piece| &piece[at..]);
        let others = self.pieces.get(piece + 1..).unwrap_or_default();
        first.iter().chain(others.iter().flatten())
    }

    /// Adds an entry of an order that there is not yet.
    pub(super) fn insert(&mut self, entry: T) {
        let order = entry.order();
        let Some((mut piece, mut at)) = self.place(order) else {
            push(&mut self.firsts, 0);
            push(&mut self.pieces, vec![entry]);
            return;
        };
        if self.pieces[piece].len() == PIECE {
            let is_last = piece + 1 == self.pieces.len();
            let next = if is_last && at == PIECE {
                // Whatever comes in order leaves full pieces behind.
                make_room(&mut self.pieces);
                make_room(&mut self.firsts);
                self.firsts.push(order);
                self.pieces.push(vec![entry]);
                return;
            } else {
                let next = self.pieces[piece].split_off(PIECE / 2);
                self.pieces[piece].shrink_to_fit();
                next
            };
            make_room(&mut self.firsts);
            make_room(&mut self.pieces);
            self.firsts.insert(piece + 1, next[0].order());
            self.pieces.insert(piece + 1, next);
            if at > PIECE / 2 {
                (piece, at) = (piece + 1, at - PIECE / 2);
            }
        }
        let entries = &mut self.pieces[piece];
        make_room(entries);
        entries.insert(at, entry);
    }

    /// Removes the entry of this order, if there is one.
    pub(super) fn remove(&mut self, order: u64) {
        let Some((piece, at)) = self.place(order) else { return };
        let entries = &mut self.pieces[piece];
        if entries.get(at).is_none_or(|entry| entry.order() != order) {
            return;
        }
        entries.remove(at);
        let (len, capacity) = (entries.len(), entries.capacity());
        if len <= SHORT && self.pieces.get(piece + 1).is_some_and(|next| next.len() <= SHORT) {
            let next = self.pieces.remove(piece + 1);
            self.firsts.remove(piece + 1);
            self.pieces[piece].extend_from_slice(&next);
        } else if len == 0 {
            self.pieces.remove(piece);
            self.firsts.remove(piece);
            if let Some(first) = self.firsts.first_mut() {
                *first = 0;
            }
        } else if capacity > 2 * len + 8 {
            self.pieces[piece].shrink_to(len + len / 16);
        }
        if self.pieces.capacity() > 2 * self.pieces.len() + 8 {
            self.pieces.shrink_to_fit();
            self.firsts.shrink_to_fit();
        }
    }

    /// The piece in which an order belongs, and where in it the first entry is that is not before.
    fn place(&self, order: u64) -> Option<(usize, usize)> {
        let firsts = &self.firsts;
        let piece = before(firsts.len(), |at| firsts[at] <= order, share(order, 0, u64::MAX));
        let piece = piece.checked_sub(1)?;
        let entries = &self.pieces[piece];
        let end = firsts.get(piece + 1).copied().unwrap_or(u64::MAX);
        let share = share(order, firsts[piece], end);
        Some((piece, before(entries.len(), |at| entries[at].order() < order, share)))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// How many bytes it has on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        let entries: usize = self.pieces.iter().map(Vec::capacity).sum();
        entries * size_of::<T>()
            + self.pieces.capacity() * size_of::<Vec<T>>()
            + self.firsts.capacity() * size_of::<u64>()
    }

    #[cfg(test)]
    #[track_caller]
    pub(super) fn check(&self) {
        assert_eq!(self.firsts.len(), self.pieces.len());
        let orders: Vec<u64> = self.pieces.iter().flatten().map(Entry::order).collect();
        assert!(orders.is_sorted_by(|a, b| a < b));
        for (at, piece) in self.pieces.iter().enumerate() {
            assert!((1..=PIECE).contains(&piece.len()));
            assert!(self.firsts[at] <= piece[0].order());
            let end = self.firsts.get(at + 1).copied().unwrap_or(u64::MAX);
            assert!(piece[piece.len() - 1].order() < end || at + 1 == self.pieces.len());
        }
        assert!(self.firsts.first().is_none_or(|first| *first == 0));
    }
}

/// How far between two numbers a third one is.
fn share(order: u64, start: u64, end: u64) -> f64 {
    (order.saturating_sub(start)) as f64 / (end.saturating_sub(start).max(1)) as f64
}

/// Counts the places for which `is_before` holds, which are the first ones.
///
/// The search begins where the end of them is expected. Hashes are spread evenly, so it mostly
/// ends beside it, where a search by halves would touch memory here and there.
fn before(len: usize, is_before: impl Fn(usize) -> bool, expected: f64) -> usize {
    if len == 0 {
        return 0;
    }
    let guess = ((expected * len as f64) as usize).min(len - 1);
    // All below `low` are, and none from `high` on is.
    let (mut low, mut high) = (0, len);
    let mut step = 1;
    if is_before(guess) {
        low = guess + 1;
        while low + step <= high {
            if !is_before(low + step - 1) {
                high = low + step - 1;
                break;
            }
            low += step;
            step *= 2;
        }
    } else {
        high = guess;
        while low + step <= high {
            if is_before(high - step) {
                low = high - step + 1;
                break;
            }
            high -= step;
            step *= 2;
        }
    }
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn push<T>(all: &mut Vec<T>, one: T) {
    make_room(all);
    all.push(one);
}

/// Not doubled: half of it would stay empty.
fn make_room<T>(all: &mut Vec<T>) {
    if all.len() == all.capacity() {
        all.reserve_exact(all.len() / 16 + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_a_set_whatever_is_done() {
        // Spread evenly, all alike but for the last bits, and in order.
        let kinds: [fn(u64) -> u64; 3] = [
            |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50 | 7 << 40,
            |n| n,
        ];
        for kind in kinds {
            let (mut sorted, mut model) = (Sorted::new(), BTreeSet::new());
            let mut random = 1_u64;
            for step in 0..40_000_u64 {
                random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let entry = kind(if random >> 62 == 0 { random >> 51 } else { step / 2 });
                // It grows for half of the time, and shrinks to nothing.
                let grows = (random >> 33) % 40_000 > step;
                if grows && model.insert(entry) {
                    sorted.insert(entry);
                } else if !grows {
                    let least = model.range(entry..).next().copied();
                    let gone = least.or_else(|| model.first().copied()).unwrap_or(entry);
                    model.remove(&gone);
                    sorted.remove(gone);
                }
                if step % 64 == 0 {
                    sorted.check();
                    assert!(sorted.from(0).eq(&model));
                    assert!(sorted.from(entry).eq(model.range(entry..)));
                    let there = sorted.get_mut(entry).copied();
                    assert_eq!(there, model.get(&entry).copied());
                }
            }
            while let Some(entry) = model.pop_last() {
                sorted.remove(entry);
                sorted.check();
            }
            assert_eq!((sorted.len(), sorted.first_mut()), (0, None));
        }
    }

    #[test]
    fn an_entry_of_8_bytes_takes_11_at_most() {
        let mut sorted = Sorted::new();
        for n in 0..200_000_u64 {
            sorted.insert(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            if n > 1000 && n % 997 == 0 {
                assert!(sorted.heap() <= 11 * sorted.len(), "{} of {}", sorted.heap(), n + 1);
            }
        }
        // What is left of it when most has gone is little too.
        for n in 0..199_000_u64 {
            sorted.remove(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        assert!(sorted.heap() <= 32 * sorted.len(), "{}", sorted.heap());
    }
}
