//! What the operator can ask for.

use std::collections::HashMap;
use std::error::Error;
use std::io::{IsTerminal, stdin};
use std::time::Duration;

use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::json;
use typed_session::store::{self, Cursor, DynStore, ErrorKind, Revision, Row, Scan, Store};
use typed_session::{
    Clock, EndReason, Event, KeyRing, Observer, SessionData, SessionKey, SessionLayer, Subject,
    SystemClock, SystemEntropy, Timestamp,
};

use crate::output::{Output, hash, moment};

type Outcome = Result<(), Box<dyn Error>>;

/// How many rows are fetched at once.
const PAGE: usize = 1000;

/// Sessions are ended here and never read, so nothing is in them.
#[derive(Default, Deserialize, Serialize)]
struct Unread {}

impl SessionData for Unread {}

/// The text alone, so that it can go into a file as it is.
pub(crate) fn key(output: Output) -> Outcome {
    let key = KeyRing::generate_text(&SystemEntropy)?;
    let id = KeyRing::from_text(&key)?.key_ids().map(|id| id.to_string()).collect::<String>();
    output.print(|| key.clone(), || json!({ "key": key, "id": id }))
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Live,
    Expired,
    Ended,
}

impl State {
    fn of(revision: Revision, expires_at: Timestamp, now: Timestamp) -> Self {
        match revision {
            Revision::ENDED => Self::Ended,
            _ if expires_at <= now => Self::Expired,
            _ => Self::Live,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

/// Shows every row to `each`, and says how many make no sense.
async fn walk(store: &DynStore, mut each: impl FnMut(&Row)) -> store::Result<usize> {
    let (mut from, mut corrupt) = (None::<Cursor>, 0);
    loop {
        let page = store.scan(from.as_ref(), PAGE).await?;
        page.rows.iter().for_each(&mut each);
        corrupt += page.corrupt.len();
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(corrupt),
        }
    }
}

pub(crate) async fn migrate(store: &DynStore, output: Output) -> Outcome {
    store.migrate().await?;
    output.print(|| "the store is ready".to_owned(), || json!({ "migrated": true }))
}

pub(crate) async fn stats(store: &DynStore, top: usize, output: Output) -> Outcome {
    let now = SystemClock.now();
    let (mut live, mut expired, mut ended, mut anonymous) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut subjects = HashMap::<Subject, u64>::new();
    let bar = output.spinner("counting");
    let corrupt = walk(store, |row| {
        if !row.is_session() {
            return;
        }
        match State::of(row.revision, row.expires_at, now) {
            State::Live => {
                live += 1;
                match row.subject {
                    Some(subject) => *subjects.entry(subject).or_default() += 1,
                    None => anonymous += 1,
                }
            }
            State::Expired => expired += 1,
            State::Ended => ended += 1,
        }
        bar.inc(1);
    })
    .await?;
    bar.finish_and_clear();
    let people = subjects.len();
    let mut most: Vec<_> = subjects.into_iter().collect();
    most.sort_unstable_by_key(|(subject, count)| (u64::MAX - count, *subject));
    most.truncate(top);
    output.print(
        || {
            let mut text = format!(
                "{live} live, of {people} subjects and {anonymous} without one\n\
                 {expired} expired, not removed yet\n\
                 {ended} ended, remembered for a while"
            );
            if corrupt > 0 {
                text.push_str(&format!("\n{corrupt} that make no sense"));
            }
            for (subject, count) in &most {
                text.push_str(&format!("\n{count:>8}  {}", hash(subject)));
            }
            text
        },
        || {
            let of = |(subject, count): &(Subject, u64)| json!({ "subject": hash(subject), "live": count });
            json!({
                "live": live,
                "expired": expired,
                "ended": ended,
                "corrupt": corrupt,
                "without_subject": anonymous,
                "subjects": people,
                "top": most.iter().map(of).collect::<Vec<_>>(),
            })
        },
    )
}

pub(crate) async fn sweep(store: &DynStore, batch: usize, count: bool, output: Output) -> Outcome {
    let now = SystemClock.now();
    let bar = if count {
        let counting = output.spinner("counting what has expired");
        let mut due = 0;
        walk(store, |row| {
            due += u64::from(row.expires_at <= now);
            counting.inc(1);
        })
        .await?;
        counting.finish_and_clear();
        output.bar(due, "removing")
    } else {
        output.spinner("removing")
    };
    let (mut removed, mut batches) = (0, 0_u64);
    loop {
        let gone = store.remove_expired(now, batch).await?;
        (removed, batches) = (removed + gone, batches + 1);
        bar.inc(gone as u64);
        if gone < batch {
            break;
        }
    }
    let took = bar.elapsed();
    bar.finish_and_clear();
    let rate = removed as f64 / took.as_secs_f64().max(0.001);
    output.print(
        || format!("removed {removed} in {batches} batches, {rate:.0} a second"),
        || json!({ "removed": removed, "batches": batches, "per_second": rate.round() }),
    )
}

pub(crate) async fn list(store: &DynStore, subject: Subject, output: Output) -> Outcome {
    let now = SystemClock.now();
    let mut after = None;
    loop {
        let keys = store.sessions_of(&subject, after.as_ref(), PAGE).await?;
        for key in &keys {
            let record = match store.load(key).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    output.print(
                        || format!("{key}  corrupt"),
                        || json!({ "key": key.to_string(), "state": "corrupt" }),
                    )?;
                    continue;
                }
                record => record?,
            };
            // The index may name more than there is.
            let Some(record) = record else { continue };
            if record.subject != Some(subject) {
                continue;
            }
            let state = State::of(record.revision, record.expires_at, now).name();
            output.print(
                || format!("{key}  {state:<7}  until {}", moment(record.expires_at)),
                || {
                    json!({
                        "key": key.to_string(),
                        "state": state,
                        "expires_at_ms": record.expires_at.as_millis(),
                        "bytes": record.body.len(),
                    })
                },
            )?;
        }
        match keys.last() {
            Some(last) if keys.len() == PAGE => after = Some(*last),
            _ => return Ok(()),
        }
    }
}

pub(crate) async fn end(store: DynStore, key: SessionKey, output: Output) -> Outcome {
    let now = SystemClock.now();
    let was = match store.load(&key).await {
        Ok(Some(there)) => State::of(there.revision, there.expires_at, now).name(),
        Ok(None) => "absent",
        Err(error) if error.kind() == ErrorKind::Corrupt => "corrupt",
        Err(error) => return Err(error.into()),
    };
    // Also where nothing is, so that a session under way cannot begin.
    layer(store).end(&key, EndReason::Revoked).await?;
    output.print(|| format!("ended; it was {was}"), || json!({ "ended": 1, "was": was }))
}

pub(crate) async fn end_subject(store: DynStore, subject: Subject, output: Output) -> Outcome {
    let ended = layer(store).end_all(subject, EndReason::Revoked).await?;
    output.print(|| format!("ended {ended}"), || json!({ "ended": ended }))
}

pub(crate) async fn end_everyone(store: DynStore, yes: bool, output: Output) -> Outcome {
    if !yes && !confirmed()? {
        return Err("nothing was ended".into());
    }
    let bar = output.spinner("ending");
    let ended =
        layer(store).observer(Counting(bar.clone())).end_everyone(EndReason::Revoked).await?;
    bar.finish_and_clear();
    output.print(|| format!("ended {ended}"), || json!({ "ended": ended }))
}

/// Shows each session that is ended.
struct Counting(ProgressBar);

impl Observer for Counting {
    fn event(&self, event: &Event<'_>) {
        if let Event::Ended { .. } = event {
            self.0.inc(1);
        }
    }
}

/// A tombstone outlives every request that may be under way, also a very slow one.
fn layer(store: DynStore) -> SessionLayer<Unread, DynStore> {
    SessionLayer::new(store).remember_ended(Duration::from_secs(60 * 60))
}

fn confirmed() -> Result<bool, Box<dyn Error>> {
    if !stdin().is_terminal() {
        return Err("this ends the sessions of everybody; in a script, say --yes".into());
    }
    eprint!("This logs out everybody. Type `yes` to go on: ");
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
