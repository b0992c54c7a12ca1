//! The whole guide against a SCIM server that is no part of this project: scim2-server, into which the practice tenant
//! provisions over the network. What it holds at the end is read without any code of unscim.

mod server;
#[path = "../common/daemon.rs"]
pub mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use unscim::model::spec::Mode;
use unscim::practice::scenario::{ExternalTarget, Scenario, Target};

use server::Server;
use support::{Rig, SPEED};

const TOKEN: &str = "the-token-of-the-app";

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_guide_leaves_every_user_of_a_foreign_server_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), TOKEN).await;
    let token_file = dir.path().join("token-that-entra-has");
    std::fs::write(&token_file, TOKEN).unwrap();
    // It takes the RFC's form of changes only, which Entra sends to a Tenant URL with this flag.
    let url = format!("{}?aadOptscim062020", server.url);
    let target = Target { external: Some(ExternalTarget { url, token_file }), ..Target::default() };
    let rig = Rig::with(Mode::Enforce, Scenario { users: 20, groups: 4, speed: SPEED, target, ..Scenario::default() }).await;
    rig.edit("profile: uniqkey", "profile: generic");
    let practice = &rig.served.practice;
    let ids = practice.ids();

    let users = server.records("Users").await;
    let groups = server.records("Groups").await;
    let managed: BTreeSet<String> =
        ids.groups.iter().map(|group| practice.scim_group(*group).expect("it is there").to_string()).collect();
    assert!(managed.iter().all(|id| groups.contains_key(id)) && managed.len() == 4);
    assert!(groups.len() > managed.len(), "a group that nobody manages is there");
    assert!(ids.users.iter().all(|user| users.contains_key(&practice.scim_user(*user).expect("a record").to_string())));

    let mut daemon = rig.start();
    daemon.until_phase("AwaitingRevocation").await;
    server.delete_token();
    let status = daemon.until_phase("Retired").await;
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));

    assert_eq!(status["progress"]["usersLost"], 0, "{status:#}");
    assert_eq!(server.answers(TOKEN).await, 401);
    assert_eq!(server.records("Users").await, users, "the users are the same records, to the last attribute");
    let kept: BTreeMap<String, Value> = groups.into_iter().filter(|(id, _)| !managed.contains(id)).collect();
    assert_eq!(server.records("Groups").await, kept, "the managed groups are gone and the other ones are as they were");
    rig.assert_nobody_hurt();
}
