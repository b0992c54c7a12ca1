//! The app's users and groups, with the rules that any change has to pass.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Failure;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Users,
    Groups,
}

impl Kind {
    pub fn parse(segment: &str) -> Result<Kind, Failure> {
        match segment {
            "Users" => Ok(Kind::Users),
            "Groups" => Ok(Kind::Groups),
            _ => Err(Failure::not_found("endpoint")),
        }
    }

    /// Path segment, resource type and the attribute that names a resource.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Kind::Users => ("Users", "User", "userName"),
            Kind::Groups => ("Groups", "Group", "displayName"),
        }
    }
}

/// Both lists, in order of creation.
#[derive(Default)]
pub(super) struct Store {
    users: Vec<Value>,
    groups: Vec<Value>,
    made: u64,
    stamps: i64,
}

impl Store {
    pub fn all(&self, kind: Kind) -> &[Value] {
        match kind {
            Kind::Users => &self.users,
            Kind::Groups => &self.groups,
        }
    }

    fn all_mut(&mut self, kind: Kind) -> &mut Vec<Value> {
        match kind {
            Kind::Users => &mut self.users,
            Kind::Groups => &mut self.groups,
        }
    }

    pub fn get(&self, kind: Kind, id: &str) -> Result<&Value, Failure> {
        self.all(kind).iter().find(|one| one["id"] == id).ok_or_else(|| Failure::not_found(kind.words().1))
    }

    pub fn seed(&mut self, kind: Kind, mut resource: Value) -> String {
        let id = match field(&resource, "id") {
            Some(Value::String(id)) => id.clone(),
            _ => self.next_id(kind),
        };
        let made = self.stamp();
        complete(kind, &id, made, &mut resource);
        self.all_mut(kind).push(resource);
        id
    }

    pub fn create(&mut self, kind: Kind, mut resource: Value) -> Result<Value, Failure> {
        self.check(kind, None, &resource)?;
        let (id, made) = (self.next_id(kind), self.stamp());
        complete(kind, &id, made, &mut resource);
        self.all_mut(kind).push(resource.clone());
        Ok(resource)
    }

    pub fn replace(&mut self, kind: Kind, id: &str, mut resource: Value) -> Result<Value, Failure> {
        let made = self.get(kind, id)?["meta"]["created"].clone();
        self.check(kind, Some(id), &resource)?;
        complete(kind, id, made, &mut resource);
        for one in self.all_mut(kind).iter_mut().filter(|one| one["id"] == id) {
            *one = resource.clone();
        }
        Ok(resource)
    }

    pub fn remove(&mut self, kind: Kind, id: &str) -> Result<(), Failure> {
        self.get(kind, id)?;
        self.all_mut(kind).retain(|one| one["id"] != id);
        if kind == Kind::Users {
            for members in self.groups.iter_mut().filter_map(|group| group.get_mut("members")?.as_array_mut()) {
                members.retain(|member| member["value"] != id);
            }
        }
        Ok(())
    }

    fn check(&self, kind: Kind, own: Option<&str>, resource: &Value) -> Result<(), Failure> {
        let (_, _, naming) = kind.words();
        let Some(name) = field(resource, naming).and_then(Value::as_str).filter(|name| !name.is_empty()) else {
            return Err(Failure::invalid("invalidValue", format!("{naming} is required")));
        };
        let taken = |one: &&Value| {
            own.is_none_or(|own| one["id"] != own)
                && field(one, naming).and_then(Value::as_str).is_some_and(|other| text_eq(naming, name, other))
        };
        match (kind, self.all(kind).iter().find(taken)) {
            (Kind::Users, Some(_)) => {
                Err(Failure::new(StatusCode::CONFLICT, Some("uniqueness"), format!("{naming} {name} is taken")))
            }
            (Kind::Users, None) | (Kind::Groups, _) => Ok(()),
        }
    }

    /// When a resource is made: a minute after the one before it, whatever the clock says.
    fn stamp(&mut self) -> Value {
        self.stamps += 1;
        let first: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().expect("a valid stamp");
        (first + jiff::SignedDuration::from_mins(self.stamps)).to_string().into()
    }

    /// Ids are opaque, the same in every run, and never used twice.
    fn next_id(&mut self, kind: Kind) -> String {
        self.made += 1;
        Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}/{}", kind.words().0, self.made).as_bytes()).to_string()
    }
}

/// What the service itself sets on every resource.
fn complete(kind: Kind, id: &str, made: Value, resource: &mut Value) {
    let (segment, resource_type, _) = kind.words();
    let Value::Object(fields) = resource else { return };
    fields.retain(|key, _| !key.eq_ignore_ascii_case("id") && !key.eq_ignore_ascii_case("meta"));
    fields.insert("id".into(), id.into());
    fields.insert("meta".into(), json!({"resourceType": resource_type, "created": made, "location": format!("/{segment}/{id}")}));
    let core = format!("urn:ietf:params:scim:schemas:core:2.0:{resource_type}");
    fields.entry("schemas").or_insert_with(|| json!([core]));
    match kind {
        Kind::Users => {
            let active = match fields.get("active") {
                Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Some(true),
                Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            };
            if let Some(active) = active {
                fields.insert("active".into(), active.into());
            }
        }
        Kind::Groups => {
            fields.entry("members").or_insert_with(|| json!([]));
        }
    }
}

/// A field by its name in any case.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Ids are compared exactly, everything else without case.
pub(super) fn text_eq(attribute: &str, a: &str, b: &str) -> bool {
    let exact = ["id", "externalId", "value"].iter().any(|name| name.eq_ignore_ascii_case(attribute));
    if exact { a == b } else { a.to_lowercase() == b.to_lowercase() }
}
