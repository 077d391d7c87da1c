//! The policy as a document.
