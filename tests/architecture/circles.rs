//! No two files hang on each other, directly or by way of others: one of them can be read, changed and tested without the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tree::{Edge, Tree};

/// A method that is called on a value names nobody, so what hangs on one alone is not seen here.
const RULE: &str = "Files that name each other, directly or by way of others, can't be read, changed or tested one without the other.\n\
                    (A module and the modules within it do not count: they are one thing in several files.)\n\
                    Give what both need a file of its own, or move it into the one that the other names anyway.";

/// Circles that are there still. The list only ever shrinks.
const KNOWN: &[&[&str]] = &[];

/// What can be reached from itself, together with what is on the same circles.
fn circles(edges: &BTreeSet<Edge>) -> BTreeSet<BTreeSet<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Edge { from, to, .. } in edges {
        next.entry(from).or_default().insert(to);
    }
    let reached = |from: &str| {
        let (mut reached, mut todo) = (BTreeSet::new(), vec![from]);
        while let Some(at) = todo.pop() {
            todo.extend(next.get(at).into_iter().flatten().filter(|to| reached.insert((**to).to_owned())));
        }
        reached
    };
    let from: BTreeMap<&str, BTreeSet<String>> = next.keys().map(|file| (*file, reached(file))).collect();
    let back = |file: &str, to: &str| from.get(to).is_some_and(|reached| reached.contains(file));
    from.iter()
        .filter(|(file, reached)| reached.contains(**file))
        .map(|(file, reached)| reached.iter().filter(|to| back(file, to)).cloned().collect())
        .collect()
}

/// One place for each pair of files.
fn told(circle: &BTreeSet<String>, edges: &BTreeSet<Edge>) -> String {
    let inside = edges.iter().filter(|edge| circle.contains(&edge.from) && circle.contains(&edge.to));
    let places: BTreeMap<_, _> = inside.rev().map(|edge| ((&edge.from, &edge.to), edge)).collect();
    places.values().map(|Edge { from, to, line, path }| format!("  {from}:{line} names {path} of {to}\n")).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The library, the program, each test and each benchmark.
fn crates() -> Vec<String> {
    let mut roots = vec!["src/lib.rs".to_owned(), "src/main.rs".to_owned()];
    for folder in ["tests", "benches"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let main = if path.is_dir() { path.join("main.rs") } else { path };
            if main.extension().is_some_and(|end| end == "rs") && main.exists() {
                roots.push(main.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    roots
}

#[test]
fn no_files_hang_on_each_other_in_a_circle() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        crate::sources(&root().join(folder), &mut files);
    }
    let mut unread: BTreeSet<String> =
        files.iter().map(|file| file.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")).collect();
    let (mut found, mut broken) = (BTreeSet::new(), String::new());
    let known: BTreeSet<BTreeSet<String>> =
        KNOWN.iter().map(|circle| circle.iter().map(|file| (*file).to_owned()).collect()).collect();
    for crate_root in crates() {
        let tree = Tree::new(&crate_root, &|file| std::fs::read_to_string(root().join(file)).ok());
        unread.retain(|file| !tree.files().contains(file));
        let edges = tree.edges();
        for circle in circles(&edges) {
            if !known.contains(&circle) && found.insert(circle.clone()) {
                broken.push_str(&format!("a circle in {crate_root}: {circle:?}\n{}", told(&circle, &edges)));
            }
            found.insert(circle);
        }
    }
    assert!(unread.is_empty(), "no crate has these files: {unread:?}");
    assert!(broken.is_empty(), "{broken}{RULE}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "no longer circles: take them off the list in tests/architecture/circles.rs: {gone:?}");
}

fn of(files: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let tree = Tree::new("src/lib.rs", &|file| files.get(file).map(|text| (*text).to_owned()));
    circles(&tree.edges()).into_iter().map(|circle| circle.into_iter().collect::<Vec<_>>().join(" ")).collect()
}

const LIB: (&str, &str) = ("src/lib.rs", "mod a; mod b; mod c; mod d;");
const D: (&str, &str) = ("src/d.rs", "pub struct D;");

#[test]
fn siblings_and_cousins_that_name_each_other_are_a_circle_however_they_name_each_other() {
    let ring = "src/a.rs src/b/mod.rs";
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use super::{d::D,\n b::{self, B}};", "pub fn b() { crate::a::f::<u8>() }"),
        ("use crate::b; fn f() { b::B }", "use super::a::*;"),
        ("mod inside { use super::super::b::B as C; }", "struct B(pub (super::a::A, u8));"),
        // What the root hands on is theirs who define it.
        ("use crate::b::B;", "use crate::Handed;"),
        ("use super::*; fn f() -> Named { Named }", "impl From<crate::a::A> for B {}"),
    ] {
        let lib = ("src/lib.rs", "mod a; mod b; mod d; pub use a::A as Handed; use b::B as Named;");
        let found = of(&[lib, ("src/a.rs", a), ("src/b/mod.rs", b), D]);
        assert_eq!(found, [ring], "{a:?} and {b:?}");
    }
    let three =
        of(&[LIB, ("src/a.rs", "use crate::b::B;"), ("src/b.rs", "use crate::c::C;"), ("src/c.rs", "use crate::a::A;"), D]);
    assert_eq!(three, ["src/a.rs src/b.rs src/c.rs"]);
    let cousins = [
        ("src/a/mod.rs", "pub mod x;"),
        ("src/a/x.rs", "use crate::b::y::Y;"),
        ("src/b.rs", "pub mod y;"),
        ("src/b/y.rs", "fn y() { crate::a::x::x() }"),
        ("src/c.rs", ""),
    ];
    assert_eq!(of(&[&[LIB, D], &cousins[..]].concat()), ["src/a/x.rs src/b/y.rs"]);
}

#[test]
fn a_line_of_files_is_none_nor_a_parent_with_its_children_nor_what_is_only_quoted() {
    for (a, b) in [
        ("use crate::b::B;", "use crate::d::D;"),
        ("use crate::b::B;", "// crate::a::A\n const TEXT: &str = \"crate::a::A\";"),
        ("use crate::b::B; use std::fmt;", "use elsewhere::a::A; fn f() { self.a.a::<A>() }"),
    ] {
        assert!(of(&[LIB, ("src/a.rs", a), ("src/b.rs", b), ("src/c.rs", ""), D]).is_empty(), "{a:?} and {b:?}");
    }
    let family = [
        ("src/a/mod.rs", "mod x; mod y; pub use x::X; pub struct Ours; fn f() { y::y() }"),
        ("src/a/x.rs", "use super::Ours; pub struct X;"),
        ("src/a/y.rs", "use super::{Ours, X};"),
        ("src/b.rs", "use crate::a::X;"),
        ("src/c.rs", "use crate::b::B;"),
    ];
    assert!(of(&[&[LIB, D], &family[..]].concat()).is_empty());
    let shared = [("src/lib.rs", "#[path = \"../tests/e/b.rs\"] mod b; mod a;"), ("src/a.rs", "use crate::b::B;")];
    assert_eq!(
        of(&[&shared[..], &[("tests/e/b.rs", "mod c; struct B;"), ("tests/e/c.rs", "use crate::a::A;")]].concat()),
        Vec::<String>::new(),
        "its child stands beside it"
    );
}
