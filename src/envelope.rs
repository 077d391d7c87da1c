//! What is in a record's body.
//!
//! ```text
//! byte  format version: 1
//! byte  kind: 0 tombstone, 1 live, 2 the seats of a subject (see `seats`)
//!
//! tombstone:
//!   byte   reason
//!   zigzag time of the end
//!
//! live:
//!   byte   flags: 1 persistent cookie, 2 authenticated, 4 rotation under way, 8 previous id, 16 dead ids,
//!          32 client, 64 sealed data
//!   32     verifier of the current id
//!   zigzag created
//!   varint current id since        | milliseconds after `created`
//!   varint absolute deadline       |
//!   varint authenticated           | with flag 2
//!   varint idle limit, milliseconds
//!   varint absolute limit, milliseconds
//!   16+32  nonce and verifier of the successor, with flag 4
//!   32     verifier of the previous id, varint end of its grace, with flag 8
//!   byte   number of dead ids, with flag 16; each 32 verifier, varint until when it is remembered
//!   varint length of the user agent, with flag 32; so many bytes of UTF-8;
//!          byte 0, or 4 or 6 and the address in 4 or 16 bytes
//!   byte   encoding of the data
//!   varint schema version of the data
//!   ...    data, to the end; with flag 64: nonce (24), ciphertext, tag (16)
//! ```
//!
//! Varints are little-endian groups of seven bits (LEB128), of one spelling each.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::client::ClientInfo;
use crate::codec::Encoding;
use crate::id::Verifier;
use crate::lifetime::{CookieLifetime, Lifetime};
use crate::record::{Body, Record, Revision};
use crate::time::{Millis, Timestamp};
use crate::verdict::EndReason;

/// The format that this program writes.
pub(crate) const FORMAT: u8 = 1;

const TOMBSTONE: u8 = 0;
const LIVE: u8 = 1;

const PERSISTENT: u8 = 1;
const AUTHENTICATED: u8 = 2;
const ROTATING: u8 = 4;
const PREVIOUS: u8 = 8;
const DEAD: u8 = 16;
const CLIENT: u8 = 32;
const SEALED: u8 = 64;

/// How many dead ids are remembered at most; of more, the newest.
const MAX_DEAD: usize = 8;

/// A body, read; `data` of a live one is the rest of the bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Envelope {
    Tombstone(Tombstone),
    Live(Live),
}

/// What is left of an ended session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Tombstone {
    pub(crate) reason: EndReason,
    pub(crate) ended_at: Timestamp,
}

/// Everything the library knows of a live session but its data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Live {
    pub(crate) ids: Ids,
    pub(crate) created_at: Timestamp,
    pub(crate) authenticated_at: Option<Timestamp>,
    pub(crate) absolute_deadline: Timestamp,
    pub(crate) idle: Millis,
    /// From what the deadline was reckoned, and the next login's will be.
    pub(crate) absolute: Millis,
    pub(crate) cookie: CookieLifetime,
    /// Who logged in or, before that, created it.
    pub(crate) client: Option<Arc<ClientInfo>>,
    /// As its code, so that a body in an unknown encoding is known to be one.
    pub(crate) encoding: u8,
    pub(crate) version: u32,
    /// The data is encrypted.
    pub(crate) sealed: bool,
    /// Where the data starts in the body.
    pub(crate) data_at: usize,
}

/// The ids by which the session goes, went and will go.
///
/// Those of timed rotation are in boxes: it is mostly off, and all this is copied for every write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ids {
    pub(crate) current: Verifier,
    pub(crate) since: Timestamp,
    /// A timed rotation under way.
    pub(crate) successor: Option<Box<Successor>>,
    /// The id before the last timed rotation, and the end of its grace. It stays
    /// here after its grace, until the next rotation.
    pub(crate) previous: Option<Box<(Verifier, Timestamp)>>,
    /// Ids that died at once, each with the time until when it is remembered.
    pub(crate) dead: Vec<(Verifier, Timestamp)>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Successor {
    pub(crate) nonce: [u8; 16],
    pub(crate) verifier: Verifier,
}

impl Ids {
    pub(crate) fn new(current: Verifier, since: Timestamp) -> Self {
        Self { current, since, successor: None, previous: None, dead: Vec::new() }
    }

    /// Makes `current` the one id that lives, and all others dead.
    pub(crate) fn supersede(&mut self, current: Verifier, now: Timestamp, remember: Timestamp) {
        let old = std::mem::replace(self, Self::new(current, now));
        let successor = old.successor.map(|successor| successor.verifier);
        let previous = old.previous.map(|previous| previous.0);
        // The newest first: they are the ones that a request in flight may carry.
        self.dead = [successor, Some(old.current), previous]
            .into_iter()
            .flatten()
            .map(|verifier| (verifier, remember))
            .chain(old.dead.into_iter().filter(|(_, until)| now < *until))
            .take(MAX_DEAD)
            .collect();
    }

    /// Makes the successor current and starts the grace of the id before.
    pub(crate) fn promote(&mut self, now: Timestamp, grace: Timestamp, remember: Timestamp) {
        if let Some(successor) = self.successor.take() {
            let old = std::mem::replace(&mut self.current, successor.verifier);
            self.since = now;
            let oldest = self.previous.replace(Box::new((old, grace)));
            self.dead.retain(|(_, until)| now < *until);
            if let Some((verifier, _)) = oldest.map(|oldest| *oldest) {
                self.dead.insert(0, (verifier, remember));
                self.dead.truncate(MAX_DEAD);
            }
        }
    }
}

impl Live {
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        Encoding::from_code(self.encoding)
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        let lifetime = Lifetime::new(self.idle.duration(), self.absolute.duration());
        match self.cookie {
            CookieLifetime::BrowserSession => lifetime,
            CookieLifetime::Persistent => lifetime.persistent(),
        }
    }

    pub(crate) fn set_lifetime(&mut self, lifetime: &Lifetime) {
        self.idle = lifetime.idle().into();
        self.absolute = lifetime.absolute().into();
        self.cookie = lifetime.cookie();
    }

    /// What the absolute limit is counted from.
    pub(crate) fn anchor(&self) -> Timestamp {
        self.authenticated_at.unwrap_or(self.created_at)
    }

    /// When the session was last used, as far as its deadline tells.
    pub(crate) fn last_seen(&self, expires_at: Timestamp) -> Timestamp {
        let noted = expires_at.before(self.idle);
        [Some(self.created_at), self.authenticated_at, Some(self.ids.since)]
            .into_iter()
            .flatten()
            .fold(noted, Timestamp::max)
    }

    /// When the session expires if it is used now and not again.
    pub(crate) fn expires_at(&self, now: Timestamp) -> Timestamp {
        now.after(self.idle).min(self.absolute_deadline)
    }

    /// Makes a body of the data, and takes note of where that starts.
    pub(crate) fn encode(&mut self, data: Vec<u8>) -> Vec<u8> {
        let data_len = data.len();
        let mut body = self.append_to(data);
        self.data_at = body.len() - data_len;
        // In the data's own memory, because an allocation costs more than to move it.
        body.rotate_right(self.data_at);
        body
    }

    fn append_to(&self, data: Vec<u8>) -> Vec<u8> {
        let mut out = Writer(data);
        // Enough for all but a timed rotation.
        out.0.reserve(80 + 38 * self.ids.dead.len());
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.byte(FORMAT);
        out.byte(LIVE);
        out.byte(
            flag(self.cookie == CookieLifetime::Persistent, PERSISTENT)
                | flag(self.authenticated_at.is_some(), AUTHENTICATED)
                | flag(self.ids.successor.is_some(), ROTATING)
                | flag(self.ids.previous.is_some(), PREVIOUS)
                | flag(!self.ids.dead.is_empty(), DEAD)
                | flag(self.client.is_some(), CLIENT)
                | flag(self.sealed, SEALED),
        );
        let after = |time: Timestamp| after(self.created_at, time);
        out.bytes(self.ids.current.as_bytes());
        out.varint(zigzag(self.created_at.as_millis()));
        out.varint(after(self.ids.since));
        out.varint(after(self.absolute_deadline));
        if let Some(authenticated_at) = self.authenticated_at {
            out.varint(after(authenticated_at));
        }
        out.varint(self.idle.as_u64());
        out.varint(self.absolute.as_u64());
        if let Some(successor) = &self.ids.successor {
            out.bytes(&successor.nonce);
            out.bytes(successor.verifier.as_bytes());
        }
        if let Some((verifier, grace)) = self.ids.previous.as_deref() {
            out.bytes(verifier.as_bytes());
            out.varint(after(*grace));
        }
        if !self.ids.dead.is_empty() {
            let dead = &self.ids.dead[..self.ids.dead.len().min(MAX_DEAD)];
            out.byte(dead.len() as u8);
            for (verifier, until) in dead {
                out.bytes(verifier.as_bytes());
                out.varint(after(*until));
            }
        }
        if let Some(client) = &self.client {
            out.client(client);
        }
        out.byte(self.encoding);
        out.varint(u64::from(self.version));
        out.0
    }
}

impl Tombstone {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(16));
        out.byte(FORMAT);
        out.byte(TOMBSTONE);
        out.byte(self.reason.code());
        out.varint(zigzag(self.ended_at.as_millis()));
        out.0
    }
}

/// Returns what is left of a session that ends now.
pub(crate) fn tombstone(reason: EndReason, now: Timestamp, remember: Duration) -> Record {
    Record {
        revision: Revision::ENDED,
        subject: None,
        expires_at: now.plus(remember),
        body: Body(Tombstone { reason, ended_at: now }.encode()),
    }
}

impl Envelope {
    /// Reads a body, or nothing if it is not one that this program knows.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut input = Reader { bytes: body, at: 0 };
        if input.byte()? != FORMAT {
            return None;
        }
        match input.byte()? {
            TOMBSTONE => {
                let reason = EndReason::from_code(input.byte()?)?;
                let ended_at = Timestamp::from_millis(unzigzag(input.varint()?));
                (input.at == body.len()).then_some(Self::Tombstone(Tombstone { reason, ended_at }))
            }
            LIVE => input.live().map(Self::Live),
            _ => None,
        }
    }
}

/// Writes bodies.
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn client(&mut self, client: &ClientInfo) {
        let user_agent = client.user_agent().as_bytes();
        self.varint(user_agent.len() as u64);
        self.bytes(user_agent);
        match client.address() {
            None => self.byte(0),
            Some(IpAddr::V4(address)) => {
                self.byte(4);
                self.bytes(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                self.byte(6);
                self.bytes(&address.octets());
            }
        }
    }

    pub(crate) fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }
}

/// Reads bodies.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl Reader<'_> {
    fn live(&mut self) -> Option<Live> {
        let flags = self.byte()?;
        const KNOWN: u8 = PERSISTENT | AUTHENTICATED | ROTATING | PREVIOUS | DEAD | CLIENT | SEALED;
        if flags & !KNOWN != 0 {
            return None;
        }
        let current = self.verifier()?;
        let created_at = Timestamp::from_millis(unzigzag(self.varint()?));
        let since = self.time(created_at)?;
        let absolute_deadline = self.time(created_at)?;
        let authenticated_at =
            if flags & AUTHENTICATED != 0 { Some(self.time(created_at)?) } else { None };
        let (idle, absolute) = (self.millis()?, self.millis()?);
        let successor = if flags & ROTATING != 0 {
            Some(Box::new(Successor { nonce: self.array()?, verifier: self.verifier()? }))
        } else {
            None
        };
        let previous = if flags & PREVIOUS != 0 {
            Some(Box::new((self.verifier()?, self.time(created_at)?)))
        } else {
            None
        };
        let mut dead = Vec::new();
        if flags & DEAD != 0 {
            let count = self.byte()?;
            if count == 0 || usize::from(count) > MAX_DEAD {
                return None;
            }
            for _ in 0..count {
                dead.push((self.verifier()?, self.time(created_at)?));
            }
        }
        let client = if flags & CLIENT != 0 { Some(Arc::new(self.client()?)) } else { None };
        let encoding = self.byte()?;
        let version = u32::try_from(self.varint()?).ok()?;
        let cookie = if flags & PERSISTENT != 0 {
            CookieLifetime::Persistent
        } else {
            CookieLifetime::BrowserSession
        };
        let ids = Ids { current, since, successor, previous, dead };
        let data_at = self.at;
        Some(Live {
            ids,
            created_at,
            authenticated_at,
            absolute_deadline,
            idle,
            absolute,
            cookie,
            client,
            encoding,
            version,
            sealed: flags & SEALED != 0,
            data_at,
        })
    }

    fn client(&mut self) -> Option<ClientInfo> {
        let len = usize::try_from(self.varint()?).ok()?;
        let user_agent = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        let address = match self.byte()? {
            0 => None,
            4 => Some(IpAddr::from(self.array::<4>()?)),
            6 => Some(IpAddr::from(self.array::<16>()?)),
            _ => return None,
        };
        ClientInfo::stored(user_agent, address)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(array)
    }

    fn verifier(&mut self) -> Option<Verifier> {
        self.array().map(Verifier::from_bytes)
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The last group of ten has one bit, and no group but the first is zero at the end.
            if (shift == 63 && bits > 1) || (shift > 0 && byte == 0) {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn millis(&mut self) -> Option<Millis> {
        Millis::from_u64(self.varint()?)
    }

    fn time(&mut self, base: Timestamp) -> Option<Timestamp> {
        let time = i128::from(base.as_millis()) + i128::from(self.varint()?);
        i64::try_from(time).ok().map(Timestamp::from_millis)
    }
}

/// Milliseconds from `base` to `time`; none if it is not later.
fn after(base: Timestamp, time: Timestamp) -> u64 {
    let after = i128::from(time.as_millis()) - i128::from(base.as_millis());
    u64::try_from(after).unwrap_or(0)
}

pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

pub(crate) const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests;
