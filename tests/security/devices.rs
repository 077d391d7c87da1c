//! A user's sessions, seen and ended.
