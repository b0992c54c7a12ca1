//! A ledger that was put back from a backup: what was done since then is not in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use unscim::model::spec::Mode;
use unscim::model::status::Phase;
use unscim::undo::{Direct, look};

use crate::support::Rig;
use crate::walk::small;

/// Copies the ledger while nobody writes it, and tells where the copy is.
fn backed_up(rig: &mut Rig) -> PathBuf {
    rig.restart();
    let backup = rig.dir.path().join("backup");
    copy(&rig.dir.path().join("data"), &backup);
    backup
}

fn put_back(rig: &mut Rig, backup: &Path) {
    rig.restart();
    let data = rig.dir.path().join("data");
    std::fs::remove_dir_all(&data).unwrap();
    copy(backup, &data);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_from_before_a_rollback_undoes_nothing_of_it_without_a_word() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    rig.until_phase(Phase::AwaitingCycle).await;
    let backup = backed_up(&mut rig);
    tokio::time::sleep(Duration::from_secs(600)).await;
    rig.world();
    let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
    let rollback = look(rig.world(), &spec, Direct::Stay, &stop).await.unwrap();
    let back = rollback.carry_out(rig.world(), &spec, &stop).await.unwrap();
    assert!(back.stopped.is_none() && !back.done.is_empty(), "{back:?}");
    put_back(&mut rig, &backup);
    let writes = rig.practice.writes().len();
    for turn in 0..20 {
        let status = rig.turn().await.status;
        let behind =
            status.held.iter().find(|held| held.brake == "ledger-behind").unwrap_or_else(|| panic!("{turn}: {:#?}", status.held));
        assert!(
            behind.message.contains("restore the newer ledger") && behind.message.contains("spec.mode: Observe"),
            "{behind:?}"
        );
        tokio::time::sleep(rig.spec.timing.interval).await;
        if turn % 5 == 4 {
            rig.restart();
        }
    }
    assert_eq!(rig.practice.writes().len(), writes, "it acts on no past");
    rig.spec.mode = Mode::Observe;
    let status = rig.turn().await.status;
    assert!(status.held.iter().all(|held| held.brake != "ledger-behind"), "{:#?}", status.held);
    rig.spec.mode = Mode::Enforce;
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_from_before_writes_of_ours_goes_on_where_the_tenant_is() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    rig.until_phase(Phase::EmptyingGroups).await;
    let backup = backed_up(&mut rig);
    rig.until_phase(Phase::AwaitingCycle).await;
    put_back(&mut rig, &backup);
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_does_not_go_as_far_as_was_seen_waits_for_a_word() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    rig.until_phase(Phase::EmptyingGroups).await;
    let backup = backed_up(&mut rig);
    let seen = rig.until_phase(Phase::AwaitingCycle).await.ledger;
    assert!(seen.as_ref().is_some_and(|seen| seen.lines > 0 && seen.head.is_some() && seen.users > 0), "{seen:?}");
    rig.restart();
    rig.state.witness.clone_from(&seen);
    assert!(rig.turn().await.status.held.is_empty(), "it goes as far, and further");
    put_back(&mut rig, &backup);
    rig.state.witness.clone_from(&seen);
    let writes = rig.practice.writes().len();
    for turn in 0..5 {
        let status = rig.turn().await.status;
        assert!(status.held.iter().any(|held| held.brake == "ledger-behind"), "{turn}: {:#?}", status.held);
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(rig.practice.writes().len(), writes, "it acts on no past");
    assert_eq!(rig.turn().await.status.ledger, None, "it is no witness of itself");
    rig.spec.mode = Mode::Observe;
    let told = rig.turn().await.status;
    assert!(told.held.iter().any(|held| held.brake == "ledger-behind"), "it is told once: {:#?}", told.held);
    rig.spec.mode = Mode::Enforce;
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}
