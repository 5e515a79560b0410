//! The rules for secret scanners under `docs/secret-scanning`, and the page about them, do what they say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keyward::key::{Environment, KeyFormat, KeyKind};
use keyward::random::OsRandom;
use regex::Regex;
use serde_json::Value;

/// As in `tests/run.sh`.
const DETECT_SECRETS: &str = "detect-secrets-1.5.0";

const CONTEXTS: [(&str, &str); 10] = [
    ("", ""),
    ("API_KEY=", ""),
    ("{\"key\":\"", "\"}"),
    ("curl -H 'X-API-Key: ", "' https://api.example.com"),
    ("https://api.example.com/v1?api_key=", "&page=2"),
    ("Authorization: Bearer ", ""),
    ("key: `", "`,"),
    ("<key>", "</key>"),
    ("see (", ")."),
    ("--key=", "\\n"),
];

fn page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::read_to_string(docs.join(name)).unwrap()
}

fn keys(count: usize) -> Vec<String> {
    keys_of(KeyKind::Secret, count)
}

fn keys_of(kind: KeyKind, count: usize) -> Vec<String> {
    let format = KeyFormat::builder().publishable().build().unwrap();
    let make = |_| {
        let key = format.generate_kind(kind, &OsRandom::new()).unwrap();
        key.plaintext().expose().to_owned()
    };
    (0..count).map(make).collect()
}

fn lines(keys: &[String]) -> Vec<String> {
    let contexts = CONTEXTS.iter().cycle();
    keys.iter()
        .zip(contexts)
        .map(|(key, (before, after))| format!("{before}{key}{after}"))
        .collect()
}

/// Keys that are where they belong, whoever finds them.
fn publishable() -> Vec<String> {
    lines(&keys_of(KeyKind::Publishable, 100))
}

/// What has no shape of a key.
fn shapeless() -> Vec<String> {
    let body = "a1B2".repeat(20);
    [
        "pm_live_".to_owned(),
        "pm_live_…a1B2".to_owned(),
        "pm_live_0123456789AB[redacted]".to_owned(),
        format!("pm_live_{}", &body[..60]),
        format!("pm_live_{}", &body[..62]),
        format!("pm_live_{}", &body[..68]),
        format!("pm_stag_{}", &body[..61]),
        format!("xpm_live_{}", &body[..61]),
        format!("pm_live_{}_", &body[..61]),
        format!("PM_LIVE_{}", &body[..61]),
        format!("pm_live_{}-{}", &body[..30], &body[..30]),
        body,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
    ]
    .into()
}

/// What only the checksum tells from a key.
fn invented() -> Vec<String> {
    let wrong = |key: String| {
        format!(
            "{}{}",
            &key[..68],
            if key.ends_with('0') { '1' } else { '0' }
        )
    };
    keys(20).into_iter().map(wrong).collect()
}

fn python() -> Command {
    let mut python = Command::new("python3");
    python.stdin(Stdio::piped()).stdout(Stdio::piped());
    python
}

fn run(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().expect("python3 should be on the path");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output
}

/// Where `tests/run.sh` puts the scanner.
fn detect_secrets() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = cache
        .unwrap()
        .join("keyward-test-servers")
        .join(DETECT_SECRETS);
    assert!(
        folder.is_dir(),
        "{DETECT_SECRETS} is needed: run ./tests/run.sh servers"
    );
    folder
}

/// The lines of the file in which detect-secrets, with the plugin and nothing else, sees a key.
fn detected(lines: &[String]) -> BTreeSet<u64> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lines.txt"), lines.join("\n")).unwrap();
    let plugin =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/secret-scanning/detect_secrets_plugin.py");
    let mut scan = python();
    scan.current_dir(folder.path())
        .env("PYTHONPATH", detect_secrets())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args([
            "-m",
            "detect_secrets",
            "scan",
            "--all-files",
            "--no-verify",
            "--plugin",
        ])
        .arg(plugin)
        .arg("lines.txt");
    let report: Value = serde_json::from_slice(&run(scan, "").stdout).unwrap();
    let plugins = report["plugins_used"].as_array().unwrap();
    assert!(
        plugins
            .iter()
            .any(|plugin| plugin["name"] == "KeywardKeyDetector")
    );
    let Some(found) = report["results"]["lines.txt"].as_array() else {
        return BTreeSet::new();
    };
    found
        .iter()
        .filter(|secret| secret["type"] == "Keyward API Key")
        .map(|secret| secret["line_number"].as_u64().unwrap())
        .collect()
}

#[test]
fn detect_secrets_finds_a_hundred_keys_of_a_hundred() {
    let found = detected(&lines(&keys(100)));
    assert_eq!(found, (1..=100).collect());
}

#[test]
fn detect_secrets_finds_no_decoy() {
    let decoys = [shapeless(), invented()].concat();
    assert_eq!(detected(&decoys), BTreeSet::new());
}

#[test]
fn detect_secrets_raises_no_publishable_key() {
    assert_eq!(detected(&publishable()), BTreeSet::new());
}

#[test]
fn the_python_of_the_page_finds_the_keys_and_no_decoy() {
    let page = page("secret-scanning.md");
    let (_, code) = page.split_once("```python\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    let script =
        format!("{code}\nimport sys\nfor key in keys_in(sys.stdin.read()):\n    print(key)\n");
    let keys = keys(100);
    let text = [lines(&keys), shapeless(), invented(), publishable()];
    let text = text.concat().join("\n");
    let mut python = python();
    python.args(["-c", &script]);
    let found = String::from_utf8(run(python, &text).stdout).unwrap();
    assert_eq!(found.lines().collect::<Vec<_>>(), keys);
}

/// Finds every secret key in every context, no publishable one and no decoy.
fn assert_good(rule: &Regex) {
    for line in lines(&keys(100)) {
        assert!(rule.is_match(&line), "{line}");
    }
    for decoy in [shapeless(), publishable()].concat() {
        assert!(!rule.is_match(&decoy), "{decoy}");
    }
}

#[test]
fn the_rules_for_gitleaks_are_those_of_the_format() {
    let file = page("secret-scanning/gitleaks.toml");
    let rules: Vec<_> = file
        .lines()
        .filter_map(|line| line.strip_prefix("regex = '''")?.strip_suffix("'''"))
        .collect();
    let test = KeyFormat::builder().environment(Environment::test());
    let formats = [KeyFormat::default(), test.build().unwrap()];
    assert_eq!(rules, formats.map(|format| format.scanner_pattern()));
    assert_good(&Regex::new(rules[0]).unwrap());
}

#[test]
fn the_pattern_for_github_finds_the_keys_and_no_decoy() {
    let file = page("secret-scanning/github-custom-pattern.txt");
    let field = |name: &str| {
        let (_, rest) = file.split_once(&format!("{name}:\n")).unwrap();
        rest.lines().next().unwrap()
    };
    let [before, secret, after] = ["Before secret", "Secret format", "After secret"].map(field);
    let rule = Regex::new(&format!("(?:{before})(?:{secret})(?:{after})")).unwrap();
    assert_good(&rule);
    assert!(rule.is_match(field("Test string")));
}

#[test]
fn the_page_shows_the_rule_of_the_default_format() {
    let line = format!("\n{}\n", KeyFormat::default().scanner_pattern());
    assert!(page("secret-scanning.md").contains(&line));
}
