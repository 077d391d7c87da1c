//! Abuse: guesses, floods, sizes.
