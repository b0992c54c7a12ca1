//! Uniqkey, both generations; its SCIM details are not public, so nothing here is relied on for a verdict.

use super::data::{GroupContent, GroupRemoval, ProfileData};

pub(super) const DATA: ProfileData = ProfileData {
    title: "Uniqkey",
    page_size: 100,
    group_removal: GroupRemoval::Deletes,
    group_content: GroupContent::MayBeLost,
    delete_token: &[
        "Sign in to app.uniqkey.eu as an administrator.",
        "Open Settings, then Integrations.",
        "In the SCIM section, delete the secret token. Do not generate a new one.",
    ],
    notes: &[
        "A credential saved into a group can't be moved out again, and may go with the group: copy what matters before step 3.",
        "Generating a new token makes the old one invalid at once, in Entra too.",
        "New users are Staged until they are invited; they count as kept as they were.",
        "After the groups are gone, reload the page to see it.",
    ],
};

#[cfg(test)]
pub(super) const SAMPLE: &str = r#"{
  "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
  "totalResults": 2, "startIndex": 1, "itemsPerPage": 2,
  "Resources": [
    {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "6f1c", "externalId": "user01",
     "userName": "user01@contoso.example", "active": true, "meta": {"resourceType": "User"}},
    {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "6f1d", "externalId": "user02",
     "userName": "user02@contoso.example", "active": false, "meta": {"resourceType": "User"}}
  ]
}"#;
