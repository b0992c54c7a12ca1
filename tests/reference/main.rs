//! The whole guide against a SCIM server that is no part of this project: scim2-server, into which the practice tenant
//! provisions over the network. What it holds at the end is read without any code of unscim.

mod daemon;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use unscim::sim::Practice;
use unscim::sim::scenario::{ExternalTarget, Scenario, Target};

use daemon::{Setup, drive};
use server::Server;

const TOKEN: &str = "the-token-of-the-app";

/// A practice tenant that is served over the network and provisions into `server`.
struct Tenant {
    practice: Practice,
    root: String,
    end: CancellationToken,
}

impl Tenant {
    async fn start(url: &str, token_file: PathBuf) -> Tenant {
        let target = Target { external: Some(ExternalTarget { url: url.to_owned(), token_file }), ..Target::default() };
        let scenario = Scenario { users: 20, groups: 4, speed: 2400.0, target, ..Scenario::default() };
        let practice = Practice::new(scenario).await.expect("a practice tenant");
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let end = CancellationToken::new();
        tokio::spawn(
            axum::serve(listener, practice.router()).with_graceful_shutdown(end.clone().cancelled_owned()).into_future(),
        );
        tokio::spawn({
            let (practice, end) = (practice.clone(), end.clone());
            async move { practice.run(end).await }
        });
        Tenant { practice, root, end }
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_guide_leaves_every_user_of_a_foreign_server_untouched() {
    let dir: TempDir = tempfile::tempdir().unwrap();
    let (client_secret, scim_token) = (dir.path().join("client-secret"), dir.path().join("scim-token"));
    std::fs::write(&scim_token, TOKEN).unwrap();
    let server = Server::start(dir.path(), TOKEN).await;
    let tenant = Tenant::start(&server.url, scim_token.clone()).await;
    std::fs::write(&client_secret, tenant.practice.client_secret()).unwrap();
    let ids = tenant.practice.ids();

    let users = server.records("Users").await;
    let groups = server.records("Groups").await;
    let managed: BTreeSet<String> =
        ids.groups.iter().map(|group| tenant.practice.scim_group(*group).expect("a group at the target").0).collect();
    assert!(managed.iter().all(|id| groups.contains_key(id)) && managed.len() == 4);
    assert!(groups.len() > managed.len(), "a group that nobody manages is there");
    assert!(ids.users.iter().all(|user| users.contains_key(&tenant.practice.scim_user(*user).expect("a record").0)));

    let setup = Setup {
        tenant: ids.tenant.to_string(),
        service_principal: ids.service_principal.to_string(),
        client: ids.client.to_string(),
        groups: ids.groups.iter().map(ToString::to_string).collect(),
        entra: tenant.root.clone(),
        scim: server.url.clone(),
        client_secret,
        scim_token,
    };
    let status = drive(&setup, dir.path(), || server.delete_token()).await;

    assert_eq!(status["phase"], "Retired");
    assert_eq!(status["progress"]["usersLost"], 0, "{status:#}");
    assert_eq!(server.answers(TOKEN).await, 401);
    assert_eq!(server.records("Users").await, users, "the users are the same records, to the last attribute");
    let kept: BTreeMap<String, Value> = groups.into_iter().filter(|(id, _)| !managed.contains(id)).collect();
    assert_eq!(server.records("Groups").await, kept, "the managed groups are gone and the other ones are as they were");
    assert_eq!(tenant.practice.out_of_scope_moments(), vec![]);
    assert_eq!(tenant.practice.forbidden_calls(), vec![]);
}
