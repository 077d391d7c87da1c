//! The counts for the pages, and where the instructions of a request go.

use serde::Serialize;
use typed_session_benches::results::{self, Shown, Table};
use typed_session_benches::workload::Workload;

use super::callgrind::{self, Profiles};
use super::items::{CONTESTANTS, short};
use super::{Counts, name};

/// What a function belongs to, by the first of these words that is in its name.
const KINDS: [(&str, &[&str]); 9] = [
    ("JSON, read and written", &["serde", "itoa", "from_utf8", "workload::_"]),
    ("BLAKE3", &["blake3", "0x0000"]),
    ("memory allocated and freed", &["malloc", "free", "realloc", "_alloc", "RawVec", "unlink"]),
    ("memory moved and compared", &["__mem"]),
    (
        "the id and its cookie",
        &["cookie::", "::id::", "id_form", "candidates", "base64", "transport", "hand::Id"],
    ),
    ("the store", &["store::", "sip::", "hash_one", "HashMap", "RawTable", "by_hand::Sessions"]),
    ("the request's session", &["typed_session::", "by_hand", "Arc<", "time"]),
    ("HTTP and the framework", &["http::", "axum", "tower", "matchit", "bytes", "futures"]),
    ("what is left", &[""]),
];

#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    shown: Shown,
    counts: Counts,
}

pub fn save(counts: Counts) -> Result<(), String> {
    let shown = Shown {
        title: "Instructions".into(),
        place: 40,
        about: vec![
            "Times differ from run to run and from machine to machine; the instructions that a \
             processor executes hardly do. They are counted by callgrind, and `tests/run` fails \
             when one of these counts grows by more than 2 %."
                .into(),
        ],
        crates: vec!["axum".into(), "blake3".into(), "serde_json".into()],
        tables: vec![
            requests(&counts),
            spent(Workload::Read)?,
            spent(Workload::Write)?,
            spent(Workload::Login)?,
            headers(&counts),
        ],
        charts: Vec::new(),
    };
    results::save("count", &Body { shown, counts });
    Ok(())
}

fn requests(counts: &Counts) -> Table {
    let rows = Workload::ALL.map(|workload| {
        let [empty, by_hand, library] =
            [1, 2, 3].map(|place| counts.get(&name(workload, place)).copied().unwrap_or(f64::NAN));
        let mut row = vec![workload.describe().to_owned()];
        row.extend([empty, by_hand, library].map(|count| format!("{count:.0}")));
        row.push(format!("{:.2}", library / by_hand));
        row
    });
    Table {
        title: "Instructions of a request".into(),
        columns: texts(["", "empty layer", "by hand", "typed-session", "ratio"]),
        rows: rows.into(),
        note: "Above the same request without sessions.".into(),
    }
}

/// On what the instructions of one request are spent, by hand and here.
fn spent(workload: Workload) -> Result<Table, String> {
    let mut columns = Vec::new();
    for contestant in [0, 2, 3] {
        let profiles = Profiles::of(Some(&name(workload, contestant)))?;
        let mut sums = [0.0; KINDS.len()];
        for (count, function) in callgrind::functions(&profiles.file(0), false)? {
            let is_of = |(_, words): &(&str, &[&str])| words.iter().any(|it| function.contains(it));
            let kind = KINDS.iter().position(is_of).unwrap_or(KINDS.len() - 1);
            sums[kind] += count as f64 / 1000.0;
        }
        columns.push(sums);
    }
    let row = |what: &str, floor: f64, by_hand: f64, library: f64| {
        let (by_hand, library) = (by_hand - floor, library - floor);
        let mut row = vec![what.to_owned()];
        row.extend([by_hand, library, library - by_hand].map(|it| format!("{it:.0}")));
        row
    };
    let kinds = KINDS.iter().enumerate();
    let mut rows: Vec<_> = kinds
        .map(|(at, (what, _))| row(what, columns[0][at], columns[1][at], columns[2][at]))
        .collect();
    let all = columns.iter().map(|sums| sums.iter().sum::<f64>()).collect::<Vec<_>>();
    rows.push(row("all", all[0], all[1], all[2]));
    Ok(Table {
        title: format!("What the instructions of {} are spent on", short(workload)),
        columns: texts(["", "by hand", "typed-session", "more"]),
        rows,
        note: format!(
            "{}. By the functions that execute them, less those of the same request without \
             sessions; {} stands for the middleware by hand.",
            workload.describe(),
            CONTESTANTS[2].name
        ),
    })
}

fn headers(counts: &Counts) -> Table {
    let named = |name: &str| counts.get(name).map_or("".to_owned(), |count| format!("{count:.0}"));
    let rows = [
        ("no cookie", "open, no cookie", ""),
        ("one id", "open, one id", ""),
        (
            "one id behind 200 cookies",
            "open, one id behind 200 cookies",
            "memchr for ; in one id behind 200 cookies",
        ),
        ("64 KiB of pairs", "open, 64 KiB of pairs", "memchr for ; in 64 KiB of pairs"),
        ("64 KiB, one cookie", "open, 64 KiB, one cookie", "memchr for ; in 64 KiB, one cookie"),
        ("a forged signed id", "open, a forged id, of our key", ""),
        ("a POST of another site", "receive, POST of another site", ""),
    ];
    Table {
        title: "What a header costs".into(),
        columns: texts(["", "the session opened", "a search for each `;` in it"]),
        rows: rows.map(|(what, ours, scan)| vec![what.to_owned(), named(ours), named(scan)]).into(),
        note: "The search is the quickest look at all octets that there is (`memchr`).".into(),
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(ToOwned::to_owned).into()
}
