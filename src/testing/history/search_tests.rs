//! The search: the classics by hand, and everything small against an oracle.

use super::*;
use crate::record::Record;
use crate::store::{Inserted, Revision};
use crate::subject::Subject;
use crate::testing::schedule::Random;

fn revision(number: u64) -> Revision {
    Revision::from_u64(number)
}

/// A record that does not expire here.
fn record(number: u64) -> Record {
    until(number, 1_000_000 + number as i64)
}

fn until(number: u64, millis: i64) -> Record {
    Record {
        revision: revision(number),
        subject: None,
        expires_at: Timestamp::from_millis(millis),
        body: vec![number as u8].into(),
    }
}

fn of(number: u64, subject: u64) -> Record {
    Record { subject: Some(Subject::from(subject)), ..record(number) }
}

fn tombstone(number: u64) -> Record {
    Record { revision: Revision::ENDED, ..record(number) }
}

fn event(called: u64, at: u64, op: Op, answer: Answer) -> Event {
    let time = Timestamp::from_millis(at as i64);
    let answered = Some(Answered { at, time, answer });
    Event { answered, ..lost(called, op) }
}

/// A call without an answer.
fn lost(called: u64, op: Op) -> Event {
    let began = Timestamp::from_millis(called as i64);
    Event { op, called, began, answered: None, failed: None, follows: None }
}

fn insert(number: u64) -> Op {
    Op::Insert(record(number))
}

fn replace(from: u64, to: u64) -> Op {
    Op::Replace(revision(from), record(to))
}

fn end(number: u64) -> Op {
    Op::End(tombstone(number))
}

fn found(called: u64, at: u64, there: Option<Record>) -> Event {
    event(called, at, Op::Load, Answer::Found(there))
}

const CREATED: Answer = Answer::Inserted(Inserted::Created);
const EXISTS: Answer = Answer::Inserted(Inserted::Exists);

fn explained(start: Option<Record>, events: &[Event]) -> bool {
    explain(events, &start, Removal::Allowed).is_ok()
}

#[test]
fn two_replaces_from_one_revision_cannot_both_be_done() {
    let both =
        |second| [event(1, 4, replace(1, 2), Answer::Replaced), event(2, 3, replace(1, 3), second)];
    assert!(explained(Some(record(1)), &both(Answer::Refused)));
    assert!(!explained(Some(record(1)), &both(Answer::Replaced)));
}

#[test]
fn a_load_sees_what_was_answered_before_it_began() {
    let done = event(1, 2, replace(1, 2), Answer::Replaced);
    let stale = |called| found(called, 4, Some(record(1)));
    assert!(!explained(Some(record(1)), &[done.clone(), stale(3)]));
    let overlapping = event(2, 5, replace(1, 2), Answer::Replaced);
    assert!(explained(Some(record(1)), &[stale(1), overlapping]));
}

#[test]
fn what_one_load_saw_is_not_taken_back_by_the_next() {
    let slow = event(1, 10, replace(1, 2), Answer::Replaced);
    let (new, old) = (found(2, 3, Some(record(2))), found(4, 5, Some(record(1))));
    assert!(!explained(Some(record(1)), &[slow.clone(), new.clone(), old]));
    assert!(explained(Some(record(1)), &[slow, new]));
}

#[test]
fn an_acknowledged_write_does_not_vanish() {
    let created = event(1, 2, insert(1), CREATED);
    assert!(!explained(None, &[created.clone(), found(3, 4, None)]));
    let created_again = event(3, 4, insert(2), CREATED);
    assert!(!explained(None, &[created, created_again]));
}

#[test]
fn what_was_ended_does_not_come_back() {
    let ended = event(1, 2, end(9), Answer::Nothing);
    for back in [
        found(3, 4, Some(record(1))),
        found(3, 4, None),
        event(3, 4, insert(2), CREATED),
        event(3, 4, replace(1, 2), Answer::Replaced),
    ] {
        assert!(!explained(Some(record(1)), &[ended.clone(), back.clone()]), "{back:?}");
        // Unless the end was not acknowledged yet.
        let late = event(1, 5, end(9), Answer::Nothing);
        let fine = explained(Some(record(1)), &[late, back.clone()]);
        let possible = !matches!(back.op, Op::Insert(_))
            && back.answered.is_some_and(|answered| answered.answer != Answer::Found(None));
        assert_eq!(fine, possible);
    }
}

#[test]
fn a_lost_write_may_surface_late_and_then_stays() {
    let start = Some(record(1));
    let write = lost(1, replace(1, 2));
    let (old, new) = (record(1), record(2));
    let early = found(2, 3, Some(old.clone()));
    assert!(explained(start.clone(), &[write.clone(), early.clone()]));
    let late = found(4, 5, Some(new));
    assert!(explained(start.clone(), &[write.clone(), early.clone(), late.clone()]));
    let gone_again = found(6, 7, Some(old));
    assert!(!explained(start, &[write, early, late, gone_again]));
}

#[test]
fn a_lost_write_does_not_surface_before_it_was_called() {
    let seen = found(1, 2, Some(record(2)));
    assert!(!explained(Some(record(1)), &[seen.clone(), lost(3, replace(1, 2))]));
    assert!(explained(Some(record(1)), &[lost(1, replace(1, 2)), found(2, 3, Some(record(2)))]));
}

#[test]
fn a_lost_write_does_not_surface_where_it_could_not_happen() {
    let write = lost(1, replace(1, 2));
    let other = event(2, 3, replace(1, 3), Answer::Replaced);
    let seen = found(4, 5, Some(record(2)));
    assert!(!explained(Some(record(1)), &[write.clone(), other, seen.clone()]));
    let ended = event(2, 3, end(9), Answer::Nothing);
    assert!(!explained(Some(record(1)), &[write, ended, seen]));
}

#[test]
fn a_lost_write_happens_once() {
    let start = Some(record(1));
    let lost_end = lost(1, end(8));
    let ended = event(4, 9, end(9), Answer::Nothing);
    let there = |called, body: u64| {
        let body = vec![body as u8].into();
        found(called, called + 1, Some(Record { body, ..tombstone(9) }))
    };
    let first = found(2, 3, Some(tombstone(8)));
    let events = [lost_end, first, ended, there(5, 9), there(7, 8)];
    assert!(explained(start.clone(), &events[..4]));
    assert!(!explained(start, &events), "the body of the first end is gone for good");
}

#[test]
fn nobody_can_see_a_lost_insert_whose_place_was_taken() {
    let lost_insert = lost(1, insert(1));
    let exists = event(2, 3, insert(2), EXISTS);
    let ended = event(4, 5, end(9), Answer::Nothing);
    let seen = found(6, 7, Some(tombstone(9)));
    let events = [lost_insert, exists, ended, seen];
    assert!(explained(None, &events));
    assert!(!explained(None, &events[1..]), "something must have been there");
}

#[test]
fn a_record_vanishes_after_its_time_and_not_before() {
    let near = |at| [event(1, 2, Op::Insert(until(1, 10)), CREATED), found(at - 1, at, None)];
    assert!(!explained(None, &near(9)));
    assert!(explained(None, &near(10)));
    assert!(explain(&near(10), &None, Removal::Never).is_err());
    let [created, gone] = near(20);
    let touched = event(3, 4, Op::Touch(revision(1), record(1).expires_at), Answer::Nothing);
    assert!(!explained(None, &[created.clone(), touched, gone.clone()]));
    let back = found(21, 22, Some(until(1, 10)));
    assert!(!explained(None, &[created, gone, back]), "what is gone is gone");
}

#[test]
fn a_walk_names_what_was_there_all_the_while() {
    let missed = |called, at| event(called, at, Op::Walk(Subject::from(7u64)), Answer::Missed);
    let created = |at| event(1, at, Op::Insert(of(1, 7)), CREATED);
    assert!(!explained(None, &[created(2), missed(3, 4)]));
    assert!(explained(None, &[created(3), missed(2, 4)]), "it was on the way");
    assert!(explained(Some(of(1, 8)), &[missed(3, 4)]));
    let switch = |answered| {
        let op = Op::Replace(revision(1), of(2, 8));
        Event { answered, ..lost(3, op) }
    };
    let answered =
        Some(Answered { at: 8, time: Timestamp::from_millis(8), answer: Answer::Replaced });
    assert!(explained(Some(of(1, 7)), &[switch(answered), missed(5, 6)]));
    assert!(explained(Some(of(1, 7)), &[switch(None), missed(5, 6)]));
    assert!(!explained(Some(of(1, 7)), &[missed(1, 2), switch(None)]));
}

#[test]
fn many_lost_calls_of_an_outage_are_no_trouble() {
    let mut events = vec![event(1, 2, insert(1), CREATED)];
    for n in 0..400 {
        let (called, other) = (3 + n, 1000 + n);
        events.push(match n % 4 {
            0 => lost(called, replace(1, other)),
            1 => lost(called, Op::Touch(revision(1), record(other).expires_at)),
            2 => lost(called, end(other)),
            _ => lost(called, insert(other)),
        });
    }
    for n in 0..200 {
        let at = 1000 + n * 2;
        events.push(found(at, at + 1, Some(record(if n < 100 { 1 } else { 1000 }))));
    }
    for n in 0..50 {
        let at = 2000 + n * 2;
        events.push(found(at, at + 1, Some(tombstone(1002))));
    }
    let effort = explain(&events, &None, Removal::Allowed).unwrap();
    assert!(effort.visited < 5_000 && effort.widest < 10, "{effort:?}");
    events.push(found(3000, 3001, Some(record(1000))));
    assert!(explain(&events, &None, Removal::Allowed).is_err());
}

/// Every order, one after the other.
fn oracle(events: &[Event], done: u64, state: &State) -> bool {
    let open = || events.iter().enumerate().filter(|(index, _)| done >> index & 1 == 0);
    let ends = open().filter_map(|(_, event)| event.answered.as_ref());
    let Some(first) = ends.min_by_key(|answered| answered.at) else { return true };
    if state.as_ref().is_some_and(|there| there.expires_at <= first.time)
        && oracle(events, done, &None)
    {
        return true;
    }
    open().filter(|(_, event)| event.called < first.at).any(|(index, event)| {
        if event.follows.is_some_and(|before| done >> before & 1 == 0) {
            return false;
        }
        event.op.step(state).into_iter().any(|(next, answer)| {
            let fits = event.answered.as_ref().is_none_or(|given| given.answer == answer);
            fits && oracle(events, done | 1 << index, &next)
        })
    })
}

/// A history that a correct store could have, of a few calls that overlap.
fn possible(random: &mut Random) -> (State, Vec<Event>) {
    let mut pick = |count: u64| random.next() % count;
    let calls = 2 + pick(6);
    let fresh = pick(8) > 0;
    let round_of_losses = pick(3) == 0;
    let any = |pick: &mut dyn FnMut(u64) -> u64, number: u64| Record {
        revision: revision(if fresh { number } else { 1 + pick(3) }),
        subject: [None, Some(Subject::from(7u64)), Some(Subject::from(8u64))][pick(3) as usize],
        expires_at: Timestamp::from_millis(match pick(3) {
            0 => pick(40) as i64,
            _ => 1000 + pick(4) as i64,
        }),
        body: vec![if pick(4) == 0 { 0 } else { number as u8 }].into(),
    };
    let start = (pick(2) == 0).then(|| any(&mut pick, 1));
    let mut events = Vec::new();
    let mut instants = Vec::new();
    for number in 0..calls {
        let record = any(&mut pick, number + 2);
        let expected = revision(1 + pick(number + 2));
        let op = match pick(9) {
            0..3 => Op::Load,
            3 => Op::Insert(record),
            4..6 => Op::Replace(expected, record),
            6 => Op::Touch(expected, record.expires_at),
            7 => Op::End(Record { revision: Revision::ENDED, subject: None, ..record }),
            _ => Op::Walk(Subject::from(7u64)),
        };
        let called = 10 * pick(4) + number;
        let instant = called + pick(20);
        let at = instant + pick(20);
        let is_lost = pick(if round_of_losses { 2 } else { 3 }) == 0;
        let instant = instant + if is_lost { pick(30) } else { 0 };
        if !is_lost || pick(3) > 0 {
            instants.push((instant, number as usize));
        }
        // The answer is filled in below.
        let event = if is_lost {
            lost(called * 2, op)
        } else {
            let at = Answered {
                at: at * 200 + number * 2 + 1,
                time: Timestamp::from_millis(at as i64),
                answer: Answer::Nothing,
            };
            Event { answered: Some(at), ..lost(called * 200 + number * 2, op) }
        };
        events.push(Event { called: called * 200 + number * 2, ..event });
    }
    instants.sort_unstable();
    let mut state = start.clone();
    for (instant, index) in instants {
        let expired = |there: &Record| there.expires_at.as_millis() <= instant as i64;
        if state.as_ref().is_some_and(expired) && pick(2) == 0 {
            state = None;
        }
        let mut steps = events[index].op.step(&state);
        if steps.is_empty() {
            // It was named, which says nothing.
            events[index].answered = None;
            continue;
        }
        let (next, answer) = steps.swap_remove(pick(steps.len() as u64) as usize);
        state = next;
        let refused = answer == Answer::Refused && events[index].answered.is_some();
        if let Some(answered) = &mut events[index].answered {
            answered.answer = answer;
        }
        if refused && pick(2) == 0 {
            let mut look = events[index].clone();
            (look.op, look.follows) = (Op::Load, Some(index));
            if let Some(answered) = &mut look.answered {
                answered.answer = Answer::Found(state.clone());
            }
            events.push(look);
        }
    }
    (start, events)
}

/// Another answer, or another moment, here and there.
fn disturb(random: &mut Random, events: &mut [Event]) {
    let mut pick = |count: usize| (random.next() % count as u64) as usize;
    let index = pick(events.len());
    let written: Vec<State> = events
        .iter()
        .map(|event| match &event.op {
            Op::Insert(record) | Op::Replace(_, record) | Op::End(record) => Some(record.clone()),
            Op::Load | Op::Touch(..) | Op::Walk(_) => None,
        })
        .collect();
    let other = written[pick(written.len())].clone();
    let flip = pick(2) == 0;
    let followed = events.iter().any(|event| event.follows == Some(index));
    let event = &mut events[index];
    let Some(answered) = &mut event.answered else { return };
    if pick(3) == 0 && !followed {
        if flip {
            answered.at = answered.at.min(event.called + 1);
            answered.time = Timestamp::from_millis(answered.at as i64 / 200);
        } else {
            event.called = answered.at.saturating_sub(1);
        }
        return;
    }
    answered.answer = match (&event.op, flip) {
        (Op::Load, _) => Answer::Found(other),
        (Op::Insert(_), true) => CREATED,
        (Op::Insert(_), false) => EXISTS,
        (Op::Replace(..), true) => Answer::Replaced,
        (Op::Replace(..), false) => Answer::Refused,
        (Op::Touch(..) | Op::End(_) | Op::Walk(_), _) => return,
    };
}

#[test]
fn the_search_says_the_same_as_every_order_one_after_the_other() {
    let mut random = Random(11);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..60_000 {
        let (start, mut events) = possible(&mut random);
        let disturbed = round % 4 > 0;
        for _ in 0..round % 4 {
            disturb(&mut random, &mut events);
        }
        let wanted = oracle(&events, 0, &start);
        assert!(wanted || disturbed, "a store did this: {start:?} {events:#?}");
        let got = explained(start.clone(), &events);
        assert_eq!(got, wanted, "round {round}: {start:?} {events:#?}");
        *if wanted { &mut accepted } else { &mut refused } += 1;
    }
    assert!(accepted > 10_000 && refused > 5_000, "{accepted} and {refused}");
}
