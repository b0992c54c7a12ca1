//! `/events`: the status as it is, and again whenever there is a newer one (server-sent events).

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::HeaderName;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;

use super::{Published, State};

/// A comment after so long without a status: a silent connection would be closed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A proxy must not hold events back until it has many.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

pub(super) async fn show(Shared(state): Shared<State>) -> Response {
    let mut newest = state.0.published.subscribe();
    newest.mark_changed();
    let events = unfold((newest, state.0.ended.clone()), async |(mut newest, ended)| {
        loop {
            ended.run_until_cancelled(newest.changed()).await?.ok()?;
            let event = newest.borrow_and_update().as_ref().map(event);
            if let Some(event) = event {
                return Some((Ok::<_, Infallible>(event), (newest, ended)));
            }
        }
    });
    ([UNBUFFERED], Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("alive"))).into_response()
}

/// The same document as `/status`; its turn is the event's id.
fn event(published: &Published) -> Event {
    Event::default().event("status").id(published.status.turn.to_string()).data(&*published.document)
}
