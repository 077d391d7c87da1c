//! Signed ids and their keys.
