//! The report as one page: no script, no font, no image from anywhere. Whatever a user named is escaped.

use std::fmt::Write as _;

use crate::chart::{self, Bar};
use crate::figures::{Count, Figures};
use crate::reviews::{Reviews, Row, Section};
use crate::text::html;

const STYLE: &str = include_str!("page.css");

pub(crate) fn render(figures: &Figures, reviews: &Reviews) -> String {
    let span = |key: Option<&String>| key.map_or("", String::as_str).to_owned();
    let (first, last) = (
        span(figures.days.keys().next()),
        span(figures.days.keys().last()),
    );
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>API keys, {first} to {last}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>API keys</h1>\n\
         <p class=\"note\">{first} to {last}, from {} events of an unbroken audit trail</p>\n",
        figures.events
    );
    out.push_str(&totals(figures.all));
    out.push_str("<h2>Requests</h2>\n");
    out.push_str(&per_day(figures));
    out.push_str(&per_key(figures, reviews));
    out.push_str("<h2>Keys to look at</h2>\n");
    for section in &reviews.sections {
        out.push_str(&review(section));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn totals(all: Count) -> String {
    let figures = [
        ("requests", all.requests.to_string()),
        ("errors", all.errors.to_string()),
        ("error rate", percent(all)),
        ("limit hits", all.limit_hits.to_string()),
    ];
    let mut out = String::from("<dl class=\"totals\">\n");
    for (name, value) in figures {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n");
    out
}

fn percent(count: Count) -> String {
    format!("{}.{} %", count.error_rate() / 10, count.error_rate() % 10)
}

fn per_day(figures: &Figures) -> String {
    let bars = |value: fn(Count) -> u32, shown: fn(Count) -> String| -> Vec<Bar> {
        let bar = |(day, count): (&String, &Count)| Bar {
            label: day.clone(),
            value: value(*count),
            shown: shown(*count),
        };
        figures.days.iter().map(bar).collect()
    };
    let rates = bars(Count::error_rate, percent);
    let hits = bars(
        |count| count.limit_hits,
        |count| count.limit_hits.to_string(),
    );
    format!(
        "<div class=\"charts\">\n{}{}</div>\n",
        chart::columns(
            "errors",
            "Error rate per day",
            "Answers of 4xx and 5xx",
            &rates
        ),
        chart::columns("limits", "Limit hits per day", "Requests refused", &hits)
    )
}

fn per_key(figures: &Figures, reviews: &Reviews) -> String {
    let mut keys: Vec<_> = figures.keys.iter().collect();
    keys.sort_by_key(|(_, count)| std::cmp::Reverse(count.requests));
    let most = keys.first().map_or(0, |(_, count)| count.requests);
    let mut out = String::from(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Requests per key\"><table>\n<caption>Requests per key</caption>\n<thead><tr>\
         <th scope=\"col\">Key</th><th scope=\"col\" class=\"number\">Requests</th><td class=\"bar\"></td>\
         <th scope=\"col\" class=\"number\">Errors</th><th scope=\"col\" class=\"number\">Limit hits</th>\
         </tr></thead>\n<tbody>\n",
    );
    for (id, count) in keys {
        let name = reviews.names.get(id).unwrap_or(id);
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\"><bdi>{}</bdi></th><td class=\"number\">{}</td><td class=\"bar\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            html(name),
            count.requests,
            chart::inline(count.requests, most),
            count.errors,
            count.limit_hits
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}

fn review(section: &Section) -> String {
    let mut out = format!(
        "<section>\n<h3>{} <span class=\"count\">{}</span></h3>\n",
        section.title,
        section.keys.len()
    );
    if section.keys.is_empty() {
        out.push_str("<p class=\"note\">None.</p>\n</section>\n");
        return out;
    }
    out.push_str("<table class=\"keys\" role=\"table\">\n<thead><tr role=\"row\">");
    for column in ["Name", "Owner", "Key", "Created", "Expires", "Last used"] {
        let _ = write!(out, "<th scope=\"col\" role=\"columnheader\">{column}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &section.keys {
        out.push_str(&cells(row));
    }
    out.push_str("</tbody></table>\n</section>\n");
    out
}

fn cells(row: &Row) -> String {
    let mut out = format!(
        "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><bdi>{}</bdi></th>",
        html(&row.name)
    );
    let cells = [
        ("Owner", format!("<bdi>{}</bdi>", html(&row.owner))),
        ("Key", format!("<code>{}</code>", html(&row.hint))),
        ("Created", html(&row.created)),
        ("Expires", html(&row.expires)),
        ("Last used", html(&row.last_used)),
    ];
    for (label, cell) in cells {
        let _ = write!(out, "<td role=\"cell\" data-label=\"{label}\">{cell}</td>");
    }
    out.push_str("</tr>\n");
    out
}
