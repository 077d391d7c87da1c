//! Our readers of `Authorization: Bearer` and of a named header against ones written for plainness.
//!
//! Input: fields, each ended by a line feed. An `@` stands for the text of a session's id, a `#` for
//! that of one which nobody knows: no fuzzer finds 43 characters by chance.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use typed_session::store::MemoryStore;
use typed_session::testing::schedule::run;
use typed_session::testing::{Spied, Spy};
use typed_session::{SessionData, SessionLayer, Transport, Verdict};

#[derive(Default, Deserialize, Serialize)]
struct Visits {
    count: u64,
}

impl SessionData for Visits {}

/// A server with one session.
struct Server {
    sessions: SessionLayer<Visits, Spy<MemoryStore>>,
    spied: Spied,
    id: String,
}

static SERVERS: LazyLock<[Server; 2]> = LazyLock::new(|| {
    [Transport::bearer(), Transport::header("x-session").expect("a name")].map(|transport| {
        let store = Spy::new(MemoryStore::new());
        let spied = store.handle();
        let sessions = SessionLayer::new(store).transport(transport);
        let exchange = sessions.open([]);
        let outcome = run(async {
            exchange
                .session()
                .await
                .expect("a session")
                .update(|visits: &mut Visits| visits.count = 1);
            exchange.finish().await
        });
        let id = outcome.effects.headers().find(|header| header.is_secret).expect("an id");
        let id = id.value.trim_start_matches("Bearer ").to_owned();
        Server { sessions, spied, id }
    })
});

fuzz_target!(|input: &[u8]| {
    let [bearer, header] = &*SERVERS;
    check(bearer, input, token_of_bearer);
    check(header, input, |field| {
        let value = trimmed(field, b" \t");
        (!value.is_empty()).then_some(value)
    });
});

fn check(server: &Server, input: &[u8], value_of: fn(&[u8]) -> Option<Vec<u8>>) {
    let stranger = "A".repeat(43);
    let fields: Vec<Vec<u8>> = input
        .split(|&octet| octet == b'\n')
        .map(|field| {
            let mut written = Vec::new();
            for &octet in field {
                match octet {
                    b'@' => written.extend(server.id.as_bytes()),
                    b'#' => written.extend(stranger.as_bytes()),
                    other => written.push(other),
                }
            }
            written
        })
        .collect();

    let values: Vec<Vec<u8>> = fields.iter().filter_map(|field| value_of(field)).collect();
    let mut ids: Vec<&Vec<u8>> = Vec::new();
    for value in values.iter().filter(|value| is_id(value)) {
        if !ids.contains(&value) {
            ids.push(value);
        }
    }
    ids.truncate(5);
    let found = ids.iter().position(|id| id.as_slice() == server.id.as_bytes());
    let verdict = match (found, ids.is_empty()) {
        (Some(_), _) => Verdict::Resumed,
        (None, false) => Verdict::Unknown,
        (None, true) if !values.is_empty() => Verdict::Malformed,
        (None, true) => Verdict::New,
    };

    server.spied.take();
    let exchange = server.sessions.open(fields.iter().map(Vec::as_slice));
    let session = run(exchange.session()).expect("a store in memory does not fail");
    // The fuzzer sees what its input is compared with, and so half of our id comes up too.
    let judged = match session.verdict() {
        Verdict::Forged => Verdict::Unknown,
        other => other,
    };
    assert_eq!(judged, verdict, "{}", input.escape_ascii());
    let loads = found.map_or(ids.len(), |at| at + 1);
    assert_eq!(server.spied.calls().load, loads, "{}", input.escape_ascii());
}

/// Octet by octet, with a state and without looking ahead.
fn token_of_bearer(field: &[u8]) -> Option<Vec<u8>> {
    let (mut scheme, mut token, mut spaces) = (Vec::new(), Vec::new(), 0);
    for octet in trimmed(field, b" \t") {
        match octet {
            b' ' if token.is_empty() => spaces += 1,
            _ if spaces == 0 => scheme.push(octet.to_ascii_lowercase()),
            _ => token.push(octet),
        }
    }
    (scheme == b"bearer").then_some(token)
}

/// 43 characters of base64url, of the last of which two bits are to spare.
fn is_id(value: &[u8]) -> bool {
    const LAST: &[u8] = b"AEIMQUYcgkosw048";
    value.len() == 43
        && value.iter().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(octet))
        && LAST.contains(&value[42])
}

fn trimmed(field: &[u8], blanks: &[u8]) -> Vec<u8> {
    let is_blank = |octet: &&u8| blanks.contains(octet);
    let before = field.iter().take_while(is_blank).count();
    let after = field[before..].iter().rev().take_while(is_blank).count();
    field[before..field.len() - after].to_vec()
}
