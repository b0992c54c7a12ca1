//! What a file says of others, read from its text: the modules it declares, what it imports, the paths it names.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name, a keyword or a number.
    Word(String),
    Text(String),
    /// `::`
    Into,
    Mark(char),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
}

/// A module's body, be it a file or `mod name { … }`.
#[derive(Debug, Default)]
pub struct Body {
    /// `mod name;` and what `#[path]` says of it.
    pub files: BTreeMap<String, Option<String>>,
    pub inline: BTreeMap<String, Body>,
    /// Name here -> what it stands for.
    pub imported: BTreeMap<String, Vec<String>>,
    /// `use path::*`
    pub globs: Vec<Named>,
    pub defined: BTreeSet<String>,
    /// Paths, imported or in code. One word may be a name that a glob brings.
    pub paths: BTreeSet<Named>,
}

pub fn read(text: &str) -> Body {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, at: 0 };
    reader.body()
}

/// The words and marks of a text, without comments; what is quoted is one token.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    let word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at..];
        let (token, length) = match rest {
            ['/', '/', ..] => (None, rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())),
            ['/', '*', ..] => (None, comment(rest)),
            ['"', ..] => quoted(rest, 0),
            ['\'', '\\', ..] => (None, 3 + rest[3..].iter().position(|c| *c == '\'').unwrap_or(0) + 1),
            ['\'', _, '\'', ..] => (None, 3),
            // A lifetime, or a label.
            ['\'', ..] => (None, 1 + rest[1..].iter().take_while(|c| word(**c)).count()),
            [':', ':', ..] => (Some(Token::Into), 2),
            _ if word(c) => {
                let length = rest.iter().take_while(|c| word(**c)).count();
                let name: String = rest[..length].iter().collect();
                match (name.as_str(), rest.get(length)) {
                    ("b" | "c", Some('"')) => quoted(rest, length),
                    ("r" | "br" | "cr", Some('"' | '#')) if raw(&rest[length..]).is_some() => {
                        let (token, of_text) = raw(&rest[length..]).unwrap();
                        (token, length + of_text)
                    }
                    _ => (Some(Token::Word(name)), length),
                }
            }
            _ if c.is_whitespace() => (None, 1),
            _ => (Some(Token::Mark(c)), 1),
        };
        found.extend(token.map(|token| (token, line)));
        line += rest[..length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    found
}

fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            [] => return at,
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
}

fn quoted(rest: &[char], quote: usize) -> (Option<Token>, usize) {
    let mut at = quote + 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (Some(Token::Text(rest[quote + 1..at.min(rest.len())].iter().collect())), (at + 1).min(rest.len()))
}

/// From the first `#` or quote of a raw text on; `r#name` is none.
fn raw(rest: &[char]) -> Option<(Option<Token>, usize)> {
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    if rest.get(hashes) != Some(&'"') {
        return None;
    }
    let start = hashes + 1;
    let ends = |at: usize| rest[at] == '"' && rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    let end = (start..rest.len()).find(|at| ends(*at))?;
    Some((Some(Token::Text(rest[start..end].iter().collect())), end + 1 + hashes))
}

struct Reader<'t> {
    tokens: &'t [(Token, usize)],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |(_, line)| *line)
    }

    fn is(&self, ahead: usize, mark: char) -> bool {
        self.peek(ahead) == Some(&Token::Mark(mark))
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.peek(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// Up to the bracket that closes this body.
    fn body(&mut self) -> Body {
        let (mut body, mut depth, mut elsewhere) = (Body::default(), 0, None);
        while let Some(token) = self.peek(0).cloned() {
            match token {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') if depth == 0 => return body,
                Token::Mark('}') => depth -= 1,
                Token::Word(word) => {
                    let field = self.at > 0 && matches!(self.tokens[self.at - 1].0, Token::Mark('.') | Token::Into);
                    match word.as_str() {
                        _ if field => {}
                        "path" if self.is(1, '=') && self.at > 1 && self.tokens[self.at - 2].0 == Token::Mark('#') => {
                            if let Some(Token::Text(file)) = self.peek(2) {
                                elsewhere = Some(file.clone());
                            }
                        }
                        "mod" if self.word(1).is_some() => {
                            self.module(&mut body, elsewhere.take());
                            continue;
                        }
                        // `use<'a>` says what an opaque type captures.
                        "use" if !self.is(1, '<') => {
                            self.at += 1;
                            self.imports(&mut body, Vec::new());
                            continue;
                        }
                        "fn" | "struct" | "enum" | "trait" | "const" | "static" | "type" | "union" if depth == 0 => {
                            body.defined.extend(self.word(1).map(str::to_owned));
                        }
                        _ => {
                            self.path(&mut body);
                            continue;
                        }
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        body
    }

    /// `mod name;` or `mod name { … }`
    fn module(&mut self, body: &mut Body, elsewhere: Option<String>) {
        let name = self.word(1).unwrap().to_owned();
        self.at += 2;
        if self.is(0, '{') {
            self.at += 1;
            let inside = self.body();
            body.inline.insert(name, inside);
        } else {
            body.files.insert(name, elsewhere);
        }
        self.at += 1;
    }

    /// One branch of what stands behind `use`: `a::b`, `a::{b, c::*}`, `a as b`, `self`.
    fn imports(&mut self, body: &mut Body, mut path: Vec<String>) {
        let line = self.line();
        loop {
            match self.peek(0).cloned() {
                Some(Token::Word(word)) if word == "as" => {
                    let alias = self.word(1).unwrap().to_owned();
                    self.at += 2;
                    return import(body, alias, path, line);
                }
                Some(Token::Word(word)) => path.push(word),
                Some(Token::Into) => {}
                Some(Token::Mark('*')) => {
                    self.at += 1;
                    return body.globs.push(Named { path, line });
                }
                Some(Token::Mark('{')) => {
                    self.at += 1;
                    while !self.is(0, '}') {
                        self.imports(body, path.clone());
                        self.at += usize::from(self.is(0, ','));
                    }
                    self.at += 1;
                    return;
                }
                _ => return import(body, path.last().cloned().unwrap_or_default(), path, line),
            }
            self.at += 1;
        }
    }

    /// `a::b::c`, up to its generic arguments.
    fn path(&mut self, body: &mut Body) {
        let line = self.line();
        let mut path = Vec::new();
        while let Some(word) = self.word(0) {
            path.push(word.to_owned());
            self.at += 1;
            if self.peek(0) != Some(&Token::Into) || self.word(1).is_none() {
                break;
            }
            self.at += 1;
        }
        body.paths.insert(Named { path, line });
    }
}

fn import(body: &mut Body, mut name: String, mut path: Vec<String>, line: usize) {
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
        name = if name == "self" { path.last().unwrap().clone() } else { name };
    }
    body.paths.insert(Named { path: path.clone(), line });
    if name != "_" {
        body.imported.insert(name, path);
    }
}

#[test]
fn what_a_text_says_is_read_and_what_it_quotes_is_not() {
    let body = read(
        r##"
        //! use crate::comment::A;
        /* /* use crate::nested::A; */ */
        #[path = "../else/where.rs"]
        mod away;
        pub(crate) mod near;
        use crate::a::{self, b::{C as D,
            e::*}, f};
        pub(in crate::judge) use super::g::H;
        const TEXT: &str = "use crate::text::A; \" mod x;";
        const RAW: &str = r#"use crate::raw::A; " mod y;"#;
        fn f<'a>(c: char) -> &'a (impl Copy + use<'a>) { if c == '"' || c == '\'' { crate::i::j::<K>(c) } else { self.l.m::n } }
        mod tests { use super::*; fn o() { super::p::q() } }
        "##,
    );
    let paths = |of: Vec<&Named>| of.iter().map(|named| named.path.join("::")).collect::<Vec<_>>();
    assert_eq!(body.files, BTreeMap::from([("away".into(), Some("../else/where.rs".into())), ("near".into(), None)]));
    assert_eq!(
        body.imported.iter().map(|(name, of)| format!("{name} = {}", of.join("::"))).collect::<Vec<_>>(),
        ["D = crate::a::b::C", "H = super::g::H", "a = crate::a", "f = crate::a::f"]
    );
    assert_eq!(paths(body.globs.iter().collect()), ["crate::a::b::e"]);
    assert!(body.defined.contains("RAW") && !body.defined.contains("o"));
    assert!(body.paths.iter().any(|named| named.path.join("::") == "crate::i::j" && named.line == 12));
    let longer = body.paths.iter().filter(|named| named.path.len() > 1).collect();
    let expected = ["crate::a", "crate::a::b::C", "crate::a::f", "crate::i::j", "crate::judge", "super::g::H"];
    assert_eq!(paths(longer), expected, "and nothing that stands in a comment or a text");
    let tests = &body.inline["tests"];
    assert_eq!(paths(tests.globs.iter().collect()), ["super"]);
    assert!(tests.paths.iter().any(|named| named.path.join("::") == "super::p::q"));
}
