//! From a presented secret to a yes or no: slow hashes, keyed digests, proofs and the pool that runs the slow ones.
