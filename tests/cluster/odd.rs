//! Bad input that the schema lets through: names at their limits, odd Secrets, and a worker that is another program.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use unscim::operator::resource::ConditionStatus;

use crate::rig::{Operator, Retirement, case, cluster, namespace, until};

const WITHIN: Duration = Duration::from_secs(60);

#[test]
fn names_at_their_limit_make_two_workers() {
    case(async {
        let place = namespace("longest").await;
        let _operator = Operator::start("longest", &[&place], &["--leader-election=false"]).await;
        let name = |end: char| format!("{}.{}{end}", "a".repeat(40), "b".repeat(21));
        let (one, other) = (Retirement::new(&place, &name('1'), 51).await, Retirement::new(&place, &name('2'), 52).await);
        for retirement in [&one, &other] {
            assert_eq!(retirement.name.len(), 63);
            retirement.apply().await;
        }
        for retirement in [&one, &other] {
            retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        }
        let sets: [StatefulSet; 2] = [one.owned().await, other.owned().await];
        assert_ne!(sets[0].metadata.name, sets[1].metadata.name);
        one.until_retired().await;
        other.until_retired().await;
    });
}

#[test]
fn a_secret_of_another_type_serves_and_a_huge_one_is_told() {
    case(async {
        let place = namespace("secrets").await;
        let _operator = Operator::start("secrets", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 53).await;
        let secrets: Api<Secret> = Api::namespaced(cluster().await.client.clone(), &place);
        let apply = async |token: &str| {
            let data = json!({ "username": "client", "password": retirement.practice().client_secret(), "scim-token": token });
            let metadata = json!({ "name": "uniqkey", "namespace": place });
            let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/basic-auth", "stringData": data });
            secrets.patch("uniqkey", &PatchParams::apply("test").force(), &Patch::Apply(&secret)).await.unwrap();
        };
        apply(&"t".repeat(900_000)).await;
        let of_password =
            |manifest: &mut Value| manifest["spec"]["entra"]["credential"]["clientSecretRef"]["key"] = "password".into();
        retirement.apply_with(of_password).await;
        let why = retirement.until_condition("TargetReachable", ConditionStatus::False, "Unreachable").await;
        assert!(why.contains("more than 32768 bytes"), "{why}");
        assert!(retirement.practice().writes().is_empty(), "nothing is written by half a configuration");
        apply(&retirement.practice().scim_token()).await;
        retirement.until_retired().await;
    });
}

#[test]
fn a_worker_that_is_another_program_or_silent_is_told_and_believed_in_nothing() {
    case(async {
        let place = namespace("another").await;
        let _operator = Operator::start("another", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 54).await;
        retirement.apply().await;
        retirement.until_phase("AwaitingRevocation").await;
        let pods: Api<Pod> = Api::namespaced(cluster().await.client.clone(), &place);
        let own = pods.get(&retirement.pod()).await.unwrap().status.unwrap().pod_ip.unwrap();
        let moved = async |ip: &str| {
            let status = json!({ "status": { "podIP": ip, "podIPs": [{ "ip": ip }] } });
            pods.patch_status(&retirement.pod(), &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
        };
        let users = retirement.seen().await.unwrap().status.unwrap().users;
        let stranger = json!({
            "kind": "ScimRetirement", "metadata": { "name": "another" }, "spec": { "entra": { "tenantId": "of somebody else" } },
        });
        for (host, said, why) in [
            (1, "<html>nothing of the kind</html>".to_owned(), "is another program there?"),
            (2, stranger.to_string(), "is another program there?"),
            (3, "x".repeat(5 << 20), "more than any status has"),
        ] {
            let at = SocketAddr::from((Ipv4Addr::new(127, 9, 9, host), 8080));
            let saying = tokio::spawn(says(at, said));
            moved(&at.ip().to_string()).await;
            let told = async || {
                let status = retirement.seen().await?.status?;
                let ready = status.condition("WorkerReady")?.clone();
                (ready.status == ConditionStatus::False && ready.message.contains(why)).then_some(status)
            };
            let status = until(&format!("{host}: {why}"), WITHIN, told).await;
            assert_eq!((status.phase.as_deref(), &status.users), (Some("AwaitingRevocation"), &users), "its last word stays");
            saying.abort();
        }
        // Nobody is there at all: refused, and told as that.
        moved("127.9.9.4").await;
        let silent = async || {
            let status = retirement.seen().await?.status?;
            let ready = status.condition("WorkerReady")?;
            (ready.status == ConditionStatus::False && ready.message.contains("127.9.9.4")).then_some(())
        };
        until("nobody is there", WITHIN, silent).await;
        moved(&own).await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        retirement.until_retired().await;
    });
}

/// Answers whatever it is asked with one event that says this.
async fn says(at: SocketAddr, what: String) {
    let listener = TcpListener::bind(at).await.unwrap();
    let event = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {what}\n\n");
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let event = event.clone();
        tokio::spawn(async move {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(event.as_bytes()).await;
            tokio::time::sleep(WITHIN).await;
        });
    }
}
