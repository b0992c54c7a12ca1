//! What can go wrong between us and the file, as one sentence with its remedy.

use rusqlite::ErrorCode;

use crate::world::error::Error;

#[derive(Debug)]
pub(super) enum Trouble {
    Sql(rusqlite::Error),
    /// The file is whole, but what stands in it can't be.
    Content(String),
    /// It was asked for what the ledger does not do.
    Refused(String),
}

pub(super) const DAMAGED: &str =
    "it was left as it is: stop, keep a copy, and restore it from a backup; a new one would forget who is protected";

impl Trouble {
    /// Says which file it is, where SQLite only says that there is one.
    pub(super) fn at(self, culprit: Option<String>) -> Self {
        let names_none = match &self {
            Trouble::Sql(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure)
            ),
            Trouble::Content(_) | Trouble::Refused(_) => false,
        };
        match culprit {
            Some(file) if names_none => Trouble::Refused(file),
            Some(_) | None => self,
        }
    }

    pub(super) fn explain(self, doing: &str, place: &str) -> Error {
        let why = match self {
            Trouble::Refused(why) => why,
            Trouble::Content(what) => format!("damaged content: {what}; {DAMAGED}"),
            Trouble::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => "the disk is full; nothing is done anywhere until there is room".into(),
                Some(ErrorCode::ReadOnly) => "it can't be written; mount the data directory writable for this user".into(),
                Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                    format!("{error}; check the owner and the mode of the data directory and its files")
                }
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    "another process holds it; close the shell or the backup that does".into()
                }
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!("the file is damaged ({error}); {DAMAGED}"),
                Some(ErrorCode::SystemIoFailure) => format!("the disk fails ({error}); nothing is done anywhere until it works"),
                _ => error.to_string(),
            },
        };
        Error::Ledger(format!("{doing} ({place}): {why}"))
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Trouble::Sql(error)
    }
}

impl From<rusqlite_migration::Error> for Trouble {
    fn from(error: rusqlite_migration::Error) -> Self {
        match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => Trouble::Sql(err),
            other => Trouble::Content(other.to_string()),
        }
    }
}

macro_rules! content {
    ($($error:ty),+) => {$(
        impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Trouble::Content(error.to_string())
            }
        }
    )+};
}
content!(serde_json::Error, jiff::Error, uuid::Error, std::num::TryFromIntError);
