//! Every store against the contract.

#[cfg(feature = "testing")]
mod conformance;
#[cfg(feature = "testing")]
mod wrong;
