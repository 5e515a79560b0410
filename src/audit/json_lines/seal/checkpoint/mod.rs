use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{self, CheckpointFault};
use super::tree::{Node, Tree};
use super::{SealKey, VerifierKey};
use crate::audit::LineHash;
use crate::hash::encoding::from_hex;

/// How much of a trail there was at some time, signed: a C2SP `tlog-checkpoint`.
///
/// ```text
/// example.com/audit                                    origin: the name of the key
/// 1027                                                 lines since the first one
/// CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=         their root as in RFC 6962
/// from 0000…                                           what the first of them names as `prev`
/// to 5891…                                             hash of the last of them
/// peak pCf9…                                           the tree, to go on from: one for each bit of the number
///
/// — example.com/audit Az3grlgtzPIC…                    Ed25519 over all lines above the empty one
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    note: String,
    origin: String,
    root: Node,
    from: LineHash,
    to: LineHash,
    tree: Tree,
    key: VerifierKey,
}

impl Checkpoint {
    pub(super) fn sign(key: &SealKey, tree: Tree, from: LineHash, to: LineHash) -> Self {
        let (origin, root) = (key.verifier().name().to_owned(), tree.root());
        let root_text = STANDARD.encode(root);
        let mut text = format!(
            "{origin}\n{}\n{root_text}\nfrom {from}\nto {to}\n",
            tree.size()
        );
        for peak in tree.peaks() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "peak {}", STANDARD.encode(peak));
        }
        Self {
            note: note::sign(key, &text),
            origin,
            root,
            from,
            to,
            tree,
            key: key.verifier().clone(),
        }
    }

    /// The first note of a new trail, signed before its first line. It covers none: it says that a trail without any checkpoint
    /// has lost them.
    pub(super) fn beginning(key: &SealKey) -> Self {
        Self::sign(key, Tree::default(), LineHash::START, LineHash::START)
    }

    pub(super) const fn is_beginning(&self) -> bool {
        self.size() == 0
    }

    /// Reads a note that one of the keys signed.
    pub(super) fn open(note: &str, keys: &[VerifierKey]) -> Result<Self, CheckpointFault> {
        let (text, key) = note::open(note, keys)?;
        let body = Body::of(text).ok_or(CheckpointFault::Malformed)?;
        if body.origin != key.name() {
            return Err(CheckpointFault::OtherTrail);
        }
        Ok(Self {
            note: note.to_owned(),
            origin: body.origin.to_owned(),
            root: body.root,
            from: body.from,
            to: body.to,
            tree: body.tree,
            key: key.clone(),
        })
    }

    /// Returns the whole signed note, as it stands in the file. This is what to keep elsewhere.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Returns which trail it is of: the name of the key.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the key that signed it.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Returns how many lines it covers, counted from the first.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Returns the root of the tree over these lines.
    #[must_use]
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// Returns the hash of the last line it covers: what the next line names as `prev`.
    #[must_use]
    pub const fn last_hash(&self) -> LineHash {
        self.to
    }

    /// What the first line names as `prev`.
    pub(super) const fn from(&self) -> LineHash {
        self.from
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }
}

struct Body<'t> {
    origin: &'t str,
    root: Node,
    from: LineHash,
    to: LineHash,
    tree: Tree,
}

impl<'t> Body<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let mut lines = text.lines();
        let head = Head::of(&mut lines)?;
        let hash = |line: &str, name| from_hex(line.strip_prefix(name)?).map(LineHash::from_bytes);
        let from = hash(lines.next()?, "from ")?;
        let to = hash(lines.next()?, "to ")?;
        let peaks = lines.map(|line| node(line.strip_prefix("peak ")?));
        let tree = Tree::of(head.size, peaks.collect::<Option<_>>()?)?;
        let hashes_fit = head.size > 0 || (from, to) == (LineHash::START, LineHash::START);
        // SECURITY: the tree goes on from the peaks, so they have to be those of the root.
        (hashes_fit && tree.root() == head.root).then_some(Self {
            origin: head.origin,
            root: head.root,
            from,
            to,
            tree,
        })
    }
}

/// The three lines that every checkpoint of the format begins with.
#[derive(Debug, Eq, PartialEq)]
struct Head<'t> {
    origin: &'t str,
    size: u64,
    root: Node,
}

impl<'t> Head<'t> {
    fn of(lines: &mut impl Iterator<Item = &'t str>) -> Option<Self> {
        let origin = lines.next().filter(|origin| !origin.is_empty())?;
        let size = number(lines.next()?)?;
        let root = node(lines.next()?)?;
        Some(Self { origin, size, root })
    }
}

/// Reads a decimal number in its one spelling.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    (plain && shortest).then(|| text.parse().ok()).flatten()
}

fn node(text: &str) -> Option<Node> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
