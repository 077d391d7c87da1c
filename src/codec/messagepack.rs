//! MessagePack, with field names.

use rmp_serde::config::BytesMode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::EncodeError;

pub(super) fn encode<T: Serialize>(data: &T, into: &mut Vec<u8>) -> Result<(), EncodeError> {
    // Named fields, because positions would break with every change of the type.
    // Human-readable, because a type must look the same here as in JSON: merges and
    // migrations see trees of JSON.
    let mut serializer = rmp_serde::Serializer::new(into)
        .with_struct_map()
        .with_human_readable()
        .with_bytes(BytesMode::Normal);
    data.serialize(&mut serializer).map_err(EncodeError::new)
}

/// The error is dropped, because it may quote the data.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut rest = bytes;
    let data = {
        let mut deserializer = rmp_serde::Deserializer::new(&mut rest).with_human_readable();
        T::deserialize(&mut deserializer).ok()?
    };
    rest.is_empty().then_some(data)
}
