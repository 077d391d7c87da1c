//! As much of a history as shows that nothing explains it.

use std::fmt::Write;

use super::model::{Answer, Op, State};
use super::search::{Answered, Event, Failure, Removal, explain, needless};
use crate::record::Record;
use crate::store::{Inserted, Revision};
use crate::time::Timestamp;

/// Above this, calls that are not needed are not looked for.
const SHORT: usize = 120;

/// The calls up to the one that cannot be explained, from the last moment on at
/// which it was sure what was there, without those that do not matter.
pub(super) fn excerpt(
    events: &[Event],
    start: &State,
    removal: Removal,
    failed: usize,
    since: Option<(u64, State)>,
) -> String {
    let end = events[failed].answered.as_ref().map_or(u64::MAX, |answered| answered.at);
    let (from, state) = match since {
        Some((place, state)) => (place, state),
        None => (0, start.clone()),
    };
    let answered_later =
        |event: &Event| event.answered.as_ref().is_none_or(|answered| answered.at > from);
    let mut kept: Vec<Event> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (index, event) in events.iter().enumerate() {
        let lost = event.answered.is_none() && event.op.only_looks();
        if event.called < end && answered_later(event) && !lost {
            places.insert(index, kept.len());
            let follows = event.follows.and_then(|before| places.get(&before).copied());
            let mut event = Event { follows, ..event.clone() };
            // What is answered afterwards explains nothing yet.
            if event.answered.as_ref().is_some_and(|answered| answered.at > end) {
                event.answered = None;
                event.failed = Some("no answer yet".to_owned());
            }
            kept.push(event);
        }
    }
    if kept.len() <= SHORT
        && matches!(explain(&kept, &state, removal), Err(Failure::Unexplained { .. }))
    {
        let without = needless(&kept, &state, removal);
        let mut index = 0;
        kept.retain(|_| {
            index += 1;
            !without.contains(&(index - 1))
        });
    }
    kept.sort_by_key(|event| event.called);
    let zero = kept.first().map_or(Timestamp::from_millis(0), |event| event.began);
    let mut text =
        "no order of these calls explains their answers; before them there was ".to_owned();
    text.push_str(&there(&state, zero));
    let left_out = kept.len().saturating_sub(SHORT);
    if left_out > 0 {
        let _ = write!(text, "\n    .. {left_out} calls");
    }
    for event in &kept[left_out..] {
        let began = past(event.began, zero);
        let _ = write!(text, "\n    {began} {}: {} -> ", event.called, told(&event.op, zero));
        match (&event.answered, &event.failed) {
            (Some(Answered { at, time, answer }), _) => {
                let _ = write!(text, "{} ({at}, {})", answer_told(answer, zero), past(*time, zero));
            }
            (None, Some(failed)) => text.push_str(failed),
            (None, None) => text.push_str("dropped"),
        }
    }
    text
}

fn past(time: Timestamp, zero: Timestamp) -> String {
    let millis = i128::from(time.as_millis()) - i128::from(zero.as_millis());
    format!("{}{millis} ms", if millis < 0 { "" } else { "+" })
}

fn there(state: &State, zero: Timestamp) -> String {
    state.as_ref().map_or("nothing".to_owned(), |record| record_told(record, zero))
}

fn revision(revision: Revision) -> String {
    if revision == Revision::ENDED {
        "tombstone".to_owned()
    } else {
        format!("#{}", revision.as_u64())
    }
}

fn record_told(record: &Record, zero: Timestamp) -> String {
    let mut text = revision(record.revision);
    if let Some(subject) = &record.subject {
        let _ = write!(text, " of {}", short(subject.as_bytes()));
    }
    let _ = write!(text, " until {} body {}", past(record.expires_at, zero), short(&record.body));
    text
}

/// Enough bytes to tell one from another.
fn short(bytes: &[u8]) -> String {
    bytes.iter().take(4).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn told(op: &Op, zero: Timestamp) -> String {
    match op {
        Op::Load => "load".to_owned(),
        Op::Insert(record) => format!("insert {}", record_told(record, zero)),
        Op::Replace(expected, record) => {
            format!("replace {} by {}", revision(*expected), record_told(record, zero))
        }
        Op::Touch(at, expires_at) => {
            format!("touch {} until {}", revision(*at), past(*expires_at, zero))
        }
        Op::End(tombstone) => format!("end by {}", record_told(tombstone, zero)),
        Op::Walk(subject) => format!("sessions_of {}", short(subject.as_bytes())),
    }
}

fn answer_told(answer: &Answer, zero: Timestamp) -> String {
    match answer {
        Answer::Found(state) => there(state, zero),
        Answer::Inserted(Inserted::Created) => "created".to_owned(),
        Answer::Inserted(Inserted::Exists) => "exists".to_owned(),
        Answer::Replaced => "done".to_owned(),
        Answer::Refused => "refused".to_owned(),
        Answer::Nothing => "ok".to_owned(),
        Answer::Missed => "not named".to_owned(),
    }
}
