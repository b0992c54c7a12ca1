//! What is particular to a vendor, as data; judging never asks which vendor it is.

mod generic;
mod uniqkey;

use crate::model::spec::Profile;

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

/// The data of a profile.
pub fn of(profile: Profile) -> &'static ProfileData {
    match profile {
        Profile::Uniqkey => &uniqkey::DATA,
        Profile::Generic => &generic::DATA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::scim::wire;

    const ALL: [Profile; 2] = [Profile::Uniqkey, Profile::Generic];

    fn sample(profile: Profile) -> &'static str {
        match profile {
            Profile::Uniqkey => uniqkey::SAMPLE,
            Profile::Generic => generic::SAMPLE,
        }
    }

    #[test]
    fn every_profile_understands_its_recorded_answer() {
        for profile in ALL {
            let page = wire::page(sample(profile).as_bytes()).map_err(|why| format!("{profile:?}: {why}")).unwrap();
            assert_eq!(page.total, Some(2), "{profile:?}");
            let users: Vec<_> = page.resources.iter().map(|one| wire::user(one).unwrap()).collect();
            assert_eq!(users.iter().map(|user| user.active).collect::<Vec<_>>(), [Some(true), Some(false)], "{profile:?}");
            assert!(users.iter().all(|user| user.user_name.is_some()), "{profile:?}");
        }
    }

    #[test]
    fn every_profile_says_how_its_token_is_deleted() {
        for data in ALL.map(of) {
            assert!((1..=1000).contains(&data.page_size), "{}", data.title);
            assert!(!data.delete_token.is_empty(), "{}", data.title);
        }
    }
}
