//! Trouble: processes that die, an API server that is away, Secrets that are missing, two that lead.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use unscim::operator::crd;
use unscim::operator::resource::ConditionStatus;

use crate::audit;
use crate::chart::{ACCOUNT, OWN_NAMESPACE};
use crate::kubelet::signal;
use crate::objects;
use crate::rig::{self, Cluster, Operator, Retirement, alone, case, cluster, namespace, until};

const WITHIN: Duration = Duration::from_secs(90);

#[test]
fn ten_at_once_are_ten_stories() {
    case(async {
        let place = namespace("ten").await;
        let _operator = Operator::start("ten", &[&place], &["--leader-election=false"]).await;
        let mut all = Vec::new();
        for n in 0..10 {
            let retirement = Retirement::new(&place, &format!("app-{n}"), 20 + n).await;
            if n != 2 {
                retirement.secret().await;
            }
            let held = n < 2;
            retirement.apply_with(|manifest| manifest["spec"]["hold"] = if held { "Held" } else { "None" }.into()).await;
            all.push(retirement);
        }
        let why = all[2].until_condition("WorkerReady", ConditionStatus::False, "SecretMissing").await;
        assert!(why.contains("secret \"app-2\" not found") && why.contains("spec.target.tokenRef: app-2/scim-token"), "{why}");
        for held in &all[..2] {
            held.until_phase("Held").await;
        }
        for retirement in &all[3..] {
            retirement.until_phase("AwaitingRevocation").await;
            retirement.practice().revoke_token().unwrap();
        }
        for retirement in &all[3..] {
            retirement.until_condition("Ready", ConditionStatus::True, "Retired").await;
        }
        // It goes on when the Secret is there.
        all[2].secret().await;
        all[2].until_retired().await;
        for held in &all[..2] {
            assert!(held.practice().writes().is_empty());
            held.until_phase("Held").await;
        }
        all.iter().for_each(Retirement::assert_nobody_hurt);
    });
}

#[test]
fn an_operator_that_dies_at_any_moment_loses_no_event_and_changes_no_worker() {
    case(async {
        let place = namespace("dies").await;
        let retirement = Retirement::new(&place, "uniqkey", 40).await;
        retirement.apply().await;
        let mut phases = Vec::new();
        for n in 0..20_u64 {
            let operator = Operator::start(&format!("dies-{n}"), &[&place], &["--leader-election=false"]).await;
            // Moments that fit no rhythm of its own.
            let until = tokio::time::Instant::now() + Duration::from_millis(400 + n * n * 389 % 2600);
            while tokio::time::Instant::now() < until {
                if let Some(phase) =
                    retirement.seen().await.and_then(|seen| seen.status?.phase).filter(|phase| phases.last() != Some(phase))
                {
                    phases.push(phase);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            operator.die();
        }
        let _operator = Operator::start("dies-last", &[&place], &["--leader-election=false"]).await;
        retirement.until_retired().await;
        let events = retirement.events().await;
        for phase in &phases {
            let is_told = |(reason, note): &(String, String)| reason == "PhaseChanged" && note.ends_with(phase.as_str());
            assert!(events.iter().any(is_told), "no Event of {phase} ({phases:?}): {events:#?}");
        }
        let set: StatefulSet = retirement.owned().await;
        assert_eq!(set.metadata.generation, Some(1));
        let pod: Pod = retirement.owned().await;
        assert_eq!(pod.status.unwrap().container_statuses.unwrap()[0].restart_count, 0);
    });
}

#[test]
fn two_that_lead_by_force_do_no_harm() {
    case(async {
        let place = namespace("both").await;
        let _one = Operator::start("both-1", &[&place], &["--leader-election=false"]).await;
        let _other = Operator::start("both-2", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 41).await;
        retirement.apply().await;
        retirement.until_retired().await;
        let set: StatefulSet = retirement.owned().await;
        assert_eq!(set.metadata.generation, Some(1));
    });
}

#[test]
fn of_two_with_a_lease_one_works_and_the_other_takes_over() {
    case(async {
        let place = namespace("lease").await;
        let one = Operator::start("lease-1", &[&place], &[]).await;
        let leases: Api<Lease> = Api::namespaced(cluster().await.client.clone(), OWN_NAMESPACE);
        let holder =
            async || leases.get_opt("unscim-operator").await.unwrap()?.spec?.holder_identity.filter(|holder| !holder.is_empty());
        let first = until("the first leads", WITHIN, holder).await;
        let other = Operator::start("lease-2", &[&place], &[]).await;
        let retirement = Retirement::new(&place, "uniqkey", 42).await;
        retirement.apply().await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        assert_eq!(holder().await.as_ref(), Some(&first));
        assert!(!other.log().contains("\"leading\""), "{}", other.log());
        one.die();
        until("the other leads", WITHIN, async || holder().await.filter(|now| *now != first)).await;
        retirement.until_retired().await;
    });
}

#[test]
fn a_worker_that_is_killed_comes_back_and_a_secret_is_rotated_without_a_restart() {
    case(async {
        let place = namespace("worker").await;
        let _operator = Operator::start("worker", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 43).await;
        retirement.apply().await;
        retirement.until_condition("BaselineRecorded", ConditionStatus::True, "Recorded").await;
        let pid = retirement.pid().await.unwrap();
        signal(pid, "KILL");
        let back = until("another process", WITHIN, async || retirement.pid().await.filter(|now| *now != pid)).await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        let wrong = json!({ "stringData": { "client-secret": "of yesterday" } });
        let secrets: Api<Secret> = Api::namespaced(cluster().await.client.clone(), &place);
        secrets.patch("uniqkey", &PatchParams::default(), &Patch::Merge(&wrong)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        retirement.secret().await;
        retirement.until_retired().await;
        assert_eq!(retirement.pid().await, Some(back));
    });
}

#[test]
fn what_somebody_changes_or_deletes_comes_back() {
    case(async {
        let place = namespace("drift").await;
        let _operator = Operator::start("drift", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 49).await;
        retirement.secret().await;
        retirement.apply_with(|manifest| manifest["spec"]["mode"] = "Observe".into()).await;
        retirement.until_phase("Observing").await;
        let client = &cluster().await.client;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &place);
        let services: Api<Service> = Api::namespaced(client.clone(), &place);
        let before: ConfigMap = retirement.owned().await;
        let edit = json!({ "data": { "unscim.yaml": "spec: {}" } });
        maps.patch("unscim-uniqkey", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
        let is_back = async || (maps.get("unscim-uniqkey").await.unwrap().data == before.data).then_some(());
        until("the config is back", WITHIN, is_back).await;
        services.delete("unscim-uniqkey", &DeleteParams::default()).await.unwrap();
        until("the service is back", WITHIN, async || services.get_opt("unscim-uniqkey").await.unwrap().map(drop)).await;
        // Of the status, what is ours comes back too.
        let forged = json!({ "status": { "phase": "Retired" } });
        retirement.api.patch_status("uniqkey", &PatchParams::default(), &Patch::Merge(&forged)).await.unwrap();
        retirement.until_phase("Observing").await;
    });
}

#[test]
fn an_operator_that_begins_applies_only_what_does_not_stand_as_it_was_applied() {
    case(async {
        let place = namespace("begins").await;
        let one = Operator::start("begins-1", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 48).await;
        retirement.secret().await;
        retirement.apply_with(|manifest| manifest["spec"]["mode"] = "Observe".into()).await;
        retirement.until_phase("Observing").await;
        let Cluster { client, plane, .. } = cluster().await;
        let applied = || {
            let of_place = |request: &Value| request["verb"] == "patch" && request["objectRef"]["namespace"] == place.as_str();
            let all = audit::requests(plane.folder.path()).into_iter().filter(of_place);
            all.filter_map(|request| request["objectRef"]["resource"].as_str().map(str::to_owned))
                .filter(|resource| resource != "scimretirements")
                .collect::<Vec<_>>()
        };
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        assert_eq!(applied().iter().collect::<BTreeSet<_>>().len(), 6, "{:?}", applied());
        one.die();
        // What was under way is written down when it has ended.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let instance = "app.kubernetes.io/instance";
        let services: Api<Service> = Api::namespaced(client.clone(), &place);
        let edit = json!({ "spec": { "selector": { instance: "another" } } });
        services.patch("unscim-uniqkey", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
        let before = applied().len();
        let _other = Operator::start("begins-2", &[&place], &["--leader-election=false"]).await;
        let is_back = async || {
            let selector = services.get("unscim-uniqkey").await.unwrap().spec?.selector?;
            (selector.get(instance).map(String::as_str) == Some("unscim-uniqkey")).then_some(())
        };
        until("the selector is back", WITHIN, is_back).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(applied()[before..], ["services"]);
    });
}

#[test]
fn an_image_that_is_not_there_is_told() {
    case(async {
        let place = namespace("image").await;
        let _operator = Operator::start("image", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 44).await;
        retirement.secret().await;
        retirement.apply_with(|manifest| manifest["spec"]["worker"] = json!({ "image": crate::kubelet::MISSING_IMAGE })).await;
        retirement.until_condition("WorkerReady", ConditionStatus::False, "ImagePullBackOff").await;
        assert!(retirement.events().await.iter().any(|(reason, _)| reason == "WorkerNotReady"));
        retirement.apply_with(|_| {}).await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
    });
}

#[test]
fn an_api_server_that_is_away_stops_no_worker() {
    alone(async {
        let place = namespace("away").await;
        let _operator = Operator::start("away", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 45).await;
        retirement.apply().await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        let plane = &cluster().await.plane;
        plane.stop_api();
        let before = retirement.practice().requests().len();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(retirement.practice().requests().len() > before, "the worker goes on");
        plane.start_api().await;
        retirement.until_retired().await;
    });
}

#[test]
fn a_watch_whose_past_is_gone_begins_anew() {
    alone(async {
        let place = namespace("compacted").await;
        let _operator = Operator::start("compacted", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 46).await;
        retirement.apply().await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        let plane = &cluster().await.plane;
        for _ in 0..3 {
            plane.stop_api();
            plane.compact().await;
            plane.start_api().await;
        }
        retirement.until_retired().await;
    });
}

#[test]
fn the_definition_is_applied_anew_under_a_running_operator() {
    alone(async {
        let place = namespace("upgraded").await;
        let _operator = Operator::start("upgraded", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 47).await;
        retirement.apply().await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        // A later version knows one field more.
        let mut next = crd::definition();
        next["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["later"] =
            json!({ "type": "string" });
        let client = &cluster().await.client;
        rig::apply(client, next).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        rig::apply(client, crd::definition()).await;
        retirement.until_retired().await;
    });
}

/// Priority and fairness has few seats for the operator's account, and somebody else sits in them.
#[test]
fn an_api_server_that_says_429_is_asked_again() {
    alone(async {
        let Cluster { client, plane, .. } = cluster().await;
        let place = namespace("crowded").await;
        let api = "flowcontrol.apiserver.k8s.io/v1";
        let limited = json!({
            "nominalConcurrencyShares": 1, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": { "type": "Reject" },
        });
        let level = json!({
            "apiVersion": api, "kind": "PriorityLevelConfiguration", "metadata": { "name": "crowded" },
            "spec": { "type": "Limited", "limited": limited },
        });
        let all = json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true });
        let account =
            json!({ "kind": "ServiceAccount", "serviceAccount": { "name": "unscim-operator", "namespace": OWN_NAMESPACE } });
        let schema = json!({
            "apiVersion": api, "kind": "FlowSchema", "metadata": { "name": "crowded" },
            "spec": {
                "priorityLevelConfiguration": { "name": "crowded" }, "matchingPrecedence": 500,
                "rules": [{ "subjects": [account], "resourceRules": [all] }],
            },
        });
        rig::apply(client, level.clone()).await;
        rig::apply(client, schema.clone()).await;
        let as_the_operator = plane.client_as(ACCOUNT).await;
        let mut crowd = tokio::task::JoinSet::new();
        (0..24).for_each(|n| _ = crowd.spawn(sits(as_the_operator.clone(), place.clone(), n)));
        let _operator = Operator::start("crowded", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 61).await;
        retirement.apply().await;
        retirement.until_retired().await;
        drop(crowd);
        let refused = |event: &serde_json::Value| event["responseStatus"]["code"] == 429;
        let is_crowd =
            |event: &serde_json::Value| event["objectRef"]["name"].as_str().is_some_and(|name| name.starts_with("crowd-"));
        let of_us = audit::requests(plane.folder.path()).into_iter().filter(|event| refused(event) && !is_crowd(event)).count();
        for object in [&schema, &level] {
            objects::delete(client, object).await;
        }
        assert!(of_us > 0, "the operator itself was never refused");
        let events = retirement.events().await;
        for reason in ["PhaseChanged", "DeleteTheToken", "Retired"] {
            assert!(events.iter().any(|(told, _)| told == reason), "no {reason}: {events:#?}");
        }
    });
}

/// Writes again and again, with so much of a pause that somebody else gets a seat now and then.
async fn sits(client: kube::Client, place: String, number: usize) {
    let api: Api<ConfigMap> = Api::namespaced(client, &place);
    let name = format!("crowd-{number}");
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
    loop {
        // It is refused most of the time, as is meant.
        let _ = api.patch(&name, &PatchParams::apply("crowd").force(), &Patch::Apply(&map)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
