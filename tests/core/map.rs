//! `SECURITY.md` is a map of the security clauses: this holds it to the tests that there are.
//!
//! Each clause has a row, each row names its tests, each of them exists and is run, and each test
//! that is named after a clause stands in the row of that clause. After a test was added, renamed or
//! removed: `UPDATE_SECURITY_MAP=1 cargo test --test core map`, and review the change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The clauses of OWASP ASVS 5.0 that bind a session library.
const CLAUSES: &[&str] = &[
    "7.1.1", "7.1.2", "7.1.3", "7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.3.1", "7.3.2", "7.4.1",
    "7.4.2", "7.4.3", "7.4.5", "7.5.1", "7.5.2", "7.5.3", "7.6.1", "7.6.2", "3.3.1", "3.3.2",
    "3.3.3", "3.3.4", "3.3.5", "3.5.1", "3.5.2", "3.5.3", "9.1.1", "9.1.2", "9.1.3", "9.2.1",
    "9.2.2", "9.2.3", "11.5.1", "14.2.1", "14.3.1", "14.3.2", "15.4.2", "16.2.5",
];

/// Names of tests that belong to no clause of ASVS, and still to a row.
const OTHER_PREFIXES: [&str; 2] = ["cheat_sheet_", "rfc_6265bis_"];

const HEADING: &str = "| clause | level | in our words | what enforces it | tests |";

/// The row's clause, everything before its last cell, and the tests there.
struct Row {
    clause: String,
    head: String,
    tests: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The lines before the rows, the rows, and the lines after.
fn map(text: &str) -> (Vec<&str>, Vec<Row>, Vec<&str>) {
    let lines: Vec<&str> = text.lines().collect();
    let heading = lines.iter().position(|line| *line == HEADING).expect("the heading of the map");
    let (before, rest) = lines.split_at(heading + 2);
    let count = rest.iter().take_while(|line| line.starts_with('|')).count();
    let (rows, after) = rest.split_at(count);
    (before.to_vec(), rows.iter().map(|line| row(line)).collect(), after.to_vec())
}

fn row(line: &str) -> Row {
    let body = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')).expect("a row");
    let (head, tests) = body.trim_end().rsplit_once(" |").expect("cells");
    assert_eq!(head.matches(" | ").count(), 3, "five cells: {line}");
    let names = tests.split(',').map(|name| name.trim().trim_matches('`').to_owned());
    Row {
        clause: head.split(" | ").next().unwrap().to_owned(),
        head: head.to_owned(),
        tests: names.filter(|name| !name.is_empty()).collect(),
    }
}

/// The names of all tests that are run.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> =
        ["tests", "src", "examples"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                names.extend(tests_of(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    names
}

fn tests_of(source: &str) -> Vec<String> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
            continue;
        }
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some((name, _)) = function.filter(|_| is_test).and_then(|name| name.split_once('('))
        {
            names.push(name.to_owned());
        }
        is_test = false;
    }
    names
}

/// The clause that a test is named after: `asvs_7_2_4_a_login..` is of 7.2.4.
fn clause_of(test: &str) -> Option<String> {
    let mut parts = test.strip_prefix("asvs_")?.split('_');
    let numbers: Vec<_> = parts.by_ref().take(3).collect();
    Some(numbers.join("."))
}

#[test]
fn every_clause_has_its_tests_and_every_test_its_clause() {
    let file = root().join("SECURITY.md");
    let text = fs::read_to_string(&file).unwrap();
    let there = tests();
    let (before, mut rows, after) = map(&text);
    if std::env::var_os("UPDATE_SECURITY_MAP").is_some() {
        for row in &mut rows {
            row.tests.retain(|name| there.contains(name));
            let own = there.iter().filter(|name| clause_of(name).as_ref() == Some(&row.clause));
            let new: Vec<_> = own.filter(|name| !row.tests.contains(name)).cloned().collect();
            row.tests.extend(new);
        }
        let rows = rows.iter().map(|row| {
            let tests: Vec<_> = row.tests.iter().map(|name| format!("`{name}`")).collect();
            format!("| {} | {} |", row.head, tests.join(", ")).replace("|  |", "| |")
        });
        let lines = before.into_iter().map(str::to_owned).chain(rows);
        let lines: Vec<_> = lines.chain(after.into_iter().map(str::to_owned)).collect();
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        return;
    }

    let mut wrong = Vec::new();
    let mut placed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in &rows {
        if row.tests.is_empty() {
            wrong.push(format!("{} has no test", row.clause));
        }
        for test in &row.tests {
            if !there.contains(test) {
                wrong.push(format!("{}: there is no test `{test}`", row.clause));
            }
            placed.entry(test).or_default().push(&row.clause);
        }
    }
    for clause in CLAUSES {
        if rows.iter().filter(|row| row.clause == *clause).count() != 1 {
            wrong.push(format!("{clause} has not one row"));
        }
    }
    for test in &there {
        let rows = placed.get(test.as_str()).map_or(&[][..], Vec::as_slice);
        match clause_of(test) {
            Some(clause) if !rows.contains(&clause.as_str()) => {
                wrong.push(format!("`{test}` is not in the row of {clause}"));
            }
            None if rows.is_empty() && OTHER_PREFIXES.iter().any(|p| test.starts_with(p)) => {
                wrong.push(format!("`{test}` is in no row"));
            }
            Some(_) | None => {}
        }
    }
    assert!(wrong.is_empty(), "SECURITY.md is wrong:\n{}", wrong.join("\n"));
}

#[test]
fn a_test_is_known_by_its_attribute_and_its_clause_by_its_name() {
    let source = "#[test]\n#[should_panic]\nfn asvs_1_2_3_a() {}\n\nfn helper() {}\n\n\
                  #[tokio::test(flavor = \"x\")]\nasync fn b() {\n    fn inner() {}\n}";
    assert_eq!(tests_of(source), ["asvs_1_2_3_a", "b"]);
    assert_eq!(clause_of("asvs_1_2_3_a").as_deref(), Some("1.2.3"));
    assert_eq!(clause_of("b"), None);
    let row = row("| 1.2.3 | 1 | words | a \\| b | `asvs_1_2_3_a`, `b` |");
    assert_eq!(
        (row.clause.as_str(), row.tests),
        ("1.2.3", vec!["asvs_1_2_3_a".into(), "b".into()])
    );
    assert!(self::row("| 1.2.3 | 1 | words | of | |").tests.is_empty());
}
