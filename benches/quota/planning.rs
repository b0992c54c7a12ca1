//! Planning alone: facts, plan and brakes over a million users, in memory. The golden cases lend their small company.

#[path = "../../tests/common/company.rs"]
mod golden;

use std::time::{Duration, Instant};

use crate::builds::{Build, Builds, Each};
use crate::median::median;
use crate::number;
use crate::process::command;
use crate::table::{Bar, Judged};
use anyhow::{Context, Result, ensure};
use golden::{Case, at, group, role, scim, user};
use unscim::judge::brakes::approve;
use unscim::judge::facts::Facts;
use unscim::judge::plan::{NewBaseline, plan};
use unscim::model::action::Action;
use unscim::model::id::AssignmentId;
use unscim::model::snapshot::{Assignment, Principal, ScimUser};
use unscim::model::spec::{GroupEntry, Rollout};

const GROUPS: u128 = 500;
/// What is planned, and before which step.
const KINDS: [(&str, u8); 2] = [("assigning everybody", 1), ("emptying the groups", 2)];
/// Within one process, of which the median counts.
const WITHIN: usize = 3;
/// Who takes this long once is not asked again.
const ENOUGH: Duration = Duration::from_secs(60);

/// Where there are two builds, each of them tells by its own benchmark, in a process of its own, round by round.
pub async fn measure(builds: &Builds, rounds: usize) -> Result<Judged> {
    let users = number("UNSCIM_BENCH_PLAN_USERS", 1_000_000)?;
    let mut took = builds.lists();
    if builds.before.is_none() {
        took.now = here(users, rounds)?;
    }
    for round in (1..=rounds).take_while(|_| builds.before.is_some()) {
        eprintln!("planning, round {round} of {rounds}");
        for (build, took) in builds.with(&mut took) {
            took.extend(told(build, users).await.context(build.name)?);
        }
    }
    let mut worst: Each<f64> = builds.map(|_| 0.0);
    for (what, _) in KINDS {
        let of_kind = took.map(|took| median(took.iter().filter(|one| one.0 == what).map(|one| one.1)));
        for (took, worst) in of_kind.with(&mut worst) {
            *worst = worst.max(*took);
        }
    }
    Ok(Judged::new(format!("planning alone for {users} users, the slower of the two"), Bar::OfBefore(0.30), worst, "s"))
}

/// What that build's benchmark prints of one round.
async fn told(build: &Build, users: usize) -> Result<Vec<(&'static str, f64)>> {
    let mut command = command(&build.bench);
    command.arg("--bench").env("UNSCIM_BENCH_PARTS", "planning").env("UNSCIM_BENCH_ROUNDS", WITHIN.to_string());
    let output = command.env("UNSCIM_BENCH_PLAN_USERS", users.to_string()).output().await?;
    ensure!(output.status.success(), "its benchmark failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let of = |what: &'static str| {
        let took = text.lines().find_map(|line| line.split_once(what)?.1.strip_prefix(": ")?.strip_suffix(" s.")?.parse().ok());
        Ok((what, took.with_context(|| format!("its benchmark does not tell of {what:?}"))?))
    };
    KINDS.into_iter().map(|(what, _)| of(what)).collect()
}

fn here(users: usize, rounds: usize) -> Result<Vec<(&'static str, f64)>> {
    let mut all = Vec::new();
    for (what, step) in KINDS {
        let case = company(users as u128, step)?;
        eprintln!("planning: {what}, {users} users");
        let mut took = Vec::new();
        for _ in 0..rounds {
            let begun = Instant::now();
            let facts = Facts::new(&case.spec, &case.seen, &case.memory, golden::moment(golden::NOW));
            let approved = approve(&facts, plan(&facts, NewBaseline::Forbidden));
            took.push(begun.elapsed().as_secs_f64());
            let enough = begun.elapsed() > ENOUGH;
            ensure!(approved.actions().len() == users, "{what}: {} actions, {:?}", approved.actions().len(), approved.held());
            if enough {
                break;
            }
        }
        let took = median(took);
        println!("Planning for {users} users, {what}: {took:.3} s.\n");
        all.push((what, took));
    }
    Ok(all)
}

/// Everybody in one group, with that group's role; before step 1, or done with it.
fn company(users: u128, step: u8) -> Result<Case> {
    let mut case = Case::untouched();
    case.spec.rollout = Rollout::AllAtOnce;
    let limits = &mut case.spec.limits;
    (limits.max_groups, limits.max_users, limits.max_member_removals) = (u32::MAX, u32::MAX, u32::MAX);
    let Case { spec, seen, memory, .. } = &mut case;
    let baseline = match &mut memory.baseline {
        unscim::model::observed::Observed::Known(baseline) => baseline,
        _ => anyhow::bail!("the golden case has no baseline"),
    };
    let (protected, record) =
        (baseline.users[&user(1)].clone(), memory.target.as_ref().context("no target")?.users[&scim(1)].clone());
    let (managed, looked) = (baseline.groups[&group(1)].clone(), seen.groups[&group(1)].clone());
    baseline.users.clear();
    spec.groups.list.clear();
    for g in 1..=GROUPS {
        spec.groups.list.push(GroupEntry { id: group(g), members: None });
        baseline.groups.insert(group(g), managed.clone());
        seen.groups.insert(group(g), looked.clone());
    }
    let target = std::sync::Arc::make_mut(memory.target.as_mut().context("no target")?);
    for u in 1..=users {
        let record = ScimUser { id: scim(u), user_name: Some(format!("user{u}@contoso.example").into()), ..record.clone() };
        let of = protected_in(&protected, record.user_name.clone(), u % GROUPS + 1, record.clone());
        baseline.users.insert(user(u), of);
        target.users.insert(record.id.clone(), record);
    }
    case.rows().clear();
    for g in 1..=GROUPS {
        let row = row(Principal::Group(group(g)), format!("group-{g}"), -1000);
        case.rows().push(row);
        case.members(g).clear();
    }
    for u in 1..=users {
        case.members(u % GROUPS + 1).insert(user(u));
    }
    if step == 2 {
        for u in 1..=users {
            let row = row(Principal::User(user(u)), format!("user-{u}"), 10);
            case.rows().push(row);
            case.in_sight(u, 1, 10);
            case.confirmed(&Action::AssignUser { user: user(u), role: role(1) }, 10);
        }
        case.cycle(60);
    }
    Ok(case)
}

fn protected_in(
    one: &unscim::model::baseline::Protected,
    name: Option<std::sync::Arc<str>>,
    g: u128,
    record: ScimUser,
) -> unscim::model::baseline::Protected {
    unscim::model::baseline::Protected {
        name,
        groups: [group(g)].into_iter().collect(),
        target: unscim::model::baseline::AtTarget::Record(record),
        ..one.clone()
    }
}

fn row(principal: Principal, id: String, made: i64) -> Assignment {
    Assignment { id: AssignmentId::from(id), principal, role: role(1), created: Some(at(made)) }
}
