//! What is wrong with a config, all of it at once.

use std::fmt;

use super::tree::Place;

/// One mistake, its place and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub place: Place,
    /// `spec.groups.list[0].id`; empty for the whole file.
    pub path: String,
    pub what: String,
}

/// Everything that is wrong with a config.
#[derive(Debug)]
pub struct Errors {
    pub(super) file: String,
    pub mistakes: Vec<Mistake>,
    /// What was read, for excerpts.
    pub(super) text: String,
}

impl Errors {
    pub(super) fn whole(file: &str, what: String) -> Self {
        let mistakes = vec![Mistake { place: Place::START, path: String::new(), what }];
        Errors { file: file.to_owned(), mistakes, text: String::new() }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Mistake { place, path, what }) in self.mistakes.iter().enumerate() {
            let (line, column) = (place.line, place.column);
            let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
            write!(f, "{}{}:{line}:{column}: {path}{what}", if n > 0 { "\n" } else { "" }, self.file)?;
        }
        if self.mistakes.len() > 1 {
            write!(f, "\n{} mistakes", self.mistakes.len())?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
