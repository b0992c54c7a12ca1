//! Who may import whom, by folders and by files. A line that breaks the table fails with the line and the row.

mod circles;
mod length;
mod source;
mod tree;

use std::path::{Path, PathBuf};

use tree::Tree;

/// A file or folder below `src`, what it may name of ours, and why no more. The first row that fits holds.
const TABLE: &[(&str, &[&str], &str)] = &[
    ("model", &["model"], "what we talk about hangs on nothing"),
    ("judge", &["model", "judge"], "judgement is pure: it looks at nothing, writes nothing and knows no door"),
    ("world/connect", &["model", "world"], "puts the clients behind the doors"),
    (
        "world/graph",
        &[
            "model",
            "world::error",
            "world::http",
            "world::pem",
            "world::secret",
            "world::graph",
            "world::Directory",
            "world::LastWord",
            "world::Written",
        ],
        "one client knows no other",
    ),
    (
        "world/scim",
        &["model", "world::error", "world::http", "world::secret", "world::scim", "world::Target", "world::AppList"],
        "one client knows no other",
    ),
    (
        "world/ledger",
        &["model", "world::error", "world::ledger", "world::Ledger", "world::Outcome", "world::Written"],
        "one client knows no other",
    ),
    ("world", &["model", "world"], "the doors don't know who goes through them"),
    ("turn/observe", &["model", "world", "turn::observe"], "a look judges nothing"),
    ("turn/settle", &["model", "judge", "turn::settle"], "pure"),
    ("turn/remember", &["model", "judge", "turn::permit", "turn::settle", "turn::remember"], "pure"),
    ("turn/history", &["model", "judge", "turn::history"], "pure"),
    ("turn/warnings", &["model"], "pure"),
    ("turn/act", &["model", "world", "judge::brakes", "undo", "turn::act"], "what is carried out was judged before"),
    ("turn/report", &["model", "judge", "turn::act", "turn::report"], "pure"),
    ("turn", &["model", "judge", "world", "turn"], "the loop knows nobody who calls it"),
    ("undo/judge", &["model", "judge"], "pure"),
    (
        "undo",
        &[
            "model",
            "judge",
            "turn",
            "undo",
            "world::World",
            "world::Clock",
            "world::Directory",
            "world::Ledger",
            "world::observed",
        ],
        "a rollback goes through the same doors as a turn",
    ),
    ("evidence", &["model", "judge", "evidence"], "pure: it proves from what the ledger gave"),
    (
        "serve",
        &["model", "serve", "world::http", "world::pem", "world::secret"],
        "it shows what was published, and knows no insides of the daemon",
    ),
    ("config", &["model", "config", "world::Freeze", "world::file"], "a file to a spec"),
    ("practice", &["model::id", "model::engine", "practice"], "the practice tenant is no part of the daemon"),
    (
        "operator/worker",
        &["config", "model::extent", "model::words", "operator::resource", "operator::worker"],
        "pure: what a worker is, made of its resource",
    ),
    ("operator/crd", &["config", "operator::resource", "operator::crd"], "pure: the definition, made of the one list of fields"),
    (
        "operator",
        &["model", "operator", "config::freeze::FILE", "serve::Tls", "serve::bind", "serve::listen_with"],
        "it knows no door to Entra or an app: what a worker does it only hears of",
    ),
    ("cli/terminal", &["model", "cli::terminal"], "it prints what it is given"),
    ("cli/telemetry", &["model", "cli::terminal", "world::http::SPANS"], "the log"),
    ("cli/args", &["cli::telemetry", "model::status", "operator::worker::egress"], "flags"),
    (
        "cli",
        &["cli", "config", "evidence", "judge", "model", "operator", "practice", "serve", "turn", "undo", "world"],
        "a verb may use all of it, and nothing uses a verb",
    ),
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

#[test]
fn every_module_imports_only_what_its_row_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = Tree::new("src/lib.rs", &|file| std::fs::read_to_string(root.join(file)).ok());
    let mut broken = Vec::new();
    for (file, line, path) in tree.named_from_the_root() {
        let name = file.trim_start_matches("src/").trim_end_matches(".rs");
        let Some((row, allowed, why)) = TABLE.iter().find(|(row, ..)| name == *row || name.starts_with(&format!("{row}/")))
        else {
            assert_eq!(name, "lib", "{name} has no row in the table");
            continue;
        };
        let fits = |prefix: &&str| {
            path.strip_prefix(*prefix).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        let own = name.trim_end_matches("/mod").replace('/', "::");
        let concrete = row.starts_with("turn") && CONCRETE.iter().any(fits);
        if !allowed.iter().chain([&own.as_str()]).any(fits) || concrete {
            broken.push(format!("{file}:{line}: {path} ({why}; row {row:?} allows {allowed:?})"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn judgement_knows_no_clock_and_no_network() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("turn/settle.rs"), root.join("turn/history.rs"), root.join("undo/judge.rs")];
    for pure in ["judge", "turn/remember", "turn/report", "turn/warnings", "evidence"] {
        sources(&root.join(pure), &mut files);
    }
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
    for file in files.iter().filter(|file| !file.starts_with(root.join("practice"))) {
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
    let mut files = Vec::new();
    sources(&root.join("turn/observe"), &mut files);
    sources(&root.join("world"), &mut files);
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let bad = text.lines().filter(|line| DROPS.iter().any(|drops| line.contains(drops)));
        found.extend(bad.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    assert!(found.is_empty(), "a failed read is a value, not nothing: {found:#?}");
}
