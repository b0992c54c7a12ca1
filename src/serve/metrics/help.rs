//! What each metric says, and what to do with it; `docs/metrics.md` is made of it.

const HELP: &[(&str, &str)] = &[
    ("phase", "1 for the phase the retirement is in, 0 for the others. In Held a person must decide: unscim_held says what."),
    (
        "condition",
        "1 for the status that a condition has, 0 for the others. True is the good value for all but Held; \
         unscim_reason and /status say why it is not.",
    ),
    ("reason", "1 while some condition has this reason, 0 otherwise. What to do for each is in docs/reasons.md."),
    (
        "users",
        "Protected users by their path into provisioning scope, and those lost at the target. group_only goes to 0 in \
         step 1; any lost user needs a person at once. Never sum over state: \
         lost ones have a path, too.",
    ),
    (
        "groups",
        "Managed groups: assigned to the app, of these the ones seen empty and the ones refused until somebody decides, and \
         unassigned. At the end all are unassigned; refused above 0: decide, /status names them. Never sum \
         over state: emptied and refused are parts of assigned.",
    ),
    (
        "groups_assigned_again",
        "Managed groups that were off the app and that somebody else has assigned to it again, until repeated looks show them off once \
         more. Above 0: /status names them; find out who did it.",
    ),
    (
        "group_members",
        "User memberships left in managed groups that are to be emptied; goes to 0 in step 2. If it stands still, see \
         unscim_held.",
    ),
    (
        "target_users",
        "Users at the target as last read, by whether they are active there. Fewer active ones than before: see \
         unscim_users_lost.",
    ),
    (
        "target_groups",
        "Groups at the target as last read, by whether they are ours to retire. Managed ones go to 0 in step 4; those \
         that remain are to be deleted in the app.",
    ),
    (
        "token_revoked",
        "1 once the app is proven to refuse the SCIM token like one that never existed. Back from 1 to 0: it answers \
         again, find out who made it valid.",
    ),
    ("users_lost", "Protected users who are gone, inactive or made anew at the target. Above 0: stop and look at once."),
    (
        "held",
        "1 while this brake, preflight or a refusal holds the retirement; /status says why and what to do. window ends \
         by itself, frozen is somebody's wish.",
    ),
    (
        "writes_remaining",
        "Writes that are left until the end, as far as is known now: direct assignments, removals from groups, \
         assignments of groups. All go to 0; if one stands still, see unscim_held and unscim_reason.",
    ),
    (
        "earliest_finish_timestamp_seconds",
        "When the retirement can be over at the earliest, in Unix seconds by Entra's clock: the writes at our share of the \
         quota, every cycle on time. No promise. 0 where no end is in sight: held, waiting for a person, not known, over.",
    ),
    (
        "sync_job_quarantined",
        "1 while Entra has the synchronization job in quarantine: no cycle carries anything out. See its provisioning \
         page; expected once the token is deleted.",
    ),
    (
        "sync_last_cycle_timestamp_seconds",
        "When the last provisioning cycle ended, in Unix seconds by Entra's clock; 0 if none was seen. If it stands \
         still, see the app's provisioning page.",
    ),
    (
        "sync_cycle_expected_by_timestamp_seconds",
        "When the next provisioning cycle should have ended, in Unix seconds by Entra's clock; 0 while none is due. \
         Until then nobody has to do anything.",
    ),
    (
        "sync_cycle_overdue",
        "1 while cycles are due and none has ended for longer than provisioning.cycleTimeout, and than twice the job's interval. See the app's \
         provisioning page in Entra.",
    ),
    (
        "reconcile_total",
        "Turns of the loop, by how they ended. Many failed ones: see unscim_http_requests_total for what does not answer.",
    ),
    (
        "reconcile_duration_seconds",
        "Duration of one turn in seconds, with its waits for Graph. Long ones come from throttling or many writes.",
    ),
    (
        "reconcile_interval_seconds",
        "timing.interval of the config in seconds: no more than about this lies between two turns. Alerts on a stuck loop \
         measure by it.",
    ),
    (
        "last_attempt_timestamp_seconds",
        "When the last turn began, in Unix seconds; 0 before the first. If it stays behind, the loop is stuck: see the \
         log, restart it.",
    ),
    (
        "last_success_timestamp_seconds",
        "When the last turn that could read Graph read it, in Unix seconds; 0 before the first. If only this one stays \
         behind, see the condition GraphReachable.",
    ),
    (
        "actions_total",
        "Actions carried out, by how they ended. open: no answer came, the next read shows it. If failed ones go on, see \
         the log for Graph's reason.",
    ),
    (
        "http_requests_total",
        "Requests sent, by HTTP status, or by a word where no answer came; a series appears with its first answer. \
         A probe is meant to be refused (401).",
    ),
    (
        "http_request_duration_seconds",
        "Duration of one request in seconds, with the whole answer. Near timing.requestTimeout: see the network and the \
         service's health.",
    ),
    (
        "throttled_total",
        "Answers that asked us to slow down. If they go on, lower limits.writeShare or see who else uses the quota.",
    ),
    ("throttle_wait_seconds_total", "Seconds waited because we were asked to slow down. Nothing is lost, it only takes longer."),
    (
        "write_quota_ratio",
        "Share of Graph's write quota that our writes of the last 150 s took, 0 to 1. It stays below limits.writeShare, \
         the knob for it.",
    ),
    (
        "credential_expiry_timestamp_seconds",
        "When our Entra credential expires, in Unix seconds: the certificate's end, or the federated token's, which is \
         renewed by itself; 0 if not known, as of a client secret. Where the condition CredentialValid is False, renew it.",
    ),
    (
        "config_last_reload_success",
        "1 if the config that was read last is in force; 0 if it is wrong and the one before stays: see the log, fix it.",
    ),
    ("build_info", "Always 1; the labels say which build runs. Gone: nobody watches the retirement, start it again."),
];

/// Each metric is in the list: what could be missing here is missing in every start.
pub(super) fn help(name: &str) -> &'static str {
    HELP.iter().find(|(known, _)| *known == name).expect("it is in the list").1
}
