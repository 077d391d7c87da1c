//! What a session costs a request, in time and in allocations, above the same
//! application without sessions.
//!
//! ```text
//! cargo run --release -p typed-session-benches              the table
//! cargo run --release -p typed-session-benches 200          the same, of 200 rounds
//! ... -p typed-session-benches W3 library 20                20 rounds of one, for a profiler
//! ```
//!
//! Under `valgrind --tool=callgrind --toggle-collect='*::serve'` the latter counts
//! instructions, which repeat.
//!
//! Times are of this thread on a processor, so that other programs disturb them
//! little: medians over rounds in which the contestants take turns, with the
//! quartiles. They differ between machines, and the ratio to the middleware
//! written by hand differs least. Allocations are exact.

use std::hint::black_box;

use axum::Router;
use axum::extract::Request;

use crate::app::Workload;

mod alloc;
mod app;
mod by_hand;
mod floor;
mod library;
mod stopwatch;

/// Sessions in the store, and requests in a round.
const SESSIONS: usize = 1000;

const ROUNDS: usize = 100;

type Make = fn() -> Router;

const CONTESTANTS: [(&str, Make); 4] = [
    ("floor", floor::floor),
    ("empty layer", floor::empty_layer),
    ("by hand", by_hand::by_hand),
    ("library", library::library),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => table(ROUNDS),
        [rounds] => table(rounds.parse().expect("the number of rounds")),
        [workload, contestant, rounds] => {
            let workload = Workload::ALL.iter().find(|it| it.describe().starts_with(workload));
            let (_, make) = CONTESTANTS
                .iter()
                .find(|(name, _)| name == contestant)
                .expect("floor, \"empty layer\", \"by hand\" or library");
            for _ in 0..rounds.parse().expect("the number of rounds") {
                round(*make, *workload.expect("a workload, W0 to W5"));
            }
        }
        _ => eprintln!("usage: [ROUNDS] | WORKLOAD CONTESTANT ROUNDS"),
    }
}

fn table(rounds: usize) {
    CONTESTANTS[2..].iter().for_each(|(name, make)| check(name, *make));
    println!("{rounds} rounds of {SESSIONS} requests; ns (quartiles) and allocations a request");
    println!(
        "{:26}{:>24}{:>7}{:>24}{:>7}{:>24}{:>7}{:>9}",
        "above the floor", "empty layer", "", "by hand", "", "library", "", "ratio"
    );
    for workload in Workload::ALL {
        let mut results = vec![(Vec::new(), 0.0); CONTESTANTS.len() - 1];
        for _ in 0..rounds {
            let floor = round(CONTESTANTS[0].1, workload);
            for ((times, allocations), (_, make)) in results.iter_mut().zip(&CONTESTANTS[1..]) {
                let cost = round(*make, workload);
                times.push(cost.ns - floor.ns);
                *allocations = cost.allocations - floor.allocations;
            }
        }
        print!("{:26}", workload.describe());
        let mut medians = Vec::new();
        for (times, allocations) in &mut results {
            times.sort_by(f64::total_cmp);
            let [low, median, high] = [1, 2, 3].map(|quarter| times[times.len() * quarter / 4]);
            medians.push(median);
            let spread = format!("{median:.0} ({low:.0} to {high:.0})");
            print!("{spread:>24}{allocations:>7.1}");
        }
        println!("{:>9.2}", medians[2] / medians[1]);
    }
    for sessions in [SESSIONS, 100 * SESSIONS] {
        let bytes = CONTESTANTS[2..]
            .iter()
            .map(|(name, make)| format!("{name} {:.0}", bytes_a_session(*make, sessions)));
        let bytes: Vec<String> = bytes.collect();
        println!("live heap bytes a session, of {sessions}: {}", bytes.join(", "));
    }
}

/// The cost of one request.
struct Cost {
    ns: f64,
    allocations: f64,
}

/// Measures one request of the workload for each session of a fresh store.
fn round(make: Make, workload: Workload) -> Cost {
    let mut app = make();
    let requests = app::prepare(&mut app, SESSIONS, workload);
    let before = alloc::calls();
    let start = stopwatch::thread_time();
    serve(&mut app, requests);
    let time = stopwatch::thread_time() - start;
    let calls = alloc::calls() - before;
    Cost {
        ns: time.as_nanos() as f64 / SESSIONS as f64,
        allocations: calls as f64 / SESSIONS as f64,
    }
}

/// Apart, so that a profiler can be told to look at nothing else.
#[inline(never)]
fn serve(app: &mut Router, requests: Vec<Request>) {
    for request in requests {
        drop(black_box(app::call(app, request)));
    }
}

fn bytes_a_session(make: Make, sessions: usize) -> f64 {
    let mut app = make();
    let before = alloc::live_bytes();
    for _ in 0..sessions {
        drop(app::call(&mut app, app::request(Workload::Create.path(), None)));
    }
    (alloc::live_bytes() - before) as f64 / sessions as f64
}

/// A contestant that forgets its work is quick.
fn check(name: &str, make: Make) {
    for workload in Workload::ALL {
        let mut app = make();
        for request in app::prepare(&mut app, 10, workload) {
            let old = request.headers().get("cookie").cloned();
            let response = app::call(&mut app, request);
            assert!(response.status().is_success(), "{name}, {}", workload.describe());
            let new = app::cookie(&response);
            assert_eq!(new.is_some(), workload.sets_cookie(), "{name}, {}", workload.describe());
            if workload == Workload::Login {
                let old = old.as_ref().and_then(|old| old.to_str().ok());
                assert_ne!(old, new.as_deref(), "{name}: a login changes the id");
                let late = app::call(&mut app, app::request("/write", old));
                assert_eq!(late.status(), 409, "{name}: the old id writes nothing");
                let next = app::call(&mut app, app::request("/login", new.as_deref()));
                assert!(next.status().is_success(), "{name}: the new id does");
            }
        }
    }
}
