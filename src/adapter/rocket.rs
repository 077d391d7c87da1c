//! [`Session`](crate::Session) as a rocket extractor.
