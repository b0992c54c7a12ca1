//! `/events`: the status as it is, and again whenever there is a newer one (server-sent events).

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Extension, State as Shared};
use axum::http::{HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;

use super::connections::Place;
use super::{Published, State};

/// So many may watch at once: half of the listener's connections, so that probes always find one. Of one peer, fewer.
pub(super) const SEATS: usize = 128;
/// A comment after so long without a status: a silent connection would be closed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A proxy must not hold events back until it has many.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

pub(super) async fn show(Shared(state): Shared<State>, place: Option<Extension<Place>>) -> Response {
    let watch = match &place {
        Some(Extension(place)) => place.watch().map(Some),
        None => Some(None),
    };
    let Some(seat) = watch.zip(state.0.seats.clone().try_acquire_owned().ok()) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many are watching; ask /status instead\n").into_response();
    };
    let mut newest = state.0.published.subscribe();
    newest.mark_changed();
    let events = unfold((newest, state.0.ended.clone(), seat), async |(mut newest, ended, seat)| {
        loop {
            ended.run_until_cancelled(newest.changed()).await?.ok()?;
            let event = newest.borrow_and_update().as_ref().map(event);
            if let Some(event) = event {
                return Some((Ok::<_, Infallible>(event), (newest, ended, seat)));
            }
        }
    });
    ([UNBUFFERED], Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("alive"))).into_response()
}

/// The same document as `/status`; its turn is the event's id.
fn event(published: &Published) -> Event {
    Event::default().event("status").id(published.status.turn.to_string()).data(&*published.document)
}
