//! Private parts for the fuzz targets; `cargo fuzz` alone builds this.

use crate::envelope::Envelope;

/// Reads the body of a record and writes it again; nothing if it is not one.
#[must_use]
pub fn rewritten(body: &[u8]) -> Option<Vec<u8>> {
    Some(match Envelope::decode(body)? {
        Envelope::Tombstone(tombstone) => tombstone.encode(),
        Envelope::Live(mut live) => live.encode(body.get(live.data_at..)?.to_vec()),
    })
}

/// Writes what stands in a cookie of this name for a session, whatever is in it.
#[must_use]
pub fn stateless_text(keys: &crate::KeyRing, cookie: &str, plain: &[u8]) -> Option<String> {
    crate::sealed::text_of(keys, cookie, plain)
}
