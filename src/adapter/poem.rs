//! [`Session`](crate::Session) as a poem extractor.
