//! Golden files: bytes as they lie in somebody's database.
//!
//! A new format adds a file; an old file is never edited. The files are hex, with
//! line breaks and `#` comments, so that a change shows in review.

/// Reads a golden file.
#[track_caller]
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_ascii_whitespace)
        .collect();
    assert!(digits.len().is_multiple_of(2), "a byte is two digits");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// Reads the lines of a golden file of vectors: values with spaces between them.
pub(crate) fn vectors(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
}
