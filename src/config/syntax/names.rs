//! Names, each of them kept once for a file: `content` stands in ten thousand resources.

use std::sync::Arc;

use crate::value::normal;

/// The names met so far, in a table with open addressing. Nothing walks over it, so its order is nobody's.
pub(super) struct Names {
    slots: Vec<Option<Arc<str>>>,
    used: usize,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { slots: vec![None; 64], used: 0 }
    }

    /// The name that an identifier has, in the normal form that Terraform compares names in.
    pub(super) fn get(&mut self, written: &str) -> Arc<str> {
        if written.is_ascii() { self.intern(written) } else { self.intern(&normal(written)) }
    }

    fn intern(&mut self, name: &str) -> Arc<str> {
        if self.used * 2 >= self.slots.len() {
            self.grow();
        }
        let slot = self.slot(name);
        if let Some(known) = &self.slots[slot] {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.slots[slot] = Some(Arc::clone(&new));
        self.used += 1;
        new
    }

    /// Where a name is or would be. The table is never full, so there is a place.
    fn slot(&self, name: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) & mask;
        while self.slots[slot].as_deref().is_some_and(|known| known != name) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let larger = vec![None; self.slots.len() * 2];
        for name in std::mem::replace(&mut self.slots, larger).into_iter().flatten() {
            let slot = self.slot(&name);
            self.slots[slot] = Some(name);
        }
    }
}

/// FNV-1a: names are short, and a file that was made to collide costs its own author time within the file's size limit.
fn hash(name: &str) -> usize {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
    let folded = (hash ^ (hash >> 32)) as usize;
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let mut names = Names::new();
        let first: Vec<Arc<str>> = (0..1000).map(|n| names.get(&format!("n{n}"))).collect();
        for (n, name) in first.iter().enumerate() {
            assert_eq!(**name, *format!("n{n}"));
            assert!(Arc::ptr_eq(name, &names.get(&format!("n{n}"))));
        }
        assert!(Arc::ptr_eq(&names.get("e\u{301}"), &names.get("é")));
    }
}
