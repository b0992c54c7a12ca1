//! The socket: a bounded number of connections, none that stays silent, and none that takes its time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::seats::{Seat, Seats};
use super::{Hosts, State, router};

/// The head of a request is there within this time, and no larger than this (bytes), or the connection is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
const HEAD_CAP: usize = 16 << 10;
/// So long after the head all is over: a body that nobody needs, the answer, and its reading. Not for whoever watches.
const ALL_WITHIN: Duration = Duration::from_secs(30);
/// A connection on which nothing moves for so long is closed.
const SILENCE: Duration = Duration::from_secs(30);
/// After the cancellation, for answers under way.
const GRACE: Duration = Duration::from_secs(5);

/// Takes the address, so that whoever calls finds somebody as soon as there is an answer.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr).await.map_err(|cause| {
        io::Error::new(cause.kind(), format!("listening on {addr}: {cause}; choose another address with --listen"))
    })
}

/// The future serves until `cancel`. The address is the one really bound, for port 0.
pub fn listen(
    mut listener: TcpListener,
    state: State,
    hosts: Hosts,
    cancel: CancellationToken,
) -> io::Result<(SocketAddr, impl Future<Output = io::Result<()>> + Send)> {
    let bound = listener.local_addr()?;
    let serving = async move {
        let (seats, ended, mut connections) = (Seats::default(), state.0.ended.clone(), JoinSet::new());
        let router = router(state, hosts);
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                (stream, from) = Listener::accept(&mut listener) => {
                    let seat = seats.take(from.ip().to_canonical());
                    connections.spawn(attend(stream, seat, router.clone(), cancel.clone()));
                    // Whoever is in is looked at before more come, who could throw him out.
                    tokio::task::yield_now().await;
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        ended.cancel();
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all).await;
        Ok(())
    };
    Ok((bound, serving))
}

/// One connection, to its end.
async fn attend(stream: TcpStream, seat: Seat, router: Router, cancel: CancellationToken) {
    let place = seat.place.clone();
    let service = router.map_request(move |mut request: http::Request<Incoming>| {
        place.asks();
        request.extensions_mut().insert(place.clone());
        request.map(Body::new)
    });
    let stream = Watched { stream, silence: Box::pin(tokio::time::sleep(SILENCE)) };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_CAP)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let mut due = pin!(tokio::time::sleep(ALL_WITHIN));
    let mut ending = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = seat.is_gone() => return,
            () = due.as_mut() => {
                let until = seat.place.asked().unwrap_or_else(Instant::now) + ALL_WITHIN;
                if until <= Instant::now() {
                    return;
                }
                due.as_mut().reset(until);
            }
            () = cancel.cancelled(), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

struct Watched {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
}

impl Watched {
    fn moved<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.silence.as_mut().reset(Instant::now() + SILENCE);
            return poll;
        }
        match self.silence.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.moved(cx, poll)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.moved(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.moved(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.moved(cx, poll)
    }
}
