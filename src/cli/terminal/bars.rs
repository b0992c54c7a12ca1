//! Progress on a terminal: a bar for each thing that is counted, and what is waited for. Nothing at all where stderr is no
//! terminal or the log is JSON.

use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::model::condition::{ConditionKind, Truth};
use crate::model::status::{Phase, Status};
use crate::model::words::clean;

/// The bars on stderr, for whoever writes lines there. There is one stderr.
static DRAWN: OnceLock<MultiProgress> = OnceLock::new();

/// Does something with the terminal while no bar is on it.
pub fn aside<T>(what: impl FnOnce() -> T) -> T {
    match DRAWN.get() {
        Some(bars) => bars.suspend(what),
        None => what(),
    }
}

/// Stderr for log lines, which do not tear the bars.
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        aside(|| io::stderr().write_all(line)).map(|()| line.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Bars for one retirement.
#[derive(Clone, Default)]
pub struct Bars(Option<Drawn>);

#[derive(Clone)]
struct Drawn {
    users: ProgressBar,
    members: ProgressBar,
    groups: ProgressBar,
    now: ProgressBar,
}

impl Bars {
    pub fn fitting(wanted: bool) -> Bars {
        if !wanted || !io::stderr().is_terminal() {
            return Bars(None);
        }
        let all = DRAWN.get_or_init(MultiProgress::new);
        let style = ProgressStyle::with_template("{prefix:>18} {bar:30} {pos}/{len}").expect("a template of ours");
        let bar = |prefix: &'static str| {
            let bar = all.add(ProgressBar::new(0).with_style(style.clone()).with_prefix(prefix));
            bar.tick();
            bar
        };
        let (users, members, groups) = (bar("users assigned"), bar("members removed"), bar("groups unassigned"));
        let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("a template of ours");
        let now = all.add(ProgressBar::new_spinner().with_style(style).with_message("the first read"));
        now.enable_steady_tick(Duration::from_millis(200));
        Bars(Some(Drawn { users, members, groups, now }))
    }

    /// As a turn has left it.
    pub fn show(&self, status: &Status) {
        let Some(bars) = &self.0 else { return };
        let progress = &status.progress;
        // What is not known leaves the bar as it was.
        let set = |bar: &ProgressBar, done: Option<u64>, of: Option<u64>| {
            if let (Some(done), Some(of)) = (done, of) {
                bar.set_length(of);
                bar.set_position(done.min(of));
            }
        };
        set(&bars.users, progress.users_assigned, progress.users_protected);
        set(&bars.groups, progress.groups_off(), progress.groups);
        if let Some(left) = progress.memberships {
            let most = bars.members.length().unwrap_or(0).max(left);
            set(&bars.members, Some(most - left), Some(most));
        }
        let waiting = status.conditions.iter().find(|condition| {
            let counts = !matches!(condition.kind, ConditionKind::Held | ConditionKind::BaselineRecorded);
            counts && condition.status != Truth::True
        });
        let why = status.held.first().map(|held| &held.message).or(waiting.map(|condition| &condition.message));
        let finish = status.remaining.earliest_finish;
        let finish = finish.map(|at| format!(" (done {} at the earliest)", at.strftime("%F %H:%M UTC"))).unwrap_or_default();
        bars.now.set_message(match (status.phase, why) {
            (Phase::Retired, _) | (_, None) => format!("{}{finish}", status.phase),
            (phase, Some(why)) => format!("{phase}{finish}: {}", clean(why)),
        });
    }

    /// A write was answered, in the middle of a turn.
    pub fn wrote(&self, operation: &str) {
        let Some(bars) = &self.0 else { return };
        match operation {
            "assign" => bars.users.inc(1),
            "remove_member" => bars.members.inc(1),
            _ => {}
        }
    }

    pub fn end(&self) {
        let Some(bars) = &self.0 else { return };
        for bar in [&bars.users, &bars.members, &bars.groups, &bars.now] {
            bar.finish_and_clear();
        }
    }
}
