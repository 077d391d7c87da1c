//! Whatever a request carries in the place of a session that lives in its cookie: it is read to a
//! verdict, used and written again without a panic.
//!
//! Input: its first byte chooses. 0 modulo 3: a `Cookie` field as it is. 1: the text of a cookie, with
//! some octets of a good one exchanged. 2: what a cookie holds, encrypted with the right key, so that
//! it is read and used.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use typed_session::testing::schedule::run;
use typed_session::testing::{ManualClock, SeededEntropy};
use typed_session::{KeyRing, SessionData, SessionLayer, Stateless, Subject, Timestamp, Verdict};

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
const NAME: &str = "__Host-session";

static KEYS: LazyLock<KeyRing> = LazyLock::new(|| {
    KeyRing::from_text("5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00").unwrap()
});

fn layer() -> SessionLayer<Data, Stateless> {
    SessionLayer::stateless(KEYS.clone())
        .clock(ManualClock::at(NOW))
        .dangerous_entropy(SeededEntropy::new(1))
}

/// A good cookie.
static GOOD: LazyLock<String> = LazyLock::new(|| {
    let exchange = layer().open([]);
    run(async {
        exchange.session().await.unwrap().update(|data| data.note = "x".into());
        let effects = exchange.finish().await.effects;
        effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
    })
});

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let field = match first % 3 {
        0 => rest.to_vec(),
        1 => {
            let mut field = GOOD.clone().into_bytes();
            for pair in rest.chunks_exact(2) {
                let at = NAME.len() + 1 + usize::from(pair[0]) % (field.len() - NAME.len() - 1);
                field[at] = pair[1];
            }
            field
        }
        _ => match typed_session::fuzzing::stateless_text(&KEYS, NAME, rest) {
            Some(text) => format!("{NAME}={text}").into_bytes(),
            None => return,
        },
    };
    let is_good = field == GOOD.as_bytes();
    let sessions = layer();
    let exchange = sessions.open([&field[..]]);
    let (verdict, outcome) = run(async {
        let session = exchange.session().await.unwrap();
        let verdict = session.verdict();
        session.update(|data| data.note.push('y'));
        if first & 64 == 64 {
            session.update(|data| data.user = Some("ann".into()));
        }
        if first & 128 == 128 {
            session.end();
        }
        (verdict, exchange.finish().await)
    });
    // Nothing opens without the key.
    if first % 3 == 1 {
        assert_eq!(verdict == Verdict::Resumed, is_good, "{verdict:?}");
    }
    // What was handed out is a session again, with the change.
    if let (Some(cookie), 0) = (outcome.effects.set_cookie(), first & 128) {
        let cookie = cookie.split(';').next().unwrap();
        let again = run(sessions.open([cookie.as_bytes()]).session()).unwrap();
        assert_eq!(again.verdict(), Verdict::Resumed);
        assert!(again.read(|data| data.note.ends_with('y')));
    }
});
