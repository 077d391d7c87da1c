//! Signed ids: the id, the id of the key, and the signature.

use blake3::hazmat::ContextKey;
use zeroize::Zeroize;

use super::{Read, Scope, SubKeys, decoded, with_encoded};
use crate::id::SessionId;
use crate::keys::{KeyId, KeyRing};

#[derive(Clone)]
pub(super) struct Signed {
    pub(super) keys: SubKeys,
}

impl Signed {
    pub(super) fn new(ring: &KeyRing) -> Self {
        Self { keys: SubKeys::of(ring, &SIGNATURE) }
    }

    pub(super) fn read(&self, text: &[u8], scope: Scope<'_>) -> Read {
        let Some(mut bytes) = decoded::<LEN>(text) else { return Read::Malformed };
        let (id, key_id, mac) = (0..ID, ID..ID + KeyId::LEN, ID + KeyId::LEN..LEN);
        let read = match self.keys.find(&bytes[key_id]) {
            Some((age, key))
                if is_equal(&signature(key, scope, &bytes[id.clone()]), &bytes[mac]) =>
            {
                let mut id_bytes = [0; ID];
                id_bytes.copy_from_slice(&bytes[id]);
                let id = SessionId::from_bytes(&id_bytes);
                id_bytes.zeroize();
                Read::Id(id, age)
            }
            Some(_) | None => Read::Unverified,
        };
        bytes.zeroize();
        read
    }

    pub(super) fn with_text<R>(
        &self,
        id: &SessionId,
        scope: Scope<'_>,
        f: impl FnOnce(&str) -> R,
    ) -> R {
        let (key_id, key) = self.keys.newest();
        let mut bytes = [0; LEN];
        let mut id = id.bytes();
        bytes[..ID].copy_from_slice(&id);
        bytes[ID..ID + KeyId::LEN].copy_from_slice(key_id.as_bytes());
        bytes[ID + KeyId::LEN..].copy_from_slice(&signature(key, scope, &id));
        id.zeroize();
        with_encoded(&mut bytes, f)
    }
}

fn signature(key: &[u8; 32], scope: Scope<'_>, id: &[u8]) -> [u8; MAC] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    scope.add_to(&mut hasher);
    let hash = hasher.update(id).finalize();
    let mut mac = [0; MAC];
    mac.copy_from_slice(&hash.as_bytes()[..MAC]);
    mac
}

/// In constant time.
fn is_equal(ours: &[u8; MAC], theirs: &[u8]) -> bool {
    let widened = |mac: &[u8]| {
        let mut wide = [0; 32];
        wide[..MAC].copy_from_slice(mac);
        blake3::Hash::from_bytes(wide)
    };
    theirs.len() == MAC && widened(ours) == widened(theirs)
}

const ID: usize = SessionId::LEN;
/// 128 bits; why so many, and no more, is at `IdForm::signed`.
const MAC: usize = 16;
const LEN: usize = ID + KeyId::LEN + MAC;

pub(super) const SIGNATURE: ContextKey = [
    0xb6, 0xc9, 0xdf, 0x5d, 0x50, 0x64, 0x70, 0x3d, 0xc8, 0x5f, 0x02, 0x94, 0x50, 0xfb, 0xe5, 0x56,
    0xe7, 0xfb, 0xd2, 0x7e, 0x32, 0x7d, 0xf7, 0x50, 0x36, 0x0f, 0x76, 0xaf, 0x91, 0xe3, 0xa0, 0x6d,
];
