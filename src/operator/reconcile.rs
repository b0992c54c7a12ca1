//! One resource brought to where it should be: its objects applied, its status written, its news told. Safe to do twice, and by two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event as CoreEvent;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::finalizer::{Event as Life, finalizer};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource as _, ResourceExt as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::applied::{Applied, version};
use super::heard::{Heard, Workers};
use super::metrics::Metrics;
use super::news::{self, News};
use super::pod::{self, Pod, PodSeen};
use super::resource::{GROUP, Id, KIND, Refusal, RetirementStatus, ScimRetirement, VERSION, annotation};
use super::status::{self, HEARD, Seen};
use super::taken::{self, Quota};
use super::worker::config::{self, Platform, WorkerConfig};
use super::worker::image;
use super::worker::names;
use super::worker::objects::{BRAKE_MANAGER, Kind, MANAGED_BY, Object, Owner, Parts, RETIREMENT, Surroundings};
use crate::config::freeze::FILE as FREEZE;
use crate::model::condition::ConditionKind;
use crate::model::words::hex;

pub const MANAGER: &str = "unscim-operator";
const FINALIZER: &str = "unscim.dev/worker";
/// While something is on its way.
const SOON: Duration = Duration::from_secs(10);
/// While a worker ends; its pod's end is an event of its own.
const ENDING: Duration = Duration::from_secs(2);
/// What is refused may be right once another resource is gone.
const REFUSED: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}: {source}")]
    Kube { what: String, source: kube::Error },
    #[error("the finalizer: {0}")]
    Finalizer(String),
    #[error("a watch has ended: {0}")]
    Watch(#[from] kube::runtime::reflector::store::WriterDropped),
}

fn kube_error(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
    let what = what.into();
    |source| Error::Kube { what, source }
}

/// What every reconcile knows beside its resource.
pub struct Context {
    pub client: Client,
    pub recorder: Recorder,
    pub workers: Workers,
    pub metrics: Metrics,
    pub platform: Platform,
    pub surroundings: Surroundings,
    /// The image of a worker that names none.
    pub image: String,
    /// Everything is applied again after this long, whatever was seen.
    pub resync: Duration,
    /// Of each namespace that is watched.
    pub resources: Vec<Store<ScimRetirement>>,
    pub pods: Vec<Store<Pod>>,
    pub applied: Applied,
    /// Among how many each quota was last divided.
    pub shared: Mutex<HashMap<Quota, u32>>,
}

pub fn api_resource(kind: Kind) -> ApiResource {
    let (group, version) = kind.api_version().rsplit_once('/').unwrap_or(("", kind.api_version()));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.name()))
}

pub async fn reconcile(resource: Arc<ScimRetirement>, context: Arc<Context>) -> Result<Action, Error> {
    let _timed = context.metrics.reconciling();
    let id = taken::id(&resource);
    let api: Api<ScimRetirement> = Api::namespaced(context.client.clone(), &id.namespace);
    let turn = Turn { id: &id, context: &context, api: &api };
    if resource.meta().deletion_timestamp.is_some() && resource.finalizers().iter().any(|name| name == FINALIZER) {
        // A deletion in the middle is no deletion yet.
        if turn.is_kept_back(&resource) {
            return turn.keep(&resource, true).await;
        }
        if !turn.has_ended(&resource).await? {
            return Ok(Action::requeue(ENDING));
        }
    }
    let life = finalizer(&api, FINALIZER, resource, async |event| match event {
        Life::Apply(resource) => turn.keep(&resource, false).await,
        Life::Cleanup(resource) => turn.end(&resource).await,
    });
    life.await.map_err(|error| match error {
        kube::runtime::finalizer::Error::ApplyFailed(error) | kube::runtime::finalizer::Error::CleanupFailed(error) => error,
        other => Error::Finalizer(other.to_string()),
    })
}

struct Turn<'a> {
    id: &'a Id,
    context: &'a Context,
    api: &'a Api<ScimRetirement>,
}

impl Turn<'_> {
    /// Something was taken away, it is not over, and nobody has said that it may be let go.
    fn is_kept_back(&self, resource: &ScimRetirement) -> bool {
        let may_go = resource.annotations().get(annotation::ABANDON).is_some_and(|word| word == "true");
        let (_, heard) = self.look(resource);
        let told = heard.told.filter(|_| heard.trouble.is_none()).map(|(told, _)| told.is_in_the_middle);
        // Where the worker is silent nobody knows: once there was a baseline, only its last word that it is over counts.
        let has_begun = resource.annotations().contains_key(annotation::BASELINE_RECORDED);
        let is_over = resource.status.as_ref().is_some_and(|status| status.is_true(ConditionKind::Ready));
        !may_go && told.unwrap_or(has_begun && !is_over)
    }

    fn look(&self, resource: &ScimRetirement) -> (Option<PodSeen>, Heard) {
        let key = ObjectRef::new(&format!("{}-0", names::of(&self.id.name))).within(&self.id.namespace);
        let pod = self.context.pods.iter().find_map(|store| store.get(&key)).map(|pod| pod::seen(&pod));
        let address = pod.as_ref().filter(|pod| !pod.is_ending).and_then(|pod| pod.address);
        let mut heard = self.context.workers.listen(self.id, address);
        strangers(self.id, resource, &mut heard);
        (pod, heard)
    }

    async fn keep(&self, resource: &ScimRetirement, kept_back: bool) -> Result<Action, Error> {
        // A resource that is not listed yet may have the app.
        for store in &self.context.resources {
            store.wait_until_ready().await?;
        }
        let made = self.made(resource, kept_back);
        let refused = match &made {
            Ok((config, image)) => self.apply(resource, config, image).await?,
            Err(refused) => Some(refused.clone()),
        };
        if refused.as_ref().is_some_and(|refused| refused.reason == "AppTaken") {
            self.stop(resource).await?;
        }
        self.brake(made.is_err() && (kept_back || says_held(resource))).await?;
        let (pod, heard) = self.look(resource);
        let mount_trouble = self.mount_trouble(pod.as_ref(), made.as_ref().ok().map(|(config, _)| config)).await?;
        let before = resource.status.clone().unwrap_or_default();
        let now = status::status(&Seen {
            generation: resource.meta().generation,
            before: &before,
            refused: refused.as_ref(),
            pod: pod.as_ref(),
            heard: &heard,
            kept_back,
            mount_trouble: mount_trouble.as_deref(),
            now: Timestamp::now(),
        });
        self.context.metrics.saw(self.id, &now);
        self.tell(resource, &before, &now).await?;
        let has_baseline = heard.told.as_ref().is_some_and(|(told, _)| told.has_baseline);
        if has_baseline && !resource.annotations().contains_key(annotation::BASELINE_RECORDED) {
            self.mark(&now).await?;
        }
        let is_on_its_way = pod.as_ref().is_none_or(|pod| pod.ready.is_err()) && refused.is_none();
        let wait = if is_on_its_way {
            SOON
        } else if refused.is_some() {
            REFUSED
        } else {
            HEARD
        };
        Ok(Action::requeue(wait.min(self.context.resync)))
    }

    /// A hold is in force also where the rest of the spec is wrong, and so the last good config is: by the file `freeze` beside it, which
    /// is another manager's field of the same ConfigMap.
    async fn brake(&self, pulled: bool) -> Result<(), Error> {
        if self.context.applied.with(self.id, |kept| kept.braked) == Some(pulled) {
            return Ok(());
        }
        let (name, what) = (names::of(&self.id.name), "the ConfigMap's brake");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.context.client.clone(), &self.id.namespace, &api_resource(Kind::ConfigMap));
        let found = api.get_metadata_opt(&name).await.map_err(kube_error(what))?;
        let labels = found.as_ref().and_then(|found| found.metadata.labels.as_ref());
        if labels.and_then(|labels| labels.get(RETIREMENT)) == Some(&self.id.name) {
            let data = if pulled { json!({ FREEZE: "Held by the ScimRetirement.\n" }) } else { json!({}) };
            let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data });
            let by = PatchParams::apply(BRAKE_MANAGER).force();
            api.patch(&name, &by, &Patch::Apply(&body)).await.map_err(kube_error(what))?;
        }
        self.context.applied.with(self.id, |kept| kept.braked = Some(pulled));
        Ok(())
    }

    /// The worker's config and image, or why there is none.
    fn made(&self, resource: &ScimRetirement, kept_back: bool) -> Result<(WorkerConfig, String), Refusal> {
        let all = self.all();
        if let Some(other) = taken::by(resource, all.iter().map(AsRef::as_ref)) {
            let text = format!(
                "{other} retires this app of this tenant already, and it is older; delete one of the two. Its worker has the ledger"
            );
            return Err(Refusal::new("AppTaken", text));
        }
        let spec = &resource.spec;
        let image =
            image::of(spec.worker.image.as_deref(), &self.context.image).map_err(|why| Refusal::new("ImageNotAllowed", why))?;
        let sharers = self.share(resource, &all);
        let config = config::of(&self.id.name, spec.config.read(), kept_back, sharers, &self.context.platform)
            .map_err(|why| Refusal::new(Refusal::CONFIG, why))?;
        Ok((config, image))
    }

    fn all(&self) -> Vec<Arc<ScimRetirement>> {
        self.context.resources.iter().flat_map(Store::state).collect()
    }

    /// Among how many Graph's quota for this resource's client is divided; where that is news, to the others as well.
    fn share(&self, resource: &ScimRetirement, all: &[Arc<ScimRetirement>]) -> u32 {
        let of_one_quota = || taken::of_one_quota(resource, all.iter().map(AsRef::as_ref));
        let sharers = taken::sharers(of_one_quota());
        let mut shared = self.context.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shared.insert(taken::quota(resource), sharers);
        drop(shared);
        // Of what was before this process each resource is looked at anyway.
        if before.is_some_and(|before| before != sharers) {
            of_one_quota().map(taken::id).filter(|id| id != self.id).for_each(|id| self.context.workers.again(&id));
        }
        sharers
    }

    async fn apply(&self, resource: &ScimRetirement, config: &WorkerConfig, image: &str) -> Result<Option<Refusal>, Error> {
        let owner =
            Owner { name: self.id.name.clone(), namespace: self.id.namespace.clone(), uid: resource.uid().unwrap_or_default() };
        // Whoever takes the annotation away wants a new ledger.
        let begun = resource.annotations().contains_key(annotation::BASELINE_RECORDED);
        let ledger = resource.status.as_ref().filter(|_| begun).and_then(|status| status.ledger.as_ref());
        let parts = Parts {
            owner: &owner,
            worker: &resource.spec.worker,
            image,
            config,
            baseline: resource.spec.baseline,
            begun,
            ledger,
            surroundings: &self.context.surroundings,
        };
        for object in &parts.objects() {
            if self.context.applied.is_so(self.id, object.kind, &object.digest, self.context.resync) {
                continue;
            }
            if let Some(refused) = self.apply_one(object, &owner).await? {
                return Ok(Some(refused));
            }
        }
        Ok(None)
    }

    async fn apply_one(&self, object: &Object, owner: &Owner) -> Result<Option<Refusal>, Error> {
        let (applied, kind) = (&self.context.applied, object.kind);
        let what = format!("{} {}", kind.name(), object.name);
        let api: Api<DynamicObject> = Api::namespaced_with(self.context.client.clone(), &self.id.namespace, &api_resource(kind));
        // By the eyes of this process, which may have begun a moment ago.
        let is_known = applied.is_known(self.id, kind, owner.whose(kind));
        if !is_known || !applied.has_taken(self.id, kind) {
            let found = api.get_opt(&object.name).await.map_err(kube_error(&what))?;
            if let Some(found) = &found {
                if !is_ours(&found.metadata, kind, owner) {
                    return Ok(Some(foreign(&what, &found.metadata)));
                }
                if let Some(version) = version(&found.metadata).filter(|_| stands(object, found)) {
                    applied.took(self.id, kind, &object.digest, version);
                    return Ok(None);
                }
            }
        }
        match api.patch(&object.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object.body)).await {
            Ok(now) => {
                if let Some(version) = version(&now.metadata) {
                    applied.took(self.id, kind, &object.digest, version);
                }
                Ok(None)
            }
            // What the API server finds wrong with it, the resource's author can change: a quantity, a label, a storage class.
            Err(kube::Error::Api(refused)) if refused.code == 422 || refused.code == 400 => {
                Ok(Some(Refusal::new("ObjectRefused", format!("the API server refuses the {what}: {}", refused.message))))
            }
            Err(source) => Err(Error::Kube { what, source }),
        }
    }

    /// A younger resource for a taken app has no worker, and where it had one, loses it.
    async fn stop(&self, resource: &ScimRetirement) -> Result<(), Error> {
        let is_known = self.context.applied.is_known(self.id, Kind::StatefulSet, &resource.uid().unwrap_or_default());
        let (pod, _) = self.look(resource);
        if is_known || pod.is_some() {
            self.delete(Kind::StatefulSet).await?;
        }
        Ok(())
    }

    async fn delete(&self, kind: Kind) -> Result<(), Error> {
        let name = names::of(&self.id.name);
        let api: Api<DynamicObject> = Api::namespaced_with(self.context.client.clone(), &self.id.namespace, &api_resource(kind));
        let what = || format!("{} {name}", kind.name());
        let found = api.get_metadata_opt(&name).await.map_err(kube_error(what()))?;
        let is_this = |found: &PartialObjectMeta<DynamicObject>| {
            found.metadata.labels.as_ref().and_then(|labels| labels.get(RETIREMENT)).is_some_and(|whose| *whose == self.id.name)
        };
        if found.filter(is_this).is_some() {
            match api.delete(&name, &DeleteParams::background()).await {
                Ok(_) => {}
                Err(kube::Error::Api(refused)) if refused.code == 404 => {}
                Err(error) => return Err(kube_error(what())(error)),
            }
        }
        self.context.applied.deleted(self.id, kind);
        Ok(())
    }

    /// The worker is stopped in order: its pod ends first, and a write under way is finished and journaled.
    async fn has_ended(&self, resource: &ScimRetirement) -> Result<bool, Error> {
        self.delete(Kind::StatefulSet).await?;
        Ok(self.look(resource).0.is_none())
    }

    /// The ledger stays unless it was said that it may go. The rest goes with its owner.
    async fn end(&self, resource: &ScimRetirement) -> Result<Action, Error> {
        let claim = names::of(&self.id.name);
        let may_go = resource.annotations().get(annotation::DELETE_LEDGER).is_some_and(|word| word == "true");
        if may_go {
            self.delete(Kind::PersistentVolumeClaim).await?;
        }
        let note = if may_go {
            format!("the worker has ended, and the ledger in the claim {claim} was deleted, as asked for")
        } else {
            format!("the worker has ended; the ledger stays in the claim {claim}")
        };
        let gone = News { is_warning: false, reason: "Ended", action: "Delete".into(), note };
        self.publish(resource, &gone).await?;
        self.share(resource, &self.all());
        self.context.workers.forget(self.id);
        self.context.applied.forget(self.id);
        self.context.metrics.forget(self.id);
        Ok(Action::await_change())
    }

    /// First the news, then the status: of a process that dies between the two, the news are told twice and not never.
    async fn tell(&self, resource: &ScimRetirement, before: &RetirementStatus, now: &RetirementStatus) -> Result<(), Error> {
        if before == now {
            return Ok(());
        }
        for news in news::between(before, now) {
            self.publish(resource, &news).await?;
        }
        let body = json!({ "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND, "metadata": { "name": self.id.name }, "status": now });
        let written = self.api.patch_status(&self.id.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await;
        written.map_err(kube_error("the status"))?;
        Ok(())
    }

    async fn publish(&self, resource: &ScimRetirement, news: &News) -> Result<(), Error> {
        let event = Event {
            type_: if news.is_warning { EventType::Warning } else { EventType::Normal },
            reason: news.reason.into(),
            note: Some(news.note.chars().take(1000).collect()),
            // The recorder takes two of one action for one that was repeated, and keeps the words of the first.
            action: format!("{}-{}", news.action, &hex(Sha256::digest(&news.note))[..8]),
            secondary: None,
        };
        self.context.recorder.publish(&event, &resource.object_ref(&())).await.map_err(kube_error("an Event"))
    }

    async fn mark(&self, now: &RetirementStatus) -> Result<(), Error> {
        let since = now.condition("BaselineRecorded").map(|condition| condition.last_transition_time.to_string());
        let mark =
            json!({ "metadata": { "annotations": { annotation::BASELINE_RECORDED: since.unwrap_or_else(|| "yes".into()) } } });
        self.api
            .patch(&self.id.name, &PatchParams::default(), &Patch::Merge(&mark))
            .await
            .map_err(kube_error("the annotation"))?;
        Ok(())
    }

    /// What the kubelet says of a pod whose container can't be made: the operator may not read Secrets, and need not.
    async fn mount_trouble(&self, pod: Option<&PodSeen>, config: Option<&WorkerConfig>) -> Result<Option<String>, Error> {
        let Some(pod) = pod.filter(|pod| pod.is_creating && pod.ready.is_err()) else { return Ok(None) };
        let events: Api<CoreEvent> = Api::namespaced(self.context.client.clone(), &self.id.namespace);
        let of_the_pod = ListParams::default().fields(&format!("involvedObject.name={},reason=FailedMount", pod.name)).limit(20);
        let found = events.list(&of_the_pod).await.map_err(kube_error("the pod's events"))?;
        let last = found.items.into_iter().filter_map(|event| event.message).rfind(|message| message.contains("secret"));
        Ok(last.map(|message| {
            let fields: Vec<String> = config
                .into_iter()
                .flat_map(|config| &config.secrets)
                .map(|key| format!("{}: {}/{}", key.field, key.secret, key.key))
                .collect();
            format!("{message} (this resource names {}). It goes on by itself when it is there", fields.join(", "))
        }))
    }
}

/// Any word but `None` holds, as in the file.
fn says_held(resource: &ScimRetirement) -> bool {
    resource.spec.config.read().get("hold").is_some_and(|hold| !hold.is_null() && hold != "None")
}

/// A pod's address may be somebody else's by now: what is told of another retirement is not believed.
fn strangers(id: &Id, resource: &ScimRetirement, heard: &mut Heard) {
    let tenant = resource.spec.config.tenant();
    let is_ours = |name: &str, told: Option<&str>| {
        name == id.name && told.zip(tenant).is_none_or(|(told, ours)| told.eq_ignore_ascii_case(ours))
    };
    if let Some((told, _)) = heard.told.take_if(|(told, _)| !is_ours(&told.name, told.tenant.as_deref())) {
        heard.trouble = Some(format!(
            "it says that it retires {} of tenant {}: that is another one",
            told.name,
            told.tenant.as_deref().unwrap_or("(none)")
        ));
    }
}

fn is_ours(found: &ObjectMeta, kind: Kind, owner: &Owner) -> bool {
    if kind == Kind::PersistentVolumeClaim {
        return found.labels.as_ref().and_then(|labels| labels.get(RETIREMENT)).is_some_and(|whose| whose == owner.whose(kind));
    }
    found.owner_references.iter().flatten().any(|reference| reference.uid == owner.whose(kind))
}

fn stands(object: &Object, found: &DynamicObject) -> bool {
    serde_json::to_value(found).is_ok_and(|found| object.stands(&found))
}

fn foreign(what: &str, found: &ObjectMeta) -> Refusal {
    let whose = found.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY.0));
    let text = format!(
        "there is a {what} that is not this resource's{}: it is left as it is; delete or rename it",
        whose.map(|whose| format!(" (managed by {whose})")).unwrap_or_default()
    );
    Refusal::new("ForeignObject", text)
}
