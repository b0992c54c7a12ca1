//! Kinds of trouble that only some worlds have. Each has chance of its own, so that a world without one of them is
//! otherwise the same. `UNSCIM_TROUBLE=Items,Slow` has these at most, `UNSCIM_TROUBLE=` none.

use std::collections::BTreeMap;

use crate::dice::Dice;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Items of a `$batch`, and whole ones.
    Items,
    /// Reads that take seconds each, many in a row.
    Slow,
    SecondDaemon,
    Rollback,
    /// Our clock jumps.
    ClockSteps,
    /// Reads come in turn from the present and from a while ago.
    Replicas,
    /// A `Date` that is years or hours off.
    WrongDates,
}

use Trouble::*;

const ALL: [Trouble; 7] = [Items, Slow, SecondDaemon, Rollback, ClockSteps, Replicas, WrongDates];

/// What one world has, with how often it struck.
pub struct Kinds(BTreeMap<Trouble, (Dice, usize)>);

impl Kinds {
    pub fn of(seed: u64) -> Kinds {
        let wanted = std::env::var("UNSCIM_TROUBLE").ok();
        let is_on = |kind: &Trouble| wanted.as_ref().is_none_or(|names| names.split(',').any(|name| name == format!("{kind:?}")));
        let drawn = |kind: Trouble| {
            let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(kind as u64));
            dice.one_in(2).then_some((kind, (dice, 0)))
        };
        Kinds(ALL.into_iter().filter(is_on).filter_map(drawn).collect())
    }

    /// Its chance, if this world has it.
    pub fn dice(&mut self, kind: Trouble) -> Option<&mut Dice> {
        self.0.get_mut(&kind).map(|(dice, _)| dice)
    }

    /// Its chance, if this world has it and one time in `n` has come.
    pub fn strikes(&mut self, kind: Trouble, n: usize) -> Option<&mut Dice> {
        let (dice, struck) = self.0.get_mut(&kind)?;
        dice.one_in(n).then(|| {
            *struck += 1;
            dice
        })
    }

    pub fn struck(&self) -> BTreeMap<Trouble, usize> {
        self.0.iter().map(|(kind, (_, struck))| (*kind, *struck)).collect()
    }
}
