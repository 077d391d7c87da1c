//! What is printed, for people and for machines.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use typed_session::{Subject, Timestamp};

#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints one line of text, or one JSON object.
    ///
    /// Who reads it may have heard enough, as `head` has: that is an error and no panic.
    pub(crate) fn print(
        self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let line = if self.json { json().to_string() } else { text() };
        Ok(writeln!(std::io::stdout(), "{line}")?)
    }

    /// A bar on the terminal's error stream; nothing where there is no terminal.
    pub(crate) fn bar(self, of: u64, what: &'static str) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {human_pos} of {human_len} ({per_sec}, {eta} left)",
        );
        ProgressBar::new(of)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(what)
    }

    /// The same where nobody knows how many there will be.
    pub(crate) fn spinner(self, what: &'static str) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{msg} {spinner} {human_pos} ({per_sec})");
        ProgressBar::new_spinner()
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
            .with_message(what)
    }
}

/// A moment as people write it.
pub(crate) fn moment(timestamp: Timestamp) -> String {
    let nanos = i128::from(timestamp.as_millis()) * 1_000_000;
    let text = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    let text = text.and_then(|time| time.replace_nanosecond(0).ok());
    let text = text.and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{} ms", timestamp.as_millis()))
}

/// A subject's hash in hexadecimal digits.
pub(crate) fn hash(subject: &Subject) -> String {
    // Both are 32 bytes, and the key knows how to write them.
    typed_session::SessionKey::from_bytes(*subject.as_bytes()).to_string()
}
