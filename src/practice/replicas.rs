//! Copies of the directory that answer in turn, the first at once and each further one later by the same span.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::clock::earlier;
use super::scenario::Replicas as Wanted;

pub(crate) struct Replicas {
    wanted: Wanted,
    /// How often each path was asked for.
    asked: BTreeMap<String, u32>,
}

impl Replicas {
    pub fn new(wanted: Wanted) -> Self {
        Replicas { wanted, asked: BTreeMap::new() }
    }

    /// The time whose state a read of this path shows. Each read goes to the next copy; the further pages of a list come
    /// from where its first page came from.
    pub fn as_of(&mut self, path: &str, query: &str, now: Timestamp) -> Timestamp {
        if self.wanted.count <= 1 {
            return now;
        }
        let asked = self.asked.entry(path.to_owned()).or_default();
        if !query.contains("skiptoken") {
            *asked += 1;
        }
        let copy = asked.saturating_sub(1) % self.wanted.count;
        earlier(now, self.wanted.behind.saturating_mul(copy))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reads_of_one_path_take_turns_and_pages_stay_where_they_began() {
        let behind = Duration::from_secs(100);
        let mut replicas = Replicas::new(Wanted { count: 2, behind });
        let now = Timestamp::UNIX_EPOCH;
        let old = earlier(now, behind);
        assert_eq!(replicas.as_of("/a", "", now), now);
        assert_eq!(replicas.as_of("/b", "", now), now);
        assert_eq!(replicas.as_of("/a", "", now), old);
        assert_eq!(replicas.as_of("/a", "$skiptoken=x", now), old);
        assert_eq!(replicas.as_of("/a", "", now), now);
    }
}
