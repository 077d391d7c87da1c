//! `remove_expired` removes what is due, by batches.

use std::time::Duration;

use super::Check;
use super::bench::{Bench, LONG_AGO, holds, minutes, same};
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::Store;
use crate::time::Timestamp;

const MILLI: Duration = Duration::from_millis(1);

/// Writes records of one deadline where nothing else is due.
///
/// In an engine that expires records by itself there is nothing to see, and
/// `None` is returned.
async fn due<S: Store>(
    bench: &Bench<S>,
    count: usize,
    expires_at: Timestamp,
) -> Check<Option<Vec<SessionKey>>> {
    if bench.expires_natively() {
        return Ok(None);
    }
    bench.drain(LONG_AGO.plus(minutes(60))).await?;
    let keys = bench.keys(count);
    for key in &keys {
        bench.put(key, &bench.until(expires_at)).await?;
    }
    Ok(Some(keys))
}

async fn left<S: Store>(bench: &Bench<S>, keys: &[SessionKey]) -> Check<usize> {
    let mut left = 0;
    for key in keys {
        left += usize::from(bench.load(key).await?.is_some());
    }
    Ok(left)
}

pub(super) async fn removes_due<S: Store>(bench: &Bench<S>) -> Check {
    let Some(keys) = due(bench, 3, LONG_AGO).await? else { return Ok(()) };
    bench.sweep(LONG_AGO.plus(minutes(1)), 100).await?;
    same("records that are due and still there", left(bench, &keys).await?, 0)?;
    // The key is free again.
    bench.put(&keys[0], &bench.live(1)).await
}

pub(super) async fn removes_now<S: Store>(bench: &Bench<S>) -> Check {
    let Some(keys) = due(bench, 2, LONG_AGO).await? else { return Ok(()) };
    bench.sweep(LONG_AGO, 100).await?;
    same("records whose deadline is `now` and that are still there", left(bench, &keys).await?, 0)
}

pub(super) async fn leaves_the_rest<S: Store>(bench: &Bench<S>) -> Check {
    let live = bench.key();
    bench.put(&live, &bench.live(1)).await?;
    if let Some(keys) = due(bench, 2, LONG_AGO.plus(MILLI)).await? {
        bench.sweep(LONG_AGO, 100).await?;
        same("records that are due in 1 ms and still there", left(bench, &keys).await?, 2)?;
    }
    bench.sweep(LONG_AGO, 100).await?;
    same("records that are due in an hour and still there", left(bench, &[live]).await?, 1)
}

pub(super) async fn is_bounded<S: Store>(bench: &Bench<S>) -> Check {
    let Some(keys) = due(bench, 7, LONG_AGO).await? else { return Ok(()) };
    for (limit, there) in [(0, 7), (3, 4), (1, 3)] {
        bench.sweep(LONG_AGO, limit).await?;
        let left = left(bench, &keys).await?;
        holds(
            left >= there,
            &format!("a sweep with a limit of {limit} left {left} records and not {there}"),
        )?;
    }
    Ok(())
}

pub(super) async fn counts<S: Store>(bench: &Bench<S>) -> Check {
    let Some(keys) = due(bench, 5, LONG_AGO).await? else { return Ok(()) };
    let mut there = keys.len();
    for limit in [0, 2, 2, 2, 2] {
        let said = bench.sweep(LONG_AGO, limit).await?;
        let left = left(bench, &keys).await?;
        same("records that a sweep says it removed", said, there - left)?;
        there = left;
    }
    Ok(())
}

pub(super) async fn fewer_is_all<S: Store>(bench: &Bench<S>) -> Check {
    let Some(keys) = due(bench, 11, LONG_AGO).await? else { return Ok(()) };
    for _ in 0..=keys.len() {
        if bench.sweep(LONG_AGO, 4).await? < 4 {
            let left = left(bench, &keys).await?;
            return same("records that are due after a sweep of fewer than `limit`", left, 0);
        }
    }
    Err("remove_expired never answers fewer than `limit`".to_owned())
}

pub(super) async fn takes_tombstones<S: Store>(bench: &Bench<S>) -> Check {
    let Some(keys) = due(bench, 1, LONG_AGO).await? else { return Ok(()) };
    let ended = [keys[0], bench.key()];
    for key in &ended {
        bench.end(key, &bench.tombstone(LONG_AGO)).await?;
    }
    bench.sweep(LONG_AGO, 100).await?;
    same("tombstones that are due and still there", left(bench, &ended).await?, 0)?;
    bench.put(&ended[0], &bench.live(1)).await
}

pub(super) async fn goes_by_the_deadline<S: Store>(bench: &Bench<S>) -> Check {
    let Some(keys) = due(bench, 4, LONG_AGO).await? else { return Ok(()) };
    let [touched, prolonged, ended, shortened] = keys[..] else { return Ok(()) };
    let (later, old) = (LONG_AGO.plus(minutes(30)), bench.live(1));
    bench.touch(&touched, &old, later).await?;
    bench.swap(&prolonged, &old, &Record { expires_at: later, ..bench.live(2) }).await?;
    bench.end(&ended, &bench.tombstone(later)).await?;
    bench.touch(&shortened, &old, later).await?;
    bench.swap(&shortened, &old, &Record { expires_at: LONG_AGO, ..bench.live(2) }).await?;
    bench.sweep(LONG_AGO.plus(minutes(1)), 100).await?;
    let moved = left(bench, &[touched, prolonged, ended]).await?;
    same("records whose deadline was moved forward and that are still there", moved, 3)?;
    let shortened = left(bench, &[shortened]).await?;
    same("records whose deadline was moved back and that are still there", shortened, 0)
}
