//! From a JSON schema to a structural one, as the API server wants it: every field with its type, nothing by reference, no word that it
//! does not know.

use serde_json::{Map, Value, json};

/// Unknown fields are refused or pruned by the API server itself, and how many fields an object has is said by a rule with a sentence.
const DROPPED: [&str; 7] =
    ["$schema", "$defs", "title", "additionalProperties", "minProperties", "maxProperties", "propertyNames"];

pub fn of(schema: &Value) -> Value {
    let none = Value::Null;
    resolved(schema, schema.get("$defs").unwrap_or(&none))
}

fn resolved(schema: &Value, definitions: &Value) -> Value {
    let Value::Object(given) = schema else { return schema.clone() };
    let mut fields = given.clone();
    if let Some(Value::String(reference)) = fields.remove("$ref") {
        let name = reference.rsplit('/').next().unwrap_or_default();
        for (key, value) in definitions[name].as_object().cloned().unwrap_or_default() {
            fields.entry(key).or_insert(value);
        }
    }
    if let Some(choices) = fields.remove("oneOf").as_ref().and_then(Value::as_array) {
        one_of(&mut fields, choices);
    }
    if let Some(only) = fields.remove("const") {
        fields.insert("enum".into(), json!([only]));
    }
    if let Some(default) = fields.remove("default") {
        let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        let before = fields.get("description").and_then(Value::as_str).map(|text| format!("{text} ")).unwrap_or_default();
        fields.insert("description".into(), format!("{before}Left out: {text}.").into());
    }
    let mut kept = Map::new();
    for (key, value) in fields {
        let value = match key.as_str() {
            "properties" => each(&value, definitions),
            "items" => resolved(&value, definitions),
            "additionalProperties" if value.is_object() => resolved(&value, definitions),
            // Keys that are bound to a form: the API server can't say so, and the worker does.
            "patternProperties" => {
                let any = value.as_object().and_then(|forms| forms.values().next()).cloned().unwrap_or_default();
                kept.insert("additionalProperties".into(), resolved(&any, definitions));
                continue;
            }
            key if DROPPED.contains(&key) || key == "format" => continue,
            _ => value,
        };
        kept.insert(key, value);
    }
    Value::Object(kept)
}

fn each(fields: &Value, definitions: &Value) -> Value {
    let fields = fields.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, schema)| (name.clone(), resolved(schema, definitions))).collect())
}

/// Words to choose from become one list of them. Words or an object: a structural schema has no such type, so the field may be anything
/// here, and the worker judges it.
fn one_of(fields: &mut Map<String, Value>, choices: &[Value]) {
    let words: Vec<Value> = choices.iter().flat_map(words).collect();
    let is_all_words = choices.iter().all(|choice| choice["type"] == "string");
    if is_all_words {
        fields.insert("type".into(), "string".into());
        fields.insert("enum".into(), words.into());
    } else {
        fields.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
}

fn words(choice: &Value) -> Vec<Value> {
    match (&choice["const"], &choice["enum"]) {
        (Value::Null, Value::Array(words)) => words.clone(),
        (Value::Null, _) => Vec::new(),
        (word, _) => vec![word.clone()],
    }
}

/// Each `…File` becomes a `…Ref`, the key of a Secret in the same namespace.
pub fn references(schema: &mut Value) {
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let renamed = std::mem::take(fields).into_iter().map(|(name, mut field)| {
            references(&mut field);
            match (name.strip_suffix("File"), name.strip_suffix("Files")) {
                (Some(stem), _) => (format!("{stem}Ref"), reference(&field)),
                (_, Some(stem)) => {
                    field["additionalProperties"] = reference(&Value::Null);
                    field["description"] = "Header name -> key of a Secret with its value.".into();
                    (format!("{stem}Refs"), field)
                }
                _ => (name, field),
            }
        });
        *fields = renamed.collect();
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        for name in required {
            if let Some(stem) = name.as_str().and_then(|name| name.strip_suffix("File")) {
                *name = format!("{stem}Ref").into();
            }
        }
    }
    if let Some(items) = schema.get_mut("items") {
        references(items);
    }
}

fn reference(file: &Value) -> Value {
    let text =
        file["description"].as_str().unwrap_or("File with it.").replace("File with", "Key of a Secret in this namespace with");
    json!({
        "type": "object",
        "description": text,
        "required": ["name", "key"],
        "properties": {
            "name": { "type": "string", "description": "Name of the Secret.", "minLength": 1, "maxLength": 253 },
            "key": { "type": "string", "description": "Key in it.", "minLength": 1, "maxLength": 253, "pattern": "^[-._a-zA-Z0-9]+$" },
        },
    })
}

/// The field there: `a.b` is a field of a field, `a[]` an item of a list.
pub fn at<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').filter(|step| !step.is_empty()).try_fold(schema, |at, step| {
        let (name, items) =
            step.split_once("[]").map_or((step, ""), |(name, rest)| (name, if rest.is_empty() { "[]" } else { rest }));
        let mut field = at.get_mut("properties")?.get_mut(name)?;
        for _ in 0..items.matches("[]").count() {
            field = field.get_mut("items")?;
        }
        Some(field)
    })
}

pub fn without(schema: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    if let Some(fields) = at(schema, parent).and_then(|parent| parent.get_mut("properties")).and_then(Value::as_object_mut) {
        fields.remove(name);
    }
}
