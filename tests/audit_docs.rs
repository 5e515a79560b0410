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
async fn the_page_s_verifier_counts_lines_without_a_link() {
    let (_folder, path) = folder();
    trail(&path, 4).await;
    let files = std::slice::from_ref(&path);
    assert!(python(files).1.starts_with("4 lines, 0 of them without"));

    let whole = lines(&path);
    let bare: Vec<_> = whole.iter().map(|line| unchained(line)).collect();
    std::fs::write(&path, bare.concat()).unwrap();
    let (content, said) = python(files);
    assert!(content && said.starts_with("4 lines, 4 of them without prev"));

    // After lines that had one, it is a fault.
    let some = [&whole[..2], &bare[2..]].concat();
    std::fs::write(&path, some.concat()).unwrap();
    let (content, said) = python(files);
    assert!(
        !content && said.contains("line 3 does not follow"),
        "{said}"
    );
}

#[tokio::test]
async fn the_page_s_verifier_takes_a_line_without_an_end_for_unfinished() {
    let (_folder, path) = folder();
    trail(&path, 3).await;
    let text = lines(&path).concat();
    let two = lines(&path)[..2].concat();
    // Within the last line, and all of it but its end.
    for cut in [two.len() + 10, text.len() - 1] {
        std::fs::write(&path, &text.as_bytes()[..cut]).unwrap();
        is_whole(std::slice::from_ref(&path));
        let (_, said) = python(std::slice::from_ref(&path));
        assert!(said.contains(": line 3 is unfinished"), "{said}");
        assert!(said.contains("\n2 lines, 0 of them"), "{said}");
    }
    // Only the file being written may end so.
    let next = path.with_extension("next");
    std::fs::write(&next, &text).unwrap();
    is_broken(&[path.clone(), next], &path, "an unfinished line before");
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
    let begins = "begins after {\"file\": \"audit.jsonl.000001\"";
    assert!(!python(&files).1.contains("begins after"));
    let (_, said) = python(&files[1..]);
    assert!(said.contains(begins), "{said}");
    let missing = [files[0].clone(), files[2].clone()];
    is_broken(&missing, &files[2], "a file is missing");
}

#[cfg(all(feature = "audit-seal", unix))]
mod sealed {
    use std::ffi::OsString;
    use std::fs;

    use keyward::audit::{AuditSink, SealKey, checkpoints_file};
    use tempfile::TempDir;

    use super::*;

    use seal_support::{all_notes, notes, notes_text, open, public, sealing};

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
        // Of several it takes the newest that is whole.
        let all = checkpoints_file(&path);
        assert_eq!(root(&all, &path), good);
        let text = notes_text(&path);
        fs::write(&kept, text.clone() + "example.com/audit\n12\n").unwrap();
        assert_eq!(root(&kept, &path), good);
        fs::write(&kept, &text.as_bytes()[..text.len() - 10]).unwrap();
        let (content, said) = root(&kept, &path);
        assert!(content && !said.contains("first 11 lines"), "{said}");
        fs::write(&kept, &all_notes(&path)[0]).unwrap();
        assert!(root(&kept, &path).1.starts_with("the first 0 lines are"));
        fs::write(&kept, "").unwrap();
        let none = (false, "there is no whole note\n".to_owned());
        assert_eq!(root(&kept, &path), none);
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
        let signed = "note 1: example.com/audit signed it, over 11 lines\n";
        assert_eq!(signature(&kept, &key), (true, signed.to_owned()));
        let other = signature(&kept, &public(2).to_string());
        let unknown = "note 1: not signed by this key\n";
        assert_eq!(other, (false, unknown.to_owned()));
        let renamed = signature(&kept, &key.replacen("audit", "other", 1));
        let no_key = "that is no public key of a trail\n";
        assert_eq!(renamed, (false, no_key.to_owned()));
        let named = SealKey::from_seed("example.com/other", &[1; 32]).unwrap();
        let trail = signature(&kept, &named.verifier().to_string());
        let of_another = "note 1: not the key of this trail\n";
        assert_eq!(trail, (false, of_another.to_owned()));
        let note = fs::read_to_string(&kept).unwrap();
        fs::write(&kept, note.replacen("\n11\n", "\n10\n", 1)).unwrap();
        let (content, said) = signature(&kept, &key);
        assert!(!content && said.contains("forged"), "{said}");
    }

    #[tokio::test]
    async fn the_page_s_verifier_looks_at_every_signature_of_a_file() {
        let (_folder, path, kept) = sealed().await;
        let key = public(1).to_string();
        let text = notes_text(&path);
        let count = all_notes(&path).len();
        assert!(count > 3);
        let (content, said) = signature(&checkpoints_file(&path), &key);
        assert!(content && said.lines().count() == count, "{said}");
        let newest = format!("note {count}: example.com/audit signed it, over 11 lines\n");
        assert!(said.ends_with(&newest), "{said}");

        for number in 1..=count {
            let mut notes = all_notes(&path);
            notes[number - 1] = notes[number - 1].replacen("\nto ", "\nto 0", 1);
            fs::write(&kept, notes.join("\n") + "\n").unwrap();
            let (content, said) = signature(&kept, &key);
            let forged = format!("note {number}: the signature is forged");
            assert!(!content && said.contains(&forged), "{said}");
        }
        // One that is being written is not a forged one.
        for torn in [10, 200] {
            fs::write(&kept, &text.as_bytes()[..text.len() - torn]).unwrap();
            let (content, said) = signature(&kept, &key);
            assert!(content && said.lines().count() == count, "{said}");
            assert!(said.ends_with("is unfinished\n"), "{said}");
        }
        fs::write(&kept, "example.com/audit\n").unwrap();
        let none = (false, "there is no whole note\n".to_owned());
        assert_eq!(signature(&kept, &key), none);
    }
}
