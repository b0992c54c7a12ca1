//! Mistakes for a person: each with the line it is on, and a mark under the place. No value that may be a secret is repeated.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::mistake::{Errors, Mistake};
use super::values::may_be_secret;
use crate::model::words::clean;

const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

impl Errors {
    /// With colours in it, which the printer takes out where nobody sees them.
    pub fn excerpts(&self) -> String {
        let mut out = String::new();
        for mistake in &self.mistakes {
            let Mistake { place, path, what } = mistake;
            let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
            out.push_str(&format!("{}:{}:{}: {path}{BAD}{what}{BAD:#}\n", self.file, place.line, place.column));
            let line = usize::try_from(place.line).ok().and_then(|n| self.text.lines().nth(n.checked_sub(1)?));
            if let Some(line) = line.filter(|line| !line.trim().is_empty()) {
                out.push_str(&marked(line, place.line, usize::try_from(place.column).unwrap_or(1)));
            }
        }
        if self.mistakes.len() > 1 {
            out.push_str(&format!("{} mistakes\n", self.mistakes.len()));
        }
        out
    }
}

/// The line, and a mark from this column (in characters, from 1) to the end of what stands there.
fn marked(line: &str, number: u64, column: usize) -> String {
    let line = clean(line);
    let at = line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let rest = &line[at..];
    let end = rest.find(" #").unwrap_or(rest.len());
    let thing = rest[..end].split(": ").next().unwrap_or_default().trim_end().trim_end_matches(':');
    let (shown, thing) = match hidden(&line) {
        // What stands behind such a name is not shown, so that a mark on it is one on a word.
        Some(shown) => (shown, if at < line.find(':').unwrap_or(0) { thing } else { "…" }),
        None => (line.clone(), thing),
    };
    let number = number.to_string();
    let margin = " ".repeat(number.len());
    let before = " ".repeat(line[..at].width());
    let mark = "^".repeat(thing.width().max(1));
    format!(
        " {FAINT}{margin} |{FAINT:#}\n {FAINT}{number} |{FAINT:#} {shown}\n {FAINT}{margin} |{FAINT:#} {before}{BAD}{mark}{BAD:#}\n"
    )
}

/// A field of this name, in lower case, would hold a secret.
pub(super) fn names_secret(name: &str) -> bool {
    ["secret", "token", "password", "passphrase", "bearer", "authorization", "privatekey", "apikey"]
        .iter()
        .any(|word| name.contains(word))
}

/// The line without its value, where its name speaks of a secret.
fn hidden(line: &str) -> Option<String> {
    let (name, value) = line.split_once(':')?;
    let lower = name.trim().trim_start_matches("- ").to_lowercase();
    let secret = names_secret(&lower);
    let is_path = (lower.ends_with("file") || lower.ends_with("files")) && !may_be_secret(value.trim().trim_matches(['"', '\'']));
    (secret && !is_path && !value.trim().is_empty()).then(|| format!("{name}: …"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_mark_stands_under_the_thing_however_wide_the_letters_before_it_are() {
        let shown = plain(&marked("  \"漢字\": { mode: Look }  # why", 7, 17));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], " 7 |   \"漢字\": { mode: Look }  # why");
        let under = lines[2].find('^').unwrap();
        // Two letters are two columns wide each.
        assert_eq!(lines[1].find("Look").map(|at| lines[1][..at].width()), Some(under));
    }

    #[test]
    fn a_value_that_may_be_a_secret_is_not_shown() {
        for line in ["    clientSecret: hunter2", "  - token: hunter2", "bearerToken: \"hunter2\"", "privateKey: hunter2"] {
            let shown = plain(&marked(line, 3, line.find(':').unwrap() + 3));
            assert!(!shown.contains("hunter2") && shown.contains('…'), "{shown}");
        }
        assert!(marked("  tokenFile: /run/token", 1, 14).contains("/run/token"));
        for secret in
            ["aB3~hunter2hunter2hunter2", "practice~154ad30255f15f16ae21ae811e9c14dc", "154ad302-55f1-5f16-ae21-ae811e9c14dc"]
        {
            let pasted = plain(&marked(&format!("  tokenFile: \"{secret}\""), 1, 14));
            assert!(!pasted.contains(secret), "{pasted}");
        }
        for name in ["scim-token-2026-11-29", "deadbeef-secret.pem", "prod-entra-client-secret-2"] {
            let shown = plain(&marked(&format!("  tokenFile: {name}"), 1, 14));
            assert!(shown.contains(name), "{shown}");
        }
    }

    #[test]
    fn a_place_behind_the_end_of_its_line_is_no_trouble() {
        for (line, column) in [("spec:", 90), ("x", 0), ("\t\tx: 1", 3)] {
            marked(line, 1, column);
        }
    }
}
