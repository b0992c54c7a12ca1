//! The operator's brake: a file beside the config, or `hold: Held` in the config as it is on disk now.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::tree;
use crate::world::{Freeze, file};

/// Name of the file beside the config whose being there stops every write, whatever is in it.
pub const FILE: &str = "freeze";

/// Looks at the disk each time that it is asked.
#[derive(Clone, Debug)]
pub struct ConfigFreeze {
    config: PathBuf,
    file: PathBuf,
}

impl ConfigFreeze {
    pub fn of(config: &Path) -> Self {
        ConfigFreeze { config: config.to_owned(), file: config.with_file_name(FILE) }
    }
}

impl Freeze for ConfigFreeze {
    fn why(&self) -> Option<String> {
        let file = self.file.display();
        match fs::symlink_metadata(&self.file) {
            Ok(_) => return Some(format!("the file {file} is there; remove it to go on")),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Some(format!("whether the file {file} is there can't be told: {error}")),
        }
        // A config that can't be read any more changes nothing; what it said last goes on.
        let text = String::from_utf8(file::read(&self.config).ok()?).ok()?;
        says_held(&text).then(|| format!("spec.hold in {} is not None; set it to None to go on", self.config.display()))
    }
}

/// Even a config that is wrong elsewhere may pull the brake, and so may a word that is not quite right: only `None` lets go.
fn says_held(text: &str) -> bool {
    match tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Ok((value, _)) => match value.pointer("/spec/hold") {
            None | Some(serde_json::Value::Null) => false,
            Some(hold) => hold.as_str() != Some("None"),
        },
        Err(_) => text.lines().any(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let hold = line.split_once("hold:").filter(|(before, _)| before.trim().is_empty());
            hold.is_some_and(|(_, hold)| !["", "None"].contains(&hold.trim().trim_matches(['"', '\''])))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_the_config_or_a_word_in_it_stops_every_write() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("unscim.yaml");
        let freeze = ConfigFreeze::of(&config);
        assert_eq!(freeze.why(), None, "no config at all says nothing new");
        fs::write(&config, "spec:\n  mode: Enforce\n").unwrap();
        assert_eq!(freeze.why(), None);
        fs::write(dir.path().join(FILE), "").unwrap();
        assert!(freeze.why().is_some_and(|why| why.contains("remove it to go on")));
        fs::remove_file(dir.path().join(FILE)).unwrap();
        for held in [
            "spec:\n  hold: Held\n",
            "spec: [\n  hold: Held # now\n",
            "spec:\n  hold: Held\n  nonsense: 1\n",
            "spec:\n  hold: held\n",
            "spec:\n  hold: true\n",
            "spec: [\n  hold: stop\n",
        ] {
            fs::write(&config, held).unwrap();
            assert!(freeze.why().is_some_and(|why| why.contains("spec.hold")), "{held}");
        }
        for open in [
            "spec:\n  hold: None\n",
            "spec: [\n  # hold: Held\n",
            "spec:\n  target:\n    hold: Held\n",
            "spec:\n  hold:\n",
            "spec: [\n  hold: 'None'\n",
        ] {
            fs::write(&config, open).unwrap();
            assert_eq!(freeze.why(), None, "{open}");
        }
    }
}
