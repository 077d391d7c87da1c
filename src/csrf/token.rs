//! The token that proves that a form is one of this session's.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake3::hazmat::ContextKey;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::entropy::{Entropy, EntropyError};
use crate::id::{self, SessionId, Verifier};

/// The name of the form field that [`Token::field`] makes and [`find`] looks for.
pub const FIELD: &str = "csrf_token";

/// The header in which scripts send the token, by convention.
pub const HEADER: &str = "x-csrf-token";

/// A token that only a page of this session can know.
///
/// [`Session::csrf_token`](crate::Session::csrf_token) makes it, for a hidden field of a form or for a
/// script; [`Session::verify_csrf`](crate::Session::verify_csrf) checks what comes back. It is for
/// defence in depth, and for clients that send none of the headers that an
/// [`OriginCheck`](crate::csrf::OriginCheck) needs.
///
/// It is 86 characters of base64url. Each is a new one, and all of a session are good, as often as one
/// likes. They are good while the session goes by the id that it had: until a login, a logout, a
/// [`reauthenticate`](crate::Session::reauthenticate) or a [`rotate`](crate::Session::rotate). A
/// [timed rotation](crate::SessionLayer::rotation) they outlive, and not the next one after it: a
/// form may stay open for as long as an id does, and while the browser asks for nothing else, for
/// ever.
///
/// # Security
///
/// Nothing is stored for it. It is a keyed hash of what the client's id and the session's record say
/// together, so neither a copy of the store, nor an id of before the login is enough to make one.
/// It is masked by 32 random bytes that are new each time, so that compression shows nothing of it
/// (BREACH), and compared in constant time (OWASP ASVS 5.0, 3.5.1). `Debug` shows nothing, and the
/// text is zeroed on drop.
///
/// A page that holds one must not be read by other origins, and is not for shared caches.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token(String);

impl Token {
    /// Makes one for the session that goes by these.
    pub(crate) fn new(
        id: &SessionId,
        verifier: &Verifier,
        entropy: &dyn Entropy,
    ) -> Result<Self, EntropyError> {
        let mut bytes = [0; 2 * LEN];
        entropy.fill(&mut bytes[..LEN])?;
        let mut secret = secret(id, verifier);
        let (pad, masked) = bytes.split_at_mut(LEN);
        for ((masked, pad), secret) in masked.iter_mut().zip(pad).zip(&secret) {
            *masked = *pad ^ secret;
        }
        let token = Self(URL_SAFE_NO_PAD.encode(bytes));
        secret.zeroize();
        bytes.zeroize();
        Ok(token)
    }

    /// Returns the text, for a header or a field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a hidden field for a form of HTML: an `input` of the name [`FIELD`].
    ///
    /// Nothing in it needs to be escaped.
    ///
    /// ```
    /// # use typed_session::{Error, Session, SessionData};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop {}
    /// # impl SessionData for Shop {}
    /// async fn form(session: &Session<Shop>) -> Result<String, Error> {
    ///     let field = session.csrf_token().await?.field();
    ///     Ok(format!(r#"<form method="post">{field}<button>Buy</button></form>"#))
    /// }
    /// ```
    #[must_use]
    pub fn field(&self) -> String {
        format!(r#"<input type="hidden" name="{FIELD}" value="{}">"#, self.0)
    }
}

/// Shows nothing.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Tells whether the text is a token of the session that goes by this id and one of these.
pub(crate) fn is_good<'v>(
    text: &[u8],
    id: &SessionId,
    verifiers: impl Iterator<Item = &'v Verifier>,
) -> bool {
    let mut bytes = [0; 2 * LEN];
    if text.len() != TEXT_LEN || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(bytes.len()) {
        return false;
    }
    let (pad, masked) = bytes.split_at_mut(LEN);
    let mut shown = [0; LEN];
    for ((shown, pad), masked) in shown.iter_mut().zip(pad).zip(masked) {
        *shown = *pad ^ *masked;
    }
    let shown_hash = blake3::Hash::from_bytes(shown);
    let mut good = false;
    for verifier in verifiers {
        let mut secret = secret(id, verifier);
        // In constant time.
        good |= shown_hash == blake3::Hash::from_bytes(secret);
        secret.zeroize();
    }
    shown.zeroize();
    bytes.zeroize();
    good
}

/// Finds the token in the body of a form, `application/x-www-form-urlencoded`.
///
/// It is for handlers that have the body as bytes; where a form is a struct, let it have a field of the
/// name [`FIELD`]. `None` if there is no such field, or several.
///
/// ```
/// use typed_session::csrf;
///
/// assert_eq!(csrf::find(b"item=tea&csrf_token=abc"), Some("abc"));
/// assert_eq!(csrf::find(b"item=tea"), None);
/// ```
#[must_use]
pub fn find(form: &[u8]) -> Option<&str> {
    let mut values = form.split(|octet| *octet == b'&').filter_map(|pair| {
        // No letter of the name or of a token is one that is escaped.
        pair.strip_prefix(FIELD.as_bytes())?.strip_prefix(b"=")
    });
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    str::from_utf8(value).ok()
}

fn secret(id: &SessionId, verifier: &Verifier) -> [u8; LEN] {
    id.with_locator(|locator| {
        let mut material = [0; SessionId::LOCATOR_LEN + Verifier::LEN];
        let (front, back) = material.split_at_mut(SessionId::LOCATOR_LEN);
        front.copy_from_slice(locator);
        back.copy_from_slice(verifier.as_bytes());
        let secret = id::derive(&TOKEN, &material).into();
        material.zeroize();
        secret
    })
}

const LEN: usize = 32;
const TEXT_LEN: usize = 86;

const TOKEN: ContextKey = [
    0x92, 0xda, 0x6e, 0x02, 0xc7, 0xcb, 0xcd, 0x70, 0x3b, 0x64, 0xe0, 0x3c, 0x86, 0xd9, 0x70, 0xe4,
    0x36, 0x0d, 0xa2, 0x1c, 0x6c, 0x4c, 0x7f, 0xcc, 0x7d, 0xea, 0x5d, 0xb7, 0xef, 0x9b, 0x57, 0xe3,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn the_context_is_what_its_constant_says() {
        let context = "typed-session 2026-11-22 token against forged requests";
        assert_eq!(blake3::hazmat::hash_derive_key_context(context), TOKEN);
    }

    #[test]
    fn a_token_is_new_each_time_and_shows_nothing_of_the_last_one() {
        let id = SessionId::generate(&SystemEntropy).unwrap();
        let verifier = id.verifier();
        let one = Token::new(&id, &verifier, &SystemEntropy).unwrap();
        let other = Token::new(&id, &verifier, &SystemEntropy).unwrap();
        let [one, other] = [one, other].map(|token| {
            assert!(is_good(token.as_str().as_bytes(), &id, [&verifier].into_iter()));
            assert_eq!(format!("{token:?}"), "Token(..)");
            URL_SAFE_NO_PAD.decode(token.as_str()).unwrap()
        });
        assert_eq!(one.len(), 64);
        let same = one.iter().zip(&other).filter(|(one, other)| one == other).count();
        assert!(same < 8, "{same} of 64 bytes are the same");
    }

    #[test]
    fn every_bit_of_a_token_counts() {
        let id = SessionId::generate(&SystemEntropy).unwrap();
        let verifier = id.verifier();
        let token = Token::new(&id, &verifier, &SystemEntropy).unwrap();
        let good = URL_SAFE_NO_PAD.decode(token.as_str()).unwrap();
        for bit in 0..512 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let text = URL_SAFE_NO_PAD.encode(bytes);
            assert!(!is_good(text.as_bytes(), &id, [&verifier].into_iter()), "bit {bit}");
        }
        let other = SessionId::generate(&SystemEntropy).unwrap();
        let text = token.as_str().as_bytes();
        assert!(!is_good(text, &other, [&other.verifier()].into_iter()), "of another session");
        assert!(!is_good(text, &id, [&other.verifier()].into_iter()), "of another id");
        assert!(!is_good(text, &other, [&verifier].into_iter()), "of another locator");
        assert!(!is_good(text, &id, [].into_iter()), "of no id");
    }

    #[test]
    fn a_field_needs_no_escape_and_is_found_again() {
        let id = SessionId::generate(&SystemEntropy).unwrap();
        let token = Token::new(&id, &id.verifier(), &SystemEntropy).unwrap();
        let field = token.field();
        let inner =
            field.strip_prefix(r#"<input type="hidden" name="csrf_token" value=""#).unwrap();
        let inner = inner.strip_suffix(r#"">"#).unwrap();
        assert_eq!(inner, token.as_str());
        assert!(inner.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet)));
        let form = format!("a=b&csrf_token={inner}&c=d");
        assert_eq!(find(form.as_bytes()), Some(inner));
    }

    #[test]
    fn of_a_form_the_one_field_of_that_name_is_found() {
        for (form, found) in [
            (&b"csrf_token=a"[..], Some("a")),
            (b"x=1&csrf_token=a&y=2", Some("a")),
            (b"csrf_token=", Some("")),
            (b"csrf_token=a&csrf_token=a", None),
            (b"csrf_token", None),
            (b"xcsrf_token=a", None),
            (b"csrf_tokens=a", None),
            (b"x=csrf_token=a", None),
            (b"csrf_token=\xff", None),
            (b"", None),
            (b"&&&", None),
        ] {
            assert_eq!(find(form), found, "{form:?}");
        }
    }
}
