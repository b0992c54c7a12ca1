//! The trace of a first baseline beside the config: it outlives a ledger whose volume is lost, so that `--new-baseline` left in a
//! command line never makes a second day one.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The config's own path with `.begun` behind it.
pub struct Begun(PathBuf);

impl Begun {
    pub fn of(config: &Path) -> Begun {
        let mut path = config.as_os_str().to_owned();
        path.push(".begun");
        Begun(PathBuf::from(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whatever lies there counts; where nobody may look, nothing is known of it.
    pub fn is_there(&self) -> bool {
        self.0.symlink_metadata().is_ok()
    }

    /// Leaves it, unless it is there. A config is often mounted read-only: then there is none.
    pub fn leave(&self, name: &str) -> io::Result<()> {
        match OpenOptions::new().write(true).create_new(true).open(&self.0) {
            Ok(mut file) => {
                writeln!(file, "The ledger of {name} has its baseline. Delete this file only to begin anew with an empty ledger.")
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_beside_the_config_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let begun = Begun::of(&dir.path().join("my.yaml"));
        assert!(!begun.is_there());
        begun.leave("uniqkey").unwrap();
        begun.leave("another").unwrap();
        assert!(begun.is_there() && begun.path().ends_with("my.yaml.begun"));
        assert!(std::fs::read_to_string(begun.path()).unwrap().contains("uniqkey"));
        assert!(Begun::of(Path::new("/nowhere/at/all.yaml")).leave("uniqkey").is_err());
    }
}
