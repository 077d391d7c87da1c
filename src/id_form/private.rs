//! Private ids: the id of the key, a nonce, and the encrypted id with its tag.

use blake3::hazmat::ContextKey;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroize;

use super::{Read, Salt, Scope, SubKeys, decoded, with_encoded};
use crate::id::SessionId;
use crate::keys::{KeyId, KeyRing};

#[derive(Clone)]
pub(super) struct Private {
    pub(super) keys: SubKeys,
}

impl Private {
    pub(super) fn new(ring: &KeyRing) -> Self {
        Self { keys: SubKeys::of(ring, &ENCRYPTION) }
    }

    pub(super) fn read(&self, text: &[u8], scope: Scope<'_>) -> Read {
        let Some(bytes) = decoded::<LEN>(text) else { return Read::Malformed };
        let (mut nonce, mut id, mut tag) = ([0; Salt::LEN], [0; ID], [0; TAG]);
        nonce.copy_from_slice(&bytes[NONCE_AT..ID_AT]);
        id.copy_from_slice(&bytes[ID_AT..TAG_AT]);
        tag.copy_from_slice(&bytes[TAG_AT..]);
        let Some((age, key)) = self.keys.find(&bytes[..NONCE_AT]) else { return Read::Unverified };
        // The tag is compared in constant time, before anything is decrypted.
        let opened = XChaCha20Poly1305::new(key.into()).decrypt_inout_detached(
            &XNonce::from(nonce),
            &associated(&bytes[..NONCE_AT], scope),
            id.as_mut_slice().into(),
            &Tag::from(tag),
        );
        let read = match opened {
            Ok(()) => Read::Id(SessionId::from_bytes(&id), age),
            Err(_) => Read::Unverified,
        };
        id.zeroize();
        read
    }

    pub(super) fn with_text<R>(
        &self,
        id: &SessionId,
        nonce: &[u8; Salt::LEN],
        scope: Scope<'_>,
        f: impl FnOnce(&str) -> R,
    ) -> R {
        let (key_id, key) = self.keys.newest();
        let mut id = id.bytes();
        let sealed = XChaCha20Poly1305::new(key.into()).encrypt_inout_detached(
            &XNonce::from(*nonce),
            &associated(key_id.as_bytes(), scope),
            id.as_mut_slice().into(),
        );
        let Ok(tag) = sealed else {
            // Not for 32 bytes; and if it were so, never the id as it is.
            id.zeroize();
            return f("");
        };
        let mut bytes = [0; LEN];
        bytes[..NONCE_AT].copy_from_slice(key_id.as_bytes());
        bytes[NONCE_AT..ID_AT].copy_from_slice(nonce);
        bytes[ID_AT..TAG_AT].copy_from_slice(&id);
        bytes[TAG_AT..].copy_from_slice(&tag);
        with_encoded(&mut bytes, f)
    }
}

/// The key's id and a hash of where the text is valid; the purpose is in the sub-key.
fn associated(key_id: &[u8], scope: Scope<'_>) -> [u8; KeyId::LEN + blake3::OUT_LEN] {
    let mut hasher = blake3::Hasher::new();
    scope.add_to(&mut hasher);
    let mut data = [0; KeyId::LEN + blake3::OUT_LEN];
    data[..KeyId::LEN].copy_from_slice(key_id);
    data[KeyId::LEN..].copy_from_slice(hasher.finalize().as_bytes());
    data
}

const ID: usize = SessionId::LEN;
const TAG: usize = 16;
const NONCE_AT: usize = KeyId::LEN;
const ID_AT: usize = NONCE_AT + Salt::LEN;
const TAG_AT: usize = ID_AT + ID;
const LEN: usize = TAG_AT + TAG;

pub(super) const ENCRYPTION: ContextKey = [
    0x29, 0x72, 0x9d, 0x2d, 0x40, 0xdd, 0x58, 0xb0, 0xa7, 0xf1, 0xbf, 0xa1, 0xac, 0x72, 0x27, 0x82,
    0xf0, 0xd4, 0x01, 0xf1, 0x9e, 0xc4, 0xbc, 0x00, 0xfb, 0xcc, 0x72, 0x49, 0xde, 0xfe, 0x17, 0xea,
];
