//! The index names every session of a subject, by pages.

use super::Check;
use super::bench::{Bench, holds, minutes};
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::Store;
use crate::subject::Subject;

async fn named<S: Store>(
    bench: &Bench<S>,
    subject: &Subject,
    key: &SessionKey,
    otherwise: &str,
) -> Check {
    holds(bench.walk(subject, 100).await?.contains(key), otherwise)
}

/// Gives a subject some sessions; returns their keys in ascending order.
async fn sessions<S: Store>(
    bench: &Bench<S>,
    subject: Subject,
    count: usize,
) -> Check<Vec<SessionKey>> {
    let mut keys = bench.keys(count);
    for key in &keys {
        bench.put(key, &bench.live_of(1, subject)).await?;
    }
    keys.sort();
    Ok(keys)
}

pub(super) async fn names_inserted<S: Store>(bench: &Bench<S>) -> Check {
    let (one, other) = (bench.subject(), bench.subject());
    let (of_one, of_other) = (sessions(bench, one, 3).await?, sessions(bench, other, 3).await?);
    for (subject, keys) in [(one, of_one), (other, of_other)] {
        for key in &keys {
            named(bench, &subject, key, "a session that was inserted is not named").await?;
        }
    }
    Ok(())
}

pub(super) async fn follows_replace<S: Store>(bench: &Bench<S>) -> Check {
    let key = bench.key();
    let mut there = bench.live(1);
    bench.put(&key, &there).await?;
    let (one, other) = (bench.subject(), bench.subject());
    // Nobody logs in, keeps the session, switches, logs out, and comes back.
    for subject in [Some(one), Some(one), Some(other), None, Some(one)] {
        let next = Record { subject, ..bench.live(there.revision.as_u64() + 1) };
        bench.swap(&key, &there, &next).await?;
        if let Some(subject) = subject {
            let otherwise = "a session that a replace gave to a subject is not named";
            named(bench, &subject, &key, otherwise).await?;
        }
        there = next;
    }
    Ok(())
}

pub(super) async fn names_expired<S: Store>(bench: &Bench<S>) -> Check {
    if bench.expires_natively() {
        return Ok(());
    }
    let (key, subject) = (bench.key(), bench.subject());
    bench.put(&key, &Record { subject: Some(subject), ..bench.expired(1) }).await?;
    named(bench, &subject, &key, "a record that is past its time is not named").await
}

pub(super) async fn names_touched<S: Store>(bench: &Bench<S>) -> Check {
    let (key, subject) = (bench.key(), bench.subject());
    let record = bench.live_of(1, subject);
    bench.put(&key, &record).await?;
    bench.touch(&key, &record, record.expires_at.plus(minutes(60))).await?;
    named(bench, &subject, &key, "a session that was touched is not named").await
}

pub(super) async fn page_ascends<S: Store>(bench: &Bench<S>) -> Check {
    let subject = bench.subject();
    sessions(bench, subject, 9).await?;
    for limit in [3, 9, 100] {
        let page = bench.page(&subject, None, limit).await?;
        holds(page.is_sorted_by(|a, b| a < b), "the keys of a page do not ascend")?;
    }
    Ok(())
}

pub(super) async fn page_is_limited<S: Store>(bench: &Bench<S>) -> Check {
    let subject = bench.subject();
    sessions(bench, subject, 5).await?;
    for limit in 0..7 {
        let count = bench.page(&subject, None, limit).await?.len();
        holds(count <= limit, &format!("{count} keys with a limit of {limit}"))?;
    }
    Ok(())
}

pub(super) async fn page_starts_after<S: Store>(bench: &Bench<S>) -> Check {
    let subject = bench.subject();
    let keys = sessions(bench, subject, 5).await?;
    for (index, after) in keys.iter().enumerate() {
        let page = bench.page(&subject, Some(after), 100).await?;
        holds(page.iter().all(|key| key > after), "a page names a key that is not after `after`")?;
        let rest = keys[index + 1..].iter().all(|key| page.contains(key));
        holds(rest, "a page does not name all keys after `after`")?;
    }
    Ok(())
}

pub(super) async fn short_page_is_last<S: Store>(bench: &Bench<S>) -> Check {
    let subject = bench.subject();
    let keys = sessions(bench, subject, 6).await?;
    for limit in 1..9 {
        let page = bench.page(&subject, None, limit).await?;
        let missed = keys.iter().any(|key| page.last().is_none_or(|last| key > last));
        holds(
            page.len() == limit || !missed,
            &format!("a page of {} keys with a limit of {limit} is not the last", page.len()),
        )?;
    }
    Ok(())
}

/// Between two pages sessions come, go, and change hands; also the very one
/// from which the walk goes on.
pub(super) async fn walk_misses_nothing<S: Store>(bench: &Bench<S>) -> Check {
    for limit in [1, 2, 3] {
        let subject = bench.subject();
        let mut staying = Vec::new();
        let mut leaving = Vec::new();
        for (index, key) in sessions(bench, subject, 12).await?.into_iter().enumerate() {
            if index % 3 == 2 { leaving.push(key) } else { staying.push(key) }
        }
        let mut seen: Vec<SessionKey> = Vec::new();
        let mut after = None;
        for round in 0.. {
            let page = bench.page(&subject, after.as_ref(), limit).await?;
            seen.extend(&page);
            if page.len() < limit || round > 100 {
                break;
            }
            after = page.last().copied();
            sessions(bench, subject, 1).await?;
            let gone = match after {
                Some(last) if leaving.contains(&last) => Some(last),
                _ => leaving.first().copied(),
            };
            if let Some(gone) = gone {
                leaving.retain(|key| *key != gone);
                if round % 2 == 0 {
                    bench.end(&gone, &bench.tombstone(bench.now.plus(minutes(5)))).await?;
                } else {
                    bench.swap(&gone, &bench.live(1), &bench.live(2)).await?;
                }
            }
        }
        let missed = staying.iter().filter(|key| !seen.contains(key)).count();
        holds(missed == 0, &format!("a walk by pages of {limit} missed {missed} of 8 sessions"))?;
    }
    Ok(())
}
