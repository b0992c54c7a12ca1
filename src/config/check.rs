//! From what is written to what is meant: what is missing, contradicts or is out of range, all of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;
use jiff::tz::TimeZone;

use super::mistake::Mistake;
use super::raw::{self, API_VERSION, Group, KIND, default};
use super::tree::Places;
use super::values::{Approval, FilePath, Guid, Plain, Released, Span, Text};
use crate::model::id::{AppRoleId, GroupId, ScimId, ServicePrincipalId, UserId};
use crate::model::spec::{
    Acknowledgement, Afterwards, AppRef, EmptyGroups, GroupEntry, Groups, Limits, MatchBy, Provisioning, Revocation,
    RevocationBy, Rollout, Select, Spec, Target, Telemetry, Timing, Traces, Webhook,
};
use crate::model::window::{Window, Windows};

/// A variable of the environment, where it is set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub struct Check<'a> {
    places: &'a Places,
    /// Relative paths start here.
    folder: &'a Path,
    variables: Variables<'a>,
    pub mistakes: Vec<Mistake>,
}

impl<'a> Check<'a> {
    pub fn new(places: &'a Places, folder: &'a Path, variables: Variables<'a>, mistakes: Vec<Mistake>) -> Self {
        Check { places, folder, variables, mistakes }
    }

    /// The spec, unless something was wrong with it.
    pub fn document(&mut self, raw: raw::Document) -> Option<Spec> {
        self.constant(raw.api_version, "apiVersion", API_VERSION);
        self.constant(raw.kind, "kind", KIND);
        let metadata = self.need(raw.metadata, "metadata");
        let name = self.need(metadata.and_then(|metadata| metadata.name), "metadata.name");
        let spec = self.need(raw.spec, "spec").unwrap_or_default();
        let mode = self.need(spec.mode, "spec.mode");
        let entra = self.need(spec.entra, "spec.entra").unwrap_or_default();
        let entra = self.entra(entra);
        let groups = self.need(spec.groups, "spec.groups").unwrap_or_default();
        let groups = self.groups(groups);
        let target = self.need(spec.target, "spec.target").unwrap_or_default();
        let target = self.target(target);
        let provisioning = self.provisioning(spec.provisioning.unwrap_or_default());
        let limits = self.limits(spec.limits.unwrap_or_default());
        let timing = self.timing(&spec.timing.unwrap_or_default());
        let roles = spec.roles.unwrap_or_default();
        let (released, released_records) = self.released(spec.released.unwrap_or_default());
        let rollout = self.rollout(spec.rollout.unwrap_or(raw::Rollout::Canary), groups.as_ref());
        let windows = spec.windows.and_then(|raw| self.windows(raw));
        let telemetry = self.telemetry(spec.telemetry.unwrap_or_default());
        Some(Spec {
            name: name?.0,
            mode: mode?,
            hold: spec.hold.unwrap_or_default(),
            approval: spec.approval.map(|Approval(digest)| digest),
            entra: entra?,
            groups: groups?,
            roles: roles.into_iter().map(|(from, to)| (AppRoleId(from.0), AppRoleId(to.0))).collect(),
            target: target?,
            provisioning,
            released,
            released_records,
            rollout,
            windows,
            telemetry,
            limits,
            timing,
        })
    }

    pub(super) fn app(&mut self, raw: raw::App) -> Option<AppRef> {
        let named = ["servicePrincipalId", "appId", "displayName"]
            .into_iter()
            .filter(|name| self.places.has(&format!("spec.entra.app.{name}")))
            .collect::<Vec<_>>();
        match named.as_slice() {
            [] if self.places.has("spec.entra.app") => {
                self.wrong("spec.entra.app", "names no app; give one of servicePrincipalId, appId and displayName");
            }
            [] | [_] => {}
            several => {
                let what = format!("{} together; keep one of them", several.join(" and "));
                self.wrong("spec.entra.app", what);
                return None;
            }
        }
        raw.service_principal_id
            .map(|id| AppRef::ServicePrincipalId(ServicePrincipalId(id.0)))
            .or(raw.app_id.map(|id| AppRef::AppId(id.0)))
            .or(raw.display_name.map(|name| AppRef::DisplayName(name.0)))
    }

    fn groups(&mut self, raw: raw::Groups) -> Option<Groups> {
        let select = raw.select.unwrap_or(Select::Listed);
        let path = "spec.groups.list";
        let entries = raw.list.unwrap_or_default();
        let is_missing = !self.places.has(path) || self.places.is_list(path);
        if entries.is_empty() && select == Select::Listed && self.places.has("spec.groups") && is_missing {
            self.wrong(path, "names no group; list the ids of the groups to retire, or set select: AllAssigned");
        }
        let (mut list, mut seen) = (Vec::new(), BTreeSet::new());
        for (n, entry) in entries.into_iter().enumerate() {
            let at = format!("{path}[{n}]");
            let Some(Group { id, members }) = self.need(entry, &at) else { continue };
            let Some(Guid(id)) = self.need(id, &format!("{at}.id")) else { continue };
            if !seen.insert(id) {
                self.wrong(&format!("{at}.id"), format!("group {id} stands here twice; keep one entry"));
            }
            list.push(GroupEntry { id: GroupId(id), members });
        }
        let mut acknowledge: Vec<Acknowledgement> = Vec::new();
        for (n, entry) in raw.acknowledge.unwrap_or_default().into_iter().enumerate() {
            if let Some(entry) = self.need(entry, &format!("spec.groups.acknowledge[{n}]"))
                && !acknowledge.contains(&entry)
            {
                acknowledge.push(entry);
            }
        }
        let empty_groups = raw.empty_groups.unwrap_or(EmptyGroups::WhenExclusive);
        Some(Groups { select, list, empty_groups, acknowledge })
    }

    fn rollout(&mut self, raw: raw::Rollout, groups: Option<&Groups>) -> Rollout {
        let waves = match raw {
            raw::Rollout::Canary => return Rollout::Canary,
            raw::Rollout::AllAtOnce => return Rollout::AllAtOnce,
            raw::Rollout::SmallestFirst => return Rollout::SmallestFirst,
            raw::Rollout::Waves(waves) => waves,
        };
        let path = "spec.rollout.waves";
        let listed = groups.filter(|groups| groups.select == Select::Listed);
        let managed: Option<BTreeSet<GroupId>> = listed.map(|groups| groups.list.iter().map(|entry| entry.id).collect());
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        for (n, wave) in waves.into_iter().enumerate() {
            let mut groups = Vec::new();
            if wave.as_ref().is_some_and(Vec::is_empty) {
                self.wrong(&format!("{path}[{n}]"), "a wave without a group; leave it out");
            }
            for (m, id) in wave.unwrap_or_default().into_iter().enumerate() {
                let at = format!("{path}[{n}][{m}]");
                let Some(Guid(id)) = self.need(id, &at) else { continue };
                if !seen.insert(GroupId(id)) {
                    self.wrong(&at, format!("group {id} stands in the waves twice; keep one place"));
                } else if managed.as_ref().is_some_and(|managed| !managed.contains(&GroupId(id))) {
                    self.wrong(&at, format!("group {id} is not in groups.list; list it there, or take it out of the waves"));
                }
                groups.push(GroupId(id));
            }
            found.push(groups);
        }
        if found.is_empty() {
            self.wrong(path, "no wave at all; list some, or write rollout: SmallestFirst or Canary");
        }
        let forgotten: Vec<_> = managed.into_iter().flatten().filter(|id| !seen.contains(id)).collect();
        if !forgotten.is_empty() {
            let names = forgotten.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.wrong(path, format!("{names} of groups.list in no wave; put each group into one"));
        }
        Rollout::Waves(found)
    }

    fn released(&mut self, raw: Vec<Option<Released>>) -> (BTreeSet<UserId>, BTreeSet<ScimId>) {
        let (mut users, mut records) = (BTreeSet::new(), BTreeSet::new());
        for (n, id) in raw.into_iter().enumerate() {
            let at = format!("spec.released[{n}]");
            let (what, is_new) = match self.need(id, &at) {
                None => continue,
                Some(Released::User(id)) => (format!("user {id}"), users.insert(UserId(id))),
                Some(Released::Record(id)) => (format!("record {id}"), records.insert(ScimId::from(id))),
            };
            if !is_new {
                self.wrong(&at, format!("{what} stands here twice; keep one entry"));
            }
        }
        (users, records)
    }

    fn windows(&mut self, raw: raw::Windows) -> Option<Windows> {
        let name = self.need(raw.time_zone, "spec.windows.timeZone");
        let zone = name.as_ref().and_then(|name| TimeZone::get(&name.0).ok());
        if let (Some(Text(name)), None) = (&name, &zone) {
            let what = format!("{name:?} is no time zone; write its IANA name, as Europe/Copenhagen or UTC");
            self.wrong("spec.windows.timeZone", what);
        }
        let path = "spec.windows.open";
        let entries = self.need(raw.open, path)?;
        if entries.is_empty() && self.places.is_list(path) {
            self.wrong(path, "no hours at all, so that nothing could ever go on; write them, or leave windows out");
        }
        let mut open = Vec::new();
        for (n, entry) in entries.into_iter().enumerate() {
            let at = format!("{path}[{n}]");
            let Some(raw::Window { days, from, to }) = self.need(entry, &at) else { continue };
            let days = days.map(|days| days.into_iter().flatten().collect::<Vec<_>>());
            if days.as_ref().is_some_and(Vec::is_empty) && self.places.is_list(&format!("{at}.days")) {
                self.wrong(&format!("{at}.days"), "no day at all; name some, or leave days out for every day");
            }
            let (from, to) = (self.need(from, &format!("{at}.from")), self.need(to, &format!("{at}.to")));
            let (Some(from), Some(to)) = (from, to) else { continue };
            if from == to {
                self.wrong(&format!("{at}.to"), "the same as from; for a whole day write from: \"00:00\" and to: \"24:00\"");
            }
            open.push(Window { days: days.unwrap_or_default(), from: from.0, to: to.0 });
        }
        Some(Windows { time_zone: name?.0, zone: zone?, open })
    }

    fn telemetry(&mut self, raw: raw::Telemetry) -> Telemetry {
        let traces = raw.traces.and_then(|traces| {
            let link = self.need(traces.otlp_endpoint, "spec.telemetry.traces.otlpEndpoint")?;
            Some(Traces { otlp_endpoint: link.0 })
        });
        Telemetry { log_level: raw.log_level, runbook_url: raw.runbook_url.map(|link| link.0), traces }
    }

    fn target(&mut self, raw: raw::Target) -> Option<Target> {
        let profile = self.need(raw.profile, "spec.target.profile");
        let scim_url = self.need(raw.scim_url, "spec.target.scimUrl");
        let token_file = self.need(raw.token_file, "spec.target.tokenFile");
        let read_interval = self.span(raw.read_interval, default::READ_INTERVAL, "spec.target.readInterval", DAY);
        let revocation = self.revocation(raw.revocation.unwrap_or_default());
        Some(Target {
            profile: profile?,
            scim_url: scim_url?.0,
            token_file: self.file(token_file?),
            match_by: raw.match_by.unwrap_or(MatchBy::UserName),
            match_from: raw.match_from.map(|text| text.0),
            read_interval,
            revocation,
        })
    }

    fn revocation(&mut self, raw: raw::Revocation) -> Revocation {
        let by = raw.by.unwrap_or(RevocationBy::Operator);
        let path = "spec.target.revocation.webhook";
        match by {
            RevocationBy::Webhook if !self.places.has(path) => {
                self.wrong(
                    "spec.target.revocation",
                    "by: Webhook without a webhook; add webhook: { url: https://… }, or set by: Operator",
                );
            }
            RevocationBy::Operator if self.places.has(path) => {
                self.wrong(path, "a webhook that would never be called; set by: Webhook, or leave it out");
            }
            RevocationBy::Webhook | RevocationBy::Operator => {}
        }
        let webhook = raw.webhook.and_then(|raw| self.webhook(raw, path));
        let at = "spec.target.revocation";
        Revocation {
            by,
            webhook,
            confirmations: self.count(raw.confirmations, default::CONFIRMATIONS, &format!("{at}.confirmations"), 2),
            confirm_every: self.span(raw.confirm_every, default::CONFIRM_EVERY, &format!("{at}.confirmEvery"), DAY),
        }
    }

    fn webhook(&mut self, raw: raw::Webhook, path: &str) -> Option<Webhook> {
        let url = self.need(raw.url, &format!("{path}.url"));
        let mut header_files = BTreeMap::new();
        for (name, file) in raw.header_files.unwrap_or_default() {
            if HeaderName::try_from(&name).is_err() {
                self.wrong(&format!("{path}.headerFiles.{name}"), "no header can have this name; use letters, digits and \"-\"");
            }
            header_files.insert(name, self.file(file));
        }
        let method = raw.method.map_or(default::WEBHOOK_METHOD, raw::Method::as_str).to_owned();
        let attempts = self.count(raw.attempts, default::WEBHOOK_ATTEMPTS, &format!("{path}.attempts"), 1);
        let within = self.span(raw.within, default::WEBHOOK_WITHIN, &format!("{path}.within"), DAY);
        Some(Webhook { url: url?.0, method, header_files, attempts, within })
    }

    fn provisioning(&mut self, raw: raw::Provisioning) -> Provisioning {
        let at = |name: &str| format!("spec.provisioning.{name}");
        // No margin is a choice: on a tenant whose clock is known it is safe.
        let margin = raw.cycle_margin.unwrap_or_else(|| parsed(default::CYCLE_MARGIN)).0;
        if margin > DAY {
            self.wrong(&at("cycleMargin"), "longer than a day; write at most 24h");
        }
        Provisioning {
            settle_cycles: self.count(raw.settle_cycles, default::SETTLE_CYCLES, &at("settleCycles"), 1),
            verify_cycles: self.count(raw.verify_cycles, default::VERIFY_CYCLES, &at("verifyCycles"), 1),
            scope_confirmed: raw.scope_confirmed,
            cycle_margin: margin,
            cycle_timeout: self.span(raw.cycle_timeout, default::CYCLE_TIMEOUT, &at("cycleTimeout"), 30 * DAY),
            log_read_interval: self.span(raw.log_read_interval, default::READ_INTERVAL, &at("logReadInterval"), DAY),
            afterwards: raw.afterwards.unwrap_or(Afterwards::Leave),
        }
    }

    fn limits(&mut self, raw: raw::Limits) -> Limits {
        let at = |name: &str| format!("spec.limits.{name}");
        let write_share = raw.write_share.unwrap_or_else(|| parsed(default::WRITE_SHARE)).0;
        if write_share.0 == 0 {
            self.wrong(&at("writeShare"), "0% would never write anything; write 1% to 100%, or set mode: Observe");
        }
        Limits {
            max_groups: self.count(raw.max_groups, default::MAX_GROUPS, &at("maxGroups"), 1),
            max_users: self.count(raw.max_users, default::MAX_USERS, &at("maxUsers"), 1),
            max_member_removals: self.count(raw.max_member_removals, default::MAX_MEMBER_REMOVALS, &at("maxMemberRemovals"), 1),
            max_shrink: raw.max_shrink.unwrap_or_else(|| parsed(default::MAX_SHRINK)).0,
            fights: self.count(raw.fights, default::FIGHTS, &at("fights"), 1),
            write_share,
            shared_by: self.count(raw.shared_by, default::SHARED_BY, &at("sharedBy"), 1),
            write_quota: raw.write_quota.unwrap_or_else(|| parsed(default::WRITE_QUOTA)).0,
        }
    }

    fn timing(&mut self, raw: &raw::Timing) -> Timing {
        let hour = Duration::from_secs(3600);
        let settle = self.span(raw.settle, default::SETTLE, "spec.timing.settle", DAY);
        // Reads lag writes by minutes, and an approval lives no longer than this.
        if settle < Duration::from_secs(60) && !settle.is_zero() {
            self.wrong("spec.timing.settle", "too short to believe anything by; write at least 1m");
        }
        Timing {
            interval: self.span(raw.interval, default::INTERVAL, "spec.timing.interval", hour),
            settle,
            request_timeout: self.span(raw.request_timeout, default::REQUEST_TIMEOUT, "spec.timing.requestTimeout", hour),
        }
    }

    fn constant(&mut self, value: Option<String>, path: &str, expected: &str) {
        if let Some(value) = self.need(value, path)
            && value != expected
        {
            self.wrong(path, format!("{value:?} is not known here; write {expected}"));
        }
    }

    /// Reports what is missing, once: not what is in the file but wrong, nor what lies in something missing.
    pub(super) fn need<T>(&mut self, value: Option<T>, path: &str) -> Option<T> {
        let parent = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
        if value.is_none() && !self.places.has(path) && (parent.is_empty() || self.places.has(parent)) {
            self.wrong(path, "missing; it has no default");
        }
        value
    }

    fn count(&mut self, value: Option<u32>, default: u32, path: &str, least: u32) -> u32 {
        let value = value.unwrap_or(default);
        if value < least {
            self.wrong(path, format!("{value} is too few; write at least {least}"));
        }
        value
    }

    fn span(&mut self, value: Option<Span>, default: &str, path: &str, most: Duration) -> Duration {
        let Span(value) = value.unwrap_or_else(|| parsed(default));
        if value.is_zero() {
            self.wrong(path, "no time at all; write a duration above zero, as \"30s\"");
        } else if value > most {
            self.wrong(path, format!("longer than is of use; write at most {}", humantime::format_duration(most)));
        }
        value
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.places.has(path)
    }

    /// Where it is set to something.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    pub(super) fn file(&self, FilePath(path): FilePath) -> PathBuf {
        self.folder.join(path)
    }

    pub(super) fn wrong(&mut self, path: &str, what: impl Display) {
        self.mistakes.push(Mistake { place: self.places.value(path), path: path.to_owned(), what: what.to_string() });
    }
}

fn parsed<T: TryFrom<Plain, Error = String>>(default: &str) -> T {
    T::try_from(Plain(default.to_owned())).expect("a default has the form of its field")
}
