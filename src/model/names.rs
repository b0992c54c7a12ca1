//! Whether users are named. Not unless the operator says so: many others read statuses and logs.

/// Users by name, or by their ids alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    #[default]
    Hidden,
    Shown,
}

const WITHHELD: &str = "(name withheld)";

impl Names {
    pub fn shown(shown: bool) -> Self {
        if shown { Names::Shown } else { Names::Hidden }
    }

    /// Words of others, an error or a row of the log, may hold a mail address or a principal name. Our own never do.
    pub fn of(self, text: &str) -> String {
        if self == Names::Shown || !text.contains(['@', '%']) {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        for piece in text.split_inclusive(is_edge) {
            let word = piece.trim_end_matches(is_edge);
            if is_name(word) {
                out.push_str(WITHHELD);
                out.push_str(&piece[word.len()..]);
            } else {
                out.push_str(piece);
            }
        }
        out
    }
}

fn is_edge(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"()[]{}<>,;=".contains(c)
}

fn is_name(word: &str) -> bool {
    word.contains('@') || word.contains("%40")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_and_everything_else_stays() {
        let id = "11111111-1111-1111-1111-111111111111";
        for (text, expected) in [
            ("lost: ada@example.com, and others", "lost: (name withheld), and others"),
            ("no user 'o'neil@example.com'; see <ada@x>", "no user (name withheld); see <(name withheld)>"),
            ("userName=ada%40example.com&x", "userName=(name withheld)"),
            ("ada_fabrikam.com#EXT#@contoso.example: 50% done", "(name withheld) 50% done"),
            ("{\"upn\":\"ada@example.com\"}\nnext", "{\"upn\":\"(name withheld)\"}\nnext"),
            (&format!("user {id} in \"Design\""), &format!("user {id} in \"Design\"")),
        ] {
            assert_eq!(Names::Hidden.of(text), expected);
            assert_eq!(Names::Shown.of(text), text);
        }
    }
}
