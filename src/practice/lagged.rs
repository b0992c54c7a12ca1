//! A value whose writes show in reads each at its own time. The truth is always the last write.

use jiff::Timestamp;

#[derive(Clone, Debug)]
pub struct Lagged<T>(Vec<(Timestamp, T)>);

impl<T: Copy> Lagged<T> {
    /// A value that shows from `visible` on; before that there is nothing.
    pub fn new(visible: Timestamp, value: T) -> Self {
        Lagged(vec![(visible, value)])
    }

    pub fn write(&mut self, visible: Timestamp, value: T) {
        self.0.push((visible, value));
    }

    /// What the directory itself holds.
    pub fn truth(&self) -> T {
        self.0.last().expect("a lagged value starts with one write").1
    }

    /// What a replica shows now: a later write that has arrived hides an earlier one that has not.
    pub fn seen(&self, now: Timestamp) -> Option<T> {
        self.0.iter().rev().find(|(visible, _)| *visible <= now).map(|(_, value)| *value)
    }
}

/// Whether a thing is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    There,
    Gone,
}

impl Lagged<Presence> {
    pub fn is_there(&self) -> bool {
        self.truth() == Presence::There
    }

    pub fn shows(&self, now: Timestamp) -> bool {
        self.seen(now) == Some(Presence::There)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Presence::{Gone, There};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn writes_show_late_and_overtake_each_other() {
        let mut row = Lagged::new(at(0), There);
        row.write(at(10), Gone);
        row.write(at(5), There);
        assert!(row.is_there() && row.shows(at(3)) && row.shows(at(20)));
        let mut row = Lagged::new(at(10), There);
        row.write(at(5), Gone);
        assert_eq!((row.seen(at(4)), row.seen(at(6)), row.seen(at(20))), (None, Some(Gone), Some(Gone)));
    }
}
