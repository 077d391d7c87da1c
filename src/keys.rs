//! The keys of what is signed or encrypted: several are accepted, the newest is used.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake3::hazmat::ContextKey;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::entropy::{Entropy, EntropyError};
use crate::id::derive;

/// Keys of which the newest signs and encrypts, and all are accepted.
///
/// A key is 32 random bytes or more, the same on all machines of an application. It comes from an
/// [environment variable](Self::from_env), a [file](Self::from_file) or [bytes](Self::from_bytes).
/// To replace one, put the new key before it, and take the old one out when what it has signed is
/// too old to matter; [`manual::keys`](crate::manual::keys) has the steps. Each key has a name that
/// is computed from it, its [`KeyId`], so that nobody has to think of one and all machines agree.
///
/// Clones share the keys.
///
/// # Text
///
/// In a variable or a file a key is written in hexadecimal digits or in base64url without padding.
/// `typed-session key` or `openssl rand -hex 32` makes one. The newest comes first; line breaks or
/// commas stand between keys. Spaces around a key and empty lines mean nothing, and of a line that
/// begins with `#` nothing is read. What consists of an even number of hexadecimal digits is read as
/// these. The same key twice is one key. There may be 16 keys.
///
/// ```text
/// # since November
/// 5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00
/// # until December; remove on 1 January
/// m7Yt0m5JmV6Tq2bqkE3n1v9cQwF0bZl8oXKcR4uUe1A
/// ```
///
/// # Security
///
/// Whoever has a key can write what it signs. Every purpose has a sub-key of its own
/// (`blake3::derive_key` with a context), so a signed id tells nothing about what is encrypted.
/// `Debug` and the errors show key ids at most; what is kept is zeroed on drop. What was only
/// moved through memory, as the environment of the process, is not ours to erase. A key that is
/// shorter than 32 bytes, plainly not random, or a passphrase is refused, and the absence of keys is
/// an error, never a ring without keys (OWASP ASVS 5.0, 11.2.3).
///
/// # Example
///
/// ```
/// use typed_session::{KeyError, KeyRing};
///
/// # let config = "5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00\n";
/// let keys = KeyRing::from_text(config)?; // or KeyRing::from_env("SESSION_KEYS")?
/// assert_eq!(keys.key_ids().count(), 1);
///
/// let Err(missing) = KeyRing::from_env("NO_SUCH_VARIABLE") else { unreachable!() };
/// assert_eq!(missing.to_string(), "the environment variable `NO_SUCH_VARIABLE` is not set");
/// # Ok::<(), KeyError>(())
/// ```
// Invariant: there is at least one key, and no two have the same id.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<[Key]>,
}

impl KeyRing {
    /// Makes a ring of one key.
    ///
    /// The bytes are the key itself, not text: for a text there is [`from_text`](Self::from_text).
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`], [`KeyError::NotRandom`] or [`KeyError::Passphrase`].
    pub fn from_bytes(key: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { keys: Arc::new([Key::new(key)?]) })
    }

    /// Adds a key that is older than the others: it is accepted and signs nothing.
    ///
    /// # Errors
    ///
    /// The same, [`KeyError::TooMany`], or [`KeyError::SameId`].
    pub fn and_older(self, key: &[u8]) -> Result<Self, KeyError> {
        self.with(Key::new(key)?)
    }

    /// Reads keys from text of the form above.
    ///
    /// # Errors
    ///
    /// Any [`KeyError`] but [`Unset`](KeyError::Unset) and [`Unreadable`](KeyError::Unreadable).
    /// None shows any of the text.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let mut ring: Option<Self> = None;
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with('#') {
                continue;
            }
            for word in line.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                let added = decode(word).and_then(|bytes| Key::new(&bytes)).and_then(|key| {
                    match ring.take() {
                        None => Ok(Self { keys: Arc::new([key]) }),
                        Some(ring) => ring.with(key),
                    }
                });
                ring = Some(added.map_err(|error| error.at(format!("line {}", index + 1)))?);
            }
        }
        ring.ok_or(KeyError::NoKey)
    }

    /// Reads keys from an environment variable, as text of the form above.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unset`] if there is no such variable; otherwise that of the text, with the
    /// variable's name before it: [`KeyError::At`], also for an empty one.
    pub fn from_env(variable: &str) -> Result<Self, KeyError> {
        let value = std::env::var_os(variable)
            .ok_or_else(|| KeyError::Unset { variable: variable.to_owned() })?;
        let text = OsString::into_string(value).map(Zeroizing::new);
        let ring = match text {
            Ok(text) => Self::from_text(&text),
            Err(_) => Err(KeyError::Encoding),
        };
        ring.map_err(|error| error.at(format!("the environment variable `{variable}`")))
    }

    /// Reads keys from a file, as text of the form above.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unreadable`], also if the file is longer than 64 KiB; otherwise that of the
    /// text, with the file's name before it: [`KeyError::At`], also for an empty one.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_FILE + 1));
        File::open(path)
            .and_then(|file| file.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() > LONGEST_FILE {
            return Err(unreadable(io::Error::from(io::ErrorKind::FileTooLarge)));
        }
        let ring = match std::str::from_utf8(&bytes) {
            Ok(text) => Self::from_text(text),
            Err(_) => Err(KeyError::Encoding),
        };
        ring.map_err(|error| error.at(format!("the file `{}`", path.display())))
    }

    /// Makes the text of a fresh key: 64 hexadecimal digits. What becomes of it is the caller's
    /// care.
    ///
    /// # Errors
    ///
    /// If the random source fails.
    ///
    /// # Example
    ///
    /// ```
    /// use typed_session::{KeyRing, SystemEntropy};
    ///
    /// let text = KeyRing::generate_text(&SystemEntropy)?;
    /// assert!(KeyRing::from_text(&text).is_ok());
    /// # Ok::<(), typed_session::EntropyError>(())
    /// ```
    pub fn generate_text(entropy: &dyn Entropy) -> Result<String, EntropyError> {
        let mut key = Zeroizing::new([0; SHORTEST]);
        entropy.fill(&mut *key)?;
        let mut text = String::with_capacity(2 * SHORTEST);
        for byte in *key {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(HEX[usize::from(digit)]));
            }
        }
        Ok(text)
    }

    /// Returns the ids of the keys, that of the newest first.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(Key::id)
    }

    /// The key of this id, if it is in the ring.
    pub(crate) fn find(&self, id: KeyId) -> Option<&Key> {
        // Not in constant time: ids are no secrets.
        self.keys.iter().find(|key| key.id == id)
    }

    /// All the keys, the newest first.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    fn with(self, key: Key) -> Result<Self, KeyError> {
        match self.find(key.id) {
            Some(known) if known.is(&key) => return Ok(self),
            Some(_) => return Err(KeyError::SameId { id: key.id }),
            None => {}
        }
        if self.keys.len() == MOST_KEYS {
            return Err(KeyError::TooMany);
        }
        Ok(Self { keys: self.keys.iter().cloned().chain([key]).collect() })
    }
}

/// Shows the ids of the keys.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_list().entries(self.key_ids()).finish()
    }
}

/// The name of a key: a hash of it, 6 bytes, which tells nothing about it.
///
/// It stands in what the key has signed, so that the right one is found at once.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId([u8; KeyId::LEN]);

impl KeyId {
    /// Two keys of a ring have the same one by chance once in 2^48 times, and then the ring says
    /// so. With 6 bytes it also takes a whole number of characters.
    pub(crate) const LEN: usize = 6;

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// 12 hexadecimal digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// One key of a ring.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key {
    #[zeroize(skip)]
    id: KeyId,
    /// A hash of the material, whatever its length.
    root: [u8; 32],
}

impl Key {
    fn new(material: &[u8]) -> Result<Self, KeyError> {
        check(material)?;
        let mut key = Self { id: KeyId([0; KeyId::LEN]), root: derive(&ROOT, material).into() };
        key.id.0.copy_from_slice(&derive(&NAME, &key.root).as_bytes()[..KeyId::LEN]);
        Ok(key)
    }

    pub(crate) const fn id(&self) -> KeyId {
        self.id
    }

    /// The sub-key for one purpose, which is named by its context.
    pub(crate) fn derive(&self, context: &ContextKey) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(derive(context, &self.root).into())
    }

    /// In constant time.
    fn is(&self, other: &Self) -> bool {
        blake3::Hash::from_bytes(self.root) == blake3::Hash::from_bytes(other.root)
    }
}

/// Shows the id.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ..)", self.id)
    }
}

/// Why there is no [`KeyRing`]. It shows nothing of any key.
///
/// Fix the configuration, and do not start without: nothing else is used in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is shorter than 32 bytes.
    #[error(
        "a key has 32 bytes or more, and this one has {octets}; make one by `openssl rand -hex 32`"
    )]
    TooShort {
        /// How many bytes it has.
        octets: usize,
    },
    /// The key is plainly not random: it has fewer than 8 different bytes, or counts.
    #[error("the key is not random; make one by `openssl rand -hex 32`")]
    NotRandom,
    /// The key's bytes are all letters, digits and signs, so it is a text or a passphrase.
    #[error(
        "the key is text and not bytes; decode it by `KeyRing::from_text`, and if it is a passphrase, make a key by `openssl rand -hex 32` instead"
    )]
    Passphrase,
    /// The text is neither hexadecimal digits nor base64url without padding.
    #[error(
        "a key is written in hexadecimal digits or in base64url without padding; make one by `openssl rand -hex 32`"
    )]
    Encoding,
    /// There is nothing but comments and spaces.
    #[error("there is no key; make one by `openssl rand -hex 32`")]
    NoKey,
    /// There are more than 16 keys.
    #[error("there are more than 16 keys; take out the old ones")]
    TooMany,
    /// Two keys have the same id, which happens to random keys once in 2^48 times.
    #[error("two keys have the id {id}; replace one of them")]
    SameId {
        /// The id.
        id: KeyId,
    },
    /// There is no such environment variable.
    #[error("the environment variable `{variable}` is not set")]
    Unset {
        /// Its name.
        variable: String,
    },
    /// The file could not be read.
    #[error("the file of keys `{}` cannot be read", path.display())]
    Unreadable {
        /// Its name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key at this place is wrong.
    #[error("{place}: {error}")]
    At {
        /// A line, a variable, or a file.
        place: String,
        /// What is wrong.
        error: Box<KeyError>,
    },
}

impl KeyError {
    fn at(self, place: String) -> Self {
        Self::At { place, error: Box::new(self) }
    }
}

/// The bytes of a key as text.
fn decode(word: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let is_hex =
        word.len().is_multiple_of(2) && word.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex {
        let mut bytes = Zeroizing::new(vec![0; word.len()]);
        let len = URL_SAFE_NO_PAD.decode_slice(word, &mut bytes).map_err(|_| KeyError::Encoding)?;
        bytes.truncate(len);
        return Ok(bytes);
    }
    let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or_default() as u8;
    let pairs = word.as_bytes().chunks_exact(2);
    Ok(Zeroizing::new(pairs.map(|pair| value(&pair[0]) << 4 | value(&pair[1])).collect()))
}

/// Refuses what is plainly no key. Of random keys it refuses none in practice: 32 random bytes are
/// all printable once in 2^45 times.
fn check(material: &[u8]) -> Result<(), KeyError> {
    if material.len() < SHORTEST {
        return Err(KeyError::TooShort { octets: material.len() });
    }
    if material.iter().all(|octet| matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n')) {
        return Err(KeyError::Passphrase);
    }
    let mut seen = [false; 256];
    for octet in material {
        seen[usize::from(*octet)] = true;
    }
    let different = seen.iter().filter(|seen| **seen).count();
    seen.zeroize();
    let step = material[1].wrapping_sub(material[0]);
    let counts = material.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    if different < FEWEST_DIFFERENT || counts {
        return Err(KeyError::NotRandom);
    }
    Ok(())
}

const SHORTEST: usize = 32;
const FEWEST_DIFFERENT: usize = 8;
const MOST_KEYS: usize = 16;
const LONGEST_FILE: usize = 64 * 1024;
const HEX: &[u8; 16] = b"0123456789abcdef";

const ROOT: ContextKey = [
    0x99, 0x98, 0xff, 0xd9, 0x8e, 0x56, 0xb0, 0x22, 0x81, 0x46, 0x79, 0x26, 0xe5, 0x96, 0x3c, 0x0f,
    0x0a, 0x23, 0x50, 0x00, 0x0e, 0xc1, 0x2c, 0xfe, 0x43, 0x5c, 0xa6, 0xce, 0xd5, 0x12, 0x2c, 0x3a,
];
const NAME: ContextKey = [
    0xd2, 0x84, 0x67, 0x48, 0xfa, 0x62, 0xd5, 0x62, 0xb2, 0xae, 0xb3, 0xf3, 0xd1, 0x03, 0x00, 0xec,
    0x7d, 0x8c, 0x73, 0xfe, 0xe7, 0x20, 0xd7, 0xda, 0xb0, 0x3b, 0x00, 0xb6, 0x0e, 0x60, 0x06, 0x82,
];

#[cfg(test)]
mod tests;
