//! What each setting of the library costs a request, above the library as it is by default.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --features settings --bin settings
//! ... -- 200                the same, of 200 rounds
//! ... -- --save             and written to benches/results/settings.json
//! ... -- W2 "TimeLimit" 20  20 rounds of one, for a profiler
//! ```
//!
//! All on axum and `MemoryStore`, called in process, with the headers of a browser. Times are of
//! this thread on a processor: medians over rounds in which all take turns, each less what the
//! default took in the same round, with the quartiles. Allocations are exact. Under
//! `valgrind --tool=callgrind --toggle-collect='*::serve'` the last form counts instructions.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{COOKIE, SET_COOKIE, USER_AGENT};
use axum::response::Response;
use axum::routing::get;
use serde_json::json;
use tower_service::Service;
use typed_session::store::{Backend, Cached, DynStore, MemoryStore, TimeLimit};
use typed_session::{
    ClientPolicy, Encoding, IdForm, KeyRing, Lifetime, OnLimit, Rotation, Session, SessionLayer,
    Stateless, SystemEntropy, TracingObserver, Unsealed,
};
use typed_session_benches::results::{self, Shown, Table};
use typed_session_benches::workload::{Profile, Workload};
use typed_session_benches::{alloc, stopwatch};

/// Sessions in the store, and requests in a round.
const SESSIONS: usize = 1000;

const ROUNDS: usize = 100;

const WORKLOADS: [Workload; 5] =
    [Workload::Untouched, Workload::Read, Workload::Write, Workload::Create, Workload::Login];

struct Setting {
    name: &'static str,
    make: fn() -> Router,
}

/// The first is what is subtracted from the others.
const SETTINGS: &[Setting] = &[
    Setting { name: "the default", make: || app(memory()) },
    // Twice, so that the table says how far its figures can be believed.
    Setting { name: "the default once more", make: || app(memory()) },
    Setting {
        name: "`encoding(MessagePack)`",
        make: || app(memory().encoding(Encoding::MessagePack)),
    },
    Setting { name: "`sign_ids`", make: || app(memory().sign_ids(keys())) },
    Setting { name: "`id_form(private)`", make: || app(memory().id_form(IdForm::private(keys()))) },
    Setting { name: "`seal_data`", make: || app(memory().seal_data(Unsealed::Refuse)) },
    Setting {
        name: "`stateless`",
        make: || app(SessionLayer::<Profile, Stateless>::stateless(keys())),
    },
    Setting { name: "`rotation`, not due", make: || app(memory().rotation(Rotation::default())) },
    Setting {
        name: "a persistent cookie",
        make: || {
            let lifetime = Lifetime::new(Duration::from_secs(3600), Duration::from_secs(86400));
            app(memory().lifetime(lifetime.persistent()))
        },
    },
    Setting { name: "`max_sessions`", make: || app(memory().max_sessions(5, OnLimit::EndOldest)) },
    Setting { name: "`client_info`", make: || app(memory().client_info(ClientPolicy::default())) },
    Setting {
        name: "`TracingObserver`, nobody subscribes",
        make: || app(memory().observer(TracingObserver)),
    },
    Setting {
        name: "`DynStore`",
        make: || app(SessionLayer::new(DynStore::new(MemoryStore::new()))),
    },
    Setting {
        name: "`TimeLimit`",
        make: || {
            // What the runtime's own timer costs comes on top.
            let limit = |store| TimeLimit::new(store, Duration::from_secs(5), never);
            app(SessionLayer::new(limit(MemoryStore::new())))
        },
    },
    Setting {
        name: "`Cached`",
        make: || {
            let store = Cached::new(MemoryStore::new()).max_age(Duration::from_secs(3600));
            app(SessionLayer::new(store))
        },
    },
];

fn memory() -> SessionLayer<Profile, MemoryStore> {
    SessionLayer::new(MemoryStore::new())
}

fn keys() -> KeyRing {
    let key = KeyRing::generate_text(&SystemEntropy).expect("there is randomness");
    KeyRing::from_text(&key).expect("it was written as one")
}

async fn never(_: Duration) {
    std::future::pending().await
}

fn app<S: Backend>(layer: SessionLayer<Profile, S>) -> Router {
    Router::new()
        .route("/alone", get(async || {}))
        .route(
            "/read",
            get(async |session: Session<Profile>| {
                black_box(session.read(|profile| profile.counter));
            }),
        )
        .route(
            "/write",
            get(async |session: Session<Profile>| session.update(|profile| profile.counter += 1)),
        )
        .route(
            "/visit",
            get(async |session: Session<Profile>| drop(session.replace(Profile::visitor()))),
        )
        .route(
            "/create",
            get(async |session: Session<Profile>| drop(session.replace(Profile::user()))),
        )
        .route("/login", get(async |session: Session<Profile>| session.update(Profile::log_in)))
        .layer(layer)
}

fn main() {
    let arguments = results::arguments();
    match &arguments[..] {
        [] => table(ROUNDS),
        [rounds] => table(rounds.parse().expect("the number of rounds")),
        [workload, setting, rounds] => {
            let workload = WORKLOADS.iter().find(|it| it.describe().starts_with(workload));
            let workload = *workload.expect("a workload, W1 to W5");
            let setting = SETTINGS.iter().find(|it| it.name.replace('`', "") == *setting);
            let setting = setting.expect("the name of a row, without its quotes");
            for _ in 0..rounds.parse().expect("the number of rounds") {
                round(setting, workload);
            }
        }
        _ => eprintln!("usage: [ROUNDS] [--save] | WORKLOAD SETTING ROUNDS"),
    }
}

/// What a request of each setting costs, round by round.
type Costs = Vec<Vec<Cost>>;

fn table(rounds: usize) {
    SETTINGS.iter().for_each(check);
    let mut rows: Vec<Vec<String>> =
        SETTINGS.iter().map(|setting| vec![setting.name.to_owned()]).collect();
    let mut figures = Vec::new();
    for workload in WORKLOADS {
        let mut costs: Costs = SETTINGS.iter().map(|_| Vec::new()).collect();
        for turn in 0..rounds {
            // Each begins once, so that none always comes after the same.
            for at in 0..SETTINGS.len() {
                let at = (at + turn) % SETTINGS.len();
                costs[at].push(round(&SETTINGS[at], workload));
            }
        }
        for (row, (setting, cost)) in rows.iter_mut().zip(SETTINGS.iter().zip(&costs)) {
            let of_default = row[0] == SETTINGS[0].name;
            let mut times: Vec<f64> = cost
                .iter()
                .zip(&costs[0])
                .map(|(its, default)| its.ns - if of_default { 0.0 } else { default.ns })
                .collect();
            times.sort_by(f64::total_cmp);
            let [low, median, high] = [1, 2, 3].map(|quarter| times[times.len() * quarter / 4]);
            let allocations =
                cost[0].allocations - if of_default { 0.0 } else { costs[0][0].allocations };
            row.push(if of_default {
                format!("{median:.0} / {allocations:.1}")
            } else {
                format!("{median:+.0} ({low:+.0} to {high:+.0}) / {allocations:+.1}")
            });
            figures.push(json!({
                "setting": setting.name, "workload": workload.describe(),
                "ns": median, "low": low, "high": high, "allocations": allocations,
            }));
        }
    }
    let mut columns = vec!["ns (quartiles) / allocations".to_owned()];
    columns.extend(WORKLOADS.map(|workload| workload.describe().to_owned()));
    print(&columns);
    rows.iter().for_each(|row| print(row));
    let shown = Shown {
        title: "What each setting costs".into(),
        place: 40,
        about: vec![format!(
            "A request on axum and `MemoryStore`, in process: the whole request for the default, \
             and for each setting what comes on top. Medians of {rounds} rounds of {SESSIONS} \
             requests, in which all take turns, with the quartiles; the default comes twice, \
             which says how far the others can be believed."
        )],
        crates: vec!["axum".into()],
        tables: vec![Table { columns, rows, ..Table::default() }],
        charts: Vec::new(),
    };
    let mut body = serde_json::to_value(&shown).expect("strings and numbers");
    body["figures"] = figures.into();
    results::save("settings", &body);
}

fn print(row: &[String]) {
    print!("{:42}", row[0]);
    for cell in &row[1..] {
        print!("{cell:>32}");
    }
    println!();
}

/// The cost of one request.
struct Cost {
    ns: f64,
    allocations: f64,
}

/// Measures one request of the workload for each session of a fresh store.
fn round(setting: &Setting, workload: Workload) -> Cost {
    let mut app = (setting.make)();
    let cookies: Vec<_> =
        (0..SESSIONS).map(|_| visit(&mut app, workload.prepared_by(), None).1).collect();
    // Not in the order in which they lie in memory.
    let requests = (0..SESSIONS).map(|at| cookies[at * STRIDE % SESSIONS].as_deref());
    let requests: Vec<_> = requests
        .map(|cookie| request(workload.path(), cookie.filter(|_| workload.has_cookie())))
        .collect();
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

/// A prime, and so each session has its turn.
const STRIDE: usize = 617;

/// Apart, so that a profiler can be told to look at nothing else.
#[inline(never)]
fn serve(app: &mut Router, requests: Vec<Request>) {
    for request in requests {
        drop(black_box(call(app, request)));
    }
}

/// A setting that forgets its work is quick.
fn check(setting: &Setting) {
    let mut app = (setting.make)();
    let name = setting.name;
    let (status, visitor) = visit(&mut app, "/visit", None);
    assert_eq!((status, visitor.is_some()), (200, true), "{name}");
    let mut cookie = visitor.clone();
    for path in ["/read", "/write", "/alone", "/login", "/write", "/read"] {
        let (status, set) = visit(&mut app, path, cookie.as_deref());
        assert_eq!(status, 200, "{name}: {path}");
        if path == "/login" {
            assert!(set.is_some() && set != visitor, "{name}: a login changes the cookie");
        }
        cookie = set.or(cookie);
    }
}

/// The status, and the `name=value` of the cookie that is set.
fn visit(app: &mut Router, path: &str, cookie: Option<&str>) -> (u16, Option<String>) {
    let response = call(app, request(path, cookie));
    let line = response.headers().get(SET_COOKIE).map(|line| line.to_str().expect("ASCII"));
    let pair = line.and_then(|line| line.split(';').next()).map(str::to_owned);
    (response.status().as_u16(), pair)
}

/// Calls the application, which never waits.
fn call(app: &mut Router, request: Request) -> Response {
    let mut future = pin!(app.call(request));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(error)) => match error {},
        Poll::Pending => panic!("nothing in this application waits"),
    }
}

fn request(path: &str, cookie: Option<&str>) -> Request {
    let mut request = Request::builder().uri(path).header(USER_AGENT, BROWSER);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::empty()).expect("a path and ASCII")
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
