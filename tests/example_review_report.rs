//! The example `review_report`, run as its users run it: what it says is what happened, and no name of a user gets out.
#![cfg(all(feature = "sqlite", feature = "testing"))]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    reason = "a test may say what it expects"
)]

mod example_support;

use std::process::Command;

use regex::Regex;

/// What it printed, and the page it wrote.
fn report() -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let output = Command::new(example_support::binary("review_report"))
        .arg(&page)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    (printed, std::fs::read_to_string(page).unwrap())
}

/// The numbers that the pattern captures, all matches of it.
fn numbers(pattern: &str, text: &str) -> Vec<u32> {
    let pattern = Regex::new(pattern).unwrap();
    let groups = pattern.captures_iter(text);
    groups
        .flat_map(|found| {
            let numbers = found.iter().skip(1).flatten();
            numbers
                .map(|it| it.as_str().parse().unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The part of a text from one mark to another.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    rest.split_once(to).unwrap().0
}

#[test]
fn the_page_and_the_table_say_what_was_simulated() {
    let (printed, page) = report();
    let simulated = numbers(
        r"simulated: (\d+) requests, (\d+) errors, (\d+) limit hits",
        &printed,
    );
    let [requests, errors, limit_hits] = simulated[..] else {
        panic!("{printed}")
    };
    assert!(requests > 5000 && errors > 100 && limit_hits > 20);
    let told = r"(?m)^(\d+) requests, (\d+) errors \(\d+\.\d %\), (\d+) limit hits";
    assert_eq!(numbers(told, &printed), simulated);

    let totals = between(&page, "<dl", "</dl>");
    assert_eq!(numbers(r"<dd>(\d+)</dd>", totals), simulated);
    let keys = between(&page, "<caption>Requests per key</caption>", "</table>");
    let rows = numbers(
        r#"<td class="number">(\d+)</td><td class="bar">.*?</td>\s*<td class="number">(\d+)</td><td class="number">(\d+)</td>"#,
        keys,
    );
    let sum = |column: usize| rows.iter().skip(column).step_by(3).sum::<u32>();
    assert_eq!([sum(0), sum(1), sum(2)], simulated[..]);

    // A column and a line of the table for each day, and the table adds up.
    let limits = between(&page, r#"id="limits""#, "</figure>");
    assert_eq!(limits.matches("<rect").count(), 31);
    let days = numbers(
        r#"<tr><th scope="row">2026-10-\d\d</th><td class="number">(\d+)</td>"#,
        limits,
    );
    assert_eq!((days.len(), days.iter().sum::<u32>()), (31, limit_hits));
    let rates = between(&page, r#"id="errors""#, "</figure>");
    assert!(rates.contains("highest: 60.3 % on 2026-10-17"), "{rates}");
}

#[test]
fn the_reviews_stand_in_both_with_as_many_keys() {
    let (printed, page) = report();
    for (title, count) in [
        ("Exposed, and not rotated since", 1),
        ("Ending within 30 days", 2),
        ("Due for rotation", 6),
        ("Not used for 30 days", 1),
        ("Never used", 2),
        ("May manage keys", 1),
    ] {
        assert!(
            printed.contains(&format!("{title} ({count})")),
            "{title}: {printed}"
        );
        let section = between(&page, &format!("<h3>{title} "), "</section>");
        assert!(section.starts_with(&format!(r#"<span class="count">{count}</span>"#)));
        assert_eq!(
            section.matches(r#"role="rowheader""#).count(),
            count,
            "{title}"
        );
    }
}

#[test]
fn no_name_of_a_user_gets_out_of_its_place() {
    let (printed, page) = report();
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&gt;&lt;img src=x onerror=alert(2)&gt;\u{fffd}\u{fffd}";
    assert_eq!(page.matches(escaped).count(), 3);
    assert!(page.contains("&lt;b&gt;Bobby&lt;/b&gt; &amp; &#39;sons&#39;"));
    for tag in ["<script", "<img", "<b>", "<iframe", "<link"] {
        assert!(!page.contains(tag), "{tag}");
    }
    let turns = ['\u{202e}', '\u{2066}', '\u{1b}'];
    assert!(!page.contains(turns) && !printed.contains(turns));
}

#[test]
fn the_page_needs_nothing_from_anywhere() {
    let (_, page) = report();
    for reference in ["http://", "https://", "src=\"", "href=", "url(", "@import"] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("prefers-color-scheme: dark"));
    assert!(
        page.contains(r#"<html lang="en">"#)
            && page.contains("<title>API keys, 2026-10-01 to 2026-10-31</title>")
    );
}

#[test]
fn shows_no_secret_but_the_hint() {
    let (printed, page) = report();
    let longer = Regex::new(r"pm_live_[0-9A-Za-z]{20,}|\$2[aby]\$").unwrap();
    assert!(!longer.is_match(&printed) && !longer.is_match(&page));
}
