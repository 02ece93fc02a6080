//! The elements of a map, or the attributes of an object or a block.

use std::fmt;
use std::sync::Arc;

use super::Value;

/// The elements of a map or the attributes of an object, in the order of their names.
///
/// A sorted vector: there are very many objects with a handful of attributes each, and a tree has room for eleven in every node
/// (docs/decisions). Looking up is a binary search; what adds many elements in any order collects them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Map<V = Value>(Vec<(Arc<str>, V)>);

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Map<V> {
    /// Without elements.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Without elements, and room for so many.
    #[must_use]
    pub fn with_capacity(elements: usize) -> Self {
        Self(Vec::with_capacity(elements))
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| (**own).cmp(name))
    }

    /// The element of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        self.find(name).ok().map(|at| &self.0[at].1)
    }

    /// The element of a name, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.find(name).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether there is an element of a name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Sets an element, and gives the one that it replaces. Behind all others at once; in between, everything behind it moves.
    pub fn insert(&mut self, name: Arc<str>, value: V) -> Option<V> {
        if self.0.last().is_none_or(|(last, _)| *last < name) {
            self.0.push((name, value));
            return None;
        }
        match self.find(&name) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    /// Takes an element out.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        self.find(name).ok().map(|at| self.0.remove(at).1)
    }

    /// The elements with their names.
    pub fn iter(&self) -> Iter<'_, V> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The elements, to change them, with their names.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut V)> {
        self.0.iter_mut().map(|(name, value)| (&*name, value))
    }

    /// The names.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Arc<str>> + DoubleEndedIterator + Clone {
        self.0.iter().map(|(name, _)| name)
    }

    /// The elements, in the order of their names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> + DoubleEndedIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The elements, in the order of their names.
    pub fn into_values(self) -> impl ExactSizeIterator<Item = V> + DoubleEndedIterator {
        self.0.into_iter().map(|(_, value)| value)
    }

    /// Keeps only what is wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Arc<str>, &mut V) -> bool) {
        self.0.retain_mut(|(name, value)| wanted(name, value));
    }
}

/// Goes over the elements of a [`Map`].
pub(super) type Iter<'m, V> =
    std::iter::Map<std::slice::Iter<'m, (Arc<str>, V)>, fn(&'m (Arc<str>, V)) -> (&'m Arc<str>, &'m V)>;

impl<'m, V> IntoIterator for &'m Map<V> {
    type Item = (&'m Arc<str>, &'m V);
    type IntoIter = Iter<'m, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<V> IntoIterator for Map<V> {
    type Item = (Arc<str>, V);
    type IntoIter = std::vec::IntoIter<(Arc<str>, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<V> FromIterator<(Arc<str>, V)> for Map<V> {
    /// Of elements of one name the last one counts.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, V)>>(elements: I) -> Self {
        let mut all: Vec<(Arc<str>, V)> = elements.into_iter().collect();
        if !all.is_sorted_by(|a, b| a.0 < b.0) {
            all.sort_by(|a, b| a.0.cmp(&b.0));
            // The second of two is dropped, so the last one's value goes to the first one first.
            all.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    std::mem::swap(&mut next.1, &mut kept.1);
                }
                same
            });
        }
        Self(all)
    }
}

impl<V, const N: usize> From<[(Arc<str>, V); N]> for Map<V> {
    fn from(elements: [(Arc<str>, V); N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<V> Extend<(Arc<str>, V)> for Map<V> {
    fn extend<I: IntoIterator<Item = (Arc<str>, V)>>(&mut self, elements: I) {
        let own = std::mem::take(&mut self.0);
        *self = own.into_iter().chain(elements).collect();
    }
}

impl<V: fmt::Debug> fmt::Debug for Map<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a tree says of the same elements.
        #[test]
        fn is_as_a_tree(pairs in proptest::collection::vec(("[a-d]{0,2}", 0_i64..9), 0..12), taken in "[a-d]{0,2}") {
            let pairs: Vec<(Arc<str>, Value)> = pairs.into_iter().map(|(n, v)| (n.into(), Value::number(v))).collect();
            let mut tree: std::collections::BTreeMap<Arc<str>, Value> = pairs.iter().cloned().collect();
            let mut collected: Map = pairs.iter().cloned().collect();
            let mut inserted = Map::new();
            for (name, value) in &pairs {
                inserted.insert(name.clone(), value.clone());
            }
            let mut extended = Map::new();
            extended.extend(pairs);
            let all: Vec<_> = tree.iter().collect();
            prop_assert_eq!(&collected.iter().collect::<Vec<_>>(), &all);
            prop_assert_eq!(&inserted.iter().collect::<Vec<_>>(), &all);
            prop_assert_eq!(&extended.iter().collect::<Vec<_>>(), &all);
            prop_assert_eq!(collected.get(&taken), tree.get(&*taken));
            prop_assert_eq!(collected.remove(&taken), tree.remove(&*taken));
            prop_assert_eq!(collected.iter().collect::<Vec<_>>(), tree.iter().collect::<Vec<_>>());
        }
    }
}
