//! Rows of the provisioning log as Graph sends them.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Row, Stamp, nullable, one_line, truth};
use crate::model::id::ScimId;
use crate::model::snapshot::LogRow;
use crate::world::error::hint;

/// A row, as far as it is understood: one that is not takes nothing away from the others.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Row(LogRow),
    Unread { id: String, at: Option<Timestamp> },
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let row = Value::deserialize(deserializer)?;
        let known = |name: &str| row.get(name).and_then(Value::as_str);
        let id = known("id").map_or_else(|| "without an id".to_owned(), one_line);
        let at = known("activityDateTime").and_then(hint);
        Ok(match serde_json::from_value::<WireLogRow>(row).map_err(|error| error.to_string()).and_then(LogRow::try_from) {
            Ok(row) => Told::Row(row),
            Err(_) => Told::Unread { id, at },
        })
    }
}

impl Row for Told {
    type Key<'a> = &'a str;

    fn key(&self) -> &str {
        match self {
            Told::Row(row) => &row.id,
            Told::Unread { id, .. } => id,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLogRow {
    id: String,
    activity_date_time: Stamp,
    provisioning_action: Option<String>,
    source_identity: Option<WireIdentity>,
    target_identity: Option<WireIdentity>,
    #[serde(default, deserialize_with = "nullable")]
    provisioning_status_info: WireStatusInfo,
    #[serde(default, deserialize_with = "nullable")]
    modified_properties: Vec<WireChange>,
    #[serde(default)]
    provisioning_steps: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireIdentity {
    id: Option<String>,
    identity_type: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireStatusInfo {
    status: Option<String>,
    error_information: Option<WireErrorInformation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireErrorInformation {
    error_code: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireChange {
    display_name: Option<String>,
    old_value: Option<String>,
    new_value: Option<String>,
}

impl TryFrom<WireLogRow> for LogRow {
    type Error = String;

    fn try_from(row: WireLogRow) -> Result<LogRow, String> {
        let at = row.activity_date_time.0.ok_or_else(|| format!("log entry {} has no time", row.id))?;
        let lower = |word: Option<String>, otherwise: &str| word.map_or(otherwise.to_owned(), |word| word.to_ascii_lowercase());
        let skipped_for = |step: &Value| step.pointer("/details/SkipReason").and_then(Value::as_str) == Some("RedundantExport");
        let redundant = row.provisioning_steps.as_array().is_some_and(|steps| steps.iter().any(skipped_for));
        let reason = row.provisioning_status_info.error_information.and_then(|info| {
            let given = |text: &String| !text.trim().is_empty();
            info.reason.filter(given).or(info.error_code.filter(given)).map(|text| one_line(&text))
        });
        Ok(LogRow {
            at,
            action: lower(row.provisioning_action, "other"),
            status: lower(row.provisioning_status_info.status, "unknown"),
            of_group: row.source_identity.as_ref().and_then(|identity| identity.identity_type.as_deref()) == Some("Group"),
            target: row.target_identity.and_then(|identity| identity.id).filter(|id| !id.is_empty()).map(ScimId::from),
            source: row.source_identity.and_then(|identity| hint(&identity.id?)),
            deactivates: row.modified_properties.iter().any(WireChange::deactivates),
            reason,
            redundant,
            id: row.id,
        })
    }
}

impl WireChange {
    fn deactivates(&self) -> bool {
        let ended = match self.display_name.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
            "active" => false,
            "issoftdeleted" => true,
            _ => return false,
        };
        let is = |value: &Option<String>| value.as_deref().and_then(truth) == Some(ended);
        is(&self.new_value) && !is(&self.old_value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(extra: Value) -> LogRow {
        let mut row = json!({"id": "r", "activityDateTime": "2026-11-02T10:00:00Z"});
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        match serde_json::from_value(row).unwrap() {
            Told::Row(row) => row,
            unread => panic!("{unread:?}"),
        }
    }

    #[test]
    fn a_staged_delete_is_harmful_in_any_spelling() {
        for action in ["stagedDelete", "StagedDelete", "stageddelete", "Disable", "delete"] {
            assert!(row(json!({"provisioningAction": action})).is_harmful(), "{action}");
        }
        let skipped = json!({"provisioningAction": "Delete", "provisioningStatusInfo": {"status": "Skipped"}});
        assert!(!row(skipped).is_harmful());
    }

    #[test]
    fn an_update_that_ends_a_user_is_seen_as_such() {
        let change = |name: &str, old: Value, new: &str| {
            let change = json!([{"displayName": name, "oldValue": old, "newValue": new}]);
            row(json!({"provisioningAction": "update", "modifiedProperties": change})).deactivates
        };
        assert!(change("active", json!("True"), "False"));
        assert!(change("Active", json!(null), "\"false\""));
        assert!(change("IsSoftDeleted", json!("False"), "True"));
        assert!(!change("active", json!("False"), "False"));
        assert!(!change("active", json!("False"), "True"));
        assert!(!change("displayName", json!("a"), "False"));
    }

    #[test]
    fn the_record_at_the_target_is_known_where_the_row_names_it() {
        let target = |identity: Value| row(json!({"targetIdentity": identity})).target.map(|id| id.to_string());
        assert_eq!(target(json!({"id": "u-9", "identityType": "User"})).as_deref(), Some("u-9"));
        for nobody in [Value::Null, json!({}), json!({"id": null}), json!({"id": ""})] {
            assert_eq!(target(nobody), None);
        }
    }

    #[test]
    fn missing_keys_do_not_hide_a_row() {
        let bare = row(json!({"modifiedProperties": null, "sourceIdentity": {"id": "not-a-guid"}}));
        assert_eq!((bare.action.as_str(), bare.status.as_str(), bare.source), ("other", "unknown", None));
        let unread = |row: Value| serde_json::from_value::<Told>(row).unwrap();
        let at = "2026-11-02T10:00:00Z";
        let timed = Told::Unread { id: "r".into(), at: Some(at.parse().unwrap()) };
        assert_eq!(unread(json!({"id": "r"})), Told::Unread { id: "r".into(), at: None });
        assert_eq!(unread(json!({"id": "r", "activityDateTime": at, "provisioningAction": 7})), timed);
        assert_eq!(unread(json!("a row")), Told::Unread { id: "without an id".into(), at: None });
    }

    #[test]
    fn what_harms_or_fails_is_told_from_what_went_well() {
        let told = |action: &str, status: &str| {
            let row = row(json!({"provisioningAction": action, "provisioningStatusInfo": {"status": status}}));
            (row.is_harmful() || row.is_failure(), row.went_well())
        };
        for (action, status) in [("disable", "success"), ("create", "Failure"), ("Delete", "warning")] {
            assert_eq!(told(action, status), (true, false), "{action} {status}");
        }
        assert_eq!(told("create", "success"), (false, true));
        for action in ["update", "delete"] {
            assert_eq!(told(action, "skipped"), (false, false), "{action}");
        }
        let skipped = |why: &str| {
            let steps = json!([{"name": "EntryImport"}, {"name": "EntryExportUpdate", "details": {"SkipReason": why}}]);
            row(json!({"provisioningStatusInfo": {"status": "skipped"}, "provisioningSteps": steps})).went_well()
        };
        assert!(skipped("RedundantExport") && !skipped("NotEffectivelyEntitled"));
    }
}
