//! Gauges of what a look sees are left out until one has seen it: a 0 would be a figure that nobody has read.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// By the series as the text format has it.
pub(super) struct Unread(Mutex<BTreeSet<String>>);

impl Unread {
    pub(super) fn of(series: impl IntoIterator<Item = String>) -> Self {
        Unread(Mutex::new(series.into_iter().collect()))
    }

    pub(super) fn seen(&self, series: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(series);
    }

    pub(super) fn leave_out(&self, text: &str) -> String {
        let unread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_read = |line: &&str| line.rsplit_once(' ').is_none_or(|(series, _)| !unread.contains(series));
        text.split_inclusive('\n').filter(|line| is_read(&line.trim_end())).collect()
    }
}

pub(super) fn series(name: &str, label: Option<(&str, &str)>) -> String {
    match label {
        Some((label, value)) => format!("unscim_{name}{{{label}=\"{value}\"}}"),
        None => format!("unscim_{name}"),
    }
}
