//! What the scheduler would do where there is one node.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{NODE, OnNode, claims};

pub(super) async fn bind(on: &OnNode, pod: &Pod) {
    let api: Api<Pod> = Api::namespaced(on.client.clone(), &pod.namespace().expect("stored"));
    let done = match refused(on, pod) {
        None => {
            let target = json!({ "apiVersion": "v1", "kind": "Node", "name": NODE });
            let metadata = json!({ "name": pod.name_any(), "uid": pod.uid() });
            let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target });
            let params = PostParams::default();
            api.create_subresource::<_, serde_json::Value>("binding", &pod.name_any(), &params, &binding).await.map(drop)
        }
        Some(why) if !is_told(pod, &why) => {
            let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
                "lastTransitionTime": k8s_openapi::jiff::Timestamp::now() });
            let status = json!({ "status": { "conditions": [condition] } });
            api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(status)).await.map(drop)
        }
        Some(_) => Ok(()),
    };
    if let Err(error) = done {
        // Somebody else was faster, or the API server is away; the next look shows it.
        eprintln!("kubelet: {} is not bound: {error}", pod.name_any());
    }
}

fn is_told(pod: &Pod, why: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    conditions.into_iter().any(|condition| condition.type_ == "PodScheduled" && condition.message.as_deref() == Some(why))
}

/// In the scheduler's own words.
fn refused(on: &OnNode, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let here = [("kubernetes.io/hostname", NODE), ("kubernetes.io/os", "linux")];
    let fits = |(label, value): (&String, &String)| here.contains(&(label.as_str(), value.as_str()));
    if !spec.node_selector.iter().flatten().all(fits) {
        return Some("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.".into());
    }
    claimed(pod).find_map(|name| {
        let namespace = pod.namespace().expect("stored");
        let Some(claim) = on.claim(&namespace, name) else {
            return Some(format!("0/1 nodes are available: persistentvolumeclaim \"{name}\" not found."));
        };
        if !claims::is_bound(&claim) {
            return Some("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.".into());
        }
        is_taken(on, pod, &claim).then(|| {
            "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode \
             already in-use by another pod."
                .into()
        })
    })
}

fn claimed(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

fn is_taken(on: &OnNode, pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_ref());
    let alone = modes.is_some_and(|modes| modes.iter().any(|mode| mode == "ReadWriteOncePod"));
    let (name, namespace) = (claim.name_any(), claim.namespace());
    let uses = |other: &Pod| {
        let over = other.status.as_ref().is_some_and(|it| matches!(it.phase.as_deref(), Some("Succeeded" | "Failed")));
        let bound = other.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        other.namespace() == namespace && other.uid() != pod.uid() && bound && !over && claimed(other).any(|one| one == name)
    };
    alone && on.pods.find(|other| uses(other)).is_some()
}
