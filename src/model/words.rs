//! Counts and names, as messages have them.

use std::borrow::Cow;

/// Whom the hold for lost users names beside them.
pub const STRANGERS: &str = "of those who were never protected";

/// In lower case; copied only where it is not so already.
pub fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.to_lowercase()),
    }
}

/// "a, b, c and 4 more": names for a message, never the whole list of a large company.
pub fn some_of<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut items = items.into_iter();
    let mut text = items.by_ref().take(5).map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    let more = items.count();
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// "3 of 412 users (0.8%)": a part never looks smaller than it is, and a part of nothing is all of it.
pub fn part(n: usize, of: usize, noun: &str) -> String {
    let tenths = if of == 0 { 1000 } else { (n * 1000).div_ceil(of) };
    format!("{n} of {} ({}.{}%)", count(of, noun), tenths / 10, tenths % 10)
}

/// What others wrote must neither steer a terminal nor break a line.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// In lower case.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// "1 user", "2 users", "2 entries".
pub fn count(n: usize, noun: &str) -> String {
    match noun.strip_suffix("ry") {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ries"),
        None => format!("{n} {noun}s"),
    }
}

/// "1 user is", "2 users are".
pub fn some_users(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 user {one}") } else { format!("{n} users {many}") }
}
