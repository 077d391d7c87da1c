//! JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::EncodeError;

pub(super) fn encode<T: Serialize>(data: &T, into: &mut Vec<u8>) -> Result<(), EncodeError> {
    serde_json::to_writer(into, data).map_err(EncodeError::new)
}

/// The error is dropped, because it may quote the data.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
