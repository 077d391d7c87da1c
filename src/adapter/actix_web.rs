//! [`Session`](crate::Session) as an actix-web extractor.
