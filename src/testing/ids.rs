//! Ids as they are, whatever form they travel in.

use crate::SessionLayer;
use crate::data::SessionData;
use crate::store::Backend;

/// Reads the id out of the values of a request's fields, and returns it as it is, without signature
/// or encryption.
///
/// For tests that compare ids: a private one looks different each time it is handed out. Nothing
/// comes of what the layer would refuse; of several ids it is the first.
#[must_use]
pub fn bare_id<'h, T: SessionData, S: Backend>(
    layer: &SessionLayer<T, S>,
    values: impl IntoIterator<Item = &'h [u8]>,
) -> Option<String> {
    let candidates = layer.shared.policy.candidates(values.into_iter());
    candidates.get(0).map(|candidate| candidate.id.with_text(str::to_owned))
}
