//! What a seed makes of a tenant and of the config.

use std::time::Duration;

use unscim::model::spec::{Acknowledgement, Afterwards, EmptyGroups, MembersDecision, Mode, Rollout, Spec};
use unscim::practice::scenario::{GroupTrait, Replicas, Scenario};

use crate::dice::Dice;
use crate::kinds::{Kinds, Trouble};

/// Traits with which the guide can still come to its end, with a decision.
const TRAITS: [GroupTrait; 10] = [
    GroupTrait::Dynamic,
    GroupTrait::Synced,
    GroupTrait::MailEnabled,
    GroupTrait::Team,
    GroupTrait::RoleAssignable,
    GroupTrait::Licensed,
    GroupTrait::OtherApp,
    GroupTrait::Nested,
    GroupTrait::HasDevice,
    GroupTrait::BothRoles,
];

pub fn scenario(dice: &mut Dice, kinds: &mut Kinds, seed: u64) -> Scenario {
    let (users, groups) = (2 + dice.below(7), 1 + dice.below(4));
    let mut scenario = Scenario {
        seed,
        users,
        groups,
        page_size: *dice.of(&[1, 2, 3, 999]),
        lag: *dice.of(&[Duration::ZERO, Duration::from_secs(20), Duration::from_secs(100)]),
        log_latency: dice.seconds(0, 900),
        cycle_interval: *dice.of(&[Duration::from_secs(20 * 60), Duration::from_secs(40 * 60)]),
        cycle_length: dice.seconds(30, 400),
        disabled_users: dice.some(users, 6),
        guests: dice.some(users, 6),
        direct_users: dice.some(users, 5),
        ..Scenario::default()
    };
    scenario.target.missing = dice.some(users, 10);
    scenario.target.inactive = &dice.some(users, 10) - &scenario.target.missing;
    scenario.target.unmanaged = dice.one_in(3);
    scenario.job.delete_threshold = dice.one_in(4).then(|| 2 + dice.below(4) as u64);
    for group in 1..=groups {
        if dice.one_in(4) {
            scenario.group_traits.entry(group).or_default().insert(*dice.of(&TRAITS));
        }
    }
    if let Some(dice) = kinds.strikes(Trouble::Replicas, 1) {
        scenario.replicas = Replicas { count: 2 + dice.below(2) as u32, behind: dice.seconds(10, 90) };
    }
    scenario
}

/// Decides for every group, so that no world waits for a person who never comes.
pub fn spec(dice: &mut Dice, scenario: &Scenario, spec: &mut Spec) {
    spec.mode = if dice.one_in(12) { Mode::Observe } else { Mode::Enforce };
    let one = |n: usize| vec![spec.groups.list[n].id];
    spec.rollout = match dice.below(4) {
        0 => Rollout::Canary,
        1 => Rollout::SmallestFirst,
        2 => Rollout::Waves((0..spec.groups.list.len()).map(one).collect()),
        _ => Rollout::AllAtOnce,
    };
    spec.groups.empty_groups = EmptyGroups::Always;
    if dice.one_in(8) {
        spec.groups.acknowledge.clear();
    }
    // Of what these worlds have plenty of: the operator knows.
    let known = [Acknowledgement::UncountedUsers, Acknowledgement::EarlierAssignments, Acknowledgement::AnotherAtWork];
    spec.groups.acknowledge.extend(known);
    for (n, entry) in spec.groups.list.iter_mut().enumerate() {
        let traits = scenario.group_traits.get(&(n + 1));
        let fixed = [GroupTrait::Dynamic, GroupTrait::Synced, GroupTrait::MailEnabled, GroupTrait::RoleAssignable];
        let uneditable = traits.is_some_and(|traits| fixed.iter().any(|fixed| traits.contains(fixed)));
        entry.members = match (uneditable, dice.below(4)) {
            (true, _) | (false, 0) => Some(MembersDecision::Keep),
            (false, 1) => Some(MembersDecision::Remove),
            (false, _) => None,
        };
    }
    spec.provisioning.settle_cycles = 1 + dice.below(2) as u32;
    spec.provisioning.verify_cycles = 1 + dice.below(2) as u32;
    spec.provisioning.afterwards = if dice.one_in(4) { Afterwards::Pause } else { Afterwards::Leave };
    spec.target.read_interval = *dice.of(&[Duration::from_secs(30), Duration::from_secs(300)]);
}
