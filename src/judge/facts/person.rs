//! A protected user, and how far they are from standing on their own feet.

use std::ops::Range;

use crate::model::baseline::Protected;
use crate::model::compact::Few;
use crate::model::id::{AppRoleId, UserId};
use crate::model::memory::Since;
use crate::model::snapshot::ScimUser;

/// A group's members against those who were ever seen in it.
pub(super) struct InGroup {
    pub(super) is_settled: bool,
    /// By their places among the people.
    pub(super) gone: Vec<u32>,
}

/// How far a protected user is from needing no group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cover {
    /// These roles are not held directly.
    Missing(Vec<AppRoleId>),
    /// The assignments could not be read in this turn.
    NotRead,
    /// All are held directly, but not seen for long enough.
    Settling,
    /// Observed twice, and no good cycle has begun since.
    AwaitingCycle,
    Settled,
    /// Deleted, or gone from every managed group by somebody else's hand: nothing is owed to them any more.
    Departed,
}

#[derive(Debug)]
pub struct Person<'a> {
    pub id: UserId,
    pub user: &'a Protected,
    /// The roles that the managed groups give (or gave), as they are to be held directly; after the retirement, those of groups on the
    /// app that show them among their members.
    pub roles: Few<AppRoleId>,
    /// Direct assignments, for whatever role: their places among those of all users.
    pub(super) own: Range<u32>,
    /// Direct assignments by role: since when every look has shown them.
    pub in_sight: Option<&'a Since>,
    pub cover: Cover,
    /// `accountEnabled`, where this turn's look says it.
    pub enabled: Option<bool>,
    /// The record of the baseline, where the last look at the target shows it.
    pub record: Option<&'a ScimUser>,
}

impl Person<'_> {
    pub fn has_row(&self) -> bool {
        !self.own.is_empty()
    }
}
