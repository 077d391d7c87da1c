//! What is loaded is what was written.

use super::Check;
use super::bench::{Bench, holds, minutes, same};
use crate::record::Record;
use crate::store::{Error, ErrorKind, Inserted, Replaced, Revision, Store};
use crate::subject::Subject;
use crate::time::Timestamp;

pub(super) async fn absent_is_none<S: Store>(bench: &Bench<S>) -> Check {
    same("load of a key that was never written", bench.load(&bench.key()).await?, None)
}

pub(super) async fn keys_are_whole<S: Store>(bench: &Bench<S>) -> Check {
    let bytes = bench.bytes();
    let (key, record) = (bench.key_of(bytes), bench.live(1));
    bench.put(&key, &record).await?;
    for place in 0..bytes.len() {
        for flip in [1, 0x20, 0x80] {
            let mut other = bytes;
            other[place] ^= flip;
            let when = format!("load of a key that differs from a written one in byte {place}");
            same(&when, bench.load(&bench.key_of(other)).await?, None)?;
        }
    }
    for filler in [0, b'%', 0xff] {
        let mut odd = [filler; 32];
        odd[8..24].copy_from_slice(&bytes[..16]);
        let (odd, record) = (bench.key_of(odd), bench.live(2));
        bench.put(&odd, &record).await?;
        let there = bench.load(&odd).await?.map(|record| record.revision);
        same(&format!("a key with bytes {filler:#x} around"), there, Some(record.revision))?;
    }
    let there = bench.load(&key).await?.map(|record| record.revision);
    same("a key after writes to others", there, Some(record.revision))
}

/// Writes a record by each verb that can and loads it.
async fn round_trip<S: Store>(bench: &Bench<S>, record: &Record) -> Check {
    let key = bench.key();
    bench.put(&key, record).await?;
    bench.expect("written by insert", &key, record).await?;
    // Over one that differs in what a later rule does not look at: what replace
    // keeps of the old record is not the question here.
    let key = bench.key();
    let first = Record { revision: Revision::from_u64(0), ..record.clone() };
    bench.put(&key, &first).await?;
    bench.swap(&key, &first, record).await?;
    bench.expect("written by replace", &key, record).await
}

/// Random bytes that repeat themselves, a multiple of 4096.
fn long<S: Store>(bench: &Bench<S>, bytes: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..4096 / 32).flat_map(|_| bench.bytes()).collect();
    block.repeat(bytes / block.len())
}

fn bodies<S: Store>(bench: &Bench<S>) -> [Vec<u8>; 6] {
    let text = "'; -- \"\\ \r\n\u{1f36a}".as_bytes().to_vec();
    let ends_in_zero = b"a\0b\0".to_vec();
    [vec![], vec![0], ends_in_zero, text, (0..=255).collect(), long(bench, 64 * 1024)]
}

pub(super) async fn body_as_it_is<S: Store>(bench: &Bench<S>) -> Check {
    for body in bodies(bench) {
        round_trip(bench, &Record { body: body.into(), ..bench.live(1) }).await?;
    }
    Ok(())
}

pub(super) async fn deadline_as_it_is<S: Store>(bench: &Bench<S>) -> Check {
    let soon = bench.now.plus(minutes(60)).as_millis() / 1000 * 1000;
    let mut deadlines = vec![soon, soon + 1, soon + 500, soon + 999, i64::MAX / 1000, i64::MAX];
    if !bench.expires_natively() {
        deadlines.extend([i64::MIN, -1001, -1, 0, 1, i64::from(u32::MAX) + 1]);
    }
    for deadline in deadlines {
        let deadline = Timestamp::from_millis(deadline);
        round_trip(bench, &bench.until(deadline)).await?;
    }
    Ok(())
}

pub(super) async fn revision_as_it_is<S: Store>(bench: &Bench<S>) -> Check {
    let last = Revision::ENDED.as_u64() - 1;
    for revision in [1, 255, (1 << 32) - 1, (1 << 32) + 5, (1 << 53) + 1, last - 1, last] {
        round_trip(bench, &bench.live(revision)).await?;
        // Also where it is compared.
        let (key, old) = (bench.key(), bench.live(revision - 1));
        bench.put(&key, &old).await?;
        let new = bench.live(revision);
        bench.swap(&key, &old, &new).await?;
        bench.expect("replaced by the next revision", &key, &new).await?;
    }
    Ok(())
}

pub(super) async fn subject_as_it_is<S: Store>(bench: &Bench<S>) -> Check {
    let mut zeros = bench.bytes();
    (zeros[0], zeros[31]) = (0, 0);
    let mut ones = bench.bytes();
    (ones[0], ones[31]) = (0xff, 0xff);
    round_trip(bench, &bench.live(1)).await?;
    for hash in [bench.bytes(), zeros, ones] {
        round_trip(bench, &bench.live_of(1, Subject::from_hash(hash))).await?;
    }
    Ok(())
}

pub(super) async fn too_large_is_said<S: Store>(bench: &Bench<S>) -> Check {
    let record = Record { body: long(bench, 4 << 20).into(), ..bench.live(2) };
    let outcome = |answer: Result<bool, Error>| match answer {
        Ok(true) => Ok(true),
        Ok(false) => Err("a write of 4 MiB was refused without an error".to_owned()),
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(false),
        Err(error) => Err(format!("a body of 4 MiB is {:?}", error.kind())),
    };
    let key = bench.key();
    let inserted = bench.store.insert(&key, &record).await;
    if outcome(inserted.map(|inserted| inserted == Inserted::Created))? {
        bench.expect("a body of 4 MiB", &key, &record).await?;
    } else {
        same("a body that was too large", bench.load(&key).await?, None)?;
    }
    let (key, first) = (bench.key(), bench.live(1));
    bench.put(&key, &first).await?;
    let replaced = bench.store.replace(&key, first.revision, &record).await;
    let there = match outcome(replaced.map(|done| done == Replaced::Done))? {
        true => &record,
        false => &first,
    };
    bench.expect("a body of 4 MiB, by replace", &key, there).await
}

pub(super) async fn expired_is_loaded<S: Store>(bench: &Bench<S>) -> Check {
    if bench.expires_natively() {
        return Ok(());
    }
    let (key, expired) = (bench.key(), bench.expired(1));
    bench.put(&key, &expired).await?;
    holds(bench.load(&key).await?.is_some(), "a record whose deadline was an hour ago is hidden")
}

pub(super) async fn tombstone_is_loaded<S: Store>(bench: &Bench<S>) -> Check {
    let (key, tombstone) = (bench.key(), bench.tombstone(bench.now.plus(minutes(5))));
    bench.put(&key, &bench.live(1)).await?;
    bench.end(&key, &tombstone).await?;
    let there = bench.load(&key).await?.map(|record| record.revision);
    holds(there.is_some(), "load of a key that was ended answers `None`")?;
    same("the revision of a key that was ended", there, Some(Revision::ENDED))
}

pub(super) async fn tombstone_as_it_is<S: Store>(bench: &Bench<S>) -> Check {
    // No deadline far away: what never expires could not be cleaned up.
    let mut deadlines = vec![bench.now.plus(minutes(60)), bench.now.plus(minutes(61))];
    if !bench.expires_natively() {
        deadlines.extend([i64::MIN, -1001, -1, 0, 1].map(Timestamp::from_millis));
    }
    for deadline in deadlines {
        let (key, tombstone) = (bench.key(), bench.tombstone(deadline));
        bench.end(&key, &tombstone).await?;
        bench.expect("a tombstone", &key, &tombstone).await?;
    }
    for body in bodies(bench) {
        let tombstone = bench.tombstone(bench.now.plus(minutes(60)));
        let (key, tombstone) = (bench.key(), Record { body: body.into(), ..tombstone });
        bench.end(&key, &tombstone).await?;
        bench.expect("a tombstone", &key, &tombstone).await?;
    }
    Ok(())
}
