//! Sessions in an SQLite file.
/// To come.
#[derive(Debug)]
pub struct SqliteStore;
