//! What tests of sessions need.
