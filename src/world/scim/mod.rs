//! The app's SCIM service, read only: complete lists, single records, and the probe that proves a revocation.

mod client;
mod control;
mod listing;
mod matching;
mod missing;
mod probe;
mod profiles;
mod verdict;
mod wire;

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::error::Result;
use super::http::Http;
use super::secret::{SecretFile, ends};
use super::{AppList, Target};
use crate::model::id::ScimId;
use crate::model::observed::Observed;
use crate::model::snapshot::{Calibration, Probe, ScimGroup, ScimUser, Signature, TargetLook};
use crate::model::spec::{MatchBy, Profile};
use client::{Client, Kind};

/// One SCIM base URL with the token that Entra uses; the token's file is read anew in every call.
pub struct ScimTarget {
    client: Client,
    page_size: u32,
}

impl ScimTarget {
    /// `base` is taken as it is, its query string too.
    pub fn new(http: Http, base: Url, token: SecretFile, profile: Profile) -> Self {
        ScimTarget { client: Client::new(http, base, token), page_size: profiles::page_size(profile) }
    }

    async fn list<T>(&self, kind: Kind, read: impl Fn(&Value) -> Result<(ScimId, T), String>) -> Result<AppList<T>> {
        let (records, whole) = listing::read_all(&self.client, kind, self.page_size, read).await?;
        Ok(AppList { records, may_lack: !whole })
    }
}

impl Target for ScimTarget {
    async fn users(&self, last: Option<&TargetLook>) -> Result<AppList<ScimUser>> {
        self.client.begin_look();
        let read = |value: &Value| {
            let mut user = wire::user(value)?;
            if let Some(before) = last.and_then(|last| last.users.get(&user.id)) {
                user.share_texts(before);
            }
            Ok((user.id.clone(), user))
        };
        self.list(Kind::Users, read).await
    }

    async fn groups(&self) -> Result<AppList<ScimGroup>> {
        self.list(Kind::Groups, |value| wire::group(value).map(|group| (group.id.clone(), group))).await
    }

    async fn user_by(&self, attribute: MatchBy, value: &str) -> Result<Observed<ScimUser>> {
        matching::find(&self.client, attribute, value).await
    }

    async fn user(&self, id: &ScimId, no_such: &[Signature]) -> Result<Observed<ScimUser>> {
        self.client.read_one(Kind::Users, id, no_such, |value| wire::user(value).map(|user| (user.id.clone(), user))).await
    }

    async fn group(&self, id: &ScimId, no_such: &[Signature]) -> Result<Observed<ScimGroup>> {
        self.client.read_one(Kind::Groups, id, no_such, |value| wire::group(value).map(|group| (group.id.clone(), group))).await
    }

    async fn group_members(&self, id: &ScimId) -> Result<Option<u64>> {
        self.client.group_members(id).await
    }

    async fn calibrate(&self, at: Timestamp) -> Result<Calibration> {
        probe::calibrate(&self.client, at).await
    }

    fn fits(&self, calibration: &Calibration) -> bool {
        probe::fits(&self.client, calibration)
    }

    fn token_ends(&self) -> Option<Timestamp> {
        // Whoever uses the file says what is wrong with it.
        let Ok(token) = self.client.token() else { return None };
        ends(&token)
    }

    async fn probe(&self, calibration: &Calibration, at: Timestamp) -> Probe {
        probe::probe(&self.client, calibration, at).await
    }
}
