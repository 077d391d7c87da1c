//! A whole session as text.
//!
//! ```text
//! byte   format: 1
//! 6      id of the key
//! 24     nonce
//! ...    ciphertext of:
//!          32  the id
//!          8   revision, little-endian
//!          8   idle deadline, milliseconds since 1970, little-endian
//!          1   0, or 1 and the 32 of the subject
//!          ... the body of the record, without the verifier, which is a hash of the id
//! 16     tag
//! ```
//!
//! Format, key id, kind of transport and the name of the cookie or header are authenticated with it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake3::hazmat::ContextKey;
use zeroize::{Zeroize, Zeroizing};

use super::cipher;
use crate::entropy::Entropy;
use crate::envelope::{Envelope, Ids};
use crate::error::Error;
use crate::id::SessionId;
use crate::id_form::{Age, Scope, SubKeys};
use crate::keys::{KeyId, KeyRing};
use crate::record::{Body, Record, Revision};
use crate::subject::Subject;
use crate::time::Timestamp;

/// What became of a text.
pub(super) enum Opened {
    Session(SessionId, Record, Age),
    /// No key vouches for it.
    Unverified,
    /// It has not the form.
    Malformed,
}

/// What sessions are encrypted with.
pub(super) fn sub_keys(keys: &KeyRing) -> SubKeys {
    SubKeys::of(keys, &PURPOSE)
}

/// Writes a live session as text.
pub(super) fn write(
    keys: &SubKeys,
    id: &SessionId,
    record: &Record,
    scope: Scope<'_>,
    entropy: &dyn Entropy,
) -> Result<Zeroizing<String>, Error> {
    encrypt(keys, &pack(id, record), scope, entropy)
}

fn encrypt(
    keys: &SubKeys,
    plain: &[u8],
    scope: Scope<'_>,
    entropy: &dyn Entropy,
) -> Result<Zeroizing<String>, Error> {
    let (key_id, key) = keys.newest();
    let mut token = Vec::with_capacity(HEAD + cipher::NONCE + plain.len() + cipher::TAG);
    token.push(FORMAT);
    token.extend_from_slice(key_id.as_bytes());
    let about = about(&token, scope);
    cipher::seal(key, &about, plain, entropy, &mut token)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(token)))
}

/// For the fuzz target: what is in it need not be a session.
#[cfg(fuzzing)]
pub(crate) fn text_of(keys: &KeyRing, cookie: &str, plain: &[u8]) -> Option<String> {
    let scope = Scope { kind: crate::id_form::Kind::Cookie, name: cookie };
    let text = encrypt(&sub_keys(keys), plain, scope, &crate::entropy::SystemEntropy).ok()?;
    Some(text.to_string())
}

/// Reads a text; what it costs grows with its length alone, which is bounded.
pub(super) fn read(keys: &SubKeys, text: &[u8], scope: Scope<'_>) -> Opened {
    if text.len() > LONGEST {
        return Opened::Malformed;
    }
    let Ok(token) = URL_SAFE_NO_PAD.decode(text) else { return Opened::Malformed };
    let Some((head, sealed)) = token.split_first_chunk::<HEAD>() else { return Opened::Malformed };
    let [FORMAT, key_id @ ..] = *head else { return Opened::Malformed };
    let Some((age, key)) = keys.find(&key_id) else { return Opened::Unverified };
    let plain = cipher::open(key, &about(head, scope), sealed);
    // Who has the key has written it; what makes no sense then is no session either.
    let Some((id, record)) = plain.map(Zeroizing::new).and_then(|plain| unpack(&plain)) else {
        return Opened::Unverified;
    };
    Opened::Session(id, record, age)
}

fn pack(id: &SessionId, record: &Record) -> Zeroizing<Vec<u8>> {
    let body = bare(record);
    let mut plain = Zeroizing::new(Vec::with_capacity(32 + 8 + 8 + 33 + body.len()));
    let mut bytes = id.bytes();
    plain.extend_from_slice(&bytes);
    bytes.zeroize();
    plain.extend_from_slice(&record.revision.as_u64().to_le_bytes());
    plain.extend_from_slice(&record.expires_at.as_millis().to_le_bytes());
    match &record.subject {
        None => plain.push(0),
        Some(subject) => {
            plain.push(1);
            plain.extend_from_slice(subject.as_bytes());
        }
    }
    plain.extend_from_slice(&body);
    plain
}

/// The body without what is told by the id beside it, or of no use there: the ids that were
/// before. Whoever holds an earlier text has an earlier record with it.
fn bare(record: &Record) -> Zeroizing<Vec<u8>> {
    let Some(Envelope::Live(mut live)) = Envelope::decode(&record.body) else {
        return Zeroizing::default();
    };
    let data = record.body.get(live.data_at..).unwrap_or_default().to_vec();
    live.ids = Ids::new(live.ids.current, live.ids.since);
    let mut body = Zeroizing::new(live.encode(data));
    body.drain(VERIFIER);
    body
}

fn unpack(plain: &[u8]) -> Option<(SessionId, Record)> {
    let (id, rest) = plain.split_first_chunk::<{ SessionId::LEN }>()?;
    let id = SessionId::from_bytes(id);
    let (revision, rest) = rest.split_first_chunk()?;
    let (expires_at, rest) = rest.split_first_chunk()?;
    let (subject, bare) = match rest {
        [0, rest @ ..] => (None, rest),
        [1, rest @ ..] => {
            let (subject, rest) = rest.split_first_chunk()?;
            (Some(Subject::from_hash(*subject)), rest)
        }
        _ => return None,
    };
    let (head, rest) = bare.split_at_checked(VERIFIER.start)?;
    let body = [head, id.verifier().as_bytes(), rest].concat();
    let record = Record {
        revision: Revision::from_u64(u64::from_le_bytes(*revision)),
        subject,
        expires_at: Timestamp::from_millis(i64::from_le_bytes(*expires_at)),
        body: Body(body),
    };
    // A tombstone is never written; neither is what a store may hold beyond that.
    (record.revision != Revision::ENDED).then_some((id, record))
}

/// What is authenticated beside the session: that it is one, how it is written, and where it is valid.
fn about(head: &[u8], scope: Scope<'_>) -> Vec<u8> {
    let mut about = Vec::with_capacity(head.len() + 1 + scope.name.len());
    about.extend_from_slice(head);
    about.push(scope.kind as u8);
    about.extend_from_slice(scope.name.as_bytes());
    about
}

const FORMAT: u8 = 1;

const HEAD: usize = 1 + KeyId::LEN;

/// Where a body has the verifier of the id: after format, kind and flags.
const VERIFIER: std::ops::Range<usize> = 3..35;

/// Name and value of a cookie are no longer together.
pub(super) const LONGEST: usize = 4096;

/// "typed-session 2026-11-22 session in a cookie", hashed.
const PURPOSE: ContextKey = [
    0xe4, 0xf5, 0x40, 0x53, 0x5f, 0x3b, 0x47, 0xc4, 0x27, 0xf8, 0x3f, 0xb9, 0x12, 0xa1, 0xc3, 0x9f,
    0x04, 0x60, 0x9c, 0xbf, 0x91, 0xa4, 0x61, 0x17, 0x50, 0xaf, 0x51, 0xbd, 0xd3, 0x8f, 0x5c, 0x07,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_what_its_constant_says() {
        let context = "typed-session 2026-11-22 session in a cookie";
        assert_eq!(blake3::hazmat::hash_derive_key_context(context), PURPOSE);
    }
}
