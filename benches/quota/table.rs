//! Bars and markdown.

use std::cmp::Ordering;

use crate::builds::Each;

/// What a figure is held against; less is better, always.
#[derive(Clone, Copy)]
pub enum Bar {
    AtMost(f64),
    /// This share of what the earlier build takes.
    OfBefore(f64),
}

/// A figure of each build, and the bar of the present one.
pub struct Judged {
    what: String,
    bar: Bar,
    measured: Each<f64>,
    unit: &'static str,
}

impl Judged {
    pub fn new(what: impl Into<String>, bar: Bar, measured: Each<f64>, unit: &'static str) -> Self {
        Judged { what: what.into(), bar, measured, unit }
    }

    /// Nothing to compare with is no miss.
    pub fn is_missed(&self) -> bool {
        // A figure that is none is a miss.
        self.limit().is_some_and(|limit| self.measured.now.partial_cmp(&limit).is_none_or(Ordering::is_gt))
    }

    fn limit(&self) -> Option<f64> {
        match self.bar {
            Bar::AtMost(limit) => Some(limit),
            Bar::OfBefore(share) => self.measured.before.map(|before| before * share),
        }
    }

    fn row(&self) -> Vec<String> {
        let bar = match (self.bar, self.limit()) {
            (Bar::AtMost(limit), _) => format!("≤ {}", self.say(limit)),
            (Bar::OfBefore(share), Some(limit)) => format!("≤ {share} × before: {}", self.say(limit)),
            (Bar::OfBefore(share), None) => format!("≤ {share} × before"),
        };
        let verdict = match self.limit() {
            None => "nothing to compare with".into(),
            Some(limit) if self.is_missed() => format!("missed by {}", self.say(self.measured.now - limit)),
            Some(_) => "held".into(),
        };
        let before = self.measured.before.map_or_else(String::new, |before| self.say(before));
        vec![self.what.clone(), bar, before, self.say(self.measured.now), verdict]
    }

    fn say(&self, value: f64) -> String {
        if value.is_finite() { format!("{} {}", digits(value), self.unit).trim_end().to_owned() } else { "never".into() }
    }

    pub fn table(all: &[Judged]) -> String {
        table(&["what", "bar", "before", "now", ""], all.iter().map(Judged::row))
    }
}

pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    rows.into_iter().fold(format!("{}{rule}", line(&head)), |text, row| text + &line(&row))
}

/// A row for each build.
pub fn of_each<T>(all: &Each<T>, row: impl Fn(&str, &T) -> Vec<String>) -> Vec<Vec<String>> {
    all.before.iter().map(|before| row("before", before)).chain([row("now", &all.now)]).collect()
}

/// As many digits as say something.
pub fn digits(value: f64) -> String {
    match value.abs() {
        v if v < 10.0 && v.fract() != 0.0 => format!("{value:.3}"),
        v if v < 100.0 && v.fract() != 0.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// KiB as MiB.
pub fn kib(value: f64) -> f64 {
    value / 1024.0
}
