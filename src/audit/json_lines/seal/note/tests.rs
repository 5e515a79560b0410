//! With the key, the note and the refusals of Go's `note` package, the first implementation of the format.

use super::*;
use crate::audit::SealKeyError;

const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const SIGNER: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETER: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_KEY: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const ENOCH: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

fn fault(note: &str, keys: &[VerifierKey]) -> CheckpointFault {
    open(note, keys).unwrap_err()
}

#[test]
fn signs_as_the_reference_does_to_the_byte() {
    let signer: SealKey = SIGNER.parse().unwrap();
    assert_eq!(signer.verifier().to_string(), VERIFIER);
    assert_eq!(signer.expose(), SIGNER);
    assert_eq!(sign(&signer, TEXT), format!("{TEXT}\n{PETER}"));
}

#[test]
fn opens_a_note_and_says_who_signed_it() {
    let (peter, enoch) = (key(VERIFIER), key(ENOCH_KEY));
    let both = format!("{TEXT}\n{PETER}{ENOCH}");
    for keys in [vec![peter.clone()], vec![peter.clone(), enoch.clone()]] {
        assert_eq!(open(&both, &keys), Ok((TEXT, &peter)));
    }
    assert_eq!(
        open(&both, std::slice::from_ref(&enoch)),
        Ok((TEXT, &enoch))
    );
    assert_eq!(fault(&both, &[]), CheckpointFault::UnknownKey);
    assert_eq!(
        fault(&format!("{TEXT}\n{ENOCH}"), &[peter]),
        CheckpointFault::UnknownKey
    );
}

#[test]
fn refuses_a_note_of_which_one_known_signature_is_wrong() {
    let keys = [key(VERIFIER), key(ENOCH_KEY)];
    let other = TEXT.replacen("cryptography", "cryptographY", 1);
    assert_eq!(
        fault(&format!("{other}\n{PETER}"), &keys),
        CheckpointFault::BadSignature
    );
    let forged = ENOCH.replacen("/5n2t", "/5m2t", 1);
    assert_eq!(
        fault(&format!("{TEXT}\n{PETER}{forged}"), &keys),
        CheckpointFault::BadSignature
    );
    // A name and an id that fit one another, and a signature of no length at all.
    assert_eq!(
        fault(&format!("{TEXT}\n— PeterNeumann x08go/Y=\n"), &keys),
        CheckpointFault::BadSignature
    );
}

#[test]
fn does_not_take_a_key_for_another_of_the_same_name_or_id() {
    let same_name = PETER.replacen("x08g", "y08g", 1);
    let same_id = PETER.replacen("PeterNeumann", "Peter", 1);
    for signature in [same_name, same_id] {
        let note = format!("{TEXT}\n{signature}");
        assert_eq!(fault(&note, &[key(VERIFIER)]), CheckpointFault::UnknownKey);
    }
}

#[test]
fn refuses_what_is_no_note() {
    let cut = PETER.trim_end();
    let many = PETER.repeat(101);
    for note in [
        String::new(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}\n{cut}"),
        format!("\x01{TEXT}\n{PETER}"),
        format!("{TEXT}\r\n{PETER}"),
        format!("{TEXT}\n{PETER}Unexpected line.\n"),
        format!(
            "{TEXT}\n— Bad Name x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        ),
        format!("{TEXT}\n— PeterNeumann x08=\n"),
        format!("{TEXT}\n— PeterNeumann\n"),
        format!("{TEXT}\n-- PeterNeumann x08go/ZJkg==\n"),
        format!("{TEXT}\n{many}"),
    ] {
        assert_eq!(
            fault(&note, &[key(VERIFIER)]),
            CheckpointFault::Malformed,
            "{note}"
        );
    }
}

#[test]
fn takes_no_mangled_key() {
    for text in [VERIFIER, SIGNER] {
        let parse = |text: &str| match text.strip_prefix("PRIVATE") {
            None => text.parse::<VerifierKey>().map(drop),
            Some(_) => text.parse::<SealKey>().map(drop),
        };
        parse(text).unwrap();
        for start in 0..text.len() {
            for end in start + 1..=text.len() {
                let piece = text.get(start..end).unwrap();
                assert!(
                    piece == text || piece.parse::<VerifierKey>().is_err(),
                    "{piece}"
                );
                assert!(
                    piece == text || piece.parse::<SealKey>().is_err(),
                    "{piece}"
                );
            }
        }
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] += 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(parse(&changed).is_err(), "{changed}");
        }
    }
}

#[test]
fn says_why_it_takes_no_key() {
    let parse = |text: &str| text.parse::<VerifierKey>().unwrap_err();
    // Too long, with the hash it would have; and another algorithm, with its own.
    let long = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
    assert_eq!(parse(long), SealKeyError::Malformed);
    let other = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(parse(other), SealKeyError::Algorithm);
    assert_eq!(
        parse(&VERIFIER.replacen("c74f", "C74F", 1)),
        SealKeyError::Hash
    );
    assert_eq!(
        parse(&VERIFIER.replacen("Peter", "Petra", 1)),
        SealKeyError::Hash
    );
    let longest = "n".repeat(253);
    assert!(SealKey::from_seed(&longest, &[7; 32]).is_ok());
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", &format!("{longest}n")] {
        let error = SealKey::from_seed(name, &[7; 32]).unwrap_err();
        assert_eq!(error, SealKeyError::Name, "{name}");
    }
}
