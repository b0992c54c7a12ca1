//! The provisioning log.

use jiff::Timestamp;

use super::route::{Call, Kind, Route};
use crate::practice::engine::log::Entry;
use crate::practice::odata::{Listing, Reply, page};

const READ: &[&[&str]] = &[
    &["ProvisioningLog.Read.All", "AuditLog.Read.All"],
    &["ProvisioningLog.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"],
];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/auditLogs/provisioning" Report 1 READ => list),
    route!(GET "/auditLogs/provisioning/{id}" Report 1 READ => one),
];

/// One condition of a `$filter`.
#[derive(Clone, Debug, PartialEq)]
enum Clause {
    Job(String),
    ServicePrincipal(String),
    After(Timestamp),
    NotBefore(Timestamp),
    Before(Timestamp),
    NotAfter(Timestamp),
}

impl Clause {
    fn holds(&self, entry: &Entry, service_principal: &str) -> bool {
        match self {
            Clause::Job(id) => entry.job.0 == *id,
            Clause::ServicePrincipal(id) => service_principal == id,
            Clause::After(at) => entry.at > *at,
            Clause::NotBefore(at) => entry.at >= *at,
            Clause::Before(at) => entry.at < *at,
            Clause::NotAfter(at) => entry.at <= *at,
        }
    }
}

fn parse(filter: &str) -> Option<Vec<Clause>> {
    filter.split(" and ").map(|clause| parse_clause(clause.trim())).collect()
}

fn parse_clause(clause: &str) -> Option<Clause> {
    let quoted = |text: &str| Some(text.trim().strip_prefix('\'')?.strip_suffix('\'')?.to_owned());
    if let Some(inside) = clause.strip_prefix("contains(tolower(servicePrincipal/id),") {
        return quoted(inside.strip_suffix(')')?).map(Clause::ServicePrincipal);
    }
    let mut words = clause.splitn(3, ' ');
    let (field, operator, value) = (words.next()?, words.next()?, words.next()?);
    let at = || value.trim().parse::<Timestamp>().ok();
    match (field, operator) {
        ("jobId", "eq") => quoted(value).map(Clause::Job),
        ("servicePrincipal/id", "eq") => quoted(value).map(Clause::ServicePrincipal),
        ("activityDateTime", "gt") => at().map(Clause::After),
        ("activityDateTime", "ge") => at().map(Clause::NotBefore),
        ("activityDateTime", "lt") => at().map(Clause::Before),
        ("activityDateTime", "le") => at().map(Clause::NotAfter),
        _ => None,
    }
}

/// Rows that can be read by now, oldest first.
fn visible<'a>(call: &'a Call) -> impl Iterator<Item = &'a Entry> {
    let now = call.now();
    call.state.sync.log.iter().filter(move |entry| entry.visible <= now)
}

fn list(call: &mut Call) -> Reply {
    let Some(clauses) = call.query.get("$filter").map_or(Some(Vec::new()), parse) else {
        return Reply::error(400, "BadRequest", "Invalid filter clause.");
    };
    let newest_first = match call.query.get("$orderby") {
        None | Some("activityDateTime desc") => true,
        Some("activityDateTime" | "activityDateTime asc") => false,
        Some(_) => return Reply::error(400, "BadRequest", "Invalid $orderby."),
    };
    let service_principal = call.inner.ids.service_principal.to_string();
    let matching = visible(call).filter(|entry| clauses.iter().all(|clause| clause.holds(entry, &service_principal)));
    let mut items: Vec<&Entry> = matching.collect();
    if newest_first {
        items.reverse();
    }
    let listing = Listing {
        url: format!("{}{}", call.request.root, call.request.path),
        context: "auditLogs/provisioning",
        query: &call.query,
        default_page: 1000,
        max_page: 1000,
        cap: call.inner.scenario.page_size,
    };
    page(&listing, &items, |entry| entry.id.to_string(), |entry| Ok(entry.to_json(&call.inner.ids)))
}

fn one(call: &mut Call) -> Reply {
    let id = call.param(0);
    match visible(call).find(|entry| entry.id.to_string() == id) {
        Some(entry) => Reply::object(200, "auditLogs/provisioning/$entity", entry.to_json(&call.inner.ids)),
        None => Reply::not_found(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_filters_are_understood_and_others_refused() {
        let parsed = parse("jobId eq 'scim.a.b' and activityDateTime gt 2026-11-02T10:00:00Z").unwrap();
        assert_eq!(parsed[0], Clause::Job("scim.a.b".into()));
        assert_eq!(parsed[1], Clause::After("2026-11-02T10:00:00Z".parse().unwrap()));
        assert!(parse("contains(tolower(servicePrincipal/id),'8e88')").is_some());
        assert!(parse("cycleId eq 'x'").is_none());
    }
}
