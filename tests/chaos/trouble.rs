//! Trouble: odd answers on the wire, and what admins do meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use unscim::model::id::UserId;
use unscim::practice::{Effect, Fault, Place, Practice};

use crate::dice::Dice;

const PATHS: [&str; 10] = [
    "",
    "",
    "/appRoleAssignedTo",
    "/members",
    "/transitiveMembers",
    "/synchronization/jobs",
    "/auditLogs/provisioning",
    "/oauth2/v2.0/token",
    "/scim/v2/Users",
    "/scim/v2/Groups",
];
const STATUS: [(u16, &str); 14] = [
    (400, "Request_BadRequest"),
    (401, "InvalidAuthenticationToken"),
    (403, "Authorization_RequestDenied"),
    (404, "Request_ResourceNotFound"),
    (408, "RequestTimeout"),
    (409, "Directory_ConcurrencyViolation"),
    (412, "PreconditionFailed"),
    (423, "Locked"),
    (429, "TooManyRequests"),
    (500, "InternalServerError"),
    (502, "BadGateway"),
    (503, "ServiceUnavailable"),
    (504, "GatewayTimeout"),
    (509, "BandwidthLimitExceeded"),
];

/// A write may rest on a look of 30 seconds, and is itself on its way for a while.
const OLDEST_LOOK: Duration = Duration::from_secs(90);

/// They are covered as soon as it shows.
pub const MOVES: [&str; 2] = ["join", "unassign"];
/// What takes a group's path from them, on which a rollback rests.
pub const LEAVES: [&str; 2] = ["leave", "unassign the group of"];

pub fn fault(dice: &mut Dice) -> Fault {
    let effect = match dice.below(9) {
        0..=2 => {
            let (status, code) = *dice.of(&STATUS);
            let body = match dice.below(4) {
                0 => String::new(),
                1 => format!("{{\"error\":{{\"code\":\"{code}\",\"message\":{{\"value\":\"odd\"}}}}}}"),
                _ => format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"for a while\",\"innerError\":{{}}}}}}"),
            };
            let headers = if dice.one_in(2) { vec![("retry-after".into(), "3".into())] } else { Vec::new() };
            Effect::Answer { status, headers, body }
        }
        3 => Effect::Delay(dice.seconds(1, 40)),
        4 => Effect::LoseAnswer,
        5 => Effect::Hang,
        6 => Effect::Truncate(dice.below(200)),
        7 => Effect::Html(*dice.of(&[200, 403, 404, 503])),
        _ => {
            let location = "https://login.example.com/".to_owned();
            Effect::Answer { status: 302, headers: vec![("location".into(), location)], body: String::new() }
        }
    };
    let fault = Fault::once(dice.of::<&str>(&PATHS), effect).nth(1 + dice.below(6)).times(1 + dice.below(4));
    match dice.below(4) {
        0 => fault.on(Method::POST),
        1 => fault.on(Method::DELETE),
        2 => fault.on(Method::GET),
        _ => fault,
    }
}

const BUSY: [u16; 5] = [429, 500, 502, 503, 504];
/// Answers that leave open whether it was done.
const OPEN: [u16; 5] = [408, 500, 502, 503, 504];

fn refusal(status: u16) -> String {
    let code = STATUS.iter().find(|(known, _)| *known == status).map_or("FailedDependency", |(_, code)| code);
    format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"not now\",\"innerError\":{{}}}}}}")
}

fn answer(dice: &mut Dice, status: u16) -> Effect {
    let wait = dice.below(40).to_string();
    let headers = if status == 429 || dice.one_in(4) { vec![("Retry-After".into(), wait)] } else { Vec::new() };
    Effect::Answer { status, headers, body: refusal(status) }
}

/// Hits a `$batch`: single items of it, or all of it; now and then many in a row.
pub fn batch(dice: &mut Dice) -> Fault {
    let times = if dice.one_in(4) { 5 + dice.below(40) } else { 1 + dice.below(3) };
    if dice.one_in(4) {
        let status = *dice.of(&BUSY);
        let effect = answer(dice, status);
        return Fault::once("/$batch", effect).at(Place::Alone).nth(1 + dice.below(3)).times(times.min(8));
    }
    let effect = match dice.below(6) {
        0 => answer(dice, 429),
        1 => answer(dice, 503),
        2 => {
            let status = *dice.of(&[403, 404, 424, 500]);
            answer(dice, status)
        }
        3 | 4 => {
            let status = *dice.of(&OPEN);
            Effect::Belie { status, headers: Vec::new(), body: refusal(status) }
        }
        _ => Effect::LoseAnswer,
    };
    let path = *dice.of(&["", "/members/", "/appRoleAssignedTo", "/appRoleAssignedTo/", "/users/"]);
    let fault = Fault::once(path, effect).at(Place::Inside).nth(1 + dice.below(8)).times(times);
    if dice.one_in(2) { fault.on(Method::DELETE) } else { fault }
}

/// Reads of one kind are slow for a long time.
pub fn slow(dice: &mut Dice) -> Vec<Fault> {
    let path = *dice.of(&["", "/members", "/appRoleAssignedTo", "/synchronization", "/$batch", "/scim/v2/"]);
    let burst = |dice: &mut Dice| {
        let fault = Fault::once(path, Effect::Delay(dice.seconds(2, 20))).times(3 + dice.below(20));
        if path == "/$batch" { fault } else { fault.on(Method::GET) }
    };
    (0..1 + dice.below(4)).map(|_| burst(dice)).collect()
}

/// The service's clock is wrong on single answers.
pub fn date(dice: &mut Dice) -> Fault {
    let off = *dice.of(&[5 * 365 * DAY, 100 * DAY, DAY, HOUR, -HOUR, -5 * HOUR, -DAY]);
    let effect = Effect::Date(SignedDuration::from_secs(off));
    Fault::once(dice.of::<&str>(&PATHS), effect).at(Place::Alone).nth(1 + dice.below(6)).times(1 + dice.below(3))
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Seconds by which our clock jumps.
pub fn step(dice: &mut Dice) -> i64 {
    let size = *dice.of(&[60, 300, HOUR, 5 * HOUR, DAY]);
    if dice.one_in(2) { size } else { -size }
}

/// What admins have done, so that the oracle asks nothing of those whom they touched.
#[derive(Debug, Default)]
pub struct Admins {
    pub touched: BTreeSet<UserId>,
    pub told: Vec<String>,
    pub rows_made_again: bool,
    /// What was done to whom; nobody named: to a whole group.
    deeds: Vec<(Timestamp, &'static str, Option<UserId>)>,
}

impl Admins {
    /// One act; most of them concern one user.
    pub fn act(&mut self, dice: &mut Dice, practice: &Practice) {
        let ids = practice.ids();
        let everyone: Vec<UserId> = ids.users.iter().chain(&ids.nested_only).chain([&ids.outsider]).copied().collect();
        let (user, group) = (*dice.of(&everyone), *dice.of(&ids.groups));
        let role = *dice.of(&[ids.role_user, ids.role_admin]);
        let admin = practice.admin();
        let (what, done) = match dice.below(14) {
            0..=2 => ("join", admin.join(user, group)),
            3 | 4 => ("leave", admin.leave(user, group)),
            5 => ("disable", admin.disable(user)),
            6 => ("enable", admin.enable(user)),
            7 if dice.one_in(3) => ("delete", admin.delete_user(user)),
            8 => ("assign", admin.assign_user(user, role).map(drop)),
            9 => ("unassign", admin.unassign_user(user)),
            10 => {
                let done = admin.unassign_group(group);
                if done.is_ok() {
                    // Whoever had only this one is out by the admin's hand.
                    self.touched.extend(&ids.users);
                }
                ("unassign the group of", done)
            }
            11 => {
                self.rows_made_again = true;
                ("assign the group of", admin.assign_group(group, role).map(drop))
            }
            12 => {
                admin.pause_job();
                ("pause the job, not", Ok(()))
            }
            _ => {
                admin.start_job();
                ("start the job, not", Ok(()))
            }
        };
        if done.is_ok() {
            self.touched.insert(user);
            self.rows_made_again |= what == "join";
            let whom = (what != "unassign the group of").then_some(user);
            self.deeds.push((practice.now(), what, whom));
            self.told.push(format!("{} admin: {what} {user}, group {group}", practice.now()));
        }
    }

    /// Whether a look that lags could not yet show, at that time, one of these acts that concerns this user.
    pub fn has_just(&self, acts: &[&str], user: UserId, at: Timestamp, lag: Duration) -> bool {
        let unseen = lag + OLDEST_LOOK;
        self.deeds.iter().any(|(when, what, whom)| {
            acts.contains(what)
                && whom.is_none_or(|who| who == user)
                && Duration::try_from(at.duration_since(*when)).is_ok_and(|since| since <= unseen)
        })
    }

    /// Whether an admin has taken that user out, or a group with whoever was in it, at that time or later.
    pub fn has_taken_out(&self, user: UserId, at: Timestamp) -> bool {
        const OUT: [&str; 5] = ["leave", "disable", "delete", "unassign", "unassign the group of"];
        self.deeds.iter().any(|(when, what, whom)| *when >= at && OUT.contains(what) && whom.is_none_or(|who| who == user))
    }

    pub fn give_groups_back(&mut self, practice: &Practice) {
        let ids = practice.ids();
        for group in &ids.groups {
            if practice.admin().assign_group(*group, ids.role_user).is_ok() {
                self.rows_made_again = true;
                self.told.push(format!("{} admin: assign group {group} again", practice.now()));
            }
        }
    }

    /// Nothing stays as it would hold the guide up for good.
    pub fn make_good(&mut self, practice: &Practice) {
        practice.admin().start_job();
        practice.faults().clear();
        self.told.push(format!("{} all is quiet", practice.now()));
    }
}

/// Between two turns: often what the daemon wants, sometimes next to nothing, sometimes a night.
pub fn pause(dice: &mut Dice, wanted: Duration) -> Duration {
    match dice.below(8) {
        0 => dice.seconds(0, 5),
        1 => dice.seconds(600, 7200),
        _ => wanted,
    }
}
