//! What is particular to a vendor, as data; judging never asks which vendor it is.

mod data;
mod generic;
mod uniqkey;

pub use data::{GroupContent, GroupRemoval, ProfileData};

use crate::model::spec::Profile;

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
