//! Seats: how many sessions a subject has at once, exactly.
//!
//! A subject's *table* is a record of its own, beside those of the sessions: a list of seats,
//! each the key of a session. A login takes a seat, by a compare-and-swap of the table, before
//! it writes its record.
//!
//! Invariant: while a session of a limited subject is alive, the table has a seat for it. So
//! there are never more than there are seats. A seat is taken away only from a session that can
//! never be alive by the write that the seat was for:
//!
//! - it was ended, and a tombstone is for ever;
//! - its record has changed since the seat was taken and is not the subject's, so the login's
//!   compare-and-swap must fail, and asks for a seat again;
//! - its record is not there and was to be replaced, or was to be inserted and a tombstone
//!   is put in its place first;
//! - it is otherwise over, or its login seems to have died half way; then the record is first
//!   moved to its next revision, so that whatever is under way is refused.
//!
//! No clock has a part in it but for how long a seat waits for its login. A crash between any two
//! steps leaves a seat without a session at worst, which is free after [`PATIENCE`].
//!
//! What is in the index and not in the table (sessions from before the limit was set, or of a
//! table that is gone) gets a seat at the next login.
//!
//! ```text
//! byte   format version: 1
//! byte   kind: 2
//! varint number of seats; each
//!   32     key of the session
//!   varint revision of the record that the login replaces; 0 if it inserts one
//!   zigzag when it was taken, in milliseconds
//! ```

use std::time::Duration;

use blake3::hazmat::ContextKey;

use crate::envelope::{Envelope, FORMAT, Reader, Writer, tombstone, unzigzag, zigzag};
use crate::event::{Event, Observer};
use crate::id::{SessionKey, derive};
use crate::record::{Body, Record, Revision};
use crate::store::{self, ErrorKind, Inserted, Replaced, Store};
use crate::subject::Subject;
use crate::time::Timestamp;
use crate::verdict::EndReason;

/// How long a seat waits for its login. Longer than a request takes; if one takes longer, it is
/// refused.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so many refused replacements somebody else's turn never ends.
const MAX_TRIES: u32 = 512;

/// How many keys are asked of the index at once.
const PAGE: usize = 100;

/// How many records are removed at once, to get at the table.
const SWEPT: usize = 1000;

const KIND: u8 = 2;

/// What happens at a login of somebody who has as many sessions as allowed.
///
/// See [`SessionLayer::max_sessions`](crate::SessionLayer::max_sessions).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnLimit {
    /// The login fails with [`Error::TooManySessions`](crate::Error::TooManySessions), a 409.
    ///
    /// # Security
    ///
    /// Who has stolen a password, and logs in often enough, keeps its owner out.
    RejectNew,
    /// The session that logged in first is ended.
    EndOldest,
    /// The session that was used least recently is ended, as exactly as its
    /// [`last_seen`](crate::SessionInfo::last_seen) is.
    EndLeastRecent,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limit {
    pub(crate) sessions: usize,
    pub(crate) on_limit: OnLimit,
}

/// What a login asks for.
#[derive(Clone, Debug)]
pub(crate) struct Seating {
    pub(crate) limit: Limit,
    pub(crate) subject: Subject,
    pub(crate) key: SessionKey,
    /// The revision that it replaces, unless it inserts.
    pub(crate) expected: Option<Revision>,
    /// How long the table is wanted at least.
    pub(crate) until: Timestamp,
    /// It had a seat already, and tries again.
    pub(crate) again: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seated {
    Taken,
    /// There is none left.
    Full,
    /// A later login has taken it away.
    Displaced,
    /// Others were quicker, again and again.
    Busy,
}

/// What else there is to know.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) now: Timestamp,
    pub(crate) remember_ended: Duration,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) step: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Seat {
    key: SessionKey,
    /// The number of the revision that its login replaces; 0 if it inserts.
    expected: u64,
    taken_at: Timestamp,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Table(Vec<Seat>);

impl Table {
    fn encode(&self) -> Body {
        let mut out = Writer(Vec::with_capacity(4 + 48 * self.0.len()));
        out.byte(FORMAT);
        out.byte(KIND);
        out.varint(self.0.len() as u64);
        for seat in &self.0 {
            out.bytes(seat.key.as_bytes());
            out.varint(seat.expected);
            out.varint(zigzag(seat.taken_at.as_millis()));
        }
        Body(out.0)
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let mut input = Reader { bytes: body, at: 0 };
        if (input.byte()?, input.byte()?) != (FORMAT, KIND) {
            return None;
        }
        let mut seats = Vec::new();
        for _ in 0..input.varint()? {
            seats.push(Seat {
                key: SessionKey::from_bytes(input.array()?),
                expected: input.varint()?,
                taken_at: Timestamp::from_millis(unzigzag(input.varint()?)),
            });
        }
        (input.at == body.len()).then_some(Self(seats))
    }

    fn has(&self, key: &SessionKey) -> bool {
        self.0.iter().any(|seat| seat.key == *key)
    }
}

/// The key of a subject's table.
fn table_key(subject: &Subject) -> SessionKey {
    SessionKey::from_bytes(derive(&SEATS, subject.as_bytes()).into())
}

/// Whom a table belongs to: nobody. It begins with what no subject's hash begins with, so that
/// who walks through a store can tell a table by its row.
fn table_subject(key: &SessionKey) -> Subject {
    let mut bytes = *key.as_bytes();
    bytes[..TABLES.len()].copy_from_slice(TABLES);
    Subject::from_hash(bytes)
}

/// Tells whether a row's subject is that of a table.
pub(crate) fn is_table(subject: Option<Subject>) -> bool {
    subject.is_some_and(|subject| subject.as_bytes().starts_with(TABLES))
}

/// What comes of a look at a seat's session.
enum Look {
    /// It can never be alive by what the seat was taken for.
    Dead,
    /// It is alive, or about to be.
    Alive { last_seen: Timestamp },
}

/// Takes a seat.
pub(crate) async fn take<S: Store>(
    store: &S,
    ask: &Seating,
    world: World<'_>,
) -> store::Result<Seated> {
    let key = table_key(&ask.subject);
    let asking = Asking { store, ask, world };
    let mut ended = false;
    for _ in 0..MAX_TRIES {
        let there = match store.load(&key).await {
            // Somebody has ended it by hand. No login until that is to be forgotten, rather than
            // one too many; and not until somebody sweeps.
            Ok(Some(record)) if record.revision == Revision::ENDED => {
                let is_over = world.now >= record.expires_at;
                if is_over && store.remove_expired(world.now, SWEPT).await? > 0 {
                    continue;
                }
                return Err(store::Error::new(ErrorKind::Other, TableEnded));
            }
            // A row that makes no sense must not be an outage for ever: once this is forgotten, a
            // login makes the table anew, from the index.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let tombstone = tombstone(EndReason::Revoked, world.now, world.remember_ended);
                store.end(&key, &tombstone).await?;
                return Err(error);
            }
            there => there?,
        };
        let table = there.as_ref().and_then(|record| Table::decode(&record.body));
        let mut table = asking.completed(table.unwrap_or_default()).await?;
        let had = table.has(&ask.key);
        // Not if it has ended one itself by now: then nobody would be in.
        if !had && !ended && ask.again && ask.limit.on_limit != OnLimit::RejectNew {
            return Ok(Seated::Displaced);
        }
        match asking.make_room(&mut table).await? {
            Room::Made { ended: more } => ended |= more,
            Room::None => return Ok(Seated::Full),
        }
        asking.sit(&mut table);
        let body = table.encode();
        let expires_at = match &there {
            Some(record) if record.body == body => return Ok(Seated::Taken),
            Some(record) => record.expires_at.max(ask.until),
            None => ask.until,
        };
        let expected = there.as_ref().map(|record| record.revision);
        let revision = match expected {
            Some(expected) => match expected.next(world.step) {
                Some(next) => next,
                None => return Ok(Seated::Busy),
            },
            None => Revision::first(world.step),
        };
        let record = Record { revision, subject: Some(table_subject(&key)), expires_at, body };
        let done = match expected {
            Some(expected) => store.replace(&key, expected, &record).await? == Replaced::Done,
            None => store.insert(&key, &record).await? == Inserted::Created,
        };
        if done {
            return Ok(Seated::Taken);
        }
    }
    Ok(Seated::Busy)
}

/// Whether there is room for one more.
enum Room {
    /// There is; and whether somebody was ended for it.
    Made {
        ended: bool,
    },
    None,
}

struct Asking<'a, S> {
    store: &'a S,
    ask: &'a Seating,
    world: World<'a>,
}

impl<S: Store> Asking<'_, S> {
    /// Gives a seat to what lives and has none.
    async fn completed(&self, mut table: Table) -> store::Result<Table> {
        let Seating { subject, key: ours, .. } = self.ask;
        let mut after = None;
        loop {
            let keys = self.store.sessions_of(subject, after.as_ref(), PAGE).await?;
            for key in &keys {
                if table.has(key) || key == ours {
                    continue;
                }
                let Some(record) = self.load(key).await? else { continue };
                if record.subject != Some(*subject) || self.world.now >= record.expires_at {
                    continue;
                }
                let taken_at = match Envelope::decode(&record.body) {
                    Some(Envelope::Live(live)) => live.anchor(),
                    Some(Envelope::Tombstone(_)) => continue,
                    None => Timestamp::default(),
                };
                table.0.push(Seat { key: *key, expected: record.revision.as_u64(), taken_at });
            }
            match keys.last() {
                Some(last) if keys.len() == PAGE => after = Some(*last),
                _ => return Ok(table),
            }
        }
    }

    /// Sees to it that there is a seat for one more.
    async fn make_room(&self, table: &mut Table) -> store::Result<Room> {
        let Seating { limit, key: ours, .. } = self.ask;
        let others = |table: &Table| table.0.iter().filter(|seat| seat.key != *ours).count();
        if others(table) < limit.sessions {
            return Ok(Room::Made { ended: false });
        }
        let mut looks = Vec::new();
        let mut kept = Vec::new();
        for seat in &table.0 {
            if seat.key == *ours {
                kept.push(*seat);
                continue;
            }
            if let Look::Alive { last_seen } = self.look(seat).await? {
                kept.push(*seat);
                looks.push((*seat, last_seen));
            }
        }
        table.0 = kept;
        match limit.on_limit {
            OnLimit::RejectNew => {
                let full = others(table) >= limit.sessions;
                return Ok(if full { Room::None } else { Room::Made { ended: false } });
            }
            OnLimit::EndOldest => looks.sort_by_key(|(seat, _)| (seat.taken_at, seat.key)),
            OnLimit::EndLeastRecent => looks.sort_by_key(|(seat, seen)| (*seen, seat.key)),
        }
        let surplus = looks.len().saturating_sub(limit.sessions.saturating_sub(1));
        let mut ended = false;
        for (seat, _) in looks.iter().take(surplus) {
            ended |= self.displace(seat).await?;
            table.0.retain(|kept| kept.key != seat.key);
        }
        Ok(Room::Made { ended })
    }

    /// Puts the one who asks on a seat.
    fn sit(&self, table: &mut Table) {
        let Seating { key, expected, .. } = self.ask;
        let expected = expected.map_or(0, Revision::as_u64);
        let taken_at = self.world.now;
        match table.0.iter_mut().find(|seat| seat.key == *key) {
            // Invariant: never a lower revision. Another request on this session may have
            // taken the seat for a later one, and it is the only one that can succeed.
            Some(seat) if seat.expected >= expected => {}
            Some(seat) => *seat = Seat { key: *key, expected, taken_at },
            None => table.0.push(Seat { key: *key, expected, taken_at }),
        }
    }

    /// Looks at a seat's session, and makes sure of it if it is over.
    async fn look(&self, seat: &Seat) -> store::Result<Look> {
        let Self { store, ask, world } = self;
        // A clock that was ahead must not keep a seat until its time comes.
        let apart = world.now.since(seat.taken_at).max(seat.taken_at.since(world.now));
        let waiting = apart < PATIENCE;
        loop {
            let Some(record) = self.load(&seat.key).await? else {
                if seat.expected != 0 {
                    return Ok(Look::Dead);
                }
                if waiting {
                    return Ok(Look::Alive { last_seen: seat.taken_at });
                }
                if self.bar(seat, EndReason::Revoked).await? {
                    return Ok(Look::Dead);
                }
                continue;
            };
            if record.revision == Revision::ENDED {
                return Ok(Look::Dead);
            }
            if record.subject == Some(ask.subject) {
                let live = match Envelope::decode(&record.body) {
                    Some(Envelope::Live(live)) => Some(live),
                    Some(Envelope::Tombstone(_)) | None => None,
                };
                let deadline = live.as_ref().map_or(Timestamp::MAX, |live| live.absolute_deadline);
                if world.now < record.expires_at.min(deadline) {
                    // What a later program wrote is alive for that program.
                    let last_seen =
                        live.map_or(Timestamp::default(), |live| live.last_seen(record.expires_at));
                    return Ok(Look::Alive { last_seen });
                }
            } else if record.revision.as_u64() != seat.expected {
                return Ok(Look::Dead);
            } else if waiting {
                return Ok(Look::Alive { last_seen: seat.taken_at });
            }
            // Over, or never written: and so that it stays so, whatever is under way.
            let expected = record.revision;
            let Some(revision) = expected.next(world.step) else { return Ok(Look::Dead) };
            let moved = Record { revision, ..record };
            match store.replace(&seat.key, expected, &moved).await? {
                Replaced::Done => return Ok(Look::Dead),
                Replaced::Conflict(_) => {}
            }
        }
    }

    /// Ends a seat's session, or refuses the login that is under way. Tells whether a session, or
    /// one about to begin, was ended for good.
    async fn displace(&self, seat: &Seat) -> store::Result<bool> {
        let Self { store, ask, world } = self;
        loop {
            let Some(record) = self.load(&seat.key).await? else {
                if seat.expected != 0 {
                    return Ok(false);
                }
                if self.bar(seat, EndReason::Displaced).await? {
                    return Ok(true);
                }
                continue;
            };
            let expected = record.revision;
            if expected == Revision::ENDED {
                return Ok(false);
            }
            let is_theirs = record.subject == Some(ask.subject);
            let after = if is_theirs {
                tombstone(EndReason::Displaced, world.now, world.remember_ended)
            } else if expected.as_u64() == seat.expected
                && let Some(revision) = expected.next(world.step)
            {
                // The session stays whose it is; the login under way is refused.
                Record { revision, ..record }
            } else {
                return Ok(false);
            };
            if store.replace(&seat.key, expected, &after).await? == Replaced::Done {
                if is_theirs {
                    let reason = EndReason::Displaced;
                    world.observer.event(&Event::Ended { key: seat.key, reason });
                }
                return Ok(is_theirs);
            }
        }
    }

    /// Puts a tombstone where nothing is, so that no insertion can follow.
    async fn bar(&self, seat: &Seat, reason: EndReason) -> store::Result<bool> {
        let tombstone = tombstone(reason, self.world.now, self.world.remember_ended);
        Ok(self.store.insert(&seat.key, &tombstone).await? == Inserted::Created)
    }

    /// The record under a key; one that makes no sense is a tombstone from here on.
    async fn load(&self, key: &SessionKey) -> store::Result<Option<Record>> {
        match self.store.load(key).await {
            // No request can read it, and nothing that is known of it can be compared.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let World { now, remember_ended, .. } = self.world;
                let tombstone = tombstone(EndReason::Revoked, now, remember_ended);
                self.store.end(key, &tombstone).await?;
                Ok(Some(tombstone))
            }
            record => record,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the table of a user's sessions was ended by hand; it is forgotten once it is removed")]
struct TableEnded;

const TABLES: &[u8; 16] = b"\0seats of a user";

const SEATS: ContextKey = [
    0x05, 0xb3, 0x4d, 0xd5, 0x20, 0x35, 0xa0, 0xa3, 0xef, 0xb9, 0xb4, 0x89, 0xce, 0xe2, 0x1c, 0x64,
    0x5c, 0x1f, 0x14, 0x4e, 0x52, 0x68, 0x78, 0x52, 0x16, 0x65, 0xb1, 0xfb, 0xac, 0x97, 0x50, 0x36,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn the_context_is_what_its_constant_says() {
        let context = "typed-session 2026-11-22 seats of a subject";
        assert_eq!(blake3::hazmat::hash_derive_key_context(context), SEATS);
    }

    fn table() -> Table {
        let at = |millis: i64| Timestamp::from_millis(1_800_000_000_000 + millis);
        let key = |byte| SessionKey::from_bytes([byte; 32]);
        Table(vec![
            Seat { key: key(0xa1), expected: 0, taken_at: at(0) },
            Seat { key: key(0xb2), expected: 300, taken_at: at(-1) },
        ])
    }

    #[test]
    fn a_stored_table_is_read_as_it_was_written() {
        let bytes = golden::bytes(include_str!("golden/seats.hex"));
        assert_eq!(Table::decode(&bytes), Some(table()));
        assert_eq!(table().encode()[..], bytes);
        let hex = include_str!("golden/seats_key.txt").lines().nth(1).unwrap();
        assert_eq!(table_key(&Subject::from("alice")).to_string(), hex);
    }

    #[test]
    fn a_table_that_is_no_table_is_none() {
        let bytes = table().encode();
        for len in 0..bytes.len() {
            assert_eq!(Table::decode(&bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(Table::decode(&[&bytes[..], &[0]].concat()), None);
        let endless = [1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Table::decode(&endless), None);
        assert_eq!(Envelope::decode(&bytes), None, "no session");
    }

    #[test]
    fn a_table_is_told_by_its_row_and_no_session_is_taken_for_one() {
        let alice = Subject::from("alice");
        assert!(is_table(Some(table_subject(&table_key(&alice)))));
        assert!(!is_table(Some(alice)) && !is_table(None));
    }
}
