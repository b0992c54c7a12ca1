//! From a file to a [`Spec`]: strict, every mistake at once, each with its place and a remedy. Secrets are never in it.

pub mod begun;
mod check;
mod entra;
mod excerpt;
pub mod freeze;
mod mistake;
mod raw;
mod tree;
mod values;
pub mod watch;

use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_path_to_error::{Path as Trail, Segment};

use crate::model::spec::Spec;
use crate::world::file;
use check::Check;
pub use check::Variables;
pub use mistake::{Errors, Mistake};
use raw::Document;
use tree::Places;

/// Mistakes in the form of values that are collected before we give up.
const MOST: usize = 100;

/// Reads and checks the config in this file.
pub fn load(path: &Path) -> Result<Spec, Errors> {
    checked(path, contents(path)?)
}

fn contents(path: &Path) -> Result<Vec<u8>, Errors> {
    let trouble = |what: String| Errors::whole(&path.display().to_string(), what);
    file::read(path).map_err(|error| trouble(format!("can't be read: {error}; name a readable file with --config")))
}

fn checked(path: &Path, bytes: Vec<u8>) -> Result<Spec, Errors> {
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|_| Errors::whole(&name, "not UTF-8 text; save it as UTF-8".into()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned);
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    parse(&text, &name, &folder)
}

/// Checks the text of a config. `name` stands in front of every mistake; relative paths start at `folder`.
pub fn parse(text: &str, name: &str, folder: &Path) -> Result<Spec, Errors> {
    parse_with(text, name, folder, &|variable| std::env::var(variable).ok())
}

/// The same with these variables.
pub fn parse_with(text: &str, name: &str, folder: &Path, variables: Variables) -> Result<Spec, Errors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Err(Errors::whole(name, "empty; see config/ for examples".into()));
    }
    // What can't be read as a config may be anything, a secret's file too: nothing of it is repeated.
    let (value, places) = tree::parse(text).map_err(|(place, what)| {
        let what = if is_meant(text) { unquoted(&what) } else { NO_CONFIG.to_owned() };
        Errors { file: name.to_owned(), mistakes: vec![Mistake { place, path: String::new(), what }], text: String::new() }
    })?;
    if !value.as_object().is_some_and(|fields| FIELDS.iter().any(|field| fields.contains_key(*field))) {
        return Err(Errors::whole(name, NO_CONFIG.into()));
    }
    let (document, mistakes) = read(value, &places);
    let mut check = Check::new(&places, folder, variables, mistakes);
    let spec = document.and_then(|document| check.document(document));
    let mut mistakes = check.mistakes;
    mistakes.sort();
    match spec {
        Some(spec) if mistakes.is_empty() => Ok(spec),
        _ => Err(Errors { file: name.to_owned(), mistakes, text: text.to_owned() }),
    }
}

const FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
const NO_CONFIG: &str =
    "no config of unscim: not a map with apiVersion, kind, metadata and spec; is this the right file? See config/ for examples";

/// Somebody has written a config, though it can't be read.
fn is_meant(text: &str) -> bool {
    text.lines().any(|line| FIELDS.iter().any(|field| line.strip_prefix(field).is_some_and(|rest| rest.starts_with(':'))))
}

/// A sentence without what it quotes of the file.
fn unquoted(text: &str) -> String {
    let parts = text.split(['"', '\'', '`']);
    parts.enumerate().map(|(n, part)| if n % 2 == 0 { part } else { "…" }).collect()
}

/// The JSON schema of the file.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Document).to_value();
    without_null(&mut schema);
    schema
}

/// An optional field may be left out of a schema's object; to say so, no `null` is needed.
pub fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Array(kinds)) = map.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                choices.retain(|choice| choice != &serde_json::json!({"type": "null"}));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    map.remove("anyOf");
                    for (key, value) in only {
                        map.entry(key).or_insert(value);
                    }
                }
            }
            if let Some(Value::Array(values)) = map.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// The fields, and every value among them that has the wrong form: each is noted, taken out, and the rest read again.
fn read(mut value: Value, places: &Places) -> (Option<Document>, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    while mistakes.len() < MOST {
        match serde_path_to_error::deserialize(&value) {
            Ok(document) => return (Some(document), mistakes),
            Err(error) => {
                let path = error.path().to_string();
                let text = error.inner().to_string();
                let (place, what) = match text.strip_prefix("unknown field ") {
                    Some(rest) => (places.key(&path), unknown_field(rest)),
                    None => (places.value(&path), worded(&text)),
                };
                let taken = take_out(&mut value, error.path());
                mistakes.push(Mistake { place, path, what });
                if !taken {
                    return (None, mistakes);
                }
            }
        }
    }
    (None, mistakes)
}

/// Removes a field, or empties an item of a list.
fn take_out(value: &mut Value, trail: &Trail) -> bool {
    let mut segments: Vec<&Segment> = trail.iter().collect();
    // An enum's own name ends the trail where the value itself is meant.
    while matches!(segments.last(), Some(Segment::Enum { .. } | Segment::Unknown)) {
        segments.pop();
    }
    let Some((last, parents)) = segments.split_last() else { return false };
    let mut at = value;
    for segment in parents {
        let next = match segment {
            Segment::Seq { index } => at.get_mut(*index),
            Segment::Map { key } => at.get_mut(key),
            // In the middle of the trail it is the one key of a map.
            Segment::Enum { variant } => at.get_mut(variant),
            Segment::Unknown => return false,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match last {
        Segment::Seq { index } => at.get_mut(*index).map(|item| *item = Value::Null).is_some(),
        Segment::Map { key } => at.as_object_mut().and_then(|map| map.remove(key)).is_some(),
        Segment::Enum { .. } | Segment::Unknown => false,
    }
}

/// "`foo`, expected one of `a`, `b`" as a sentence with a remedy.
fn unknown_field(rest: &str) -> String {
    let names: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let Some((name, known)) = names.split_first() else { return format!("unknown field {rest}") };
    let lower = name.to_lowercase();
    if excerpt::names_secret(&lower) && !lower.ends_with("file") {
        let own = known.iter().find(|field| field.to_lowercase() == format!("{lower}file"));
        let field = own.or_else(|| known.iter().find(|field| field.ends_with("File"))).unwrap_or(&"a field …File");
        return format!("secrets never stand in this file; put it into a file of its own and name that with {field}");
    }
    let near = known.iter().map(|field| (strsim::damerau_levenshtein(&lower, &field.to_lowercase()), field)).min();
    match near {
        Some((far, field)) if far <= 1 + name.len() / 4 => format!("unknown field; did you mean {field}?"),
        _ if known.is_empty() => "unknown field; leave it out".into(),
        _ => format!("unknown field; known here: {}", known.join(", ")),
    }
}

/// serde's sentence in the words of this file.
fn worded(text: &str) -> String {
    if let Some(rest) = text.strip_prefix("unknown variant ") {
        let names: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        if let Some((given, allowed)) = names.split_first() {
            return format!("{given:?} is not known here; write {}", allowed.join(" or "));
        }
    }
    let text = text.strip_prefix("invalid type: ").or(text.strip_prefix("invalid value: ")).unwrap_or(text);
    let text = match text.find(", expected struct ") {
        Some(end) => format!("{}, expected a map of fields", &text[..end]),
        None => text.to_owned(),
    };
    text.replace("expected a sequence", "expected a list").replace("expected u32", "expected a whole number")
}
