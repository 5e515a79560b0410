//! `docs/threat-model.md` is a promise: each threat names tests, and they are there.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::path::Path;

const PAGE: &str = include_str!("../docs/threat-model.md");

/// What a reviewer comes to look up, as the headings say it.
const SECTIONS: [&str; 14] = [
    "Unauthorised access",
    "Revocations that come late",
    "Privilege escalation",
    "Exposure of admin keys",
    "Tenant crossing",
    "Key theft",
    "Sniffing, and keys in the wrong place",
    "Stuffing",
    "Bypassing limits",
    "Denial of service",
    "A breach of the database",
    "Exfiltration",
    "Insiders",
    "Keys in logs and repositories",
];

struct Threat {
    section: &'static str,
    cells: Vec<&'static str>,
}

impl Threat {
    fn name(&self) -> &'static str {
        self.cells[0]
    }

    /// Whatever stands between backticks in the third cell.
    fn tests(&self) -> Vec<&'static str> {
        let parts = self.cells[2].split('`');
        parts.skip(1).step_by(2).collect()
    }
}

/// All rows of the tables between "Threats" and "Out of scope", but for heads.
fn threats() -> Vec<Threat> {
    let (_, rest) = PAGE.split_once("\n## Threats\n").unwrap();
    let (tables, _) = rest.split_once("\n## ").unwrap();
    let mut section = "";
    let mut threats = Vec::new();
    for line in tables.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            section = title;
        }
        let row = line.strip_prefix("| ").and_then(|it| it.strip_suffix(" |"));
        if let Some(row) = row.filter(|row| !row.starts_with("threat |")) {
            let cells = row.split(" | ").collect();
            threats.push(Threat { section, cells });
        }
    }
    threats
}

#[test]
fn each_threat_says_what_stops_it_what_shows_it_and_what_remains() {
    for threat in threats() {
        let filled = threat.cells.iter().filter(|cell| !cell.trim().is_empty());
        assert_eq!(
            (threat.cells.len(), filled.count()),
            (4, 4),
            "{}",
            threat.name()
        );
    }
}

#[test]
fn each_threat_names_tests_and_they_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for threat in threats() {
        assert!(!threat.tests().is_empty(), "{}", threat.name());
        for test in threat.tests() {
            let file = if test.contains('/') {
                root.join(test)
            } else {
                root.join("tests").join(test).with_extension("rs")
            };
            assert!(file.exists(), "`{test}` of `{}`", threat.name());
        }
    }
}

#[test]
fn every_kind_of_threat_is_looked_at() {
    let threats = threats();
    for section in SECTIONS {
        assert!(threats.iter().any(|it| it.section == section), "{section}");
    }
    let known = |threat: &&Threat| !SECTIONS.contains(&threat.section);
    assert!(!threats.iter().any(|it| known(&it)));
}

/// `tests/defences.py` takes them out; a name that is not there would be found only then.
#[test]
fn the_defences_that_are_taken_out_name_files_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = include_str!("defences.py");
    let files = script.lines().map(str::trim).filter_map(|line| {
        let file = line.strip_prefix('"')?.strip_suffix("\",")?;
        (file.starts_with("src/") && file.ends_with(".rs")).then_some(file)
    });
    let files: Vec<_> = files.collect();
    assert!(files.len() >= 30, "{}", files.len());
    for file in files {
        assert!(root.join(file).exists(), "{file}");
    }
}
