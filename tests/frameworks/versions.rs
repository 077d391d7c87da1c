//! The README's table of frameworks and the versions that are built against.

const README: &str = include_str!("../../README.md");
const TESTED: &str = include_str!("Cargo.toml");
const LIBRARY: &str = include_str!("../../Cargo.toml");
const EXAMPLES: &str = include_str!("../../examples/Cargo.toml");

const FRAMEWORKS: [&str; 10] =
    ["axum", "actix-web", "poem", "salvo", "rocket", "ntex", "viz", "warp", "cot", "hyper"];

/// The version that a manifest asks for.
fn version(manifest: &str, name: &str) -> Option<String> {
    let start = format!("{name} = ");
    let line = manifest
        .lines()
        .find(|line| line.strip_prefix(&start).is_some_and(|rest| !rest.starts_with('[')))?;
    let (_, rest) = line.split_once("version = \"").or_else(|| line.split_once("= \""))?;
    Some(rest.split('"').next()?.to_owned())
}

/// As far as a new version of the framework may break those who use it.
fn major(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => String::new(),
    }
}

#[test]
fn the_readme_names_the_versions_that_are_tested() {
    for name in FRAMEWORKS {
        let tested = major(&version(TESTED, name).unwrap());
        let row = format!("| {name} {tested} |");
        assert!(README.contains(&row), "the README has no row {row:?}");
    }
}

#[test]
fn the_library_the_tests_and_the_examples_are_on_the_same_versions() {
    for name in FRAMEWORKS {
        let tested = version(TESTED, name).unwrap();
        for (manifest, text) in [("the library", LIBRARY), ("the examples", EXAMPLES)] {
            if let Some(version) = version(text, name) {
                assert_eq!(version, tested, "{name} in {manifest}");
            }
        }
    }
}

#[test]
fn the_traits_alone_are_of_the_frameworks_that_are_tested() {
    for (traits, framework) in [("salvo_core", "salvo"), ("viz-core", "viz")] {
        let (ours, tested) =
            (version(LIBRARY, traits).unwrap(), version(TESTED, framework).unwrap());
        assert_eq!(major(&ours), major(&tested), "{framework}");
    }
}

#[test]
fn versions_are_read_as_they_are_written() {
    assert_eq!(version("axum = { version = \"0.8.9\", x }", "axum").unwrap(), "0.8.9");
    assert_eq!(version("axum = [\"dep:axum\"]\naxum = \"1.2\"", "axum").unwrap(), "1.2");
    assert_eq!((major("0.8.9"), major("4.18.1")), ("0.8".to_owned(), "4".to_owned()));
}
