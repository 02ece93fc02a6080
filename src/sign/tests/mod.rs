//! What the signatures promise.
