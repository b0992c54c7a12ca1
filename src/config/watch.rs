//! The config as it changes on disk: the last good one stays in force, and what is wrong with a newer one is told once.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Errors, load};
use crate::model::spec::Spec;

/// A config file, looked at again and again.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    /// Of what was there at the last look; `None` where it could not be read.
    last: Option<[u8; 32]>,
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
        let last = fingerprint(path);
        Ok((load(path)?, Watched { path: path.to_owned(), last }))
    }

    pub fn look(&mut self) -> News {
        let now = fingerprint(&self.path);
        if now == self.last {
            return News::Nothing;
        }
        self.last = now;
        match load(&self.path) {
            Ok(spec) => News::Good(Box::new(spec)),
            Err(errors) => News::Bad(errors),
        }
    }
}

/// Not the time of the file: a mounted ConfigMap is another file behind the same name.
fn fingerprint(path: &Path) -> Option<[u8; 32]> {
    Some(Sha256::digest(std::fs::read(path).ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unscim.yaml");
        let good = include_str!("../../config/observe.yaml");
        std::fs::write(&path, good).unwrap();
        let (spec, mut watched) = Watched::load(&path).unwrap();
        assert!(matches!(watched.look(), News::Nothing));
        std::fs::write(&path, good.replace("name: uniqkey", "name: other")).unwrap();
        let News::Good(other) = watched.look() else { panic!() };
        assert_eq!((spec.name.as_str(), other.name.as_str()), ("uniqkey", "other"));
        for bad in ["spec: [", "", &good.replace("mode: Observe", "mode: Look")] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(watched.look(), News::Bad(_)), "{bad}");
            assert!(matches!(watched.look(), News::Nothing));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(watched.look(), News::Bad(_)));
        assert!(matches!(watched.look(), News::Nothing));
        std::fs::write(&path, good).unwrap();
        assert!(matches!(watched.look(), News::Good(_)));
    }
}
