//! What there is to know of a vendor's SCIM service.

/// What we know of one vendor's SCIM service.
#[derive(Debug, PartialEq, Eq)]
pub struct ProfileData {
    /// As in messages.
    pub title: &'static str,
    /// `count` of every page asked for.
    pub page_size: u32,
    pub group_removal: GroupRemoval,
    pub group_content: GroupContent,
    /// How a person deletes the token, as sentences in order.
    pub delete_token: &'static [&'static str],
    /// What an operator should know besides.
    pub notes: &'static [&'static str],
}

/// What the app does with a group that provisioning removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRemoval {
    /// It goes, and its users stay.
    Deletes,
    /// Nobody told us.
    Unknown,
}

/// What becomes of what people saved into a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupContent {
    /// It may go with the group: the operator has to acknowledge that (`TargetGroupContent`).
    MayBeLost,
    /// Nobody told us of such a thing.
    NotKnown,
}
