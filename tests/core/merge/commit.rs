//! Commits that meet others.
