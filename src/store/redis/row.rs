//! How a record and an entry of the index are written. `lua/common.lua` has the layout.

use std::time::Duration;

use crate::id::SessionKey;
use crate::record::{Body, Record};
use crate::store::{Error, ErrorKind, Result, Revision, Row};
use crate::subject::Subject;
use crate::time::Timestamp;

/// How long an entry of the index counts beyond the deadline it was made for. A
/// session that is touched is entered again no more than about once in this time.
const SLACK: Duration = Duration::from_secs(60 * 60);

/// How long an entry must count beyond the deadline of its record, whatever
/// happens: by this much may the clocks of two servers differ before one
/// drops an entry that the other still needs.
const MARGIN: Duration = Duration::from_secs(10 * 60);

pub(super) type Ticket = [u8; 16];

/// A record in the pieces that the scripts put together.
pub(super) struct Pieces<'a> {
    pub(super) first: [u8; 17],
    pub(super) subject: &'a [u8],
    pub(super) ticket: Option<Ticket>,
    pub(super) body: &'a [u8],
}

impl<'a> Pieces<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
        let mut first = [1; 17];
        if record.subject.is_some() {
            first[0] = 2;
        }
        first[1..9].copy_from_slice(&revision(record.revision));
        first[9..].copy_from_slice(&time(record.expires_at));
        Self {
            first,
            subject: record.subject.as_ref().map_or(&[], |subject| subject.as_bytes()),
            ticket: record.subject.map(|_| ticket(record.expires_at, record.revision)),
            body: &record.body,
        }
    }

    pub(super) fn ticket(&self) -> &[u8] {
        self.ticket.as_ref().map_or(&[], |ticket| ticket)
    }

    pub(super) fn whole(&self) -> Vec<u8> {
        [&self.first, self.subject, self.ticket(), self.body].concat()
    }
}

pub(super) fn record(bytes: &[u8]) -> Result<Record> {
    let (row, body) = row(bytes).ok_or_else(|| senseless("a record"))?;
    let Head { revision, subject, expires_at } = row;
    Ok(Record { revision, subject, expires_at, body: Body(body.to_vec()) })
}

/// The row of which `bytes` are the beginning.
pub(super) fn row_of(key: SessionKey, bytes: &[u8]) -> Result<Row> {
    let (head, _) = row(bytes).ok_or_else(|| senseless("a record"))?;
    Ok(Row::new(key, head.revision, head.subject, head.expires_at))
}

struct Head {
    revision: Revision,
    subject: Option<Subject>,
    expires_at: Timestamp,
}

fn row(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (revision, rest) = rest.split_first_chunk()?;
    let (expires_at, rest) = rest.split_first_chunk()?;
    let (subject, body) = match tag {
        1 => (None, rest),
        2 => {
            let (subject, rest) = rest.split_first_chunk()?;
            let (_, body) = rest.split_first_chunk::<16>()?;
            (Some(Subject::from_hash(*subject)), body)
        }
        _ => return None,
    };
    let number = u64::from_be_bytes(*revision);
    let revision = Revision::from_u64(number);
    let head = Head { revision, subject, expires_at: time_of(*expires_at) };
    (revision.as_u64() == number).then_some((head, body))
}

/// The key that an entry of the index names, if it is one.
pub(super) fn key_of(member: &[u8]) -> Option<SessionKey> {
    match member.split_first_chunk() {
        Some((key, ticket)) if ticket.len() == size_of::<Ticket>() => {
            Some(SessionKey::from_bytes(*key))
        }
        _ => None,
    }
}

pub(super) fn member(key: &SessionKey, ticket: &[u8]) -> Vec<u8> {
    [key.as_bytes(), ticket].concat()
}

/// What an entry of the index counts by. With the revision it is made for, no two
/// are equal, so that taking out one of an older revision takes out no other.
pub(super) fn ticket(expires_at: Timestamp, at: Revision) -> Ticket {
    let mut ticket = [0; 16];
    ticket[..8].copy_from_slice(&time(end_of_ticket(expires_at)));
    ticket[8..].copy_from_slice(&revision(at));
    ticket
}

pub(super) fn end_of_ticket(expires_at: Timestamp) -> Timestamp {
    expires_at.plus(SLACK)
}

/// Until when an entry that is there must count to do for this deadline.
pub(super) fn needed(expires_at: Timestamp) -> [u8; 8] {
    time(expires_at.plus(MARGIN))
}

pub(super) fn revision(revision: Revision) -> [u8; 8] {
    revision.as_u64().to_be_bytes()
}

pub(super) fn time(time: Timestamp) -> [u8; 8] {
    (time.as_millis() ^ i64::MIN).to_be_bytes()
}

fn time_of(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_millis(i64::from_be_bytes(bytes) ^ i64::MIN)
}

/// A deadline as the engine takes it: its keys live no shorter than to 1970.
pub(super) fn engine_time(time: Timestamp) -> i64 {
    time.as_millis().max(1)
}

pub(super) fn senseless(what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, Senseless(what))
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is there that no session has")]
struct Senseless(&'static str);

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(subject: Option<Subject>) -> Record {
        Record {
            revision: Revision::from_u64(0x0102_0304_0506_0708),
            subject,
            expires_at: Timestamp::from_millis(1_700_000_000_000),
            body: Body(b"body".to_vec()),
        }
    }

    /// Rows of today are read for ever: this never changes.
    #[test]
    fn a_row_is_written_as_it_always_was() {
        let bytes = Pieces::new(&sample(None)).whole();
        assert_eq!(bytes, b"\x01\x01\x02\x03\x04\x05\x06\x07\x08\x80\0\x01\x8b\xcf\xe5\x68\0body");
        let bytes = Pieces::new(&sample(Some(Subject::from_hash([9; 32])))).whole();
        let mut wanted =
            b"\x02\x01\x02\x03\x04\x05\x06\x07\x08\x80\0\x01\x8b\xcf\xe5\x68\0".to_vec();
        wanted.extend([9; 32]);
        wanted.extend(b"\x80\0\x01\x8b\xd0\x1c\x56\x80\x01\x02\x03\x04\x05\x06\x07\x08body");
        assert_eq!(bytes, wanted);
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        for subject in [None, Some(Subject::from_hash([0xff; 32]))] {
            for expires_at in [i64::MIN, -1, 0, 1, i64::MAX] {
                let expires_at = Timestamp::from_millis(expires_at);
                let record_ = Record { expires_at, ..sample(subject) };
                let bytes = Pieces::new(&record_).whole();
                assert_eq!(record(&bytes).unwrap(), record_);
                for length in 0..bytes.len() - record_.body.len() {
                    let cut = record(&bytes[..length]).unwrap_err();
                    assert_eq!(cut.kind(), ErrorKind::Corrupt);
                }
            }
        }
    }

    #[test]
    fn what_is_no_row_is_corrupt() {
        let whole = Pieces::new(&sample(None)).whole();
        for tag in [0, 3, 0xff] {
            let bytes = [&[tag], &whole[1..]].concat();
            assert_eq!(record(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        let mut negative = whole;
        negative[1] = 0x80;
        assert_eq!(record(&negative).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn times_compare_by_their_bytes() {
        let times = [i64::MIN, -1, 0, 1, i64::from(u32::MAX), 1 << 53, (1 << 53) + 1, i64::MAX];
        assert!(
            times.map(|millis| time(Timestamp::from_millis(millis))).is_sorted_by(|a, b| a < b)
        );
    }
}
