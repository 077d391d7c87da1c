//! `touch` moves a deadline forward and does nothing else.

use std::time::Duration;

use super::Check;
use super::bench::{Bench, holds, minutes, same};
use crate::record::Record;
use crate::store::Store;
use crate::time::Timestamp;

pub(super) async fn moves_forward<S: Store>(bench: &Bench<S>) -> Check {
    let mut starts = vec![bench.live(1)];
    if !bench.expires_natively() {
        starts.push(bench.expired(1));
    }
    for start in starts {
        let key = bench.key();
        bench.put(&key, &start).await?;
        let mut there = start;
        for later in [Duration::from_millis(1), minutes(1), minutes(120)] {
            let moved = there.expires_at.plus(later);
            // At the revision that is there: another rule is on its staying so.
            let at = bench.load(&key).await?.ok_or("an inserted record is not there")?;
            bench.touch(&key, &at, moved).await?;
            let deadline = bench.load(&key).await?.map(|record| record.expires_at);
            holds(deadline == Some(moved), "touch with a later deadline did not move it")?;
            there.expires_at = moved;
        }
    }
    let mut extremes = vec![i64::MAX];
    if !bench.expires_natively() {
        extremes.extend([-1001, -1, 0, 1, i64::from(u32::MAX) + 1]);
    }
    for deadline in extremes.into_iter().map(Timestamp::from_millis) {
        let (key, start) = (bench.key(), bench.live(1));
        let ago = Record { expires_at: Timestamp::from_millis(i64::MIN), ..start.clone() };
        bench.put(&key, if bench.expires_natively() { &start } else { &ago }).await?;
        bench.touch(&key, &start, deadline).await?;
        let there = bench.load(&key).await?.map(|record| record.expires_at.as_millis());
        same("a deadline that touch moved", there, Some(deadline.as_millis()))?;
    }
    Ok(())
}

pub(super) async fn never_creates<S: Store>(bench: &Bench<S>) -> Check {
    let key = bench.key();
    bench.touch(&key, &bench.live(0), bench.now.plus(minutes(5))).await?;
    holds(bench.load(&key).await?.is_none(), "touch of an absent key made a record")
}

pub(super) async fn checks_revision<S: Store>(bench: &Bench<S>) -> Check {
    let (key, record) = (bench.key(), bench.live(5));
    bench.put(&key, &record).await?;
    let later = record.expires_at.plus(minutes(5));
    for other in [4, 6] {
        bench.touch(&key, &bench.live(other), later).await?;
        bench.expect("after touch at another revision", &key, &record).await?;
    }
    // As a request does that loaded the session before it ended.
    let tombstone = bench.tombstone(bench.now.plus(minutes(5)));
    bench.end(&key, &tombstone).await?;
    let ended = bench.load(&key).await?;
    bench.touch(&key, &record, later).await?;
    same("what has ended, after touch", bench.load(&key).await?, ended)
}

pub(super) async fn never_moves_back<S: Store>(bench: &Bench<S>) -> Check {
    let (key, record) = (bench.key(), bench.live(1));
    bench.put(&key, &record).await?;
    for earlier in [Duration::ZERO, Duration::from_millis(1), minutes(30), minutes(90)] {
        bench.touch(&key, &record, record.expires_at.minus(earlier)).await?;
        let deadline = bench.load(&key).await?.map(|record| record.expires_at);
        holds(
            deadline == Some(record.expires_at),
            "touch with an earlier deadline moved it, or lost the record",
        )?;
    }
    Ok(())
}

pub(super) async fn leaves_the_rest<S: Store>(bench: &Bench<S>) -> Check {
    let (key, record) = (bench.key(), bench.live_of(5, bench.subject()));
    bench.put(&key, &record).await?;
    let moved = Record { expires_at: record.expires_at.plus(minutes(5)), ..record };
    bench.touch(&key, &moved, moved.expires_at).await?;
    bench.expect("after touch", &key, &moved).await?;
    let next = bench.live(6);
    bench.swap(&key, &moved, &next).await?;
    bench.expect("after touch and replace", &key, &next).await
}
