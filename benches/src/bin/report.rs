//! Makes a page and pictures of `benches/results`.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --bin report
//! ```
//!
//! Writes what is between the two markers of `src/manual/performance.md`, and
//! `benches/pictures/NAME.svg` for each chart. It measures nothing.

use std::fs;

use typed_session_benches::report;
use typed_session_benches::results::{self, Saved, Shown};
use typed_session_benches::svg::{self, Place};

fn main() {
    let all = saved();
    let pictures = results::root().join("pictures");
    fs::create_dir_all(&pictures).expect("the folder of pictures can be made");
    for entry in fs::read_dir(&pictures).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|it| it == "svg") {
            fs::remove_file(path).expect("an old picture can be removed");
        }
    }
    for chart in all.iter().flat_map(|saved| &saved.body.charts) {
        let path = pictures.join(&chart.name).with_extension("svg");
        fs::write(&path, svg::draw(chart, Place::File)).expect("a picture can be written");
        println!("{}", path.display());
    }
    let path = results::root().join("../src/manual/performance.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let page = report::with_figures(&page, &report::figures(&all)).expect("it has both markers");
    fs::write(&path, page).expect("the page can be written");
    println!("{}", path.display());
}

/// Everything that has something to show, in the order of its places.
fn saved() -> Vec<Saved<Shown>> {
    let entries = fs::read_dir(results::folder()).expect("a program was called with --save");
    let mut paths: Vec<_> = entries.map(|it| it.expect("it can be listed").path()).collect();
    paths.sort();
    let files = paths.iter().filter(|path| path.extension().is_some_and(|it| it == "json"));
    let parsed = files.map(|path| {
        let text = fs::read_to_string(path).expect("it can be read");
        let parsed: Result<Saved<Shown>, _> = serde_json::from_str(&text);
        parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    let mut all: Vec<_> = parsed.filter(|saved| !saved.body.title.is_empty()).collect();
    all.sort_by_key(|saved| saved.body.place);
    all
}
