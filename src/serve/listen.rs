//! The socket: a bounded number of connections, and none that stays silent.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::{State, router};

const CONNECTIONS: usize = 256;
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
    listener: TcpListener,
    state: State,
    cancel: CancellationToken,
) -> io::Result<(SocketAddr, impl Future<Output = io::Result<()>> + Send)> {
    let bound = listener.local_addr()?;
    let listener = Bounded { listener, seats: Arc::new(Semaphore::new(CONNECTIONS)) };
    let serving = async move {
        let stopped = {
            let (cancel, ended) = (cancel.clone(), state.0.ended.clone());
            async move {
                cancel.cancelled().await;
                ended.cancel();
            }
        };
        let serve = axum::serve(listener, router(state)).with_graceful_shutdown(stopped);
        let too_late = async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = serve.into_future() => ended,
            () = too_late => Ok(()),
        }
    };
    Ok((bound, serving))
}

struct Bounded {
    listener: TcpListener,
    seats: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Watched;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Watched, SocketAddr) {
        let seat = self.seats.clone().acquire_owned().await.expect("the seats are never closed");
        let (stream, from) = Listener::accept(&mut self.listener).await;
        (Watched { stream, silence: Box::pin(tokio::time::sleep(SILENCE)), _seat: seat }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

struct Watched {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    _seat: OwnedSemaphorePermit,
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
