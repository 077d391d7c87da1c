//! What a session costs a request, in instructions: they repeat where times do not.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --bin count       the tables
//! ... --bin count -- --check                     fails where a count has grown
//! ... --bin count -- --record                    writes benches/instructions.txt anew
//! ... --bin count -- --save                      for the pages, see `results`
//! ... --bin count -- W3 library --by-function    what the instructions are spent on
//! ```
//!
//! With `--features sealed` it counts what needs that feature, and nothing else.
//!
//! It runs itself under valgrind's callgrind, which counts each instruction that the program
//! executes, and none of the kernel's. Setting up is not counted. Between two runs a count
//! differs by 0.1 % or less, which is due to random ids and keys of hash maps; between
//! compilers, C libraries and kinds of processors it differs by more, so a record is compared where
//! these are the same, and otherwise the ratios to the middleware written by hand are.
//!
//! Not by a library for such counts, such as gungraun: what matters here are differences, to the
//! same application without sessions, and ratios, which none of them knows; and its runner would
//! have to be built by each CI run.

use std::collections::BTreeMap;
use std::process::ExitCode;

use typed_session_benches::workload::Workload;

use self::callgrind::Profiles;
use self::items::{CONTESTANTS, Item, short};
use self::record::Record;

mod callgrind;
mod items;
mod record;
mod shown;

/// Instructions, by the name of what is done once.
type Counts = BTreeMap<String, f64>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match &arguments[..] {
        [callgrind::INSIDE] => {
            callgrind::inside(&items::all());
            Ok(())
        }
        [callgrind::INSIDE, name] => found(name).map(|item| callgrind::inside(&[item])),
        _ if cfg!(debug_assertions) => Err("build it with --release".to_owned()),
        [] => count().map(|counts| tables(&counts)),
        ["--check"] => count().and_then(|counts| Record::read()?.check(&counts)),
        ["--record"] => count().and_then(|counts| {
            tables(&counts);
            Record::of(counts).write()
        }),
        ["--save"] => count().and_then(|counts| {
            tables(&counts);
            shown::save(counts)
        }),
        [name @ .., "--by-function"] => by_function(&name.join(" ")),
        _ => Err("usage: [--check | --record | --save | NAME --by-function]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("count: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count() -> Result<Counts, String> {
    let profiles = Profiles::of(None)?;
    let mut counts = Counts::new();
    for (place, item) in items::all().into_iter().enumerate() {
        let each = profiles.total(place)? as f64 / item.times as f64;
        counts.insert(item.name, each);
    }
    // Each request less the same one where there are no sessions.
    for workload in Workload::ALL {
        let floor = counts.remove(&name(workload, 0));
        for place in 1..CONTESTANTS.len() {
            if let (Some(floor), Some(count)) = (floor, counts.get_mut(&name(workload, place))) {
                *count -= floor;
            }
        }
    }
    Ok(counts)
}

fn name(workload: Workload, contestant: usize) -> String {
    format!("{} {}", short(workload), CONTESTANTS[contestant].name)
}

fn found(name: &str) -> Result<Item, String> {
    let names = || items::all().into_iter().map(|item| item.name).collect::<Vec<_>>().join("\n  ");
    items::all()
        .into_iter()
        .find(|item| item.name == name)
        .ok_or_else(|| format!("nothing is called `{name}`; there are\n  {}", names()))
}

fn tables(counts: &Counts) {
    let requests = Workload::ALL.map(|workload| {
        let counts: Vec<_> = (1..CONTESTANTS.len())
            .filter_map(|place| counts.get(&name(workload, place)).copied())
            .collect();
        (workload, counts)
    });
    println!("instructions of a request, above those without sessions; of");
    for line in record::environment() {
        println!("  {line}");
    }
    if !requests[0].1.is_empty() {
        println!(
            "\n{:27}{:>13}{:>10}{:>10}{:>8}",
            "", "empty layer", "by hand", "library", "ratio"
        );
    }
    for (workload, counts) in requests {
        if let [empty, by_hand, library] = counts[..] {
            let (what, ratio) = (workload.describe(), library / by_hand);
            println!("{what:27}{empty:>13.0}{by_hand:>10.0}{library:>10.0}{ratio:>8.2}");
        }
    }
    println!("\n{:50}{:>12}", "instructions of a part", "");
    for item in items::all() {
        let is_request = Workload::ALL.iter().any(|it| item.name.starts_with(short(*it)));
        if let Some(count) = counts.get(&item.name).filter(|_| !is_request) {
            println!("{:50}{count:>12.0}", item.name);
        }
    }
}

fn by_function(name: &str) -> Result<(), String> {
    let item = found(name)?;
    let profiles = Profiles::of(Some(name))?;
    let all = profiles.total(0)? as f64 / item.times as f64;
    println!("{name}: {all:.0} instructions, those of the application's own with them");
    for (title, inclusive) in [("itself", false), ("with what it calls", true)] {
        println!("\n{title:>20}");
        for (count, function) in callgrind::functions(&profiles.file(0), inclusive)? {
            let each = count as f64 / item.times as f64;
            if each < all / 400.0 {
                break;
            }
            println!("{each:>12.1}{:>6.1} %  {function}", each / all * 100.0);
        }
    }
    Ok(())
}
