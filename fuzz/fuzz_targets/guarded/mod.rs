//! A server whose ids need a key, and what it must do with any value in their place.
//!
//! Input: fields of a header, each ended by a line feed. No fuzzer forges a signature, so it may use
//! the texts of the server: `@` is that of its session, `&` the same by an older key of the ring, `#`
//! that of a session by a key that is not in the ring, `=` the id as it is. After one of them, `!` and
//! two bytes put an octet in a place, `<` and a byte cut, `~` and two bytes swap two places, `%` puts
//! the older key's text behind the first half.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use typed_session::store::MemoryStore;
use typed_session::testing::schedule::run;
use typed_session::testing::{Spied, Spy, bare_id};
use typed_session::{IdForm, KeyRing, SessionData, SessionLayer, Transport, Verdict};

#[derive(Default, Deserialize, Serialize)]
pub struct Visits {
    count: u64,
}

impl SessionData for Visits {}

pub struct Server {
    sessions: SessionLayer<Visits, Spy<MemoryStore>>,
    spied: Spied,
    current: String,
    older: String,
    stranger: String,
    bare: String,
}

impl Server {
    pub fn new(form: fn(KeyRing) -> IdForm) -> Self {
        let key = |number: u8| -> Vec<u8> {
            (0..32).map(|at: u8| at.wrapping_mul(at) ^ number).collect()
        };
        let ring = |newest| KeyRing::from_bytes(&key(newest)).expect("a key");
        let store = Spy::new(MemoryStore::new());
        let spied = store.handle();
        let layer = SessionLayer::<Visits, _>::new(store)
            .transport(Transport::header("x-session").expect("a name"));
        let by = |ring| layer.clone().id_form(form(ring));
        let older = text(&by(ring(1)), None);
        let sessions = by(ring(2).and_older(&key(1)).expect("a key"));
        let bare = bare_id(&sessions, [older.as_bytes()]).expect("an id");
        // The same session, written anew.
        let current = text(&sessions, Some(&older));
        let stranger = text(&by(ring(3)), None);
        Self { sessions, spied, current, older, stranger, bare }
    }

    pub fn check(&self, input: &[u8]) {
        let fields: Vec<Vec<u8>> =
            input.split(|&octet| octet == b'\n').map(|field| self.written(field)).collect();
        let values: BTreeSet<&[u8]> =
            fields.iter().map(|field| trimmed(field)).filter(|value| !value.is_empty()).collect();
        let good = [&self.current, &self.older].map(|text| text.as_bytes());
        let is_good = good.iter().any(|text| values.contains(text));
        let is_shaped = |value: &&&[u8]| {
            let is_id = value.len() == 43 && b"AEIMQUYcgkosw048".contains(&value[42]);
            (is_id || value.len() == self.current.len())
                && value.iter().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(octet))
        };
        let expected = if is_good {
            Verdict::Resumed
        } else if values.iter().find(is_shaped).is_some() {
            Verdict::Unverified
        } else if values.is_empty() {
            Verdict::New
        } else {
            Verdict::Malformed
        };
        self.spied.take();
        let exchange = self.sessions.open(fields.iter().map(Vec::as_slice));
        let session = run(exchange.session()).expect("a store in memory does not fail");
        assert_eq!(session.verdict(), expected, "{}", input.escape_ascii());
        assert_eq!(self.spied.calls().total(), usize::from(is_good), "{}", input.escape_ascii());
    }

    fn written(&self, field: &[u8]) -> Vec<u8> {
        let mut written: Vec<u8> = Vec::new();
        let mut octets = field.iter().copied();
        while let Some(octet) = octets.next() {
            let mut place = |of: usize| usize::from(octets.next().unwrap_or(0)) % of.max(1);
            match octet {
                b'@' => written.extend(self.current.as_bytes()),
                b'&' => written.extend(self.older.as_bytes()),
                b'#' => written.extend(self.stranger.as_bytes()),
                b'=' => written.extend(self.bare.as_bytes()),
                b'!' if !written.is_empty() => {
                    let at = place(written.len());
                    written[at] = place(256) as u8;
                }
                b'<' => written.truncate(place(written.len() + 1)),
                b'~' if !written.is_empty() => {
                    let [one, other] = [place(written.len()), place(written.len())];
                    written.swap(one, other);
                }
                b'%' => {
                    let half = written.len().min(self.older.len()) / 2;
                    written.truncate(half);
                    written.extend(&self.older.as_bytes()[half..]);
                }
                other => written.push(other),
            }
        }
        written
    }
}

/// The text that a client is given: of a new session, or of the one that it has.
fn text(sessions: &SessionLayer<Visits, Spy<MemoryStore>>, has: Option<&str>) -> String {
    let exchange = sessions.open(has.map(str::as_bytes));
    let outcome = run(async {
        let session = exchange.session().await.expect("a session");
        if has.is_none() {
            session.update(|visits| visits.count += 1);
        }
        exchange.finish().await
    });
    let id = outcome.effects.headers().find(|header| header.is_secret).expect("an id");
    id.value.to_owned()
}

fn trimmed(field: &[u8]) -> &[u8] {
    let is_blank = |octet: &u8| b" \t".contains(octet);
    let Some(first) = field.iter().position(|octet| !is_blank(octet)) else { return &[] };
    let last = field.iter().rposition(|octet| !is_blank(octet)).unwrap_or(first);
    &field[first..=last]
}
