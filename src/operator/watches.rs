//! What makes a resource reconcile: itself, its pod, its objects, and its worker's news.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use kube::api::{Api, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config as Pace, Error as Ended};
use kube::runtime::reflector::{self, ObjectRef, Store, store::Writer};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Controller, WatchStreamExt as _, watcher as watch};
use kube::{Client, Resource as _, ResourceExt as _};
use tokio::sync::{mpsc, watch as lists};
use tokio_util::sync::CancellationToken;

use super::applied::Seen;
use super::pod::Pod;
use super::reconcile::{Context, Error, api_resource, reconcile};
use super::resource::{Id, KIND, ScimRetirement};
use super::worker::names;
use super::worker::objects::{Kind, MANAGED_BY, RETIREMENT};

const CONCURRENCY: u16 = 16;
/// After an error: often at first.
const AGAIN: Duration = Duration::from_secs(5);
/// Objects in one page of a list: a page is in memory as a whole, and nine kinds are listed at once.
const PAGE: u32 = 50;
/// For the first lists of the workers' objects. Without them each object is asked for by itself.
const LISTED: Duration = Duration::from_secs(30);

type Trigger = mpsc::UnboundedReceiver<ObjectRef<ScimRetirement>>;

/// One namespace, or all of them.
struct Scope {
    namespace: Option<String>,
    controller: Controller<ScimRetirement>,
    pods: (Store<Pod>, Writer<Pod>),
}

pub struct Scopes {
    client: Client,
    all: Vec<Scope>,
}

fn pages() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

fn ours() -> watcher::Config {
    pages().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1))
}

fn scoped<K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>>(
    client: &Client,
    namespace: Option<&str>,
) -> Api<K> {
    namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace))
}

impl Scopes {
    pub fn new(client: &Client, namespaces: &[String]) -> Scopes {
        let scope = |namespace: Option<&String>| Scope {
            namespace: namespace.cloned(),
            controller: controller(scoped(client, namespace.map(String::as_str))),
            pods: reflector::store(),
        };
        let all =
            if namespaces.is_empty() { vec![scope(None)] } else { namespaces.iter().map(|name| scope(Some(name))).collect() };
        Scopes { client: client.clone(), all }
    }

    pub fn resources(&self) -> Vec<Store<ScimRetirement>> {
        self.all.iter().map(|scope| scope.controller.store()).collect()
    }

    pub fn pods(&self) -> Vec<Store<Pod>> {
        self.all.iter().map(|scope| scope.pods.0.clone()).collect()
    }

    /// Until `stop`, or until a part of it ends by itself.
    pub async fn run(self, context: Arc<Context>, heard: mpsc::UnboundedReceiver<Id>, stop: &CancellationToken) -> Result<()> {
        let (mut running, mut routes) = (tokio::task::JoinSet::new(), Vec::new());
        for scope in self.all {
            let (trigger, triggered) = mpsc::unbounded_channel();
            let (listing, listed) = lists::channel(HashSet::new());
            routes.push((scope.namespace.clone(), trigger.clone()));
            let changes = changes(&self.client, scope.namespace.as_deref(), scope.pods.1, context.clone(), listing);
            running.spawn(feed(changes, trigger, stop.clone()));
            let first = first_lists(scope.pods.0, listed);
            running.spawn(control(scope.controller, first, triggered, context.clone(), stop.clone()));
        }
        running.spawn(route(heard, routes, context, stop.clone()));
        while let Some(ended) = running.join_next().await {
            ended?;
            if !stop.is_cancelled() {
                bail!("a watch has ended by itself");
            }
        }
        Ok(())
    }
}

/// Who owns which field is the larger part of a resource, and nobody here asks.
fn controller(api: Api<ScimRetirement>) -> Controller<ScimRetirement> {
    let (reader, writer) = reflector::store();
    let slim = |resource: &mut ScimRetirement| resource.metadata.managed_fields = None;
    let resources = watch(api, pages()).default_backoff().modify(slim).reflect(writer).applied_objects();
    Controller::for_stream(resources, reader).with_config(Pace::default().concurrency(CONCURRENCY))
}

/// The news of workers to the controller of their namespace.
async fn route(
    mut heard: mpsc::UnboundedReceiver<Id>,
    routes: Vec<(Option<String>, mpsc::UnboundedSender<ObjectRef<ScimRetirement>>)>,
    context: Arc<Context>,
    stop: CancellationToken,
) {
    while let Some(Some(id)) = stop.run_until_cancelled(heard.recv()).await {
        context.metrics.queued(-1);
        let route = routes.iter().find(|(namespace, _)| namespace.as_ref().is_none_or(|namespace| *namespace == id.namespace));
        let reference = ObjectRef::new(&id.name).within(&id.namespace);
        if route.is_some_and(|(_, trigger)| trigger.send(reference).is_err()) {
            return;
        }
    }
}

/// Resources whose pod or objects have changed.
fn changes(
    client: &Client,
    namespace: Option<&str>,
    pods: Writer<Pod>,
    context: Arc<Context>,
    listing: lists::Sender<HashSet<Kind>>,
) -> BoxStream<'static, ObjectRef<ScimRetirement>> {
    let listing = Arc::new(listing);
    let pods =
        watch(scoped::<Pod>(client, namespace), ours()).default_backoff().modify(Pod::slim).reflect(pods).touched_objects();
    let pods = pods.filter_map(async |pod| match pod {
        Ok(pod) => owner(pod.meta()),
        Err(error) => {
            failed("Pod", &error);
            None
        }
    });
    let pods = pods.boxed();
    let objects = Kind::ALL.into_iter().map(|kind| {
        let resource = api_resource(kind);
        let api: Api<PartialObjectMeta<DynamicObject>> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let (context, listing) = (context.clone(), listing.clone());
        let seen = watch(api, ours()).default_backoff();
        seen.filter_map(move |event| {
            let (context, listing) = (context.clone(), listing.clone());
            async move {
                let (found, is_there) = match event {
                    Ok(Event::Apply(found) | Event::InitApply(found)) => (found, true),
                    Ok(Event::Delete(found)) => (found, false),
                    Ok(Event::InitDone) => {
                        listing.send_modify(|listed| _ = listed.insert(kind));
                        return None;
                    }
                    Ok(Event::Init) => return None,
                    Err(error) => {
                        failed(kind.name(), &error);
                        return None;
                    }
                };
                let reference = owner(&found.metadata)?;
                let id = Id { namespace: reference.namespace.clone()?, name: reference.name.clone() };
                // Whoever gives our label to another object has nothing of ours.
                if found.metadata.name.as_deref() != Some(&names::of(&id.name)) {
                    return None;
                }
                let seen = if is_there { Seen::of(&found.metadata, kind, &id) } else { Seen::default() };
                context.applied.saw(&id, kind, seen).then_some(reference)
            }
        })
        .boxed()
    });
    stream::select_all(std::iter::once(pods).chain(objects)).boxed()
}

/// The waits between two of them grow to a minute.
fn failed(kind: &str, error: &watcher::Error) {
    tracing::warn!(kind, %error, "a watch has failed; it is begun anew");
}

fn owner(metadata: &kube::core::ObjectMeta) -> Option<ObjectRef<ScimRetirement>> {
    let name = metadata.labels.as_ref()?.get(RETIREMENT)?;
    Some(ObjectRef::new(name).within(metadata.namespace.as_deref()?))
}

async fn feed(
    mut changes: BoxStream<'static, ObjectRef<ScimRetirement>>,
    trigger: mpsc::UnboundedSender<ObjectRef<ScimRetirement>>,
    stop: CancellationToken,
) {
    while let Some(Some(reference)) = stop.run_until_cancelled(changes.next()).await {
        if trigger.send(reference).is_err() {
            return;
        }
    }
}

/// A pod that is not known yet would be taken for one that is not there.
async fn first_lists(pods: Store<Pod>, mut listed: lists::Receiver<HashSet<Kind>>) -> bool {
    let all = listed.wait_for(|listed| listed.len() == Kind::ALL.len());
    let _ = tokio::time::timeout(LISTED, all).await;
    pods.wait_until_ready().await.is_ok()
}

async fn control(
    controller: Controller<ScimRetirement>,
    first: impl Future<Output = bool>,
    triggered: Trigger,
    context: Arc<Context>,
    stop: CancellationToken,
) {
    if stop.run_until_cancelled(first).await != Some(true) {
        return;
    }
    let triggers =
        stream::unfold(triggered, async |mut triggered| triggered.recv().await.map(|reference| (reference, triggered)));
    let metrics = context.metrics.clone();
    let forgets = context.clone();
    controller
        .reconcile_on(triggers)
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, again, context)
        .for_each(async |done| match done {
            Ok(_) => metrics.reconciled("success"),
            // It was deleted before its turn came.
            Err(Ended::ObjectNotFound(reference)) => forget(&forgets, &reference),
            Err(Ended::QueueError(error)) => failed(KIND, &error),
            Err(error) => tracing::debug!(%error, "controller"),
        })
        .await;
}

fn forget(context: &Context, reference: &reflector::ObjectRef<kube::api::DynamicObject>) {
    let id = Id { namespace: reference.namespace.clone().unwrap_or_default(), name: reference.name.clone() };
    context.workers.forget(&id);
    context.applied.forget(&id);
    context.metrics.forget(&id);
}

fn again(resource: Arc<ScimRetirement>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.reconciled("error");
    tracing::warn!(namespace = resource.namespace(), name = resource.name_any(), %error, "not reconciled; it is tried again");
    Action::requeue(AGAIN)
}
