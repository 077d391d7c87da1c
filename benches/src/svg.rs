//! Bars, drawn as SVG: for a page of rustdoc and for a file.

use std::fmt::Write;

use crate::results::{Chart, Role, Scale, Series};

/// Where a picture will be looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Inside a page: its text has the page's colour.
    Page,
    /// A file: light or dark as the reader's system is, on a ground of its own.
    File,
}

const WIDTH: usize = 800;
const MARGIN: usize = 16;
const GAP: usize = 24;
const TITLE: usize = 34;
const NOTE: usize = 17;
/// Letters in a line of a note.
const NOTE_LINE: usize = 118;
const HEADING: usize = 26;
const ROW: usize = 20;
const BAR: usize = 12;
const FONT: usize = 12;
/// Of a letter, on average; room is left by it, no text is cut.
const LETTER: f64 = 6.4;

/// Draws a chart.
pub fn draw(chart: &Chart, place: Place) -> String {
    let columns = if chart.groups.len() > 2 { 2 } else { 1 };
    let width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns;
    let panel = HEADING + ROW * chart.series.len() + 12;
    let note = lines(&chart.note);
    let top = TITLE + note.len() * NOTE + if note.is_empty() { 0 } else { 6 };
    let height = top + chart.groups.len().div_ceil(columns) * panel + 4;
    let mut svg = String::new();
    let Chart { name, title, .. } = chart;
    // One line without an end in between, as Markdown wants it.
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{}" role="img" aria-labelledby="{name}-title {name}-text" font-family="system-ui, sans-serif" font-size="{FONT}" fill="currentColor">"#,
        if place == Place::Page { "100%".to_owned() } else { WIDTH.to_string() },
    )
    .expect("a string takes everything");
    line(&mut svg, &format!(r#"<title id="{name}-title">{}</title>"#, escaped(title)));
    line(&mut svg, &format!(r#"<desc id="{name}-text">{}</desc>"#, escaped(&description(chart))));
    if place == Place::File {
        line(&mut svg, STYLE);
        line(&mut svg, &format!(r#"<rect class="ground" width="{WIDTH}" height="{height}"/>"#));
    }
    line(
        &mut svg,
        &format!(
            r#"<text x="{MARGIN}" y="24" font-size="15" font-weight="600">{}</text>"#,
            escaped(title)
        ),
    );
    for (at, text) in note.iter().enumerate() {
        let y = TITLE + 8 + at * NOTE;
        let text = escaped(text);
        line(&mut svg, &format!(r#"<text x="{MARGIN}" y="{y}" opacity=".8">{text}</text>"#));
    }
    let longest = chart.series.iter().map(|it| it.name.chars().count()).max().unwrap_or(0);
    let labels = (longest as f64 * LETTER) as usize + 8;
    let numbers = all_values(chart).map(|value| number(value, &chart.unit).len()).max();
    let numbers = (numbers.unwrap_or(0) as f64 * LETTER) as usize + 8;
    let bars = Bars {
        length: width.saturating_sub(labels + numbers) as f64,
        start: labels,
        shared: longest_of(&chart.series, 0..chart.groups.len()),
    };
    for (at, group) in chart.groups.iter().enumerate() {
        let x = MARGIN + at % columns * (width + GAP);
        let y = top + at / columns * panel;
        line(&mut svg, &format!(r#"<g transform="translate({x} {y})">"#));
        let heading = escaped(group);
        line(&mut svg, &format!(r#"<text y="16" font-weight="600">{heading}</text>"#));
        let scale = match chart.scale {
            Scale::Shared => bars.shared,
            Scale::Grouped => longest_of(&chart.series, at..at + 1),
        };
        for (row, series) in chart.series.iter().enumerate() {
            bars.draw(&mut svg, series, at, HEADING + row * ROW, scale, &chart.unit);
        }
        line(&mut svg, "</g>");
    }
    line(&mut svg, "</svg>");
    svg
}

struct Bars {
    /// Of the longest bar.
    length: f64,
    /// Where they begin, which is zero.
    start: usize,
    shared: f64,
}

impl Bars {
    fn draw(
        &self,
        svg: &mut String,
        series: &Series,
        group: usize,
        y: usize,
        scale: f64,
        unit: &str,
    ) {
        let middle = y + BAR / 2;
        let base = middle + 4;
        let (weight, label) = match series.role {
            Role::Ours => (r#" font-weight="600""#, escaped(&series.name)),
            Role::Yardstick | Role::Other => ("", escaped(&series.name)),
        };
        let x = self.start - 6;
        line(svg, &format!(r#"<text x="{x}" y="{base}" text-anchor="end"{weight}>{label}</text>"#));
        let Some(value) = series.values.get(group).copied().flatten() else {
            let x = self.start + 4;
            line(svg, &format!(r#"<text x="{x}" y="{base}" opacity=".7">not measured</text>"#));
            return;
        };
        let place = |value: f64| self.start as f64 + (value.max(0.0) / scale * self.length);
        let colour = match series.role {
            Role::Ours => "#2f81f7",
            Role::Yardstick => "#2f9e64",
            Role::Other => "#8b949e",
        };
        let (x, mut end) = (self.start, place(value));
        let long = (end - x as f64).max(1.0);
        line(
            svg,
            &format!(
                r#"<rect x="{x}" y="{y}" width="{long:.1}" height="{BAR}" rx="1" fill="{colour}"/>"#
            ),
        );
        let spread = series.spread.get(group).copied().flatten();
        if let Some((low, high)) = spread.filter(|(low, high)| low < high) {
            let (low, high) = (place(low), place(high));
            end = end.max(high);
            line(
                svg,
                &format!(
                    r#"<path d="M{low:.1} {middle}H{high:.1}M{low:.1} {}v6M{high:.1} {}v6" stroke="currentColor" opacity=".75"/>"#,
                    middle - 3,
                    middle - 3
                ),
            );
        }
        let x = end + 6.0;
        let number = escaped(&number(value, unit));
        line(svg, &format!(r#"<text x="{x:.1}" y="{base}"{weight}>{number}</text>"#));
    }
}

/// The colours of a file, on a ground of its own so that no page's ground makes it unreadable.
const STYLE: &str = "<style>svg{color:#1f2328}.ground{fill:#fff}\
    @media(prefers-color-scheme:dark){svg{color:#e6edf3}.ground{fill:#0d1117}}</style>";

/// A note in lines that fit.
fn lines(note: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in note.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= NOTE_LINE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn line(svg: &mut String, text: &str) {
    svg.push_str(text);
    svg.push('\n');
}

fn all_values(chart: &Chart) -> impl Iterator<Item = f64> {
    chart.series.iter().flat_map(|series| series.values.iter().copied().flatten())
}

/// The largest value or upper quartile of these groups; never zero.
fn longest_of(series: &[Series], groups: std::ops::Range<usize>) -> f64 {
    let of_group = |group: usize| {
        series.iter().flat_map(move |series| {
            let value = series.values.get(group).copied().flatten();
            let high = series.spread.get(group).copied().flatten().map(|(_, high)| high);
            value.into_iter().chain(high)
        })
    };
    groups.flat_map(of_group).fold(0.0, f64::max).max(f64::MIN_POSITIVE)
}

/// What there is to see, with its numbers.
fn description(chart: &Chart) -> String {
    let mut text = chart.description.clone();
    for (at, group) in chart.groups.iter().enumerate() {
        let values = chart.series.iter().map(|series| {
            let value = series.values.get(at).copied().flatten();
            let value = value.map_or("not measured".into(), |it| number(it, &chart.unit));
            format!("{} {value}", series.name)
        });
        let values: Vec<String> = values.collect();
        let gap = if text.is_empty() { "" } else { " " };
        text.push_str(&format!("{gap}{group}: {}.", values.join(", ")));
    }
    text
}

/// With commas between thousands, and a decimal where it is small and not whole.
pub fn number(value: f64, unit: &str) -> String {
    let mut text = match value.abs() {
        ..10.0 if (value - value.round()).abs() >= 0.005 => format!("{value:.2}"),
        ..100.0 if (value - value.round()).abs() >= 0.05 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    let whole = text.find('.').unwrap_or(text.len());
    let first = usize::from(text.starts_with('-'));
    for at in (first + 1..whole).rev().filter(|at| (whole - at) % 3 == 0) {
        text.insert(at, ',');
    }
    match unit {
        "" => text,
        // Signs that stand close.
        "%" | "×" => text + unit,
        _ => format!("{text} {unit}"),
    }
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: [f64; 2], place: Place) -> String {
        let series = |name: &str, value| Series {
            name: name.into(),
            values: vec![Some(value)],
            ..Series::default()
        };
        let chart = Chart {
            name: "a".into(),
            unit: "ns".into(),
            groups: vec!["one & all".into()],
            series: vec![series("x", values[0]), series("y", values[1])],
            ..Chart::default()
        };
        draw(&chart, place)
    }

    fn widths(svg: &str) -> Vec<f64> {
        let bars = svg.lines().filter(|line| line.starts_with("<rect x"));
        bars.map(|line| line.split('"').nth(5).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_values_from_zero() {
        let widths = widths(&chart([100.0, 25.0], Place::Page));
        assert!((widths[0] / widths[1] - 4.0).abs() < 0.01, "{widths:?}");
    }

    #[test]
    fn numbers_stand_at_the_bars_and_in_the_description() {
        let svg = chart([1234.5, 2.25], Place::File);
        assert!(svg.contains("one &amp; all: x 1,234 ns, y 2.25 ns."), "{svg}");
        assert!(svg.contains(">1,234 ns</text>"), "{svg}");
    }

    #[test]
    fn a_picture_in_a_page_is_one_block_of_html_without_a_style_of_its_own() {
        let svg = chart([1.0, 2.0], Place::Page);
        assert!(!svg.contains("\n\n") && !svg.contains("<style"), "{svg}");
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!(number(1_234_567.0, ""), "1,234,567");
        assert_eq!(number(-1234.0, ""), "-1,234");
        assert_eq!(number(-123.0, ""), "-123");
        assert_eq!(number(999.6, ""), "1,000");
        assert_eq!(number(3.0, "×"), "3×");
    }
}
