//! Random bytes that are the same in every run.

use std::sync::Mutex;

use crate::entropy::{Entropy, EntropyError};

/// A source of bytes that look random and are the same in every run.
///
/// **For tests only:** who knows the seed knows every id.
///
/// ```
/// use typed_session::Entropy;
/// use typed_session::testing::SeededEntropy;
///
/// let (mut one, mut other) = ([0; 16], [0; 16]);
/// SeededEntropy::new(7).fill(&mut one).unwrap();
/// SeededEntropy::new(7).fill(&mut other).unwrap();
/// assert_eq!(one, other);
/// ```
#[derive(Debug)]
pub struct SeededEntropy(Mutex<blake3::OutputReader>);

impl SeededEntropy {
    /// Makes the source of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let hash = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        Self(Mutex::new(hash))
    }

    /// Returns the next bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.read(&mut bytes);
        bytes
    }

    fn read(&self, buffer: &mut [u8]) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(buffer);
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        self.read(buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_and_never_the_same_twice() {
        let (one, other) = (SeededEntropy::new(1), SeededEntropy::new(1));
        let first = one.bytes::<32>();
        assert_eq!(first, other.bytes::<32>());
        assert_ne!(first, one.bytes::<32>());
        assert_ne!(first, SeededEntropy::new(2).bytes::<32>());
    }
}
