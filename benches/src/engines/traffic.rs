//! Requests, one after the other or many at once.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use typed_session::store::{Inserted, Replaced, Store};
use typed_session::{Outcome, SessionLayer};

use super::Call;
use crate::workload::{Profile, Workload};

/// Has numbers served, so many at a time as are in flight.
pub async fn serve<F, Fut>(count: usize, in_flight: usize, serve: F)
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..in_flight)
        .map(|_| {
            let (next, serve) = (Arc::clone(&next), serve.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    serve(number).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Makes a request of the workload, and returns the cookie that it sets.
pub async fn answer<S: Store>(
    layer: &SessionLayer<Profile, S>,
    workload: Workload,
    cookie: Option<&str>,
) -> Option<String> {
    let exchange = layer.open(cookie.map(str::as_bytes));
    match workload {
        Workload::Bare | Workload::Untouched => {}
        Workload::Read => {
            let counter = exchange.session().await.unwrap().read(|profile| profile.counter);
            assert!(counter > 0, "the session is there");
        }
        Workload::Write => {
            exchange.session().await.unwrap().update(|profile| profile.counter += 1);
        }
        Workload::Create => drop(exchange.session().await.unwrap().replace(Profile::user())),
        Workload::Login => exchange.session().await.unwrap().update(Profile::log_in),
    }
    finish(exchange.finish().await)
}

/// Makes a session of nobody's.
pub async fn visit<S: Store>(layer: &SessionLayer<Profile, S>) -> Option<String> {
    let exchange = layer.open([]);
    drop(exchange.session().await.unwrap().replace(Profile::visitor()));
    finish(exchange.finish().await)
}

fn finish(outcome: Outcome) -> Option<String> {
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    for header in outcome.effects.headers() {
        black_box(header);
    }
    Some(outcome.effects.set_cookie()?.split(';').next().unwrap().to_owned())
}

/// Asks a store what a request asked.
pub async fn ask(store: &impl Store, call: &Call) {
    match call {
        Call::Load(key) => assert!(black_box(store.load(key).await.unwrap()).is_some()),
        Call::Insert(key, record) => {
            assert_eq!(store.insert(key, record).await.unwrap(), Inserted::Created);
        }
        Call::Replace(key, expected, record) => {
            let done = store.replace(key, *expected, record).await.unwrap();
            assert_eq!(done, Replaced::Done);
        }
    }
}
