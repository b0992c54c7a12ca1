//! Memberships under Privileged Identity Management as Graph sends them.

use serde::Deserialize;
use uuid::Uuid;

use super::{Row, Stamp, opaque};
use crate::model::id::{GroupId, UserId};

/// Somebody who is, or may become, a member or an owner of a group.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WireSchedule {
    #[serde(deserialize_with = "opaque")]
    id: String,
    principal_id: Uuid,
    group_id: Option<Uuid>,
    access_id: String,
    /// Only of those who are.
    assignment_type: Option<String>,
    #[serde(default)]
    end_date_time: Stamp,
}

/// What a schedule makes of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Lasting,
    /// It ends, at this time where that is told.
    Ending(Stamp),
}

impl Row for WireSchedule {
    type Key<'a> = &'a str;

    fn key(&self) -> &str {
        &self.id
    }
}

impl WireSchedule {
    /// Nothing for an owner, who is no member by that. What is neither is taken for a member.
    pub fn of(self, group: GroupId) -> Result<Option<WireSchedule>, String> {
        if let Some(stray) = self.group_id.filter(|id| *id != group.0) {
            return Err(format!("the list has an entry of another group, {stray}"));
        }
        Ok((!self.access_id.eq_ignore_ascii_case("owner")).then_some(self))
    }

    pub fn principal(&self) -> UserId {
        UserId(self.principal_id)
    }

    /// An activation ends, whether or not it says when; of what is not known it can't be told that it lasts.
    pub fn hold(&self) -> Hold {
        let assigned = self.assignment_type.as_ref().is_some_and(|kind| kind.eq_ignore_ascii_case("assigned"));
        if assigned && self.end_date_time.0.is_none() { Hold::Lasting } else { Hold::Ending(self.end_date_time) }
    }
}
