//! The counts that were made last, and what has grown since.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::Counts;

/// What `benches/instructions.txt` says.
pub struct Record {
    /// What the counts depend on beside the program.
    environment: Vec<String>,
    counts: Counts,
}

/// By how many hundredths a count may grow. The counts themselves differ by a tenth of one.
const MAY_GROW: f64 = 2.0;

/// By how many hundredths a ratio may grow, where only ratios can be compared: compilers differ.
const RATIO_MAY_GROW: f64 = 10.0;

/// A count may grow by so many instructions in any case: a small one is soon grown by a hundredth.
const SLACK: f64 = 16.0;

/// What ratios are to, where there is nothing else: whatever is by hand, it is not the library.
const YARDSTICK: &str = "W3 by hand";

impl Record {
    pub fn of(counts: Counts) -> Self {
        Self { environment: environment(), counts }
    }

    pub fn read() -> Result<Self, String> {
        let file = file();
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let mut record = Self { environment: Vec::new(), counts: Counts::new() };
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            match line.rsplit_once("  ").map(|(name, count)| (name.trim_end(), count.parse())) {
                Some((name, Ok(count))) => drop(record.counts.insert(name.to_owned(), count)),
                _ => record.environment.push(line.to_owned()),
            }
        }
        Ok(record)
    }

    /// Writes it; what this build does not count stays as it was.
    pub fn write(mut self) -> Result<(), String> {
        if let Ok(old) = Self::read() {
            if old.environment == self.environment {
                for (name, count) in old.counts {
                    // What is counted by no build any more goes with the file.
                    self.counts.entry(name).or_insert(count);
                }
            } else {
                println!(
                    "\nof another environment, so nothing is kept of the old record: count with and without `--features sealed`"
                );
            }
        }
        let mut text = COMMENT.to_owned();
        for line in &self.environment {
            writeln!(text, "{line}").unwrap();
        }
        text.push('\n');
        for (name, count) in &self.counts {
            writeln!(text, "{name:50}  {count:>12.0}").unwrap();
        }
        let file = file();
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("\nwritten to {}", file.display());
        Ok(())
    }

    /// Compares what was counted now with what was counted then.
    pub fn check(&self, now: &Counts) -> Result<(), String> {
        let here = environment();
        let is_same = here == self.environment;
        let yardstick = |counts: &Counts| counts.get(YARDSTICK).copied();
        let (scale, may_grow) = if is_same {
            (1.0, MAY_GROW)
        } else {
            println!("the record is of another environment:");
            for (then, here) in self.environment.iter().zip(&here).filter(|(a, b)| a != b) {
                println!("  then {then}\n  now  {here}");
            }
            println!(
                "so ratios to `{YARDSTICK}` are compared, which may grow by {RATIO_MAY_GROW} %"
            );
            match (yardstick(now), yardstick(&self.counts)) {
                (Some(now), Some(then)) => (now / then, RATIO_MAY_GROW),
                (None, _) => return Err(format!("this build does not count `{YARDSTICK}`")),
                (_, None) => return Err(format!("the record does not have `{YARDSTICK}`")),
            }
        };
        let mut grown = Vec::new();
        for (name, now) in now.iter().filter(|(name, _)| is_ours(name)) {
            let Some(then) = self.counts.get(name).map(|then| then * scale) else {
                grown.push(format!("{name}: {now:.0}, and the record does not have it"));
                continue;
            };
            let growth = (now / then - 1.0) * 100.0;
            if now - then > SLACK && growth > may_grow {
                grown.push(format!("{name}: {then:.0} then, {now:.0} now, {growth:+.1} %"));
            } else if growth < -may_grow {
                println!("{name}: {then:.0} then, {now:.0} now, {growth:+.1} %: record it");
            }
        }
        if grown.is_empty() {
            let checked = now.keys().filter(|name| is_ours(name)).count();
            println!(
                "figure: {checked} counts in instructions, none grown by more than {may_grow} %"
            );
            Ok(())
        } else {
            Err(format!(
                "more instructions than on record, of which growth by {may_grow} % is allowed:\n  {}\n\
                 make it less, or say why in the commit that records it (--record)",
                grown.join("\n  ")
            ))
        }
    }
}

/// What is the library's to keep small.
fn is_ours(name: &str) -> bool {
    !name.ends_with("by hand")
        && !name.ends_with("empty layer")
        && !name.starts_with("memchr")
        && !name.starts_with("octet")
}

/// What the counts depend on beside the program: compiler, target, C library and valgrind, and the
/// widest vectors, by which some functions are chosen.
pub fn environment() -> Vec<String> {
    vec![
        first_line("rustc", "--version"),
        format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
        first_line("ldd", "--version"),
        first_line("valgrind", "--version"),
        format!("vectors: {}", vectors()),
    ]
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> &'static str {
    // callgrind knows none that are wider.
    if is_x86_feature_detected!("avx2") { "avx2" } else { "sse" }
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> &'static str {
    "as usual"
}

fn first_line(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or(program).to_owned()
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

const COMMENT: &str = "\
# Instructions of a request above the same application without sessions (W0 to W5), and of parts.
# Written by `count --record`, and compared by `count --check`; see benches/src/bin/count.
# A count may grow by 2 %, or by 16 instructions. Where one of the following lines is another, the
# ratio to the middleware written by hand is compared, which may grow by 10 %.

";
