//! How an id is written: as it is, signed, or encrypted.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake3::hazmat::ContextKey;
use zeroize::{Zeroize, Zeroizing};

use self::signed::Signed;
use crate::entropy::{Entropy, EntropyError};
use crate::id::SessionId;
use crate::keys::{KeyId, KeyRing};

#[cfg(feature = "sealed")]
use self::private::Private;

#[cfg(feature = "sealed")]
mod private;
mod signed;
#[cfg(test)]
mod tests;

/// How ids are written in the cookie or header: as they are, signed, or encrypted.
///
/// [`SessionLayer::id_form`](crate::SessionLayer::id_form) sets it, for all three
/// [transports](crate::Transport). The default is [`unsigned`](Self::unsigned), which is safe: an id
/// is 256 random bits and cannot be guessed. The two others buy this:
///
/// | form | characters | what it buys |
/// | --- | --- | --- |
/// | unsigned | 43 | nothing to keep secret, and nothing to lose |
/// | [`signed`](Self::signed) | 72 | a made-up id costs no store call, so guesses and floods of them stop at the door; the id of one layer is none for another |
/// | [`private`](Self::private) | 104 | the same, and what travels is not the id itself and looks different each time it is handed out |
///
/// # Changing keys, and forms
///
/// What an older key of the ring has written is accepted, and the next response that asks for the
/// session hands the same id out anew, written by the newest key. The same goes for other forms that
/// are accepted for a while, as when signing is introduced. It costs one `replace`, once for each
/// client: a compare-and-swap, so that a login that happens meanwhile keeps its cookie. An id that
/// the session does not go by any more is never written anew. A client that does not take what it is
/// given pays each time.
///
/// # Security
///
/// A value that no key vouches for costs no store call and no allocation, is never adopted, and its
/// verdict is [`Unverified`](crate::Verdict::Unverified). The key's id, the kind of transport and the
/// name of the cookie or header are part of what is signed (OWASP ASVS 5.0, 9.1.1 to 9.1.3 and
/// 9.2.3). A form has one spelling. Losing the keys logs everybody out, and no more; whoever gets
/// hold of them can write well-formed ids, which are as unguessable as without signing.
///
/// What none of it does: whoever holds the cookie is the user, whatever it looks like. There is
/// `HttpOnly`, rotation and logout against a stolen one.
///
/// # Example
///
/// ```
/// use typed_session::store::MemoryStore;
/// use typed_session::{IdForm, KeyError, KeyRing, SessionData, SessionLayer};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Visits { count: u64 }
/// # impl SessionData for Visits {}
/// # let config = "5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00";
///
/// let keys = KeyRing::from_text(config)?; // or KeyRing::from_env("SESSION_KEYS")?
///
/// // For as long as cookies from before live, which is the absolute limit of a session:
/// let form = IdForm::signed(keys).also_accept(IdForm::unsigned());
/// let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new()).id_form(form);
/// # drop(sessions);
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct IdForm {
    writes: Writing,
    also_reads: Vec<Writing>,
}

impl IdForm {
    /// Writes ids as they are: the default.
    #[must_use]
    pub const fn unsigned() -> Self {
        Self { writes: Writing::Unsigned, also_reads: Vec::new() }
    }

    /// Writes ids with a signature of the ring's newest key.
    ///
    /// The signature is keyed BLAKE3 over the kind of transport, the name of the cookie or header,
    /// and the id, of which 128 bits are sent. To forge one, nothing is better than to try, and each
    /// try is a request: 2^127 of them on average. A longer one would make each request longer and
    /// nothing safer, because what it guards is a store call, and behind that is the id's own secret.
    #[must_use]
    pub fn signed(keys: KeyRing) -> Self {
        Self { writes: Writing::Signed(Signed::new(&keys)), also_reads: Vec::new() }
    }

    /// Writes ids encrypted with the ring's newest key.
    ///
    /// It is XChaCha20-Poly1305 with a random nonce of 24 bytes from the layer's
    /// [entropy](crate::Entropy); the key's id, the kind of transport and the name of the cookie or
    /// header are its associated data. So a log of a proxy, a crash report or a browser's profile does
    /// not hold the id as such, and two responses to one client show different texts. It does hold what
    /// a thief needs: the text is as good as the id while the session lives and the key is in the ring.
    #[cfg(feature = "sealed")]
    #[must_use]
    pub fn private(keys: KeyRing) -> Self {
        Self { writes: Writing::Private(Private::new(&keys)), also_reads: Vec::new() }
    }

    /// Accepts another form too, and writes it anew as this one.
    ///
    /// # Security
    ///
    /// With `also_accept(IdForm::unsigned())` a made-up id costs a store call again. It is for the time in
    /// which signing is introduced: take it out when the last cookie from before has expired.
    #[must_use]
    pub fn also_accept(mut self, other: Self) -> Self {
        self.also_reads.push(other.writes);
        self.also_reads.extend(other.also_reads);
        self
    }

    /// Says how ids are written, for people.
    pub(crate) const fn in_words(&self) -> &'static str {
        match &self.writes {
            Writing::Unsigned => "as it is",
            Writing::Signed(_) => "signed",
            #[cfg(feature = "sealed")]
            Writing::Private(_) => "encrypted",
        }
    }

    /// Tells whether ids that no key vouches for are looked up.
    pub(crate) fn reads_unsigned(&self) -> bool {
        let mut read = std::iter::once(&self.writes).chain(&self.also_reads);
        read.any(|form| matches!(form, Writing::Unsigned))
    }

    /// Reads what a request carries in the place of an id.
    pub(crate) fn read(&self, text: &[u8], scope: Scope<'_>) -> Read {
        // Not only quicker: thousands of empty cookies may be in one header.
        if text.len() < SessionId::TEXT_LEN {
            return Read::Malformed;
        }
        let mut unverified = match self.writes.read(text, scope) {
            Read::Id(id, age) => return Read::Id(id, age),
            Read::Unverified => true,
            Read::Malformed => false,
        };
        for other in &self.also_reads {
            match other.read(text, scope) {
                Read::Id(id, _) => return Read::Id(id, Age::Old),
                Read::Unverified => unverified = true,
                Read::Malformed => {}
            }
        }
        // Or it is an id as it is, where none is accepted.
        if unverified || SessionId::parse(text).is_some() {
            Read::Unverified
        } else {
            Read::Malformed
        }
    }

    /// Runs `f` on the text that the client is to hold; the text is zeroed afterwards.
    #[cfg_attr(not(feature = "sealed"), expect(unused_variables, reason = "for private ids alone"))]
    pub(crate) fn with_text<R>(
        &self,
        id: &SessionId,
        salt: &Salt,
        scope: Scope<'_>,
        f: impl FnOnce(&str) -> R,
    ) -> R {
        match &self.writes {
            Writing::Unsigned => id.with_text(f),
            Writing::Signed(signed) => signed.with_text(id, scope, f),
            #[cfg(feature = "sealed")]
            Writing::Private(private) => private.with_text(id, &salt.0, scope, f),
        }
    }

    /// Draws what [`with_text`](Self::with_text) needs of randomness: before the session is stored,
    /// lest there be one whose id cannot be written.
    pub(crate) fn salt(&self, entropy: &dyn Entropy) -> Result<Salt, EntropyError> {
        let mut salt = Salt([0; Salt::LEN]);
        if self.writes.has_nonce() {
            entropy.fill(&mut salt.0)?;
        }
        Ok(salt)
    }
}

impl Default for IdForm {
    fn default() -> Self {
        Self::unsigned()
    }
}

/// The longest text of an id, in any form: that of a private one.
pub(crate) const LONGEST_TEXT: usize = 104;

/// Where a text is valid: in a cookie, or in another header, of this name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
}

/// The octet is part of what is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Kind {
    Cookie = b'c',
    Header = b'h',
}

impl Scope<'_> {
    /// What stands for it in a signature, before something of a fixed length.
    fn add_to(self, hasher: &mut blake3::Hasher) {
        hasher.update(&[self.kind as u8]).update(self.name.as_bytes());
    }
}

/// What stands in the place of an id.
#[derive(Debug)]
pub(crate) enum Read {
    Id(SessionId, Age),
    /// It has the form of an id, and no key vouches for it.
    Unverified,
    Malformed,
}

/// Whether a text is what would be written today.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Age {
    Current,
    /// By an older key, or of another form.
    Old,
}

/// A nonce, where the form needs one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salt([u8; Salt::LEN]);

impl Salt {
    const LEN: usize = 24;
}

#[derive(Clone)]
enum Writing {
    Unsigned,
    Signed(Signed),
    #[cfg(feature = "sealed")]
    Private(Private),
}

impl Writing {
    const fn has_nonce(&self) -> bool {
        match self {
            Self::Unsigned | Self::Signed(_) => false,
            #[cfg(feature = "sealed")]
            Self::Private(_) => true,
        }
    }

    fn read(&self, text: &[u8], scope: Scope<'_>) -> Read {
        match self {
            Self::Unsigned => match SessionId::parse(text) {
                Some(id) => Read::Id(id, Age::Current),
                None => Read::Malformed,
            },
            Self::Signed(signed) => signed.read(text, scope),
            #[cfg(feature = "sealed")]
            Self::Private(private) => private.read(text, scope),
        }
    }
}

/// Shows the ids of the keys.
impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("Unsigned"),
            Self::Signed(signed) => write!(f, "Signed{:?}", signed.keys),
            #[cfg(feature = "sealed")]
            Self::Private(private) => write!(f, "Private{:?}", private.keys),
        }
    }
}

/// The sub-keys of a ring for one purpose, the newest first.
#[derive(Clone)]
pub(crate) struct SubKeys(Arc<[(KeyId, Zeroizing<[u8; 32]>)]>);

impl SubKeys {
    pub(crate) fn of(ring: &KeyRing, context: &ContextKey) -> Self {
        Self(ring.keys().iter().map(|key| (key.id(), key.derive(context))).collect())
    }

    /// What signs and encrypts.
    pub(crate) fn newest(&self) -> (KeyId, &[u8; 32]) {
        let (id, key) = &self.0[0];
        (*id, key)
    }

    pub(crate) fn find(&self, id: &[u8]) -> Option<(Age, &[u8; 32])> {
        // Not in constant time: ids of keys are no secrets.
        let at = self.0.iter().position(|(known, _)| known.as_bytes() == id)?;
        let age = if at == 0 { Age::Current } else { Age::Old };
        Some((age, &self.0[at].1))
    }
}

/// Shows the ids.
impl fmt::Debug for SubKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

/// The bytes of a text of exactly so many; such a text has one spelling, as there are no bits to
/// spare.
fn decoded<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    const { assert!(N.is_multiple_of(3)) };
    let mut bytes = [0; N];
    if text.len() != N / 3 * 4 {
        return None;
    }
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(len) if len == N => Some(bytes),
        _ => None,
    }
}

/// Runs `f` on the text of these bytes; both are zeroed afterwards.
fn with_encoded<R>(bytes: &mut [u8], f: impl FnOnce(&str) -> R) -> R {
    let mut text = [0; LONGEST_TEXT];
    let written = URL_SAFE_NO_PAD.encode_slice(&*bytes, &mut text);
    debug_assert_eq!(written, Ok(bytes.len() / 3 * 4));
    bytes.zeroize();
    let len = written.unwrap_or_default();
    let result = f(std::str::from_utf8(&text[..len]).unwrap_or_default());
    text.zeroize();
    result
}
