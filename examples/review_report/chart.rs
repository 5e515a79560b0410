//! Bars, as SVG inside the page. The bars stretch with the page; what is to be read stands beside them as text.

use std::fmt::Write as _;

use crate::text::html;

/// One bar: what it stands for, how much, and how that is written.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: u32,
    pub(crate) shown: String,
}

/// Columns over time, with their numbers in a table that opens.
pub(crate) fn columns(id: &str, title: &str, unit: &str, bars: &[Bar]) -> String {
    let most = bars.iter().max_by_key(|bar| bar.value);
    let highest = most.map_or_else(String::new, |bar| format!("{} on {}", bar.shown, bar.label));
    let (first, last) = (bars.first(), bars.last());
    let label = |bar: Option<&Bar>| bar.map_or_else(String::new, |bar| html(&bar.label));
    let mut out = format!(
        "<figure>\n<figcaption id=\"{id}\">{title} <span class=\"note\">highest: {}</span></figcaption>\n",
        html(&highest)
    );
    out.push_str(&svg(id, bars, most.map_or(0, |bar| bar.value)));
    let _ = write!(
        out,
        "<div class=\"axis\" aria-hidden=\"true\"><span>{}</span><span>{}</span></div>\n{}</figure>\n",
        label(first),
        label(last),
        numbers(title, unit, bars)
    );
    out
}

fn svg(id: &str, bars: &[Bar], most: u32) -> String {
    let width = bars.len() * 10;
    let mut out = format!(
        "<svg role=\"img\" aria-labelledby=\"{id}\" viewBox=\"0 0 {width} 100\" preserveAspectRatio=\"none\">\n"
    );
    for (place, bar) in bars.iter().enumerate() {
        // Something is something, however little beside the highest.
        let height = (bar.value * 100)
            .checked_div(most)
            .unwrap_or(0)
            .max(u32::from(bar.value > 0));
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"8\" height=\"{height}\"><title>{}: {}</title></rect>",
            place * 10 + 1,
            100 - height,
            html(&bar.label),
            html(&bar.shown)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn numbers(title: &str, unit: &str, bars: &[Bar]) -> String {
    let mut out = format!(
        "<details><summary>Numbers</summary><div class=\"scroll\"><table>\n<caption>{title}</caption>\n\
         <thead><tr><th scope=\"col\">Day</th><th scope=\"col\" class=\"number\">{unit}</th></tr></thead>\n<tbody>\n"
    );
    for bar in bars {
        let (label, shown) = (html(&bar.label), html(&bar.shown));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{label}</th><td class=\"number\">{shown}</td></tr>"
        );
    }
    out.push_str("</tbody></table></div></details>\n");
    out
}

/// A bar for a cell of a table, beside its number and so only for the eye.
pub(crate) fn inline(value: u32, most: u32) -> String {
    let width = (value * 100).checked_div(most).unwrap_or(0);
    format!(
        "<svg class=\"inline\" aria-hidden=\"true\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\">\
         <rect width=\"{width}\" height=\"10\"/></svg>"
    )
}
