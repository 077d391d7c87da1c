//! What a session costs a request, in time and in allocations, above the same
//! application without sessions.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml                   ours and by hand
//! cargo run --release --manifest-path benches/Cargo.toml -- 200            of 200 rounds
//! cargo run --release --manifest-path benches/Cargo.toml --features peers  everybody
//! ... -- --save              writes results/compare.json
//! ... -- W3 library 20       20 rounds of one, for a profiler
//! ```
//!
//! Under `valgrind --tool=callgrind --toggle-collect='*::serve'` the latter counts
//! instructions, which repeat.
//!
//! Times are of this thread on a processor, so that other programs disturb them little. In each
//! round every contestant has its turn, in another order each time, and what its own floor took
//! in the same round is subtracted. They differ between machines, and the ratio to the
//! middleware written by hand differs least. Allocations repeat.

use serde::Serialize;
use typed_session_benches::app::{self, App, Contestant, Kind};
use typed_session_benches::check::{self, Seen};
use typed_session_benches::results::{self, Chart, Role, Scale, Series, Shown, Table};
use typed_session_benches::workload::Workload;
use typed_session_benches::{alloc, contestants, stopwatch};

/// Sessions in the store, and requests in a round.
const SESSIONS: usize = 1000;

const ROUNDS: usize = 100;

/// Rounds that are not counted: caches and branch predictors are cold.
const WARM_UP: usize = 3;

fn main() {
    let contestants = contestants();
    let arguments = results::arguments();
    match &arguments[..] {
        [] => compare(&contestants, ROUNDS),
        [rounds] => compare(&contestants, rounds.parse().expect("the number of rounds")),
        [workload, contestant, rounds] => {
            let workload = Workload::ALL.iter().find(|it| it.describe().starts_with(workload));
            let contestant = contestants.iter().find(|it| it.id() == *contestant);
            for _ in 0..rounds.parse().expect("the number of rounds") {
                round(contestant.expect(NAMES), *workload.expect("a workload, W0 to W5"));
            }
        }
        _ => eprintln!("usage: [ROUNDS] [--save] | WORKLOAD CONTESTANT ROUNDS"),
    }
}

const NAMES: &str = "the name of a contestant, such as \"library\" or \"library, actix-web\"";

fn compare(contestants: &[Contestant], rounds: usize) {
    contestants.iter().for_each(check::check);
    let counted = contestants.iter().filter(|it| has_sessions(it));
    let asked = counted.clone().filter(|it| check::has_routes_for_checks(it));
    let seen: Vec<(String, Seen)> = asked.map(seen).collect();
    println!("{rounds} rounds of {SESSIONS} requests; a request costs above its own floor");
    let mut costs = Vec::new();
    for workload in Workload::ALL {
        costs.extend(measure(contestants, workload, rounds));
        judge(&mut costs, workload);
        print(&costs, workload);
    }
    let memory: Vec<Memory> = counted.map(Memory::of).collect();
    println!("\n{:30}{:>10}{:>10}", "live heap bytes a session, of", "1,000", "100,000");
    for Memory { contestant, few, many } in &memory {
        println!("{contestant:30}{few:>10.0}{many:>10.0}");
    }
    println!();
    let table = seen_table(&seen);
    for row in &table.rows {
        println!("{}", row[0]);
        for (what, outcome) in table.columns.iter().zip(row).skip(1) {
            println!("  {what:30}{outcome}");
        }
    }
    results::save("compare", &Body::new(rounds, costs, memory, seen));
}

fn seen(contestant: &Contestant) -> (String, Seen) {
    let seen = check::see(contestant);
    seen.check(contestant);
    (contestant.label(), seen)
}

fn has_sessions(contestant: &Contestant) -> bool {
    !matches!(contestant.kind, Kind::Floor | Kind::EmptyLayer)
}

/// What one workload costs with one contestant, above its floor.
#[derive(Clone, Debug, Serialize)]
struct Cost {
    contestant: String,
    framework: &'static str,
    #[serde(skip)]
    kind: Kind,
    workload: &'static str,
    ns: Spread,
    allocations: Spread,
    /// Time by the middleware by hand: that of the same framework, else that of axum.
    ratio: Option<f64>,
    /// For this library: whether it is where it should be.
    goal: Option<Goal>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    low: f64,
    median: f64,
    high: f64,
    peak: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let quartile = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self { low: quartile(1), median: quartile(2), high: quartile(3), peak: quartile(4) }
    }
}

/// At most a quarter above the middleware by hand, and two allocations; without a session at
/// most 150 ns above a layer that does nothing.
#[derive(Clone, Copy, Debug, Serialize)]
struct Goal {
    time: bool,
    allocations: bool,
}

const TIME_BY_HAND: f64 = 1.25;
const ALLOCATIONS_ABOVE_HAND: f64 = 2.0;
const NS_ABOVE_EMPTY_LAYER: f64 = 150.0;

fn measure(contestants: &[Contestant], workload: Workload, rounds: usize) -> Vec<Cost> {
    let mut order: Vec<usize> = (0..contestants.len()).collect();
    let mut shuffle = Shuffle(0x9E37_79B9_7F4A_7C15);
    let mut measured = vec![(Vec::new(), Vec::new()); contestants.len()];
    for number in 0..WARM_UP + rounds {
        shuffle.apply(&mut order);
        let mut taken: Vec<Option<Taken>> = contestants.iter().map(|_| None).collect();
        for at in &order {
            taken[*at] = Some(round(&contestants[*at], workload));
        }
        if number < WARM_UP {
            continue;
        }
        for (at, (ns, allocations)) in measured.iter_mut().enumerate() {
            let Some(floor) = contestants[at].floor else { continue };
            let floor = contestants.iter().position(|it| it.is(floor));
            let floor = floor.and_then(|at| taken[at].as_ref()).expect("the floor has its turn");
            let own = taken[at].as_ref().expect("everybody has a turn");
            ns.push(own.ns - floor.ns);
            allocations.push(own.allocations - floor.allocations);
        }
    }
    let measured = contestants.iter().zip(measured).filter(|(it, _)| it.floor.is_some());
    let costs = measured.map(|(contestant, (ns, allocations))| Cost {
        contestant: contestant.label(),
        framework: contestant.framework,
        kind: contestant.kind,
        workload: workload.describe(),
        ns: Spread::of(ns),
        allocations: Spread::of(allocations),
        ratio: None,
        goal: None,
    });
    costs.collect()
}

/// Holds everybody against the middleware by hand, and ours against its goal.
fn judge(costs: &mut [Cost], workload: Workload) {
    let all = costs.to_vec();
    let find = |kind, framework: &str| {
        let of_kind = |it: &&Cost| it.workload == workload.describe() && it.kind == kind;
        let mut found = all.iter().filter(of_kind).filter(|it| it.framework == framework);
        found.next()
    };
    for cost in costs.iter_mut().filter(|it| it.workload == workload.describe()) {
        let by_hand = find(Kind::ByHand, cost.framework).or(find(Kind::ByHand, "axum"));
        let by_hand = by_hand.expect("it is always there");
        cost.ratio = has_ratio(cost.kind).then_some(cost.ns.median / by_hand.ns.median);
        if cost.kind == Kind::Library {
            let empty = find(Kind::EmptyLayer, cost.framework).map_or(0.0, |it| it.ns.median);
            let time = match workload {
                Workload::Bare => cost.ns.median <= empty + NS_ABOVE_EMPTY_LAYER,
                _ => cost.ns.median <= TIME_BY_HAND * by_hand.ns.median,
            };
            let allowed = by_hand.allocations.median + ALLOCATIONS_ABOVE_HAND;
            cost.goal = Some(Goal { time, allocations: cost.allocations.median <= allowed });
        }
    }
}

fn has_ratio(kind: Kind) -> bool {
    matches!(kind, Kind::ByHand | Kind::Library | Kind::Peer)
}

fn print(costs: &[Cost], workload: Workload) {
    println!(
        "\n{:30}{:>8}{:>16}{:>8}{:>12}{:>8}{:>8}   goal",
        workload.describe(),
        "ns",
        "quartiles",
        "peak",
        "allocations",
        "peak",
        "ratio"
    );
    for cost in costs.iter().filter(|it| it.workload == workload.describe()) {
        let Cost { contestant, ns, allocations, .. } = cost;
        let quartiles = format!("{:.0} to {:.0}", ns.low, ns.high);
        let ratio = cost.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        println!(
            "{contestant:30}{:>8.0}{quartiles:>16}{:>8.0}{:>12.1}{:>8.1}{ratio:>8}   {}",
            ns.median,
            ns.peak,
            allocations.median,
            allocations.peak,
            cost.goal.map(Goal::describe).unwrap_or_default(),
        );
    }
}

impl Goal {
    fn describe(self) -> &'static str {
        match (self.time, self.allocations) {
            (true, true) => "met",
            (false, true) => "not met: time",
            (true, false) => "not met: allocations",
            (false, false) => "not met: time, allocations",
        }
    }
}

/// What one request took.
struct Taken {
    ns: f64,
    allocations: f64,
}

/// Measures one request of the workload for each session of a fresh store.
fn round(contestant: &Contestant, workload: Workload) -> Taken {
    let mut app = (contestant.make)();
    app::prepare(&mut *app, SESSIONS, workload);
    let before = alloc::calls();
    let start = stopwatch::thread_time();
    serve(&mut *app);
    let time = stopwatch::thread_time() - start;
    let calls = alloc::calls() - before;
    Taken {
        ns: time.as_nanos() as f64 / SESSIONS as f64,
        allocations: calls as f64 / SESSIONS as f64,
    }
}

/// Apart, so that a profiler can be told to look at nothing else.
#[inline(never)]
fn serve(app: &mut dyn App) {
    app.serve();
}

/// So that nobody always runs after the same neighbour; the same orders in each run.
struct Shuffle(u64);

impl Shuffle {
    fn apply(&mut self, order: &mut [usize]) {
        for at in (1..order.len()).rev() {
            order.swap(at, (self.next() % (at as u64 + 1)) as usize);
        }
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Live heap bytes a session.
#[derive(Clone, Debug, Serialize)]
struct Memory {
    contestant: String,
    few: f64,
    many: f64,
}

impl Memory {
    fn of(contestant: &Contestant) -> Self {
        let [few, many] = [SESSIONS, 100 * SESSIONS].map(|it| bytes_a_session(contestant, it));
        Self { contestant: contestant.label(), few, many }
    }
}

fn bytes_a_session(contestant: &Contestant, sessions: usize) -> f64 {
    let mut app = (contestant.make)();
    // What is made once, at the first request.
    drop(app.visit(Workload::Create.path(), None));
    let before = alloc::live_bytes();
    for _ in 0..sessions {
        drop(app.visit(Workload::Create.path(), None));
    }
    (alloc::live_bytes() - before) as f64 / sessions as f64
}

/// What is saved.
#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    shown: Shown,
    rounds: usize,
    costs: Vec<Cost>,
    memory: Vec<Memory>,
    seen: Vec<(String, Seen)>,
}

impl Body {
    fn new(
        rounds: usize,
        costs: Vec<Cost>,
        memory: Vec<Memory>,
        seen: Vec<(String, Seen)>,
    ) -> Self {
        let shown = Shown {
            title: "One request".into(),
            place: 10,
            about: vec![about(rounds)],
            crates: CRATES.map(ToOwned::to_owned).into(),
            tables: vec![
                cost_table(&costs),
                ratio_table(&costs),
                spread_table(&costs),
                memory_table(&memory),
                seen_table(&seen),
            ],
            charts: charts(&costs, &memory),
        };
        Self { shown, rounds, costs, memory, seen }
    }
}

/// As far as they are in this build.
const CRATES: [&str; 10] = [
    "typed-session",
    "axum",
    "tower-sessions",
    "axum_session",
    "actix-web",
    "actix-session",
    "poem",
    "salvo",
    "tower-service",
    "serde_json",
];

fn about(rounds: usize) -> String {
    format!(
        "An application is called in process, without a socket, on one thread, with {SESSIONS} \
         sessions in memory and one request for each. The same application without sessions is \
         measured in the same round and subtracted. Medians of {rounds} rounds in which everybody \
         takes turns, in another order each time; time is that of the thread on a processor. \
         *By hand* is the least that keeps this library's main promises: a middleware for this \
         one application, with hashed ids, a compare-and-swap for every write, two deadlines and \
         a new id at login."
    )
}

fn names_in(costs: &[Cost]) -> Vec<&Cost> {
    costs.iter().filter(|it| it.workload == Workload::Bare.describe()).collect()
}

/// A row for each contestant, a column for each workload.
fn by_workload(title: &str, note: &str, costs: &[Cost], cell: impl Fn(&Cost) -> String) -> Table {
    let first = std::iter::once(String::new());
    let workloads = Workload::ALL.map(|it| it.describe().to_owned());
    let rows = names_in(costs).into_iter().map(|name| {
        let own = costs.iter().filter(|it| it.contestant == name.contestant);
        std::iter::once(name.contestant.clone()).chain(own.map(&cell)).collect()
    });
    Table {
        title: title.into(),
        columns: first.chain(workloads).collect(),
        rows: rows.collect(),
        note: note.into(),
    }
}

fn cost_table(costs: &[Cost]) -> Table {
    let note = "Nanoseconds / allocations on the heap, of one request, above the floor.";
    by_workload("What sessions cost", note, costs, |cost| {
        format!("{:.0} / {:.1}", cost.ns.median, cost.allocations.median).replace(".0", "")
    })
}

fn ratio_table(costs: &[Cost]) -> Table {
    let with_ratio: Vec<Cost> = costs.iter().filter(|it| it.ratio.is_some()).cloned().collect();
    let note = "The ratios travel between machines; the nanoseconds do not.";
    by_workload("Time, by that of the middleware by hand", note, &with_ratio, |cost| {
        format!("{:.2}", cost.ratio.unwrap_or(f64::NAN))
    })
}

fn spread_table(costs: &[Cost]) -> Table {
    let note = "The lower and the upper quartile of the rounds, in nanoseconds.";
    by_workload("How far the rounds differ", note, costs, |cost| {
        format!("{:.0}–{:.0}", cost.ns.low, cost.ns.high)
    })
}

fn memory_table(memory: &[Memory]) -> Table {
    let rows = memory.iter().map(|Memory { contestant, few, many }| {
        vec![contestant.clone(), format!("{few:.0}"), format!("{many:.0}")]
    });
    Table {
        title: "Live bytes on the heap for each session".into(),
        columns: ["", "of 1,000", "of 100,000"].map(ToOwned::to_owned).into(),
        rows: rows.collect(),
        note: "The data is about 110 bytes of JSON. Tables grow by doubling, so the number of \
               sessions decides how much room is empty."
            .into(),
    }
}

fn seen_table(seen: &[(String, Seen)]) -> Table {
    let rows = seen.iter().map(|(contestant, seen)| {
        let Seen { cookies, old_id, made_up, ended, two_fields, one_counter, own_counter } = seen;
        let cells = [cookies, old_id, made_up, ended, two_fields, one_counter, own_counter];
        std::iter::once(contestant.clone()).chain(cells.map(|cell| (*cell).to_owned())).collect()
    });
    let columns = [
        "",
        "responses with its cookie",
        "the id from before a login",
        "a made-up id",
        "a late write after the end",
        "two fields at once",
        "one counter at once",
        "with its own means",
    ];
    Table {
        title: "What is bought with it".into(),
        columns: columns.map(ToOwned::to_owned).into(),
        rows: rows.collect(),
        note: "As seen by the program that measures, in this application, with the settings that \
               it measures. Which responses carry the session's cookie; a write with the id from \
               before a login; a write with an id that was never given out; a write by a request \
               that read the session before another one ended it; two requests that have both \
               read the session and change two fields of it; two that have both read a counter \
               and write it increased; the same by what the library has for counters, which here \
               is `transact`."
            .into(),
    }
}

fn charts(costs: &[Cost], memory: &[Memory]) -> Vec<Chart> {
    let mut charts = Vec::new();
    let mut frameworks: Vec<&str> = costs.iter().map(|it| it.framework).collect();
    frameworks.dedup();
    frameworks.sort_unstable();
    frameworks.dedup();
    for framework in frameworks {
        let own: Vec<Cost> = costs
            .iter()
            .filter(|it| it.framework == framework && it.ratio.is_some())
            .cloned()
            .collect();
        let time = Chart {
            name: format!("time-{framework}"),
            title: format!("Time of a request on {framework}, above the same without sessions"),
            unit: "ns".into(),
            note: "Shorter is better. Each group has a scale of its own, from zero; the thin \
                   lines are quartiles."
                .into(),
            ..chart(&own, |cost| cost.ns)
        };
        let allocations = Chart {
            name: format!("allocations-{framework}"),
            title: format!(
                "Allocations of a request on {framework}, above the same without sessions"
            ),
            note: "Fewer is better. One scale for all, from zero.".into(),
            scale: Scale::Shared,
            ..chart(&own, |cost| cost.allocations)
        };
        charts.extend([time, allocations]);
    }
    let series = memory.iter().map(|Memory { contestant, few, many }| Series {
        name: contestant.clone(),
        role: role_of(costs, contestant),
        values: vec![Some(*few), Some(*many)],
        spread: Vec::new(),
    });
    charts.push(Chart {
        name: "bytes-a-session".into(),
        title: "Live bytes on the heap for each session in memory".into(),
        unit: "bytes".into(),
        groups: ["1,000 sessions", "100,000 sessions"].map(ToOwned::to_owned).into(),
        series: series.collect(),
        note: "Shorter is better. One scale for all, from zero.".into(),
        ..Chart::default()
    });
    charts
}

fn chart(costs: &[Cost], value: impl Fn(&Cost) -> Spread) -> Chart {
    let series = names_in(costs).into_iter().map(|name| {
        let own = costs.iter().filter(|it| it.contestant == name.contestant).map(&value);
        Series {
            name: name.contestant.clone(),
            role: role_of(costs, &name.contestant),
            values: own.clone().map(|spread| Some(spread.median)).collect(),
            spread: own.map(|spread| Some((spread.low, spread.high))).collect(),
        }
    });
    Chart {
        groups: Workload::ALL.map(|it| it.describe().to_owned()).into(),
        series: series.collect(),
        scale: Scale::Grouped,
        ..Chart::default()
    }
}

fn role_of(costs: &[Cost], contestant: &str) -> Role {
    match costs.iter().find(|it| it.contestant == contestant).map(|it| it.kind) {
        Some(Kind::Library) => Role::Ours,
        Some(Kind::ByHand) => Role::Yardstick,
        _ => Role::Other,
    }
}
