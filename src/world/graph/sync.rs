//! Reads of the synchronization jobs, their schema, their settings and the provisioning log; never writes.

use std::cell::RefCell;

use jiff::Timestamp;

use super::client::{Ask, GraphClient};
use super::fetch::{Consistency, Listed};
use super::reads::{look, whole};
use super::token::TokenSource;
use super::wire::log::Told;
use super::wire::settings::{WireSetting, settings as readable};
use super::wire::sync::{WireJob, WireSchema};
use crate::model::id::{JobId, ServicePrincipalId};
use crate::model::snapshot::{Job, Log, Look, SyncSchema, SyncSettings};
use crate::world::error::{Error, Result};

const NEEDS: &str = "Synchronization.Read.All";

pub async fn jobs<T: TokenSource>(client: &GraphClient<T>, app: ServicePrincipalId) -> Result<Look<Vec<Job>>> {
    let ask = Ask { operation: "list_jobs", needs: NEEDS, doing: format!("listing the synchronization jobs of app {app}") };
    let path = ["servicePrincipals", &app.to_string(), "synchronization", "jobs"];
    let understood = |job: WireJob| job.into_model().map(Some);
    look(&ask, client.list(&ask, &path, &[], Consistency::Usual, understood).await?, |rows| rows)
}

pub async fn schema<T: TokenSource>(client: &GraphClient<T>, app: ServicePrincipalId, job: &JobId) -> Result<SyncSchema> {
    let ask = Ask { operation: "get_schema", needs: NEEDS, doing: format!("reading the schema of job {job}") };
    let path = ["servicePrincipals", &app.to_string(), "synchronization", "jobs", &job.0, "schema"];
    Ok(client.get::<WireSchema>(&ask, &path, &[]).await?.into_model())
}

pub async fn settings<T: TokenSource>(client: &GraphClient<T>, app: ServicePrincipalId) -> Result<SyncSettings> {
    let ask = Ask { operation: "list_settings", needs: NEEDS, doing: format!("reading the provisioning settings of app {app}") };
    let path = ["servicePrincipals", &app.to_string(), "synchronization", "secrets"];
    let listed: Listed<WireSetting> = client.list(&ask, &path, &[], Consistency::Usual, whole).await?;
    Ok(readable(listed.rows))
}

pub async fn log<T: TokenSource>(client: &GraphClient<T>, job: &JobId, since: Timestamp) -> Result<Look<Log>> {
    let ask = Ask {
        operation: "list_log",
        needs: "ProvisioningLog.Read.All, or AuditLog.Read.All and Directory.Read.All (and the tenant Entra ID P1 or P2)",
        doing: format!("reading the provisioning log of job {job} since {since}"),
    };
    let filter = format!("jobId eq '{}' and activityDateTime gt {since}", job.0.replace('\'', "''"));
    let query = [("$filter", filter.as_str()), ("$top", "500")];
    let log = RefCell::new(Log::default());
    // Most rows are dropped, of a log that has one for every user and more.
    let kept = |told: Told| {
        Ok(match told {
            Told::Row(row) if row.is_harmful() || row.is_failure() => Some(Told::Row(row)),
            Told::Row(row) => {
                log.borrow_mut().note(&row);
                None
            }
            unread => Some(unread),
        })
    };
    let listed = client.list(&ask, &["auditLogs", "provisioning"], &query, Consistency::Usual, kept).await;
    // The log as such can't be absent: a tenant or cloud without it is one where it can't be read.
    let listed = listed.map_err(|error| match error {
        Error::NotFound { doing, request_id } => Error::Refused {
            doing,
            status: 404,
            code: "not found".into(),
            message: "this tenant or cloud has no provisioning log".into(),
            request_id,
        },
        other => other,
    })?;
    look(&ask, listed, |rows: Vec<Told>| {
        let mut log = log.into_inner();
        for told in rows {
            match told {
                Told::Row(row) => {
                    log.note(&row);
                    log.rows.push(row);
                }
                Told::Unread { id, at } => _ = log.unread.insert(id, at),
            }
        }
        log
    })
}
