//! What was applied of each resource, so that nothing is sent twice, and what somebody changed is sent again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::resource::Id;
use super::worker::objects::Kind;

#[derive(Default)]
pub struct Applied(Mutex<HashMap<Id, Kept>>);

#[derive(Default)]
pub struct Kept {
    pub hash: Option<[u8; 32]>,
    pub at: Option<Instant>,
    /// By kind, as the API server last answered.
    pub versions: HashMap<&'static str, String>,
    /// By kind, as a watch last showed it; `None`: it was deleted.
    pub seen: HashMap<&'static str, Option<String>>,
    /// Whether the brake is pulled, as far as this process has seen to it.
    pub braked: Option<bool>,
}

impl Applied {
    pub fn with<T>(&self, id: &Id, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default())
    }

    /// An object of ours was seen. Whether it is another one than we applied: then all are applied again.
    pub fn saw(&self, id: &Id, kind: Kind, version: Option<String>) -> bool {
        self.with(id, |kept| {
            let is_another = kept.versions.get(kind.name()) != version.as_ref();
            kept.seen.insert(kind.name(), version);
            is_another
        })
    }

    /// Whether nothing else is to be applied, and nobody has changed anything since.
    pub fn is_so(&self, id: &Id, hash: [u8; 32], resync: Duration) -> bool {
        self.with(id, |kept| {
            let is_fresh = kept.at.is_some_and(|at| at.elapsed() < resync);
            let is_untouched = kept.seen.iter().all(|(kind, seen)| seen.as_ref() == kept.versions.get(kind));
            kept.hash == Some(hash) && is_fresh && is_untouched
        })
    }

    pub fn forget(&self, id: &Id) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// What tells whether somebody changed it: not a status, where there is one.
pub fn version(metadata: &kube::core::ObjectMeta) -> Option<String> {
    let generation = metadata.generation.map(|generation| format!("g{generation}"));
    generation.or_else(|| metadata.resource_version.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_changes_while_we_apply_is_applied_again() {
        let (id, hour) = (Id { namespace: "a".into(), name: "b".into() }, Duration::from_secs(3600));
        let applied = Applied::default();
        let ours = |version: &str| {
            applied.with(&id, |kept| {
                kept.versions.insert("ConfigMap", version.into());
                (kept.hash, kept.at) = (Some([7; 32]), Some(Instant::now()));
            });
        };
        assert!(applied.saw(&id, Kind::ConfigMap, Some("1".into())), "nothing was applied yet");
        assert!(!applied.is_so(&id, [7; 32], hour));
        ours("2");
        assert!(!applied.is_so(&id, [7; 32], hour), "what was seen is older");
        assert!(!applied.saw(&id, Kind::ConfigMap, Some("2".into())), "our own write comes back");
        assert!(applied.is_so(&id, [7; 32], hour));
        assert!(!applied.is_so(&id, [8; 32], hour) && !applied.is_so(&id, [7; 32], Duration::ZERO));
        // Somebody's write is seen before ours is noted down.
        assert!(applied.saw(&id, Kind::ConfigMap, Some("3".into())));
        ours("2");
        assert!(!applied.is_so(&id, [7; 32], hour));
        ours("4");
        assert!(!applied.saw(&id, Kind::ConfigMap, Some("4".into())) && applied.is_so(&id, [7; 32], hour));
        assert!(applied.saw(&id, Kind::ConfigMap, None) && !applied.is_so(&id, [7; 32], hour), "deleted");
    }
}
