//! Identifiers: what the client holds, what a store sees, and what proves that
//! the one belongs to the other.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake3::hazmat::{ContextKey, HasherExt};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::entropy::{Entropy, EntropyError};

/// The secret that a client holds: 32 random bytes, 43 characters of base64url.
///
/// It has two halves of 128 bits each. The *locator* names the session and never
/// changes while the session lives; its hash is the [`SessionKey`]. The *secret*
/// proves that the holder is the session's owner, and changes when the id is
/// rotated.
///
/// # Security
///
/// There is no `Display`, no `Serialize` and no way to build one from bytes of
/// one's own choice; `Debug` shows nothing; the bytes are zeroed on drop and
/// compared in constant time. It leaves the process in the one header of the
/// [`Transport`](crate::Transport) only (OWASP
/// ASVS 5.0, 3.3.4, 7.2.3, 11.5.1).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionId {
    locator: [u8; HALF],
    secret: [u8; HALF],
}

const HALF: usize = 16;

impl SessionId {
    /// The length of an id in bytes.
    pub(crate) const LEN: usize = 2 * HALF;

    /// The length of an id as text.
    pub(crate) const TEXT_LEN: usize = 43;

    /// Makes an id of 32 fresh random bytes.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; Self::LEN];
        entropy.fill(&mut bytes)?;
        let id = Self::from_bytes(&bytes);
        bytes.zeroize();
        Ok(id)
    }

    /// Makes an id for the same session with a fresh random secret.
    pub(crate) fn with_fresh_secret(&self, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut id = Self { locator: self.locator, secret: [0; HALF] };
        entropy.fill(&mut id.secret)?;
        Ok(id)
    }

    /// Returns the id that follows this one under `nonce`.
    ///
    /// It is a function of both, so every request that carries this id and sees
    /// the same nonce gives its client the same successor; without this id the
    /// nonce tells nothing.
    pub(crate) fn successor(&self, nonce: &[u8; HALF]) -> Self {
        let mut material = [0; 3 * HALF];
        material[..HALF].copy_from_slice(&self.locator);
        material[HALF..2 * HALF].copy_from_slice(&self.secret);
        material[2 * HALF..].copy_from_slice(nonce);
        let mut hash: [u8; 32] = derive(&SUCCESSOR, &material).into();
        material.zeroize();
        let mut id = Self { locator: self.locator, secret: [0; HALF] };
        id.secret.copy_from_slice(&hash[..HALF]);
        hash.zeroize();
        id
    }

    /// Reads an id as a request carries it, or nothing if it is not of that form.
    ///
    /// Exactly 43 characters of the URL-safe alphabet, the spare bits zero: an
    /// id has one spelling.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        let is_one = decode(text.try_into().ok()?, &mut bytes);
        let id = is_one.then(|| Self::from_bytes(&bytes));
        bytes.zeroize();
        id
    }

    /// The length of the half that stays.
    pub(crate) const LOCATOR_LEN: usize = HALF;

    /// Runs `f` on the half that stays, for what is bound to the session.
    pub(crate) fn with_locator<R>(&self, f: impl FnOnce(&[u8; HALF]) -> R) -> R {
        f(&self.locator)
    }

    /// Runs `f` on the id's text; the text is zeroed afterwards.
    pub(crate) fn with_text<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        let mut bytes = self.bytes();
        let mut text = [0; Self::TEXT_LEN];
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        bytes.zeroize();
        debug_assert_eq!(written, Ok(Self::TEXT_LEN));
        let result = f(std::str::from_utf8(&text).unwrap_or_default());
        text.zeroize();
        result
    }

    /// Returns the name under which stores know the session.
    pub(crate) fn key(&self) -> SessionKey {
        SessionKey(self.derive_stable(&KEY))
    }

    /// Derives 32 bytes of the half that stays when the id is rotated.
    pub(crate) fn derive_stable(&self, context: &ContextKey) -> [u8; 32] {
        derive(context, &self.locator).into()
    }

    /// Returns what a record keeps to recognise this id.
    pub(crate) fn verifier(&self) -> Verifier {
        let mut bytes = self.bytes();
        let verifier = Verifier(derive(&VERIFIER, &bytes).into());
        bytes.zeroize();
        verifier
    }

    /// Makes an id of what [`bytes`](Self::bytes) gave; the copy is the caller's to zero.
    pub(crate) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut id = Self { locator: [0; HALF], secret: [0; HALF] };
        id.locator.copy_from_slice(&bytes[..HALF]);
        id.secret.copy_from_slice(&bytes[HALF..]);
        id
    }

    /// The id's bytes; the copy is the caller's to zero.
    pub(crate) fn bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..HALF].copy_from_slice(&self.locator);
        bytes[HALF..].copy_from_slice(&self.secret);
        bytes
    }
}

/// In constant time.
impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.bytes(), other.bytes());
        let equal = blake3::Hash::from_bytes(ours) == blake3::Hash::from_bytes(theirs);
        ours.zeroize();
        theirs.zeroize();
        equal
    }
}

impl Eq for SessionId {}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The name of a session: all that a store, a log line or a page of "your
/// devices" ever sees of its id.
///
/// A blake3 hash of the id's first half. It stays the same for the session's
/// whole life, also when the id is rotated, and nobody can get from it to the
/// id. Whoever knows a key can name the session (to end it, say) and cannot use
/// it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// Makes a key of its bytes, as a store read them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the key's bytes, as a store writes them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({self})")
    }
}

/// Reads 64 hexadecimal digits, as [`Display`](fmt::Display) writes them.
impl std::str::FromStr for SessionKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        blake3::Hash::from_hex(text).map(|hash| Self(hash.into())).map_err(|_| ParseKeyError(()))
    }
}

/// The text is no [`SessionKey`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a session key is 64 hexadecimal digits")]
pub struct ParseKeyError(());

/// A hash of a whole id, kept in the session's record.
///
/// Compared in constant time; `Debug` shows nothing, although it would let
/// nobody in.
#[derive(Clone, Copy)]
pub(crate) struct Verifier([u8; 32]);

impl Verifier {
    pub(crate) const LEN: usize = 32;

    pub(crate) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(other.0)
    }
}

impl Eq for Verifier {}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

/// `blake3::derive_key` with the hash of its context known beforehand, which
/// halves its cost. A test below holds each constant to its context.
pub(crate) fn derive(context: &ContextKey, material: &[u8]) -> blake3::Hash {
    blake3::Hasher::new_from_context_key(context).update(material).finalize()
}

/// Reads 43 characters of base64url (RFC 4648, section 5), and tells whether they are 32 bytes in
/// their one spelling.
///
/// For this one length it takes a third of what a reader of any length does, and all that is in a
/// request's head is read before anything else of a session. It has no branch on what it reads.
fn decode(text: &[u8; SessionId::TEXT_LEN], bytes: &mut [u8; SessionId::LEN]) -> bool {
    let (groups, last) = text.as_chunks::<4>();
    let (triples, rest) = bytes.as_chunks_mut::<3>();
    let mut wrong = 0;
    for (group, triple) in groups.iter().zip(triples) {
        let [a, b, c, d] = group.map(sextet);
        wrong |= a | b | c | d;
        *triple = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
    }
    if let ([a, b, c], [first, second]) = (last, rest) {
        let [a, b, c] = [*a, *b, *c].map(sextet);
        // The two bits that are left over are zero: an id has one spelling.
        wrong |= a | b | c | (c & 3) << 6;
        (*first, *second) = (a << 2 | b >> 4, b << 4 | c >> 2);
    }
    wrong & NO_SEXTET == 0
}

fn sextet(character: u8) -> u8 {
    SEXTETS[usize::from(character)]
}

/// The bits that no sextet has.
const NO_SEXTET: u8 = 0b1100_0000;

/// The value of each character, or [`NO_SEXTET`].
const SEXTETS: [u8; 256] = {
    let alphabet = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut sextets = [NO_SEXTET; 256];
    let mut value = 0;
    while value < alphabet.len() {
        sextets[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    sextets
};

const KEY: ContextKey = [
    0x58, 0xce, 0x19, 0x62, 0x7b, 0x1b, 0xd8, 0x2c, 0x2c, 0x23, 0x5c, 0x30, 0x22, 0xad, 0xe2, 0xef,
    0x74, 0xb5, 0x37, 0xcd, 0xa8, 0x50, 0xac, 0x4e, 0xa0, 0x91, 0x62, 0x9e, 0xa5, 0x20, 0x1a, 0x23,
];
const VERIFIER: ContextKey = [
    0x9c, 0x7a, 0xb0, 0xcb, 0xcc, 0x73, 0xcf, 0x38, 0x19, 0x61, 0x43, 0x23, 0x31, 0xda, 0x7d, 0xdc,
    0x73, 0x5c, 0xf0, 0x41, 0xb8, 0xa7, 0xd8, 0x9e, 0x1f, 0x33, 0x7d, 0xb7, 0x60, 0xa6, 0xe8, 0x65,
];
const SUCCESSOR: ContextKey = [
    0x33, 0x82, 0xa8, 0xc2, 0x31, 0x76, 0xe2, 0xbc, 0x77, 0xd2, 0xd3, 0xcc, 0x5e, 0x2f, 0xea, 0x23,
    0x0c, 0xf4, 0x7d, 0x46, 0xfb, 0xc2, 0x93, 0xba, 0x91, 0x2e, 0xd2, 0xdf, 0xb7, 0x6c, 0x51, 0x0a,
];

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXTS: [(&str, ContextKey); 3] = [
        ("typed-session 2026-11-22 key of a locator", KEY),
        ("typed-session 2026-11-22 verifier of an id", VERIFIER),
        ("typed-session 2026-11-22 successor of an id", SUCCESSOR),
    ];

    /// Each character in each place, by another's reader.
    #[test]
    fn an_id_is_read_as_any_reader_of_base64url_reads_it() {
        let mut random = 7_u64;
        let mut count = 0;
        for _ in 0..20 {
            let mut bytes = [0; SessionId::LEN];
            for byte in &mut bytes {
                random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                *byte = (random >> 56) as u8;
            }
            let mut text = [0; SessionId::TEXT_LEN];
            URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap();
            for place in 0..text.len() {
                for character in 0..=u8::MAX {
                    let mut text = text;
                    text[place] = character;
                    let expected = URL_SAFE_NO_PAD.decode(text).ok();
                    let read = SessionId::parse(&text).map(|id| id.bytes().to_vec());
                    assert_eq!(read, expected, "{:?}", text.escape_ascii().to_string());
                    count += usize::from(read.is_some());
                }
            }
            for len in [0, 1, 42, 44, 64] {
                assert!(SessionId::parse(&[b'A'; 64][..len]).is_none());
            }
        }
        assert_eq!(count, 20 * (42 * 64 + 16));
    }

    #[test]
    fn the_contexts_are_what_their_constants_say() {
        for (context, constant) in CONTEXTS {
            assert_eq!(blake3::hazmat::hash_derive_key_context(context), constant, "{context}");
        }
    }

    /// Lines of: id as text, key, verifier, nonce, successor as text.
    const VECTORS: &str = include_str!("golden/ids.txt");

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn what_is_derived_from_an_id_never_changes() {
        let mut count = 0;
        for vector in crate::golden::vectors(VECTORS) {
            let [text, key, verifier, nonce, successor] = vector[..] else {
                panic!("five values: {vector:?}");
            };
            let id = SessionId::parse(text.as_bytes()).unwrap();
            assert_eq!(id.key().to_string(), key);
            assert_eq!(hex(id.verifier().as_bytes()), verifier);
            let nonce: [u8; 16] = crate::golden::bytes(nonce).try_into().unwrap();
            let next = id.successor(&nonce);
            next.with_text(|text| assert_eq!(text, successor));
            assert_eq!(next.key(), id.key(), "the key is stable");
            assert!(next != id);
            count += 1;
        }
        assert_eq!(count, 4);
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = SessionId::generate(&crate::entropy::SystemEntropy).unwrap();
        let text = id.with_text(str::to_owned);
        assert_eq!(text.len(), SessionId::TEXT_LEN);
        assert!(SessionId::parse(text.as_bytes()) == Some(id));
        let others = (0..=255u8).filter(|last| {
            let mut bytes = text.clone().into_bytes();
            bytes[42] = *last;
            SessionId::parse(&bytes).is_some()
        });
        assert_eq!(others.count(), 16, "the last character has four bits of meaning");
        for wrong in [&text[..42], &format!("{text}A"), &format!("{}=", &text[..42]), ""] {
            assert!(SessionId::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_fresh_secret_is_another_id_of_the_same_session() {
        let id = SessionId::generate(&crate::entropy::SystemEntropy).unwrap();
        let fresh = id.with_fresh_secret(&crate::entropy::SystemEntropy).unwrap();
        assert_eq!(fresh.key(), id.key());
        assert!(fresh != id && fresh.verifier() != id.verifier());
        assert_eq!(format!("{id:?} {:?}", id.verifier()), "SessionId(..) Verifier(..)");
    }
}
