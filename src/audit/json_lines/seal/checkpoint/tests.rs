use super::*;

fn key() -> SealKey {
    SealKey::from_seed("example.com/audit", &[7; 32]).unwrap()
}

fn tree(lines: u8) -> Tree {
    let mut tree = Tree::default();
    (0..lines).for_each(|n| tree.push(&[n]));
    tree
}

fn checkpoint(key: &SealKey) -> Checkpoint {
    Checkpoint::sign(key, tree(7), LineHash::START, LineHash::of(b"last"))
}

fn open(note: &str) -> Result<Checkpoint, CheckpointFault> {
    Checkpoint::open(note, &[key().verifier().clone()])
}

#[test]
fn reads_the_example_of_the_specification() {
    let example =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let head = Head::of(&mut example.lines()).unwrap();
    assert_eq!(
        (head.origin, head.size),
        ("example.com/behind-the-sofa", 20_852_163)
    );
    assert_eq!(&head.root[..4], [0x0a, 0xc5, 0x18, 0x6a]);
}

#[test]
fn begins_as_the_specification_says() {
    let (key, root) = (key(), STANDARD.encode(tree(7).root()));
    let checkpoint = checkpoint(&key);
    let head = format!("example.com/audit\n7\n{root}\nfrom 000");
    assert!(
        checkpoint.note().starts_with(&head),
        "{}",
        checkpoint.note()
    );
    assert!(checkpoint.note().contains("=\n\n— example.com/audit "));
}

#[test]
fn is_read_as_it_was_signed() {
    let checkpoint = checkpoint(&key());
    assert_eq!(open(checkpoint.note()), Ok(checkpoint));
}

#[test]
fn one_changed_byte_is_one_too_many() {
    let note = checkpoint(&key()).note().to_owned();
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(changed) = String::from_utf8(bytes) {
            assert!(open(&changed).is_err(), "{changed}");
        }
    }
}

#[test]
fn is_of_the_trail_that_the_key_is_named_after() {
    let other = SealKey::from_seed("example.com/other", &[8; 32]).unwrap();
    let text = checkpoint(&key()).note().to_owned();
    let (text, _) = text.split_once("\n\n").unwrap();
    let signed = note::sign(&other, &format!("{text}\n"));
    let fault = Checkpoint::open(&signed, &[other.verifier().clone()]);
    assert_eq!(fault, Err(CheckpointFault::OtherTrail));
}

#[test]
fn takes_no_signed_text_that_is_no_checkpoint_of_ours() {
    let good = checkpoint(&key()).note().to_owned();
    let (good, _) = good.split_once("\n\n").unwrap();
    let last = good.lines().last().unwrap();
    let more = format!("{good}\n{last}");
    let fewer = good.strip_suffix(last).unwrap().trim_end().to_owned();
    let root = good.lines().nth(2).unwrap();
    for text in [
        "example.com/audit\n7",
        &more,
        &fewer,
        &good.replacen("\n7\n", "\n07\n", 1),
        &good.replacen("\n7\n", "\n+7\n", 1),
        &good.replacen("\n7\n", "\n6\n", 1),
        &good.replacen("\n7\n", "\n\u{664}\n", 1),
        &good.replacen(root, &STANDARD.encode([1; 32]), 1),
        &good.replacen(root, &STANDARD.encode([1; 31]), 1),
        &good.replacen("from 0", "from ", 1),
        &good.replacen("\nto ", "\nat ", 1),
    ] {
        let signed = note::sign(&key(), &format!("{text}\n"));
        assert_eq!(open(&signed), Err(CheckpointFault::Malformed), "{text}");
    }
}

#[test]
fn of_no_lines_names_none() {
    let beginning = Checkpoint::beginning(&key());
    assert!(beginning.is_beginning());
    assert_eq!(open(beginning.note()), Ok(beginning));
    let (none, some) = (LineHash::START, LineHash::of(b"last"));
    for (from, to) in [(some, none), (none, some), (some, some)] {
        let checkpoint = Checkpoint::sign(&key(), tree(0), from, to);
        assert_eq!(open(checkpoint.note()), Err(CheckpointFault::Malformed));
    }
}
