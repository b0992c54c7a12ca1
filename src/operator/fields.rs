//! The config's fields as a resource's author wrote them. They are held as text: as a tree of maps they take ten times the room, and there
//! may be a thousand. What tells two resources for one app, or of one quota, is at hand.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

#[derive(Clone, Debug, Default)]
pub struct Fields {
    text: Box<str>,
    tenant: Option<Box<str>>,
    app: Option<(Box<str>, Box<str>)>,
    client: Option<Box<str>>,
    writes: bool,
}

impl Fields {
    pub fn read(&self) -> Map<String, Value> {
        if self.text.is_empty() {
            return Map::new();
        }
        serde_json::from_str(&self.text).expect("it was written by us")
    }

    /// In lower case.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Whom Graph's quota is granted to, in lower case; `None` as well where the pod's own identity tells.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// Its worker may write.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// By which field the app is named, and what stands there, in lower case.
    pub fn app(&self) -> Option<(&str, &str)> {
        self.app.as_ref().map(|(field, value)| (field.as_ref(), value.as_ref()))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fields, D::Error> {
        let fields = Map::deserialize(from)?;
        let small = |value: &Value| value.as_str().map(|text| text.to_ascii_lowercase().into_boxed_str());
        let entra = fields.get("entra");
        let named = entra.and_then(|entra| entra.get("app")?.as_object()?.iter().find(|(_, value)| !value.is_null()));
        Ok(Fields {
            tenant: entra.and_then(|entra| small(entra.get("tenantId")?)),
            client: entra.and_then(|entra| small(entra.get("credential")?.get("clientId")?)),
            writes: fields.get("mode").is_some_and(|mode| mode == "Enforce")
                && fields.get("hold").is_none_or(|hold| hold == "None"),
            app: named.and_then(|(field, value)| Some((field.as_str().into(), small(value)?))),
            text: serde_json::to_string(&fields).map_err(serde::de::Error::custom)?.into(),
        })
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.read().serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn they_are_what_was_written_and_the_app_is_at_hand() {
        let written =
            json!({ "mode": "Observe", "entra": { "tenantId": "T-1", "app": { "appId": null, "displayName": "Uniqkey" } } });
        let fields: Fields = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&fields).unwrap(), written);
        assert_eq!((fields.tenant(), fields.app()), (Some("t-1"), Some(("displayName", "uniqkey"))));
        for without in [json!({}), json!({ "entra": { "app": { "appId": 7 } } }), json!({ "entra": [] })] {
            let fields: Fields = serde_json::from_value(without.clone()).unwrap();
            assert_eq!((fields.tenant(), fields.app()), (None, None), "{without}");
            assert_eq!(Value::Object(fields.read()), without);
        }
        assert!(Fields::default().read().is_empty());
    }
}
