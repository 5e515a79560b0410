//! The report for a terminal.

use std::fmt::Write as _;

use crate::figures::Figures;
use crate::reviews::{Reviews, Row};
use crate::text::plain;

const COLUMNS: [&str; 6] = ["KEY", "NAME", "OWNER", "CREATED", "EXPIRES", "LAST USED"];

pub(crate) fn render(figures: &Figures, reviews: &Reviews) -> String {
    let mut out = String::new();
    let all = figures.all;
    let (whole, tenth) = (all.error_rate() / 10, all.error_rate() % 10);
    let _ = writeln!(
        out,
        "{} requests, {} errors ({whole}.{tenth} %), {} limit hits, from {} events of an unbroken trail",
        all.requests, all.errors, all.limit_hits, figures.events
    );
    for section in &reviews.sections {
        let _ = writeln!(out, "\n{} ({})", section.title, section.keys.len());
        if !section.keys.is_empty() {
            write_rows(&mut out, &section.keys);
        }
    }
    out
}

fn write_rows(out: &mut String, rows: &[Row]) {
    let cells = |row: &Row| {
        [
            &row.hint,
            &row.name,
            &row.owner,
            &row.created,
            &row.expires,
            &row.last_used,
        ]
        .map(|cell| short(&plain(cell)))
    };
    let rows: Vec<[String; 6]> = std::iter::once(COLUMNS.map(str::to_owned))
        .chain(rows.iter().map(cells))
        .collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(out, "  {cell:width$}");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
}

fn short(text: &str) -> String {
    const MOST: usize = 32;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}
