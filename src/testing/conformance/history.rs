//! What happened to one key, and whether one step at a time explains it.
//!
//! The contract's single-key verbs as a model ([`Op::step`]), and a search for
//! an order of the calls, each at one instant between its call and its answer,
//! in which the model gives the answers that were given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Check;
use super::bench::said;
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Inserted, Replaced, Revision, Store};
use crate::time::Timestamp;

/// A call on one key.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Load,
    Insert(Record),
    Replace(Revision, Record),
    Touch(Revision, Timestamp),
    End(Record),
}

/// What it answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Found(Option<Record>),
    Inserted(Inserted),
    Replaced,
    Refused,
    Nothing,
}

/// What is under the key.
pub(super) type State = Option<Record>;

impl Op {
    /// Every state and answer that the contract allows from here.
    fn step(&self, state: &State) -> Vec<(State, Answer)> {
        let unchanged = |answer| vec![(state.clone(), answer)];
        match (self, state) {
            (Self::Load, there) => unchanged(Answer::Found(there.clone())),
            (Self::Insert(record), None) => {
                vec![(Some(record.clone()), Answer::Inserted(Inserted::Created))]
            }
            (Self::Insert(_), Some(_)) => unchanged(Answer::Inserted(Inserted::Exists)),
            (Self::Replace(expected, record), Some(there)) if there.revision == *expected => {
                vec![(Some(record.clone()), Answer::Replaced)]
            }
            (Self::Replace(..), _) => unchanged(Answer::Refused),
            (Self::Touch(at, expires_at), Some(there))
                if there.revision == *at && there.expires_at < *expires_at =>
            {
                let moved = Record { expires_at: *expires_at, ..there.clone() };
                vec![(Some(moved), Answer::Nothing)]
            }
            (Self::Touch(..), _) => unchanged(Answer::Nothing),
            (Self::End(tombstone), Some(there)) if there.revision == Revision::ENDED => {
                let expires_at = tombstone.expires_at.max(there.expires_at);
                [&tombstone.body, &there.body]
                    .map(|body| {
                        let body = body.clone();
                        (Some(Record { expires_at, body, ..tombstone.clone() }), Answer::Nothing)
                    })
                    .to_vec()
            }
            (Self::End(tombstone), _) => vec![(Some(tombstone.clone()), Answer::Nothing)],
        }
    }
}

/// A call with the moments of its beginning and its end.
#[derive(Clone, Debug)]
struct Event {
    op: Op,
    called: usize,
    /// `None` as long as there is no answer.
    answered: Option<(usize, Answer)>,
    /// The event that must come before: a refused replace may look only
    /// afterwards what is there, so it is two events.
    follows: Option<usize>,
}

/// All calls on one key, in the order of their beginnings.
#[derive(Clone, Debug, Default)]
pub(super) struct History(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    clock: usize,
    events: Vec<Event>,
    /// The first call that failed.
    failed: Option<String>,
}

impl Log {
    fn tick(&mut self) -> usize {
        self.clock += 1;
        self.clock
    }

    fn call(&mut self, op: Op) -> usize {
        let called = self.tick();
        self.events.push(Event { op, called, answered: None, follows: None });
        self.events.len() - 1
    }
}

impl History {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call and writes down what came of it.
    pub(super) async fn perform<S: Store>(&self, store: &S, key: &SessionKey, op: Op) {
        let index = self.log().call(op.clone());
        let answer = match &op {
            Op::Load => said("load", store.load(key).await).map(Answer::Found),
            Op::Insert(record) => {
                said("insert", store.insert(key, record).await).map(Answer::Inserted)
            }
            Op::Replace(expected, record) => {
                let answer = said("replace", store.replace(key, *expected, record).await);
                answer.map(|answer| match answer {
                    Replaced::Done => Answer::Replaced,
                    Replaced::Conflict(there) => Answer::Found(there),
                })
            }
            Op::Touch(at, expires_at) => {
                said("touch", store.touch(key, *at, *expires_at).await).map(|()| Answer::Nothing)
            }
            Op::End(tombstone) => {
                said("end", store.end(key, tombstone).await).map(|()| Answer::Nothing)
            }
        };
        let mut log = self.log();
        let now = log.tick();
        match (op, answer) {
            (_, Err(failed)) => {
                log.failed.get_or_insert(failed);
            }
            (Op::Replace(..), Ok(Answer::Found(there))) => {
                let called = log.events[index].called;
                log.events[index].answered = Some((now, Answer::Refused));
                let answered = Some((now, Answer::Found(there)));
                let look = Event { op: Op::Load, called, answered, follows: Some(index) };
                log.events.push(look);
            }
            (_, Ok(answer)) => log.events[index].answered = Some((now, answer)),
        }
    }

    /// Checks that one step at a time explains everything.
    pub(super) fn explained(&self, start: &State) -> Check {
        let log = self.log();
        if let Some(failed) = &log.failed {
            return Err(failed.clone());
        }
        if log.events.len() > 63 {
            return Err("the suite wrote down more calls than it can explain".to_owned());
        }
        if explain(&log.events, 0, start) {
            return Ok(());
        }
        let mut text = format!("no order of these calls explains their answers, from {start:?}:");
        for event in &log.events {
            let Event { op, called, answered, .. } = event;
            match answered {
                Some((at, answer)) => {
                    text.push_str(&format!("\n    {called}..{at} {op:?} -> {answer:?}"));
                }
                None => text.push_str(&format!("\n    {called}.. {op:?} was dropped")),
            }
        }
        Err(text)
    }
}

/// Whether the events that are not yet `done` can follow from `state`.
fn explain(events: &[Event], done: u64, state: &State) -> bool {
    let open = |(index, _): &(usize, &Event)| done >> index & 1 == 0;
    let ends = events
        .iter()
        .enumerate()
        .filter(open)
        .filter_map(|(_, event)| event.answered.as_ref().map(|(at, _)| *at));
    // Nothing that begins after some open event has ended can come before it.
    let Some(horizon) = ends.min() else { return true };
    events.iter().enumerate().filter(open).filter(|(_, event)| event.called < horizon).any(
        |(index, event)| {
            if event.follows.is_some_and(|before| done >> before & 1 == 0) {
                return false;
            }
            event.op.step(state).into_iter().any(|(next, answer)| {
                let fits = event.answered.as_ref().is_none_or(|(_, given)| *given == answer);
                fits && explain(events, done | 1 << index, &next)
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(revision: u64) -> Record {
        Record {
            revision: Revision::from_u64(revision),
            subject: None,
            expires_at: Timestamp::from_millis(1000),
            body: vec![].into(),
        }
    }

    fn event(called: usize, at: usize, op: Op, answer: Answer) -> Event {
        Event { op, called, answered: Some((at, answer)), follows: None }
    }

    fn explained(start: &State, events: &[Event]) -> bool {
        explain(events, 0, start)
    }

    #[test]
    fn two_replaces_from_one_revision_cannot_both_be_done() {
        let both = |second| {
            [
                event(1, 4, Op::Replace(record(1).revision, record(2)), Answer::Replaced),
                event(2, 3, Op::Replace(record(1).revision, record(3)), second),
            ]
        };
        assert!(explained(&Some(record(1)), &both(Answer::Refused)));
        assert!(!explained(&Some(record(1)), &both(Answer::Replaced)));
    }

    #[test]
    fn a_load_sees_what_was_answered_before_it_began() {
        let replace = event(1, 2, Op::Replace(record(1).revision, record(2)), Answer::Replaced);
        let stale = Answer::Found(Some(record(1)));
        let start = Some(record(1));
        assert!(!explained(&start, &[replace.clone(), event(3, 4, Op::Load, stale.clone())]));
        assert!(explained(&start, &[replace, event(1, 4, Op::Load, stale)]));
    }

    #[test]
    fn a_dropped_call_happened_or_did_not() {
        let dropped = Event {
            op: Op::Replace(record(1).revision, record(2)),
            called: 1,
            answered: None,
            follows: None,
        };
        for (there, fine) in [(Some(record(1)), true), (Some(record(2)), true), (None, false)] {
            let load = event(2, 3, Op::Load, Answer::Found(there));
            assert_eq!(explained(&Some(record(1)), &[dropped.clone(), load]), fine);
        }
    }
}
