//! Tamper evidence: a trail is written and sealed, copies of it are changed, all are verified, and it is exported.
//!
//! `cargo run --example audit_trail --features audit-seal`
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use keyward::async_trait;
use keyward::audit::export::{OcsfLines, Product, export_trail};
use keyward::audit::{
    ActorRef, AuditEvent, AuditKind, AuditRecorder, Checkpoint, CheckpointSink, JsonLinesSink,
    SealKey, SealVerifier, Sealing, VerifierKey, checkpoints_file, trail_files, verify_chain,
};
use keyward::error::BoxError;
use keyward::random::OsRandom;
use keyward::time::{Clock, SystemClock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("audit.jsonl");
    let (elsewhere, key) = record(&path, "bob").await?;
    println!("the trail: {}", verdict(&path)?);

    let copy = folder.path().join("copy.jsonl");
    for (what, text) in changed(&fs::read_to_string(&path)?) {
        fs::write(&copy, text)?;
        println!("the copy {what}: {}", verdict(&copy)?);
    }

    println!("\nthe revocation as OCSF:");
    println!("{}", revocations(&path)?);

    // Who can write the file can do better than that. The checkpoint was published while the trail was written, and
    // whoever verifies it has the public key.
    let kept = elsewhere.newest().ok_or("nothing was published")?;
    println!(
        "\nkept elsewhere:\n{kept}\nthe trail: {}",
        sealed_verdict(&path, &key, &kept)?
    );
    println!("\nthe trail without its end, and the checkpoints with it:");
    cut(&path)?;
    println!("  by the chain: {}", verdict(&path)?);
    println!(
        "  by the checkpoint: {}",
        sealed_verdict(&path, &key, &kept)?
    );

    println!("a trail of the same length in which bob never was:");
    let other = folder.path().join("other.jsonl");
    record(&other, "ana").await?;
    fs::remove_file(checkpoints_file(&other))?;
    println!("  by the chain: {}", verdict(&other)?);
    println!(
        "  by the checkpoint: {}",
        sealed_verdict(&other, &key, &kept)?
    );
    Ok(())
}

/// Somewhere that whoever can write the trail cannot write: here, the memory of this program.
#[derive(Clone, Debug, Default)]
struct Elsewhere(Arc<Mutex<Vec<String>>>);

impl Elsewhere {
    fn newest(&self) -> Option<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.last().cloned()
    }
}

#[async_trait]
impl CheckpointSink for Elsewhere {
    async fn publish(&self, checkpoint: &Checkpoint) -> Result<(), BoxError> {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(checkpoint.note().to_owned());
        Ok(())
    }
}

/// Writes a trail in which somebody revokes a key, and seals it at the end.
async fn record(path: &Path, who: &str) -> Result<(Elsewhere, VerifierKey), Box<dyn Error>> {
    let elsewhere = Elsewhere::default();
    let key = SealKey::generate("example.com/audit", &OsRandom::new())?;
    let public = key.verifier().clone();
    let sealing = Sealing::new(key).publish_to(elsewhere.clone());
    let sink = JsonLinesSink::builder(path).seal(sealing).open().await?;
    let recorder = AuditRecorder::builder(sink).start()?;
    let now = SystemClock::new().now();
    for (kind, who) in [
        (AuditKind::KeyCreated, "ana"),
        (AuditKind::KeyUpdated, "ana"),
        (AuditKind::KeyRevoked, who),
        (AuditKind::KeyCreated, "ana"),
        (AuditKind::KeyDisabled, "ana"),
    ] {
        let event = AuditEvent::new(kind, now)
            .with_actor(ActorRef::user(who))
            .with_key_id("a1B2c3D4e5F6");
        recorder.record(event).await?;
    }
    recorder.shutdown().await?;
    Ok((elsewhere, public))
}

/// What somebody may do who does not write the rest of the trail anew.
fn changed(text: &str) -> [(&'static str, String); 2] {
    // Somebody would rather have somebody else be the one who revoked the key.
    let other = text.replacen("user:bob", "user:ana", 1);
    // Or have it look as if that never happened.
    let lines = text.split_inclusive('\n');
    let kept = lines.filter(|line| !line.contains("user:bob")).collect();
    [("with another actor", other), ("without the line", kept)]
}

/// Takes the end off a trail, and the checkpoint of it away.
fn cut(path: &Path) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let begin: String = text.split_inclusive('\n').take(2).collect();
    fs::write(path, begin)?;
    fs::write(checkpoints_file(path), "")?;
    Ok(())
}

/// Returns what the verifier of chains finds, in words.
fn verdict(path: &Path) -> Result<String, Box<dyn Error>> {
    let found = match verify_chain(trail_files(path)?) {
        Ok(report) => format!(
            "{} lines follow each other; the last has the hash {}",
            report.lines, report.last_hash
        ),
        Err(error) => named(&error, path),
    };
    Ok(found)
}

/// Returns the revocations in the form that a security lake reads, one a line.
fn revocations(path: &Path) -> Result<String, Box<dyn Error>> {
    let product = Product::new("audit_trail example").with_version("1.0.0");
    let mut lines = OcsfLines::new(Vec::new(), product);
    let exported = export_trail(trail_files(path)?, |event| match event.kind() {
        AuditKind::KeyRevoked => lines.write(event),
        _ => Ok(()),
    })?;
    println!("{} events were read", exported.events);
    Ok(String::from_utf8(lines.finish()?)?)
}

/// Returns what the verifier of sealed trails finds, in words.
fn sealed_verdict(path: &Path, key: &VerifierKey, kept: &str) -> Result<String, Box<dyn Error>> {
    let verifier = SealVerifier::new(key.clone()).kept(kept);
    let found = match verifier.verify(trail_files(path)?, checkpoints_file(path)) {
        Ok(report) => format!("{} lines are those that were sealed", report.sealed),
        Err(error) => named(&error, path),
    };
    Ok(found)
}

/// An error with the file's name instead of its whole path.
fn named(error: &dyn Error, path: &Path) -> String {
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    let (path, name) = (path.display().to_string(), name.display().to_string());
    error.to_string().replace(&path, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finds_what_was_changed_and_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.jsonl");
        record(&path, "bob").await.unwrap();
        let whole = verdict(&path).unwrap();
        assert!(whole.starts_with("5 lines follow each other"), "{whole}");

        let found = changed(&fs::read_to_string(&path).unwrap()).map(|(_, text)| {
            fs::write(&path, text).unwrap();
            verdict(&path).unwrap()
        });
        let expected = [
            "line 3 of `copy.jsonl` was altered",
            "line 3 of `copy.jsonl` does not follow: lines before it are missing",
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn finds_what_only_a_checkpoint_can_show() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (elsewhere, key) = record(&path, "bob").await.unwrap();
        let kept = elsewhere.newest().unwrap();
        let sealed = |path: &Path| sealed_verdict(path, &key, &kept).unwrap();
        assert_eq!(sealed(&path), "5 lines are those that were sealed");

        cut(&path).unwrap();
        assert!(verdict(&path).unwrap().starts_with("2 lines follow"));
        assert_eq!(
            sealed(&path),
            "the trail ends after line 2, and 5 lines were sealed"
        );

        let other = folder.path().join("other.jsonl");
        record(&other, "ana").await.unwrap();
        fs::remove_file(checkpoints_file(&other)).unwrap();
        assert!(verdict(&other).unwrap().starts_with("5 lines follow"));
        let found = "the first 5 lines are not those that were sealed; the change is at or after line 1 of `other.jsonl`";
        assert_eq!(sealed(&other), found);
    }

    #[tokio::test]
    async fn exports_the_revocation_and_who_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        record(&path, "bob").await.unwrap();
        let lines = revocations(&path).unwrap();
        assert_eq!(lines.lines().count(), 1);
        let expected = r#""actor":{"user":{"name":"user:bob","uid":"bob","#;
        assert!(lines.contains(expected), "{lines}");
    }
}
