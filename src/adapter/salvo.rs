//! [`Session`](crate::Session) as a salvo extractor.
