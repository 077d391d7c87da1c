//! The search for an order that explains a history.
//!
//! A history is linearizable if every call can be given one instant between its
//! beginning and its end, so that in this order the [model](Op::step) gives the
//! answers that were given. A call without an answer may have any instant after its
//! beginning, or none.
//!
//! The search goes through the history once and keeps every *situation* that is
//! possible: what is under the key, which of the open calls have had their
//! instant, and which calls without an answer are spent. Calls get their instant as late
//! as can be: only when some call ends do the situations in which it has not had
//! its instant have to move on to one in which it has (Lowe, "Testing for
//! linearizability", 2017). That is exponential in general. What keeps it small here,
//! each without a loss:
//!
//! - One key at a time.
//! - A call that was only able to look ([`Op::only_looked`]) gets its instant as
//!   soon as its answer is right; that takes nothing from the others.
//! - Revisions are fresh, so a revision that was left does not come back, and a
//!   replace without an answer needs no remembering: it cannot happen twice.
//! - Of two situations that differ only in which calls are spent, the one with fewer
//!   can do all that the other can.
//! - Calls without an answer that nobody can tell apart are tried once, see
//!   [`Lost`](super::lost::Lost).

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use super::lost::Lost;
use super::model::{Answer, Op, State};
use crate::time::Timestamp;

/// A call with the moments of its beginning and its end.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) op: Op,
    /// The place of its beginning in the order of all beginnings and ends.
    pub(super) called: u64,
    pub(super) began: Timestamp,
    /// `None` if there was no answer: the call may happen at any time, or never.
    pub(super) answered: Option<Answered>,
    /// Why there is none, in words.
    pub(super) failed: Option<String>,
    /// The event that must come before: a refused replace may look only
    /// afterwards what is there, so it is two events.
    pub(super) follows: Option<usize>,
}

/// An answer, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// The place of the end in the order of all beginnings and ends.
    pub(super) at: u64,
    pub(super) time: Timestamp,
    pub(super) answer: Answer,
}

impl Event {
    pub(super) fn only_looked(&self) -> bool {
        match &self.answered {
            Some(answered) => self.op.only_looked(&answered.answer),
            None => self.op.only_looks(),
        }
    }
}

/// Whether records may vanish once they are past their time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Removal {
    /// Nobody removes any.
    Never,
    /// The engine, or a sweep, at any moment after the deadline.
    Allowed,
}

/// What the search had to do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Effort {
    /// The situations that were looked at.
    pub(super) visited: usize,
    /// The most that were possible at one time.
    pub(super) widest: usize,
}

/// Why a history has no explanation.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// No situation is left once this event has ended.
    Unexplained {
        event: usize,
        /// The last moment before at which no call was open and one situation
        /// possible: its place in the order, and what was under the key.
        since: Option<(u64, State)>,
    },
    /// There are too many situations to look at them all.
    TooWide,
}

/// How many situations may be looked at in one history.
const PATIENCE: usize = 4_000_000;

/// What is under the key, and which of the open calls have had their instant.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Spot {
    state: State,
    done: Vec<usize>,
}

impl Hash for Spot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        if let Some(there) = &self.state {
            (there.revision, there.expires_at).hash(hasher);
        }
        self.done.hash(hasher);
    }
}

/// The situations that are possible: by spot, which calls without an answer are spent.
#[derive(Debug, Default)]
struct Situations(HashMap<Spot, Vec<Vec<usize>>>);

impl Situations {
    /// Adds a situation, unless there is one that can do all that it can.
    fn add(&mut self, spot: &Spot, spent: &[usize]) -> bool {
        let Some(there) = self.0.get_mut(spot) else {
            self.0.insert(spot.clone(), vec![spent.to_vec()]);
            return true;
        };
        let within = |one: &[usize], other: &[usize]| one.iter().all(|call| other.contains(call));
        if there.iter().any(|fewer| within(fewer, spent)) {
            return false;
        }
        there.retain(|more| !within(spent, more));
        there.push(spent.to_vec());
        true
    }

    fn into_vec(self) -> Vec<(Spot, Vec<usize>)> {
        let spots = self.0.into_iter();
        spots.flat_map(|(spot, all)| all.into_iter().map(move |s| (spot.clone(), s))).collect()
    }
}

/// Looks for an order of the events that explains their answers.
///
/// # Errors
///
/// There is none.
pub(super) fn explain(
    events: &[Event],
    start: &State,
    removal: Removal,
) -> Result<Effort, Failure> {
    let mut effort = Effort::default();
    let mut lost = Lost::new(events, start);
    let mut open: Vec<usize> = Vec::new();
    let mut situations = vec![(Spot { state: start.clone(), done: Vec::new() }, Vec::new())];
    let mut since = None;
    let mut time = Timestamp::from_millis(i64::MIN);
    for (place, moment) in moments(events) {
        let index = match moment {
            Moment::Called(index) => {
                match &events[index].answered {
                    Some(_) => open.push(index),
                    None => lost.called(index),
                }
                continue;
            }
            Moment::Answered(index) => index,
        };
        // The latest there was, as a clock may be set back.
        if let (Removal::Allowed, Some(answered)) = (removal, &events[index].answered) {
            time = time.max(answered.time);
        }
        let mut seen = Situations::default();
        let mut next = Situations::default();
        let mut todo = situations;
        while let Some((mut spot, spent)) = todo.pop() {
            look(events, &open, &mut spot);
            if !seen.add(&spot, &spent) {
                continue;
            }
            effort.visited += 1;
            if effort.visited > PATIENCE {
                return Err(Failure::TooWide);
            }
            if let Some(found) = spot.done.iter().position(|done| *done == index) {
                spot.done.remove(found);
                next.add(&spot, &spent);
                continue;
            }
            if spot.state.as_ref().is_some_and(|there| there.expires_at <= time) {
                todo.push((Spot { state: None, done: spot.done.clone() }, spent.clone()));
            }
            for &call in &open {
                let event = &events[call];
                let Some(Answered { answer: given, .. }) = &event.answered else { continue };
                if event.only_looked() || spot.done.contains(&call) {
                    continue;
                }
                for (state, answer) in event.op.step(&spot.state) {
                    if answer == *given {
                        let mut done = spot.done.clone();
                        done.push(call);
                        done.sort_unstable();
                        todo.push((Spot { state, done }, spent.clone()));
                    }
                }
            }
            for call in lost.worth_trying(&spot.state, &spent) {
                for (state, _) in events[call].op.step(&spot.state) {
                    if state != spot.state {
                        let mut spent = spent.clone();
                        if lost.might_repeat(call) {
                            spent.push(call);
                        }
                        todo.push((Spot { state, done: spot.done.clone() }, spent));
                    }
                }
            }
        }
        open.retain(|call| *call != index);
        situations = next.into_vec();
        effort.widest = effort.widest.max(situations.len());
        match situations.as_slice() {
            [] => return Err(Failure::Unexplained { event: index, since }),
            [(spot, _)] if open.is_empty() => since = Some((place, spot.state.clone())),
            _ => {}
        }
    }
    Ok(effort)
}

/// Gives every open call that only looked its instant, if its answer is right.
fn look(events: &[Event], open: &[usize], spot: &mut Spot) {
    let mut added = false;
    for &call in open {
        let event = &events[call];
        if !event.only_looked() || spot.done.contains(&call) {
            continue;
        }
        let early = |before: usize| open.contains(&before) && !spot.done.contains(&before);
        if event.follows.is_some_and(early) {
            continue;
        }
        let Some(Answered { answer: given, .. }) = &event.answered else { continue };
        let fits = match (given, &event.op) {
            // Without a copy of the record.
            (Answer::Found(there), Op::Load) => *there == spot.state,
            _ => event.op.step(&spot.state).iter().any(|(_, answer)| answer == given),
        };
        if fits {
            spot.done.push(call);
            added = true;
        }
    }
    if added {
        spot.done.sort_unstable();
    }
}

enum Moment {
    Called(usize),
    Answered(usize),
}

/// All beginnings and ends in their order.
fn moments(events: &[Event]) -> Vec<(u64, Moment)> {
    let mut moments = Vec::with_capacity(events.len() * 2);
    for (index, event) in events.iter().enumerate() {
        match &event.answered {
            Some(answered) => {
                moments.push((event.called, Moment::Called(index)));
                moments.push((answered.at, Moment::Answered(index)));
            }
            None if event.op.only_looks() => {}
            None => moments.push((event.called, Moment::Called(index))),
        }
    }
    // Stable: what a refused replace found comes after its refusal.
    moments.sort_by_key(|(place, _)| *place);
    moments
}

/// The events that are not needed for a history to have no explanation.
///
/// Only calls that looked can be left out: without them there is less to explain.
pub(super) fn needless(events: &[Event], start: &State, removal: Removal) -> HashSet<usize> {
    let mut without = HashSet::new();
    for index in (0..events.len()).rev().filter(|index| events[*index].only_looked()) {
        without.insert(index);
        let (mut kept, mut places) = (Vec::new(), HashMap::new());
        for (index, event) in events.iter().enumerate() {
            if !without.contains(&index) {
                places.insert(index, kept.len());
                let follows = event.follows.and_then(|before| places.get(&before).copied());
                kept.push(Event { follows, ..event.clone() });
            }
        }
        if !matches!(explain(&kept, start, removal), Err(Failure::Unexplained { .. })) {
            without.remove(&index);
        }
    }
    without
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
