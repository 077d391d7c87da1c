//! Walking through all records, of a cluster one primary after the other.

use redis::Value;
use redis::aio::ConnectionLike;

use super::error::failed;
use super::verbs::unasked;
use super::{Layout, RedisStore, row};
use crate::store::{Cursor, Error, ErrorKind, Page, Result, Scan};

impl<C> Scan for RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    /// In a cluster whose slots move from server to server meanwhile, records that
    /// move may be missed.
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        let place = match from {
            Some(cursor) => Place::of(cursor.as_bytes()).ok_or_else(foreign)?,
            None => Place { slot: self.next_primary(None).await?.unwrap_or(0), ..Place::default() },
        };
        let (page, place) = self.page(place, limit).await?;
        let next = if place.cursor != "0" {
            Some(place)
        } else {
            let slot = self.next_primary(Some(place.slot)).await?;
            slot.map(|slot| Place { slot, ..Place::default() })
        };
        Ok(Page { next: next.map(|place| Cursor::from_bytes(place.bytes())), ..page })
    }
}

/// Where a walk has come to.
#[derive(Default)]
struct Place {
    /// The lowest slot of the primary that is walked through.
    slot: u16,
    /// The server that the cursor is of.
    server: String,
    /// The server's own cursor.
    cursor: String,
}

impl Place {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (slot, rest) = bytes.split_first_chunk()?;
        let (server, cursor) = std::str::from_utf8(rest).ok()?.split_once(' ')?;
        let slot = u16::from_be_bytes(*slot);
        // No key belongs to a slot beyond the last.
        (slot < SLOTS).then(|| Self { slot, server: server.to_owned(), cursor: cursor.to_owned() })
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.slot.to_be_bytes(), self.server.as_bytes(), b" ", self.cursor.as_bytes()].concat()
    }
}

fn foreign() -> Error {
    Error::new(ErrorKind::Other, "not a cursor of this store")
}

impl<C> RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    /// The rows at a place, and the place behind them on the same server.
    async fn page(&self, place: Place, limit: usize) -> Result<(Page, Place)> {
        let names = format!("{}{}", escaped(&self.prefix), "?".repeat(64));
        let args = [place.server.as_bytes(), place.cursor.as_bytes(), names.as_bytes()];
        // The engine's own default is 10.
        let count = limit.clamp(10, 10_000).to_string();
        let args = [&args[..], &[count.as_bytes()]].concat();
        let there = key_in(place.slot);
        let keys: &[&[u8]] = if self.layout == Layout::Apart { &[there.as_bytes()] } else { &[] };
        let script = &self.scripts.scan;
        let Value::Array(parts) =
            script.run(&mut self.connection.clone(), None, keys, &args).await?
        else {
            return Err(unasked());
        };
        let [Value::BulkString(server), Value::BulkString(cursor), found @ ..] = &parts[..] else {
            return Err(unasked());
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| unasked());
        let next = Place { slot: place.slot, server: text(server)?, cursor: text(cursor)? };
        let mut rows = Vec::with_capacity(found.len() / 2);
        for pair in found.chunks(2) {
            let [Value::BulkString(name), Value::BulkString(head)] = pair else {
                return Err(unasked());
            };
            // Somebody else's key, or a record that is gone since it was named.
            if let Some(key) = super::key_of(name, &self.prefix).filter(|_| !head.is_empty()) {
                rows.push((key, row::row_of(key, head)));
            }
        }
        Ok((Page::of(rows)?, next))
    }

    /// The lowest slot of the primary that comes after the one with this lowest slot.
    async fn next_primary(&self, after: Option<u16>) -> Result<Option<u16>> {
        if self.layout == Layout::Together {
            return Ok(None);
        }
        let command = redis::cmd("CLUSTER").arg("SLOTS").take();
        let answer = command.query_async(&mut self.connection.clone()).await;
        let ranges = match answer {
            Ok(Value::Array(ranges)) => ranges,
            // One server that is no cluster.
            Err(error) if error.kind() == NO_CLUSTER => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(_) => return Err(unasked()),
        };
        // A primary may have several ranges.
        let mut primaries: Vec<(&Value, i64)> = Vec::new();
        for range in &ranges {
            let Value::Array(range) = range else { return Err(unasked()) };
            let [Value::Int(first), _, Value::Array(primary), ..] = &range[..] else {
                return Err(unasked());
            };
            let Some(id) = primary.get(2) else { return Err(unasked()) };
            match primaries.iter_mut().find(|(known, _)| *known == id) {
                Some((_, lowest)) => *lowest = (*lowest).min(*first),
                None => primaries.push((id, *first)),
            }
        }
        let lowest = primaries.iter().filter_map(|(_, lowest)| u16::try_from(*lowest).ok());
        Ok(lowest.filter(|slot| after.is_none_or(|after| *slot > after)).min())
    }
}

const NO_CLUSTER: redis::ErrorKind =
    redis::ErrorKind::Server(redis::ServerErrorKind::ResponseError);

/// The prefix as a pattern that means nothing but itself.
fn escaped(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for char in prefix.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern
}

/// A key that belongs to a slot: the first number in braces that does.
fn key_in(slot: u16) -> String {
    let number = (0u32..).find(|number| crc16(number.to_string().as_bytes()) % SLOTS == slot);
    format!("{{{}}}", number.unwrap_or_default())
}

const SLOTS: u16 = 16384;

/// CRC-16/XMODEM, by which a cluster divides its keys.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster() {
        // The specification's own example.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for slot in [0, 1, 5461, 12182, 16383] {
            let key = key_in(slot);
            let tag = key.trim_matches(['{', '}']);
            assert_eq!(crc16(tag.as_bytes()) % SLOTS, slot);
        }
        assert_eq!(crc16(b"foo") % SLOTS, 12182);
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = Place { slot: 5461, server: "ab12".to_owned(), cursor: "98".to_owned() };
        let read = Place::of(&place.bytes()).unwrap();
        assert_eq!((read.slot, read.server, read.cursor), (5461, "ab12".into(), "98".into()));
        for foreign in [&b""[..], b"1", b"\0\0abc", b"\0\0\xff \xff", b"\xff\xffab12 0"] {
            assert!(Place::of(foreign).is_none());
        }
    }

    #[test]
    fn a_prefix_means_nothing_but_itself() {
        assert_eq!(escaped("a*b?c[d]e\\f^g:"), r"a\*b\?c\[d\]e\\f\^g:");
    }
}
