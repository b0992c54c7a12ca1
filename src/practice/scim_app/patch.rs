//! PatchOp: add, replace and remove, in the forms that provisioning services really send.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::answer::Failure;
use super::filter::{self, Condition};
use super::store::field;

/// Applies every operation, or none: the caller keeps `resource` only on success.
pub(super) fn apply(resource: &mut Value, body: &Value) -> Result<(), Failure> {
    let Some(Value::Array(operations)) = field(body, "Operations") else {
        return Err(Failure::invalid("invalidSyntax", "Operations is missing"));
    };
    let mut rest = operations.as_slice();
    while let Some((operation, more)) = rest.split_first() {
        let gone: HashSet<String> = rest.iter().map_while(member_gone).collect();
        if !gone.is_empty() {
            // A large group is gone through once for all of them.
            rest = rest.iter().position(|operation| member_gone(operation).is_none()).map_or(&[], |next| &rest[next..]);
            if let Some(members) = slot(object(resource)?, "members", || json!([])).as_array_mut() {
                members.retain(|member| !field(member, "value").and_then(Value::as_str).is_some_and(|id| gone.contains(id)));
            }
            continue;
        }
        rest = more;
        let op = match field(operation, "op").and_then(Value::as_str).map(str::to_lowercase).as_deref() {
            Some("add") => Op::Add,
            Some("replace") => Op::Replace,
            Some("remove") => Op::Remove,
            _ => return Err(Failure::invalid("invalidSyntax", "op is not one of add, replace and remove")),
        };
        let value = field(operation, "value");
        match (field(operation, "path").and_then(Value::as_str), op, value) {
            (Some(path), op, value) => at(resource, op, &Path::parse(path)?, value)?,
            (None, Op::Add | Op::Replace, Some(Value::Object(values))) => {
                for (path, value) in values {
                    at(resource, op, &Path::parse(path)?, Some(value))?;
                }
            }
            (None, Op::Remove, _) => return Err(Failure::invalid("noTarget", "remove needs a path")),
            (None, Op::Add | Op::Replace, _) => {
                return Err(Failure::invalid("invalidValue", "without a path the value is an object"));
            }
        }
    }
    Ok(())
}

/// Whom an operation takes out of a group, where it does nothing else.
fn member_gone(operation: &Value) -> Option<String> {
    let op = field(operation, "op")?.as_str().filter(|op| op.eq_ignore_ascii_case("remove"));
    let path = field(operation, "path")?.as_str().filter(|_| op.is_some())?;
    let id = path.strip_prefix("members[value eq ")?.strip_suffix(']')?;
    serde_json::from_str(id).ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// `[urn:]attribute[filter].sub`
struct Path<'a> {
    schema: Option<&'a str>,
    attribute: &'a str,
    filter: Option<(&'a str, Vec<Condition>)>,
    sub: Option<&'a str>,
}

impl<'a> Path<'a> {
    fn parse(text: &'a str) -> Result<Self, Failure> {
        let refuse = || Failure::invalid("invalidPath", format!("the path `{text}` is not supported"));
        let (head, filter, tail) = match text.split_once('[') {
            Some((head, rest)) => {
                let (inside, tail) = rest.rsplit_once(']').ok_or_else(refuse)?;
                (head, Some((inside, filter::parse(inside)?)), tail)
            }
            None => (text, None, ""),
        };
        // Colons separate the parts of a URN, which has dots of its own (`2.0`).
        let (schema, head) = match head.rsplit_once(':') {
            Some((urn, _)) if urn.to_lowercase().ends_with(":schemas") => return Err(refuse()),
            Some((urn, name)) if urn.contains("core:2.0") => (None, if name == "User" || name == "Group" { "" } else { name }),
            Some((urn, name)) => (Some(urn), name),
            None => (None, head),
        };
        let (attribute, sub) = match head.split_once('.') {
            Some((attribute, sub)) if filter.is_none() => (attribute, Some(sub)),
            Some(_) => return Err(refuse()),
            None => (head, tail.strip_prefix('.')),
        };
        if attribute.is_empty() || attribute.eq_ignore_ascii_case("id") || sub.is_some_and(str::is_empty) {
            return Err(refuse());
        }
        Ok(Path { schema, attribute, filter, sub })
    }
}

fn at(resource: &mut Value, op: Op, path: &Path<'_>, value: Option<&Value>) -> Result<(), Failure> {
    if op != Op::Remove && value.is_none() {
        return Err(Failure::invalid("invalidValue", "the value is missing"));
    }
    let mut parent = resource;
    if let Some(schema) = path.schema {
        parent = slot(object(parent)?, schema, || json!({}));
    }
    let fields = object(parent)?;
    match (&path.filter, op, value) {
        (Some((text, conditions)), op, value) => {
            let Some(elements) = slot(fields, path.attribute, || json!([])).as_array_mut() else {
                return Err(Failure::invalid("invalidPath", format!("{} has no elements", path.attribute)));
            };
            elements_at(elements, op, (text, conditions), path.sub, value)
        }
        (None, Op::Remove, listed) => {
            let Some(key) = key_of(fields, path.attribute) else { return Ok(()) };
            match (path.sub, listed, fields.get_mut(&key)) {
                (Some(sub), _, Some(Value::Object(inner))) => {
                    inner.retain(|key, _| !key.eq_ignore_ascii_case(sub));
                }
                // Not in the RFC, but sent: remove just the listed elements.
                (None, Some(Value::Array(listed)), Some(Value::Array(held))) => {
                    let gone: HashSet<&Value> = listed.iter().map(|one| &one["value"]).collect();
                    held.retain(|one| !gone.contains(&one["value"]));
                }
                _ => {
                    fields.remove(&key);
                }
            }
            Ok(())
        }
        (None, Op::Add | Op::Replace, Some(value)) => match path.sub {
            Some(sub) => {
                let inner = object(slot(fields, path.attribute, || json!({})))?;
                *slot(inner, sub, || Value::Null) = value.clone();
                Ok(())
            }
            None => {
                put(slot(fields, path.attribute, || Value::Null), op, value);
                Ok(())
            }
        },
        (None, Op::Add | Op::Replace, None) => Ok(()),
    }
}

fn elements_at(
    elements: &mut Vec<Value>,
    op: Op,
    (text, conditions): (&str, &[Condition]),
    sub: Option<&str>,
    value: Option<&Value>,
) -> Result<(), Failure> {
    match (op, sub, value) {
        (Op::Remove, None, _) => elements.retain(|one| !filter::holds(conditions, one)),
        (Op::Remove, Some(sub), _) => {
            for fields in elements.iter_mut().filter(|one| filter::holds(conditions, one)).filter_map(Value::as_object_mut) {
                fields.retain(|key, _| !key.eq_ignore_ascii_case(sub));
            }
        }
        (Op::Add | Op::Replace, sub, Some(value)) => {
            if !elements.iter().any(|one| filter::holds(conditions, one)) {
                elements.push(filter::example(conditions));
            }
            for one in elements.iter_mut().filter(|one| filter::holds(conditions, one)) {
                match (sub, value) {
                    (Some(sub), value) => *slot(object(one)?, sub, || Value::Null) = value.clone(),
                    (None, Value::Object(values)) => object(one)?.extend(values.clone()),
                    (None, _) => {
                        return Err(Failure::invalid("invalidValue", format!("the value for [{text}] is not an object")));
                    }
                }
            }
        }
        (Op::Add | Op::Replace, _, None) => {}
    }
    Ok(())
}

/// Adding to a list appends what it does not hold yet; everything else is set.
fn put(held: &mut Value, op: Op, value: &Value) {
    match (op, held, value) {
        (Op::Add, Value::Array(held), Value::Array(more)) => {
            let known = |one: &Value| match &one["value"] {
                Value::Null => (None, Some(one.clone())),
                value => (Some(value.clone()), None),
            };
            let mut there: HashSet<_> = held.iter().map(known).collect();
            held.extend(more.iter().filter(|one| there.insert(known(one))).map(assigned));
        }
        (Op::Add | Op::Replace, Value::Object(held), Value::Object(more)) => held.extend(more.clone()),
        (_, held, value) => *held = value.clone(),
    }
}

/// Without what is null: that is not assigned (RFC 7643, section 2.5).
fn assigned(one: &Value) -> Value {
    match one {
        Value::Object(fields) => {
            fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
        }
        other => other.clone(),
    }
}

fn object(value: &mut Value) -> Result<&mut Map<String, Value>, Failure> {
    value.as_object_mut().ok_or_else(|| Failure::invalid("invalidPath", "the path leads through something that has no fields"))
}

fn key_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}

fn slot<'a>(fields: &'a mut Map<String, Value>, name: &str, empty: impl FnOnce() -> Value) -> &'a mut Value {
    let key = key_of(fields, name).unwrap_or_else(|| name.to_owned());
    fields.entry(key).or_insert_with(empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(mut resource: Value, operations: Value) -> Option<Value> {
        apply(&mut resource, &json!({"Operations": operations})).ok().map(|()| resource)
    }

    #[test]
    fn members_come_and_go_one_by_one() {
        let group = json!({"members": [{"value": "a"}]});
        let group =
            patched(group, json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": "b"}, {"value": "a"}]}]))
                .unwrap();
        assert_eq!(group["members"].as_array().unwrap().len(), 2);
        let group = patched(group, json!([{"op": "remove", "path": "members[value eq \"a\"]"}])).unwrap();
        assert_eq!(group["members"], json!([{"value": "b"}]));
        let group = patched(group, json!([{"op": "Remove", "path": "members", "value": [{"value": "zzz"}]}])).unwrap();
        assert_eq!(group["members"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn members_go_in_a_row_and_what_stands_between_them_is_done_in_its_place() {
        let gone = |id: &str| json!({"op": "Remove", "path": format!("members[value eq {}]", json!(id))});
        let group = json!({"members": [{"value": "a"}, {"value": "b\"]"}, {"value": "c"}]});
        let come = json!({"op": "Add", "path": "members", "value": [{"value": "a"}, {"value": "c"}, {"value": "c"}]});
        let group = patched(group, json!([gone("a"), gone("b\"]"), gone("x"), come, gone("c")])).unwrap();
        assert_eq!(group["members"], json!([{"value": "a"}]));
    }

    #[test]
    fn values_are_set_by_path_by_object_and_by_urn() {
        const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let user = patched(
            json!({"name": {"givenName": "A"}}),
            json!([
                {"op": "Replace", "path": "active", "value": "False"},
                {"op": "add", "value": {"name.familyName": "B", "title": "C"}},
                {"op": "Add", "path": "emails[type eq \"work\"].value", "value": "a@contoso.example"},
                {"op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "D"},
            ]),
        )
        .unwrap();
        assert_eq!(user["name"], json!({"givenName": "A", "familyName": "B"}));
        assert_eq!(user["emails"], json!([{"type": "work", "value": "a@contoso.example"}]));
        assert_eq!(user[ENTERPRISE]["department"], "D");
        assert_eq!((&user["active"], &user["title"]), (&json!("False"), &json!("C")));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for operation in [
            json!({"op": "increment", "path": "a", "value": 1}),
            json!({"op": "remove"}),
            json!({"op": "replace", "path": "id", "value": "x"}),
            json!({"op": "add", "path": "members["}),
            json!({"op": "add", "path": "active"}),
        ] {
            assert_eq!(patched(json!({"id": "1"}), json!([operation])), None);
        }
    }
}
