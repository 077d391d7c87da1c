//! A client: one call after the other, of any verb, on any key.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::{Either, select};

use super::key::Key;
use super::model::{Answer, Op};
use super::workload::Shared;
use crate::id::SessionKey;
use crate::store::{ErrorKind, Result, Revision, Store};
use crate::testing::schedule::{Random, yield_now};

pub(super) struct Client<S> {
    shared: Arc<Shared>,
    store: S,
    random: Random,
    /// The revisions that it has met lately, by place: of which key, and which.
    met: HashMap<usize, (u64, Vec<Revision>)>,
}

impl<S: Store> Client<S> {
    pub(super) fn new(shared: Arc<Shared>, store: S) -> Self {
        let random = shared.fork();
        Self { shared, store, random, met: HashMap::new() }
    }

    pub(super) async fn work(mut self) {
        while self.shared.goes_on() {
            let place = self.below(self.shared.places()) as usize;
            let key = self.shared.key(place);
            match self.below(100) {
                0..7 => self.walk(&key).await,
                7 => self.sweep().await,
                _ => self.call(place, &key).await,
            }
            self.shared.let_go(place, key);
            // A store in memory is always ready.
            yield_now().await;
        }
    }

    fn below(&mut self, count: u64) -> u64 {
        self.random.next() % count
    }

    /// A verb on one key.
    async fn call(&mut self, place: usize, key: &Key) {
        let op = self.choose(place, key);
        let (ends, looks) = (matches!(op, Op::End(_)), op.only_looks());
        let writes = match &op {
            Op::Insert(record) | Op::Replace(_, record) => Some(record.revision),
            Op::Load | Op::Touch(..) | Op::End(_) | Op::Walk(_) => None,
        };
        let store = &self.store;
        let call = key.history.perform(store, &key.key, op);
        let answer = in_time(&self.shared, &mut self.random, call).await;
        if answer.is_none() {
            self.shared.count.dropped();
        }
        let met = match answer.unwrap_or(Err(None)) {
            Ok(answer) => {
                key.answered(ends);
                match answer {
                    Answer::Found(there) => there.map(|there| there.revision),
                    Answer::Inserted(_) | Answer::Replaced => writes,
                    Answer::Refused | Answer::Nothing | Answer::Missed => None,
                }
            }
            Err(kind) => {
                if kind.is_some() {
                    self.shared.count.failed();
                }
                if kind == Some(ErrorKind::Corrupt) {
                    self.shared.wrong("a row is called corrupt that the store itself wrote".into());
                }
                if !looks {
                    self.shared.count.unknown();
                    key.lost();
                }
                // Now and then it goes on as if it had been done.
                writes.filter(|_| self.random.next() % 4 == 0)
            }
        };
        if let Some(met) = met.filter(|met| *met != Revision::ENDED) {
            let (_, all) = self.met.entry(place).or_default();
            all.retain(|other| *other != met);
            all.push(met);
            if all.len() > 4 {
                all.remove(0);
            }
        }
    }

    fn choose(&mut self, place: usize, key: &Key) -> Op {
        let (number, met) = self.met.entry(place).or_default();
        if *number != key.number {
            (*number, *met) = (key.number, Vec::new());
        }
        let met = met.clone();
        let random = &mut self.random;
        let now = self.shared.now();
        if key.is_for_reading() {
            return Op::Load;
        }
        if random.next() % 1000 < key.ends {
            return Op::End(key.tombstone(random, now));
        }
        // Mostly the latest it knows, now and then an older one or one that never was.
        let at = match (met.as_slice(), random.next() % 20) {
            ([], _) => None,
            (all, 0..2) => all.first().copied(),
            ([.., last], 2) => Some(Revision::from_u64(last.as_u64() + random.next() % 3)),
            ([.., last], _) => Some(*last),
        };
        match (at, random.next() % 20) {
            (None, 0..8) => {
                let revision = key.first(random);
                Op::Insert(key.record(random, now, revision))
            }
            (None, 8) => {
                let revision = Revision::from_u64(random.next() % 1000);
                let next = Revision::from_u64(1000 + random.next() % (1 << 32));
                Op::Replace(revision, key.record(random, now, next))
            }
            (None, 9) => Op::Touch(key.first(random), key.deadline(random, now)),
            (Some(at), 0..7) if at != Revision::ENDED => {
                let next = Revision::from_u64(at.as_u64() + 1 + random.next() % (1 << 32));
                Op::Replace(at, key.record(random, now, next))
            }
            (Some(at), 7..10) => Op::Touch(at, key.deadline(random, now)),
            (Some(_), 10) => {
                let revision = key.first(random);
                Op::Insert(key.record(random, now, revision))
            }
            _ => Op::Load,
        }
    }

    /// All pages of a subject, and which keys they do not name.
    async fn walk(&mut self, key: &Key) {
        let subject = key.subjects[self.below(3) as usize];
        let limit = [1, 2, 3, 100][self.below(4) as usize];
        let keys = self.shared.keys();
        let (began, called) = (self.shared.now(), self.shared.order.next());
        let named = {
            let store = &self.store;
            let walk = async {
                let mut named: Vec<SessionKey> = Vec::new();
                loop {
                    let page = store.sessions_of(&subject, named.last(), limit).await?;
                    let follows = match (named.last(), page.first()) {
                        (Some(last), Some(first)) => last < first,
                        _ => true,
                    };
                    let ascends = follows && page.windows(2).all(|pair| pair[0] < pair[1]);
                    if !ascends || page.len() > limit {
                        let wrong = format!(
                            "sessions_of: a page after {} keys, of {} with a limit of {limit}, \
                             is too long or does not ascend",
                            named.len(),
                            page.len()
                        );
                        return Ok(Err(wrong));
                    }
                    named.extend(&page);
                    if page.len() < limit {
                        return Ok(Ok(named));
                    }
                }
            };
            let walk =
                async { walk.await.map_err(|error: crate::store::Error| Some(error.kind())) };
            in_time(&self.shared, &mut self.random, walk).await
        };
        match named {
            None => self.shared.count.dropped(),
            Some(Err(_)) => self.shared.count.failed(),
            Some(Ok(Err(wrong))) => self.shared.wrong(wrong),
            Some(Ok(Ok(named))) => {
                let at = self.shared.order.next();
                for (_, key) in &keys {
                    if key.subjects.contains(&subject) && named.binary_search(&key.key).is_err() {
                        key.history.missed(subject, began, called, at);
                    }
                }
            }
        }
        for (place, key) in keys {
            self.shared.let_go(place, key);
        }
    }

    async fn sweep(&mut self) {
        let limit = 1 + self.below(40) as usize;
        let now = self.shared.now();
        let swept = async {
            let swept: Result<usize> = self.store.remove_expired(now, limit).await;
            swept.map_err(|error| Some(error.kind()))
        };
        match in_time(&self.shared, &mut self.random, swept).await {
            None => self.shared.count.dropped(),
            Some(Err(_)) => self.shared.count.failed(),
            Some(Ok(swept)) if swept > limit => {
                self.shared.wrong(format!("remove_expired: removed {swept}, not {limit} at most"));
            }
            Some(Ok(_)) => {}
        }
    }

    /// A last look at every key.
    pub(super) async fn look_at_all(&mut self) {
        for (place, key) in self.shared.keys() {
            let look = key.history.perform(&self.store, &key.key, Op::Load);
            let _ = with_patience(&self.shared, look).await;
            self.shared.let_go(place, key);
        }
    }
}

/// The answer of a call, unless it is given up before that.
async fn in_time<T>(
    shared: &Shared,
    random: &mut Random,
    call: impl Future<Output = T>,
) -> Option<T> {
    let mut call = pin!(call);
    if random.next() % 1000 >= shared.drops {
        return with_patience(shared, call).await;
    }
    let mut polls = 1 + random.next() % 3;
    std::future::poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if polls == 1 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            Poll::Pending
        }
    })
    .await
}

async fn with_patience<T>(shared: &Shared, call: impl Future<Output = T>) -> Option<T> {
    let Some(patience) = &shared.patience else { return Some(call.await) };
    match select(pin!(call), patience()).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}
