//! YAML as plain values, with the place of every one of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

impl Place {
    pub const START: Place = Place { line: 1, column: 1 };
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Place { line: location.line().max(1), column: location.column().max(1) }
    }
}

/// Where things stand, by their path (`spec.groups.list[0].id`).
#[derive(Debug, Default)]
pub struct Places(BTreeMap<String, Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Place,
    value: Place,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing stands after the key.
    Nothing,
    List,
    Other,
}

impl Places {
    /// Where the value stands; for a path that is not there, its nearest parent.
    pub fn value(&self, path: &str) -> Place {
        self.nearest(path).map_or(Place::START, |entry| entry.value)
    }

    pub fn key(&self, path: &str) -> Place {
        self.nearest(path).map_or(Place::START, |entry| entry.key)
    }

    /// It is in the file, and not empty.
    pub fn has(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|entry| entry.kind != Kind::Nothing)
    }

    pub fn is_list(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|entry| entry.kind == Kind::List)
    }

    fn nearest(&self, path: &str) -> Option<&Entry> {
        let mut path = path;
        loop {
            if let Some(entry) = self.0.get(path) {
                return Some(entry);
            }
            path = path.rfind(['.', '[']).map(|end| &path[..end])?;
        }
    }
}

/// One document; the error has its place.
pub fn parse(text: &str) -> Result<(Value, Places), (Place, String)> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        merge_keys: serde_saphyr::MergeKeyPolicy::AsOrdinary,
        with_snippet: false,
    };
    let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or(Place::START, Place::from);
        (place, worded(&error.without_snippet().to_string()))
    })?;
    let mut places = Places::default();
    let at = root.referenced.into();
    let value = flatten(root, String::new(), at, &mut places);
    Ok((value, places))
}

/// The library's sentence in the words of this file, without the place, which stands in front.
fn worded(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.rfind(" at line ").map_or(line, |end| &line[..end]);
    if let Some((_, rest)) = line.split_once("duplicate mapping key: ") {
        let key = rest.split(',').next().unwrap_or(rest);
        return format!("`{key}` stands here twice; keep one");
    }
    let plain = [
        ("multiple YAML documents", "more than one document; keep one, without a line of ---"),
        ("budget", "larger or more deeply nested than any config; is this the right file?"),
        ("recursion limit", "larger or more deeply nested than any config; is this the right file?"),
        ("expected string scalar", "a field's name must be a plain text"),
    ];
    plain
        .iter()
        .find(|(sign, _)| line.contains(sign))
        .map_or_else(|| format!("no valid YAML: {line}"), |(_, text)| (*text).to_owned())
}

fn flatten(node: Spanned<Node>, path: String, key: Place, places: &mut Places) -> Value {
    let kind = match &node.value {
        Node::Scalar(Value::Null) => Kind::Nothing,
        Node::List(_) => Kind::List,
        Node::Scalar(_) | Node::Map(_) => Kind::Other,
    };
    let entry = Entry { key, value: node.referenced.into(), kind };
    let value = match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let items = items.into_iter().enumerate();
            Value::Array(items.map(|(n, item)| flatten(item, format!("{path}[{n}]"), entry.value, places)).collect())
        }
        Node::Map(fields) => {
            let mut map = Map::new();
            for (key, field) in fields {
                let below = if path.is_empty() { key.value.clone() } else { format!("{path}.{}", key.value) };
                map.insert(key.value, flatten(field, below, key.referenced.into(), places));
            }
            Value::Object(map)
        }
    };
    places.0.insert(path, entry);
    value
}

enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text, a number, a list or a map")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        // What JSON has no number for is of no use here either; as text it gets the usual message.
        Ok(Node::Scalar(Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(Spanned<String>, Spanned<Node>)> = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            if fields.iter().any(|(seen, _)| seen.value == key.value) {
                return Err(de::Error::custom(format_args!("`{}` stands here twice", key.value)));
            }
            fields.push((key, map.next_value()?));
        }
        Ok(Node::Map(fields))
    }
}
