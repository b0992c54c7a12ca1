//! Who may import whom. A line that breaks the table fails with the line and the row.

use std::path::{Path, PathBuf};

/// Module (a file or folder below `src`), and what it may name of ours.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("guide", &["model", "guide"]),
    ("plan", &["model", "guide", "plan"]),
    ("settle", &["model", "guide", "settle"]),
    ("remember", &["model", "guide", "settle", "remember"]),
    ("witness", &["model", "guide", "witness"]),
    ("brakes", &["model", "guide", "plan", "brakes"]),
    (
        "world/graph",
        &[
            "model",
            "world::error",
            "world::http",
            "world::secret",
            "world::graph",
            "world::Directory",
            "world::LastWord",
            "world::Written",
        ],
    ),
    ("world/scim", &["model", "world::error", "world::http", "world::secret", "world::scim", "world::Target"]),
    ("world/ledger", &["model", "world::error", "world::ledger", "world::Ledger", "world::Outcome", "world::Written"]),
    ("world", &["model", "world"]),
    ("observe", &["model", "world"]),
    ("undo", &["model", "guide", "undo"]),
    ("act", &["model", "world", "brakes", "undo"]),
    ("report", &["model", "guide", "plan", "act"]),
    ("reconcile", &["model", "guide", "plan", "brakes", "observe", "remember", "settle", "witness", "act", "report", "world"]),
    ("sim", &["model::id", "model::engine", "sim"]),
    ("config", &["model", "config", "world::Freeze"]),
    ("serve", &["model", "serve", "bars", "term", "world::http"]),
    ("term", &["term"]),
    ("bars", &["model", "term"]),
    ("wiring", &["model", "world"]),
    (
        "run",
        &[
            "model",
            "act",
            "bars",
            "cli",
            "config",
            "reconcile",
            "serve",
            "wiring",
            "world::Clock",
            "world::SystemClock",
            "world::http",
            "world::ledger",
        ],
    ),
    (
        "inspect",
        &[
            "model",
            "term",
            "guide",
            "cli",
            "config",
            "reconcile",
            "serve",
            "wiring",
            "world::SystemClock",
            "world::http",
            "world::ledger",
        ],
    ),
    (
        "rollback",
        &[
            "model",
            "term",
            "guide",
            "act",
            "cli",
            "config",
            "observe",
            "reconcile",
            "remember",
            "undo",
            "wiring",
            "world::SystemClock",
            "world::World",
            "world::Clock",
            "world::Directory",
            "world::Ledger",
            "world::seen",
            "world::http",
            "world::ledger",
        ],
    ),
    (
        "evidence",
        &["model", "guide", "cli", "evidence", "term", "world::SystemClock", "world::Clock", "world::Ledger", "world::ledger"],
    ),
    ("practice", &["model", "cli", "sim"]),
    ("demo", &["model", "guide", "bars", "cli", "config", "practice", "reconcile", "run", "serve::bind", "sim", "world::ledger"]),
];

/// Clients that only the wiring may know.
const CONCRETE: &[&str] = &["world::graph", "world::scim", "world::ledger", "world::webhook", "world::http"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// `world::{Outcome, Written}` names `world::Outcome` and `world::Written`.
fn named(path: &str) -> Vec<String> {
    match path.split_once('{') {
        Some((head, rest)) => {
            rest.split('}').next().unwrap_or_default().split(',').map(|name| format!("{head}{}", name.trim())).collect()
        }
        None => vec![path.to_owned()],
    }
}

#[test]
fn every_module_imports_only_what_its_row_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut broken = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().with_extension("").to_string_lossy().replace('\\', "/");
        let Some((row, allowed)) = TABLE.iter().find(|(row, _)| name == *row || name.starts_with(&format!("{row}/"))) else {
            assert!(["lib", "main", "cli"].contains(&name.as_str()), "{name} has no row in the table");
            continue;
        };
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            for (at, _) in line.match_indices("crate::") {
                for path in named(&line[at + "crate::".len()..]) {
                    let fits = |prefix: &&str| {
                        path.strip_prefix(*prefix)
                            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
                    };
                    let concrete = matches!(*row, "observe" | "act" | "report" | "reconcile") && CONCRETE.iter().any(fits);
                    if !allowed.iter().any(fits) || concrete {
                        broken.push(format!("{name}: {path} (row {row:?} allows {allowed:?})"));
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn judgement_knows_no_clock_and_no_network() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![
        root.join("plan.rs"),
        root.join("brakes.rs"),
        root.join("remember.rs"),
        root.join("settle.rs"),
        root.join("report.rs"),
    ];
    sources(&root.join("guide"), &mut files);
    sources(&root.join("report"), &mut files);
    sources(&root.join("model"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in ["Timestamp::now", "SystemTime", "Instant::now", "std::env", "tokio::", "async fn", "reqwest", "std::fs"] {
            assert!(!text.contains(word), "{} names {word}", file.display());
        }
    }
}

#[test]
fn calls_that_must_not_exist_are_nowhere_outside_the_practice_tenant() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files.iter().filter(|file| !file.starts_with(root.join("sim"))) {
        let text = std::fs::read_to_string(file).unwrap();
        for call in ["provisionOnDemand", "/restart", "Method::PUT", "ForceDeletes"] {
            assert!(!text.contains(call), "{} names {call}", file.display());
        }
    }
}

/// What clippy can't tell: iterators that drop whatever is an error. Where the world is read, that is a "no" that nobody said.
#[test]
fn no_reader_of_the_world_drops_a_failed_read() {
    const DROPS: [&str; 5] =
        ["flat_map(Result::", "filter_map(Result::", "Result::unwrap_or", "Result::ok)", "Result::into_iter"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("observe.rs")];
    sources(&root.join("world"), &mut files);
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let bad = text.lines().filter(|line| DROPS.iter().any(|drops| line.contains(drops)));
        found.extend(bad.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    assert!(found.is_empty(), "a failed read is a value, not nothing: {found:#?}");
}
