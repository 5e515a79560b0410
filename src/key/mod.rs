//! The credential itself: grammar, secret, record and state. No input or output.
