//! The seven verbs.
//!
//! On one server a script writes record and index in one step. In a cluster they
//! are in different slots, and the index never misses because
//!
//! - an entry is there before the record that it is for,
//! - it is taken out only after a record at another revision, or the same with
//!   another entry, has taken that one's place,
//! - it is otherwise dropped only when it counts no more, by the clock of the
//!   index's server, which is at least `row::MARGIN` after the deadline of any record
//!   that says it relies on this entry. The record is then gone by the clock
//!   of its own server, also if it is written as late as that.
//!
//! So a crash, a dropped future or an error between two steps leaves an entry
//! too many, never one too few.

use redis::aio::ConnectionLike;
use redis::{Cmd, Value};

use super::error::failed;
use super::row::{self, Pieces};
use super::script::{Script, UNASKED, write};
use super::{Layout, RedisStore};
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Inserted, Replaced, Result, Revision, Store};
use crate::subject::Subject;
use crate::time::Timestamp;

/// What a writing script asks for or leaves to be done.
enum Answer {
    /// Nothing.
    Done,
    /// The index must be written first; the record's subject, if the script knows it.
    Enter(Option<Subject>),
    /// The index elsewhere has an entry that is not needed any more.
    Stale(Subject, Vec<u8>),
    /// What is there instead.
    Refused(Option<Record>),
}

impl Answer {
    fn of(value: Value) -> Result<Self> {
        let answer = match value {
            Value::Nil => Some(Self::Refused(None)),
            Value::BulkString(there) => Some(Self::Refused(Some(row::record(&there)?))),
            Value::Array(parts) => match &parts[..] {
                [] => Some(Self::Done),
                [Value::BulkString(word)] if word == b"enter" => Some(Self::Enter(None)),
                [Value::BulkString(word), Value::BulkString(subject)] if word == b"enter" => {
                    Some(Self::Enter(Some(subject_of(subject)?)))
                }
                [Value::BulkString(subject), Value::BulkString(ticket)] => {
                    Some(Self::Stale(subject_of(subject)?, ticket.clone()))
                }
                _ => None,
            },
            _ => None,
        };
        answer.ok_or_else(unasked)
    }
}

fn subject_of(bytes: &[u8]) -> Result<Subject> {
    bytes.try_into().map(Subject::from_hash).map_err(|_| row::senseless("a record"))
}

pub(super) fn unasked() -> crate::store::Error {
    failed(UNASKED.into())
}

impl<C> RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    async fn run(&self, script: &Script, keys: &[&[u8]], args: &[&[u8]]) -> Result<Value> {
        script.run(&mut self.connection.clone(), self.replicas, keys, args).await
    }

    /// Enters a session into the index of its subject, for a record of this deadline.
    async fn enter(
        &self,
        subject: &Subject,
        key: &SessionKey,
        ticket: &[u8],
        expires_at: Timestamp,
    ) -> Result<()> {
        let member = row::member(key, ticket);
        let till = till(expires_at);
        let index = self.index(subject);
        self.run(&self.scripts.enter, &[index.as_bytes()], &[&member, till.as_bytes()]).await?;
        Ok(())
    }

    /// Takes out an entry that no record relies on any more.
    ///
    /// The verb is done by now, and an entry too many is no error.
    async fn leave(&self, subject: &Subject, key: &SessionKey, ticket: &[u8]) {
        let mut command = redis::cmd("ZREM");
        command.arg(self.index(subject)).arg(row::member(key, ticket));
        let _ = write(&mut self.connection.clone(), None, command).await;
    }

    fn is_apart(&self) -> bool {
        self.layout == Layout::Apart
    }

    /// What a script is told of the index: where it is, and what its name begins with.
    fn whereabouts(&self, is_entered: bool) -> [&[u8]; 2] {
        match (self.layout, is_entered) {
            (Layout::Together, _) => [b"here", self.indexes.as_bytes()],
            (Layout::Apart, false) => [b"elsewhere", b""],
            (Layout::Apart, true) => [b"entered", b""],
        }
    }

    async fn try_replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
        is_entered: bool,
    ) -> Result<Answer> {
        let pieces = Pieces::new(record);
        let name = self.record(key);
        let index = record.subject.filter(|_| !self.is_apart()).map(|s| self.index(&s));
        let keys = [name.as_bytes(), index.as_ref().map_or(&[], |index| index.as_bytes())];
        let keys = if index.is_some() { &keys[..] } else { &keys[..1] };
        let [place, prefix] = self.whereabouts(is_entered);
        let (at, till) = (deadline(record.expires_at), till(record.expires_at));
        let args: [&[u8]; 11] = [
            &row::revision(expected),
            &pieces.first,
            pieces.subject,
            pieces.ticket(),
            pieces.body,
            at.as_bytes(),
            key.as_bytes(),
            till.as_bytes(),
            &row::needed(record.expires_at),
            place,
            prefix,
        ];
        let is_tombstone = record.revision == Revision::ENDED;
        let script = if is_tombstone { &self.scripts.erase } else { &self.scripts.replace };
        Answer::of(self.run(script, keys, &args).await?)
    }

    async fn try_touch(
        &self,
        key: &SessionKey,
        at: Revision,
        expires_at: Timestamp,
        is_entered: bool,
    ) -> Result<Answer> {
        let [place, prefix] = self.whereabouts(is_entered);
        let (later, till) = (deadline(expires_at), till(expires_at));
        let args: [&[u8]; 9] = [
            &row::revision(at),
            &row::time(expires_at),
            later.as_bytes(),
            &row::ticket(expires_at, at),
            key.as_bytes(),
            till.as_bytes(),
            &row::needed(expires_at),
            place,
            prefix,
        ];
        Answer::of(self.run(&self.scripts.touch, &[self.record(key).as_bytes()], &args).await?)
    }
}

fn deadline(expires_at: Timestamp) -> String {
    row::engine_time(expires_at).to_string()
}

fn till(expires_at: Timestamp) -> String {
    deadline(row::end_of_ticket(expires_at))
}

impl<C> Store for RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        let name = self.record(key);
        let mut command = Cmd::with_capacity(2, "GET".len() + name.len());
        command.arg("GET").arg(name);
        match command.query_async(&mut self.connection.clone()).await.map_err(failed)? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => {
                let record = row::record(&bytes)?;
                if let Some(loaded) = &self.loaded {
                    loaded.note(key, &record);
                }
                Ok(Some(record))
            }
            _ => Err(unasked()),
        }
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        let pieces = Pieces::new(record);
        let (name, whole) = (self.record(key), pieces.whole());
        let deadline = deadline(record.expires_at);
        let (first, mut entered) = ([&whole[..], deadline.as_bytes()], None);
        if let Some(subject) = &record.subject {
            if self.is_apart() {
                self.enter(subject, key, pieces.ticket(), record.expires_at).await?;
            } else {
                let member = row::member(key, pieces.ticket());
                entered = Some((self.index(subject), member, till(record.expires_at)));
            }
        }
        let insert = &self.scripts.insert;
        let done = match &entered {
            None => self.run(insert, &[name.as_bytes()], &first).await?,
            Some((index, member, till)) => {
                let keys = [name.as_bytes(), index.as_bytes()];
                let [record, deadline] = first;
                self.run(insert, &keys, &[record, deadline, member, till.as_bytes()]).await?
            }
        };
        match done {
            Value::Int(1) => Ok(Inserted::Created),
            Value::Int(0) => Ok(Inserted::Exists),
            _ => Err(unasked()),
        }
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        if expected == Revision::ENDED {
            return Ok(Replaced::Conflict(self.load(key).await?));
        }
        // Whether the index must be written first is for the record's server to say, unless
        // this store has seen it.
        let is_new = match (&self.loaded, &record.subject) {
            (Some(loaded), Some(subject)) => loaded.was_of_another(key, expected, subject),
            _ => false,
        };
        let mut answer = match is_new {
            true => Answer::Enter(None),
            false => self.try_replace(key, expected, record, false).await?,
        };
        if let (Answer::Enter(_), Some(subject)) = (&answer, &record.subject) {
            let ticket = row::ticket(record.expires_at, record.revision);
            self.enter(subject, key, &ticket, record.expires_at).await?;
            answer = self.try_replace(key, expected, record, true).await?;
        }
        match answer {
            Answer::Done => Ok(Replaced::Done),
            Answer::Stale(subject, ticket) => {
                self.leave(&subject, key, &ticket).await;
                Ok(Replaced::Done)
            }
            Answer::Refused(there) => Ok(Replaced::Conflict(there)),
            Answer::Enter(_) => Err(unasked()),
        }
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        if at == Revision::ENDED {
            return Ok(());
        }
        let mut answer = self.try_touch(key, at, expires_at, false).await?;
        if let Answer::Enter(Some(subject)) = &answer {
            self.enter(subject, key, &row::ticket(expires_at, at), expires_at).await?;
            answer = self.try_touch(key, at, expires_at, true).await?;
        }
        match answer {
            Answer::Done => Ok(()),
            Answer::Stale(subject, ticket) => {
                self.leave(&subject, key, &ticket).await;
                Ok(())
            }
            Answer::Refused(_) | Answer::Enter(_) => Err(unasked()),
        }
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        let whole = Pieces::new(tombstone).whole();
        let [place, prefix] = self.whereabouts(false);
        let at = deadline(tombstone.expires_at);
        let args: [&[u8]; 5] = [&whole, at.as_bytes(), key.as_bytes(), place, prefix];
        let keys = [self.record(key)];
        match Answer::of(self.run(&self.scripts.end, &[keys[0].as_bytes()], &args).await?)? {
            Answer::Done => Ok(()),
            Answer::Stale(subject, ticket) => {
                self.leave(&subject, key, &ticket).await;
                Ok(())
            }
            Answer::Refused(_) | Answer::Enter(_) => Err(unasked()),
        }
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        let index = self.index(subject);
        let mut keys: Vec<SessionKey> = Vec::new();
        // What is greater than every entry of a key: it is longer.
        let beyond = |key: &SessionKey| [b"(", &key.as_bytes()[..], &[0xff; 17]].concat();
        let mut from = after.map_or_else(|| b"-".to_vec(), beyond);
        while keys.len() < limit {
            let wanted = limit - keys.len();
            let mut command = redis::cmd("ZRANGE");
            command.arg(&index).arg(&from).arg("+").arg("BYLEX");
            command.arg("LIMIT").arg(0).arg(i64::try_from(wanted).unwrap_or(i64::MAX));
            let page: Vec<Vec<u8>> =
                command.query_async(&mut self.connection.clone()).await.map_err(failed)?;
            // More than one entry may name a key.
            for member in &page {
                // What is no key names no session, and must not keep the others in.
                let Some(key) = row::key_of(member) else { continue };
                if keys.last() != Some(&key) {
                    keys.push(key);
                }
            }
            if page.len() < wanted {
                break;
            }
            if let Some(last) = page.last() {
                from = row::key_of(last)
                    .map_or_else(|| [b"(", &last[..]].concat(), |key| beyond(&key));
            }
        }
        Ok(keys)
    }

    /// Always 0: the engine removes what is past its deadline.
    async fn remove_expired(&self, _: Timestamp, _: usize) -> Result<usize> {
        Ok(0)
    }
}
