//! `end` writes a tombstone over everything, and nothing writes over that.

use super::Check;
use super::bench::{Bench, alike, holds, minutes};
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Replaced, Revision, Store};

pub(super) async fn whatever_is_there<S: Store>(bench: &Bench<S>) -> Check {
    let mut starts = vec![bench.live(1), bench.live_of(1 << 50, bench.subject())];
    if !bench.expires_natively() {
        starts.push(bench.expired(1));
    }
    for start in starts {
        // The tombstone's own deadline, also one earlier than the record's.
        for later in [1, 5, 600] {
            let (key, tombstone) = (bench.key(), bench.tombstone(bench.now.plus(minutes(later))));
            bench.put(&key, &start).await?;
            bench.end(&key, &tombstone).await?;
            ended(bench, "end of a record", &key, &tombstone).await?;
        }
    }
    Ok(())
}

pub(super) async fn if_nothing_is<S: Store>(bench: &Bench<S>) -> Check {
    let (key, tombstone) = (bench.key(), bench.tombstone(bench.now.plus(minutes(5))));
    bench.end(&key, &tombstone).await?;
    ended(bench, "end of an absent key", &key, &tombstone).await
}

/// Checks a tombstone; its body is another rule's.
async fn ended<S: Store>(
    bench: &Bench<S>,
    when: &str,
    key: &SessionKey,
    tombstone: &Record,
) -> Check {
    let there = bench.load(key).await?.ok_or_else(|| format!("{when}: nothing is there"))?;
    alike(when, &Record { body: tombstone.body.clone(), ..there }, tombstone)
}

pub(super) async fn refuses_replace<S: Store>(bench: &Bench<S>) -> Check {
    let (key, old) = (bench.key(), bench.live(4));
    let tombstone = bench.tombstone(bench.now.plus(minutes(5)));
    bench.put(&key, &old).await?;
    bench.end(&key, &tombstone).await?;
    for expected in [0, 4, 5, Revision::ENDED.as_u64() - 1] {
        let answer =
            bench.replace(&key, Revision::from_u64(expected), &bench.live(expected + 1)).await?;
        match answer {
            Replaced::Done => return Err(format!("replace from {expected} after end was done")),
            Replaced::Conflict(said) => {
                holds(said.as_ref() == Some(&tombstone), "the conflict is not the tombstone")?;
            }
        }
        bench.expect("replace after end", &key, &tombstone).await?;
    }
    Ok(())
}

pub(super) async fn keeps_later_deadline<S: Store>(bench: &Bench<S>) -> Check {
    let (early, late) = (bench.now.plus(minutes(5)), bench.now.plus(minutes(50)));
    for (first, second) in [(early, late), (late, early), (late, late)] {
        let key = bench.key();
        let (one, other) = (bench.tombstone(first), bench.tombstone(second));
        bench.end(&key, &one).await?;
        bench.end(&key, &other).await?;
        let there = bench.load(&key).await?.ok_or("the tombstone is gone")?;
        // Either body will do.
        let body = if there.body == one.body { one.body } else { other.body };
        let wanted = Record { expires_at: late, body, ..other };
        alike("end of an ended key", &there, &wanted)?;
    }
    Ok(())
}
