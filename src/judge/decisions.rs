//! The decisions in a plan, and their digest: what an approval speaks of, whoever is in the groups today.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::model::baseline::Baseline;
use crate::model::spec::Spec;
use crate::model::words::hex;

/// `sha256:` and 64 hexadecimal digits over the groups with their roles, what becomes of their members, the limits and
/// the order of things. Users are not in it: they come and go.
pub fn digest(spec: &Spec, baseline: &Baseline) -> String {
    let decided = |id| spec.groups.list.iter().find(|entry| entry.id == id).and_then(|entry| entry.members);
    let groups: BTreeMap<_, _> = baseline
        .groups
        .iter()
        .map(|(id, group)| (id.to_string(), json!({ "roles": group.roles, "members": decided(*id) })))
        .collect();
    let roles: BTreeMap<_, _> = spec.roles.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
    let acknowledged: BTreeSet<_> = spec.groups.acknowledge.iter().map(|known| format!("{known:?}")).collect();
    let mut limits = json!(spec.limits);
    // Who else is at work today is no decision.
    limits.as_object_mut().and_then(|limits| limits.remove("sharedBy"));
    // Objects are written with their keys in order, so that equal decisions have equal bytes.
    let document = json!({
        "tenant": spec.entra.tenant_id,
        "app": baseline.binding.app,
        "job": baseline.binding.job,
        "scimUrl": baseline.binding.scim_url,
        "groups": groups,
        "emptyGroups": spec.groups.empty_groups,
        "acknowledge": acknowledged,
        "roles": roles,
        "rollout": spec.rollout,
        "limits": limits,
        "settleCycles": spec.provisioning.settle_cycles,
        "verifyCycles": spec.provisioning.verify_cycles,
        "afterwards": spec.provisioning.afterwards,
        "revocation": spec.target.revocation.by,
    });
    format!("sha256:{}", hex(Sha256::digest(document.to_string())))
}
