//! Rows of the provisioning log as Graph sends them.

use serde::Deserialize;
use serde_json::Value;

use super::{Row, Stamp, nullable, one_line, truth};
use crate::model::id::ScimId;
use crate::model::snapshot::LogRow;

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WireLogRow {
    id: String,
    activity_date_time: Stamp,
    provisioning_action: Option<String>,
    source_identity: Option<WireIdentity>,
    target_identity: Option<WireIdentity>,
    #[serde(default, deserialize_with = "nullable")]
    provisioning_status_info: WireStatusInfo,
    #[serde(default, deserialize_with = "nullable")]
    provisioning_steps: Vec<WireStep>,
    #[serde(default, deserialize_with = "nullable")]
    modified_properties: Vec<WireChange>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct WireIdentity {
    id: Option<String>,
    identity_type: Option<String>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
struct WireStatusInfo {
    status: Option<String>,
    error_information: Option<WireErrorInformation>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct WireErrorInformation {
    error_code: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize, PartialEq)]
struct WireStep {
    #[serde(default)]
    details: Value,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct WireChange {
    display_name: Option<String>,
    old_value: Option<String>,
    new_value: Option<String>,
}

impl Row for WireLogRow {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl WireLogRow {
    pub fn into_model(self) -> Result<LogRow, String> {
        let at = self.activity_date_time.0.ok_or_else(|| format!("row {} has no time", self.id))?;
        let (source, source_kind) = match self.source_identity {
            Some(identity) => (identity.id.and_then(|id| id.parse().ok()), identity.identity_type),
            None => (None, None),
        };
        let target = self.target_identity.and_then(|identity| identity.id).filter(|id| !id.is_empty()).map(ScimId);
        let lower = |word: Option<String>, otherwise: &str| word.map_or(otherwise.to_owned(), |word| word.to_ascii_lowercase());
        let reason = self.provisioning_status_info.error_information.and_then(|info| {
            let given = |text: &String| !text.trim().is_empty();
            info.reason.filter(given).or(info.error_code.filter(given)).map(|text| one_line(&text))
        });
        Ok(LogRow {
            at,
            action: lower(self.provisioning_action, "other"),
            status: lower(self.provisioning_status_info.status, "unknown"),
            source,
            source_kind,
            target,
            deactivates: self.modified_properties.iter().any(WireChange::deactivates),
            skip_reason: self.provisioning_steps.iter().find_map(WireStep::skip_reason),
            reason,
            id: self.id,
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

impl WireStep {
    fn skip_reason(&self) -> Option<String> {
        let details = self.details.as_object()?;
        let (_, reason) = details.iter().find(|(key, _)| key.eq_ignore_ascii_case("SkipReason"))?;
        reason.as_str().map(one_line)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(extra: Value) -> Result<LogRow, String> {
        let mut row = json!({"id": "r", "activityDateTime": "2026-11-02T10:00:00Z"});
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value::<WireLogRow>(row).unwrap().into_model()
    }

    #[test]
    fn a_staged_delete_is_harmful_in_any_spelling() {
        for action in ["stagedDelete", "StagedDelete", "stageddelete", "Disable", "delete"] {
            assert!(row(json!({"provisioningAction": action})).unwrap().is_harmful(), "{action}");
        }
        let skipped = json!({"provisioningAction": "Delete", "provisioningStatusInfo": {"status": "Skipped"}});
        assert!(!row(skipped).unwrap().is_harmful());
    }

    #[test]
    fn an_update_that_ends_a_user_is_seen_as_such() {
        let change = |name: &str, old: Value, new: &str| {
            let change = json!([{"displayName": name, "oldValue": old, "newValue": new}]);
            row(json!({"provisioningAction": "update", "modifiedProperties": change})).unwrap().deactivates
        };
        assert!(change("active", json!("True"), "False"));
        assert!(change("Active", json!(null), "\"false\""));
        assert!(change("IsSoftDeleted", json!("False"), "True"));
        assert!(!change("active", json!("False"), "False"));
        assert!(!change("active", json!("False"), "True"));
        assert!(!change("displayName", json!("a"), "False"));
    }

    #[test]
    fn missing_keys_do_not_hide_a_row() {
        let bare = row(json!({"modifiedProperties": null, "provisioningSteps": [{"details": null}, {"details": {"SkipReason": "RedundantExport"}}],
            "sourceIdentity": {"id": "not-a-guid"}, "targetIdentity": {"id": ""}}))
        .unwrap();
        assert_eq!((bare.action.as_str(), bare.status.as_str()), ("other", "unknown"));
        assert_eq!((bare.source, bare.target, bare.skip_reason.as_deref()), (None, None, Some("RedundantExport")));
        assert!(serde_json::from_value::<WireLogRow>(json!({"id": "r"})).unwrap().into_model().is_err());
    }
}
