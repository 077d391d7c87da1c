//! A page of what was saved.

use std::fmt::Write;

use crate::results::{Head, Saved, Shown, Table};
use crate::svg::{self, Place};

/// What is between them is written by `report`, everything else by hand.
const START: &str = "<!-- what follows is written by `report` -->";
const END: &str = "<!-- what `report` writes ends here -->";

/// Returns the page with its figures replaced, or None if it has no place for them.
pub fn with_figures(page: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}\n\n{figures}\n{END}{after}"))
}

/// Returns the figures as Markdown, with pictures inside.
pub fn figures(all: &[Saved<Shown>]) -> String {
    let mut text = String::new();
    for saved in all {
        let Shown { title, about, tables, charts, .. } = &saved.body;
        writeln!(text, "## {title}\n").expect("a string takes everything");
        for paragraph in about {
            push(&mut text, paragraph);
        }
        push(&mut text, &measured(&saved.head, &saved.body.crates));
        for chart in charts {
            // A block of HTML, until the empty line.
            push(&mut text, &format!("<div>\n{}</div>", svg::draw(chart, Place::Page)));
        }
        for table in tables {
            push(&mut text, &of_table(table));
            push(&mut text, &table.note);
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn push(text: &mut String, paragraph: &str) {
    if !paragraph.is_empty() {
        text.push_str(paragraph);
        text.push_str("\n\n");
    }
}

/// Where, when and with what.
fn measured(head: &Head, crates: &[String]) -> String {
    let Head { date, rustc, cpu, cores, memory, system, commit, versions } = head;
    let rustc = rustc.split(" (").next().unwrap_or_default();
    let cores = if *cores == 1 { "1 core".into() } else { format!("{cores} cores") };
    let mut text = format!(
        "Measured on {date}: {cpu}, {cores}, {memory}, {system}; {rustc}; commit {commit}."
    );
    let mut named = Vec::new();
    for name in crates {
        let of_name = versions.iter().filter(|(key, _)| key.split('@').next() == Some(name));
        named.extend(of_name.map(|(_, version)| format!("{name} {version}")));
    }
    if !named.is_empty() {
        write!(text, " With {}.", named.join(", ")).expect("a string takes everything");
    }
    text
}

fn of_table(table: &Table) -> String {
    let mut text = String::new();
    if !table.title.is_empty() {
        writeln!(text, "### {}\n", table.title).expect("a string takes everything");
    }
    let mut row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(text, "| {} |", cells.join(" | ")).expect("a string takes everything");
    };
    row(&table.columns);
    let numbers = |column: usize| {
        let mut cells = table.rows.iter().filter_map(|row| row.get(column));
        cells.all(|cell| {
            cell.is_empty() || cell.starts_with(|it: char| it.is_ascii_digit() || it == '-')
        })
    };
    let columns = 0..table.columns.len();
    let rule = columns.map(|it| if it > 0 && numbers(it) { "--:" } else { "---" });
    row(&rule.map(ToOwned::to_owned).collect::<Vec<_>>());
    table.rows.iter().for_each(|cells| row(cells));
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_by_hand_stays() {
        let page = format!("before\n{START}\nold\n{END}\nafter\n");
        let page = with_figures(&page, "new\n").unwrap();
        assert_eq!(page, format!("before\n{START}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(with_figures(&page, "new\n").unwrap(), page, "and once more");
        assert_eq!(with_figures("no place", "new\n"), None);
    }

    #[test]
    fn a_bar_in_a_cell_makes_no_column() {
        let table = Table {
            columns: vec![String::new(), "n".into(), "words".into()],
            rows: vec![vec!["a|b".into(), "1".into(), "two".into()]],
            ..Table::default()
        };
        assert_eq!(of_table(&table), "|  | n | words |\n| --- | --: | --- |\n| a\\|b | 1 | two |");
    }
}
