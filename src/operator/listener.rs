//! The operator seen from outside: metrics and probes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use crate::serve::{Tls, listen_with};

pub fn listen(
    socket: TcpListener,
    metrics: Metrics,
    tls: Option<Tls>,
    end: CancellationToken,
) -> io::Result<(SocketAddr, impl Future<Output = io::Result<()>> + Send)> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async || "ok\n"))
        .route("/metrics", get(move || show(metrics.clone())))
        .fallback(async || (StatusCode::NOT_FOUND, "not found\n"));
    listen_with(socket, router, tls, end.clone(), end)
}

async fn show(metrics: Metrics) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}
