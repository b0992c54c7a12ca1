//! What is held for every user of a large tenant, and so must be small, and found without a search from the beginning.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::iter::Peekable;
use std::ops::{Bound, Deref};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The same map, built anew: one that has grown key by key has nodes that are half empty. In parts, so that it is not there twice meanwhile.
pub fn packed<K: Ord, V>(map: BTreeMap<K, V>) -> BTreeMap<K, V> {
    const PARTS: usize = 8;
    let part = (map.len() / PARTS).max(1_024);
    let (mut packed, mut left) = (BTreeMap::new(), map.into_iter().peekable());
    while left.peek().is_some() {
        packed.append(&mut left.by_ref().take(part).collect());
    }
    packed
}

/// The first place of a sorted slice that is not before what is looked for. The nearer to `near`, the sooner it is found.
pub fn partition_near<T>(sorted: &[T], near: usize, is_before: impl Fn(&T) -> bool) -> usize {
    let mut low = near.min(sorted.len());
    if low > 0 && !is_before(&sorted[low - 1]) {
        return sorted[..low].partition_point(is_before);
    }
    let mut stride = 1;
    while sorted.get(low + stride - 1).is_some_and(&is_before) {
        low += stride;
        stride *= 2;
    }
    let high = sorted.len().min(low + stride);
    low + sorted[low..high].partition_point(is_before)
}

/// Where a key is among all, which are sorted: looked for among some of them first, from where the last one was.
pub fn find_among<K: Ord>(all: &[K], some: &[u32], last: (&Cell<usize>, &Cell<usize>), key: &K) -> Option<usize> {
    let (last_of_some, last_of_all) = last;
    let n = partition_near(some, last_of_some.get(), |place| all[*place as usize] < *key);
    last_of_some.set(n);
    let place = some.get(n).map(|place| *place as usize);
    if place.is_some_and(|place| all[place] == *key) {
        return place;
    }
    let place = partition_near(all, last_of_all.get(), |one| *one < *key);
    last_of_all.set(place);
    all.get(place).is_some_and(|one| *one == *key).then_some(place)
}

/// A sorted map for whoever asks for many of its keys, mostly in their order: it goes on from the last one where that is near.
pub struct InOrder<'a, K, V> {
    map: &'a BTreeMap<K, V>,
    /// The last key that was asked for.
    last: Option<K>,
    /// All that is not before it.
    ahead: Peekable<btree_map::Range<'a, K, V>>,
}

impl<'a, K: Ord + Clone, V> InOrder<'a, K, V> {
    /// Steps that cost no more than a search.
    const NEAR: usize = 8;

    pub fn over(map: &'a BTreeMap<K, V>) -> Self {
        InOrder { map, last: None, ahead: map.range(..).peekable() }
    }

    pub fn get(&mut self, key: &K) -> Option<&'a V> {
        let is_ahead = self.last.as_ref().is_none_or(|last| last <= key);
        let is_reached = is_ahead && (0..Self::NEAR).any(|_| self.ahead.next_if(|(next, _)| *next < key).is_none());
        if !is_reached {
            self.ahead = self.map.range((Bound::Included(key), Bound::Unbounded)).peekable();
        }
        self.last = Some(key.clone());
        self.ahead.peek().filter(|(found, _)| *found == key).map(|(_, value)| *value)
    }
}

/// A set of few, in order. Many users have the same one or two groups and roles: a [`Pool`] lets them share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<T>", into = "Vec<T>", bound(serialize = "T: Clone + Serialize", deserialize = "T: Ord + Deserialize<'de>"))]
pub struct Few<T>(Arc<[T]>);

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Ord> Few<T> {
    pub fn contains(&self, one: &T) -> bool {
        self.binary_search(one).is_ok()
    }
}

impl<T: Ord + Clone> Few<T> {
    pub fn insert(&mut self, one: T) {
        if !self.contains(&one) {
            *self = self.iter().cloned().chain([one]).collect();
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few(Arc::default())
    }
}

impl<T: Ord + Clone> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, more: I) {
        more.into_iter().for_each(|one| self.insert(one));
    }
}

impl<T: Ord> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        all.into_iter().collect::<Vec<_>>().into()
    }
}

impl<T: Ord> From<Vec<T>> for Few<T> {
    fn from(mut all: Vec<T>) -> Self {
        all.sort_unstable();
        all.dedup();
        Few(all.into())
    }
}

impl<T: Clone> From<Few<T>> for Vec<T> {
    fn from(few: Few<T>) -> Self {
        few.to_vec()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Each set once, for all who have it.
#[derive(Debug)]
pub struct Pool<T>(BTreeSet<Few<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(BTreeSet::new())
    }
}

impl<T: Ord + Clone> Pool<T> {
    /// The same set, held once.
    pub fn share(&mut self, few: Few<T>) -> Few<T> {
        if let Some(known) = self.0.get(&few) {
            return known.clone();
        }
        self.0.insert(few.clone());
        few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_from_wherever_it_is_looked_for() {
        let sorted = [1, 3, 3, 3, 5, 7, 9, 11, 13, 15, 17, 19];
        for (near, asked) in (0..=sorted.len() + 1).flat_map(|near| (0..=20).map(move |asked| (near, asked))) {
            let place = partition_near(&sorted, near, |one| *one < asked);
            assert_eq!(place, sorted.partition_point(|one| *one < asked), "{asked} from {near}");
        }
        assert_eq!(partition_near(&[], 3, |one: &u8| *one < 1), 0);
    }

    #[test]
    fn one_is_found_among_all_whether_among_some_or_not() {
        let all: Vec<u32> = (0..20).map(|n| n * 2).collect();
        let (of_some, of_all) = (Cell::new(0), Cell::new(0));
        for some in [vec![], vec![3], (0..20).collect(), (0..20).step_by(3).collect(), vec![0, 19]] {
            for key in (0..41).chain((0..41).rev()).chain([7, 30, 2, 38, 0]) {
                let found = find_among(&all, &some, (&of_some, &of_all), &key);
                assert_eq!(found, all.binary_search(&key).ok(), "{key} among {some:?}");
                assert!(some.iter().all(|place| all[*place as usize] != key) || found == Some(some[of_some.get()] as usize));
            }
        }
    }

    #[test]
    fn a_key_is_found_whichever_was_asked_for_before_it() {
        let map: BTreeMap<u32, u32> = (0..60).filter(|n| n % 4 < 2).map(|n| (n, n * 10)).collect();
        for (first, then) in (0..62).flat_map(|first| (0..62).map(move |then| (first, then))) {
            let mut known = InOrder::over(&map);
            for key in [first, then, then, first] {
                assert_eq!(known.get(&key), map.get(&key), "{first}, {then}, {then}, {first}");
            }
        }
    }

    #[test]
    fn it_is_in_order_and_has_nothing_twice() {
        let mut few: Few<u8> = [3, 1, 3].into_iter().collect();
        few.insert(2);
        few.insert(1);
        assert_eq!(few.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(few.contains(&2) && !few.contains(&4));
        assert_eq!(serde_json::from_str::<Few<u8>>("[3,1,2,1]").unwrap(), few);
    }
    #[test]
    fn a_set_that_many_have_is_held_once() {
        let mut pool = Pool::default();
        let sets = [[1, 2], [2, 1], [1, 3]].map(|few| pool.share(Few::from_iter(few)));
        assert_eq!(sets, [[1, 2], [1, 2], [1, 3]].map(Few::from_iter));
        assert!(Arc::ptr_eq(&sets[0].0, &sets[1].0) && !Arc::ptr_eq(&sets[0].0, &sets[2].0));
    }
}
