//! Tokens that never were: as like the real one as can be, so that a service refuses them for what they are and not for their
//! form. They go to the service that the real one is for, and nowhere else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::missing::alike;
use crate::model::snapshot::Control;

/// So many characters have to be made anew, or nobody could say that the token is nobody's.
const ENOUGH: usize = 12;
/// What stands between the words of a token.
const BETWEEN: [char; 5] = ['_', '-', '~', '.', ':'];

/// Of the same length and kinds of characters as the real one, and never the same.
pub fn made_up(token: &SecretString, control: Control) -> SecretString {
    let real = token.expose_secret();
    SecretString::from(match control {
        Control::Garbled => alike(real),
        Control::Alike => {
            let anew = anew(real);
            let (front, rest) = real.split_at(anew.start);
            let (middle, end) = rest.split_at(anew.len());
            format!("{front}{}{end}", alike(middle))
        }
    })
}

/// Whether there is another form than one that is made up from end to end.
pub fn has_form(token: &SecretString) -> bool {
    let real = token.expose_secret();
    anew(real) != (0..real.len())
}

/// What of it is made anew. The very last character of base64 may have bits that must be nothing, so it stays as it is.
fn anew(real: &str) -> std::ops::Range<usize> {
    let whole = 0..real.len();
    let begins = if is_signed(real) { real.rfind('.').map_or(0, |dot| dot + 1) } else { words(real) };
    let body = real[begins..].trim_end_matches('=');
    let last = body.char_indices().next_back().map_or(0, |(at, _)| at);
    let changes = body[..last].chars().filter(char::is_ascii_alphanumeric).count();
    if changes >= ENOUGH { begins..begins + last } else { whole }
}

/// Parts with dots between them, the first of them a head in JSON (RFC 7515, 7516): only the last part proves anything.
fn is_signed(real: &str) -> bool {
    let Some((head, _)) = real.split_once('.') else { return false };
    #[expect(clippy::disallowed_methods, reason = "what is no head makes it another kind of token")]
    let head = URL_SAFE_NO_PAD.decode(head).ok();
    head.is_some_and(|head| serde_json::from_slice::<Map<String, Value>>(&head).is_ok())
}

/// The length of the words in front, as in `scim_live_…`: they name the kind of token.
fn words(real: &str) -> usize {
    let mut length = 0;
    for part in real.split_inclusive(BETWEEN) {
        let Some(word) = part.strip_suffix(BETWEEN) else { break };
        let is_word = (1..=8).contains(&word.len()) && word.chars().all(|c| c.is_ascii_alphabetic());
        if !is_word {
            break;
        }
        length += part.len();
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fake(real: &str, control: Control) -> String {
        made_up(&SecretString::from(real), control).expose_secret().to_owned()
    }

    #[test]
    fn a_made_up_token_looks_like_the_real_one_and_is_another() {
        let jwt = format!("{}.eyJzdWIiOiJhIn0.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), "q8Zr-_".repeat(8));
        let jwe = jwt.replace(".eyJ", ".a.b.eyJ");
        for real in [
            "7",
            "é",
            "abc.def.",
            "......",
            "deadbeef-0123",
            "sk_Live.AbC019+/=",
            "------",
            "ABCDEF0123456789",
            "scim_live_4f9A27c1e08b6d35aa",
            "b0b6a9d2-5a44-4f0c-9d0e-0123456789ab",
            "Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZmdoaQ==",
            "deadbeef_deadbeef_deadbeef_deadbeef",
            &jwt,
            &jwe,
            &jwt[..jwt.len() - 47],
            "a.b.c",
        ] {
            for control in [Control::Garbled, Control::Alike] {
                let fake = fake(real, control);
                assert_ne!(fake, real, "{control:?}");
                assert_eq!(fake.chars().count(), real.chars().count());
                if real.starts_with("dead") || real.starts_with("ABC") {
                    assert!(fake.chars().all(|c| !c.is_alphanumeric() || c.is_ascii_hexdigit()), "{fake}");
                }
            }
        }
    }

    #[test]
    fn what_gives_a_token_its_form_is_kept() {
        let jwt = format!("{}.eyJzdWIiOiJhIn0.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), "q8Zr-_".repeat(8));
        for (real, kept) in [
            (jwt.as_str(), &jwt[..jwt.len() - 48]),
            ("scim_live_4f9A27c1e08b6d35aa", "scim_live_"),
            ("scim~0f3b7c66c5a94c6c9c0b7a9f2d1e4a58", "scim~"),
            ("Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZmdoaQ==", ""),
        ] {
            let fake = fake(real, Control::Alike);
            assert!(fake.starts_with(kept), "{fake}");
            assert_ne!(fake[kept.len()..], real[kept.len()..]);
            assert!(has_form(&SecretString::from(real)));
        }
        let padded = fake("Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZmdoaQ==", Control::Alike);
        assert!(base64::engine::general_purpose::STANDARD.decode(&padded).is_ok(), "{padded}");
        for formless in ["7", "scim_live_0", "a.b.c", "", &jwt[..jwt.len() - 40]] {
            assert!(!has_form(&SecretString::from(formless)), "{formless}");
        }
    }
}
