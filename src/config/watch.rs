//! The config as it changes on disk: the last good one stays in force, and what is wrong with a newer one is told once.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Errors, checked, contents};
use crate::model::spec::{Hold, Mode, Spec};

/// Of what is in the file; `None` where it could not be read.
type Print = Option<[u8; 32]>;

/// A config file, looked at again and again.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    /// What was taken or told last.
    last: Print,
    /// Another text, seen once.
    next: Option<Print>,
}

/// What the file says that it did not say at the last look.
#[derive(Debug)]
pub enum News {
    Nothing,
    Good(Box<Spec>),
    Bad(Errors),
}

impl Watched {
    /// The file is read now, and watched from now on.
    pub fn load(path: &Path) -> Result<(Spec, Watched), Errors> {
        let bytes = contents(path)?;
        let last = print(&bytes);
        Ok((checked(path, bytes)?, Watched { path: path.to_owned(), last, next: None }))
    }

    /// A change counts at its second look: in the middle of a save a file may end early and be a config all the same,
    /// without its limits. What stops writes counts at once.
    pub fn look(&mut self) -> News {
        let read = contents(&self.path);
        let now = read.as_ref().map_or(None, |bytes| print(bytes));
        if now == self.last {
            self.next = None;
            return News::Nothing;
        }
        let read = read.and_then(|bytes| checked(&self.path, bytes));
        let stops = read.as_ref().is_ok_and(|spec| spec.hold != Hold::None || spec.mode == Mode::Observe);
        if !stops && self.next.replace(now) != Some(now) {
            return News::Nothing;
        }
        (self.last, self.next) = (now, None);
        match read {
            Ok(spec) => News::Good(Box::new(spec)),
            Err(errors) => News::Bad(errors),
        }
    }

    /// Another text was seen once, and it is worth looking again soon.
    pub fn is_changing(&self) -> bool {
        self.next.is_some()
    }
}

/// Not the time of the file: a mounted ConfigMap is another file behind the same name.
fn print(bytes: &[u8]) -> Print {
    Some(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(mode: &str) -> String {
        let limits = "  limits:\n    maxGroups: 3\n  windows:\n    timeZone: Europe/Copenhagen\n    open:\n      - { from: \"22:00\", to: \"04:00\" }\n";
        include_str!("../../config/observe.yaml").replace("mode: Observe", &format!("mode: {mode}")) + limits
    }

    #[test]
    fn each_change_is_told_once_at_its_second_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unscim.yaml");
        let good = text("Enforce");
        std::fs::write(&path, &good).unwrap();
        let (spec, mut watched) = Watched::load(&path).unwrap();
        assert!(matches!(watched.look(), News::Nothing));
        std::fs::write(&path, good.replace("name: uniqkey", "name: other")).unwrap();
        assert!(matches!(watched.look(), News::Nothing) && watched.is_changing());
        let News::Good(other) = watched.look() else { panic!() };
        assert_eq!((spec.name.as_str(), other.name.as_str()), ("uniqkey", "other"));
        for bad in ["spec: [", "", &good.replace("mode: Enforce", "mode: Look")] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(watched.look(), News::Nothing));
            assert!(matches!(watched.look(), News::Bad(_)), "{bad}");
            assert!(matches!(watched.look(), News::Nothing) && !watched.is_changing());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(watched.look(), News::Nothing));
        assert!(matches!(watched.look(), News::Bad(_)));
        assert!(matches!(watched.look(), News::Nothing));
        std::fs::write(&path, &good).unwrap();
        assert!(matches!(watched.look(), News::Nothing));
        assert!(matches!(watched.look(), News::Good(_)));
    }

    #[test]
    fn a_text_cut_off_in_the_middle_of_a_save_is_never_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unscim.yaml");
        let (before, after) = (text("Enforce"), text("Enforce").replace("maxGroups: 3", "maxGroups: 4"));
        std::fs::write(&path, &before).unwrap();
        let (_, mut watched) = Watched::load(&path).unwrap();
        let mut parsed = 0;
        for end in 0..after.len() {
            std::fs::write(&path, &after[..end]).unwrap();
            parsed += u32::from(super::super::load(&path).is_ok());
            assert!(matches!(watched.look(), News::Nothing), "{:?}", &after[..end]);
        }
        assert!(parsed > 20, "{parsed} beginnings are configs of their own");
        std::fs::write(&path, &after).unwrap();
        assert!(matches!(watched.look(), News::Nothing));
        let News::Good(spec) = watched.look() else { panic!() };
        assert!(spec.limits.max_groups == 4 && spec.windows.is_some());
        // What is taken back before it counted was never there.
        std::fs::write(&path, &before).unwrap();
        assert!(matches!(watched.look(), News::Nothing));
        std::fs::write(&path, &after).unwrap();
        assert!(matches!(watched.look(), News::Nothing) && !watched.is_changing());
    }

    #[test]
    fn what_stops_writes_is_in_force_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unscim.yaml");
        for stop in [text("Observe"), text("Enforce").replace("mode: Enforce", "mode: Enforce\n  hold: Held")] {
            std::fs::write(&path, text("Enforce")).unwrap();
            let (_, mut watched) = Watched::load(&path).unwrap();
            std::fs::write(&path, &stop).unwrap();
            assert!(matches!(watched.look(), News::Good(_)), "{stop}");
            // And is taken back like any change.
            std::fs::write(&path, text("Enforce")).unwrap();
            assert!(matches!(watched.look(), News::Nothing));
            assert!(matches!(watched.look(), News::Good(_)));
        }
    }
}
