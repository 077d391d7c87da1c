//! XChaCha20-Poly1305, and no other: there is nothing to negotiate.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};

use crate::entropy::Entropy;
use crate::error::Error;

/// Long enough to be drawn at random: 2^80 of one key and no two are the same.
pub(super) const NONCE: usize = 24;

pub(super) const TAG: usize = 16;

/// Appends nonce, ciphertext and tag of `plain`.
pub(super) fn seal(
    key: &[u8; 32],
    about: &[u8],
    plain: &[u8],
    entropy: &dyn Entropy,
    into: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce)?;
    into.extend_from_slice(&nonce);
    let start = into.len();
    into.extend_from_slice(plain);
    let cipher = XChaCha20Poly1305::new(key.into());
    match cipher.encrypt_inout_detached((&nonce).into(), about, (&mut into[start..]).into()) {
        Ok(tag) => {
            into.extend_from_slice(&tag);
            Ok(())
        }
        Err(_) => {
            // Invariant: nothing leaves in clear.
            into.truncate(start);
            Err(Error::Encode(TooLong.into()))
        }
    }
}

/// Opens nonce, ciphertext and tag; nothing if they are not of this key and about this.
pub(super) fn open(key: &[u8; 32], about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let (text, tag) = rest.split_last_chunk::<TAG>()?;
    let mut plain = text.to_vec();
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher
        .decrypt_inout_detached(nonce.into(), about, plain.as_mut_slice().into(), tag.into())
        .ok()?;
    Some(plain)
}

/// More than the cipher can take, which is 256 GiB.
#[derive(Debug, thiserror::Error)]
#[error("too long to be encrypted")]
struct TooLong;

impl From<TooLong> for crate::codec::EncodeError {
    fn from(source: TooLong) -> Self {
        Self::new(source)
    }
}
