//! The trace of a first baseline beside the config: it outlives a ledger whose volume is lost, so that `--new-baseline` left in a
//! command line never makes a second day one. Whoever writes it may also say how far the ledger went, so that an older copy is known.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::mistake::Errors;
use crate::model::extent::Extent;
use crate::world::file;

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

    /// How far the ledger went, where it says so.
    pub fn witness(&self) -> Result<Option<Extent>, Errors> {
        let wrong = |why: String| {
            let what = format!(
                "how far the ledger went can't be read: {why}; write it as it was, or take that line away to go on without it"
            );
            Errors::whole(&self.0.display().to_string(), what)
        };
        let text = match file::read(&self.0) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let said = text.lines().find(|line| line.starts_with('{'));
        said.map(|line| serde_json::from_str(line).map_err(|error| wrong(error.to_string()))).transpose()
    }

    /// Leaves it, unless it is there. A config is often mounted read-only: then there is none.
    pub fn leave(&self, name: &str) -> io::Result<()> {
        match OpenOptions::new().write(true).create_new(true).open(&self.0) {
            Ok(mut file) => file.write_all(content(name, None).as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What such a file says.
pub fn content(name: &str, extent: Option<&Extent>) -> String {
    let extent = extent.map(|extent| serde_json::to_string(extent).expect("its keys are strings") + "\n");
    format!(
        "The ledger of {name} has its baseline. Delete this file only to begin anew with an empty ledger.\n{}",
        extent.unwrap_or_default()
    )
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
        assert_eq!(begun.witness().unwrap(), None);
        assert!(Begun::of(Path::new("/nowhere/at/all.yaml")).leave("uniqkey").is_err());
    }

    #[test]
    fn it_may_say_how_far_the_ledger_went() {
        let dir = tempfile::tempdir().unwrap();
        let begun = Begun::of(&dir.path().join("my.yaml"));
        assert_eq!(begun.witness().unwrap(), None, "there is none");
        let taken = "2026-11-29T10:00:00Z".parse().unwrap();
        let extent = Extent { baseline_taken: taken, users: 40, lines: 12, head: Some("ab".into()) };
        std::fs::write(begun.path(), content("uniqkey", Some(&extent))).unwrap();
        assert_eq!(begun.witness().unwrap(), Some(extent));
        std::fs::write(begun.path(), content("uniqkey", None) + "{\"lines\": 3}\n").unwrap();
        let why = begun.witness().unwrap_err().to_string();
        assert!(why.contains("my.yaml.begun") && why.contains("baselineTaken"), "{why}");
    }
}
