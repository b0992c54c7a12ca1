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
    objects: HashMap<Kind, Object>,
    /// Whether the brake is pulled, as far as this process has seen to it.
    pub braked: Option<bool>,
}

#[derive(Default)]
struct Object {
    /// What was applied, when, and what it became by that.
    ours: Option<([u8; 32], Instant, String)>,
    /// As a watch last showed it; `None`: it was deleted.
    seen: Option<Option<String>>,
}

impl Applied {
    pub fn with<T>(&self, id: &Id, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default())
    }

    fn object<T>(&self, id: &Id, kind: Kind, f: impl FnOnce(&mut Object) -> T) -> T {
        self.with(id, |kept| f(kept.objects.entry(kind).or_default()))
    }

    /// The API server has taken it, and it has this version by that.
    pub fn took(&self, id: &Id, kind: Kind, hash: [u8; 32], version: String) {
        self.object(id, kind, |object| object.ours = Some((hash, Instant::now(), version)));
    }

    /// Whether there is one that we have applied. One that was deleted since may have come again as somebody else's.
    pub fn is_known(&self, id: &Id, kind: Kind) -> bool {
        self.object(id, kind, |object| object.ours.is_some() && object.seen != Some(None))
    }

    /// An object of ours was seen. Whether it is another one than we applied: then it is applied again.
    pub fn saw(&self, id: &Id, kind: Kind, version: Option<String>) -> bool {
        self.object(id, kind, |object| {
            let is_another = object.ours.as_ref().map(|(.., version)| version) != version.as_ref();
            object.seen = Some(version);
            is_another
        })
    }

    /// Whether there is nothing to apply, and nobody has changed anything since.
    pub fn is_so(&self, id: &Id, kind: Kind, hash: [u8; 32], resync: Duration) -> bool {
        self.object(id, kind, |object| {
            let Some((applied, at, version)) = &object.ours else { return false };
            let is_untouched = object.seen.as_ref().is_none_or(|seen| seen.as_ref() == Some(version));
            *applied == hash && at.elapsed() < resync && is_untouched
        })
    }

    /// It was deleted by us.
    pub fn deleted(&self, id: &Id, kind: Kind) {
        self.with(id, |kept| kept.objects.remove(&kind));
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
        let kind = Kind::ConfigMap;
        let ours = |version: &str| applied.took(&id, kind, [7; 32], version.into());
        let saw = |version: &str| applied.saw(&id, kind, Some(version.into()));
        assert!(saw("1") && !applied.is_known(&id, kind), "nothing was applied yet");
        assert!(!applied.is_so(&id, kind, [7; 32], hour));
        ours("2");
        assert!(!applied.is_so(&id, kind, [7; 32], hour), "what was seen is older");
        assert!(!saw("2"), "our own write comes back");
        assert!(applied.is_so(&id, kind, [7; 32], hour) && applied.is_known(&id, kind));
        assert!(!applied.is_so(&id, kind, [8; 32], hour) && !applied.is_so(&id, kind, [7; 32], Duration::ZERO));
        assert!(!applied.is_so(&id, Kind::Service, [7; 32], hour), "each for itself");
        // Somebody's write is seen before ours is noted down.
        assert!(saw("3"));
        ours("2");
        assert!(!applied.is_so(&id, kind, [7; 32], hour));
        ours("4");
        assert!(!saw("4") && applied.is_so(&id, kind, [7; 32], hour));
        assert!(applied.saw(&id, kind, None) && !applied.is_so(&id, kind, [7; 32], hour), "deleted");
        assert!(!applied.is_known(&id, kind), "what comes now under its name may be somebody else's");
    }
}
