//! Where things lie in the mount.
//!
//! ```text
//! records/<id>                        a record, or what is left of a deleted one
//! by-owner/<owner>/<created>-<id>     says that there may be such a record
//! sweep                               when the last sweep began
//! ```
//!
//! Ids are written in hex: lower case only, so that a storage backend that folds case cannot make one of two. An owner
//! is the SHA-256 of its bytes, in hex: of one length whatever the name, never empty, and no name in Vault's audit log.
//! Moments are hex of 16 digits that sort as they follow each other.

use std::fmt::Write as _;

use crate::hash::{encoding, mac};
use crate::key::{KeyId, KeyRecord, OwnerId};
use crate::store::Cursor;
use crate::time::Timestamp;

pub(super) const RECORDS: &str = "records";
pub(super) const BY_OWNER: &str = "by-owner";
pub(super) const SWEEP: &str = "sweep";

pub(super) fn record(id: &KeyId) -> String {
    format!("{RECORDS}/{}", hex(id.as_str().as_bytes()))
}

pub(super) fn folder(owner: &OwnerId) -> String {
    hex(&mac::sha256(owner.as_str().as_bytes()))
}

/// Where the index entry of a record lies.
pub(super) fn entry(record: &KeyRecord) -> String {
    entry_at(&folder(&record.owner), Cursor::of(record))
}

pub(super) fn entry_at(folder: &str, place: Cursor) -> String {
    let created = sortable(place.moment());
    let id = hex(place.id().as_str().as_bytes());
    format!("{BY_OWNER}/{folder}/{created:016x}-{id}")
}

/// Reads the last part of an entry.
pub(super) fn read_entry(name: &str) -> Option<Cursor> {
    let (created, id) = name.split_once('-')?;
    let canonical = created.len() == 16 && name.bytes().all(|it| !it.is_ascii_uppercase());
    let created = u64::from_str_radix(created, 16)
        .ok()
        .filter(|_| canonical)?;
    Some(Cursor::new(unsortable(created), read_id(id)?))
}

/// Reads the last part of a record's place.
pub(super) fn read_id(text: &str) -> Option<KeyId> {
    let canonical = text.bytes().all(|it| !it.is_ascii_uppercase());
    let id: String = match text.len() {
        16 => encoding::from_hex::<8>(text)?
            .map(char::from)
            .iter()
            .collect(),
        24 => encoding::from_hex::<12>(text)?
            .map(char::from)
            .iter()
            .collect(),
        _ => return None,
    };
    id.parse().ok().filter(|_| canonical)
}

/// The sign bit flipped, so that moments before 1970 come first.
fn sortable(moment: Timestamp) -> u64 {
    moment.as_micros().cast_unsigned() ^ (1 << 63)
}

fn unsortable(bits: u64) -> Timestamp {
    Timestamp::from_micros((bits ^ (1 << 63)).cast_signed())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for id in ["abcdefgZ", "0aZ9bY8cX7dW"] {
            let id: KeyId = id.parse().unwrap();
            let place = record(&id);
            assert_eq!(read_id(place.strip_prefix("records/").unwrap()), Some(id));
        }
        for moment in [
            Timestamp::MIN,
            Timestamp::from_micros(-1),
            Timestamp::EPOCH,
            Timestamp::MAX,
        ] {
            assert_eq!(unsortable(sortable(moment)), moment);
        }
        assert!(sortable(Timestamp::MIN) < sortable(Timestamp::from_micros(-1)));
        assert!(sortable(Timestamp::from_micros(-1)) < sortable(Timestamp::EPOCH));
    }

    #[test]
    fn gives_every_id_and_owner_a_place_of_its_own() {
        let owners = [
            "a", "A", "a/b", "a//b", ".", "..", "a ", "é", "e\u{301}", "%61", "0", "00",
        ];
        let mut places: Vec<_> = owners.map(|it| folder(&it.parse().unwrap())).into();
        let ids = [
            "abcdefgh",
            "ABCDEFGH",
            "aBcDeFgH",
            "abcdefghijkl",
            "ABCDEFGHIJKL",
        ];
        places.extend(ids.map(|it| record(&it.parse().unwrap()).to_lowercase()));
        let count = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), count);
        assert!(places.iter().all(|it| it.len() <= 64));
    }

    #[test]
    fn refuses_names_it_did_not_write() {
        let good = "817d2c5f3a1b4000-30615a396259386358376457";
        assert!(read_entry(good).is_some());
        for bad in [
            "",
            "-",
            "x",
            &good.to_uppercase(),
            &good.replace('-', ""),
            &format!("0{good}"),
            &format!("{good}/"),
            &format!("{good}00"),
            &good.replace("30615a", "2d615a"),
        ] {
            assert!(read_entry(bad).is_none(), "{bad}");
        }
    }
}
