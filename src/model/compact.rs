//! What is held for every user of a large tenant, and so must be small.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The same map, built at once: one that has grown in the order of its keys has nodes that are half empty.
pub fn packed<K: Ord, V>(map: BTreeMap<K, V>) -> BTreeMap<K, V> {
    map.into_iter().collect()
}

/// A set of few, in order: a tree would spend a node of some hundred bytes on the one or two groups of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<T>", bound(deserialize = "T: Ord + Deserialize<'de>"))]
pub struct Few<T>(Vec<T>);

impl<T> Few<T> {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T: Ord> Few<T> {
    pub fn contains(&self, one: &T) -> bool {
        self.0.binary_search(one).is_ok()
    }

    pub fn insert(&mut self, one: T) {
        if let Err(place) = self.0.binary_search(&one) {
            self.0.reserve_exact(1);
            self.0.insert(place, one);
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few(Vec::new())
    }
}

impl<T: Ord> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, more: I) {
        more.into_iter().for_each(|one| self.insert(one));
    }
}

impl<T: Ord> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut few = Few::default();
        few.extend(all);
        few
    }
}

impl<T: Ord> From<Vec<T>> for Few<T> {
    fn from(all: Vec<T>) -> Self {
        all.into_iter().collect()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_order_and_has_nothing_twice() {
        let mut few: Few<u8> = [3, 1, 3].into_iter().collect();
        few.insert(2);
        few.insert(1);
        assert_eq!(few.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(few.contains(&2) && !few.contains(&4));
        assert_eq!(serde_json::from_str::<Few<u8>>("[3,1,2,1]").unwrap(), few);
    }
}
