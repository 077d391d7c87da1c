//! What a layer is told for its audit alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the rules of a layer can tell beside its policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// Ids are made of other randomness than the operating system's.
    pub(crate) own_entropy: bool,
    /// Somebody watches.
    pub(crate) is_observed: bool,
    /// Sessions live in the clients' cookies alone.
    pub(crate) is_stateless: bool,
    /// For these it is asked from when on the logins of a user count.
    pub(crate) asks_not_before: bool,
    /// By clause.
    pub(super) reasons: BTreeMap<&'static str, Cow<'static, str>>,
}
