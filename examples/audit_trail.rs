//! Tamper evidence: a trail is written, a copy of it is changed, and both are verified. Then it is exported.
//!
//! `cargo run --example audit_trail`
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::path::Path;

use keyward::audit::export::{OcsfLines, Product, export_trail};
use keyward::audit::{
    ActorRef, AuditEvent, AuditKind, AuditRecorder, JsonLinesSink, trail_files, verify_chain,
};
use keyward::time::{Clock, SystemClock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("audit.jsonl");
    record(&path).await?;

    println!("the trail: {}", verdict(&path)?);

    // Somebody would rather have somebody else be the one who revoked the key.
    let copy = folder.path().join("copy.jsonl");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&copy, text.replacen("user:bob", "user:ana", 1))?;
    println!("the copy with another actor: {}", verdict(&copy)?);

    // Or have it look as if that never happened.
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| !line.contains("user:bob"))
        .collect();
    std::fs::write(&copy, kept)?;
    println!("the copy without the line: {}", verdict(&copy)?);

    println!("\nthe revocation as OCSF:\n{}", revocations(&path)?);
    Ok(())
}

async fn record(path: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = AuditRecorder::builder(JsonLinesSink::open(path).await?).start()?;
    let now = SystemClock::new().now();
    for (kind, who) in [
        (AuditKind::KeyCreated, "ana"),
        (AuditKind::KeyUpdated, "ana"),
        (AuditKind::KeyRevoked, "bob"),
        (AuditKind::KeyCreated, "ana"),
        (AuditKind::KeyDisabled, "ana"),
    ] {
        let event = AuditEvent::new(kind, now)
            .with_actor(ActorRef::user(who))
            .with_key_id("a1B2c3D4e5F6");
        recorder.record(event).await?;
    }
    recorder.shutdown().await?;
    Ok(())
}

/// Returns what the verifier finds, in words.
fn verdict(path: &Path) -> Result<String, Box<dyn Error>> {
    let found = match verify_chain(trail_files(path)?) {
        Ok(report) => format!(
            "{} lines follow each other; the last has the hash {}",
            report.lines, report.last_hash
        ),
        Err(error) => error
            .to_string()
            .replace(&path.display().to_string(), "copy.jsonl"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finds_what_was_changed_and_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.jsonl");
        record(&path).await.unwrap();
        let whole = verdict(&path).unwrap();
        assert!(whole.starts_with("5 lines follow each other"), "{whole}");

        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("user:bob", "user:ana", 1)).unwrap();
        assert_eq!(
            verdict(&path).unwrap(),
            "line 3 of `copy.jsonl` was altered"
        );

        let kept: Vec<_> = text
            .split_inclusive('\n')
            .filter(|line| !line.contains("user:bob"))
            .collect();
        std::fs::write(&path, kept.concat()).unwrap();
        assert_eq!(
            verdict(&path).unwrap(),
            "line 3 of `copy.jsonl` does not follow: lines before it are missing"
        );
    }

    #[tokio::test]
    async fn exports_the_revocation_and_who_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        record(&path).await.unwrap();
        let lines = revocations(&path).unwrap();
        assert_eq!(lines.lines().count(), 1);
        let expected = r#""actor":{"user":{"name":"user:bob","uid":"bob","#;
        assert!(lines.contains(expected), "{lines}");
    }
}
