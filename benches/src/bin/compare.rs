//! What a session costs a request, in time and in allocations, above the same
//! application without sessions.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml          the table
//! cargo run --release --manifest-path benches/Cargo.toml -- 200   the same, of 200 rounds
//! ... -- W3 library 20       20 rounds of one, for a profiler
//! ```
//!
//! Under `valgrind --tool=callgrind --toggle-collect='*::serve'` the latter counts
//! instructions, which repeat.
//!
//! Times are of this thread on a processor, so that other programs disturb them
//! little: medians over rounds in which the contestants take turns, with the
//! quartiles. They differ between machines, and the ratio to the middleware
//! written by hand differs least. Allocations are exact.

use typed_session_benches::app::{self, App, Contestant};
use typed_session_benches::workload::Workload;
use typed_session_benches::{alloc, axum, stopwatch};

/// Sessions in the store, and requests in a round.
const SESSIONS: usize = 1000;

const ROUNDS: usize = 100;

const CONTESTANTS: [Contestant; 4] = axum::CONTESTANTS;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => table(ROUNDS),
        [rounds] => table(rounds.parse().expect("the number of rounds")),
        [workload, contestant, rounds] => {
            let workload = Workload::ALL.iter().find(|it| it.describe().starts_with(workload));
            let contestant = CONTESTANTS
                .iter()
                .find(|it| it.name == contestant)
                .expect("floor, \"empty layer\", \"by hand\" or library");
            for _ in 0..rounds.parse().expect("the number of rounds") {
                round(contestant, *workload.expect("a workload, W0 to W5"));
            }
        }
        _ => eprintln!("usage: [ROUNDS] | WORKLOAD CONTESTANT ROUNDS"),
    }
}

fn table(rounds: usize) {
    CONTESTANTS[2..].iter().for_each(check);
    println!("{rounds} rounds of {SESSIONS} requests; ns (quartiles) and allocations a request");
    println!(
        "{:26}{:>24}{:>7}{:>24}{:>7}{:>24}{:>7}{:>9}",
        "above the floor", "empty layer", "", "by hand", "", "library", "", "ratio"
    );
    for workload in Workload::ALL {
        let mut results = vec![(Vec::new(), 0.0); CONTESTANTS.len() - 1];
        for _ in 0..rounds {
            let floor = round(&CONTESTANTS[0], workload);
            for ((times, allocations), contestant) in results.iter_mut().zip(&CONTESTANTS[1..]) {
                let cost = round(contestant, workload);
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
            .map(|it| format!("{} {:.0}", it.name, bytes_a_session(it, sessions)));
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
fn round(contestant: &Contestant, workload: Workload) -> Cost {
    let mut app = (contestant.make)();
    app::prepare(&mut *app, SESSIONS, workload);
    let before = alloc::calls();
    let start = stopwatch::thread_time();
    serve(&mut *app);
    let time = stopwatch::thread_time() - start;
    let calls = alloc::calls() - before;
    Cost {
        ns: time.as_nanos() as f64 / SESSIONS as f64,
        allocations: calls as f64 / SESSIONS as f64,
    }
}

/// Apart, so that a profiler can be told to look at nothing else.
#[inline(never)]
fn serve(app: &mut dyn App) {
    app.serve();
}

fn bytes_a_session(contestant: &Contestant, sessions: usize) -> f64 {
    let mut app = (contestant.make)();
    let before = alloc::live_bytes();
    for _ in 0..sessions {
        drop(app.visit(Workload::Create.path(), None));
    }
    (alloc::live_bytes() - before) as f64 / sessions as f64
}

/// A contestant that forgets its work is quick.
fn check(contestant: &Contestant) {
    for workload in Workload::ALL {
        let mut app = (contestant.make)();
        let what = format!("{}, {}", contestant.name, workload.describe());
        for _ in 0..10 {
            let old = app.visit(workload.prepared_by(), None).cookie;
            let old = old.filter(|_| workload.has_cookie());
            let answer = app.visit(workload.path(), old.as_deref());
            assert!((200..300).contains(&answer.status), "{what}");
            assert_eq!(answer.cookie.is_some(), workload.sets_cookie(), "{what}");
            if workload == Workload::Login {
                assert_ne!(old, answer.cookie, "{what}: a login changes the id");
                let late = app.visit("/write", old.as_deref());
                assert_eq!(late.status, 409, "{what}: the old id writes nothing");
                let next = app.visit("/login", answer.cookie.as_deref());
                assert!((200..300).contains(&next.status), "{what}: the new id does");
            }
        }
    }
}
