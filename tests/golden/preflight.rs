//! Every finding of preflight by itself, and what is next to it and no finding.

use unscim::judge::baseline::take_baseline;
use unscim::judge::preflight::{Findings, check};
use unscim::model::action::Action;
use unscim::model::id::ScimId;
use unscim::model::memory::{BaselineSource, Departure, DepartureKind, Streak};
use unscim::model::observed::{Listed, Observed, Why};
use unscim::model::snapshot::*;
use unscim::model::spec::*;
use unscim::model::status::Brake;

use crate::support::*;

fn found(change: impl FnOnce(&mut Case)) -> Findings {
    let mut case = Case::untouched();
    change(&mut case);
    // It is of the same look.
    if case.memory.source == BaselineSource::Provisional {
        case.memory.baseline = take_baseline(&case.facts()).map_or(Observed::Absent, Observed::Known);
    }
    check(&case.facts())
}

/// Exactly this refusal, and nothing that could not be looked at.
fn refuses(words: &str, change: impl FnOnce(&mut Case)) {
    let found = found(change);
    assert!(found.refusals.len() == 1 && found.refusals[0].contains(words), "{words:?}: {found:#?}");
    assert!(found.unknowns.is_empty(), "{found:#?}");
}

fn passes(change: impl FnOnce(&mut Case)) {
    let found = found(change);
    assert!(found.refusals.is_empty() && found.unknowns.is_empty(), "{found:#?}");
}

fn notes(words: &str, change: impl FnOnce(&mut Case)) {
    let found = found(change);
    assert!(found.notes.iter().any(|note| note.contains(words)), "{words:?}: {found:#?}");
}

fn settings(case: &mut Case) -> &mut SyncSettings {
    let Listed::Known(settings) = &mut case.seen.settings else { panic!() };
    settings
}

fn schema(case: &mut Case) -> &mut SyncSchema {
    let Observed::Known(schema) = &mut case.seen.schema else { panic!() };
    schema
}

fn app(case: &mut Case) -> &mut App {
    let Observed::Known(app) = &mut case.seen.app else { panic!() };
    app
}

/// As before there is a baseline on disk.
fn provisional(case: &mut Case) {
    case.memory.source = BaselineSource::Provisional;
}

#[test]
fn a_tenant_in_order_passes() {
    passes(|_| {});
    passes(provisional);
}

#[test]
fn what_could_not_be_read_is_unknown_and_what_is_refused_or_absent_is_a_refusal() {
    type Look = fn(&mut Case, Why);
    let looks: [(&str, Look); 4] = [
        ("the enterprise application with object id", |case, why| case.seen.app = Observed::Unknown(why)),
        ("the app's assignments", |case, why| case.seen.assignments = Listed::Unknown(why)),
        ("the synchronization jobs", |case, why| case.seen.jobs = Listed::Unknown(why)),
        ("the job's schema", |case, why| case.seen.schema = Observed::Unknown(why)),
    ];
    for (what, look) in looks {
        let unknown = found(|case| look(case, Why::new("transient", "the service is down")));
        assert!(unknown.refusals.is_empty() && unknown.unknowns.len() == 1, "{what}: {unknown:#?}");
        assert!(unknown.unknowns[0].starts_with(what), "{unknown:#?}");
        for kind in ["denied", "credential", "ambiguous", "file", "malformed"] {
            refuses(what, |case| look(case, Why::new(kind, "no")));
        }
    }
    refuses("does not exist; correct the config", |case| case.seen.app = Observed::Absent);
    let other = |app| {
        move |case: &mut Case| {
            case.spec.entra.app = app;
            case.seen.app = Observed::Absent;
        }
    };
    refuses("with appId 00000000-0000-0000-0000-000000000009", other(AppRef::AppId(uuid::Uuid::from_u128(9))));
    refuses("the enterprise application \"Uniqkey\"", other(AppRef::DisplayName("Uniqkey".into())));
    // Without a job there is no schema and no log to read, and once the token is dead nobody asks for them.
    let unread = |case: &mut Case| {
        case.seen.schema = Observed::Unknown(failed("transient"));
        case.seen.log = Listed::Unknown(failed("transient"));
    };
    let without = found(|case| {
        unread(case);
        let Listed::Known(look) = &mut case.seen.jobs else { panic!() };
        look.value.clear();
    });
    let mut retired = Case::retired();
    unread(&mut retired);
    for found in [without, check(&retired.facts())] {
        assert!(found.unknowns.is_empty() && found.notes.iter().all(|note| !note.contains("log could not")), "{found:#?}");
    }
    // The log is support: it is stated, and holds nothing.
    notes("the provisioning log could not be read: no", |case| case.seen.log = Listed::Unknown(Why::new("denied", "no")));
    passes(|case| case.seen.log = Listed::Unknown(Why::new("denied", "no")));
}

#[test]
fn an_app_that_can_not_say_that_a_group_is_gone_is_refused_unless_its_list_is_to_be_enough() {
    let learned = |groups: Vec<Signature>| {
        move |case: &mut Case| {
            let calibration = case.memory.remembered.calibration.as_mut().unwrap();
            calibration.no_such = Some(NoSuch { users: Vec::new(), groups });
        }
    };
    let not_found = Signature { status: 404, body: BodyShape::ScimError };
    let words = "have the vendor fix GET /Groups/{id}";
    refuses(words, learned(Vec::new()));
    assert!(found(learned(vec![not_found])).refusals.is_empty());
    assert!(
        found(|case| case.memory.remembered.calibration.as_mut().unwrap().no_such = None).refusals.is_empty(),
        "not asked yet"
    );
    notes("its list lacks a group is enough (GroupsByListOnly)", |case| {
        learned(Vec::new())(case);
        case.spec.groups.acknowledge.push(Acknowledgement::GroupsByListOnly);
    });
    // Where the app has none of them there is nothing to see go.
    let none = found(|case| {
        learned(Vec::new())(case);
        case.target().groups.clear();
    });
    assert!(none.refusals.is_empty(), "{:?}", none.refusals);
}

#[test]
fn a_group_that_the_app_has_lost_is_told_before_cycles_fail_for_it() {
    notes("the app has no record, or more than one, of 1 of 2 managed groups (50.0%): \"Group 2\"", |case| {
        case.target().groups.remove(&ScimId::from("g-2"));
    });
    let before_the_first_cycle = found(|case| {
        case.target().groups.clear();
        case.job().last = None;
    });
    assert!(before_the_first_cycle.notes.iter().all(|note| !note.contains("the app has no record")));
}

#[test]
fn enforce_needs_the_permissions_for_what_it_would_do() {
    let held = |roles: &[&str], wids: &[&str]| {
        let permissions = Permissions {
            roles: roles.iter().map(ToString::to_string).collect(),
            directory_roles: wids.iter().map(ToString::to_string).collect(),
        };
        move |case: &mut Case| case.seen.permissions = Observed::Known(permissions)
    };
    let both = ["AppRoleAssignment.ReadWrite.All", "User.Read.All", "GroupMember.ReadWrite.All"];
    passes(held(&both, &[]));
    refuses("no GroupMember.ReadWrite.All", held(&both[..2], &[]));
    refuses("no AppRoleAssignment.ReadWrite.All", held(&both[1..], &[]));
    // This template is in every token and grants nothing; any other may serve.
    refuses("no GroupMember.ReadWrite.All", held(&both[..2], &["0997a1d0-0d1d-4acb-b408-d5ca73121e90"]));
    passes(held(&[], &["62e90394-69f5-4237-9190-012177145e10"]));
    let looks = held(&["User.Read.All"], &[]);
    passes(move |case| {
        looks(case);
        case.spec.mode = Mode::Observe;
    });
    passes(|case| case.seen.permissions = Observed::Unknown(failed("transient")));
    let pausing = |role: Option<&'static str>| {
        move |case: &mut Case| {
            case.spec.provisioning.afterwards = Afterwards::Pause;
            role.into_iter().for_each(|role| case.hold_permission(role));
        }
    };
    refuses("needed for afterwards: Pause", pausing(None));
    passes(pausing(Some("Synchronization.ReadWrite.All")));
    passes(pausing(Some("Application.ReadWrite.OwnedBy")));
}

#[test]
fn a_role_assignable_group_is_emptied_only_with_the_permission_for_it() {
    let assignable = |case: &mut Case| {
        case.profile(1).role_assignable = true;
        case.spec.groups.list[0].members = Some(MembersDecision::Remove);
    };
    refuses("is role-assignable, and the token has no RoleManagement.ReadWrite.Directory", assignable);
    passes(|case| {
        assignable(case);
        case.hold_permission("RoleManagement.ReadWrite.Directory");
    });
    passes(|case| {
        assignable(case);
        case.spec.groups.list[0].members = Some(MembersDecision::Keep);
    });
    // It is not assigned any more: nobody will empty it.
    passes(|case| {
        assignable(case);
        case.unrow(Principal::Group(group(1)));
    });
    passes(|case| case.spec.groups.list[0].members = Some(MembersDecision::Remove));
}

#[test]
fn there_is_one_job_and_it_runs() {
    let jobs = |case: &mut Case, n: usize| {
        let Listed::Known(look) = &mut case.seen.jobs else { panic!() };
        let first = look.value[0].clone();
        look.value = (0..n).map(|k| Job { id: unscim::model::id::JobId(format!("scim.{k}")), ..first.clone() }).collect();
    };
    refuses("has no synchronization job: nothing is provisioned", |case| jobs(case, 0));
    refuses("has 2 synchronization jobs (scim.0, scim.1)", |case| jobs(case, 2));
    passes(|case| {
        jobs(case, 2);
        case.spec.entra.job_id = Some(unscim::model::id::JobId("scim.1".into()));
    });
    refuses("no synchronization job scim.7; it has: scim.0", |case| {
        jobs(case, 1);
        case.spec.entra.job_id = Some(unscim::model::id::JobId("scim.7".into()));
    });
    refuses("is paused by somebody else (JobPaused)", |case| case.job().schedule = ScheduleState::Paused);
    refuses("is paused by somebody else (JobPaused)", |case| case.job().code = JobCode::Paused);
    let by_us = |case: &mut Case| {
        case.job().schedule = ScheduleState::Paused;
        let job = case.job().id.clone();
        case.confirmed(&Action::PauseJob { job }, 10);
    };
    refuses("paused by unscim's own last step, and earlier steps are owed again (JobPaused)", by_us);
    let mut proven = Case::cycled();
    by_us(&mut proven);
    assert!(check(&proven.facts()).refusals.is_empty(), "it came after the cycle that it waited for");
    // An admin took somebody's row since, and the new one waits for a cycle that a paused job never makes.
    proven.unrow(Principal::User(user(1)));
    proven.assign(1, 1, 590);
    let refusals = check(&proven.facts()).refusals;
    assert!(refusals.len() == 1 && refusals[0].contains("earlier steps are owed again"), "{refusals:?}");
    for change in [
        (|case: &mut Case| case.job().code = JobCode::NotRun) as fn(&mut Case),
        |case| case.job().code = JobCode::NotConfigured,
        |case| case.job().last = None,
    ] {
        refuses("has never finished a cycle", change);
    }
    refuses("is disabled; no cycle would carry", |case| case.job().schedule = ScheduleState::Disabled);
    refuses("has the status \"Odd\"", |case| case.job().code = JobCode::Other("Odd".into()));
    let quarantined = |reason: &'static str| {
        move |case: &mut Case| case.job().quarantine = Some(Quarantine { reason: reason.into(), message: "too many".into() })
    };
    refuses("allow it on the app's provisioning page (\"Allow deletes\")", quarantined("TooManyDeletes"));
    refuses("fix the cause on the app's provisioning page", quarantined("EncounteredBaseEscrowThreshold"));
    let mut proven = Case::cycled();
    quarantined("TooManyDeletes")(&mut proven);
    assert!(check(&proven.facts()).refusals.is_empty(), "step 4 is proven: it is expected");
}

#[test]
fn the_scope_is_assigned_only_and_groups_leave() {
    refuses("synchronizes all users and groups (SyncAll)", |case| settings(case).sync_all = Some(true));
    refuses("(SyncAll) is not known; look in the portal", |case| settings(case).sync_all = None);
    refuses("is not known: no; look", |case| case.seen.settings = Listed::Unknown(Why::new("denied", "no")));
    let word = |case: &mut Case| {
        settings(case).sync_all = None;
        case.spec.provisioning.scope_confirmed = Some(ScopeConfirmed::AssignedOnly);
    };
    passes(word);
    notes("is the operator's word", word);
    // The word does not outweigh what is read.
    refuses("synchronizes all users", |case| {
        word(case);
        settings(case).sync_all = Some(true);
    });
    refuses("SkipOutOfScopeDeletions is on", |case| settings(case).skip_out_of_scope_deletions = Some(true));
    passes(|case| settings(case).skip_out_of_scope_deletions = None);
    refuses("has no group mapping", |case| schema(case).group = None);
    refuses("group mapping is off", |case| schema(case).group.as_mut().unwrap().enabled = false);
    refuses("lacks the Delete action", |case| schema(case).group.as_mut().unwrap().deletes = false);
    refuses("set target.matchFrom", |case| schema(case).user.as_mut().unwrap().sources.clear());
    notes("has a scoping filter", |case| schema(case).user.as_mut().unwrap().scoped = true);
    notes("is 7 per cycle", |case| settings(case).delete_threshold = Some(7));
    notes("with 3 (one more than the groups that go in one cycle)", |_| {});
    notes("with 2 (one more than", |case| case.spec.rollout = Rollout::Waves(vec![vec![group(1)], vec![group(2)]]));
    let unread = found(|case| case.seen.settings = Listed::Unknown(failed("transient")));
    assert!(unread.notes.iter().all(|note| !note.contains("accidental deletions")), "it may be set: {unread:#?}");
    // Nothing of it is asked once the token is proven dead.
    let mut retired = Case::retired();
    settings(&mut retired).sync_all = Some(true);
    schema(&mut retired).group = None;
    assert!(check(&retired.facts()).refusals.is_empty());
}

#[test]
fn another_instance_of_the_app_is_refused_unless_it_is_acknowledged() {
    let is_at = |base: &str| {
        let base = Some(base.to_owned());
        move |case: &mut Case| settings(case).base_address = base
    };
    for other in
        ["http://127.0.0.1:1/scim/v2", "http://127.0.0.1:2/scim", "https://127.0.0.1:1/scim", "https://staging.example.com/scim"]
    {
        refuses("and target.scimUrl is http://127.0.0.1:1/scim: the wrong instance", is_at(other));
        let known = |case: &mut Case| {
            is_at(other)(case);
            case.spec.groups.acknowledge.push(Acknowledgement::OtherTenantUrl);
        };
        passes(known);
        notes("is the operator's word (OtherTenantUrl)", known);
        refuses("groups.acknowledge: [OtherTenantUrl]", |case| {
            provisional(case);
            case.spec.mode = Mode::Observe;
            is_at(other)(case);
        });
    }
    refuses(
        "Entra provisions to https://staging.example.com/scim (BaseAddress)",
        is_at("https://staging.example.com/scim/?sig=s3cret"),
    );
    // The same place in other words, and what is no place at all.
    let same = ["http://127.0.0.1:1/scim", "http://127.0.0.1:1/scim/", "http://127.0.0.1:1/scim/?aadOptscim062020"];
    for base in same.into_iter().chain(["no address", "mailto:somebody", ""]) {
        passes(is_at(base));
        assert!(found(is_at(base)).notes.iter().all(|note| !note.contains("BaseAddress")), "{base}");
    }
    let wiki = |base: &'static str| {
        move |case: &mut Case| {
            case.spec.target.scim_url = "https://wiki.example.com/scim?sig=1".parse().unwrap();
            is_at(base)(case);
        }
    };
    for base in ["https://WIKI.Example.com:443/scim", "HTTPS://wiki.example.com/scim/"] {
        passes(wiki(base));
    }
    passes(|case| {
        is_at("https://staging.example.com/scim")(case);
        case.seen.settings = Listed::Known(SyncSettings { base_address: None, ..settings(case).clone() });
    });
    let mut retired = Case::retired();
    is_at("https://staging.example.com/scim")(&mut retired);
    assert!(check(&retired.facts()).refusals.is_empty(), "nothing of it is asked once the token is proven dead");
}

#[test]
fn an_app_into_which_entra_signs_in_by_oauth_is_refused_unless_step_5_is_left_to_a_person() {
    let by_oauth = |case: &mut Case| settings(case).oauth = vec!["Oauth2ClientId"];
    refuses("signs in to the app by OAuth, by what its provisioning settings hold (Oauth2ClientId)", by_oauth);
    let known = |case: &mut Case| {
        by_oauth(case);
        case.spec.groups.acknowledge.push(Acknowledgement::OAuthSignIn);
    };
    passes(known);
    notes("step 5 is left to a person, and is never proven", known);
    // What was once read holds while it can't be read, and no longer.
    let once = |case: &mut Case| {
        case.memory.remembered.signs_in_by_oauth = true;
        case.seen.settings = Listed::Unknown(failed("transient"));
        case.spec.provisioning.scope_confirmed = Some(ScopeConfirmed::AssignedOnly);
    };
    refuses("signs in to the app by OAuth", once);
    passes(|case| case.memory.remembered.signs_in_by_oauth = true);
    // After step 4 too, and no more once all is proven.
    let mut cycled = Case::cycled();
    by_oauth(&mut cycled);
    assert!(cycled.refusals()[0].contains("OAuth"), "{:?}", cycled.refusals());
    let mut retired = Case::retired();
    by_oauth(&mut retired);
    assert!(retired.refusals().is_empty());
    // A token that has run out was not revoked.
    let refused = found(|case| {
        known(case);
        case.seen.target.token = TokenState::Refused(401);
    });
    assert!(refused.refusals[0].contains("it may be an access token that has expired"), "{refused:#?}");
    assert!(!refused.refusals[0].contains("RevokedTooEarly"), "{refused:#?}");
}

#[test]
fn a_token_that_is_refused_since_a_rollback_was_not_revoked_too_early() {
    let refused = |case: &mut Case| {
        case.memory.remembered.begun_anew = Some(at(NOW - 10));
        case.seen.target.token = TokenState::Refused(401);
    };
    let told = found(|case| {
        case.memory.remembered.bystanders_at = None;
        refused(case);
    });
    assert!(told.refusals[0].contains("put a new one into both Entra and the token file"), "{told:#?}");
    assert!(!told.refusals[0].contains("RevokedTooEarly"), "{told:#?}");
    // The app was read since.
    refuses("RevokedTooEarly", |case| {
        case.memory.remembered.bystanders_at = Some(at(NOW - 5));
        refused(case);
    });
}

#[test]
fn a_token_that_says_when_it_ends_is_told_before_and_is_not_called_revoked_after() {
    const DAY: i64 = 24 * 60;
    let ends = |minute: i64| move |case: &mut Case| case.seen.target.token_ends = Some(at(minute));
    let near = "the token in target.tokenFile ends by itself on ";
    let over = "the token in target.tokenFile has ended by itself on ";
    for (minute, told) in [(NOW - 1, over), (NOW + 5, over), (NOW + 6, near), (NOW + 14 * DAY, near)] {
        notes(told, ends(minute));
        passes(ends(minute));
    }
    assert!(found(ends(NOW + 14 * DAY + 1)).notes.iter().all(|note| !note.contains(near)));
    let mut cycled = Case::cycled();
    ends(NOW + DAY)(&mut cycled);
    assert!(check(&cycled.facts()).notes.iter().any(|note| note.contains(near)), "step 5 can't be proven after it");
    let mut retired = Case::retired();
    ends(NOW - DAY)(&mut retired);
    assert!(check(&retired.facts()).notes.iter().all(|note| !note.contains(near)));
    for (minute, expired) in [(NOW - 1, true), (NOW + 5, true), (NOW + 6, false)] {
        let refused = |case: &mut Case| {
            ends(minute)(case);
            case.seen.target.token = TokenState::Refused(401);
        };
        refuses(
            if expired {
                "it has expired by itself on "
            } else {
                "RevokedTooEarly: the token in target.tokenFile is refused (401) before step 4 is proven; is it the one that Entra uses?"
            },
            refused,
        );
        assert_eq!(found(refused).refusals[0].contains("RevokedTooEarly"), !expired);
    }
}

#[test]
fn whoever_else_assigns_users_or_empties_groups_holds_until_that_is_acknowledged() {
    let noted = |case: &Case| {
        let approved = case.approve();
        approved.held().iter().find(|(brake, _)| *brake == Brake::AnotherAtWork).map(|(_, why)| why.clone())
    };
    for case in [Case::untouched(), Case::assigned(), Case::emptied(), Case::unassigned(), Case::cycled()] {
        assert_eq!(noted(&case), None, "what the journal explains");
    }
    let mut case = Case::untouched();
    for (n, (u, r)) in [(1, 1), (2, 1), (2, 2)].into_iter().enumerate() {
        assert_eq!(noted(&case), None, "{n} are how a company lives");
        case.assign(u, r, 5);
    }
    assert!(
        noted(&case).is_some_and(|note| note.contains("3 direct assignments of protected users made since")),
        "{:?}",
        noted(&case)
    );
    assert_eq!(case.approve().actions().len(), 1, "covering users goes on: {:?}", case.approve().actions());
    case.spec.groups.acknowledge.push(Acknowledgement::AnotherAtWork);
    assert_eq!(noted(&case), None, "it is known who");
    case.spec.groups.acknowledge.pop();
    let taken = case.memory.baseline.known().unwrap().taken;
    case.rows().iter_mut().for_each(|row| row.created = Some(taken));
    assert_eq!(noted(&case), None, "they were there at the baseline");
    let mut case = Case::assigned();
    case.leave(1, 1);
    case.leave(1, 2);
    case.confirmed(&Action::RemoveMember { group: group(2), user: user(2) }, 590);
    case.leave(2, 2);
    assert_eq!(noted(&case), None, "two of three");
    case.leave(2, 3);
    assert!(noted(&case).is_some_and(|note| note.contains("3 memberships gone from managed groups")), "{:?}", noted(&case));
    case.seen.users.insert(user(3), Observed::Absent);
    assert_eq!(noted(&case), None, "who was deleted was not taken out");
    case.seen.users.clear();
    let streak = Streak { since: at(580), last: at(590), looks: 2 };
    case.memory.remembered.departed.insert(user(3), Departure { kind: DepartureKind::Deleted, streak });
    assert_eq!(noted(&case), None, "nor who is remembered as deleted");
    case.memory.remembered.departed.insert(user(3), Departure { kind: DepartureKind::Left, streak });
    assert!(noted(&case).is_some(), "who has left was taken out");
    provisional(&mut case);
    assert_eq!(noted(&case), None, "only a ledger can tell what is its own");
    let mut retired = Case::retired();
    retired.journal().entries.clear();
    assert_eq!(noted(&retired), None, "after the end others assign users");
    let mut cycled = Case::cycled();
    cycled.journal().entries.clear();
    assert!(noted(&cycled).is_some());
}

#[test]
fn listed_groups_exist_are_assigned_and_count() {
    refuses("is listed but not assigned to this app; a mistyped id?", |case| {
        provisional(case);
        case.unrow(Principal::Group(group(1)));
    });
    refuses("does not exist; correct its id in groups.list", |case| {
        provisional(case);
        case.unrow(Principal::Group(group(1)));
        case.seen.groups.get_mut(&group(1)).unwrap().profile = Observed::Absent;
    });
    refuses("is not security-enabled", |case| {
        provisional(case);
        case.profile(1).security_enabled = false;
    });
    let unread = found(|case| {
        provisional(case);
        case.seen.groups.get_mut(&group(1)).unwrap().profile = Observed::Unknown(failed("transient"));
    });
    assert!(unread.refusals.is_empty() && unread.unknowns[0].contains("could not be read"), "{unread:#?}");
    // Once the baseline is on disk, a group may be gone.
    passes(|case| case.unrow(Principal::Group(group(1))));
    let none = found(|case| {
        provisional(case);
        case.spec.groups.select = Select::AllAssigned;
        case.unrow(Principal::Group(group(1)));
        case.unrow(Principal::Group(group(2)));
    });
    assert!(none.refusals.iter().any(|why| why.contains("there is nothing to retire")), "{none:#?}");
    notes("UnmanagedGroupAssigned", |case| case.assign_group(7, 1));
    // Before there is a baseline, every group is unmanaged.
    for change in [(|_| {}) as fn(&mut Case), |case| case.memory.baseline = Observed::Absent] {
        assert!(found(change).notes.iter().all(|note| !note.contains("UnmanagedGroup")));
    }
    notes("names users who are not protected anyway", |case| _ = case.spec.released.insert(user(9)));
    assert!(found(|case| _ = case.spec.released.insert(user(1))).notes.iter().all(|note| !note.contains("spec.released")));
    notes("has no Policy.Read.All", |case| case.seen.policies = Listed::Unknown(Why::not_looked("Conditional Access")));
    let unasked = [
        (|case: &mut Case| case.seen.policies = Listed::Known(vec![])) as fn(&mut Case),
        |case| case.seen.policies = Listed::Unknown(failed("transient")),
        |case| {
            case.seen.policies = Listed::Unknown(Why::not_looked("Conditional Access"));
            case.seen.groups.values_mut().for_each(|group| group.uses = Listed::Unknown(failed("transient")));
        },
    ];
    for change in unasked {
        assert!(found(change).notes.iter().all(|note| !note.contains("Policy")));
    }
}

#[test]
fn what_else_uses_a_group_is_read_before_the_baseline_where_it_decides() {
    let unread = |case: &mut Case| {
        provisional(case);
        case.spec.groups.empty_groups = EmptyGroups::WhenExclusive;
        case.seen.groups.get_mut(&group(1)).unwrap().uses = Listed::Unknown(failed("transient"));
    };
    let told = found(unread);
    assert!(matches!(&told.unknowns[..], [one] if one.contains("what else uses group")), "{told:#?}");
    passes(|case| {
        unread(case);
        case.spec.groups.list.iter_mut().find(|entry| entry.id == group(1)).unwrap().members = Some(MembersDecision::Remove);
    });
    passes(|case| {
        unread(case);
        case.spec.groups.empty_groups = EmptyGroups::Always;
    });
    // Once under way, step 2 asks for it group by group.
    passes(|case| {
        unread(case);
        case.memory.source = BaselineSource::Ledger;
    });
    let policies = found(|case| {
        provisional(case);
        case.spec.groups.empty_groups = EmptyGroups::WhenExclusive;
        case.seen.policies = Listed::Unknown(failed("transient"));
    });
    assert_eq!(policies.unknowns.len(), 2, "{policies:#?}");
}

#[test]
fn a_group_that_shows_nobody_is_held_against_the_apps_own() {
    let own = unscim::model::id::ScimId::from("own-group");
    let empty = |case: &mut Case, members: Option<Listed<Option<u64>>>| {
        provisional(case);
        let seen = case.seen.groups.get_mut(&group(1)).unwrap();
        let Listed::Known(look) = &mut seen.members else { panic!() };
        look.value.users.clear();
        let name = seen.profile.known().unwrap().display_name.clone();
        let mut look = (**case.memory.target.as_ref().unwrap()).clone();
        look.groups.retain(|_, other| other.display_name.as_ref() != Some(&name));
        look.groups.insert(own.clone(), ScimGroup { id: own.clone(), display_name: Some(name), external_id: None });
        look.group_members.extend(members.map(|members| (own.clone(), members)));
        case.memory.target = Some(look.into());
    };
    let decided = |case: &mut Case| {
        case.spec.groups.list.iter_mut().find(|entry| entry.id == group(1)).unwrap().members = Some(MembersDecision::Remove);
    };
    refuses("and the app's own group has 5 members", |case| empty(case, Some(Listed::Known(Some(5)))));
    refuses("and the app's own group has 5 members", |case| {
        empty(case, Some(Listed::Known(Some(5))));
        decided(case);
    });
    let unread = found(|case| {
        empty(case, Some(Listed::Unknown(failed("transient"))));
        decided(case);
    });
    assert!(unread.refusals.is_empty() && unread.unknowns[0].contains("the app's own group could not be read"), "{unread:#?}");
    // Nobody has asked: it was not empty yet when the app was read last.
    let unasked = found(|case| {
        empty(case, None);
        decided(case);
    });
    assert!(unasked.refusals.is_empty() && unasked.unknowns[0].contains("the next read asks"), "{unasked:#?}");
    // Where the app says nothing of it, or that it is empty, a person says that it is.
    for silent in [Some(Listed::Known(None)), Some(Listed::Known(Some(0)))] {
        refuses("which is no proof that it brings nobody into scope", |case| empty(case, silent.clone()));
        notes("is the operator's word (members: Remove)", |case| {
            empty(case, silent.clone());
            decided(case);
        });
    }
    // Two groups there may be this one: any that has members is enough, and one that does not say counts for nothing.
    let two = |case: &mut Case, says: u64| {
        empty(case, Some(Listed::Known(Some(says))));
        let other = unscim::model::id::ScimId::from("other-group");
        let mut look = (**case.memory.target.as_ref().unwrap()).clone();
        look.groups.insert(other.clone(), ScimGroup { id: other.clone(), ..look.groups[&own].clone() });
        look.group_members.insert(other, Listed::Known(None));
        case.memory.target = Some(look.into());
    };
    refuses("and the app's own group has 3 members", |case| two(case, 3));
    refuses("which is no proof that it brings nobody into scope", |case| two(case, 0));
    // Records of people who would not be protected are told, unless as many are assigned directly.
    let beside = |more: fn(&mut Case)| {
        let found = found(|case| {
            empty(case, Some(Listed::Known(Some(0))));
            decided(case);
            more(case);
        });
        found.notes.into_iter().filter(|note| note.contains("who would not be protected")).collect::<Vec<_>>()
    };
    assert!(beside(|_| {})[0].starts_with("the app has 1 active record of people who would not be protected, of whom 0"));
    assert_eq!(beside(|case| case.assign(9, 1, 0)), Vec::<String>::new());
    // What is unknown anyway is not said twice.
    let twice = found(|case| {
        empty(case, Some(Listed::Unknown(failed("transient"))));
        case.seen.users.insert(user(2), Observed::Unknown(failed("transient")));
    });
    assert_eq!(twice.unknowns.len(), 1, "{twice:#?}");
    let alone = found(|case| {
        provisional(case);
        case.seen.users.insert(user(2), Observed::Unknown(failed("transient")));
    });
    assert!(alone.unknowns[0].contains("has a record at the target could not be read"), "{alone:#?}");
    // Emptied by hand before it began, and carried out: the word for that is enough.
    passes(|case| {
        empty(case, Some(Listed::Known(Some(0))));
        case.spec.groups.acknowledge.push(Acknowledgement::AlreadyDirect);
    });
}

#[test]
fn members_that_could_not_be_read_are_read_again_and_kinds_that_are_not_known_here_are_refused() {
    let unread = |kind: &'static str| {
        found(|case| {
            provisional(case);
            case.seen.groups.get_mut(&group(1)).unwrap().members = Listed::Unknown(failed(kind));
        })
    };
    let again = unread("transient");
    assert!(again.refusals.is_empty() && again.unknowns[0].contains("the members of group"), "{again:#?}");
    let refused = unread(unscim::model::observed::UNHEARD_OF);
    assert!(refused.unknowns.is_empty() && refused.refusals[0].contains("the members of group"), "{refused:#?}");
}

#[test]
fn settings_that_could_not_be_read_are_no_decision_for_a_person() {
    let told = found(|case| case.seen.settings = Listed::Unknown(failed("transient")));
    assert!(told.refusals.is_empty() && told.unknowns[0].contains("the job's settings"), "{told:#?}");
    refuses("set provisioning.scopeConfirmed", |case| case.seen.settings = Listed::Unknown(Why::new("denied", "no")));
}

#[test]
fn a_role_is_one_that_users_can_be_given() {
    refuses("the app does not declare it", |case| app(case).roles.retain(|declared| declared.id != role(2)));
    refuses("it is disabled", |case| app(case).roles[0].enabled = false);
    refuses("it is not for users", |case| app(case).roles[0].for_users = false);
    passes(|case| {
        app(case).roles[0].enabled = false;
        case.spec.roles.insert(role(1), role(2));
    });
    // A mapping to itself changes nothing, and one of a role that no group gives concerns nobody.
    passes(|case| _ = case.spec.roles.insert(role(1), role(1)));
    passes(|case| {
        let mut third = app(case).roles[0].clone();
        third.id = role(3);
        app(case).roles.push(third);
        case.spec.roles.insert(role(3), role(1));
    });
    // The all-zero role stands for an app without roles of its own.
    let zero = |case: &mut Case| {
        case.unrow(Principal::Group(group(1)));
        let id = unscim::model::id::AssignmentId::from("zero");
        let role = unscim::model::id::AppRoleId(uuid::Uuid::nil());
        case.rows().push(Assignment { id, principal: Principal::Group(group(1)), role, created: None });
    };
    refuses("the app does not declare it", zero);
    passes(|case| {
        zero(case);
        case.unrow(Principal::Group(group(2)));
        app(case).roles.clear();
    });
    passes(|case| {
        zero(case);
        case.unrow(Principal::Group(group(2)));
        app(case).roles.iter_mut().for_each(|role| role.enabled = false);
    });
    passes(|case| {
        zero(case);
        case.unrow(Principal::Group(group(2)));
        app(case).roles.iter_mut().for_each(|role| role.for_users = false);
    });
    refuses("the app does not declare it", |case| {
        zero(case);
        case.unrow(Principal::Group(group(2)));
        app(case).roles[0].enabled = false;
    });
    // A role that only a stranger's group has is none of our business.
    passes(|case| case.assign_group(7, 9));
}

#[test]
fn the_target_can_be_read_and_the_probe_is_calibrated() {
    let acknowledged =
        |case: &mut Case| case.spec.groups.acknowledge.retain(|known| *known != Acknowledgement::TargetGroupContent);
    refuses("credentials saved into a Uniqkey group may go with it", acknowledged);
    passes(|case| {
        acknowledged(case);
        case.spec.target.profile = Profile::Generic;
    });
    passes(|case| {
        acknowledged(case);
        case.spec.mode = Mode::Observe;
    });
    refuses(
        "RevokedTooEarly: the token in target.tokenFile is refused (401) before step 4 is proven; is it the one that Entra uses?",
        |case| case.seen.target.token = TokenState::Refused(401),
    );
    // At the very first look a mistyped token is likelier than a dead one.
    for baseline in [Observed::Absent, Case::untouched().memory.baseline] {
        let refused = found(|case| {
            case.memory.baseline = baseline;
            case.memory.source = BaselineSource::Provisional;
            case.seen.target.token = TokenState::Refused(401);
        });
        let first = "the token in target.tokenFile is refused (401); is it the one that Entra uses? ";
        assert!(refused.refusals.iter().any(|why| why.starts_with(first)), "{refused:#?}");
    }
    let unread = |case: &mut Case| {
        case.memory.target = None;
        case.seen.target.look = Listed::Unknown(failed("transient"));
    };
    let first = |case: &mut Case| {
        provisional(case);
        unread(case);
    };
    refuses("the target can't be read: the service is down", first);
    // To a process that goes on with a baseline it is an outage.
    let later = found(unread);
    assert!(later.refusals.is_empty() && later.unknowns == ["the target can't be read: the service is down"], "{later:#?}");
    passes(|case| case.seen.target.look = Listed::Unknown(failed("transient")));
    let uncalibrated = |seen: Option<Observed<Calibration>>| {
        move |case: &mut Case| {
            case.memory.remembered.calibration = None;
            case.seen.calibration = seen;
        }
    };
    refuses("can't be calibrated: the service is down", |case| {
        provisional(case);
        uncalibrated(Some(Observed::Unknown(failed("transient"))))(case);
    });
    refuses("the service has no such path", uncalibrated(Some(Observed::Absent)));
    let throttled = || Why::new("throttled", "throttled, retry after 1s");
    let waits = found(uncalibrated(Some(Observed::Unknown(throttled()))));
    let told = "the revocation probe can't be calibrated: throttled, retry after 1s";
    assert!(waits.refusals.is_empty() && waits.unknowns == [told], "{waits:#?}");
    for kind in ["throttled", "unreachable", "timed-out", "broken"] {
        let waits = found(|case| {
            case.memory.target = None;
            case.seen.target.look = Listed::Unknown(failed(kind));
        });
        let told = "the target can't be read: the service is down";
        assert!(waits.refusals.is_empty() && waits.unknowns.iter().any(|why| why == told), "{kind}: {waits:#?}");
    }
    let later = found(uncalibrated(None));
    assert!(later.refusals.is_empty() && later.unknowns == ["the revocation probe is not calibrated yet"], "{later:#?}");
    refuses("the target can't be read", |case| {
        first(case);
        uncalibrated(None)(case);
    });
    let mut proven = Case::cycled();
    proven.memory.remembered.calibration = None;
    proven.seen.target.token = TokenState::Refused(401);
    assert!(check(&proven.facts()).refusals.is_empty(), "step 4 is proven");
    notes("steps 4 and 5 are open again", |case| case.memory.remembered.revocations_void = 1);
    assert!(found(|_| {}).notes.iter().all(|note| !note.contains("open again")));
}

#[test]
fn records_at_the_target_leave_no_doubt_before_the_first_baseline() {
    let nameless = |case: &mut Case| case.target().users.get_mut(&scim(1)).unwrap().user_name = None;
    let both = found(|case| {
        provisional(case);
        nameless(case);
    });
    let said = |words: &str| both.refusals.iter().any(|why| why.contains(words));
    assert!(said("1 user at the target without a userName (u-1)") && said("1 of 3 protected users"), "{both:#?}");
    passes(nameless);
    passes(|case| {
        provisional(case);
        nameless(case);
        case.spec.target.match_by = MatchBy::ExternalId;
        case.spec.target.match_from = Some("objectId".into());
        case.spec.groups.acknowledge.push(Acknowledgement::UncountedUsers);
    });
    let twice = |case: &mut Case| {
        let name = "user2@contoso.example".to_owned();
        let known = DirectoryUser {
            id: user(2),
            user_principal_name: Some(name.as_str().into()),
            match_value: Some(name.as_str().into()),
            enabled: Some(true),
            guest: false,
        };
        case.seen.users.insert(user(2), Observed::Known(known));
        let record = ScimUser {
            id: scim(9),
            user_name: Some(name.to_uppercase().into()),
            external_id: None,
            active: Some(true),
            created: None,
        };
        case.target().users.insert(scim(9), record);
    };
    refuses("2 records at the target match user2@contoso.example", |case| {
        provisional(case);
        twice(case);
    });
    passes(twice);
    // Of somebody in no group too, where whoever is assigned directly is watched.
    let direct = |case: &mut Case| {
        provisional(case);
        twice(case);
        (1..=2).for_each(|g| case.leave(g, 2));
        case.assign(2, 1, 10);
    };
    passes(direct);
    refuses("2 records at the target match user2@contoso.example", |case| {
        direct(case);
        case.spec.groups.acknowledge.push(Acknowledgement::AlreadyDirect);
    });
    passes(|case| {
        provisional(case);
        twice(case);
        case.target().users.remove(&scim(9));
    });
}

#[test]
fn most_members_with_rows_of_their_own_before_the_baseline_tell_of_a_lost_ledger() {
    let assigned = |n: usize| {
        move |case: &mut Case| {
            provisional(case);
            for (u, r) in [(1, 1), (2, 1), (2, 2), (3, 2)].into_iter().take(n) {
                case.assign(u, r, -100);
            }
        }
    };
    passes(assigned(3));
    refuses("3 of 3 members (100.0%) hold their roles themselves already", assigned(4));
    passes(|case| {
        assigned(4)(case);
        case.spec.groups.acknowledge.push(Acknowledgement::EarlierAssignments);
    });
    passes(|case| {
        assigned(4)(case);
        case.spec.mode = Mode::Observe;
    });
    passes(|case| (1..=3).for_each(|u| case.assign(u, 1, -100)));
}

#[test]
fn whoever_nobody_has_heard_of_may_be_a_person() {
    let robot = |case: &mut Case| {
        let Listed::Known(look) = &mut case.seen.groups.get_mut(&group(1)).unwrap().members else { panic!() };
        look.value.others.push(("robot".into(), uuid::Uuid::from_u128(9)));
    };
    refuses("has members of a kind that is not known here (robot)", robot);
    let mut case = Case::emptied();
    assert!(case.approve().actions().iter().any(Action::is_destructive));
    robot(&mut case);
    assert!(!case.facts().is_group_settled(group(1)));
    assert!(!case.approve().actions().iter().any(Action::is_destructive));
    refuses("1 assignment of the app of a kind of principal", |case| {
        case.row(Principal::Unheard(uuid::Uuid::from_u128(9)), role(1), -100);
    });
    passes(|case| case.row(Principal::Other(uuid::Uuid::from_u128(9)), role(1), -100));
    // A token without the permission sees nothing of who hides.
    refuses("hides its members (visibility HiddenMembership)", |case| case.profile(1).hidden = true);
    passes(|case| {
        case.profile(1).hidden = true;
        case.hold_permission("Member.Read.Hidden");
    });
}
