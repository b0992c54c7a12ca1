//! Synchronization jobs and their schema as Graph sends them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::Deserialize;
use serde_json::Value;

use super::{Row, Stamp, nullable, one_line, opaque};
use crate::model::id::JobId;
use crate::model::snapshot::{Execution, ExecutionState, Job, JobCode, Mapping, Quarantine, ScheduleState, SyncSchema};
use crate::world::error::hint;

const NOT_GIVEN: &str = "not given";

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WireJob {
    #[serde(deserialize_with = "opaque")]
    id: String,
    #[serde(default, deserialize_with = "nullable")]
    schedule: WireSchedule,
    #[serde(default, deserialize_with = "nullable")]
    status: WireStatus,
    #[serde(default, deserialize_with = "nullable")]
    synchronization_job_settings: Vec<WireNamed>,
}

#[derive(Deserialize, PartialEq)]
struct WireNamed {
    name: Option<String>,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize, Default, PartialEq)]
struct WireSchedule {
    interval: Option<String>,
    state: Option<String>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct WireStatus {
    code: Option<String>,
    last_execution: Option<WireExecution>,
    quarantine: Option<WireQuarantine>,
    steady_state_last_achieved_time: Stamp,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct WireExecution {
    activity_identifier: Option<String>,
    state: Option<String>,
    #[serde(default)]
    time_began: Stamp,
    #[serde(default)]
    time_ended: Stamp,
    error: Option<WireError>,
    #[serde(default)]
    count_escrowed: Value,
}

#[derive(Deserialize, PartialEq)]
struct WireError {
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize, PartialEq)]
struct WireQuarantine {
    reason: Option<String>,
    error: Option<WireError>,
}

impl Row for Job {
    type Key<'a> = &'a str;

    fn key(&self) -> &str {
        &self.id.0
    }
}

impl WireJob {
    pub fn into_model(self) -> Result<Job, String> {
        let schedule = match self.schedule.state.as_deref().unwrap_or(NOT_GIVEN) {
            "Active" => ScheduleState::Active,
            "Disabled" => ScheduleState::Disabled,
            "Paused" => ScheduleState::Paused,
            other => ScheduleState::Other(one_line(other)),
        };
        let code = match self.status.code.as_deref().unwrap_or(NOT_GIVEN) {
            "NotConfigured" => JobCode::NotConfigured,
            "NotRun" => JobCode::NotRun,
            "Active" => JobCode::Active,
            "Paused" => JobCode::Paused,
            "Quarantine" => JobCode::Quarantine,
            other => JobCode::Other(one_line(other)),
        };
        let last = match self.status.last_execution {
            Some(execution) => execution.into_model().map_err(|why| format!("job {}: {why}", self.id))?,
            None => None,
        };
        let quarantine = self.status.quarantine.map(|quarantine| Quarantine {
            reason: quarantine.reason.unwrap_or_else(|| NOT_GIVEN.into()),
            message: quarantine.error.and_then(WireError::sentence).unwrap_or_else(|| "no message".into()),
        });
        let threshold = self
            .synchronization_job_settings
            .iter()
            .find(|setting| setting.name.as_deref() == Some("QuarantineTooManyDeletesThreshold"));
        Ok(Job {
            delete_threshold: threshold.and_then(|setting| number(&setting.value)),
            id: JobId(self.id),
            schedule,
            interval: self.schedule.interval.as_deref().and_then(interval),
            code,
            last,
            quarantine,
            steady_state_last: self.status.steady_state_last_achieved_time.0,
        })
    }
}

impl WireExecution {
    fn into_model(self) -> Result<Option<Execution>, String> {
        let Some(began) = self.time_began.0 else { return Ok(None) };
        let activity = self.activity_identifier.filter(|id| !id.is_empty());
        let activity = activity.ok_or("its last execution has no activityIdentifier, so cycles can't be told apart")?;
        let state = match self.state.as_deref().unwrap_or(NOT_GIVEN) {
            "Succeeded" => ExecutionState::Succeeded,
            "Failed" => ExecutionState::Failed,
            "EntryLevelErrors" => ExecutionState::EntryLevelErrors,
            other => ExecutionState::Other(one_line(other)),
        };
        let error = self.error.and_then(WireError::sentence);
        Ok(Some(Execution { activity, state, began, ended: self.time_ended.0, escrowed: self.count_escrowed.as_u64(), error }))
    }
}

impl WireError {
    /// The code `None` stands for no error.
    fn sentence(self) -> Option<String> {
        let code = self.code.filter(|code| !code.is_empty() && code != "None")?;
        let message = self.message.unwrap_or_default();
        Some(one_line(format!("{code}: {message}").trim_end_matches(": ")))
    }
}

/// A job that never ran has an interval of thirty thousand years, beyond every parser's range.
#[expect(clippy::disallowed_methods, reason = "an interval beyond every range is none")]
fn interval(text: &str) -> Option<Duration> {
    let span: Span = hint(text)?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireSchema {
    synchronization_rules: Vec<WireRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRule {
    #[serde(default, deserialize_with = "nullable")]
    object_mappings: Vec<WireMapping>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMapping {
    #[serde(default, deserialize_with = "nullable")]
    enabled: bool,
    #[serde(default, deserialize_with = "nullable")]
    source_object_name: String,
    #[serde(default, deserialize_with = "nullable")]
    flow_types: String,
    #[serde(default, deserialize_with = "nullable")]
    scope: WireScope,
    #[serde(default, deserialize_with = "nullable")]
    attribute_mappings: Vec<WireAttributeMapping>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireScope {
    #[serde(default, deserialize_with = "nullable")]
    groups: Vec<Value>,
    #[serde(default, deserialize_with = "nullable")]
    input_filter_groups: Vec<Value>,
    #[serde(default, deserialize_with = "nullable")]
    category_filter_groups: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAttributeMapping {
    target_attribute_name: Option<String>,
    source: Option<WireSource>,
}

#[derive(Deserialize)]
struct WireSource {
    expression: Option<String>,
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl WireSchema {
    pub fn into_model(self) -> SyncSchema {
        let mappings: Vec<WireMapping> = self.synchronization_rules.into_iter().flat_map(|rule| rule.object_mappings).collect();
        SyncSchema { user: of(&mappings, "User"), group: of(&mappings, "Group") }
    }
}

/// Of several mappings for one kind the enabled ones count, taken together for the worse.
fn of(mappings: &[WireMapping], kind: &str) -> Option<Mapping> {
    let mut candidates: Vec<_> =
        mappings.iter().filter(|mapping| mapping.source_object_name.eq_ignore_ascii_case(kind)).collect();
    if candidates.iter().any(|mapping| mapping.enabled) {
        candidates.retain(|mapping| mapping.enabled);
    }
    let first = candidates.first()?;
    let mut sources: BTreeMap<String, Option<String>> = BTreeMap::new();
    for attribute in candidates.iter().flat_map(|mapping| &mapping.attribute_mappings) {
        let Some(target) = &attribute.target_attribute_name else { continue };
        let source = attribute.source.as_ref().and_then(plain_source);
        sources
            .entry(target.to_ascii_lowercase())
            .and_modify(|known| {
                if *known != source {
                    *known = None;
                }
            })
            .or_insert_with(|| source.clone());
    }
    Some(Mapping {
        enabled: first.enabled,
        deletes: candidates
            .iter()
            .all(|mapping| mapping.flow_types.split(',').any(|flow| flow.trim().eq_ignore_ascii_case("Delete"))),
        scoped: candidates.iter().any(|mapping| {
            let WireScope { groups, input_filter_groups, category_filter_groups } = &mapping.scope;
            !(groups.is_empty() && input_filter_groups.is_empty() && category_filter_groups.is_empty())
        }),
        sources,
    })
}

/// The one attribute that the value is taken from; letter case aside, which matching ignores.
fn plain_source(source: &WireSource) -> Option<String> {
    let Some(expression) = source.expression.as_deref().filter(|text| !text.trim().is_empty()) else {
        let is_attribute = source.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("Attribute"));
        return source.name.clone().filter(|name| is_attribute && is_name(name));
    };
    let expression = expression.trim();
    let bracketed = |text: &str| {
        let name = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
        is_name(name).then(|| name.to_owned())
    };
    bracketed(expression).or_else(|| {
        let (function, rest) = expression.split_once('(')?;
        function.trim().eq_ignore_ascii_case("ToLower").then(|| bracketed(rest.strip_suffix(')')?)).flatten()
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}

pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| hint(value.as_str()?.trim())).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(status: Value) -> Result<Job, String> {
        let job = json!({"id": "scim.t.g", "schedule": {"interval": "PT40M", "state": "Active"}, "status": status});
        serde_json::from_value::<WireJob>(job).unwrap().into_model()
    }

    #[test]
    fn a_job_that_never_ran_has_no_interval_and_no_execution() {
        let raw = json!({"id": "scim.t.g", "schedule": {"interval": "P10675199DT2H48M5.4775807S", "state": "Sleeping"},
            "status": {"code": "NotRun", "quarantine": null, "steadyStateLastAchievedTime": "0001-01-01T00:00:00Z",
                "lastExecution": {"activityIdentifier": null, "state": "Failed", "timeBegan": "0001-01-01T00:00:00Z",
                    "timeEnded": "0001-01-01T00:00:00Z", "error": {"code": "None", "message": "", "tenantActionable": false}}}});
        let job = serde_json::from_value::<WireJob>(raw).unwrap().into_model().unwrap();
        assert_eq!((job.interval, job.last, job.steady_state_last), (None, None, None));
        assert_eq!(job.schedule, ScheduleState::Other("Sleeping".into()));
    }

    #[test]
    fn a_running_job_is_read_with_unknown_words_kept() {
        let job = job(
            json!({"code": "Resting", "quarantine": {"reason": "IngestionInterrupted", "error": {"code": "X", "message": "y"}},
            "lastExecution": {"activityIdentifier": "a", "state": "Odd", "timeBegan": "2026-11-02T10:00:07Z",
                "timeEnded": "0001-01-01T00:00:00Z", "error": {"code": "None", "message": ""}}}),
        )
        .unwrap();
        let last = job.last.unwrap();
        assert_eq!((last.state, last.ended, last.error), (ExecutionState::Other("Odd".into()), None, None));
        assert_eq!(job.code, JobCode::Other("Resting".into()));
        assert_eq!(job.interval, Some(Duration::from_secs(2400)));
        assert_eq!(job.quarantine.unwrap(), Quarantine { reason: "IngestionInterrupted".into(), message: "X: y".into() });
    }

    #[test]
    fn an_execution_without_an_id_is_refused() {
        assert!(job(json!({"lastExecution": {"state": "Succeeded", "timeBegan": "2026-11-02T10:00:07Z"}})).is_err());
    }

    #[test]
    fn a_schema_tells_plain_sources_from_computed_ones() {
        let mapping = |source: Value, target: &str| json!({"targetAttributeName": target, "source": source});
        let schema = json!({"synchronizationRules": [{"objectMappings": [
            {"enabled": true, "sourceObjectName": "Group", "flowTypes": "Add, Update", "scope": null, "attributeMappings": null},
            {"enabled": true, "sourceObjectName": "user", "flowTypes": "Add,Update,Delete",
             "scope": {"groups": [{"name": "dept"}], "inputFilterGroups": null},
             "attributeMappings": [
                mapping(json!({"type": "Attribute", "expression": "[userPrincipalName]", "name": "userPrincipalName"}), "userName"),
                mapping(json!({"type": "Function", "expression": "ToLower([mail])", "name": "ToLower"}), "externalId"),
                mapping(json!({"type": "Function", "expression": "Join(\"\", [a], [b])"}), "displayName"),
                mapping(json!({"type": "Attribute", "name": "surname"}), "name.familyName"),
                mapping(json!({"type": "Constant", "name": "x"}), "nickName"),
                mapping(Value::Null, "title")]}]}]});
        let schema = serde_json::from_value::<WireSchema>(schema).unwrap().into_model();
        let user = schema.user.unwrap();
        assert!(user.enabled && user.deletes && user.scoped);
        let sources: Vec<_> = user.sources.iter().map(|(target, source)| (target.as_str(), source.as_deref())).collect();
        assert_eq!(
            sources,
            [
                ("displayname", None),
                ("externalid", Some("mail")),
                ("name.familyname", Some("surname")),
                ("nickname", None),
                ("title", None),
                ("username", Some("userPrincipalName")),
            ]
        );
        let group = schema.group.unwrap();
        assert!(group.enabled && !group.deletes && !group.scoped);
    }
}
