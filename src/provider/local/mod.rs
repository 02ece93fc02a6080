//! The local target: files, commands and services on this machine.

use super::ResourceSchema;

/// The types of the local target.
#[must_use]
pub fn schemas() -> Vec<ResourceSchema> {
    Vec::new()
}
