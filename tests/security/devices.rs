//! A user's sessions, seen and ended.

mod clients;
mod ends;
mod fifty;
mod limit;
mod orders;
mod pages;
