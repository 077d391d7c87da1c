//! What a second worker gains: two threads, each with its own clone of the application, on one
//! store.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --bin workers
//! ... --bin workers -- 40         of 40 rounds
//! ... --bin workers -- --save     for the pages, see `results`
//! ```
//!
//! The gain is how many more requests two workers answer than one: twice as many, if they did not
//! get into each other's way. Where they do, each request takes its thread longer on its
//! processor; that is what is compared, so that other programs disturb it little: the gain is
//! twice the time a request of one worker over that of two. On a quiet machine of two cores or
//! more the gain by the clock on the wall, beside it, is the same.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use ::axum::Router;
use serde_json::json;
use typed_session_benches::app::App;
use typed_session_benches::axum::{self, served};
use typed_session_benches::results::{self, Shown, Table};
use typed_session_benches::stopwatch;
use typed_session_benches::workload::Workload;

const ROUNDS: usize = 40;

/// Requests of each worker in a round: a millisecond or two.
const REQUESTS: usize = 1000;

/// A round in which a worker had to wait for a processor says nothing of the others; of so many
/// for each that counts, at most.
const TRIES: usize = 20;

/// Sessions of each worker.
const SESSIONS: usize = 1000;

type Make = fn() -> Router;

const CONTESTANTS: [(&str, Make); 3] =
    [("floor", axum::floor), ("by hand", axum::by_hand), ("library", axum::library)];

/// Whose sessions the requests are for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Sessions {
    /// Each worker has its own.
    Own,
    /// All requests are for one session.
    One,
}

const CASES: [(&str, Workload, Sessions); 3] = [
    ("W2 reads, own sessions", Workload::Read, Sessions::Own),
    ("W3 writes, own sessions", Workload::Write, Sessions::Own),
    ("W2 reads, all of one session", Workload::Read, Sessions::One),
];

fn main() {
    let rounds = results::arguments().first().map_or(ROUNDS, |it| it.parse().expect("a number"));
    let (mut rows, mut counted) = (Vec::new(), rounds);
    for (name, workload, sessions) in CASES {
        let mut floor = 0.0;
        for (contestant, make) in CONTESTANTS {
            let mut measured: [Vec<f64>; 4] = Default::default();
            for (at, workers) in [(0, 1), (1, 2)].repeat(rounds) {
                let took = (0..TRIES).find_map(|_| round(make, workload, sessions, workers));
                let Some(took) = took else { continue };
                measured[at].push(took.processor);
                measured[2 + at].push(took.wall);
            }
            counted = counted.min(measured[1].len());
            let [one, two, one_wall, two_wall] = measured.map(|mut times| median(&mut times));
            let gain = 2.0 * one / two;
            if contestant == "floor" {
                floor = gain;
            }
            rows.push(vec![
                format!("{name}: {contestant}"),
                format!("{one:.0}"),
                format!("{two:.0}"),
                format!("{gain:.2}"),
                format!("{:.2}", gain / floor),
                format!("{:.2}", one_wall / two_wall),
            ]);
        }
    }
    let table = Table {
        title: "Two workers".into(),
        columns: ["", "one, ns", "two, ns", "gain", "of the floor's", "gain by the wall"]
            .map(Into::into)
            .into(),
        rows,
        note: format!(
            "Medians of {counted} rounds or more of {REQUESTS} requests of each worker, in which both \
             ran all the time; ns of a thread on a processor for a request."
        ),
    };
    println!("{}", table.title);
    println!("{}", table.columns.join(" | "));
    for row in &table.rows {
        println!(
            "{:40}{}",
            row[0],
            row[1..].iter().map(|it| format!("{it:>12}")).collect::<String>()
        );
    }
    println!("{}", table.note);
    let shown = Shown {
        title: "Two workers on one store".into(),
        place: 40,
        crates: vec!["axum".into()],
        tables: vec![table],
        ..Shown::default()
    };
    results::save("workers", &json!(shown));
}

struct Took {
    /// Of a thread for a request.
    processor: f64,
    /// For a request of any worker.
    wall: f64,
}

/// Measures, unless a worker had to wait for a processor.
fn round(
    make: fn() -> Router,
    workload: Workload,
    sessions: Sessions,
    workers: usize,
) -> Option<Took> {
    let router = make();
    let mut first = served(router.clone());
    let mut create = || {
        let cookie = first.visit(workload.prepared_by(), None).cookie;
        // For the application without sessions, which must not look at it.
        cookie.unwrap_or_else(|| format!("__Host-session={}", "A".repeat(43)))
    };
    let cookies: Vec<Vec<String>> = match sessions {
        Sessions::Own => (0..2).map(|_| (0..SESSIONS).map(|_| create()).collect()).collect(),
        Sessions::One => vec![vec![create()]; 2],
    };
    let barrier = Arc::new(Barrier::new(workers));
    let threads: Vec<_> = cookies
        .into_iter()
        .take(workers)
        .map(|cookies| {
            let (router, barrier) = (router.clone(), Arc::clone(&barrier));
            std::thread::spawn(move || work(&mut *served(router), workload, &cookies, &barrier))
        })
        .collect();
    let took: Vec<(Duration, Instant, Instant)> =
        threads.into_iter().map(|thread| thread.join().expect("no worker fails")).collect();
    let processor: Duration = took.iter().map(|(processor, ..)| *processor).sum();
    let start = took.iter().map(|(_, start, _)| *start).min().expect("there is a worker");
    let end = took.iter().map(|(.., end)| *end).max().expect("there is a worker");
    let (wall, all) = (end - start, workers as u32);
    let requests = (workers * REQUESTS) as f64;
    (processor > wall * all * 9 / 10).then(|| Took {
        processor: processor.as_nanos() as f64 / requests,
        wall: wall.as_nanos() as f64 / requests,
    })
}

fn work(
    app: &mut dyn App,
    workload: Workload,
    cookies: &[String],
    barrier: &Barrier,
) -> (Duration, Instant, Instant) {
    let ready = |count: usize| -> Vec<_> {
        let cookies = cookies.iter().cycle().take(count);
        cookies.map(|cookie| (workload.path(), Some(cookie.as_str()))).collect()
    };
    // Caches are warm, then.
    app.prepare(&ready(SESSIONS));
    app.serve();
    app.prepare(&ready(REQUESTS));
    barrier.wait();
    let (start, running) = (now(), stopwatch::thread_time());
    app.serve();
    (stopwatch::thread_time() - running, start, now())
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the clock")]
    Instant::now()
}

fn median(values: &mut [f64]) -> f64 {
    assert!(!values.is_empty(), "the machine is too busy: no round had its processors");
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
