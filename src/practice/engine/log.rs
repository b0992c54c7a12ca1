//! Rows of the provisioning log, as Graph shows them once they can be read.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::id::{JobId, ScimId};
use crate::practice::clock::stamp;
use crate::practice::seed::Ids;

/// One thing that the engine did or left.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub id: Uuid,
    pub at: Timestamp,
    /// When it can be read.
    pub visible: Timestamp,
    pub job: JobId,
    pub cycle: String,
    pub action: Action,
    pub outcome: Outcome,
    /// `User` or `Group`.
    pub kind: &'static str,
    pub source: Uuid,
    pub source_name: String,
    pub target: Option<ScimId>,
    /// (attribute, before, after)
    pub modified: Vec<(String, Option<String>, Option<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Update,
    Disable,
    Delete,
    StagedDelete,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// With the `SkipReason`.
    Skipped(&'static str),
    Failure(String),
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Disable => "disable",
            Action::Delete => "delete",
            Action::StagedDelete => "stagedDelete",
        }
    }

    fn step(self) -> &'static str {
        match self {
            Action::Create => "EntryExportAdd",
            Action::Update | Action::Disable => "EntryExportUpdate",
            Action::Delete | Action::StagedDelete => "EntryExportDelete",
        }
    }
}

impl Entry {
    pub fn to_json(&self, ids: &Ids) -> Value {
        let (status, error, details) = match &self.outcome {
            Outcome::Success => ("success", Value::Null, json!({})),
            Outcome::Skipped(reason) => ("skipped", Value::Null, json!({"SkipReason": reason})),
            Outcome::Failure(text) => ("failure", failure(text), json!({})),
        };
        let in_scope = if self.outcome == Outcome::Skipped("NotEffectivelyEntitled") { "False" } else { "True" };
        let step = |name: &str, kind: &str, status: &str, details: Value| json!({"name": name, "provisioningStepType": kind, "status": status, "description": null, "details": details});
        let modified =
            self.modified.iter().map(|(name, old, new)| json!({"displayName": name, "oldValue": old, "newValue": new}));
        json!({
            "id": self.id, "activityDateTime": stamp(self.at), "tenantId": ids.tenant, "jobId": self.job, "cycleId": self.cycle,
            "changeId": Uuid::new_v5(&self.id, b"change"), "provisioningAction": self.action.word(), "durationInMilliseconds": 250,
            "servicePrincipal": {"id": ids.service_principal, "displayName": ids.app_name},
            "sourceSystem": {"id": Uuid::new_v5(&ids.tenant.0, b"source"), "displayName": "Microsoft Entra ID", "details": {}},
            "targetSystem": {"id": Uuid::new_v5(&ids.tenant.0, b"target"), "displayName": ids.app_name,
                "details": {"ServicePrincipalId": ids.service_principal, "ServicePrincipalDisplayName": ids.app_name}},
            "initiatedBy": {"id": "", "displayName": "Azure AD Provisioning Service", "initiatorType": "system"},
            "sourceIdentity": {"id": self.source, "displayName": self.source_name, "identityType": self.kind, "details": {}},
            "targetIdentity": {"id": self.target.as_ref().map_or_else(String::new, ToString::to_string), "displayName": "", "identityType": self.kind, "details": {}},
            "provisioningStatusInfo": {"status": status, "errorInformation": error},
            "provisioningSteps": [
                step("EntryImport", "import", "success", json!({})),
                step("EntrySynchronizationScoping", "scoping", "success", json!({"Assigned to the application": in_scope})),
                step(self.action.step(), "export", status, details),
            ],
            "modifiedProperties": Vec::from_iter(modified),
        })
    }
}

fn failure(text: &str) -> Value {
    json!({"errorCode": "SystemForCrossDomainIdentityManagementServiceIncompatible", "errorCategory": "failure", "reason": text,
        "recommendedAction": null, "additionalDetails": null})
}
