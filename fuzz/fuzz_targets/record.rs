//! Whatever lies in a row: it is read to a verdict, and what is read is written the same again.
//!
//! Input: a body. Its first byte chooses: even, the input as it is; odd, the input with the true
//! id of a session put where the verifier stands, so that the rest is read and used. Two more of its bits
//! choose whether the layer encrypts data, and whether it reads what is not encrypted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use typed_session::store::{MemoryStore, Store};
use typed_session::testing::schedule::run;
use typed_session::testing::{ManualClock, SeededEntropy};
use typed_session::{
    Record, Revision, Rotation, SessionData, SessionLayer, Subject, Timestamp, Unsealed, Verdict,
};

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Data {
    user: Option<String>,
    note: String,
}

impl SessionData for Data {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    if let Some(written) = typed_session::fuzzing::rewritten(rest) {
        assert_eq!(written, rest);
    }

    let store = std::sync::Arc::new(MemoryStore::new());
    let sessions = SessionLayer::<Data, _>::new(store.clone())
        .clock(ManualClock::at(NOW))
        .dangerous_entropy(SeededEntropy::new(1))
        .rotation(Rotation::default());
    let sessions = match first & 24 {
        8 => sessions.seal_data(Unsealed::Accept),
        24 => sessions.seal_data(Unsealed::Refuse),
        _ => sessions,
    };
    let exchange = sessions.open([]);
    let (key, cookie) = run(async {
        let session = exchange.session().await.unwrap();
        session.update(|data| data.note = "x".into());
        session.commit().await.unwrap();
        let effects = exchange.finish().await.effects;
        let cookie = effects.set_cookie().unwrap().split(';').next().unwrap().to_owned();
        (session.key().unwrap(), cookie)
    });
    let there = run(store.load(&key)).unwrap().unwrap();

    let mut body = rest.to_vec();
    if first & 1 == 1 && body.len() >= 35 {
        body[..2].copy_from_slice(&there.body[..2]);
        body[3..35].copy_from_slice(&there.body[3..35]);
    }
    let record = Record {
        revision: Revision::from_u64(there.revision.as_u64() + 1),
        subject: None,
        expires_at: NOW.plus(std::time::Duration::from_secs(60)),
        body: body.into(),
    };
    let _ = run(store.replace(&key, there.revision, &record)).unwrap();

    // It is read, changed and read again without a panic.
    let exchange = sessions.open([cookie.as_bytes()]);
    let verdict = run(async {
        let session = exchange.session().await.unwrap();
        let verdict = session.verdict();
        session.update(|data| data.note.push('y'));
        if first & 2 == 2 {
            session.update(|data| data.user = Some("ann".into()));
        }
        if first & 4 == 4 {
            session.end();
        }
        let _ = exchange.finish().await;
        verdict
    });
    // What cannot be used is kept, but for an end.
    if verdict != Verdict::Resumed && first & 4 == 0 {
        assert_eq!(run(store.load(&key)).unwrap(), Some(record));
    }
});
