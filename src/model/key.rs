//! What an action acts upon, for the journal and for counting repeats: stable over restarts. A group's row that was deleted
//! and made anew has another id, but is the same object of a quarrel; so the row id is left out.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::action::Action;
use crate::model::id::{AppRoleId, GroupId, JobId, UserId};

/// As text, which the ledger keeps: `member/<group>/<user>`, `pause/<job>` …
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Key {
    Baseline,
    Assign(UserId, AppRoleId),
    Member(GroupId, UserId),
    Unassign(GroupId, AppRoleId),
    Pause(JobId),
    Revocation,
    RestoreAssignment(GroupId, AppRoleId),
    RestoreMember(GroupId, UserId),
    RemoveDirect(UserId, AppRoleId),
}

impl Key {
    /// What a write of a rollback undoes: once it is confirmed, the other counts as never done.
    pub fn undone(&self) -> Option<Key> {
        match *self {
            Key::RestoreAssignment(group, role) => Some(Key::Unassign(group, role)),
            Key::RestoreMember(group, user) => Some(Key::Member(group, user)),
            Key::RemoveDirect(user, role) => Some(Key::Assign(user, role)),
            _ => None,
        }
    }

    /// The write that takes back what this one does.
    pub fn opposite(&self) -> Option<Key> {
        self.undone().or(match *self {
            Key::Unassign(group, role) => Some(Key::RestoreAssignment(group, role)),
            Key::Member(group, user) => Some(Key::RestoreMember(group, user)),
            Key::Assign(user, role) => Some(Key::RemoveDirect(user, role)),
            _ => None,
        })
    }
}

impl Action {
    pub fn key(&self) -> Key {
        match self {
            Action::RecordBaseline => Key::Baseline,
            Action::AssignUser { user, role } => Key::Assign(*user, *role),
            Action::RemoveMember { group, user } => Key::Member(*group, *user),
            Action::UnassignGroup { group, role, .. } => Key::Unassign(*group, *role),
            Action::PauseJob { job } => Key::Pause(job.clone()),
            Action::RequestRevocation => Key::Revocation,
            Action::RestoreAssignment { group, role } => Key::RestoreAssignment(*group, *role),
            Action::RestoreMember { group, user } => Key::RestoreMember(*group, *user),
            Action::RemoveDirect { user, role, .. } => Key::RemoveDirect(*user, *role),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Baseline => f.write_str("baseline"),
            Key::Assign(user, role) => write!(f, "assign/{user}/{role}"),
            Key::Member(group, user) => write!(f, "member/{group}/{user}"),
            Key::Unassign(group, role) => write!(f, "unassign/{group}/{role}"),
            Key::Pause(job) => write!(f, "pause/{job}"),
            Key::Revocation => f.write_str("revocation"),
            Key::RestoreAssignment(group, role) => write!(f, "restore-assignment/{group}/{role}"),
            Key::RestoreMember(group, user) => write!(f, "restore-member/{group}/{user}"),
            Key::RemoveDirect(user, role) => write!(f, "remove-direct/{user}/{role}"),
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Key, String> {
        let id = |text: &str| text.parse::<Uuid>().map_err(|_| format!("{text:?} is no id, in the key of a write"));
        if let Some(job) = text.strip_prefix("pause/") {
            return Ok(Key::Pause(JobId(job.to_owned())));
        }
        match text.split('/').collect::<Vec<_>>()[..] {
            ["baseline"] => Ok(Key::Baseline),
            ["revocation"] => Ok(Key::Revocation),
            ["assign", user, role] => Ok(Key::Assign(UserId(id(user)?), AppRoleId(id(role)?))),
            ["member", group, user] => Ok(Key::Member(GroupId(id(group)?), UserId(id(user)?))),
            ["unassign", group, role] => Ok(Key::Unassign(GroupId(id(group)?), AppRoleId(id(role)?))),
            ["restore-assignment", group, role] => Ok(Key::RestoreAssignment(GroupId(id(group)?), AppRoleId(id(role)?))),
            ["restore-member", group, user] => Ok(Key::RestoreMember(GroupId(id(group)?), UserId(id(user)?))),
            ["remove-direct", user, role] => Ok(Key::RemoveDirect(UserId(id(user)?), AppRoleId(id(role)?))),
            _ => Err(format!("{text:?} is no key of a write")),
        }
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.to_string()
    }
}

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(text: String) -> Result<Key, String> {
        text.parse()
    }
}

/// Writes that belong together, side by side in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Assigns,
    AssignsOf(UserId),
    Members,
    MembersOf(GroupId),
    Unassigns,
    UnassignsOf(GroupId),
    /// What a rollback writes, of whatever kind.
    PutBack,
}

impl KeyKind {
    pub fn keys(self) -> RangeInclusive<Key> {
        const LEAST: Uuid = Uuid::nil();
        const MOST: Uuid = Uuid::max();
        match self {
            KeyKind::Assigns => Key::Assign(UserId(LEAST), AppRoleId(LEAST))..=Key::Assign(UserId(MOST), AppRoleId(MOST)),
            KeyKind::AssignsOf(user) => Key::Assign(user, AppRoleId(LEAST))..=Key::Assign(user, AppRoleId(MOST)),
            KeyKind::Members => Key::Member(GroupId(LEAST), UserId(LEAST))..=Key::Member(GroupId(MOST), UserId(MOST)),
            KeyKind::MembersOf(group) => Key::Member(group, UserId(LEAST))..=Key::Member(group, UserId(MOST)),
            KeyKind::Unassigns => Key::Unassign(GroupId(LEAST), AppRoleId(LEAST))..=Key::Unassign(GroupId(MOST), AppRoleId(MOST)),
            KeyKind::UnassignsOf(group) => Key::Unassign(group, AppRoleId(LEAST))..=Key::Unassign(group, AppRoleId(MOST)),
            KeyKind::PutBack => {
                Key::RestoreAssignment(GroupId(LEAST), AppRoleId(LEAST))..=Key::RemoveDirect(UserId(MOST), AppRoleId(MOST))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> Vec<Key> {
        let id = |n: u128| Uuid::from_u128(n);
        let (user, group, role) = (UserId(id(1)), GroupId(id(2)), AppRoleId(id(3)));
        vec![
            Key::Baseline,
            Key::Assign(user, role),
            Key::Member(group, user),
            Key::Unassign(group, role),
            Key::Pause(JobId("scim.0f/a".into())),
            Key::Revocation,
            Key::RestoreAssignment(group, role),
            Key::RestoreMember(group, user),
            Key::RemoveDirect(user, role),
        ]
    }

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        for key in every() {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let id = Uuid::nil();
        let texts = [
            "".to_owned(),
            "assign".into(),
            format!("assign/{id}"),
            format!("assign/{id}/x"),
            format!("member/{id}/{id}/{id}"),
            format!("grant/{id}/{id}"),
            "revocation/x".into(),
            format!("baseline/{id}/{id}"),
        ];
        for text in texts {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }

    #[test]
    fn kin_are_side_by_side() {
        let (least, most) = (Uuid::nil(), Uuid::max());
        for kin in [KeyKind::Assigns, KeyKind::Members, KeyKind::Unassigns] {
            let keys = kin.keys();
            let others = every().into_iter().filter(|key| std::mem::discriminant(key) != std::mem::discriminant(keys.start()));
            assert!(others.into_iter().all(|key| !keys.contains(&key)), "{kin:?}");
        }
        let put_back = KeyKind::PutBack.keys();
        assert!(every().iter().all(|key| put_back.contains(key) == key.undone().is_some()));
        let one = KeyKind::MembersOf(GroupId(Uuid::from_u128(2))).keys();
        assert!([least, most].into_iter().all(|user| one.contains(&Key::Member(GroupId(Uuid::from_u128(2)), UserId(user)))));
        assert!([1, 3].into_iter().all(|group| !one.contains(&Key::Member(GroupId(Uuid::from_u128(group)), UserId(most)))));
    }
}
