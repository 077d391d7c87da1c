//! Runs this very program under callgrind, and reads what it has counted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::items::Item;

/// The argument by which the program knows that it is the one under callgrind.
pub const INSIDE: &str = "--inside";

/// Does the items in turn; callgrind writes a file for each.
pub fn inside(items: &[Item]) {
    for item in items {
        measured(&mut *(item.make)());
    }
}

/// What callgrind looks at, and after each call of which it writes a file.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    std::hint::black_box(());
}

/// With a `*` in it, callgrind takes but one of the two options.
const MEASURED: &str = "count::callgrind::measured";

/// Callgrind's files, one for each item; gone when dropped.
pub struct Profiles(PathBuf);

impl Profiles {
    /// Does the items under callgrind: all of them, or the one of this name.
    pub fn of(only: Option<&str>) -> Result<Self, String> {
        let folder =
            std::env::temp_dir().join(format!("typed-session-count-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let profiles = Self(folder);
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--collect-atstart=no", "--dump-line=no"])
            .arg(format!("--toggle-collect={MEASURED}"))
            .arg(format!("--dump-after={MEASURED}"))
            .arg(format!("--callgrind-out-file={}", profiles.0.join("part").display()))
            .arg(program)
            // Without it, how much a `free` costs is told by what was freed long before.
            .env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=65535")
            .arg(INSIDE)
            .args(only)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("valgrind: {error}; on Debian: apt-get install valgrind"))?;
        if output.status.success() {
            Ok(profiles)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// The file of an item, by its place among those that were done.
    pub fn file(&self, place: usize) -> PathBuf {
        self.0.join(format!("part.{}", place + 1))
    }

    /// How many instructions the item took in all.
    pub fn total(&self, place: usize) -> Result<u64, String> {
        let file = self.file(place);
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        total
            .and_then(|total| total.trim().parse().ok())
            .ok_or_else(|| format!("{}: callgrind has written no total", file.display()))
    }
}

impl Drop for Profiles {
    fn drop(&mut self) {
        // What cannot be removed is in the system's folder for such.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The functions of a profile, each with its instructions; those that take the most come first.
pub fn functions(file: &Path, inclusive: bool) -> Result<Vec<(u64, String)>, String> {
    let inclusive = if inclusive { "--inclusive=yes" } else { "--inclusive=no" };
    let output = Command::new("callgrind_annotate")
        .args([inclusive, "--threshold=100", "--auto=no"])
        .arg(file)
        .output()
        .map_err(|error| format!("callgrind_annotate: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // A function has a line for each file of which code was inlined into it.
    let mut functions = HashMap::<String, u64>::new();
    for (count, name) in text.lines().filter_map(function) {
        *functions.entry(name).or_default() += count;
    }
    let mut functions: Vec<_> = functions.into_iter().map(|(name, count)| (count, name)).collect();
    functions.sort_by(|a, b| b.cmp(a));
    Ok(functions)
}

/// Reads `1,234 (12.3%)  file.rs:name [object]`.
fn function(line: &str) -> Option<(u64, String)> {
    let (count, rest) = line.trim_start().split_once(" (")?;
    let count = count.replace(',', "").parse().ok()?;
    let (_, place) = rest.split_once("%)")?;
    let place = place.trim();
    if place == "PROGRAM TOTALS" {
        return None;
    }
    let place = place.split(" [").next()?;
    let name = place.split_once(':').map_or(place, |(_, name)| name);
    Some((count, name.to_owned()))
}
