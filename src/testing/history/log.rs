//! What happened to one key, written down.

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::excerpt::excerpt;
use super::model::{Answer, Op, State};
use super::search::{Answered, Effort, Event, Failure, Removal, explain};
use crate::id::SessionKey;
use crate::store::{ErrorKind, Replaced, Result as StoreResult, Store};
use crate::subject::Subject;
use crate::time::{Clock, Timestamp};

/// The order of all beginnings and ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Order(Arc<AtomicU64>);

impl Order {
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// All calls on one key, in the order of their beginnings.
#[derive(Clone)]
pub(in crate::testing) struct History(Arc<Log>);

struct Log {
    order: Order,
    /// Without one, no time goes by, and nothing expires.
    clock: Option<Arc<dyn Clock>>,
    events: Mutex<Vec<Event>>,
}

impl Default for History {
    fn default() -> Self {
        Self::new(Order::default(), None)
    }
}

impl History {
    pub(super) fn new(order: Order, clock: Option<Arc<dyn Clock>>) -> Self {
        Self(Arc::new(Log { order, clock, events: Mutex::default() }))
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.0.clock.as_ref().map_or(Timestamp::from_millis(0), |clock| clock.now())
    }

    /// How many calls were written down.
    pub(super) fn len(&self) -> usize {
        self.events().len()
    }

    /// Makes a call and writes down what came of it; returns the answer, or what kind
    /// of failure it was.
    ///
    /// Dropped halfway, it is a call without an answer.
    pub(in crate::testing) async fn perform<S: Store>(
        &self,
        store: &S,
        key: &SessionKey,
        op: Op,
    ) -> Result<Answer, Option<ErrorKind>> {
        let index = self.called(op.clone());
        let answer = match &op {
            Op::Load => store.load(key).await.map(Answer::Found),
            Op::Insert(record) => store.insert(key, record).await.map(Answer::Inserted),
            Op::Replace(expected, record) => {
                store.replace(key, *expected, record).await.map(|answer| match answer {
                    Replaced::Done => Answer::Replaced,
                    Replaced::Conflict(there) => Answer::Found(there),
                })
            }
            Op::Touch(at, expires_at) => {
                store.touch(key, *at, *expires_at).await.map(|()| Answer::Nothing)
            }
            Op::End(tombstone) => store.end(key, tombstone).await.map(|()| Answer::Nothing),
            Op::Walk(_) => return Err(None),
        };
        let kept = answer.as_ref().map(Answer::clone).map_err(|error| Some(error.kind()));
        self.answered(index, said(op.verb(), answer));
        kept
    }

    fn called(&self, op: Op) -> usize {
        let mut events = self.events();
        let (began, called) = (self.now(), self.0.order.next());
        events.push(Event { op, called, began, answered: None, failed: None, follows: None });
        events.len() - 1
    }

    fn answered(&self, index: usize, answer: Result<Answer, String>) {
        let mut events = self.events();
        let (at, time) = (self.0.order.next(), self.now());
        let answered = |answer| Some(Answered { at, time, answer });
        let last = index + 1 == events.len();
        let event = &mut events[index];
        match (&event.op, answer) {
            // A look that failed says nothing; an outage has many.
            (Op::Load, Err(_)) if self.0.clock.is_some() && last => {
                events.pop();
            }
            (_, Err(failed)) => event.failed = Some(failed),
            (Op::Replace(..), Ok(Answer::Found(there))) => {
                event.answered = answered(Answer::Refused);
                let answered = answered(Answer::Found(there));
                let (follows, failed) = (Some(index), None);
                let look = Event { op: Op::Load, answered, failed, follows, ..*event };
                events.push(look);
            }
            (_, Ok(answer)) => event.answered = answered(answer),
        }
    }

    /// Writes down that a walk did not name the key.
    pub(super) fn missed(&self, subject: Subject, began: Timestamp, called: u64, at: u64) {
        let mut events = self.events();
        let answered = Some(Answered { at, time: self.now(), answer: Answer::Missed });
        let op = Op::Walk(subject);
        events.push(Event { op, called, began, answered, failed: None, follows: None });
    }

    /// Checks that every call was answered, and that one step at a time explains
    /// everything.
    pub(in crate::testing) fn explained(&self, start: &State) -> Result<(), String> {
        if let Some(failed) = self.events().iter().find_map(|event| event.failed.clone()) {
            return Err(failed);
        }
        match self.check(start) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("the suite wrote down more calls than it can explain".to_owned()),
            Err(excerpt) => Err(excerpt),
        }
    }

    /// Checks that one step at a time explains all answers. Nothing, if there are
    /// too many ways to look at them all.
    ///
    /// # Errors
    ///
    /// As much of the history as shows that nothing does.
    pub(super) fn check(&self, start: &State) -> Result<Option<Effort>, String> {
        let removal = if self.0.clock.is_some() { Removal::Allowed } else { Removal::Never };
        let events = self.events();
        match explain(&events, start, removal) {
            Ok(effort) => Ok(Some(effort)),
            Err(Failure::TooWide) => Ok(None),
            Err(Failure::Unexplained { event, since }) => {
                Err(excerpt(&events, start, removal, event, since))
            }
        }
    }
}

/// A verb's answer, or a sentence with the whole chain of its error.
pub(in crate::testing) fn said<T>(verb: &str, answer: StoreResult<T>) -> Result<T, String> {
    answer.map_err(|error| {
        let mut text = format!("{verb} failed: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        text
    })
}
