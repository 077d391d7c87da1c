//! What a session costs a request on each framework, above the same application without sessions.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --features peers --bin frameworks
//! ... -- 200                          the same, of 200 rounds
//! ... -- --save                       and leave the result for `report`
//! ... -- W3 poem library 20           20 rounds of one, for a profiler
//! ... -- allocations                  allocations alone; fails if an adapter takes too many
//! ```
//!
//! Under `valgrind --tool=callgrind --toggle-collect='*::serve'` the third counts instructions,
//! which repeat. Without the feature `peers`, but with `frameworks`, there are no libraries of others.
//!
//! All take turns in one run; times are medians of this thread's time on a processor. `hand` is what
//! is written by hand for axum, in every table: what our adapters are measured by. On tower it is
//! there as well, and taken instead. The frameworks' own libraries promise less; see their modules.

use std::process::ExitCode;

use serde::Serialize;
use typed_session_benches::app::{self, App, Contestant, Kind};
use typed_session_benches::results::{self, Chart, Role, Scale, Series, Shown, Table};
use typed_session_benches::workload::Workload;
use typed_session_benches::{actix_web, alloc, axum, check, poem, salvo, stopwatch, tower};

/// Sessions in the store, and requests in a round.
const SESSIONS: usize = 1000;

const ROUNDS: usize = 100;

/// How many allocations more than by hand an adapter may take, above middleware that does nothing.
const MORE_THAN_BY_HAND: f64 = 2.0;

/// One framework, and who is measured on it.
struct Framework {
    name: &'static str,
    floor: Contestant,
    /// Where the framework has its price for any middleware.
    empty: Option<Contestant>,
    library: Contestant,
    others: &'static [Contestant],
}

const FRAMEWORKS: [Framework; 5] = [
    Framework {
        name: "axum",
        floor: axum::FLOOR,
        empty: Some(axum::EMPTY_LAYER),
        library: axum::LIBRARY,
        others: &[axum::BY_HAND],
    },
    Framework {
        name: "tower",
        floor: tower::FLOOR,
        empty: None,
        library: tower::LIBRARY,
        others: &[tower::BY_HAND],
    },
    Framework {
        name: "actix-web",
        floor: actix_web::FLOOR,
        empty: Some(actix_web::EMPTY),
        library: actix_web::LIBRARY,
        #[cfg(feature = "peers")]
        others: &[actix_web::PEER, actix_web::COOKIE_PEER],
        #[cfg(not(feature = "peers"))]
        others: &[],
    },
    Framework {
        name: "poem",
        floor: poem::FLOOR,
        empty: Some(poem::EMPTY),
        library: poem::LIBRARY,
        #[cfg(feature = "peers")]
        others: &[poem::PEER],
        #[cfg(not(feature = "peers"))]
        others: &[],
    },
    Framework {
        name: "salvo",
        floor: salvo::FLOOR,
        empty: Some(salvo::EMPTY),
        library: salvo::LIBRARY,
        #[cfg(feature = "peers")]
        others: &[salvo::PEER],
        #[cfg(not(feature = "peers"))]
        others: &[],
    },
];

impl Framework {
    /// All but the floor, the empty one (or the floor again) and the library first.
    fn above(&self) -> impl Iterator<Item = Contestant> {
        [self.empty.unwrap_or(self.floor), self.library].into_iter().chain(self.others.to_vec())
    }
}

fn main() -> ExitCode {
    let arguments = results::arguments();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => table(ROUNDS),
        ["allocations"] => allocations(),
        [rounds] => table(rounds.parse().expect("the number of rounds")),
        [workload, framework, contestant, rounds] => {
            let workload = Workload::ALL.into_iter().find(|it| it.describe().starts_with(workload));
            let framework = FRAMEWORKS.iter().find(|it| it.name == framework);
            let framework = framework.expect("axum, tower, actix-web, poem or salvo");
            let mut contestants = [framework.floor].into_iter().chain(framework.above());
            let contestant = contestants.find(|it| it.name == contestant);
            for _ in 0..rounds.parse().expect("the number of rounds") {
                round(&contestant.expect("a contestant"), workload.expect("a workload, W0 to W5"));
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: [ROUNDS | allocations] | WORKLOAD FRAMEWORK CONTESTANT ROUNDS");
            ExitCode::FAILURE
        }
    }
}

/// What one request costs.
#[derive(Clone, Copy, Default)]
struct Cost {
    ns: f64,
    allocations: f64,
}

/// What one request costs more than on the floor, round by round.
#[derive(Clone, Default)]
struct Costs {
    ns: Vec<f64>,
    allocations: f64,
}

impl Costs {
    fn add(&mut self, cost: Cost, floor: Cost) {
        self.ns.push(cost.ns - floor.ns);
        self.allocations = cost.allocations - floor.allocations;
    }

    fn quartiles(&self) -> [f64; 3] {
        let mut ns = self.ns.clone();
        ns.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| ns[ns.len() * quarter / 4])
    }

    fn median(&self) -> f64 {
        self.quartiles()[1]
    }
}

impl std::fmt::Display for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, median, high] = self.quartiles();
        let spread = format!("{median:.0} ({low:.0} to {high:.0})");
        write!(f, "{spread:>21} /{:5.1}", self.allocations)
    }
}

/// The costs on one framework: the floor's own, and of each of the others more than that.
struct Measured {
    floor: Costs,
    above: Vec<Costs>,
}

impl Measured {
    fn of(framework: &Framework) -> Self {
        Self { floor: Costs::default(), above: vec![Costs::default(); framework.above().count()] }
    }

    fn empty(&self) -> &Costs {
        &self.above[0]
    }

    fn library(&self) -> &Costs {
        &self.above[1]
    }
}

/// Measures one workload on all frameworks, all contestants taking turns.
fn measure(workload: Workload, rounds: usize) -> Vec<Measured> {
    let mut measured: Vec<_> = FRAMEWORKS.iter().map(Measured::of).collect();
    for _ in 0..rounds {
        for (framework, measured) in FRAMEWORKS.iter().zip(&mut measured) {
            let floor = round(&framework.floor, workload);
            measured.floor.add(floor, Cost::default());
            for (contestant, costs) in framework.above().zip(&mut measured.above) {
                costs.add(round(&contestant, workload), floor);
            }
        }
    }
    measured
}

impl Framework {
    /// What is written by hand: here, or on axum.
    fn by_hand<'a>(&self, here: &'a Measured, all: &'a [Measured]) -> (&'a Costs, &'a Costs) {
        let place = |framework: &Self| framework.above().position(|it| it.kind == Kind::ByHand);
        match place(self) {
            Some(at) => (&here.above[at], here.empty()),
            None => (&all[0].above[place(&FRAMEWORKS[0]).expect("by hand")], all[0].empty()),
        }
    }
}

fn table(rounds: usize) -> ExitCode {
    FRAMEWORKS.iter().flat_map(Framework::above).for_each(|contestant| check::check(&contestant));
    println!("{rounds} rounds of {SESSIONS} requests; ns (quartiles) / allocations a request");
    let measured: Vec<_> = Workload::ALL.into_iter().map(|it| (it, measure(it, rounds))).collect();
    for (at, framework) in FRAMEWORKS.iter().enumerate() {
        print!("\n{:24}{:>28}", framework.name, "floor");
        for contestant in framework.above() {
            print!("{:>28}", contestant.name);
        }
        println!("{:>8}{:>8}", "/ hand", "- empty");
        for (workload, all) in &measured {
            let here = &all[at];
            let (hand, empty) = framework.by_hand(here, all);
            print!("{:24}{}", workload.describe(), here.floor);
            here.above.iter().for_each(|costs| print!("{costs}"));
            let library = here.library().median();
            let above_empty = library - here.empty().median();
            println!(
                "{:8.2}{:8.2}",
                library / hand.median(),
                above_empty / (hand.median() - empty.median())
            );
        }
    }
    println!("\n/ hand: library above the floor, by what is written by hand above its floor;");
    println!("- empty: the same, each above middleware that does nothing");
    results::save("frameworks", &body(rounds, &measured));
    allocations()
}

#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    shown: Shown,
    rounds: usize,
}

fn body(rounds: usize, measured: &[(Workload, Vec<Measured>)]) -> Body {
    let others = FRAMEWORKS.iter().enumerate().skip(1);
    let shown = Shown {
        title: "On other frameworks".into(),
        place: 20,
        about: vec![format!(
            "What a request costs above the same application on the same framework without \
             sessions: nanoseconds, medians of {rounds} rounds of {SESSIONS} requests, and heap \
             allocations. Every handler answers with one header. `empty` is middleware that does \
             nothing. salvo-session is set to create no session for who has none; the store in \
             memory for actix-session, which has none, is a map of one thread."
        )],
        crates: ["actix-web", "actix-session", "poem", "salvo_core", "salvo-session"]
            .map(str::to_owned)
            .into(),
        tables: others.clone().map(|(at, framework)| table_of(at, framework, measured)).collect(),
        charts: others.map(|(at, framework)| chart_of(at, framework, measured)).collect(),
    };
    Body { shown, rounds }
}

fn table_of(at: usize, framework: &Framework, measured: &[(Workload, Vec<Measured>)]) -> Table {
    let named = framework.above().map(|contestant| label(&contestant));
    let columns = ["", "floor itself"].map(str::to_owned).into_iter().chain(named).collect();
    let row = |(workload, all): &(Workload, Vec<Measured>)| {
        let Measured { floor, above } = &all[at];
        let cells = [floor].into_iter().chain(above);
        let cells = cells.map(|it| format!("{:.0} ns / {:.1}", it.median(), it.allocations));
        [workload.describe().to_owned()].into_iter().chain(cells).collect()
    };
    let rows = measured.iter().map(row).collect();
    Table { title: framework.name.into(), columns, rows, note: String::new() }
}

fn chart_of(at: usize, framework: &Framework, measured: &[(Workload, Vec<Measured>)]) -> Chart {
    let series = framework.above().enumerate().filter(|(_, it)| it.kind != Kind::Floor);
    let series = series.map(|(nth, contestant)| {
        let costs = || measured.iter().map(|(_, all)| &all[at].above[nth]);
        Series {
            name: label(&contestant),
            role: match contestant.kind {
                Kind::Library => Role::Ours,
                Kind::ByHand => Role::Yardstick,
                Kind::Floor | Kind::EmptyLayer | Kind::Peer => Role::Other,
            },
            values: costs().map(|costs| Some(costs.median().max(0.0))).collect(),
            spread: costs()
                .map(|costs| costs.quartiles().map(|it| it.max(0.0)))
                .map(|[low, _, high]| Some((low, high)))
                .collect(),
        }
    });
    let name = framework.name;
    Chart {
        name: format!("frameworks-{name}"),
        title: format!("A request's session on {name}"),
        description: format!("Time above the same application on {name} without sessions"),
        unit: "ns".into(),
        scale: Scale::Grouped,
        groups: measured.iter().map(|(workload, _)| workload.describe().to_owned()).collect(),
        series: series.collect(),
        note: "above the application without sessions; shorter is better".into(),
    }
}

fn label(contestant: &Contestant) -> String {
    match contestant.kind {
        Kind::Library => "typed-session".into(),
        Kind::Floor | Kind::EmptyLayer | Kind::ByHand | Kind::Peer => contestant.name.into(),
    }
}

/// Compares allocations, which repeat, with the limit.
fn allocations() -> ExitCode {
    println!("\nallocations above middleware that does nothing, and by hand on axum: at most");
    println!("{MORE_THAN_BY_HAND} more; means of {SESSIONS} requests");
    print!("{:24}{:>10}", "", "by hand");
    FRAMEWORKS.iter().for_each(|framework| print!("{:>10}", framework.name));
    println!();
    let mut fine = true;
    for workload in Workload::ALL {
        // Of the second round: what is made once is there by then.
        drop(measure(workload, 1));
        let all = measure(workload, 1);
        let above = |costs: &Costs, empty: &Costs| costs.allocations - empty.allocations;
        let (hand, empty) = FRAMEWORKS[0].by_hand(&all[0], &all);
        print!("{:24}{:10.1}", workload.describe(), above(hand, empty));
        for (framework, here) in FRAMEWORKS.iter().zip(&all) {
            let (hand, empty) = framework.by_hand(here, &all);
            let ours = above(here.library(), here.empty());
            let is_fine = ours.round() <= (above(hand, empty) + MORE_THAN_BY_HAND).round();
            fine &= is_fine;
            print!("{ours:9.1}{}", if is_fine { ' ' } else { '!' });
        }
        println!();
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
