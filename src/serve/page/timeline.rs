//! The run as a picture. Its bars stretch with the window, and its words stand beside it as text, so that they never shrink.

use jiff::Timestamp;

use super::{STEPS, Time, clock};
use crate::model::timeline::{Cycle, Timeline};
use crate::model::words::count as counted;

/// The picture's own units; it is stretched to the window.
const WIDE: f64 = 1000.0;
const LANE: u32 = 28;
const BAR: u32 = 12;
/// What is shorter could not be seen.
const LEAST: f64 = 5.0;

pub(super) struct Picture {
    pub lanes: Vec<&'static str>,
    pub height: u32,
    pub lines: Vec<u32>,
    pub bars: Vec<Bar>,
    pub ticks: [Time; 3],
    /// The same in words.
    pub words: String,
}

pub(super) struct Bar {
    pub x: String,
    pub y: u32,
    pub width: String,
    pub height: u32,
    pub tone: &'static str,
    pub title: String,
}

/// `None`: nothing has happened that could be drawn.
pub(super) fn picture(timeline: &Timeline, time: impl Fn(Timestamp) -> Time) -> Option<Picture> {
    let (began, until) = (timeline.began?, timeline.until?);
    let whole = until.duration_since(began).as_secs_f64();
    if whole <= 0.0 {
        return None;
    }
    let mut lanes = vec!["Assign", "Empty", "Unassign", "Cycles", "Token"];
    if !timeline.holds.is_empty() {
        lanes.push("Held");
    }
    let place = |at: Timestamp| (at.duration_since(began).as_secs_f64() / whole).clamp(0.0, 1.0) * WIDE;
    let bar = |lane: usize, from: Timestamp, to: Timestamp, tone: &'static str, title: String| {
        let width = (place(to) - place(from)).max(LEAST);
        let x = place(from).min(WIDE - width);
        let y = u32::try_from(lane).unwrap_or(0) * LANE + (LANE - BAR) / 2;
        Bar { x: format!("{x:.0}"), y, width: format!("{width:.0}"), height: BAR, tone, title }
    };
    let mut bars = Vec::new();
    for burst in &timeline.writes {
        let Some(lane) = ["AssignUser", "RemoveMember", "UnassignGroup"].iter().position(|kind| *kind == burst.action) else {
            continue;
        };
        let title = format!("{} × {}, {}", burst.count, burst.action, time(burst.from).shown);
        bars.push(bar(lane, burst.from, burst.to, "busy", title));
    }
    for cycle in drawn(timeline) {
        let (tone, what) = if cycle.counts { ("done", "good cycle") } else { ("stop", "cycle that does not count") };
        bars.push(bar(3, cycle.began.max(began), cycle.ended, tone, format!("{what}, {}", time(cycle.ended).shown)));
    }
    for step in &timeline.steps {
        let Some(lane) = STEPS.iter().position(|kind| *kind == step.kind) else { continue };
        let mut mark = bar(lane, step.at, step.at, "done", format!("done, {}", time(step.at).shown));
        (mark.y, mark.height) = (u32::try_from(lane).unwrap_or(0) * LANE + 2, LANE - 4);
        bars.push(mark);
    }
    for hold in &timeline.holds {
        let to = hold.to.unwrap_or(until);
        bars.push(bar(
            5,
            hold.from,
            to,
            "stop",
            match hold.to {
                Some(to) => format!("{}, {} to {}", hold.brake, time(hold.from).shown, clock(to, Some(hold.from)).shown),
                None => format!("{}, since {}", hold.brake, time(hold.from).shown),
            },
        ));
    }
    let middle = began + until.duration_since(began) / 2;
    Some(Picture {
        height: u32::try_from(lanes.len()).unwrap_or(0) * LANE,
        lines: (0..=lanes.len()).map(|lane| u32::try_from(lane).unwrap_or(0) * LANE).collect(),
        lanes,
        bars,
        ticks: [time(began), time(middle), time(until)],
        words: words(timeline),
    })
}

/// What ended before it began has no place in it.
fn drawn(timeline: &Timeline) -> impl Iterator<Item = &Cycle> {
    timeline.cycles.iter().filter(|cycle| timeline.began.is_none_or(|began| cycle.ended > began))
}

fn number(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn words(timeline: &Timeline) -> String {
    let made = |kind: &str| number(timeline.writes.iter().filter(|burst| burst.action == kind).map(|burst| burst.count).sum());
    let drawn: Vec<&Cycle> = drawn(timeline).collect();
    let good = drawn.iter().filter(|cycle| cycle.counts).count();
    let mut words = vec![
        format!("{} made", counted(made("AssignUser"), "assignment")),
        format!("{} removed", counted(made("RemoveMember"), "membership")),
        format!("{} deleted", counted(made("UnassignGroup"), "group assignment")),
        format!("{} shown", counted(good, "good cycle")),
    ];
    if drawn.len() > good {
        words.push(format!("{} not counted", counted(drawn.len() - good, "cycle")));
    }
    if timeline.put_back > 0 {
        words.push(format!(
            "{} of a rollback, and what they put back is not counted",
            counted(number(timeline.put_back), "write")
        ));
    }
    if !timeline.holds.is_empty() {
        words.push(format!("held {}", times(timeline.holds.len())));
    }
    words.join(", ")
}

fn times(n: usize) -> String {
    match n {
        1 => "once".into(),
        n => format!("{n} times"),
    }
}
