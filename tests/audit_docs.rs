//! The verifier in Python that `docs/audit.md` shows, and the example, run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyward::audit::{JsonLinesSink, trail_files, verify_chain};

#[expect(dead_code, reason = "other tests use the rest")]
mod audit_support;

use audit_support::{damages, folder, lines, trail, unchained, write};

/// Runs the verifier; returns whether it was content, and what it said.
fn python(files: &[PathBuf]) -> (bool, String) {
    let page = include_str!("../docs/audit.md");
    let (_, rest) = page.split_once("```python\n").unwrap();
    let (program, _) = rest.split_once("```").unwrap();
    let output = Command::new("python3")
        .args(["-c", program])
        .args(files)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

fn is_whole(files: &[PathBuf]) {
    let last = verify_chain(files).unwrap().last_hash;
    let (content, said) = python(files);
    assert!(content, "{said}");
    assert!(said.trim_end().ends_with(&last.to_string()), "{said}");
}

fn is_broken(files: &[PathBuf], file: &Path, name: &str) {
    let (content, said) = python(files);
    let named = format!("{}: line ", file.display());
    assert!(!content && said.starts_with(&named), "{name}: {said}");
}

#[tokio::test]
async fn the_page_s_verifier_accepts_what_is_whole() {
    let (_folder, path) = folder();
    trail(&path, 4).await;
    is_whole(std::slice::from_ref(&path));

    let old: Vec<_> = lines(&path).iter().map(|line| unchained(line)).collect();
    std::fs::write(&path, old.concat()).unwrap();
    is_whole(std::slice::from_ref(&path));
    write(&JsonLinesSink::open(&path).await.unwrap(), [5, 6]).await;
    is_whole(&[path]);
}

#[tokio::test]
async fn the_page_s_verifier_names_a_line_in_every_damaged_trail() {
    let (_folder, path) = folder();
    trail(&path, 6).await;
    for (name, damaged, ..) in damages(&lines(&path)) {
        std::fs::write(&path, damaged.concat()).unwrap();
        is_broken(std::slice::from_ref(&path), &path, name);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_page_s_verifier_goes_from_file_to_file() {
    let (_folder, path) = folder();
    let builder = JsonLinesSink::builder(&path).rotate_at(NonZeroU64::MIN);
    let sink = builder.open().await.unwrap();
    for n in 1..=4 {
        write(&sink, [n]).await;
    }
    let files = trail_files(&path).unwrap();
    is_whole(&files);
    is_whole(&files[1..]);
    let missing = [files[0].clone(), files[2].clone()];
    is_broken(&missing, &files[2], "a file is missing");
}
