//! The verifier in Python that `docs/audit.md` shows, and the example, run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyward::audit::{JsonLinesSink, trail_files, verify_chain};

#[expect(dead_code, reason = "other tests use the rest")]
mod audit_support;
#[cfg(feature = "audit-seal")]
#[expect(dead_code, reason = "other tests use the rest")]
mod seal_support;

use audit_support::{damages, folder, lines, trail, unchained, write};

/// Runs the verifier; returns whether it was content, and what it said.
fn python(files: &[PathBuf]) -> (bool, String) {
    program(0, files)
}

/// Runs one of the programs of the page.
fn program<A: AsRef<OsStr>>(number: usize, arguments: &[A]) -> (bool, String) {
    let page = include_str!("../docs/audit.md");
    let rest = page.split("```python\n").nth(number + 1).unwrap();
    let (program, _) = rest.split_once("```").unwrap();
    let output = Command::new("python3")
        .args(["-c", program])
        .args(arguments)
        .env("PYTHONPATH", packages())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

/// Where `tests/run.sh servers` puts the package `cryptography`.
fn packages() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(home).unwrap();
    cache.join("keyward-test-servers/cryptography-48.0.0")
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

#[cfg(all(feature = "audit-seal", unix))]
mod sealed {
    use std::ffi::OsString;
    use std::fs;

    use keyward::audit::AuditSink;
    use tempfile::TempDir;

    use super::*;

    use seal_support::{notes, open, public, sealing};

    /// Eleven lines in several files, and the newest checkpoint, kept elsewhere.
    async fn sealed() -> (TempDir, PathBuf, PathBuf) {
        let (folder, path) = folder();
        let sink = open(&path, sealing(1), Some(1000)).await;
        for n in 1..=11 {
            write(&sink, [n]).await;
        }
        sink.flush().await.unwrap();
        assert!(trail_files(&path).unwrap().len() > 1);
        let kept = folder.path().join("kept");
        fs::write(&kept, notes(&path).last().unwrap()).unwrap();
        (folder, path, kept)
    }

    fn root(kept: &Path, path: &Path) -> (bool, String) {
        let mut arguments = vec![kept.to_owned()];
        arguments.extend(trail_files(path).unwrap());
        program(1, &arguments)
    }

    fn signature(kept: &Path, key: &str) -> (bool, String) {
        program(2, &[kept.as_os_str().to_owned(), OsString::from(key)])
    }

    #[tokio::test]
    async fn the_page_s_verifier_finds_the_lines_that_were_sealed() {
        let (_folder, path, kept) = sealed().await;
        let good = (
            true,
            "the first 11 lines are those that example.com/audit sealed\n".to_owned(),
        );
        assert_eq!(root(&kept, &path), good);
        write(&JsonLinesSink::open(&path).await.unwrap(), [12]).await;
        assert_eq!(root(&kept, &path), good);
        for note in notes(&path) {
            fs::write(&kept, note).unwrap();
            assert!(root(&kept, &path).0);
        }
    }

    #[tokio::test]
    async fn the_page_s_verifier_finds_a_tail_that_was_cut_off() {
        let (_folder, path, kept) = sealed().await;
        let last = lines(&path).len();
        let rest = lines(&path)[..last - 1].concat();
        fs::write(&path, &rest).unwrap();
        assert!(
            python(&trail_files(&path).unwrap()).0,
            "the chain cannot tell"
        );
        let said = "11 lines were sealed, and 10 are there\n".to_owned();
        assert_eq!(root(&kept, &path), (false, said.clone()));
        // Within a line as well.
        fs::write(&path, rest + "{\"schema\":1").unwrap();
        assert_eq!(root(&kept, &path), (false, said));
    }

    #[tokio::test]
    async fn the_page_s_verifier_finds_a_history_that_was_rewritten() {
        let (_folder, path, kept) = sealed().await;
        for file in trail_files(&path).unwrap() {
            fs::remove_file(file).unwrap();
        }
        write(&JsonLinesSink::open(&path).await.unwrap(), 101..=111).await;
        assert!(
            python(&trail_files(&path).unwrap()).0,
            "the chain cannot tell"
        );
        let said = "the first 11 lines are not those that were sealed\n".to_owned();
        assert_eq!(root(&kept, &path), (false, said));
    }

    #[tokio::test]
    async fn the_page_s_verifier_finds_a_flipped_byte() {
        let (_folder, path, kept) = sealed().await;
        for file in trail_files(&path).unwrap() {
            let whole = fs::read(&file).unwrap();
            let mut bytes = whole.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&file, bytes).unwrap();
            assert!(!root(&kept, &path).0);
            fs::write(&file, whole).unwrap();
        }
    }

    #[tokio::test]
    async fn the_page_s_verifier_knows_whose_signature_it_is() {
        let (_folder, _path, kept) = sealed().await;
        let key = public(1).to_string();
        let signed = (true, "example.com/audit signed it\n".to_owned());
        assert_eq!(signature(&kept, &key), signed);
        let other = signature(&kept, &public(2).to_string());
        assert_eq!(other, (false, "not signed by this key\n".to_owned()));
        let trail = signature(&kept, &key.replacen("audit", "other", 1));
        assert_eq!(trail, (false, "not the key of this trail\n".to_owned()));
        let note = fs::read_to_string(&kept).unwrap();
        fs::write(&kept, note.replacen("\n11\n", "\n10\n", 1)).unwrap();
        let (content, said) = signature(&kept, &key);
        assert!(!content && said.contains("forged"), "{said}");
    }
}
