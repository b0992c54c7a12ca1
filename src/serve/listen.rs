//! The socket: a bounded number of connections, none that stays silent, and none that takes its time.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::connections::{Seat, Seats};
use super::tls::{self, Caller, Tls};
use super::{Hosts, State, router};

/// The head of a request is there within this time, and no larger than this (bytes), or the connection is closed. So long too for the
/// handshake of TLS before it.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
const HEAD_CAP: usize = 16 << 10;
/// So long after the head all is over: a body that nobody needs, the answer, and its reading. Not for whoever watches.
const ALL_WITHIN: Duration = Duration::from_secs(30);
/// A connection on which nothing moves for so long is closed.
const SILENCE: Duration = Duration::from_secs(30);
/// After the cancellation, for answers under way.
const GRACE: Duration = Duration::from_secs(5);

/// Callers who wait to be let in.
const BACKLOG: u32 = 1024;

/// Takes the address, so that whoever calls finds somebody as soon as there is an answer. `[::]` is every address of the machine,
/// whatever it has: those of IPv4 alone where it has no IPv6.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    bind_by(addr, open)
}

/// The same by another way to open a socket.
pub fn bind_by<L>(addr: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<L>) -> io::Result<L> {
    let mut asked = addr;
    let mut opened = open(asked);
    if opened.as_ref().is_err_and(|cause| addr.is_ipv6() && addr.ip().is_unspecified() && is_without_ipv6(cause)) {
        asked = (Ipv4Addr::UNSPECIFIED, addr.port()).into();
        tracing::warn!("no IPv6 on this machine; listening on {asked} instead of {addr}");
        opened = open(asked);
    }
    opened.map_err(|cause| {
        io::Error::new(cause.kind(), format!("listening on {asked}: {cause}; choose another address with --listen"))
    })
}

fn is_without_ipv6(cause: &io::Error) -> bool {
    matches!(Errno::from_io_error(cause), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn open(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        // Some machines say otherwise (net.ipv6.bindv6only).
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    // A port that was left a moment ago can be had again.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// The future serves until `cancel`. The address is the one really bound, for port 0.
pub fn listen(
    listener: TcpListener,
    state: State,
    hosts: Hosts,
    tls: Option<Tls>,
    cancel: CancellationToken,
) -> io::Result<(SocketAddr, impl Future<Output = io::Result<()>> + Send)> {
    let ended = state.0.ended.clone();
    listen_with(listener, router(state, hosts), tls, ended, cancel)
}

/// The same of another router. `ended` ends answers that have no end of their own.
pub fn listen_with(
    mut listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    ended: CancellationToken,
    cancel: CancellationToken,
) -> io::Result<(SocketAddr, impl Future<Output = io::Result<()>> + Send)> {
    let bound = listener.local_addr()?;
    let only_known = tls.as_ref().is_some_and(Tls::asks_for_certificates);
    let router = if only_known { router.layer(from_fn(tls::known)) } else { router };
    let tls = tls.map(Arc::new);
    let serving = async move {
        let (seats, mut connections) = (Seats::default(), JoinSet::new());
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                (stream, from) = Listener::accept(&mut listener) => {
                    let seat = seats.take(from.ip().to_canonical());
                    connections.spawn(attend(stream, seat, router.clone(), tls.clone(), cancel.clone()));
                    // Whoever is in is served before more come, who could throw them out.
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
async fn attend(stream: TcpStream, seat: Seat, router: Router, tls: Option<Arc<Tls>>, cancel: CancellationToken) {
    let stream = Watched { stream, silence: Box::pin(tokio::time::sleep(SILENCE)) };
    let Some(tls) = tls else { return converse(Box::new(stream), Caller { is_known: false }, seat, router, cancel).await };
    let handshake = tokio::time::timeout(HEAD_WITHIN, TlsAcceptor::from(tls.config()).accept(stream));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = seat.is_gone() => return,
        () = cancel.cancelled() => return,
    };
    match shaken.unwrap_or_else(|late| Err(late.into())) {
        Ok(stream) => {
            let is_known = stream.get_ref().1.peer_certificates().is_some();
            converse(Box::new(stream), Caller { is_known }, seat, router, cancel).await;
        }
        // Whoever knocks with something else than TLS must not fill the log.
        Err(error) => tracing::debug!(%error, "a connection ended in its TLS handshake"),
    }
}

/// With TLS or without.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// HTTP over what is ready for it.
async fn converse(stream: Box<dyn Wire>, caller: Caller, seat: Seat, router: Router, cancel: CancellationToken) {
    let place = seat.place.clone();
    let service = router.map_request(move |mut request: http::Request<Incoming>| {
        place.asks();
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(caller);
        request.map(Body::new)
    });
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
