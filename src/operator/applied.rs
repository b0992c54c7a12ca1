//! What was applied of each resource, so that nothing is sent twice, and what somebody changed is sent again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::resource::Id;
use super::worker::objects::{BRAKE_MANAGER, Kind};

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
    /// The digest of what was applied, or found to be, when, and which version that is.
    ours: Option<(String, Instant, String)>,
    /// As a watch last showed it; `None`: it was deleted.
    seen: Option<Option<String>>,
    /// Whose it is, by the same: the id of its controller, and of a claim, which has none, the name of the resource.
    owner: Option<String>,
}

impl Applied {
    pub fn with<T>(&self, id: &Id, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default())
    }

    fn object<T>(&self, id: &Id, kind: Kind, f: impl FnOnce(&mut Object) -> T) -> T {
        self.with(id, |kept| f(kept.objects.entry(kind).or_default()))
    }

    /// It stands so at the API server, in this version.
    pub fn took(&self, id: &Id, kind: Kind, digest: &str, version: String) {
        self.object(id, kind, |object| object.ours = Some((digest.to_owned(), Instant::now(), version)));
    }

    /// Whether this process knows what is applied there.
    pub fn has_taken(&self, id: &Id, kind: Kind) -> bool {
        self.object(id, kind, |object| object.ours.is_some())
    }

    /// Whether there is one that belongs to this resource: by what a watch last showed, and before that by our own write. One that was
    /// deleted may have come again as somebody else's.
    pub fn is_known(&self, id: &Id, kind: Kind, owner: &str) -> bool {
        self.object(id, kind, |object| match &object.seen {
            Some(Some(_)) => object.owner.as_deref() == Some(owner),
            Some(None) => false,
            None => object.ours.is_some(),
        })
    }

    /// An object of ours was seen. Whether it is another one than we applied: then it is applied again.
    pub fn saw(&self, id: &Id, kind: Kind, seen: Seen) -> bool {
        self.with(id, |kept| {
            // What nobody has pulled need not be let go, what somebody has let go is pulled again, and what is gone is not known.
            if kind == Kind::ConfigMap {
                kept.braked = match (&seen.version, seen.is_braked) {
                    (None, _) => None,
                    (Some(_), false) => Some(false),
                    (Some(_), true) => kept.braked.filter(|pulled| *pulled),
                };
            }
            let object = kept.objects.entry(kind).or_default();
            let is_another = object.ours.as_ref().map(|(.., version)| version) != seen.version.as_ref();
            (object.owner, object.seen) = (seen.owner, Some(seen.version));
            is_another
        })
    }

    /// Whether there is nothing to apply, and nobody has changed anything since.
    pub fn is_so(&self, id: &Id, kind: Kind, digest: &str, resync: Duration) -> bool {
        self.object(id, kind, |object| {
            let Some((applied, at, version)) = &object.ours else { return false };
            let is_untouched = object.seen.as_ref().is_none_or(|seen| seen.as_ref() == Some(version));
            applied == digest && at.elapsed() < resync && is_untouched
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

/// An object as a watch shows it.
#[derive(Default)]
pub struct Seen {
    /// `None`: it was deleted.
    version: Option<String>,
    owner: Option<String>,
    is_braked: bool,
}

impl Seen {
    pub fn of(metadata: &kube::core::ObjectMeta, kind: Kind, id: &Id) -> Seen {
        let mut owners = metadata.owner_references.iter().flatten();
        let controller = owners.find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone());
        let owner = if kind == Kind::PersistentVolumeClaim { Some(id.name.clone()) } else { controller };
        let mut managers = metadata.managed_fields.iter().flatten();
        let is_braked = managers.any(|entry| entry.manager.as_deref() == Some(BRAKE_MANAGER));
        Seen { version: version(metadata), owner, is_braked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_changes_while_we_apply_is_applied_again() {
        let (id, hour) = (Id { namespace: "a".into(), name: "b".into() }, Duration::from_secs(3600));
        let applied = Applied::default();
        let kind = Kind::ConfigMap;
        let there = |version: &str| Seen { version: Some(version.into()), owner: Some("uid".into()), is_braked: false };
        let ours = |version: &str| applied.took(&id, kind, "seven", version.into());
        let saw = |version: &str| applied.saw(&id, kind, there(version));
        assert!(saw("1") && !applied.is_known(&id, kind, "another"), "nothing was applied yet");
        assert!(applied.is_known(&id, kind, "uid"), "it is there and belongs to it");
        assert!(!applied.is_so(&id, kind, "seven", hour));
        ours("2");
        assert!(!applied.is_so(&id, kind, "seven", hour), "what was seen is older");
        assert!(!saw("2"), "our own write comes back");
        assert!(applied.is_so(&id, kind, "seven", hour) && applied.is_known(&id, kind, "uid"));
        assert!(!applied.is_so(&id, kind, "eight", hour) && !applied.is_so(&id, kind, "seven", Duration::ZERO));
        assert!(!applied.is_so(&id, Kind::Service, "seven", hour), "each for itself");
        // Somebody's write is seen before ours is noted down.
        assert!(saw("3"));
        ours("2");
        assert!(!applied.is_so(&id, kind, "seven", hour));
        ours("4");
        assert!(!saw("4") && applied.is_so(&id, kind, "seven", hour));
        assert!(applied.saw(&id, kind, Seen::default()) && !applied.is_so(&id, kind, "seven", hour), "deleted");
        assert!(!applied.is_known(&id, kind, "uid"), "what comes now under its name may be somebody else's");
        ours("5");
        applied.saw(&id, kind, Seen { owner: Some("another".into()), ..there("6") });
        assert!(!applied.is_known(&id, kind, "uid"), "and is");
    }

    #[test]
    fn a_brake_that_somebody_lets_go_is_pulled_again() {
        let id = Id { namespace: "a".into(), name: "b".into() };
        let applied = Applied::default();
        let braked = || applied.with(&id, |kept| kept.braked);
        let saw = |version: &str, is_braked| {
            applied.saw(&id, Kind::ConfigMap, Seen { version: Some(version.into()), owner: None, is_braked });
            braked()
        };
        assert_eq!((saw("1", true), saw("2", false)), (None, Some(false)), "somebody else's hand may be on it");
        applied.with(&id, |kept| kept.braked = Some(true));
        assert_eq!((saw("3", true), saw("4", false)), (Some(true), Some(false)));
        applied.saw(&id, Kind::ConfigMap, Seen::default());
        assert_eq!(braked(), None);
    }
}
