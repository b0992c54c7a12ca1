//! The k-th call fails, hangs, loses its answer, or is the last one of the process: it settles all the same, with nobody lost.
//!
//! A sample runs by default; `UNSCIM_CUTS=all cargo test --test scenarios cuts` runs every call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use unscim::model::spec::Rollout;
use unscim::model::status::Phase;
use unscim::practice::scenario::Scenario;
use unscim::world::http::{Transport, TransportError};

use crate::support::Rig;
use crate::walk::small;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// The service says no, and did nothing.
    Refused,
    /// Nothing ever comes back, and nothing was done.
    Hangs,
    /// It was done, and nobody told us.
    AnswerLost,
    /// It was done, and the process is gone before it knew.
    Dies,
    /// Every second item of a batch was done, and the process is gone before it knew; a single request was not done.
    DiesHalfway,
}

/// The envelope without every second of its requests.
fn halved(mut request: Request<Bytes>) -> Option<Request<Bytes>> {
    if !request.uri().path().ends_with("/$batch") {
        return None;
    }
    let mut body: serde_json::Value = serde_json::from_slice(request.body()).expect("an envelope");
    let items = body["requests"].as_array_mut().expect("its requests");
    let mut number = 0..;
    items.retain(|_| number.next().is_some_and(|number| number % 2 == 0));
    items.iter_mut().for_each(|item| _ = item.as_object_mut().expect("a request").remove("dependsOn"));
    *request.body_mut() = body.to_string().into();
    Some(request)
}

/// Cuts the k-th call (from 0) and counts all of them.
fn cutting(inner: Transport, k: usize, cut: Cut, calls: Arc<AtomicUsize>, died: CancellationToken) -> Transport {
    Transport::new(tower::service_fn(move |request: Request<Bytes>| {
        let (mut inner, died) = (inner.clone(), died.clone());
        let n = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            if n != k {
                return inner.ready().await?.call(request).await;
            }
            match cut {
                Cut::Refused => {
                    let mut response =
                        Response::new(Bytes::from_static(b"{\"error\":{\"code\":\"ServiceUnavailable\",\"message\":\"later\"}}"));
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                    Ok(response)
                }
                Cut::Hangs => std::future::pending().await,
                Cut::AnswerLost => {
                    inner.ready().await?.call(request).await?;
                    Err(TransportError::Connect("the connection was reset".into()))
                }
                Cut::Dies => {
                    inner.ready().await?.call(request).await?;
                    died.cancel();
                    std::future::pending().await
                }
                Cut::DiesHalfway => {
                    if let Some(half) = halved(request) {
                        inner.ready().await?.call(half).await?;
                    }
                    died.cancel();
                    std::future::pending().await
                }
            }
        }
    }))
}

fn scenario() -> Scenario {
    Scenario { users: 4, groups: 2, ..small() }
}

async fn rig() -> Rig {
    let mut rig = Rig::new(scenario()).await;
    rig.spec.rollout = Rollout::AllAtOnce;
    rig
}

/// Calls of a full run without a cut.
async fn length() -> usize {
    let mut rig = rig().await;
    let calls = Arc::new(AtomicUsize::new(0));
    rig.transport = cutting(rig.transport.clone(), usize::MAX, Cut::Refused, calls.clone(), CancellationToken::new());
    rig.retire().await;
    calls.load(Ordering::SeqCst)
}

async fn run_cut_at(k: usize, cut: Cut) {
    let mut rig = rig().await;
    let before = rig.active_users();
    let plain = rig.transport.clone();
    let died = CancellationToken::new();
    rig.transport = cutting(plain.clone(), k, cut, Arc::new(AtomicUsize::new(0)), died.clone());
    let mut revoked = false;
    for _ in 0..900 {
        let turn = tokio::select! {
            biased;
            () = died.cancelled() => None,
            turn = rig.turn() => Some(turn),
        };
        let Some(turn) = turn else {
            // A new process: only the ledger on disk is left.
            rig.transport = plain.clone();
            rig.restart();
            run_to_the_end(&mut rig, revoked).await;
            break;
        };
        if turn.status.phase == Phase::AwaitingRevocation && !revoked {
            rig.practice.revoke_token().unwrap();
            revoked = true;
        }
        if turn.status.phase == Phase::Retired {
            break;
        }
        tokio::time::sleep(unscim::turn::wait_after(&turn, &rig.spec)).await;
    }
    assert_eq!(rig.until_phase(Phase::Retired).await.phase, Phase::Retired, "{cut:?} at call {k}");
    rig.assert_nobody_hurt(&before);
    let mut deleted: Vec<_> = rig
        .practice
        .writes()
        .into_iter()
        .filter(|write| write.method == "DELETE" && write.status == 204)
        .map(|w| w.path)
        .collect();
    let all = deleted.len();
    deleted.sort();
    deleted.dedup();
    assert_eq!(deleted.len(), all, "{cut:?} at call {k}: a deletion took effect twice");
    let writes = rig.practice.writes().len();
    rig.turn().await;
    assert_eq!(rig.practice.writes().len(), writes, "{cut:?} at call {k}: again changes something");
}

async fn run_to_the_end(rig: &mut Rig, revoked: bool) {
    if !revoked {
        rig.until_phase(Phase::AwaitingRevocation).await;
        rig.practice.revoke_token().unwrap();
    }
    rig.until_phase(Phase::Retired).await;
}

/// Every call, or a sample that does not fall into step with the calls of a turn: 211 is a prime.
async fn cut_everywhere(cut: Cut, first: usize) {
    let step = if std::env::var("UNSCIM_CUTS").is_ok_and(|value| value == "all") { 1 } else { 211 };
    let first = if step == 1 { 0 } else { first };
    let length = length().await;
    println!("{cut:?}: every {step}th of {length} calls");
    for k in (first..length).step_by(step) {
        run_cut_at(k, cut).await;
    }
}

#[tokio::test(start_paused = true)]
async fn wherever_a_call_is_refused_it_settles_with_nobody_lost() {
    cut_everywhere(Cut::Refused, 0).await;
}

#[tokio::test(start_paused = true)]
async fn wherever_a_call_hangs_it_settles_with_nobody_lost() {
    cut_everywhere(Cut::Hangs, 23).await;
}

#[tokio::test(start_paused = true)]
async fn wherever_an_answer_is_lost_it_settles_with_nobody_lost() {
    cut_everywhere(Cut::AnswerLost, 46).await;
}

#[tokio::test(start_paused = true)]
async fn wherever_the_process_dies_it_settles_with_nobody_lost() {
    cut_everywhere(Cut::Dies, 69).await;
}

#[tokio::test(start_paused = true)]
async fn wherever_the_process_dies_halfway_through_a_batch_it_settles_with_nobody_lost() {
    let mut rig = rig().await;
    let (calls, batches) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Vec::new())));
    let (inner, seen) = (rig.transport.clone(), batches.clone());
    rig.transport = Transport::new(tower::service_fn(move |request: Request<Bytes>| {
        let mut inner = inner.clone();
        let n = calls.fetch_add(1, Ordering::SeqCst);
        if writes_at_once(&request) {
            seen.lock().unwrap().push(n);
        }
        async move { inner.ready().await?.call(request).await }
    }));
    rig.retire().await;
    let batches = batches.lock().unwrap().clone();
    assert!(batches.len() >= 3, "assignments, removals, unassignments: {batches:?}");
    for k in batches {
        run_cut_at(k, Cut::DiesHalfway).await;
    }
}

fn writes_at_once(request: &Request<Bytes>) -> bool {
    let is_write = |item: &serde_json::Value| item["method"] != "GET";
    let body: Option<serde_json::Value> = serde_json::from_slice(request.body()).ok();
    body.is_some_and(|body| body["requests"].as_array().is_some_and(|items| items.iter().any(is_write)))
}
