//! A secret in a file: read when it is needed, never kept in the configuration, never shown.

use std::path::PathBuf;

use secrecy::SecretString;

use super::error::{Error, Result};

/// Where a secret lies.
#[derive(Clone, Debug)]
pub struct SecretFile {
    path: PathBuf,
}

impl SecretFile {
    pub fn new(path: PathBuf) -> Self {
        SecretFile { path }
    }

    /// Reads it afresh, without one trailing newline.
    pub fn read(&self) -> Result<SecretString> {
        let what = self.path.display().to_string();
        let text = std::fs::read_to_string(&self.path).map_err(|error| Error::File {
            what: what.clone(),
            cause: format!("{error}; put the secret there, readable for this process"),
        })?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(Error::File { what, cause: "the file is empty; put the secret there".into() });
        }
        Ok(SecretString::from(text.to_owned()))
    }
}
