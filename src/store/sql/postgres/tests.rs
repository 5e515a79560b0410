use super::*;
use crate::key::Generation;
use crate::time::Timestamp;

fn used(id: &str, micros: i64) -> Usage {
    Usage::new(
        id.parse().unwrap(),
        Generation::FIRST,
        Timestamp::from_micros(micros),
        None,
    )
}

#[test]
fn no_round_of_uses_names_a_key_twice_and_none_is_left_out() {
    let (a, b, c) = ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc");
    let usage = vec![
        used(a, 1),
        used(a, 2),
        used(a, 3),
        used(b, 1),
        used(c, 1),
        used(c, 2),
    ];
    let rounds = rounds(usage);
    assert_eq!(
        rounds,
        [
            vec![used(a, 1), used(b, 1), used(c, 1)],
            vec![used(a, 2), used(c, 2)],
            vec![used(a, 3)],
        ]
    );
}

/// Processes of different versions must take the same lock.
#[test]
fn an_owners_lock_has_the_same_number_for_ever() {
    assert_eq!(owner_lock(&"acme".parse().unwrap()), OWNER_LOCK_OF_ACME);
    assert_ne!(owner_lock(&"Acme".parse().unwrap()), OWNER_LOCK_OF_ACME);
}

/// The first eight bytes of SHA-256 of `keyward/owner/acme`.
const OWNER_LOCK_OF_ACME: i64 = -8_612_805_920_746_076_708;
