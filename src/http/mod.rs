//! tower layers and axum extractors.
