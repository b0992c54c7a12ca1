//! Chance from a seed.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

pub struct Dice(StdRng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(StdRng::seed_from_u64(seed))
    }

    /// From 0 to below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n.max(1))
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_secs(self.0.random_range(from..=to))
    }

    pub fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        items.choose(&mut self.0).expect("there is something to choose from")
    }

    pub fn some(&mut self, most: usize, chance: usize) -> BTreeSet<usize> {
        (1..=most).filter(|_| self.one_in(chance)).collect()
    }
}
