//! `insert` creates and never overwrites.

use super::Check;
use super::bench::{Bench, holds, minutes, same};
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Inserted, Store};

pub(super) async fn creates<S: Store>(bench: &Bench<S>) -> Check {
    let key = bench.key();
    bench.put(&key, &bench.live_of(1, bench.subject())).await?;
    holds(bench.load(&key).await?.is_some(), "a record that was just created is not there")
}

async fn refused<S: Store>(bench: &Bench<S>, key: &SessionKey, there: &Record) -> Check {
    let when = "insert where a record is";
    for revision in [1, there.revision.as_u64(), there.revision.as_u64() + 1] {
        let other = bench.live_of(revision, bench.subject());
        same(when, bench.insert(key, &other).await?, Inserted::Exists)?;
        bench.expect(when, key, there).await?;
    }
    same("insert of the same record again", bench.insert(key, there).await?, Inserted::Exists)
}

pub(super) async fn never_overwrites<S: Store>(bench: &Bench<S>) -> Check {
    let (key, record) = (bench.key(), bench.live(3));
    bench.put(&key, &record).await?;
    refused(bench, &key, &record).await
}

pub(super) async fn respects_expired<S: Store>(bench: &Bench<S>) -> Check {
    if bench.expires_natively() {
        return Ok(());
    }
    let (key, record) = (bench.key(), bench.expired(3));
    bench.put(&key, &record).await?;
    refused(bench, &key, &record).await
}

pub(super) async fn respects_tombstones<S: Store>(bench: &Bench<S>) -> Check {
    let mut deadlines = vec![bench.now.plus(minutes(5))];
    if !bench.expires_natively() {
        deadlines.push(bench.now.minus(minutes(5)));
    }
    for deadline in deadlines {
        let (key, tombstone) = (bench.key(), bench.tombstone(deadline));
        bench.end(&key, &tombstone).await?;
        refused(bench, &key, &tombstone).await?;
        // Also where a record was before.
        let key = bench.key();
        bench.put(&key, &bench.live(1)).await?;
        bench.end(&key, &tombstone).await?;
        refused(bench, &key, &tombstone).await?;
    }
    Ok(())
}
