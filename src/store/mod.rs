//! Where records live: the `KeyStore` contract and the stores that ship.
