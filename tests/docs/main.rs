//! What is handed out with the program says what is so: the pages, the rules and the dashboard, the image and the manifests.

mod alerts;
mod deploy;
mod pages;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What can be read as text below a folder.
fn texts(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, found);
        } else {
            found.extend(std::fs::read_to_string(&path).ok().map(|text| (path, text)));
        }
    }
}
