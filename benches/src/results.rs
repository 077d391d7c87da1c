//! What a program leaves for the pages that show it.
//!
//! A program that is called with `--save` writes `benches/results/NAME.json`: a [`Head`],
//! which says when and where, and a body of its own. What is to be shown of a body are its
//! fields `title`, `place`, `about`, `crates`, `tables` and `charts`, see [`Shown`]; `report`
//! makes pages and pictures of them and knows nothing of their meaning. Other fields may hold
//! the figures themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The arguments of this program, without `--save`.
pub fn arguments() -> Vec<String> {
    std::env::args().skip(1).filter(|argument| argument != SAVE).collect()
}

/// Whether this program was told to save what it finds.
pub fn wanted() -> bool {
    std::env::args().skip(1).any(|argument| argument == SAVE)
}

/// Writes `benches/results/NAME.json` if this program was called with `--save`.
pub fn save(name: &str, body: &impl Serialize) {
    if !wanted() {
        return;
    }
    let body = serde_json::to_value(body).expect("a body of strings and numbers");
    let file = Saved { head: Head::of_now(), body };
    let path = folder().join(name).with_extension("json");
    fs::create_dir_all(folder()).expect("the folder of results can be made");
    let mut text = serde_json::to_string_pretty(&file).expect("it was a value before");
    text.push('\n');
    fs::write(&path, text).expect("the result can be written");
    eprintln!("saved {}", path.display());
}

/// Where results lie.
pub fn folder() -> PathBuf {
    root().join("results")
}

/// The folder of the benches.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of results.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Saved<B = serde_json::Value> {
    pub head: Head,
    pub body: B,
}

/// When and where something was measured.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    pub date: String,
    pub rustc: String,
    /// The model of the processor.
    pub cpu: String,
    /// How many of its cores this program may use.
    pub cores: usize,
    pub memory: String,
    pub system: String,
    /// The commit of this repository, with `-dirty` if it was changed since.
    pub commit: String,
    /// The crates that the benches name, by `benches/Cargo.lock`.
    pub versions: BTreeMap<String, String>,
}

impl Head {
    fn of_now() -> Self {
        let cpu = line_of("/proc/cpuinfo", "model name").unwrap_or_default();
        let memory = line_of("/proc/meminfo", "MemTotal")
            .and_then(|line| line.trim_end_matches(" kB").parse::<f64>().ok())
            .map(|kib| format!("{:.0} GiB", kib / 1024.0 / 1024.0));
        Self {
            date: output_of("date", &["--utc", "+%Y-%m-%d"]),
            rustc: output_of("rustc", &["--version"]),
            cpu,
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory: memory.unwrap_or_default(),
            system: output_of("uname", &["--kernel-name", "--kernel-release", "--machine"]),
            commit: output_of("git", &["describe", "--always", "--dirty", "--exclude=*"]),
            versions: versions(&fs::read_to_string(root().join("Cargo.lock")).unwrap_or_default()),
        }
    }
}

/// What `report` shows of a body.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Shown {
    /// The heading.
    pub title: String,
    /// Bodies are shown by this number, the smallest first.
    pub place: u32,
    /// Paragraphs of Markdown under the heading: how it was measured, what it does not say.
    pub about: Vec<String>,
    /// Names of crates whose versions matter to these figures, as in `Cargo.lock`.
    pub crates: Vec<String>,
    pub tables: Vec<Table>,
    pub charts: Vec<Chart>,
}

/// Rows of cells; a cell is text as it shall be read, in Markdown.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Table {
    pub title: String,
    /// The first column is aligned to the left, the others to the right.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// A sentence or two below the table.
    pub note: String,
}

/// Bars in groups; each bar has a label and its number, and begins at zero.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Chart {
    /// The picture's file, without its ending: letters, digits and hyphens.
    pub name: String,
    pub title: String,
    /// What the picture shows, for those who cannot see it.
    pub description: String,
    /// Such as `ns`; it stands behind the numbers.
    pub unit: String,
    pub scale: Scale,
    /// The groups, such as workloads.
    pub groups: Vec<String>,
    /// The bars of each group, such as contestants.
    pub series: Vec<Series>,
    /// A sentence or two below the picture.
    pub note: String,
}

/// One bar in each group.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Series {
    pub name: String,
    pub role: Role,
    /// A value for each group; none where it was not measured.
    pub values: Vec<Option<f64>>,
    /// The lower and the upper quartile for each group, if they are known.
    pub spread: Vec<Option<(f64, f64)>>,
}

/// Whose figures they are; bars of one role have one colour.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// This library.
    Ours,
    /// What ours is held against: the middleware by hand, the raw command.
    Yardstick,
    #[default]
    Other,
}

/// How long the longest bar is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The longest bar of all fills the picture.
    #[default]
    Shared,
    /// The longest bar of each group does, so that small groups can be read.
    Grouped,
}

const SAVE: &str = "--save";

/// The value of the first `key : value` in a file.
fn line_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// The versions of what the benches name in their own `Cargo.toml`.
fn versions(lock: &str) -> BTreeMap<String, String> {
    let packages: Vec<Package> = lock.split("[[package]]").map(Package::read).collect();
    let benches = packages.iter().find(|package| package.name == env!("CARGO_PKG_NAME"));
    let named = benches.map(|package| &package.dependencies[..]).unwrap_or_default();
    let mut versions = BTreeMap::new();
    for entry in named {
        // "name", or "name version" where several versions are locked.
        let (name, wanted) = entry.split_once(' ').unwrap_or((entry, ""));
        let of_name = packages.iter().filter(|package| package.name == name);
        for package in of_name.filter(|it| wanted.is_empty() || it.version == wanted) {
            versions.insert(entry.replace(' ', "@"), package.version.clone());
        }
    }
    versions
}

/// A package of `Cargo.lock`.
#[derive(Default)]
struct Package {
    name: String,
    version: String,
    dependencies: Vec<String>,
}

impl Package {
    fn read(text: &str) -> Self {
        let mut package = Self::default();
        for line in text.lines() {
            let quoted = line.split('"').nth(1).unwrap_or_default().to_owned();
            match line.split('"').next() {
                Some("name = ") => package.name = quoted,
                Some("version = ") => package.version = quoted,
                Some(" ") => package.dependencies.push(quoted),
                _ => {}
            }
        }
        package
    }
}
