//! Looks one user up by what Entra matches by, with the filter that Entra sends.

use serde_json::Value;

use super::client::{Client, Kind};
use super::wire;
use crate::model::observed::Observed;
use crate::model::snapshot::ScimUser;
use crate::model::spec::MatchBy;
use crate::world::error::{Error, Result};

/// `Absent` only where a whole, empty ListResponse says so; somebody else's record, or several, are an error.
pub async fn find(client: &Client, attribute: MatchBy, value: &str) -> Result<Observed<ScimUser>> {
    let name = match attribute {
        MatchBy::UserName => "userName",
        MatchBy::ExternalId => "externalId",
    };
    let doing = format!("looking up a user by {name} at {}/Users", client.shown());
    let filter = format!("{name} eq {}", Value::from(value));
    let url = client.address(&doing, &[Kind::Users.segment()], &[("filter", &filter)])?;
    let token = client.token()?;
    let answer = client.get_patiently(Kind::Users.listing(), &doing, &url, Some(&token)).await?;
    if answer.status != http::StatusCode::OK {
        return Err(client.refusal(&doing, &answer, &token));
    }
    let malformed = |why: String| Error::Malformed { doing: doing.clone(), why };
    let page = wire::page(&answer.body).map_err(malformed)?;
    match (page.resources.as_slice(), page.total) {
        ([], Some(0)) if page.next.is_none() => Ok(Observed::Absent),
        ([], _) => Err(malformed("answers no record without saying that there is none".into())),
        ([one], None | Some(1)) if page.next.is_none() => {
            let user = wire::user(one).map_err(|why| malformed(format!("the record {why}")))?;
            match user.matches(attribute, value) {
                true => Ok(Observed::Known(user)),
                false => Err(malformed("answers with somebody else: it ignores the filter".into())),
            }
        }
        _ => {
            let why = "answers with several records where one was asked for".into();
            Err(Error::Ambiguous { doing, why })
        }
    }
}
