//! What an operator writes who writes little: a test changes what it is about.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use unscim::model::id::*;
use unscim::model::spec::*;
use uuid::Uuid;

pub fn spec(groups: impl Iterator<Item = GroupId>) -> Spec {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    Spec {
        name: "golden".into(),
        mode: Mode::Enforce,
        hold: Hold::None,
        approval: None,
        entra: Entra {
            cloud: Cloud::Public,
            tenant_id: TenantId(Uuid::from_u128(1)),
            app: AppRef::ServicePrincipalId(ServicePrincipalId(Uuid::from_u128(2))),
            job_id: None,
            credential: Credential::ClientSecret { client_id: Uuid::from_u128(3), client_secret_file: PathBuf::from("secret") },
            authority: "http://127.0.0.1:1".parse().unwrap(),
            graph: "http://127.0.0.1:1".parse().unwrap(),
            ca_file: None,
        },
        groups: Groups {
            select: Select::Listed,
            list: groups.map(|id| GroupEntry { id, members: None }).collect(),
            empty_groups: EmptyGroups::WhenExclusive,
            acknowledge: vec![Acknowledgement::UndiscoverableUses, Acknowledgement::TargetGroupContent],
        },
        roles: BTreeMap::new(),
        target: Target {
            profile: Profile::Uniqkey,
            scim_url: "http://127.0.0.1:1/scim".parse().unwrap(),
            token_file: PathBuf::from("token"),
            match_by: MatchBy::UserName,
            match_from: None,
            read_interval: minutes(5),
            revocation: Revocation { by: RevocationBy::Operator, webhook: None, confirmations: 3, confirm_every: minutes(1) },
        },
        provisioning: Provisioning {
            settle_cycles: 1,
            verify_cycles: 2,
            scope_confirmed: None,
            cycle_margin: minutes(10),
            cycle_timeout: minutes(600),
            log_read_interval: minutes(5),
            afterwards: Afterwards::Leave,
        },
        released: BTreeSet::new(),
        released_records: BTreeSet::new(),
        rollout: Rollout::Canary,
        windows: None,
        limits: Limits {
            max_groups: 2,
            max_users: 3,
            max_member_removals: 4,
            max_shrink: Percent(10),
            fights: 2,
            write_share: Percent(50),
            shared_by: 1,
            write_quota: Quota { amount: 3_000, per: Duration::from_secs(150) },
        },
        timing: Timing { interval: minutes(1), settle: minutes(5), request_timeout: Duration::from_secs(30) },
        telemetry: Telemetry::default(),
    }
}
