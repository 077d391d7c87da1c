//! What holds for the cache: never late on this machine, late by a stated time
//! on others.

use std::sync::Arc;
use std::time::Duration;

use typed_session::Record;
use typed_session::store::{Cached, MemoryStore, Recalled, Store};
use typed_session::testing::schedule::run;
use typed_session::testing::{ManualClock, Spied, Spy};

mod contract;
mod flights;
mod interleavings;
mod memory;
mod push;
mod requests;
mod window;

const MAX_AGE: Duration = Duration::from_secs(2);

fn clock() -> ManualClock {
    ManualClock::at(crate::at(1_800_000_000_000))
}

/// A machine's cache, in front of a store that others share.
type Node = Cached<Spy<Arc<MemoryStore>>>;

fn node(rows: &Arc<MemoryStore>, clock: &ManualClock) -> (Node, Spied) {
    let spy = Spy::new(Arc::clone(rows));
    let spied = spy.handle();
    (Cached::new(spy).max_age(MAX_AGE).clock(clock.clone()), spied)
}

#[track_caller]
fn recall(store: &impl Store, first: u8) -> Recalled {
    run(store.recall(&crate::key(first))).unwrap()
}

/// Recalls a record for it to be remembered.
#[track_caller]
fn remember(store: &impl Store, first: u8) {
    drop(recall(store, first));
}

fn remembered(record: &Record) -> Recalled {
    Recalled::Remembered(Some(record.clone()))
}

fn current(record: &Record) -> Recalled {
    Recalled::Current(Some(record.clone()))
}
