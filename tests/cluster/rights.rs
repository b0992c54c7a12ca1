//! What the operator's service account may do, and what it may not.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

use crate::chart::ACCOUNT;
use crate::rig::{Operator, Retirement, case, cluster, namespace};

fn is_forbidden<T>(result: kube::Result<T>) -> bool {
    matches!(result, Err(kube::Error::Api(refused)) if refused.code == 403)
}

#[test]
fn it_reads_no_secret_makes_no_pod_and_deletes_nothing_that_is_not_a_worker_s() {
    case(async {
        let place = namespace("rights").await;
        let retirement = Retirement::new(&place, "uniqkey", 60).await;
        retirement.secret().await;
        let client: Client = cluster().await.plane.client_as(ACCOUNT).await;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &place);
        assert!(is_forbidden(secrets.get("uniqkey").await));
        assert!(is_forbidden(secrets.list(&ListParams::default()).await));
        let pods: Api<Pod> = Api::namespaced(client.clone(), &place);
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "mine" }, "spec": { "containers": [{ "name": "a", "image": "a" }] },
        }))
        .unwrap();
        assert!(is_forbidden(pods.create(&PostParams::default(), &pod).await));
        assert!(is_forbidden(pods.delete("any", &DeleteParams::default()).await));
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &place);
        assert!(is_forbidden(deployments.list(&ListParams::default()).await));
        assert!(is_forbidden(retirement_as(&client, &place).delete("uniqkey", &DeleteParams::default()).await));
        // And what it needs, it can.
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), &place);
        sets.list(&ListParams::default()).await.unwrap();
        pods.list(&ListParams::default()).await.unwrap();
    });
}

/// So that what the other cases show was done with these rights, and not with an administrator's.
#[test]
fn another_account_can_do_nothing() {
    case(async {
        let place = namespace("nobody").await;
        let nobody = "system:serviceaccount:unscim-operator:nobody";
        let operator = Operator::start_as(nobody, "nobody", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 61).await;
        retirement.apply().await;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert!(retirement.seen().await.unwrap().status.is_none() && retirement.is_gone::<StatefulSet>().await);
        assert!(operator.log().contains("orbidden"), "{}", operator.log());
    });
}

fn retirement_as(client: &Client, place: &str) -> Api<unscim::operator::resource::ScimRetirement> {
    Api::namespaced(client.clone(), place)
}
