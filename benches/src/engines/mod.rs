//! What the stores of engines cost, against the very same commands sent without them.
//!
//! The servers are private, started by `tests/servers`, on loopback, with their data on disk and
//! as durable as they come. They and the client share the machine's processors.

use std::future::Future;

use typed_session::store::Store;

pub mod journal;
pub mod mysql;
pub mod postgres;
pub mod redis;
pub mod server;
pub mod sqlite;
pub mod traffic;

pub use self::journal::Call;

/// An engine with a connection, the store on it, and the way past the store.
pub trait Engine: Clone + Send + Sync + 'static {
    const NAME: &str;

    type Store: Store + Clone;

    /// A call as the client is given it.
    type Raw: Send + Sync + 'static;

    fn store(&self) -> Self::Store;

    /// Makes ready what the store would send.
    fn raw(&self, call: &Call) -> Self::Raw;

    /// Sends it through the client that the store has, and takes its answer apart.
    fn send(&self, raw: &Self::Raw) -> impl Future<Output = ()> + Send;

    /// Sends many at once, where the engine need not make each one durable for itself.
    fn batch(&self, raw: &[Self::Raw]) -> impl Future<Output = ()> + Send;

    /// Removes all sessions.
    fn clear(&self) -> impl Future<Output = ()> + Send;

    /// Gives back what old versions of rows take up, as far as the engine does so by itself.
    fn settle(&self) -> impl Future<Output = ()> + Send;

    /// What the sessions take up: the sum, and of what it is made.
    fn bytes(&self) -> impl Future<Output = Vec<(String, u64)>> + Send;

    /// Its version, and the settings that matter.
    fn about(&self) -> impl Future<Output = String> + Send;
}

/// Connections in the pools of SQL.
pub const CONNECTIONS: u32 = 16;

/// A statement of a store's source, as it says it.
fn statement(source: &'static str, name: &str) -> &'static str {
    let from = format!("const {name}: &str = r#\"");
    let (_, rest) = source.split_once(&from).expect("the store has this statement");
    rest.split_once("\"#;").expect("the statement has an end").0.trim()
}
