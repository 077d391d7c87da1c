//! Calls without an answer: which of them are worth trying, and when.
//!
//! Each may have happened at any time after it was called, so the longer a
//! history, the more of them there are to try at every step. But a call whose traces
//! nobody ever saw, and which cannot have made room by expiring, explains the same
//! as any other of its kind.

use std::collections::{HashMap, HashSet};

use super::model::{Answer, Op, State};
use super::search::Event;
use crate::record::Record;
use crate::store::Revision;
use crate::subject::Subject;
use crate::time::Timestamp;

/// The calls without an answer that have begun.
pub(super) struct Lost<'a> {
    events: &'a [Event],
    traces: Traces<'a>,
    inserts: Vec<usize>,
    /// Replaces and touches by the revision that they need.
    at: HashMap<Revision, Vec<usize>>,
    ends: Vec<usize>,
}

/// What the history says about what was written.
#[derive(Default)]
struct Traces<'a> {
    /// Revisions that were found, or that some call expects.
    revisions: HashSet<Revision>,
    deadlines: HashSet<Timestamp>,
    bodies: HashSet<&'a [u8]>,
    /// How many calls write a revision, where it is not one.
    writers: HashMap<Revision, usize>,
    /// Nothing later than this can have expired.
    last: Timestamp,
}

impl<'a> Lost<'a> {
    pub(super) fn new(events: &'a [Event], start: &State) -> Self {
        let mut traces = Traces { last: Timestamp::from_millis(i64::MIN), ..Traces::default() };
        if let Some(there) = start {
            *traces.writers.entry(there.revision).or_default() += 1;
        }
        for event in events {
            traces.add(event);
        }
        let (inserts, at, ends) = Default::default();
        Self { events, traces, inserts, at, ends }
    }

    /// A call has begun that will have no answer.
    pub(super) fn called(&mut self, call: usize) {
        match &self.events[call].op {
            Op::Load | Op::Walk(_) => {}
            Op::Insert(_) => self.inserts.push(call),
            Op::Replace(expected, _) => self.at.entry(*expected).or_default().push(call),
            Op::Touch(at, expires_at) => {
                // Whether a deadline was moved that nobody saw does not matter: to
                // be removed later is no duty.
                if self.traces.deadlines.contains(expires_at) {
                    self.at.entry(*at).or_default().push(call);
                }
            }
            Op::End(_) => self.ends.push(call),
        }
    }

    /// Whether a call could happen a second time, so that it must be remembered that
    /// it has happened.
    ///
    /// A revision that one call alone writes is left once. While it is there, a
    /// second touch changes nothing.
    pub(super) fn might_repeat(&self, call: usize) -> bool {
        let written_once = |revision: &Revision| {
            *revision != Revision::ENDED
                && self.traces.writers.get(revision).is_none_or(|writers| *writers <= 1)
        };
        match &self.events[call].op {
            Op::Load | Op::Walk(_) => false,
            Op::Replace(expected, record) => {
                !written_once(expected) || record.revision == *expected
            }
            Op::Touch(at, _) => !written_once(at),
            Op::Insert(_) | Op::End(_) => true,
        }
    }

    /// The calls that could explain something by happening now.
    pub(super) fn worth_trying(&self, state: &State, spent: &[usize]) -> Vec<usize> {
        let mut calls = Vec::new();
        let left = |call: &&usize| !spent.contains(call);
        match state {
            None => {
                let mut kinds = HashSet::new();
                for &call in self.inserts.iter().filter(left) {
                    let Op::Insert(record) = &self.events[call].op else { continue };
                    if self.traces.show(record) || kinds.insert(record.subject) {
                        calls.push(call);
                    }
                }
            }
            Some(there) => {
                let mut kinds: HashSet<Option<Subject>> = HashSet::new();
                for &call in self.at.get(&there.revision).into_iter().flatten().filter(left) {
                    match &self.events[call].op {
                        Op::Replace(_, record) => {
                            if self.traces.show(record) || kinds.insert(record.subject) {
                                calls.push(call);
                            }
                        }
                        _ => calls.push(call),
                    }
                }
            }
        }
        // A tombstone that nobody saw and that stays ends all that could be
        // explained, so one is enough: that which hinders later ones the least.
        let mut unseen: Option<(Timestamp, usize)> = None;
        for &call in self.ends.iter().filter(left) {
            let Op::End(tombstone) = &self.events[call].op else { continue };
            if self.traces.show_end(tombstone) {
                calls.push(call);
            } else if unseen.is_none_or(|(least, _)| tombstone.expires_at < least) {
                unseen = Some((tombstone.expires_at, call));
            }
        }
        if state.as_ref().is_none_or(|there| there.revision != Revision::ENDED) {
            calls.extend(unseen.map(|(_, call)| call));
        }
        calls
    }
}

impl<'a> Traces<'a> {
    fn add(&mut self, event: &'a Event) {
        match &event.op {
            Op::Load | Op::Walk(_) => {}
            Op::Insert(record) => {
                *self.writers.entry(record.revision).or_default() += 1;
            }
            Op::Replace(expected, record) => {
                self.revisions.insert(*expected);
                *self.writers.entry(record.revision).or_default() += 1;
            }
            Op::Touch(at, _) => {
                self.revisions.insert(*at);
            }
            Op::End(_) => {}
        }
        if let Some(answered) = &event.answered {
            self.last = self.last.max(answered.time);
            if let Answer::Found(Some(there)) = &answered.answer {
                self.revisions.insert(there.revision);
                self.deadlines.insert(there.expires_at);
                self.bodies.insert(&there.body);
            }
        }
    }

    /// Whether it can be told that this record was written.
    fn show(&self, record: &Record) -> bool {
        self.revisions.contains(&record.revision) || record.expires_at <= self.last
    }

    fn show_end(&self, tombstone: &Record) -> bool {
        self.deadlines.contains(&tombstone.expires_at)
            || self.bodies.contains(&*tombstone.body)
            || tombstone.expires_at <= self.last
    }
}
