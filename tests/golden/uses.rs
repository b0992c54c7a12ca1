//! What else makes members of a group or hangs on it: a source of authority that was converted, rules that stand still, and Privileged
//! Identity Management.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::*;
use unscim::judge::preflight::{Findings, check};
use unscim::judge::roadmap::roadmap;
use unscim::judge::step::Verdict;
use unscim::model::action::Action;
use unscim::model::condition::Reason;
use unscim::model::memory::BaselineSource;
use unscim::model::names::Names;
use unscim::model::observed::{Listed, Why};
use unscim::model::snapshot::{LogRow, ObservedGroup, Principal};
use unscim::model::spec::{Acknowledgement, EmptyGroups, MembersDecision, Rollout};
use unscim::model::status::Brake;
use unscim::turn::remember::growth;

const OURS: &str = "set groups.acknowledge: [TemporaryMembers]";

impl Case {
    fn group_seen(&mut self, g: u128) -> &mut ObservedGroup {
        self.seen.groups.get_mut(&group(g)).unwrap()
    }

    /// Both lists were read, and nobody is in them.
    fn looked(&mut self) {
        for seen in self.seen.groups.values_mut() {
            (seen.lent, seen.eligible) = (Listed::Known(BTreeMap::new()), Listed::Known(BTreeSet::new()));
        }
    }

    /// Their membership of the group ends at this minute.
    fn lend(&mut self, g: u128, u: u128, until: Option<i64>) {
        let seen = self.group_seen(g);
        if !seen.lent.is_known() {
            seen.lent = Listed::Known(BTreeMap::new());
        }
        let Listed::Known(lent) = &mut seen.lent else { panic!() };
        lent.insert(user(u), until.map(at));
    }

    fn spec_all_at_once(&self) -> Case {
        let mut case = Case { spec: self.spec.clone(), seen: self.seen.clone(), memory: self.memory.clone() };
        case.spec.rollout = Rollout::AllAtOnce;
        case.spec.groups.list.iter_mut().for_each(|entry| entry.members = Some(MembersDecision::Remove));
        case
    }

    fn findings(&self) -> Findings {
        check(&self.facts())
    }

    fn provisional(mut self) -> Case {
        self.memory.source = BaselineSource::Provisional;
        self
    }
}

fn whom(actions: &[Action]) -> Vec<(u128, u128)> {
    let one = |action: &Action| match action {
        Action::AssignUser { user, role } => (user.0.as_u128() & 0xff, role.0.as_u128() & 0xff),
        other => panic!("{other}"),
    };
    actions.iter().map(one).collect()
}

#[test]
fn a_group_that_may_be_written_back_or_is_governed_serves_something_else() {
    type Change = fn(&mut Case);
    let cases: [(Change, &str); 4] = [
        (
            |case| case.profile(1).converted = true,
            "mastered in Entra now: where Entra writes it back, emptying it empties it there too",
        ),
        (
            |case| case.lend(1, 1, Some(900)),
            "Privileged Identity Management governs it: 1 user is a member for a while, 0 users may become one",
        ),
        (
            |case| case.group_seen(1).eligible = Listed::Known([user(8), user(9)].into()),
            "Privileged Identity Management governs it: 0 users are a member for a while, 2 users may become one",
        ),
        (|case| case.lend(1, 7, None), "1 user is a member for a while"),
    ];
    for (change, words) in cases {
        let mut case = Case::assigned();
        case.spec.groups.list[1].members = Some(MembersDecision::Keep);
        acts(&case.judge(2), Reason::MembersRemain);
        change(&mut case);
        refuses(&case.judge(2), Reason::DecisionNeeded, words);
        refuses(&case.judge(2), Reason::DecisionNeeded, "members: Remove or members: Keep");
        let roadmap = roadmap(&case.facts(), &[]).unwrap();
        assert!(roadmap.groups[0].uses.iter().any(|uses| uses.contains(words)), "{:?}", roadmap.groups[0]);
        case.spec.groups.list[0].members = Some(MembersDecision::Remove);
        acts(&case.judge(2), Reason::MembersRemain);
        case.spec.groups.list[0].members = Some(MembersDecision::Keep);
        met(&case.judge(2), Reason::AllEmptied);
    }
}

#[test]
fn a_look_at_privileged_identity_management_that_failed_is_no_no_and_one_that_nobody_may_make_is_asked_for() {
    for list in [0, 1] {
        let mut case = Case::assigned();
        case.looked();
        acts(&case.judge(2), Reason::MembersRemain);
        match list {
            0 => case.group_seen(1).lent = Listed::Unknown(failed("transient")),
            _ => case.group_seen(1).eligible = Listed::Unknown(failed("denied")),
        }
        case.spec.groups.list[1].members = Some(MembersDecision::Keep);
        waits(&case.judge(2), Reason::GroupReadFailed, "whether Privileged Identity Management governs it could not be read");
        // Whoever has decided needs no look.
        case.spec.groups.list[0].members = Some(MembersDecision::Remove);
        acts(&case.judge(2), Reason::MembersRemain);
    }
    let asked = |change: fn(&mut Case)| {
        let mut case = Case::assigned();
        case.seen.policies = Listed::Known(vec![]);
        case.looked();
        case.spec.groups.acknowledge.clear();
        change(&mut case);
        let Verdict::Refuse { why, .. } = case.judge(2) else { panic!() };
        assert!(why[0].contains("Azure roles, Intune, SharePoint, access packages"), "{why:?}");
        why[0].clone()
    };
    assert!(!asked(|_| {}).contains("Privileged"));
    let nobody_may: fn(&mut Case) = |case| case.group_seen(1).eligible = Listed::Unknown(Why::not_looked("who may"));
    assert!(asked(nobody_may).contains("Privileged Identity Management; set acknowledge: [UndiscoverableUses]"));
    let nobody_may: fn(&mut Case) = |case| case.seen.policies = Listed::Unknown(Why::not_looked("Conditional Access"));
    assert!(asked(nobody_may).contains("packages, Conditional Access; set"));
}

#[test]
fn who_is_a_member_for_a_while_is_told_before_anybody_gets_an_assignment() {
    let mut case = Case::untouched().provisional();
    case.looked();
    assert_eq!(case.findings().refusals, [""; 0]);
    case.lend(1, 1, Some(900));
    case.lend(1, 2, None);
    // Not a member by this look: nothing is given to them.
    case.lend(1, 9, Some(900));
    let refusals = case.findings().refusals;
    let [one] = &refusals[..] else { panic!("{refusals:#?}") };
    assert!(one.contains("Group 1") && one.contains("2 users are in it for a while only") && one.contains(OURS), "{one}");
    assert!(one.contains(&format!("user1@contoso.example ({}) until {}", user(1), at(900))), "{one}");
    assert!(one.contains(&format!("({}) for a while;", user(2))) && !one.contains("user9"), "{one}");
    case.memory.names = Names::Hidden;
    assert!(!case.findings().refusals[0].contains('@') && case.findings().refusals[0].contains(&user(1).to_string()));
    assert!(case.approve().actions().is_empty(), "not even others are assigned before that is decided");
    // Who holds the role already, or has it by a membership that lasts, gains nothing.
    case.assign(1, 1, 10);
    case.assign_group(2, 1);
    assert_eq!(case.findings().refusals, [""; 0]);
    case.unrow(Principal::User(user(1)));
    assert!(case.findings().refusals[0].contains(&user(1).to_string()) && case.findings().refusals.len() == 1);
    case.rows().retain(|row| row.principal != Principal::Group(group(2)) || row.role == role(2));
    // The operator's words: for one, for all.
    case.spec.released = [user(1)].into();
    assert!(case.findings().refusals[0].contains("1 user is in it"), "{:?}", case.findings());
    case.spec.released = [user(1), user(2)].into();
    assert_eq!(case.findings().refusals, [""; 0]);
    case.spec.released.clear();
    case.spec.groups.acknowledge.push(Acknowledgement::TemporaryMembers);
    let findings = case.findings();
    assert_eq!(findings.refusals, [""; 0]);
    assert!(findings.notes.iter().any(|note| note.contains("the operator's word (TemporaryMembers)")), "{findings:#?}");
}

#[test]
fn who_is_a_member_for_a_while_could_not_be_read_is_no_start_and_not_looked_is_a_note() {
    let mut case = Case::untouched().provisional();
    case.looked();
    case.group_seen(1).lent = Listed::Unknown(failed("transient"));
    let findings = case.findings();
    assert!(findings.refusals.is_empty() && findings.unknowns.len() == 1, "{findings:#?}");
    let words = ["for a while only could not be read", "take PrivilegedAssignmentSchedule.Read.AzureADGroup from the"];
    assert!(words.iter().all(|words| findings.unknowns[0].contains(words)), "{findings:#?}");
    case.spec.groups.acknowledge.push(Acknowledgement::TemporaryMembers);
    assert_eq!(case.findings().unknowns, [""; 0]);
    let told = |case: &Case| {
        let notes = case.findings().notes.into_iter();
        notes.filter(|note| note.contains("was not read (Privileged Identity Management)")).collect::<Vec<_>>()
    };
    let mut case = Case::untouched().provisional();
    let [lent, eligible] = &told(&case)[..] else { panic!("{:?}", told(&case)) };
    assert!(lent.contains("no PrivilegedAssignmentSchedule.Read.AzureADGroup"), "{lent}");
    assert!(eligible.contains("no PrivilegedEligibilitySchedule.Read.AzureADGroup"), "{eligible}");
    case.looked();
    assert_eq!(told(&case), [""; 0]);
    // What no rule lets it govern is not asked for.
    let mut case = Case::untouched();
    (case.profile(1).dynamic, case.profile(2).synced) = (true, true);
    assert_eq!(told(&case), [""; 0]);
}

#[test]
fn a_row_of_their_own_waits_for_a_word_where_only_memberships_that_end_give_the_role() {
    // User 2 is in both groups, with a role of each.
    let mut case = Case::untouched();
    case.looked();
    case.lend(1, 2, Some(900));
    match case.judge(1) {
        Verdict::Act { actions, refused, .. } => {
            assert_eq!(whom(&actions), [(1, 1), (2, 2), (3, 2)]);
            let [why] = &refused[..] else { panic!("{refused:?}") };
            assert!(why.contains("user2@") && why.contains("Group 1") && why.contains("until") && why.contains(OURS), "{why}");
        }
        other => panic!("{other:#?}"),
    }
    let forced = case.approve_with([Action::AssignUser { user: user(2), role: role(1) }]);
    assert!(!forced.actions().contains(&Action::AssignUser { user: user(2), role: role(1) }), "no brake trusts a step");
    assert!(forced.held().iter().any(|(brake, why)| *brake == Brake::NotApproved && why.contains(OURS)), "{:?}", forced.held());
    for (u, r) in [(1, 1), (2, 2), (3, 2)] {
        case.assign(u, r, 10);
        case.in_sight(u, r, 10);
    }
    refuses(&case.judge(1), Reason::DecisionNeeded, OURS);
    // Their groups stay as they are meanwhile, for they stand on nothing else there.
    assert!(case.approve().actions().iter().all(|action| !action.is_destructive()));
    case.spec.groups.acknowledge.push(Acknowledgement::TemporaryMembers);
    assert_eq!(whom(&acts(&case.judge(1), Reason::AssignmentsMissing)), [(2, 1)]);
    case.spec.groups.acknowledge.pop();
    // A membership that lasts gives the same role: it is theirs.
    case.rows().iter_mut().filter(|row| row.role == role(2)).for_each(|row| row.role = role(1));
    if let unscim::model::observed::Observed::Known(baseline) = &mut case.memory.baseline {
        baseline.groups.get_mut(&group(2)).unwrap().roles = [role(1)].into();
    }
    case.unrow(Principal::User(user(2)));
    assert_eq!(whom(&acts(&case.judge(1), Reason::AssignmentsMissing)), [(2, 1)]);
    // Two that end are none that lasts.
    case.lend(2, 2, None);
    refuses(&case.judge(1), Reason::DecisionNeeded, "Group 1");
    // Nothing stands between them and a path where no group carries them any more.
    case.leave(1, 2);
    case.leave(2, 2);
    assert_eq!(whom(&acts(&case.judge(1), Reason::AssignmentsMissing)), [(2, 1)]);
}

#[test]
fn nobody_is_protected_through_a_membership_that_ends_before_that_is_decided() {
    // User 3 comes into group 1, and user 7 whom nobody knows.
    let mut case = Case::assigned();
    case.looked();
    case.members(1).extend([user(3), user(7)]);
    let grown = |case: &Case| -> Vec<_> { growth(&case.facts()).users.into_keys().collect() };
    assert_eq!(grown(&case), [user(3), user(7)]);
    case.lend(1, 3, Some(900));
    assert_eq!(grown(&case), [user(7)]);
    case.lend(1, 7, None);
    assert_eq!(grown(&case), []);
    let Verdict::Refuse { reason: Reason::DecisionNeeded, why } = case.judge(1) else { panic!("{:#?}", case.judge(1)) };
    assert!(why.len() == 2 && why[0].contains("user3@") && why[1].contains(&user(7).to_string()), "{why:?}");
    // What holds is their group, and no other.
    let removed = |case: &Case| -> Vec<_> {
        case.spec_all_at_once()
            .approve()
            .actions()
            .iter()
            .filter(|action| action.is_destructive())
            .map(Action::to_string)
            .collect()
    };
    assert!(
        removed(&case).iter().all(|action| action.contains(&group(2).to_string())) && removed(&case).len() == 2,
        "{:?}",
        removed(&case)
    );
    // They have left: nothing is owed to them, and the group goes on.
    case.leave(1, 3);
    case.leave(1, 7);
    assert_eq!(grown(&case), []);
    met(&case.judge(1), Reason::AllAssigned);
    assert_eq!(removed(&case).len(), 4, "{:?}", removed(&case));
    // Released: they are left alone, and the group waits until they have left.
    let mut released = case.spec_all_at_once();
    released.members(1).insert(user(7));
    released.spec.released.insert(user(7));
    assert_eq!(grown(&released), [user(7)]);
    // A look that failed decides nothing, nor does one that only leaves it out.
    case.members(1).insert(user(7));
    case.group_seen(1).lent = Listed::Unknown(failed("transient"));
    assert_eq!(grown(&case), []);
    waits(&case.judge(1), Reason::GroupReadFailed, &user(7).to_string());
    case.looked();
    case.memory.remembered.uses.entry(group(1)).or_default().lent.insert(user(7).to_string(), None);
    assert_eq!(grown(&case), []);
    refuses(&case.judge(1), Reason::DecisionNeeded, "for a while only");
    case.spec.groups.acknowledge.push(Acknowledgement::TemporaryMembers);
    assert_eq!(grown(&case), [user(7)]);
    case.spec.groups.acknowledge.pop();
    case.memory.remembered.uses.clear();
    case.group_seen(1).lent = Listed::Unknown(Why::not_looked("who may"));
    assert_eq!(grown(&case), [user(7)]);
}

#[test]
fn the_end_of_an_activation_explains_the_end_at_the_app_of_somebody_who_was_never_protected() {
    let mut case = Case::assigned();
    case.looked();
    case.confirmed(&Action::RemoveMember { group: group(2), user: user(3) }, 100);
    case.leave(2, 3);
    if let Listed::Known(log) = &mut case.seen.log {
        log.value.rows.push(LogRow {
            id: "row-1".into(),
            at: at(NOW - 1),
            action: "disable".into(),
            status: "success".into(),
            source: Some(user(7).0),
            deactivates: true,
            of_group: false,
            reason: None,
            redundant: false,
            target: None,
        });
    }
    let lost = |case: &Case| {
        case.approve().held().iter().any(|(brake, why)| *brake == Brake::UsersLost && why.contains("never protected"))
    };
    assert!(lost(&case));
    case.group_seen(1).eligible = Listed::Known([user(7)].into());
    assert!(!lost(&case));
    case.group_seen(1).eligible = Listed::Known([user(8)].into());
    assert!(lost(&case));
    // Of a group that is gone by now nobody looks any more.
    case.memory.remembered.uses.entry(group(2)).or_default().eligible.insert(user(7).to_string(), None);
    assert!(!lost(&case));
    case.memory.remembered.uses.clear();
    case.lend(2, 7, None);
    assert!(!lost(&case));
}

#[test]
fn whether_a_membership_ends_that_could_not_be_read_is_waited_for() {
    let mut case = Case::untouched();
    case.looked();
    case.group_seen(1).lent = Listed::Unknown(failed("transient"));
    assert_eq!(whom(&acts(&case.judge(1), Reason::AssignmentsMissing)), [(2, 2), (3, 2)]);
    for (u, r) in [(2, 2), (3, 2)] {
        case.assign(u, r, 10);
    }
    waits(&case.judge(1), Reason::GroupReadFailed, "for a while only could not be read");
    case.group_seen(1).lent = Listed::Unknown(Why::not_looked("who may"));
    assert_eq!(whom(&acts(&case.judge(1), Reason::AssignmentsMissing)), [(1, 1), (2, 1)]);
}

#[test]
fn who_only_may_become_a_member_is_named_unless_they_have_another_way() {
    let mut case = Case::untouched();
    case.looked();
    case.group_seen(1).eligible = Listed::Known([user(3), user(7), user(8)].into());
    case.assign(8, 1, 10);
    let told = |case: &Case| case.findings().notes.into_iter().find(|note| note.contains("that way into provisioning ends"));
    let note = told(&case).unwrap();
    assert!(note.contains("Group 1") && note.contains("1 user may become") && note.ends_with(&user(7).to_string()), "{note}");
    case.assign(7, 1, 10);
    assert_eq!(told(&case), None);
    assert_eq!(case.findings().refusals, [""; 0]);
}

#[test]
fn a_rule_that_stands_still_and_a_converted_group_are_noted_with_how_many_they_concern() {
    let told = |change: fn(&mut Case)| {
        let mut case = Case::untouched();
        change(&mut case);
        let notes = case.findings().notes.into_iter();
        notes.filter(|note| note.starts_with("group \"Group 1\"")).collect::<Vec<_>>()
    };
    assert_eq!(told(|_| {}), [""; 0]);
    assert_eq!(told(|case| case.profile(1).dynamic = true), [""; 0]);
    assert_eq!(
        told(|case| (case.profile(1).rule_paused, case.profile(1).rule_by_groups) = (true, true)),
        [""; 0],
        "no rule is in force"
    );
    let paused = told(|case| (case.profile(1).dynamic, case.profile(1).rule_paused) = (true, true));
    assert!(
        paused.len() == 1 && paused[0].contains("2 users in it may be out of date") && paused[0].contains("is paused"),
        "{paused:?}"
    );
    let by_groups = told(|case| (case.profile(1).dynamic, case.profile(1).rule_by_groups) = (true, true));
    assert!(by_groups.len() == 1 && by_groups[0].contains("(memberOf)"), "{by_groups:?}");
    let converted = told(|case| case.profile(1).converted = true);
    assert!(converted.len() == 1 && converted[0].contains("emptying it takes 2 users out of it there too"), "{converted:?}");
    let kept = told(|case| {
        case.profile(1).converted = true;
        case.spec.groups.list[0].members = Some(MembersDecision::Keep);
    });
    assert_eq!(kept, [""; 0]);
    let always = told(|case| {
        case.profile(1).converted = true;
        case.spec.groups.empty_groups = EmptyGroups::Always;
    });
    assert_eq!(always.len(), 1, "who empties always is told all the same");
}
