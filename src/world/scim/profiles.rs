//! What is particular to a vendor; judging never asks which vendor it is.

use crate::model::spec::Profile;

/// `count` of every page asked for.
pub(super) fn page_size(profile: Profile) -> u32 {
    match profile {
        Profile::Uniqkey | Profile::Generic => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::scim::wire;

    const UNIQKEY: &str = r#"{
  "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
  "totalResults": 2, "startIndex": 1, "itemsPerPage": 2,
  "Resources": [
    {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "6f1c", "externalId": "user01",
     "userName": "user01@contoso.example", "active": true, "meta": {"resourceType": "User"}},
    {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "6f1d", "externalId": "user02",
     "userName": "user02@contoso.example", "active": false, "meta": {"resourceType": "User"}}
  ]
}"#;

    /// As lenient services write it.
    const GENERIC: &str = r#"{
  "schemas": ["urn:ietf:params:scim:api:messages:2.0:listresponse"], "totalresults": "2",
  "resources": [
    {"ID": "1", "username": "user01@contoso.example", "active": "True"},
    {"id": 2, "userName": "user02@contoso.example", "Active": "false", "nickName": null}
  ]
}"#;

    #[test]
    fn every_profile_understands_its_recorded_answer() {
        for (profile, sample) in [(Profile::Uniqkey, UNIQKEY), (Profile::Generic, GENERIC)] {
            let page = wire::page(sample.as_bytes()).map_err(|why| format!("{profile:?}: {why}")).unwrap();
            assert_eq!(page.total, Some(2), "{profile:?}");
            let users: Vec<_> = page.resources.iter().map(|one| wire::user(one).unwrap()).collect();
            assert_eq!(users.iter().map(|user| user.active).collect::<Vec<_>>(), [Some(true), Some(false)], "{profile:?}");
            assert!(users.iter().all(|user| user.user_name.is_some()), "{profile:?}");
            assert!((1..=1000).contains(&page_size(profile)), "{profile:?}");
        }
    }
}
