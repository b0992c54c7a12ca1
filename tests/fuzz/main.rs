//! Garbled answers and a garbled ledger: nothing panics, and no list that was cut or mangled is taken for a shorter one.
//!
//! The config is garbled in `tests/config`.

#[path = "../common/rig.rs"]
mod support;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tower::{Service, ServiceExt};
use unscim::practice::scenario::{GroupTrait, Privileged, Scenario};
use unscim::world::error::Result;
use unscim::world::http::Transport;
use unscim::world::ledger::SqliteLedger;
use unscim::world::{Directory, Ledger, Target};

use support::Rig;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Cut off, a piece lost, a piece doubled, or noise put in.
fn garbled(body: &[u8], chance: &mut StdRng) -> Vec<u8> {
    let mut body = body.to_vec();
    let place = |chance: &mut StdRng, body: &[u8]| if body.is_empty() { 0 } else { chance.random_range(0..body.len()) };
    let at = place(chance, &body);
    // Shorter than what stands between two entries of a list, so that two never become one.
    let end = (at + chance.random_range(1..40)).min(body.len());
    match chance.random_range(0..4) {
        0 => body.truncate(at),
        1 => drop(body.drain(at..end)),
        2 => {
            let piece = body[at..end].to_vec();
            body.splice(at..at, piece);
        }
        _ => {
            let noise: Vec<u8> = (0..chance.random_range(1..6)).map(|_| chance.random()).collect();
            body.splice(at..at, noise);
        }
    }
    body
}

/// The link to the next page, with its name.
fn link(body: &[u8]) -> Option<&[u8]> {
    let name = br#""@odata.nextLink":""#;
    let at = body.windows(name.len()).position(|window| window == name)?;
    let end = body[at + name.len()..].iter().position(|byte| *byte == b'"')?;
    Some(&body[at..at + name.len() + end + 1])
}

fn keeps_the_link(new: &[u8], old: &[u8]) -> bool {
    link(old).is_none_or(|link| new.windows(link.len()).any(|window| window == link))
}

/// Garbles the answers but for those of the token endpoint, while it is on.
fn garbling(inner: Transport, chance: Arc<Mutex<Option<StdRng>>>) -> Transport {
    Transport::new(tower::service_fn(move |request: Request<Bytes>| {
        let (mut inner, chance) = (inner.clone(), chance.clone());
        async move {
            let token = request.uri().path().ends_with("/token");
            let answer = inner.ready().await?.call(request).await?;
            let (parts, body) = answer.into_parts();
            let mut chance = chance.lock().unwrap();
            let body = match chance.as_mut().filter(|_| !token) {
                // Whole but for the link is whole: no reader can tell it from a last page, or from the link to another one.
                Some(chance) => {
                    let new = Bytes::from(garbled(&body, chance));
                    if keeps_the_link(&new, &body) { new } else { body }
                }
                None => body,
            };
            Ok(http::Response::from_parts(parts, body))
        }
    }))
}

/// The sizes of every list that a turn reads; an error is no list.
async fn sizes(rig: &mut Rig) -> Vec<(&'static str, Result<usize>)> {
    let ids = rig.practice.ids().clone();
    let world = rig.world();
    let (directory, target) = (&world.directory, &world.target);
    let app = ids.service_principal;
    let jobs = directory.jobs(app).await;
    let mut found = vec![
        ("assignments", directory.assignments(app).await.map(|look| look.value.len())),
        ("users", target.users(None).await.map(|users| users.records.len())),
        ("groups", target.groups().await.map(|groups| groups.records.len())),
        ("jobs", jobs.map(|look| look.value.len())),
        ("properties", directory.properties_of(&[ids.groups[0]], "userPrincipalName").await.remove(0).map(|users| users.len())),
        ("schema", directory.schema(app, &ids.job).await.map(|_| 1)),
        ("settings", directory.settings(app).await.map(|_| 1)),
        ("policies", directory.policies().await.map(|policies| policies.iter().map(|policy| policy.groups.len()).sum())),
        ("log", directory.log(&ids.job, "2026-11-01T00:00:00Z".parse().unwrap()).await.map(|look| look.value.rows.len())),
    ];
    let lent = directory.lent_in(&ids.groups[..1]).await.remove(0);
    found.push(("lent", lent.map(|lent| lent.len())));
    let eligible = directory.eligible_for(&ids.groups[..1]).await.remove(0);
    found.push(("eligible", eligible.map(|eligible| eligible.len())));
    for group in &ids.groups {
        found.push((
            "members",
            directory.members_of(&[*group]).await.remove(0).map(|look| look.value.users.len() + look.value.others.len()),
        ));
    }
    found
}

fn is_no_shorter(seed: u64, found: &[(&'static str, Result<usize>)], whole: &[(&'static str, Result<usize>)]) {
    for ((name, found), (_, whole)) in found.iter().zip(whole) {
        if let (Ok(found), Ok(whole)) = (found, whole) {
            assert!(whole <= found, "seed {seed}: {name} has {found} of {whole}, and is called complete");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_garbled_answer_is_taken_for_a_shorter_list() {
    let mut scenario = Scenario { users: 9, groups: 2, page_size: 4, ..Scenario::default() };
    let more =
        ["Policy.Read.All", "PrivilegedAssignmentSchedule.Read.AzureADGroup", "PrivilegedEligibilitySchedule.Read.AzureADGroup"];
    scenario.permissions.extend(more.map(String::from));
    scenario.privileged.insert(1, Privileged { active: [1, 3].into(), eligible: [2, 4].into() });
    scenario.group_traits.insert(1, [GroupTrait::ConditionalAccess].into());
    let mut rig = Rig::new(scenario).await;
    let whole = sizes(&mut rig).await;
    assert!(whole.iter().all(|(_, size)| size.is_ok()), "{whole:?}");
    let on = Arc::new(Mutex::new(None));
    rig.transport = garbling(rig.transport.clone(), on.clone());
    rig.restart();
    let seed = number("UNSCIM_SEED", 1);
    let (mut refused, mut read) = (0, 0);
    for seed in seed..seed + number("UNSCIM_FUZZ", 400) {
        *on.lock().unwrap() = Some(StdRng::seed_from_u64(seed));
        let found = sizes(&mut rig).await;
        is_no_shorter(seed, &found, &whole);
        refused += found.iter().filter(|(_, size)| size.is_err()).count();
        read += found.iter().filter(|(_, size)| size.is_ok()).count();
    }
    eprintln!("{refused} answers refused, {read} read");
    assert!(refused > read, "most of them are garbled");
}

#[tokio::test(start_paused = true)]
async fn a_garbled_ledger_is_refused_or_holds_what_it_held() {
    let mut rig = Rig::new(Scenario { users: 6, groups: 2, ..Scenario::default() }).await;
    for _ in 0..12 {
        rig.turn().await;
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    let baseline = rig.world().ledger.baseline().unwrap();
    let writes = rig.world().ledger.writes().unwrap();
    assert!(!writes.is_empty());
    rig.restart();
    let whole = std::fs::read(rig.dir.path().join("data/ledger.db")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let seed = number("UNSCIM_SEED", 1);
    let mut refused = 0;
    for seed in seed..seed + number("UNSCIM_FUZZ", 400) / 4 {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut now = whole.clone();
        if chance.random_bool(0.2) {
            now = garbled(&whole, &mut chance);
        } else {
            // In its place: the pages stay where they are.
            for _ in 0..chance.random_range(1..6) {
                let at = chance.random_range(0..now.len());
                now[at] ^= 1 << chance.random_range(0..8);
            }
        }
        std::fs::write(dir.path().join("ledger.db"), now).unwrap();
        let read = || -> Result<()> {
            let ledger = SqliteLedger::open_evidence(dir.path())?;
            let found = ledger.verify(None)?;
            if found.breaks.is_empty() {
                let now = ledger.writes()?;
                assert_eq!(now, writes, "seed {seed}: the journal holds, and says something else");
            }
            ledger.remembered()?;
            ledger.baseline()?;
            Ok(())
        };
        refused += usize::from(read().is_err());
    }
    eprintln!("{refused} ledgers refused");
    assert!(refused > 0 && baseline.is_known());
}
