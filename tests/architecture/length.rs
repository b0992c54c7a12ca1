//! No function is longer than what one can hold in mind, and sees at once.

use std::path::Path;

const MOST: usize = 70;

const RULE: &str = "A function that does not stand on one screen is not read as one thing, and what it does between its first and its last line is not\n\
                    checked by anybody's eye. Find the second idea in it and give that a name; what is a list of cases may be a table.\n\
                    (Tests do not count: theirs are such lists.)";

/// The name, the first line and the length of each function but tests, as rustfmt writes it: its closing brace stands below its
/// first word.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, after)) = code.split_once("fn ") else { continue };
        if !before.split_whitespace().all(is_qualifier) || is_test(&lines[..at]) {
            continue;
        }
        // One without a body, or with all of it on one line, ends where it begins.
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let length = if code.ends_with(['}', ';']) { 1 } else { lines[at..].iter().position(|line| *line == end).unwrap() + 1 };
        found.push((after.split(['(', '<']).next().unwrap().to_owned(), at + 1, length));
    }
    found
}

fn is_qualifier(word: &str) -> bool {
    word.starts_with("pub") || word == "const" || word == "async" || word == "unsafe"
}

/// By the attributes right above it.
fn is_test(above: &[&str]) -> bool {
    let attributes = above.iter().rev().map(|line| line.trim()).take_while(|line| line.starts_with("#["));
    attributes.into_iter().any(|attribute| attribute == "#[test]" || attribute.starts_with("#[tokio::test"))
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    crate::sources(&root.join("src"), &mut files);
    let (mut long, mut read) = (Vec::new(), 0);
    for file in files {
        let functions = functions(&std::fs::read_to_string(&file).unwrap());
        read += functions.len();
        let too_long = functions.into_iter().filter(|(.., length)| *length > MOST);
        long.extend(too_long.map(|(name, line, length)| format!("{}:{line}: {name} has {length} lines", file.display())));
    }
    assert!(long.is_empty(), "{}\n{RULE}", long.join("\n"));
    assert!(read > 1_000, "only {read} functions were found: this test no longer sees them");
}

#[test]
fn a_function_is_counted_from_its_first_line_to_its_closing_brace() {
    let body = "        work();\n".repeat(80);
    let text = format!(
        "impl T {{\n    fn short(&self) -> u8 {{ 1 }}\n    pub(super) async fn long<R>(\n        &self,\n    ) {{\n{body}    }}\n    fn declared(&self);\n}}\n\
         // the fn word in a comment\n#[test]\nfn of_cases() {{\n{body}}}\nfn next() {{\n    let f = || {{\n        1\n    }};\n}}\n"
    );
    let found = functions(&text);
    let found: Vec<_> = found.iter().map(|(name, line, length)| (name.as_str(), *line, *length)).collect();
    assert_eq!(found, [("short", 2, 1), ("long", 3, 84), ("declared", 87, 1), ("next", 173, 5)]);
}
