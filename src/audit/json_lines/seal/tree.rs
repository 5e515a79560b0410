//! The Merkle tree of RFC 6962, as the few hashes that are needed to let it grow.

use sha2::{Digest as _, Sha256};

/// A node of the tree.
pub(super) type Node = [u8; 32];

/// A tree over leaves of which none is kept: only the roots of its largest whole subtrees, left to right. There is one
/// for each bit that is set in the size, at most 64.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Tree {
    size: u64,
    peaks: Vec<Node>,
}

impl Tree {
    /// Returns the tree of so many leaves with these peaks, `None` if there cannot be one.
    pub(super) fn of(size: u64, peaks: Vec<Node>) -> Option<Self> {
        let fits = u32::try_from(peaks.len()).is_ok_and(|count| count == size.count_ones());
        fits.then_some(Self { size, peaks })
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn peaks(&self) -> &[Node] {
        &self.peaks
    }

    /// Adds a line, given without its line end.
    pub(super) fn push(&mut self, line: &[u8]) {
        let mut node = leaf(line);
        let whole = self.size.trailing_ones();
        for _ in 0..whole {
            node = self.peaks.pop().map_or(node, |left| parent(&left, &node));
        }
        self.peaks.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// Returns the root; of no leaves, the hash of nothing.
    pub(super) fn root(&self) -> Node {
        let mut from_the_right = self.peaks.iter().rev();
        let Some(last) = from_the_right.next() else {
            return Sha256::digest([]).into();
        };
        from_the_right.fold(*last, |right, left| parent(left, &right))
    }
}

fn leaf(line: &[u8]) -> Node {
    Sha256::new()
        .chain_update([0])
        .chain_update(line)
        .finalize()
        .into()
}

fn parent(left: &Node, right: &Node) -> Node {
    let node = Sha256::new().chain_update([1]).chain_update(left);
    node.chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;

    use super::*;
    use crate::hash::encoding::from_hex;

    fn of(leaves: &[Vec<u8>]) -> Tree {
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(leaf));
        tree
    }

    /// As the RFC writes it: split at the largest power of two below the number of leaves.
    fn naive(leaves: &[Vec<u8>]) -> Node {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => leaf(one),
            several => {
                let half = several.len().next_power_of_two() / 2;
                let (left, right) = several.split_at(half);
                parent(&naive(left), &naive(right))
            }
        }
    }

    /// The leaves and roots that the authors of RFC 6962 published with their implementation.
    #[test]
    fn has_the_published_roots() {
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let bytes = |text: &str| -> Vec<u8> {
            let pairs = text.as_bytes().chunks(2);
            pairs
                .map(|pair| from_hex::<1>(std::str::from_utf8(pair).unwrap()).unwrap()[0])
                .collect()
        };
        let leaves: Vec<_> = leaves.iter().map(|leaf| bytes(leaf)).collect();
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(of(&leaves[..size]).root().to_vec(), bytes(root), "{size}");
        }
    }

    #[test]
    fn agrees_with_the_naive_tree_and_with_another_crate_at_every_size() {
        let leaves: Vec<_> = (0..300_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for size in 0..=leaves.len() {
            let tree = of(&leaves[..size]);
            assert_eq!(tree.root(), naive(&leaves[..size]), "{size}");
            assert_eq!(
                tree.root().as_slice(),
                other.root().as_bytes().as_slice(),
                "{size}"
            );
            if let Some(next) = leaves.get(size) {
                other.push(next.clone());
            }
        }
    }

    #[test]
    fn goes_on_from_its_peaks() {
        let leaves: Vec<_> = (0..100_u8).map(|n| vec![n]).collect();
        for cut in 0..=leaves.len() {
            let (before, after) = leaves.split_at(cut);
            let half = of(before);
            let mut tree = Tree::of(half.size(), half.peaks().to_vec()).unwrap();
            after.iter().for_each(|leaf| tree.push(leaf));
            assert_eq!(tree, of(&leaves), "{cut}");
        }
    }

    #[test]
    fn needs_as_many_peaks_as_the_size_has_bits() {
        for (size, peaks) in [(0, 1), (1, 0), (1, 2), (2, 2), (3, 1), (u64::MAX, 63)] {
            assert_eq!(Tree::of(size, vec![[0; 32]; peaks]), None, "{size} {peaks}");
        }
        assert!(Tree::of(u64::MAX, vec![[0; 32]; 64]).is_some());
    }
}
