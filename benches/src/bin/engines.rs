//! What the stores of engines cost: against the same commands sent raw, and in bytes.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --features engines --bin engines
//! ... -- throughput                    the first part alone: requests a second
//! ... -- rows                          the second alone: bytes at rest, time by number of rows
//! ... -- redis sqlite                  these engines alone, of: redis postgres mariadb sqlite
//! ... -- throughput --rounds 51        more rounds
//! ... -- rows --rows 10000000          more rows
//! ... -- throughput redis --who store --workload W3    for a profiler: raw, store or layer
//! ... -- --save                        leaves the figures for the pages
//! ```
//!
//! It starts private servers by `tests/servers`, with their data in the folder for temporary
//! files; let that be on a disk.

use std::time::{Duration, Instant};

use serde::Serialize;
use typed_session::SessionLayer;
use typed_session::store::Revision;
use typed_session_benches::engines::journal::{Prepared, prepare};
use typed_session_benches::engines::mysql::MariaDb;
use typed_session_benches::engines::postgres::Postgresql;
use typed_session_benches::engines::redis::Redis;
use typed_session_benches::engines::server::{Server, folder};
use typed_session_benches::engines::sqlite::SqliteFile;
use typed_session_benches::engines::{Call, Engine, traffic};
use typed_session_benches::results::{self, Chart, Role, Scale, Series, Shown, Table};
use typed_session_benches::stopwatch;
use typed_session_benches::workload::{Profile, Workload};

const WORKLOADS: [Workload; 4] =
    [Workload::Read, Workload::Write, Workload::Create, Workload::Login];

/// Requests in flight at once.
const IN_FLIGHT: [usize; 3] = [1, 16, 64];

/// Threads of the runtime.
const THREADS: usize = 2;

struct Options {
    parts: Vec<String>,
    engines: Vec<String>,
    rounds: usize,
    rows: usize,
    who: Option<String>,
    workload: Option<String>,
}

const PARTS: [&str; 2] = ["throughput", "rows"];
const ENGINES: [&str; 4] = ["redis", "postgres", "mariadb", "sqlite"];

impl Options {
    fn of(arguments: Vec<String>) -> Result<Self, String> {
        let mut options = Self {
            parts: Vec::new(),
            engines: Vec::new(),
            rounds: 21,
            rows: 1_000_000,
            who: None,
            workload: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
            match &argument[..] {
                "--rounds" => options.rounds = number(value()?)?,
                "--rows" => options.rows = number(value()?)?,
                "--who" => options.who = Some(value()?),
                "--workload" => options.workload = Some(value()?),
                part if PARTS.contains(&part) => options.parts.push(argument),
                engine if ENGINES.contains(&engine) => options.engines.push(argument),
                _ => return Err(format!("{argument} is none of {PARTS:?}, {ENGINES:?}")),
            }
        }
        Ok(options)
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|it| it == part)
    }
}

fn main() {
    let options = match Options::of(results::arguments()) {
        Ok(options) => options,
        Err(error) => return eprintln!("{error}"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .unwrap();
    let mut report = Report::default();
    for engine in ENGINES {
        if !options.engines.is_empty() && !options.engines.iter().any(|it| it == engine) {
            continue;
        }
        runtime.block_on(async {
            match engine {
                "redis" => {
                    let server = Server::start("redis");
                    measure(&Redis::connect(&server.url).await, &options, &mut report).await;
                }
                "postgres" => {
                    let server = Server::start("postgres");
                    measure(&Postgresql::connect(&server.url).await, &options, &mut report).await;
                }
                "mariadb" => {
                    let server = Server::start("mariadb");
                    measure(&MariaDb::connect(&server.url).await, &options, &mut report).await;
                }
                _ => {
                    let folder = folder("sqlite");
                    measure(&SqliteFile::open(&folder).await, &options, &mut report).await;
                    std::fs::remove_dir_all(folder).unwrap();
                }
            }
        });
    }
    report.save(&options);
}

async fn measure<E: Engine>(engine: &E, options: &Options, report: &mut Report) {
    let about = engine.about().await;
    println!("\n{about}");
    report.settings.push(about);
    // Scripts become known, and statements prepared on every connection.
    let layer = SessionLayer::<Profile, _>::new(engine.store());
    let cookie = traffic::answer(&layer, Workload::Create, None).await;
    let _ = traffic::answer(&layer, Workload::Write, cookie.as_deref()).await;
    for workload in WORKLOADS {
        let ready = Ready::new(engine, workload, 500).await;
        round(engine, Who::Layer, &ready, 64).await;
    }
    engine.clear().await;
    if options.wants("throughput") {
        throughput(engine, options, report).await;
    }
    if options.wants("rows") {
        rows(engine, options, report).await;
    }
}

/// Who sends the commands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    /// The client of the engine, given what the store would send.
    Raw,
    /// The store's verbs, given what a layer would ask.
    Store,
    /// Requests: a session is opened, loaded, changed and finished.
    Layer,
}

impl Who {
    const ALL: [Self; 3] = [Self::Raw, Self::Store, Self::Layer];

    const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Store => "store",
            Self::Layer => "layer",
        }
    }
}

/// Requests of one workload, ready to be made by anyone, once.
struct Ready<E: Engine> {
    workload: Workload,
    prepared: std::sync::Arc<Prepared>,
    raw: std::sync::Arc<Vec<Vec<E::Raw>>>,
}

impl<E: Engine> Ready<E> {
    async fn new(engine: &E, workload: Workload, count: usize) -> Self {
        let prepared = prepare(workload, count).await;
        let raw = prepared.calls.iter();
        let raw = raw.map(|calls| calls.iter().map(|call| engine.raw(call)).collect()).collect();
        let ready = Self { workload, prepared: prepared.into(), raw: std::sync::Arc::new(raw) };
        ready.fill(engine).await;
        ready
    }

    async fn fill(&self, engine: &E) {
        let raw: Vec<_> = self.prepared.inserts.iter().map(|call| engine.raw(call)).collect();
        if !raw.is_empty() {
            engine.batch(&raw).await;
        }
    }
}

/// What requests took.
#[derive(Clone, Copy)]
struct Took {
    time: Duration,
    client: Duration,
}

async fn round<E: Engine>(engine: &E, who: Who, ready: &Ready<E>, in_flight: usize) -> Took {
    let count = ready.raw.len();
    let (workload, prepared) = (ready.workload, ready.prepared.clone());
    let (raw, engine) = (ready.raw.clone(), engine.clone());
    let (start, client) = (now(), stopwatch::process_time());
    match who {
        Who::Raw => {
            traffic::serve(count, in_flight, move |number| {
                let (raw, engine) = (raw.clone(), engine.clone());
                async move {
                    for raw in &raw[number] {
                        engine.send(raw).await;
                    }
                }
            })
            .await;
        }
        Who::Store => {
            let store = engine.store();
            traffic::serve(count, in_flight, move |number| {
                let (prepared, store) = (prepared.clone(), store.clone());
                async move {
                    for call in &prepared.calls[number] {
                        traffic::ask(&store, call).await;
                    }
                }
            })
            .await;
        }
        Who::Layer => {
            let layer = SessionLayer::<Profile, _>::new(engine.store());
            traffic::serve(count, in_flight, move |number| {
                let (prepared, layer) = (prepared.clone(), layer.clone());
                async move {
                    let cookie = prepared.cookies[number].as_deref();
                    let set = traffic::answer(&layer, workload, cookie).await;
                    assert_eq!(set.is_some(), workload.sets_cookie());
                }
            })
            .await;
        }
    }
    Took { time: start.elapsed(), client: stopwatch::process_time() - client }
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn now() -> Instant {
    Instant::now()
}

async fn throughput<E: Engine>(engine: &E, options: &Options, report: &mut Report) {
    let whose: Vec<Who> = Who::ALL
        .into_iter()
        .filter(|who| options.who.as_ref().is_none_or(|name| name == who.name()))
        .collect();
    println!(
        "{:34}{:>26}{:>26}{:>26}{:>8}{:>8}   client µs",
        "requests a second (quartiles)", "raw", "store", "layer", "store", "layer"
    );
    for workload in WORKLOADS {
        let name = workload.describe();
        if options.workload.as_ref().is_some_and(|wanted| !name.starts_with(wanted)) {
            continue;
        }
        for in_flight in IN_FLIGHT {
            let count = enough(engine, workload, in_flight).await;
            let mut took = [const { Vec::new() }; 3];
            for number in 0..options.rounds {
                // Each has its turn to be the first.
                for turn in 0..whose.len() {
                    let who = whose[(number + turn) % whose.len()];
                    let ready = Ready::new(engine, workload, count).await;
                    took[who as usize].push(round(engine, who, &ready, in_flight).await);
                }
            }
            engine.clear().await;
            let cell = Cell::of(E::NAME, name, in_flight, count, &took);
            cell.print();
            report.cells.push(cell);
        }
    }
}

/// How many requests make a round of a tenth of a second.
async fn enough<E: Engine>(engine: &E, workload: Workload, in_flight: usize) -> usize {
    const PILOT: usize = 64;
    let ready = Ready::new(engine, workload, PILOT).await;
    let took = round(engine, Who::Raw, &ready, in_flight).await.time.as_secs_f64();
    ((PILOT as f64 * 0.1 / took) as usize).clamp(PILOT, 4000)
}

/// Quartiles and median.
#[derive(Clone, Copy, Serialize)]
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |part: usize| Some(*values.get(part * values.len() / 4)?);
        Some(Self { low: at(1)?, median: at(2)?, high: at(3)? })
    }
}

/// One workload with so many requests in flight.
#[derive(Serialize)]
struct Cell {
    engine: &'static str,
    workload: &'static str,
    in_flight: usize,
    /// Requests a second of raw, store and layer.
    rates: [Option<Spread>; 3],
    /// Of store and layer to raw, in one round: the median.
    ratios: [Option<f64>; 2],
    /// Microseconds of the client's processor for a request.
    client: [Option<f64>; 3],
}

impl Cell {
    fn of(
        engine: &'static str,
        workload: &'static str,
        in_flight: usize,
        count: usize,
        took: &[Vec<Took>; 3],
    ) -> Self {
        let count = count as f64;
        let ratio = |who: usize| {
            let pairs = took[0].iter().zip(&took[who]);
            let ratios = pairs.map(|(raw, it)| raw.time.as_secs_f64() / it.time.as_secs_f64());
            Spread::of(ratios.collect()).map(|it| it.median)
        };
        let client = |took: &Vec<Took>| {
            let times = took.iter().map(|it| it.client.as_secs_f64() * 1e6 / count);
            Spread::of(times.collect()).map(|it| it.median)
        };
        Self {
            engine,
            workload,
            in_flight,
            rates: took.each_ref().map(|took| {
                Spread::of(took.iter().map(|it| count / it.time.as_secs_f64()).collect())
            }),
            ratios: [ratio(1), ratio(2)],
            client: took.each_ref().map(client),
        }
    }

    fn print(&self) {
        print!("{:26}{:>8}", self.workload, self.in_flight);
        for rate in &self.rates {
            print!("{:>26}", rate.map_or("–".into(), |it| rated(&it)));
        }
        for ratio in &self.ratios {
            print!("{:>8}", ratio.map_or("–".into(), |it| format!("{it:.3}")));
        }
        let client = self.client.iter().flatten().map(|it| format!("{it:.1}"));
        println!("   {}", client.collect::<Vec<_>>().join(" "));
    }
}

fn rated(Spread { low, median, high }: &Spread) -> String {
    format!("{} ({}–{})", short(*median), short(*low), short(*high))
}

fn short(number: f64) -> String {
    if number < 10_000.0 { format!("{number:.0}") } else { format!("{:.1}k", number / 1000.0) }
}

/// How many sessions are written at once when a table is filled.
const BATCH: usize = 1000;

/// How often a verb is timed at each number of rows.
const TIMED: usize = 2000;

async fn rows<E: Engine>(engine: &E, options: &Options, report: &mut Report) {
    let mut stages: Vec<usize> = vec![1000, 100_000, 1_000_000, 10_000_000];
    stages.retain(|stage| *stage < options.rows);
    stages.push(options.rows);
    engine.clear().await;
    engine.settle().await;
    let empty: u64 = engine.bytes().await[0].1;
    let mut there: Vec<Call> = Vec::new();
    for stage in stages {
        let start = now();
        let mut tasks = tokio::task::JoinSet::new();
        while there.len() < stage {
            let Prepared { inserts, .. } =
                prepare(Workload::Read, BATCH.min(stage - there.len())).await;
            let raw: Vec<_> = inserts.iter().map(|call| engine.raw(call)).collect();
            there.extend(inserts);
            let engine = engine.clone();
            tasks.spawn(async move { engine.batch(&raw).await });
            if tasks.len() >= FILLING {
                tasks.join_next().await.unwrap().unwrap();
            }
        }
        tasks.join_all().await;
        let filled = start.elapsed();
        let (load, replace) = timed(engine, &mut there).await;
        println!(
            "{stage:>10} rows: load {:.1} µs ({:.1}–{:.1}), replace {:.1} µs ({:.1}–{:.1}), \
             filled in {:.0} s",
            load.median,
            load.low,
            load.high,
            replace.median,
            replace.low,
            replace.high,
            filled.as_secs_f64()
        );
        report.growth.push(Growth { engine: E::NAME, rows: stage, load, replace });
    }
    let data = serde_json::to_vec(&Profile::user()).unwrap().len();
    let Call::Insert(_, record) = &there[0] else { panic!("a session that was inserted") };
    let body = record.body.len();
    engine.settle().await;
    let loaded = engine.bytes().await;
    // Each session is written once more, a fifth of them between two clean-ups, as an
    // autovacuum does it if nobody says otherwise.
    let count = there.len();
    for part in there.chunks_mut(count.div_ceil(5)) {
        let mut tasks = tokio::task::JoinSet::new();
        for batch in part.chunks_mut(BATCH) {
            let raw: Vec<_> =
                batch.iter_mut().map(|call| engine.raw(&written_over(call))).collect();
            let engine = engine.clone();
            tasks.spawn(async move { engine.batch(&raw).await });
            if tasks.len() >= FILLING {
                tasks.join_next().await.unwrap().unwrap();
            }
        }
        tasks.join_all().await;
        engine.settle().await;
    }
    let updated = engine.bytes().await;
    let bytes = Bytes { engine: E::NAME, rows: count, data, body, empty, loaded, updated };
    bytes.print();
    report.bytes.push(bytes);
    engine.clear().await;
}

/// Batches at work at once.
const FILLING: usize = 4;

/// A replace of what was inserted or last written over, by itself a little later.
fn written_over(call: &mut Call) -> Call {
    let Call::Insert(key, record) = call else { panic!("a session that was inserted") };
    let expected = record.revision;
    record.revision = Revision::from_u64(expected.as_u64() + 1);
    record.expires_at = record.expires_at.plus(Duration::from_secs(60));
    Call::Replace(*key, expected, record.clone())
}

/// Loads and replaces some of the sessions, one after the other: microseconds.
async fn timed<E: Engine>(engine: &E, there: &mut [Call]) -> (Spread, Spread) {
    let store = engine.store();
    let (mut loads, mut replaces) = (Vec::new(), Vec::new());
    for number in 0..TIMED {
        // A prime, and so they lie apart.
        let at = number * 499_979 % there.len();
        let Call::Insert(key, _) = &there[at] else { panic!("a session that was inserted") };
        let load = Call::Load(*key);
        let start = now();
        traffic::ask(&store, &load).await;
        loads.push(start.elapsed().as_secs_f64() * 1e6);
        let replace = written_over(&mut there[at]);
        let start = now();
        traffic::ask(&store, &replace).await;
        replaces.push(start.elapsed().as_secs_f64() * 1e6);
    }
    (Spread::of(loads).unwrap(), Spread::of(replaces).unwrap())
}

/// What verbs take at a number of rows.
#[derive(Serialize)]
struct Growth {
    engine: &'static str,
    rows: usize,
    load: Spread,
    replace: Spread,
}

/// What sessions take up at rest.
#[derive(Serialize)]
struct Bytes {
    engine: &'static str,
    rows: usize,
    /// Of one session, encoded.
    data: usize,
    /// The record's body, in which the data is: with verifiers and times.
    body: usize,
    /// Without any.
    empty: u64,
    loaded: Vec<(String, u64)>,
    /// After each was written once more.
    updated: Vec<(String, u64)>,
}

impl Bytes {
    fn each(&self, bytes: u64) -> f64 {
        bytes as f64 / self.rows as f64
    }

    fn parts(&self, sizes: &[(String, u64)]) -> String {
        let parts = sizes[1..].iter();
        let parts = parts.map(|(name, bytes)| format!("{name} {:.0}", self.each(*bytes)));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// One and a half of the data, and 150.
    fn goal(&self) -> f64 {
        1.5 * self.data as f64 + 150.0
    }

    fn print(&self) {
        println!(
            "bytes a session, of {} with {} bytes of JSON; the goal is {:.0}",
            self.rows,
            self.data,
            self.goal()
        );
        for (when, sizes) in [("loaded", &self.loaded), ("written over", &self.updated)] {
            let all = self.each(sizes[0].1.saturating_sub(self.empty));
            println!("{when:>14} {all:.0}: {}", self.parts(sizes));
        }
    }
}

/// What was found.
#[derive(Default)]
struct Report {
    settings: Vec<String>,
    cells: Vec<Cell>,
    growth: Vec<Growth>,
    bytes: Vec<Bytes>,
}

#[derive(Serialize)]
struct Saved<'a, F> {
    #[serde(flatten)]
    shown: Shown,
    figures: &'a [F],
}

impl Report {
    fn save(&self, options: &Options) {
        let crates = ["redis", "sqlx", "tokio"].map(str::to_owned).to_vec();
        let settings = format!(
            "The servers are private, on loopback, as durable as they come: {}. Client and server \
             share the machine's processors.",
            self.settings.join("; ")
        );
        if options.wants("throughput") {
            let about = vec![
                "Requests through the layer (open, load, change, finish) against the very same \
                 commands sent through the same client or pool, without the library. They take \
                 turns; medians of the rounds with their quartiles, and the median of the ratios \
                 within a round."
                    .into(),
                settings.clone(),
            ];
            let shown = Shown {
                title: "Engines: what the library adds to the commands".into(),
                place: 50,
                about,
                crates: crates.clone(),
                tables: self.throughput_tables(),
                charts: self.throughput_charts(),
            };
            results::save("engines-throughput", &Saved { shown, figures: &self.cells });
        }
        if options.wants("rows") {
            let (data, body) = self.bytes.first().map_or((0, 0), |it| (it.data, it.body));
            let about = vec![
                format!(
                    "Sessions of the workloads, {data} bytes of JSON each in a body of {body} \
                     bytes, with a user, as the layer makes them, written by the store's own \
                     statements, a thousand in a transaction. Then each is written once more, and \
                     old versions are cleaned up after each fifth. What counts is \
                     everything: rows and indexes."
                ),
                settings,
            ];
            let shown = Shown {
                title: "Engines: bytes at rest, and time by number of sessions".into(),
                place: 51,
                about,
                crates,
                tables: vec![self.bytes_table(), self.growth_table()],
                charts: Vec::new(),
            };
            results::save("engines-rows", &Saved { shown, figures: &self.bytes });
        }
    }

    fn engines(&self) -> Vec<&'static str> {
        let mut engines: Vec<_> = self.cells.iter().map(|cell| cell.engine).collect();
        engines.dedup();
        engines
    }

    fn throughput_tables(&self) -> Vec<Table> {
        let columns = ["", "in flight", "raw", "store", "layer", "store : raw", "layer : raw"];
        let table = |engine: &'static str| Table {
            title: format!("{engine}: requests a second"),
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.cells.iter().filter(|it| it.engine == engine).map(Cell::row).collect(),
            note: String::new(),
        };
        self.engines().into_iter().map(table).collect()
    }

    fn throughput_charts(&self) -> Vec<Chart> {
        self.engines()
            .into_iter()
            .map(|engine| {
                let cells: Vec<&Cell> =
                    self.cells.iter().filter(|it| it.engine == engine).collect();
                let series = |who: Who, role| Series {
                    name: who.name().into(),
                    role,
                    values: cells
                        .iter()
                        .map(|it| it.rates[who as usize].map(|rate| rate.median))
                        .collect(),
                    spread: cells
                        .iter()
                        .map(|it| it.rates[who as usize].map(|rate| (rate.low, rate.high)))
                        .collect(),
                };
                Chart {
                    name: format!("engines-{}", engine.to_lowercase()),
                    title: format!("{engine}: requests a second"),
                    description: format!(
                        "Requests a second on {engine}, raw and through the layer, for each \
                         workload with 1, 16 and 64 requests in flight."
                    ),
                    unit: String::new(),
                    scale: Scale::Grouped,
                    groups: cells
                        .iter()
                        .map(|it| format!("{}, {} in flight", &it.workload[..2], it.in_flight))
                        .collect(),
                    series: vec![series(Who::Layer, Role::Ours), series(Who::Raw, Role::Yardstick)],
                    note: String::new(),
                }
            })
            .collect()
    }

    fn bytes_table(&self) -> Table {
        let columns = ["", "sessions", "bytes a session", "written over", "goal", "of what"];
        let row = |it: &Bytes| {
            let all = |sizes: &[(String, u64)]| {
                format!("{:.0}", it.each(sizes[0].1.saturating_sub(it.empty)))
            };
            vec![
                it.engine.to_owned(),
                it.rows.to_string(),
                all(&it.loaded),
                all(&it.updated),
                format!("{:.0}", it.goal()),
                it.parts(&it.updated),
            ]
        };
        Table {
            title: "Bytes at rest".into(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.bytes.iter().map(row).collect(),
            note: "The goal is one and a half times the data, and 150.".into(),
        }
    }

    fn growth_table(&self) -> Table {
        let columns = ["", "sessions", "load, µs", "replace, µs"];
        let spread = |it: &Spread| format!("{:.0} ({:.0}–{:.0})", it.median, it.low, it.high);
        let row = |it: &Growth| {
            vec![it.engine.to_owned(), it.rows.to_string(), spread(&it.load), spread(&it.replace)]
        };
        Table {
            title: "Time of a verb, one after the other".into(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.growth.iter().map(row).collect(),
            note: "Medians with quartiles, of sessions in no order.".into(),
        }
    }
}

impl Cell {
    fn row(&self) -> Vec<String> {
        let rate = |rate: &Option<Spread>| rate.as_ref().map_or("–".into(), rated);
        let ratio = |ratio: &Option<f64>| ratio.map_or("–".into(), |it| format!("{it:.2}"));
        let mut row = vec![self.workload.to_owned(), self.in_flight.to_string()];
        row.extend(self.rates.iter().map(rate));
        row.extend(self.ratios.iter().map(ratio));
        row
    }
}
