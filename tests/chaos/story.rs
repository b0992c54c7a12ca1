//! What became of worlds that ended well.

use std::collections::BTreeMap;

use crate::kinds::Trouble;

#[derive(Debug)]
pub struct Story {
    pub turns: usize,
    pub deaths: usize,
    pub acts: usize,
    pub faults: usize,
    pub second_turns: usize,
    pub struck: BTreeMap<Trouble, usize>,
    /// Every request with its answer, in order.
    pub told: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Totals {
    pub ended_well: usize,
    pub turns: usize,
    pub requests: usize,
    pub deaths: usize,
    pub admin_acts: usize,
    pub faults: usize,
    pub second_turns: usize,
    /// Of the kinds that only some worlds have.
    pub struck: BTreeMap<Trouble, usize>,
}

impl Totals {
    pub fn add(&mut self, story: &Story) {
        self.ended_well += 1;
        self.turns += story.turns;
        self.requests += story.told.len();
        self.deaths += story.deaths;
        self.admin_acts += story.acts;
        self.faults += story.faults;
        self.second_turns += story.second_turns;
        for (kind, times) in &story.struck {
            *self.struck.entry(*kind).or_default() += times;
        }
    }
}
