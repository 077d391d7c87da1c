//! Where random bytes come from.

use std::sync::Arc;

use rand::TryRng;
use rand::rngs::SysRng;

/// A source of random bytes for ids.
///
/// # Security
///
/// The ids are as unguessable as this source. It must be a cryptographically
/// secure generator (OWASP ASVS 5.0, 7.2.3 and 11.5.1); the default,
/// [`SystemEntropy`], is the operating system's.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the whole buffer with random bytes.
    ///
    /// # Errors
    ///
    /// Says that no randomness could be had. The request that needed it fails
    /// as it does in an outage of the store; no weaker bytes are used instead.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError>;
}

impl<E: Entropy + ?Sized> Entropy for Arc<E> {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        (**self).fill(buffer)
    }
}

/// No randomness could be had.
#[derive(Debug, thiserror::Error)]
#[error("the random source failed")]
pub struct EntropyError {
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl EntropyError {
    /// Wraps the failure of a random source.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        SysRng.try_fill_bytes(buffer).map_err(EntropyError::new)
    }
}
