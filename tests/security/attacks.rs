//! Attacks from end to end.
