//! Claims are bound at once, each to a folder that lives as long as the claim.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::OnNode;

pub(super) async fn sync(on: &OnNode) {
    let claims = on.claims.state();
    for claim in &claims {
        if !is_bound(claim) && claim.metadata.deletion_timestamp.is_none() {
            bind(on, claim).await;
        }
    }
    forget_all_but(on, &claims.iter().filter_map(|claim| claim.uid()).collect());
}

pub(super) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
}

async fn bind(on: &OnNode, claim: &PersistentVolumeClaim) {
    std::fs::create_dir_all(on.claim_folder(&claim.uid().expect("stored"))).expect("a folder for a claim");
    let api: Api<PersistentVolumeClaim> = Api::namespaced(on.client.clone(), &claim.namespace().expect("stored"));
    let (name, spec) = (claim.name_any(), claim.spec.clone().unwrap_or_default());
    let volume = format!("pvc-{}", claim.uid().expect("stored"));
    let annotations = json!({ "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes" });
    let named = json!({ "metadata": { "annotations": annotations }, "spec": { "volumeName": volume } });
    let capacity = spec.resources.and_then(|resources| resources.requests);
    let status = json!({ "status": { "phase": "Bound", "accessModes": spec.access_modes, "capacity": capacity } });
    let params = PatchParams::default();
    let bound = async {
        api.patch(&name, &params, &Patch::Merge(named)).await?;
        api.patch_status(&name, &params, &Patch::Merge(status)).await
    };
    if let Err(error) = bound.await {
        // It is tried again at the next look.
        eprintln!("kubelet: claim {name} is not bound: {error}");
    }
}

fn forget_all_but(on: &OnNode, known: &BTreeSet<String>) {
    let Ok(folders) = std::fs::read_dir(on.folder.join("claims")) else { return };
    for folder in folders {
        let folder = folder.expect("a folder can be read");
        if !known.contains(&*folder.file_name().to_string_lossy()) {
            std::fs::remove_dir_all(folder.path()).expect("a claim's folder can be removed");
        }
    }
}
