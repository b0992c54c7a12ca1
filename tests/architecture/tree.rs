//! The modules of one crate, and which file a path leads to.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{self, Body, Named};

/// Where the text of a file comes from; nothing where there is none.
pub type Texts<'t> = &'t dyn Fn(&str) -> Option<String>;

struct Module {
    /// Below the crate's root.
    path: Vec<String>,
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Found {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

impl Found {
    fn module(self) -> usize {
        match self {
            Found::Module(at) | Found::Item(at) => at,
        }
    }
}

/// One file names what another one defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: String,
    pub to: String,
    /// The line and what stands there.
    pub line: usize,
    pub path: String,
}

pub struct Tree {
    modules: Vec<Module>,
}

impl Tree {
    /// From the file of the crate's root: `src/lib.rs`, or a test's `main.rs`.
    pub fn new(root: &str, texts: Texts) -> Tree {
        let mut tree = Tree { modules: Vec::new() };
        let body = source::read(&texts(root).unwrap_or_else(|| panic!("{root} is not there")));
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        tree.grow(Vec::new(), root, folder, None, body, texts);
        tree
    }

    fn grow(&mut self, path: Vec<String>, file: &str, folder: &str, parent: Option<usize>, body: Body, texts: Texts) -> usize {
        let at = self.modules.len();
        let (files, mut body) = (body.files.clone(), body);
        let inline = std::mem::take(&mut body.inline);
        self.modules.push(Module { path: path.clone(), file: file.to_owned(), parent, children: BTreeMap::new(), body });
        for (name, body) in inline {
            let child = self.grow(
                [&path[..], std::slice::from_ref(&name)].concat(),
                file,
                &format!("{folder}/{name}"),
                Some(at),
                body,
                texts,
            );
            self.modules[at].children.insert(name, child);
        }
        for (name, elsewhere) in files {
            let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            let places = match &elsewhere {
                Some(path) => vec![normal(&format!("{beside}/{path}"))],
                None => vec![format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")],
            };
            let (place, text) = places
                .iter()
                .find_map(|place| texts(place).map(|text| (place, text)))
                .unwrap_or_else(|| panic!("{file} declares `{name}`, and none of {places:?} is there"));
            let owner = elsewhere.is_some() || place.ends_with("/mod.rs");
            let folder =
                if owner { place.rsplit_once('/').map_or("", |(folder, _)| folder) } else { place.trim_end_matches(".rs") };
            let child =
                self.grow([&path[..], std::slice::from_ref(&name)].concat(), place, folder, Some(at), source::read(&text), texts);
            self.modules[at].children.insert(name, child);
        }
        at
    }

    pub fn files(&self) -> BTreeSet<String> {
        self.modules.iter().map(|module| module.file.clone()).collect()
    }

    /// Who names whom. Not counted: a module and those around it. A parent declares its children and hands on what is theirs, and
    /// they see what is its own: they are one thing in several files.
    pub fn edges(&self) -> BTreeSet<Edge> {
        let mut edges = BTreeSet::new();
        for (from, module) in self.modules.iter().enumerate() {
            for named in module.body.paths.iter().chain(&module.body.globs) {
                let found = self.resolve(from, &named.path, &mut Vec::new());
                let Some(to) = found.map(Found::module) else { continue };
                let files = (&module.file, &self.modules[to].file);
                if files.0 != files.1 && !self.is_within(from, to) && !self.is_within(to, from) {
                    let Named { path, line } = named;
                    let (from, to) = (files.0.clone(), files.1.clone());
                    edges.insert(Edge { from, to, line: *line, path: path.join("::") });
                }
            }
        }
        edges
    }

    /// What each file names of its crate, from the root on: file, line, path.
    pub fn named_from_the_root(&self) -> Vec<(&str, usize, String)> {
        let mut found = Vec::new();
        for module in &self.modules {
            // `super` alone stands in `pub(super)`.
            let paths = module.body.paths.iter().filter(|named| named.path.iter().any(|name| name != "super" && name != "crate"));
            for Named { path, line } in paths.chain(&module.body.globs) {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let (base, rest) = match path[0].as_str() {
                    "crate" => (&[][..], &path[1..]),
                    "self" => (&module.path[..], &path[1..]),
                    "super" => (&module.path[..module.path.len() - ups], &path[ups..]),
                    _ => continue,
                };
                found.push((module.file.as_str(), *line, [base, rest].concat().join("::")));
            }
        }
        found
    }

    fn is_within(&self, inner: usize, outer: usize) -> bool {
        std::iter::successors(Some(inner), |at| self.modules[*at].parent).any(|at| at == outer)
    }

    /// What a path means in this module; nothing where it leads out of the crate.
    fn resolve(&self, at: usize, path: &[String], seen: &mut Vec<(usize, String)>) -> Option<Found> {
        let mut rest = path.iter();
        let mut found = match rest.next()?.as_str() {
            "crate" => Found::Module(0),
            "self" => Found::Module(at),
            "super" => Found::Module(self.modules[at].parent?),
            name => self.named(at, name, seen)?,
        };
        for name in rest {
            let Found::Module(inside) = found else { break };
            found = match name.as_str() {
                "super" => Found::Module(self.modules[inside].parent?),
                // What nothing else explains a macro makes there.
                name => self.named(inside, name, seen).unwrap_or(Found::Item(inside)),
            };
        }
        Some(found)
    }

    /// What a name means in a module: its own, imported, or brought by a glob.
    fn named(&self, at: usize, name: &str, seen: &mut Vec<(usize, String)>) -> Option<Found> {
        let here = (at, name.to_owned());
        if seen.contains(&here) {
            return None;
        }
        seen.push(here);
        let found = self.looked_up(at, name, seen);
        seen.pop();
        found
    }

    fn looked_up(&self, at: usize, name: &str, seen: &mut Vec<(usize, String)>) -> Option<Found> {
        let Module { children, body, .. } = &self.modules[at];
        if let Some(child) = children.get(name) {
            return Some(Found::Module(*child));
        }
        if body.defined.contains(name) {
            return Some(Found::Item(at));
        }
        if let Some(path) = body.imported.get(name) {
            return self.resolve(at, path, seen);
        }
        body.globs.iter().find_map(|glob| match self.resolve(at, &glob.path, seen)? {
            Found::Module(from) => self.named(from, name, seen),
            Found::Item(_) => None,
        })
    }
}

/// `a/b/../c` is `a/c`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
