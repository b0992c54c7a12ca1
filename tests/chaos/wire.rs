//! What may happen to our process at one of its calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use unscim::world::http::Transport;

use crate::support::TokioClock;

/// At which call from here our clock jumps, and by how many seconds.
pub type Jump = Arc<Mutex<Option<(usize, i64)>>>;

/// The k-th call (from 0) is the last of the process.
pub fn mortal(inner: Transport, k: usize, died: CancellationToken) -> Transport {
    let calls = Arc::new(AtomicUsize::new(0));
    Transport::new(tower::service_fn(move |request: Request<Bytes>| {
        let (mut inner, died, n) = (inner.clone(), died.clone(), calls.fetch_add(1, Ordering::SeqCst));
        async move {
            let answer = inner.ready().await?.call(request).await;
            if n == k {
                died.cancel();
                return std::future::pending().await;
            }
            answer
        }
    }))
}

/// Our clock jumps at a call.
pub fn jumpy(inner: Transport, clock: TokioClock, jump: Jump) -> Transport {
    Transport::new(tower::service_fn(move |request: Request<Bytes>| {
        let mut jump = jump.lock().unwrap();
        match jump.as_mut() {
            Some((0, by)) => {
                clock.moved.fetch_add(*by, Ordering::SeqCst);
                *jump = None;
            }
            Some((calls, _)) => *calls -= 1,
            None => {}
        }
        let mut inner = inner.clone();
        async move { inner.ready().await?.call(request).await }
    }))
}
