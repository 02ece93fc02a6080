//! What follows from the configuration without being said: `create_before_destroy` of what such an object depends on.

use std::collections::BTreeSet;

use super::outline::{BlockId, Outline};

/// The blocks that are made before their predecessors go: those that say so, and all that these depend on. Otherwise the old
/// object of such a one would have to go while what it needs has gone already.
pub(super) fn made_first(outline: &Outline) -> BTreeSet<BlockId> {
    let says_so = |id: &BlockId| outline.block(*id).lifecycle.create_before_destroy;
    let mut open: Vec<BlockId> = outline.needs.keys().copied().filter(says_so).collect();
    let mut found: BTreeSet<BlockId> = open.iter().copied().collect();
    while let Some(at) = open.pop() {
        for need in outline.needs.get(&at).into_iter().flatten() {
            if found.insert(*need) {
                open.push(*need);
            }
        }
    }
    found
}
