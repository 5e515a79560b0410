//! What a key may do: pure, total, synchronous evaluation.
