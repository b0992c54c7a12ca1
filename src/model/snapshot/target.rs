//! What the app's SCIM service showed, and how it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::id::{GroupId, ScimId, UserId};
use crate::model::moment::Moment;
use crate::model::observed::{Listed, Observed, UNSEARCHABLE};
use crate::model::spec::MatchBy;

#[derive(Clone, Debug, Default)]
pub struct ObservedTarget {
    pub token: TokenState,
    /// When the token in the file ends by itself, as far as it says so.
    pub token_ends: Option<Timestamp>,
    pub look: Listed<Arc<TargetLook>>,
}

/// How the service took our token in ordinary reads; proof of revocation is the probe's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenState {
    Accepted,
    /// Refused, with the HTTP status.
    Refused(u16),
    #[default]
    Unknown,
}

/// One complete round over `/Users` and `/Groups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetLook {
    /// The turn in which it was read; the job is always read before the target.
    pub turn: u64,
    /// When it was read; for the reading interval only.
    pub at: Moment,
    pub users: BTreeMap<ScimId, ScimUser>,
    pub groups: BTreeMap<ScimId, ScimGroup>,
    /// Nothing shows that the list of users is whole: whoever is not in it may have a record all the same.
    pub may_lack_users: bool,
    /// So too of the list of groups.
    pub may_lack_groups: bool,
    /// Whom such a list lacked, looked up one by one by what they are matched by. Records that were found are in `users`, too.
    pub users_by_match: BTreeMap<UserId, Observed<ScimUser>>,
    /// Every record that this look and the one before it have was made at another time by this one: the service keeps no such time.
    /// `None`: there was nothing to compare.
    pub moved: Option<bool>,
    /// Records that the list lacked or showed worse than before, read by id: protected ones, and those of bystanders.
    pub users_by_id: BTreeMap<ScimId, Observed<ScimUser>>,
    /// Of those, the ones that an earlier look has read, and its turn: a round over many takes several looks.
    pub read_before: BTreeMap<ScimId, u64>,
    /// Managed groups that the list lacked, read by id. `Absent` is a 404 or 410 with a SCIM error body.
    pub groups_by_id: BTreeMap<ScimId, Observed<ScimGroup>>,
    /// Before the baseline: how many members the app's own groups have of those that show nobody in the directory.
    pub group_members: BTreeMap<ScimId, Listed<Option<u64>>>,
}

impl TargetLook {
    /// The app's own groups that may be this one, by its Entra id or by its name.
    pub fn groups_like(&self, id: GroupId, name: &str) -> impl Iterator<Item = &ScimGroup> {
        let (id, name) = (id.to_string(), name.to_lowercase());
        self.groups.values().filter(move |group| {
            group.external_id.as_deref().is_some_and(|external| external.eq_ignore_ascii_case(&id))
                || group.display_name.as_deref().is_some_and(|display| display.to_lowercase() == name)
        })
    }

    /// The record under this id; a read by id decides over the list.
    pub fn user(&self, id: &ScimId) -> Observed<&ScimUser> {
        match (self.users_by_id.get(id), self.users.get(id)) {
            (Some(seen), _) => seen.as_ref(),
            (None, Some(user)) => Observed::Known(user),
            (None, None) => Observed::default(),
        }
    }

    /// Whether it is known that nobody's record that could be this user's is missing in the list.
    pub fn has_looked_for(&self, user: UserId) -> bool {
        !self.may_lack_users || self.users_by_match.get(&user).is_some_and(|seen| !matches!(seen, Observed::Unknown(_)))
    }

    /// Nobody can look for this user's record: the list may lack it, and the app can look up nobody, not even whom it lists.
    pub fn has_no_answer_for(&self, user: UserId) -> bool {
        let why = self.users_by_match.get(&user).and_then(Observed::unknown);
        self.may_lack_users && why.is_some_and(|why| why.kind == UNSEARCHABLE)
    }

    /// Whether the record is gone: the list lacks it, and whoever asks for it is told that there is none.
    pub fn has_gone(&self, id: &ScimId) -> bool {
        !self.users.contains_key(id) && self.users_by_id.get(id).is_some_and(Observed::is_absent)
    }

    /// Holds this look against the one before it.
    pub fn compare(&mut self, before: &TargetLook) {
        let both = self.users.values().filter_map(|now| Some((now, before.users.get(&now.id)?)));
        let mut dated = both.filter(|(now, before)| now.created.is_some() && before.created.is_some()).peekable();
        self.moved = dated.peek().is_some().then(|| dated.all(|(now, before)| now.is_another_than(before)));
    }

    /// Takes over what an earlier look has read by this id, as long as the list shows of it what it did then: a list that has changed
    /// since knows more than that.
    pub fn take_over(&mut self, before: &TargetLook, id: &ScimId) {
        if let Some(seen @ (Observed::Known(_) | Observed::Absent)) = before.users_by_id.get(id)
            && before.users.get(id) == self.users.get(id)
        {
            self.users_by_id.insert(id.clone(), seen.clone());
            self.read_before.insert(id.clone(), before.read_before.get(id).copied().unwrap_or(before.turn));
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScimUser {
    pub id: ScimId,
    /// Texts are shared by all looks in which they are the same.
    pub user_name: Option<Arc<str>>,
    pub external_id: Option<Arc<str>>,
    /// `None`: the service does not say, which is not "active".
    pub active: Option<bool>,
    /// `meta.created`; `None` where the service does not say. An id may be given again, this time is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

impl ScimUser {
    pub fn value_of(&self, attribute: MatchBy) -> Option<&str> {
        match attribute {
            MatchBy::UserName => self.user_name.as_deref(),
            MatchBy::ExternalId => self.external_id.as_deref(),
        }
    }

    /// It has this value, in whatever case.
    pub fn matches(&self, attribute: MatchBy, value: &str) -> bool {
        self.value_of(attribute).is_some_and(|own| own.to_lowercase() == value.to_lowercase())
    }

    /// Made at another time than that one: another record, whatever its id. Not all answers tell parts of a second alike.
    pub fn is_another_than(&self, before: &ScimUser) -> bool {
        let both = self.created.zip(before.created);
        both.is_some_and(|(now, before)| now.duration_since(before).abs() >= SignedDuration::from_secs(1))
    }

    /// Inactive, and it was not so, whether that was said or not.
    pub fn is_inactive_since(&self, before: &ScimUser) -> bool {
        self.active == Some(false) && before.active != Some(false)
    }

    /// It was said to be active, and no longer is.
    pub fn is_silent_since(&self, before: &ScimUser) -> bool {
        self.active.is_none() && before.active == Some(true)
    }

    /// It had a name, and has not that one any more.
    pub fn is_renamed_since(&self, before: &ScimUser) -> bool {
        let name = |record: &ScimUser| record.user_name.as_deref().map(str::to_lowercase);
        before.user_name.is_some() && self.user_name != before.user_name && name(self) != name(before)
    }

    /// What reads the same in the other is held once from now on.
    pub fn share_texts(&mut self, other: &ScimUser) {
        for (ours, theirs) in [(&mut self.user_name, &other.user_name), (&mut self.external_id, &other.external_id)] {
            if ours == theirs {
                ours.clone_from(theirs);
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScimGroup {
    pub id: ScimId,
    pub display_name: Option<String>,
    pub external_id: Option<String>,
}

/// How the service answers a good token, a bad one and none, learned while the good one still works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// The probed URL; the proof holds for this one, byte by byte.
    pub url: String,
    /// A short tag of the token that was good: tells another token from it, and gives nothing of it away.
    pub token: String,
    pub bad_token: Signature,
    /// Another way in which a bad one was refused at that time.
    #[serde(default)]
    pub bad_token_too: Option<Signature>,
    /// What bad tokens were made of.
    #[serde(default)]
    pub control: Control,
    /// Status of `/ServiceProviderConfig` without a token.
    pub liveness: u16,
    /// `None` where nobody has asked yet.
    #[serde(default)]
    pub no_such: Option<NoSuch>,
    pub at: Timestamp,
}

impl Calibration {
    /// A made-up token is refused like this.
    pub fn knows(&self, answer: &Signature) -> bool {
        self.bad_token == *answer || self.bad_token_too.as_ref() == Some(answer)
    }

    /// It refuses a token: like a made-up one, or with the status that is there for it, by whatever hand but a page for people.
    pub fn is_no(&self, answer: &Signature) -> bool {
        self.knows(answer) || (answer.status == 401 && answer.body != BodyShape::Html)
    }
}

/// How a token that never was is made of the real one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Every letter and digit anew; so were all of them once.
    #[default]
    Garbled,
    /// With the form of the real one: a signed one has another signature, another one the same words in front.
    Alike,
}

/// The shapes in which the service says that it has no record of an id, the standard's among them. None: it can't say so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoSuch {
    pub users: Vec<Signature>,
    pub groups: Vec<Signature>,
}

impl NoSuch {
    pub fn is_whole(&self) -> bool {
        !self.users.is_empty() && !self.groups.is_empty()
    }
}

/// The shape of an answer, enough to tell it from a proxy's or a login page's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub status: u16,
    pub body: BodyShape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BodyShape {
    Empty,
    ScimError,
    Json,
    Text,
    Html,
}

/// One round of the revocation probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub at: Timestamp,
    pub verdict: ProbeVerdict,
    /// What was sent and what came back, without tokens.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeVerdict {
    /// Refused exactly like a token that never existed, while the service is up.
    Rejected,
    /// It still opens the door.
    Answers,
    /// Anything else; never taken for a rejection.
    Inconclusive,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Why;

    #[test]
    fn a_calibration_of_an_earlier_version_still_reads() {
        let old = r#"{"url":"https://app.example/scim/Users","token":"0000","bad_token":{"status":401,"body":"ScimError"},
            "liveness":200,"at":"2026-11-02T08:00:00Z"}"#;
        let old: Calibration = serde_json::from_str(old).unwrap();
        assert_eq!((old.control, old.bad_token_too, old.no_such), (Control::Garbled, None, None));
    }

    #[test]
    fn what_was_read_by_id_stands_until_the_list_shows_something_else() {
        let id = ScimId::from("1".to_owned());
        let record = |active| ScimUser { id: id.clone(), user_name: None, external_id: None, active, created: None };
        let list = |active: Option<Option<bool>>| active.map(|active| (id.clone(), record(active))).into_iter().collect();
        let look = |turn, active| TargetLook { turn, users: list(active), ..TargetLook::default() };
        let mut first = look(1, None);
        first.users_by_id.insert(id.clone(), Observed::Known(record(Some(true))));
        let mut second = look(2, None);
        second.take_over(&first, &id);
        let mut third = look(3, None);
        third.take_over(&second, &id);
        assert_eq!((third.user(&id).known(), third.read_before.get(&id)), (Some(&&record(Some(true))), Some(&1)));
        let mut ended = look(4, Some(Some(false)));
        ended.take_over(&third, &id);
        assert_eq!((ended.user(&id).known(), ended.read_before.len()), (Some(&&record(Some(false))), 0));
        let mut gone = look(5, None);
        gone.take_over(&ended, &id);
        assert!(gone.user(&id).unknown().is_some(), "nobody has read it since");
        first.users_by_id.insert(id.clone(), Observed::Unknown(Why::new("timed-out", "no answer")));
        let mut unread = look(6, None);
        unread.take_over(&first, &id);
        assert!(unread.users_by_id.is_empty());
    }
}
