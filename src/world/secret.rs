//! Secrets in files: read afresh each time, kept out of every text; this never writes one.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::error::{Error, Result};

/// No secret and no token is longer (bytes); a header with it has to fit a server's limit too.
const LONGEST: usize = 32 << 10;

/// A file that holds one secret and nothing else.
#[derive(Clone, Debug)]
pub struct SecretFile {
    path: PathBuf,
}

impl SecretFile {
    pub fn new(path: PathBuf) -> Self {
        SecretFile { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Something is wrong with what is in it.
    pub fn trouble(&self, cause: impl Into<String>) -> Error {
        Error::File { what: self.path.display().to_string(), cause: cause.into() }
    }

    /// All of it, where it may have several lines.
    pub fn text(&self) -> Result<SecretString> {
        let bytes = super::file::read(&self.path).map_err(|error| match error.raw_os_error() {
            Some(_) => self.trouble(format!("{error}; the file must exist and be readable by the user this runs as")),
            None => self.trouble(error.to_string()),
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| self.trouble("it is not text; it must hold the secret alone, and certificates and keys as PEM"))?;
        Ok(SecretString::from(text))
    }

    /// What the file holds now, without one newline at its end.
    pub fn read(&self) -> Result<SecretString> {
        let text = self.text()?;
        let text = text.expose_secret();
        let value = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if value.is_empty() {
            return Err(self.trouble("it is empty; write the secret into it"));
        }
        if value.len() > LONGEST {
            return Err(self
                .trouble(format!("it has more than {LONGEST} bytes in one line; is this the right file, or key of a Secret?")));
        }
        if value.contains(char::is_control) || value.trim() != value {
            return Err(
                self.trouble("it holds line breaks, control characters or outer blanks; write the secret alone, on one line")
            );
        }
        Ok(SecretString::from(value))
    }
}

/// What a JWT says of itself, whoever made it; nobody looks at its signature.
#[expect(clippy::disallowed_methods, reason = "what is no JWT is opaque, and has no other cause")]
pub fn claims(token: &SecretString) -> Option<Value> {
    let mut parts = token.expose_secret().split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return None };
    let claims = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Value>(&claims).ok().filter(Value::is_object)
}

/// A time among claims (RFC 7519: seconds, perhaps with a fraction).
#[expect(clippy::disallowed_methods, reason = "what is no time is not given")]
pub fn time_of(claims: &Value, name: &str) -> Option<Timestamp> {
    let second = claims.get(name)?;
    let second = second.as_i64().or_else(|| second.as_f64().map(|second| second.floor() as i64))?;
    Timestamp::from_second(second).ok()
}

/// When a token ends by itself, as far as it says so.
pub fn ends(token: &SecretString) -> Option<Timestamp> {
    time_of(&claims(token)?, "exp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_say_when_it_ends() {
        let of = |claims: &str| ends(&SecretString::from(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))));
        for (claims, expected) in [
            (r#"{"exp":1000000}"#, Some(1_000_000)),
            (r#"{"exp":1000000.9}"#, Some(1_000_000)),
            (r#"{"exp":"1000000"}"#, None),
            (r#"{"exp":1e300}"#, None),
            (r#"{"exp":null}"#, None),
            ("{}", None),
            ("[]", None),
        ] {
            assert_eq!(of(claims).map(|at| at.as_second()), expected, "{claims}");
        }
        assert_eq!(ends(&SecretString::from("opaque")), None);
    }

    fn read(content: &[u8]) -> Result<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        SecretFile::new(file.path().to_owned()).read().map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn one_newline_at_the_end_is_not_part_of_the_secret() {
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(read(content.as_bytes()).unwrap(), "s3cret");
        }
    }

    #[test]
    fn what_is_not_one_secret_is_refused_without_repeating_it() {
        for content in [&b""[..], b"\n", b"s3cret\n\n", b"s3c\nret", b"s3cret\0", b" s3cret", b"s3cret ", b"s3cret\xff"] {
            let error = read(content).unwrap_err().to_string();
            assert!(!error.contains("s3c"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = SecretFile::new("/nowhere/scim-token".into()).read().unwrap_err();
        assert!(error.to_string().contains("/nowhere/scim-token"), "{error}");
        assert_eq!(error.label(), "file");
    }
}
