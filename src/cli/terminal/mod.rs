//! What people read in a terminal: paragraphs and tables that fold to its width, colours only where they can be seen.

pub mod bars;
pub mod view;

use std::io::{IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr as _;

use crate::model::words::clean;

/// Where there is no terminal that has a width.
const PLAIN_WIDTH: usize = 100;
/// Narrower, nothing can be read anyway.
const NARROWEST: usize = 40;

/// What a word is, for those who see colours; the word itself says it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Title,
    Good,
    Open,
    Bad,
    Faint,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Title => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Open => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Faint => Style::new().dimmed(),
        }
    }
}

fn toned(tone: Tone, text: &str) -> String {
    let style = tone.style();
    format!("{style}{text}{style:#}")
}

/// Text under way to stdout.
pub struct Sheet {
    out: String,
    width: usize,
}

impl Default for Sheet {
    fn default() -> Self {
        Self::new()
    }
}

impl Sheet {
    /// As wide as stdout.
    pub fn new() -> Self {
        let wide = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
        Self::of(wide.map_or(PLAIN_WIDTH, |(columns, _)| usize::from(columns.0)))
    }

    pub fn of(width: usize) -> Self {
        Sheet { out: String::new(), width: width.max(NARROWEST) }
    }

    pub fn blank(&mut self) {
        self.out.push('\n');
    }

    /// A blank line, and a title.
    pub fn title(&mut self, tone: Tone, text: &str) {
        self.blank();
        self.out.push_str(&toned(tone, &clean(text)));
        self.blank();
    }

    /// A paragraph.
    pub fn say(&mut self, text: &str) {
        self.item("", Tone::Plain, "", text);
    }

    /// A paragraph behind an indent and a mark; its later lines begin where its text does.
    pub fn item(&mut self, indent: &str, tone: Tone, mark: &str, text: &str) {
        let mark = clean(mark);
        let hanging = " ".repeat(indent.width() + mark.width());
        for (n, line) in folded(text, self.width.saturating_sub(hanging.len())).into_iter().enumerate() {
            if n > 0 {
                self.out.push_str(&hanging);
            } else {
                self.out.push_str(indent);
                self.out.push_str(&if mark.trim().is_empty() { mark.clone() } else { toned(tone, &mark) });
            }
            self.out.push_str(&line);
            self.blank();
        }
    }

    /// A title and what is under it; nothing where there is nothing.
    pub fn titled(&mut self, tone: Tone, title: &str, items: &[String]) {
        if !items.is_empty() {
            self.title(tone, title);
            self.list("  ", items, usize::MAX);
        }
    }

    /// One line each, as many as fit a reader.
    pub fn list(&mut self, indent: &str, lines: &[String], most: usize) {
        for line in lines.iter().take(most) {
            self.item(indent, Tone::Plain, "- ", line);
        }
        if lines.len() > most {
            self.item(indent, Tone::Faint, "", &format!("and {} more (--output json lists them all)", lines.len() - most));
        }
    }

    /// A table that folds its cells.
    pub fn table(&mut self, header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(self.width).unwrap_or(u16::MAX)).set_header(header);
        for row in rows {
            table.add_row(row.iter().map(|cell| clean(cell)));
        }
        self.out.push_str(&table.trim_fmt());
        self.blank();
    }

    /// No more lines than these, the last of which says how to see the rest.
    pub fn within(mut self, most: usize, rest: &str) -> Self {
        let kept = self.out.split_inclusive('\n').take(most - 2).map(str::len).sum();
        self.out.truncate(kept);
        let last: String = rest.chars().take(self.width).collect();
        self.blank();
        self.out.push_str(&toned(Tone::Faint, &last));
        self.blank();
        self
    }

    /// Without colours.
    pub fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.out).to_string()
    }

    /// With the colours in it; [`print`] takes them out where nobody sees them.
    pub fn into_text(self) -> String {
        self.out
    }

    pub fn print(self) -> anyhow::Result<()> {
        print(&self.out)
    }
}

/// A document for machines.
pub fn print_json(document: &serde_json::Value) -> anyhow::Result<()> {
    print(&format!("{document:#}\n"))
}

/// To stdout, without colours where it is no terminal or NO_COLOR is set; a reader that went away is no trouble of ours.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to stdout"),
    }
}

/// Broken between words; a word that is too long alone is cut into pieces.
fn folded(text: &str, room: usize) -> Vec<String> {
    let room = room.max(10);
    let (mut lines, mut current) = (Vec::new(), String::new());
    for word in clean(text).split_whitespace() {
        let mut word = word;
        if !current.is_empty() && current.width() + 1 + word.width() > room {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        while word.width() > room {
            let (mut end, mut wide) = (0, 0);
            for c in word.chars() {
                wide += unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
                if wide > room && end > 0 {
                    break;
                }
                end += c.len_utf8();
            }
            lines.push(word[..end].to_owned());
            word = &word[end..];
        }
        current.push_str(word);
    }
    if !current.is_empty() || lines.is_empty() {
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_folds_without_losing_a_word_and_hangs_under_its_text() {
        let mut sheet = Sheet::of(40);
        let long = "x".repeat(90);
        sheet.item("  ", Tone::Bad, "held: ", &format!("one two three four five six seven eight nine {long} 漢字漢字 ten"));
        let text = anstream::adapter::strip_str(&sheet.into_text()).to_string();
        assert!(text.lines().all(|line| line.width() <= 40), "{text}");
        assert!(text.starts_with("  held: one two") && text.lines().skip(1).all(|line| line.starts_with("        ")), "{text}");
        let words: String = text.split_whitespace().skip(1).collect();
        assert_eq!(words, format!("onetwothreefourfivesixseveneightnine{long}漢字漢字ten"));
    }

    #[test]
    fn a_table_folds_to_its_width_and_nothing_in_it_steers_the_terminal() {
        for width in [60, 140] {
            let mut sheet = Sheet::of(width);
            sheet.table(&["group", "what becomes of it"], [vec!["De\u{1b}[31msign".into(), "word ".repeat(40)]]);
            let text = sheet.into_text();
            assert!(text.lines().all(|line| line.width() <= width), "{text}");
            assert_eq!((text.matches("word").count(), text.contains('\u{1b}')), (40, false), "{text}");
        }
    }
}
