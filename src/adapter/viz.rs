//! [`Session`](crate::Session) as a viz extractor.
