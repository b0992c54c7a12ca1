//! Any other SCIM 2.0 service: nothing is assumed beyond the standard.

use super::data::{GroupContent, GroupRemoval, ProfileData};

pub(super) const DATA: ProfileData = ProfileData {
    title: "the app",
    page_size: 100,
    group_removal: GroupRemoval::Unknown,
    group_content: GroupContent::NotKnown,
    delete_token: &[
        "Sign in to the app as an administrator.",
        "Open the page on which SCIM provisioning was set up.",
        "Delete the SCIM token there. Do not generate a new one.",
    ],
    notes: &["Find out beforehand what the app does with what people keep in a group when that group is removed."],
};

/// As lenient services write it.
#[cfg(test)]
pub(super) const SAMPLE: &str = r#"{
  "schemas": ["urn:ietf:params:scim:api:messages:2.0:listresponse"], "totalresults": "2",
  "resources": [
    {"ID": "1", "username": "user01@contoso.example", "active": "True"},
    {"id": 2, "userName": "user02@contoso.example", "Active": "false", "nickName": null}
  ]
}"#;
