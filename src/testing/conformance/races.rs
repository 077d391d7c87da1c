//! What may happen when calls overlap.
//!
//! Twice: with all calls at once, on the caller's threads if it gave any; and
//! in every order of two or three, as the scheduler decides it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Check;
use super::bench::{Bench, Job, LONG_AGO, holds, minutes, said, same};
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Inserted, Replaced, Revision, Store};
use crate::subject::Subject;
use crate::testing::history::{History, Op, State};
use crate::testing::schedule::explore_here;
use crate::testing::yielding::{Yielding, Yields};

/// How often a race on real threads is repeated, as each run sees one order.
const ROUNDS: usize = 6;

pub(super) async fn one_insert_wins<S: Store>(bench: &Bench<S>) -> Check {
    for _ in 0..ROUNDS {
        let key = bench.key();
        let records: Vec<_> = (0..bench.width as u64).map(|n| bench.live(n + 1)).collect();
        let jobs = records.iter().cloned().map(|record| {
            let store = Arc::clone(&bench.store);
            Box::pin(async move { said("insert", store.insert(&key, &record).await) }) as Job<_>
        });
        let answers = bench.race(jobs.collect()).await?;
        let answers: Check<Vec<_>> = answers.into_iter().collect();
        let winners = winners(&answers?, &Inserted::Created);
        same("inserts of one key that created it", winners.len(), 1)?;
        bench.expect("after the inserts", &key, &records[winners[0]]).await?;
    }
    Ok(())
}

pub(super) async fn one_replace_wins<S: Store>(bench: &Bench<S>) -> Check {
    for _ in 0..ROUNDS {
        let (key, first) = (bench.key(), bench.live(1));
        bench.put(&key, &first).await?;
        let records: Vec<_> = (0..bench.width as u64).map(|n| bench.live(n + 2)).collect();
        let jobs = records.iter().cloned().map(|record| {
            let (store, expected) = (Arc::clone(&bench.store), first.revision);
            let replace =
                async move { said("replace", store.replace(&key, expected, &record).await) };
            Box::pin(replace) as Job<_>
        });
        let answers = bench.race(jobs.collect()).await?;
        let answers: Check<Vec<_>> = answers.into_iter().collect();
        let winners = winners(&answers?, &Replaced::Done);
        same("replaces from one revision that were done", winners.len(), 1)?;
        bench.expect("after the replaces", &key, &records[winners[0]]).await?;
    }
    Ok(())
}

fn winners<T: PartialEq>(answers: &[T], won: &T) -> Vec<usize> {
    let answers = answers.iter().enumerate();
    answers.filter(|(_, answer)| *answer == won).map(|(index, _)| index).collect()
}

/// Adds one to the number in a record's body, by compare and swap.
async fn increment<S: Store>(store: &S, key: &SessionKey, tries: usize) -> Check {
    for _ in 0..tries {
        let there = said("load", store.load(key).await)?.ok_or("the counter is gone")?;
        let mut count = [0; 4];
        count.copy_from_slice(there.body.get(..4).ok_or("the counter's body was cut")?);
        let next = Record {
            revision: Revision::from_u64(there.revision.as_u64() + 1),
            body: (u32::from_le_bytes(count) + 1).to_le_bytes().to_vec().into(),
            ..there
        };
        if said("replace", store.replace(key, there.revision, &next).await)? == Replaced::Done {
            return Ok(());
        }
    }
    Err("a replace is refused again and again".to_owned())
}

async fn counted<S: Store>(bench: &Bench<S>, key: &SessionKey, wanted: usize) -> Check {
    let there = bench.load(key).await?.ok_or("the counter is gone")?;
    same("increments that were kept", &*there.body, &(wanted as u32).to_le_bytes()[..])
}

pub(super) async fn no_increment_is_lost<S: Store>(bench: &Bench<S>) -> Check {
    let zero = || Record { body: vec![0; 4].into(), ..bench.live(1) };
    let key = bench.key();
    bench.put(&key, &zero()).await?;
    let tries = bench.width * 4 + 8;
    let jobs = (0..bench.width).map(|_| {
        let store = Arc::clone(&bench.store);
        Box::pin(async move {
            for _ in 0..3 {
                increment(&*store, &key, tries).await?;
            }
            Ok(())
        }) as Job<Check>
    });
    for incremented in bench.race(jobs.collect()).await? {
        incremented?;
    }
    counted(bench, &key, bench.width * 3).await?;

    for tasks in [2, 3] {
        let scenario = async || {
            let key = bench.key();
            bench.put(&key, &zero()).await?;
            let outcome = Arc::new(Mutex::new(Ok(())));
            let task = |_| {
                let store = Yielding::new(Arc::clone(&bench.store), Yields::Before);
                let outcome = Arc::clone(&outcome);
                Box::pin(async move {
                    if let Err(failed) = increment(&store, &key, 9).await {
                        *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Err(failed);
                    }
                }) as Job
            };
            Ok(((0..tasks).map(task).collect(), (key, outcome)))
        };
        let check = async |(key, outcome): (SessionKey, Arc<Mutex<Check>>)| {
            outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
            counted(bench, &key, tasks).await
        };
        explore_here(bench.runs, 0, bench.seed, scenario, check).await?;
    }
    Ok(())
}

pub(super) async fn ended_stays_ended<S: Store>(bench: &Bench<S>) -> Check {
    let tombstone = bench.tombstone(bench.now.plus(minutes(90)));
    let start = bench.live(1);
    // As the tasks of one session: writers, a late insert, readers that touch,
    // and the logout, with and without a record to begin with.
    let jobs = |key: SessionKey, writers: usize| -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        for writer in 0..writers {
            let store = Yielding::new(Arc::clone(&bench.store), Yields::Before);
            let new = bench.live(1 << (writer + 4));
            let moved = start.expires_at.plus(minutes(1));
            jobs.push(Box::pin(async move {
                // Refusals are fine, and so are failures: what counts is the end.
                let there = store.load(&key).await.ok().flatten();
                let _ = match (writer % 3, there) {
                    (0, Some(there)) if there.revision < new.revision => {
                        store.replace(&key, there.revision, &new).await.map(|_| ())
                    }
                    (1, _) => store.touch(&key, start.revision, moved).await,
                    (0 | 2.., _) => store.insert(&key, &new).await.map(|_| ()),
                };
            }));
        }
        let (store, tombstone) = (Arc::clone(&bench.store), tombstone.clone());
        let end = async move {
            let _ = store.end(&key, &tombstone).await;
        };
        jobs.insert(writers / 2, Box::pin(end));
        jobs
    };
    let ended = async |key: SessionKey| {
        bench.expect("after end and what was under way", &key, &tombstone).await?;
        let inserted = bench.insert(&key, &bench.live(3)).await?;
        same("insert after end", inserted, Inserted::Exists)
    };
    for begin in [true, false] {
        let prepare = async || {
            let key = bench.key();
            if begin {
                bench.put(&key, &start).await?;
            }
            Check::Ok(key)
        };
        for _ in 0..ROUNDS {
            let key = prepare().await?;
            bench.race(jobs(key, bench.width)).await?;
            ended(key).await?;
        }
        for writers in [1, 2, 3] {
            let scenario = async || prepare().await.map(|key| (jobs(key, writers), key));
            explore_here(bench.runs, 0, bench.seed, scenario, ended).await?;
        }
    }
    Ok(())
}

/// Looks whether a record with a subject is in the index: the same revision
/// before and after, so the record was there all the while.
async fn watch<S: Store>(store: &S, key: &SessionKey, subjects: &[Subject]) -> Check {
    let before = said("load", store.load(key).await)?;
    let Some(subject) = before.as_ref().and_then(|record| record.subject) else { return Ok(()) };
    if !subjects.contains(&subject) {
        return Err("a subject that nobody wrote".to_owned());
    }
    let page = said("sessions_of", store.sessions_of(&subject, None, 100).await)?;
    let after = said("load", store.load(key).await)?;
    let stayed = before.map(|record| record.revision) == after.map(|record| record.revision);
    holds(!stayed || page.contains(key), "a session that could be loaded is not in the index")
}

/// What there is, and what is written to it, one after the other.
fn index_changes<S: Store>(bench: &Bench<S>, subjects: [Subject; 2]) -> [(State, Vec<Op>); 7] {
    let [one, other] = subjects.map(Some);
    let of = |revision, subject| Record { subject, ..bench.live(revision) };
    let replace = |from: u64, subject| Op::Replace(Revision::from_u64(from), of(from + 1, subject));
    let tombstone = bench.tombstone(bench.now.plus(minutes(90)));
    [
        (None, vec![Op::Insert(of(1, one))]),
        (Some(of(1, None)), vec![replace(1, one)]),
        (Some(of(1, one)), vec![replace(1, other)]),
        (Some(of(1, one)), vec![replace(1, one)]),
        (Some(of(1, one)), vec![replace(1, None)]),
        (Some(of(1, one)), vec![Op::End(tombstone)]),
        (Some(of(1, one)), vec![replace(1, other), replace(2, one)]),
    ]
}

pub(super) async fn index_never_misses<S: Store>(bench: &Bench<S>) -> Check {
    for change in 0..index_changes(bench, [bench.subject(); 2]).len() {
        let jobs = async |watchers: usize| {
            let (key, subjects) = (bench.key(), [bench.subject(), bench.subject()]);
            let (start, ops) = index_changes(bench, subjects)[change].clone();
            if let Some(start) = &start {
                bench.put(&key, start).await?;
            }
            let outcome = Arc::new(Mutex::new(Check::Ok(())));
            let mut jobs: Vec<Job> = Vec::new();
            let store = Arc::clone(&bench.store);
            jobs.push(Box::pin(async move {
                for op in ops {
                    let _ = History::default().perform(&*store, &key, op).await;
                }
            }));
            for _ in 0..watchers {
                let store = Yielding::new(Arc::clone(&bench.store), Yields::Before);
                let outcome = Arc::clone(&outcome);
                jobs.push(Box::pin(async move {
                    if let Err(missed) = watch(&store, &key, &subjects).await {
                        *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Err(missed);
                    }
                }));
            }
            Check::Ok((jobs, outcome))
        };
        let verdict = async |outcome: Arc<Mutex<Check>>| {
            outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        for _ in 0..ROUNDS {
            let (jobs, outcome) = jobs(bench.width).await?;
            bench.race(jobs).await?;
            verdict(outcome).await?;
        }
        explore_here(bench.runs, 0, bench.seed, async || jobs(1).await, verdict).await?;
    }
    Ok(())
}

/// A due record is swept and, at the same time, touched or replaced.
pub(super) async fn sweep_or_touch<S: Store>(bench: &Bench<S>) -> Check {
    if bench.expires_natively() {
        return Ok(());
    }
    let later = LONG_AGO.plus(minutes(60));
    let due = Record { expires_at: LONG_AGO, ..bench.live(1) };
    let moved = Record { expires_at: later, ..due.clone() };
    let next = Record { expires_at: later, ..bench.live(2) };
    let changes = [
        (Op::Touch(due.revision, later), &moved),
        (Op::Replace(due.revision, next.clone()), &next),
    ];
    for (op, after) in changes {
        let scenario = async || {
            bench.drain(later).await?;
            let key = bench.key();
            bench.put(&key, &due).await?;
            let swept = Arc::new(Mutex::new(Check::Ok(0)));
            let (store, answer) = (Arc::clone(&bench.store), Arc::clone(&swept));
            let sweep = async move {
                let count = store.remove_expired(LONG_AGO.plus(minutes(1)), 10).await;
                let count = said("remove_expired", count);
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = count;
            };
            let (store, op) = (Arc::clone(&bench.store), op.clone());
            let seen = Arc::new(AtomicBool::new(false));
            let saw = Arc::clone(&seen);
            let change = async move {
                let _ = History::default().perform(&*store, &key, op).await;
                let there = store.load(&key).await.ok().flatten();
                saw.store(there.is_some_and(|there| there.expires_at == later), Ordering::SeqCst);
            };
            Ok((vec![Box::pin(sweep) as Job, Box::pin(change) as Job], (key, swept, seen)))
        };
        let check =
            async |(key, swept, seen): (SessionKey, Arc<Mutex<Check<usize>>>, Arc<AtomicBool>)| {
                let swept = swept.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match (swept?, seen.load(Ordering::SeqCst)) {
                    (0, _) => bench.expect("a sweep removed nothing", &key, after).await,
                    (_, false) => {
                        same("a record that a sweep removed", bench.load(&key).await?, None)
                    }
                    (_, true) => {
                        Err("a record was seen with its new deadline, and removed".to_owned())
                    }
                }
            };
        explore_here(bench.runs, 0, bench.seed, &scenario, check).await?;
        for _ in 0..ROUNDS {
            let (jobs, context) = scenario().await?;
            bench.race(jobs).await?;
            check(context).await?;
        }
    }
    Ok(())
}

/// What a key can begin with.
fn starts<S: Store>(bench: &Bench<S>) -> Vec<State> {
    let mut starts = vec![
        None,
        Some(bench.live_of(1, bench.subject())),
        Some(bench.tombstone(bench.now.plus(minutes(5)))),
    ];
    if !bench.expires_natively() {
        starts.push(Some(bench.expired(1)));
    }
    starts
}

/// One of each verb, and a second writer.
fn palette<S: Store>(bench: &Bench<S>) -> Vec<Op> {
    let first = Revision::from_u64(1);
    vec![
        Op::Replace(first, bench.live(2)),
        Op::Replace(first, bench.live_of(3, bench.subject())),
        Op::Insert(bench.live(1)),
        Op::Touch(first, bench.now.plus(minutes(75))),
        Op::End(bench.tombstone(bench.now.plus(minutes(10)))),
        Op::Load,
    ]
}

async fn begin<S: Store>(bench: &Bench<S>, start: &State) -> Check<SessionKey> {
    let key = bench.key();
    match start {
        None => {}
        Some(tombstone) if tombstone.revision == Revision::ENDED => {
            bench.end(&key, tombstone).await?;
        }
        Some(record) => bench.put(&key, record).await?,
    }
    Ok(key)
}

fn jobs_of<S: Store>(bench: &Bench<S>, key: SessionKey, history: &History, ops: &[Op]) -> Vec<Job> {
    let job = |op: &Op| {
        let (store, history, op) = (Arc::clone(&bench.store), history.clone(), op.clone());
        Box::pin(async move {
            let _ = history.perform(&*store, &key, op).await;
        }) as Job
    };
    ops.iter().map(job).collect()
}

/// Tries a few calls on one key in every order, dropping up to `drops` of them,
/// and looks for an explanation of their answers and of what is there at last.
async fn explain_all<S: Store>(bench: &Bench<S>, start: &State, ops: &[Op], drops: usize) -> Check {
    let scenario = async || {
        let key = begin(bench, start).await?;
        let history = History::default();
        Ok((jobs_of(bench, key, &history, ops), (key, history)))
    };
    let check = async |(key, history): (SessionKey, History)| {
        let _ = history.perform(&*bench.store, &key, Op::Load).await;
        history.explained(start)
    };
    explore_here(bench.runs, drops, bench.seed, scenario, check).await?;
    Ok(())
}

pub(super) async fn one_step<S: Store>(bench: &Bench<S>) -> Check {
    let palette = palette(bench);
    for start in starts(bench) {
        for (a, one) in palette.iter().enumerate() {
            for (b, two) in palette.iter().enumerate().skip(a) {
                explain_all(bench, &start, &[one.clone(), two.clone()], 0).await?;
                for three in &palette[b..] {
                    let ops = [one.clone(), two.clone(), three.clone()];
                    explain_all(bench, &start, &ops, 0).await?;
                }
            }
        }
        for _ in 0..ROUNDS {
            let key = begin(bench, &start).await?;
            let history = History::default();
            bench.race(jobs_of(bench, key, &history, &palette)).await?;
            let _ = history.perform(&*bench.store, &key, Op::Load).await;
            history.explained(&start)?;
        }
    }
    Ok(())
}

pub(super) async fn dropped_halfway<S: Store>(bench: &Bench<S>) -> Check {
    let palette = palette(bench);
    for start in starts(bench) {
        for (a, one) in palette.iter().enumerate() {
            explain_all(bench, &start, std::slice::from_ref(one), 1).await?;
            for two in &palette[a..] {
                explain_all(bench, &start, &[one.clone(), two.clone()], 1).await?;
            }
        }
    }
    Ok(())
}
