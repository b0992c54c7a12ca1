//! A reader of OpenAPI 3.0 descriptions: is this request, is this answer as described? It knows nothing of unscim.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::wire::{Exchange, matches};

pub struct Contract {
    doc: Value,
    /// Schemas in JSON Schema's dialect.
    schemas: Value,
    validators: BTreeMap<String, Validator>,
}

impl Contract {
    pub fn read(text: &str) -> Result<Self, String> {
        let doc: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if !doc["paths"].is_object() || !doc["components"]["schemas"].is_object() {
            return Err("it has no paths or no schemas".into());
        }
        let mut schemas = doc["components"]["schemas"].clone();
        translate(&mut schemas);
        Ok(Contract { doc, schemas, validators: BTreeMap::new() })
    }

    /// Everything in which one exchange with Graph differs from the description; empty where nothing does.
    pub fn objections(&mut self, exchange: &Exchange) -> Vec<String> {
        let path = exchange.graph_path().unwrap_or(&exchange.path);
        let Some((template, operation)) = self.operation(path, exchange.method.as_str()) else {
            return vec![format!("{} {path} is not described", exchange.method)];
        };
        let name = format!("{} {template}", exchange.method);
        let mut found = self.query(&operation, &exchange.query);
        found.extend(self.request(&name, &operation, exchange));
        if exchange.answer.is_some() {
            found.extend(self.answer(&name, &operation, exchange));
        }
        found.into_iter().map(|objection| format!("{name}: {objection}")).collect()
    }

    /// Literal segments win over parameters.
    fn operation(&self, path: &str, method: &str) -> Option<(String, Value)> {
        let paths = self.doc["paths"].as_object()?;
        let mut fitting: Vec<_> = paths.iter().filter(|(template, _)| matches(template, path)).collect();
        fitting.sort_by_key(|(template, _)| template.matches('{').count());
        let (template, item) = fitting.first()?;
        Some(((*template).clone(), item.get(method.to_lowercase())?.clone()))
    }

    fn query(&self, operation: &Value, query: &str) -> Vec<String> {
        let described: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().map(|p| self.resolve(p)).collect();
        let mut found = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            // The service's own mark in a link to the next page, which a caller follows as it stands.
            if name == "$skiptoken" {
                continue;
            }
            let Some(parameter) = described.iter().find(|p| p["in"] == "query" && p["name"] == *name) else {
                found.push(format!("query parameter {name} is not described"));
                continue;
            };
            let kind = parameter["schema"]["type"].as_str().unwrap_or_default();
            let words: BTreeSet<&str> = value.split(',').collect();
            let good = match kind {
                "integer" => value.parse::<u64>().is_ok(),
                "boolean" => value == "true" || value == "false",
                "array" => words.len() == value.split(',').count() && !words.contains(""),
                _ => !value.is_empty(),
            };
            if !good {
                found.push(format!("query parameter {name} is {value:?}, which is no {kind}"));
            }
            if name == "$select" {
                let known = self.entity(operation);
                let unknown = words.iter().filter(|word| known.as_ref().is_some_and(|known| !known.contains(**word)));
                found.extend(unknown.map(|word| format!("$select names {word}, which is no property")));
            }
        }
        found
    }

    fn request(&mut self, name: &str, operation: &Value, exchange: &Exchange) -> Vec<String> {
        let body = self.resolve(&operation["requestBody"]).clone();
        match (body.is_object(), exchange.request.is_empty()) {
            (false, true) => vec![],
            (false, false) => vec!["a body that is not described".into()],
            (true, true) if body["required"] == true => vec!["the body is missing".into()],
            (true, true) => vec![],
            (true, false) => {
                let schema = body["content"]["application/json"]["schema"].clone();
                self.body(&format!("{name} request"), &schema, &exchange.request)
            }
        }
    }

    fn answer(&mut self, name: &str, operation: &Value, exchange: &Exchange) -> Vec<String> {
        let Some((status, bytes)) = &exchange.answer else { return vec![] };
        let responses = &operation["responses"];
        let exact = responses.get(status.as_str());
        let class = responses.get(format!("{}XX", status.as_u16() / 100));
        let Some(response) = exact.or(class).or(responses.get("default")) else {
            return vec![format!("status {status} is not described")];
        };
        let response = self.resolve(response).clone();
        let Some(content) = response["content"].as_object() else {
            return if bytes.is_empty() { vec![] } else { vec![format!("{status} with a body that is not described")] };
        };
        let schema = content.get("application/json").map_or(Value::Null, |content| content["schema"].clone());
        let which = if status.is_success() { "answer" } else { "error" };
        self.body(&format!("{name} {which}"), &schema, bytes)
    }

    fn body(&mut self, what: &str, schema: &Value, bytes: &[u8]) -> Vec<String> {
        let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return vec![format!("{what}: no JSON")] };
        if !self.validators.contains_key(what) {
            self.validators.insert(what.to_owned(), self.compile(schema));
        }
        let validator = &self.validators[what];
        let broken = validator.iter_errors(&body).map(|error| format!("{what}: {} at {}", error, error.instance_path()));
        let mut found: Vec<_> = broken.collect();
        self.unknown(schema, &body, what, &mut found);
        found
    }

    fn compile(&self, schema: &Value) -> Validator {
        let mut root = schema.clone();
        translate(&mut root);
        let root = json!({"allOf": [root], "components": {"schemas": self.schemas}});
        let options = jsonschema::options().with_draft(Draft::Draft201909).should_validate_formats(true);
        options.build(&root).expect("a schema that can be compiled")
    }

    /// Names that the description does not have: it would let them pass, and so would hide a typing error.
    fn unknown(&self, schema: &Value, body: &Value, at: &str, found: &mut Vec<String>) {
        let polymorphic = is_polymorphic(schema);
        let schema = self.resolve(schema);
        match body {
            Value::Array(items) => items.iter().for_each(|item| self.unknown(&schema["items"], item, at, found)),
            Value::Object(fields) => {
                let known = self.properties(schema);
                // A plain object may hold anything.
                if known.is_empty() || polymorphic {
                    return;
                }
                for (name, value) in fields.iter().filter(|(name, _)| !name.contains("@odata.")) {
                    match known.get(name) {
                        Some(inner) => self.unknown(inner, value, &format!("{at}/{name}"), found),
                        None => found.push(format!("{at}: {name} is not described")),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The properties of what a successful answer is, or is a list of; `None` where they can't be told.
    fn entity(&self, operation: &Value) -> Option<BTreeSet<String>> {
        let content = &self.resolve(&operation["responses"]["2XX"])["content"]["application/json"];
        let schema = &content["schema"];
        let listed = self.properties(schema).get("value").map(|value| self.resolve(value)["items"].clone());
        let entity = listed.as_ref().unwrap_or(schema);
        (!is_polymorphic(entity)).then(|| self.properties(entity).into_keys().collect())
    }

    /// With those of the types it is made of.
    fn properties(&self, schema: &Value) -> BTreeMap<String, Value> {
        let schema = self.resolve(schema);
        let own = schema["properties"].as_object().cloned().unwrap_or_default();
        let parts = [&schema["allOf"], &schema["anyOf"]].into_iter().filter_map(Value::as_array).flatten();
        parts.flat_map(|part| self.properties(part)).chain(own).collect()
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(pointer) => {
                let found = self.doc.pointer(pointer.trim_start_matches('#'));
                self.resolve(found.unwrap_or_else(|| panic!("the description has no {pointer}")))
            }
            None => value,
        }
    }
}

/// A directoryObject may be of any kind, with the properties of that kind.
fn is_polymorphic(schema: &Value) -> bool {
    schema["$ref"].as_str().is_some_and(|name| name.ends_with("/microsoft.graph.directoryObject"))
}

/// From OpenAPI's dialect: `nullable`, references without neighbours, and enums whose values stand together.
fn translate(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(translate),
        Value::Object(map) => {
            if map.get("$ref").is_some_and(Value::is_string) {
                map.retain(|key, _| key == "$ref");
                return;
            }
            // A flags enum is written as one string, "Add,Update": no single member of its enum.
            if map.get("x-ms-enum-flags").is_some_and(|flags| flags["isFlags"] == true) {
                flags(map);
            }
            if map.get("nullable") == Some(&Value::Bool(true)) {
                nullable(map);
            }
            map.values_mut().for_each(translate);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn flags(map: &mut Map<String, Value>) {
    let words = map.remove("enum").unwrap_or_default();
    let words: Vec<&str> = words.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let word = words.join("|");
    map.insert("pattern".into(), json!(format!("^({word})(, ?({word}))*$")));
}

fn nullable(map: &mut Map<String, Value>) {
    if let Some(kind) = map.get("type").filter(|kind| kind.is_string()).cloned() {
        map.insert("type".into(), json!([kind, "null"]));
    }
    for key in ["enum", "anyOf"] {
        let nothing = if key == "enum" { Value::Null } else { json!({"type": "null"}) };
        if let Some(Value::Array(items)) = map.get_mut(key) {
            items.push(nothing);
        }
    }
}
