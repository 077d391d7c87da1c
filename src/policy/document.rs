//! The policy as a document.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Audit, Deviation};

/// Writes the document. Markdown's own words for line ends and cells are kept out of it.
pub(super) fn write(audit: &Audit) -> String {
    let mut text = String::from(
        "# How sessions are kept\n\n\
         Written by the application's own settings (OWASP ASVS 5.0, 7.1.1 to 7.1.3): change those, not this text.\n\n\
         | rule | value | reason |\n| --- | --- | --- |\n",
    );
    for rule in &audit.rules {
        let (value, reason) = (cell(&rule.value), cell(&rule.reason));
        push(&mut text, format_args!("| {} | {value} | {reason} |\n", rule.name));
    }
    text.push_str(
        "\nBoth limits are checked by the server on every request. Use moves the idle limit alone; a \
         login, or to prove again who one is, begins the absolute one anew. A handler can give a session \
         limits of its own (\"stay signed in\"), which are not in this table.\n\n\
         ## Federation\n\n",
    );
    match &audit.federation {
        Some(said) => push(&mut text, format_args!("{}\n", line(said))),
        None => text.push_str(
            "Nothing was said about sessions elsewhere: limits and logouts are this application's alone. \
             If users log in by an identity provider, say here how its lifetimes and logouts go with \
             these (7.1.3).\n",
        ),
    }
    text.push_str("\n## Deviations from OWASP ASVS 5.0\n\n");
    if audit.deviations.is_empty() {
        text.push_str("None that the settings show.\n");
    } else {
        text.push_str("| clause | level | what is so | reason |\n| --- | --- | --- | --- |\n");
    }
    for found in &audit.deviations {
        let Deviation { rule, setting, found: what, reason } = found;
        let reason = match reason {
            Some(reason) if found.is_excused() => cell(reason),
            Some(reason) => format!("**not to be excused:** {}", cell(reason)),
            None => format!("**none:** {}", cell(rule.remedy)),
        };
        let level = rule.level as u8 + 1;
        push(
            &mut text,
            format_args!("| {} | {level} | {setting}: {} | {reason} |\n", rule.clause, cell(what)),
        );
    }
    if !audit.unknown.is_empty() {
        let clauses = line(&audit.unknown.join(", "));
        push(
            &mut text,
            format_args!(
                "\nReasons were given for clauses that no setting has to do with: {clauses}.\n"
            ),
        );
    }
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // To write to a string does not fail.
    let _ = text.write_fmt(what);
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// A length of time in the largest unit that it is a whole number of; a day is 24 hours.
pub(super) fn text_of(time: Duration) -> String {
    const UNITS: [(&str, u128, u128); 4] = [
        ("day", 24 * 60 * 60 * 1000, 2),
        ("hour", 60 * 60 * 1000, 1),
        ("minute", 60 * 1000, 1),
        ("second", 1000, 1),
    ];
    let millis = time.as_millis();
    let fits = |(_, unit, least): &&(&str, u128, u128)| {
        millis.is_multiple_of(*unit) && millis / unit >= *least
    };
    let (name, unit, _) = UNITS.iter().find(fits).unwrap_or(&("millisecond", 1, 1));
    let count = millis / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}
