//! [`Session`](crate::Session) as an ntex extractor.
