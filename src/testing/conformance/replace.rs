//! `replace` replaces one revision and never creates.

use super::Check;
use super::bench::{Bench, alike, minutes, same};
use crate::record::Record;
use crate::store::{Replaced, Revision, Store};

pub(super) async fn sets_all_four<S: Store>(bench: &Bench<S>) -> Check {
    let key = bench.key();
    let mut there = bench.live(1);
    bench.put(&key, &there).await?;
    let (one, other) = (bench.subject(), bench.subject());
    for (step, subject) in [Some(one), Some(other), Some(other), None].into_iter().enumerate() {
        let expires_at = there.expires_at.plus(minutes(1));
        let revision = there.revision.as_u64() + 1 + 100 * step as u64;
        let next = Record { subject, expires_at, ..bench.live(revision) };
        bench.swap(&key, &there, &next).await?;
        bench.expect("after replace", &key, &next).await?;
        there = next;
    }
    Ok(())
}

pub(super) async fn moves_deadline_back<S: Store>(bench: &Bench<S>) -> Check {
    let (key, old) = (bench.key(), bench.live(1));
    bench.put(&key, &old).await?;
    let earlier = Record { expires_at: old.expires_at.minus(minutes(30)), ..bench.live(2) };
    bench.swap(&key, &old, &earlier).await?;
    bench.expect("after a replace that shortens", &key, &earlier).await
}

pub(super) async fn checks_revision<S: Store>(bench: &Bench<S>) -> Check {
    let (key, there) = (bench.key(), bench.live(1000));
    bench.put(&key, &there).await?;
    for expected in [0, 1, 999, 1001, 1 << 40] {
        // Also one whose deadline is later, for stores that look at that.
        let next = Record { expires_at: there.expires_at.plus(minutes(9)), ..bench.live(1 << 41) };
        if bench.replace(&key, Revision::from_u64(expected), &next).await? == Replaced::Done {
            return Err(format!("replace from revision {expected}, where 1000 is, was done"));
        }
        bench.expect("after a replace that was refused", &key, &there).await?;
    }
    Ok(())
}

pub(super) async fn says_what_is_there<S: Store>(bench: &Bench<S>) -> Check {
    let (key, there) = (bench.key(), bench.live_of(7, bench.subject()));
    bench.put(&key, &there).await?;
    match bench.replace(&key, Revision::from_u64(3), &bench.live(9)).await? {
        Replaced::Conflict(Some(said)) => alike("what replace says is there", &said, &there),
        answer => Err(format!("replace where revision 7 is answers {answer:?}")),
    }
}

pub(super) async fn never_creates<S: Store>(bench: &Bench<S>) -> Check {
    for expected in [0, 1, 7] {
        let key = bench.key();
        let answer = bench.replace(&key, Revision::from_u64(expected), &bench.live(9)).await?;
        same("replace where nothing is", answer, Replaced::Conflict(None))?;
        same("load after it", bench.load(&key).await?, None)?;
    }
    Ok(())
}

pub(super) async fn ignores_time<S: Store>(bench: &Bench<S>) -> Check {
    if bench.expires_natively() {
        return Ok(());
    }
    let (key, expired, next) = (bench.key(), bench.expired(1), bench.expired(2));
    bench.put(&key, &expired).await?;
    bench.swap(&key, &expired, &next).await?;
    let there = bench.load(&key).await?.map(|record| record.revision);
    same("after replace of an expired record", there, Some(next.revision))
}
