//! What can befall a request on its way, and copies of the directory that answer in turn: what is seen of it outside, when it
//! ends, and what the tenant counts.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use unscim::model::id::UserId;
use unscim::practice::scenario::{Replicas, Scenario};
use unscim::practice::{Effect, Fault, Place};

use crate::caller::{Answer, Caller};
use crate::{MINUTE, small};

const LATER: &str = r#"{"error":{"code":"ServiceUnavailable","message":"later"}}"#;

fn busy() -> Effect {
    Effect::Answer { status: 503, headers: vec![("Retry-After".into(), "3".into())], body: LATER.into() }
}

fn belied() -> Effect {
    Effect::Belie { status: 503, headers: vec![("Retry-After".into(), "3".into())], body: LATER.into() }
}

impl Caller {
    fn post_row(&self, user: UserId) -> Value {
        let ids = self.practice.ids();
        let body = json!({"principalId": user, "resourceId": ids.service_principal, "appRoleId": ids.role_admin});
        let headers = json!({"Content-Type": "application/json"});
        json!({"method": "POST", "url": format!("{}/appRoleAssignedTo", self.app()), "headers": headers, "body": body})
    }

    /// The envelope's answer, and the items in the order in which they were asked for.
    async fn batch(&self, mut items: Vec<Value>) -> (Answer, Vec<Value>) {
        items.iter_mut().enumerate().for_each(|(n, item)| item["id"] = json!(format!("{n:02}")));
        let answer = self.post("/$batch", json!({"requests": items})).await;
        let mut responses = answer.body["responses"].as_array().cloned().unwrap_or_default();
        responses.sort_by_key(|one| one["id"].as_str().unwrap().to_owned());
        (answer, responses)
    }

    async fn row_is_there(&self, user: UserId) -> bool {
        self.rows().await.iter().any(|row| row["principalId"] == json!(user))
    }
}

fn statuses(items: &[Value]) -> Vec<u64> {
    items.iter().map(|item| item["status"].as_u64().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fault_inside_passes_by_what_comes_alone() {
    let caller = Caller::new(small()).await;
    let (ids, faults) = (caller.practice.ids().clone(), caller.practice.faults());
    faults.add(Fault::once("/appRoleAssignedTo", busy()).on(Method::POST).at(Place::Inside).nth(2).times(2));
    assert_eq!(caller.assign(ids.users[1], ids.role_admin).await.status, 201);
    let (envelope, items) = caller.batch(ids.users[2..7].iter().map(|user| caller.post_row(*user)).collect()).await;
    assert_eq!((envelope.status, statuses(&items)), (200, vec![201, 503, 503, 201, 201]));
    assert_eq!(
        (items[1]["headers"]["Retry-After"].as_str(), items[1]["body"]["error"]["message"].as_str()),
        (Some("3"), Some("later"))
    );
    assert_eq!(faults.waiting(), 0, "it is spent");
    assert!(!caller.row_is_there(ids.users[3]).await && caller.row_is_there(ids.users[5]).await);
    // Alone, and three of five: what was answered without being done is nowhere counted.
    assert_eq!((caller.practice.writes().len(), caller.practice.tally().writes), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_befalls_what_comes_alone_takes_an_envelope_as_one() {
    let caller = Caller::new(small()).await;
    let (ids, faults) = (caller.practice.ids().clone(), caller.practice.faults());
    faults.add(Fault::once("/appRoleAssignedTo", busy()).on(Method::POST).at(Place::Alone));
    faults.add(Fault::once("", busy()).on(Method::POST).at(Place::Alone).nth(2));
    let items = || ids.users[2..5].iter().map(|user| caller.post_row(*user)).collect();
    let (envelope, responses) = caller.batch(items()).await;
    assert_eq!((envelope.status, statuses(&responses), faults.waiting()), (200, vec![201; 3], 2), "both look at what is alone");
    let (envelope, responses) = caller.batch(items()).await;
    assert_eq!((envelope.status, envelope.header("retry-after"), responses.len()), (503, Some("3"), 0), "the second envelope");
    assert_eq!((caller.assign(ids.users[6], ids.role_admin).await.status, faults.waiting()), (503, 0));
    assert_eq!(caller.assign(ids.users[6], ids.role_admin).await.status, 201);
    assert_eq!(caller.practice.writes().len(), 3 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_fault_anywhere_counts_both() {
    let caller = Caller::new(small()).await;
    let (ids, faults) = (caller.practice.ids().clone(), caller.practice.faults());
    faults.add(Fault::once("/appRoleAssignedTo", busy()).on(Method::POST).nth(2).times(2));
    let (_, items) = caller.batch(ids.users[2..4].iter().map(|user| caller.post_row(*user)).collect()).await;
    assert_eq!((statuses(&items), faults.waiting()), (vec![201, 503], 1));
    let alone =
        [caller.assign(ids.users[4], ids.role_admin).await.status, caller.assign(ids.users[4], ids.role_admin).await.status];
    assert_eq!((alone, faults.waiting()), ([503, 201], 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_belied_is_done_and_counted_as_what_it_was() {
    let caller = Caller::new(small()).await;
    let (ids, faults) = (caller.practice.ids().clone(), caller.practice.faults());
    faults.add(Fault::once("/appRoleAssignedTo", belied()).on(Method::POST).times(2));
    let alone = caller.assign(ids.users[3], ids.role_admin).await;
    assert_eq!((alone.status, alone.header("retry-after"), alone.message()), (503, Some("3"), "later"));
    let (envelope, items) = caller.batch(ids.users[4..6].iter().map(|user| caller.post_row(*user)).collect()).await;
    assert_eq!((envelope.status, statuses(&items), faults.waiting()), (200, vec![503, 201], 0));
    assert_eq!(
        (items[0]["headers"]["Retry-After"].as_str(), items[0]["body"]["error"]["code"].as_str()),
        (Some("3"), Some("ServiceUnavailable"))
    );
    for user in &ids.users[3..6] {
        assert!(caller.row_is_there(*user).await);
        assert!(caller.assign(*user, ids.role_admin).await.message().contains("already exists"));
    }
    let counted: Vec<_> = caller.practice.writes().iter().map(|write| write.status).collect();
    assert_eq!(counted, [201, 201, 201, 400, 400, 400]);

    // Whoever falls out of scope by a removal that nobody admits to has fallen out.
    let member = ids.users[4];
    faults.add(Fault::once("/members/", belied()).on(Method::DELETE));
    let row = caller.rows().await.into_iter().find(|row| row["principalId"] == json!(member)).unwrap();
    let row = format!("{}/appRoleAssignedTo/{}", caller.app(), row["id"].as_str().unwrap());
    assert_eq!(caller.delete(&row).await.status, 204);
    let membership = format!("/groups/{}/members/{member}/$ref", ids.groups[1]);
    assert_eq!((caller.delete(&membership).await.status, caller.delete(&membership).await.status), (503, 404));
    let moments = caller.practice.out_of_scope_moments();
    assert_eq!(moments.len(), 1, "{moments:?}");
    assert_eq!((moments[0].user, moments[0].by.as_str()), (member, format!("DELETE {membership}").as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_date_is_off_for_as_long_as_it_says_and_nothing_else_is() {
    let caller = Caller::new(small()).await;
    let (ids, faults) = (caller.practice.ids().clone(), caller.practice.faults());
    let hours = jiff::SignedDuration::from_hours;
    faults.add(Fault::once("/appRoleAssignedTo", Effect::Date(hours(2))).on(Method::POST).times(2));
    faults.add(Fault::once("/appRoleAssignedTo", Effect::Date(hours(-24))).on(Method::GET));
    let mut seen = Vec::new();
    for user in &ids.users[3..6] {
        let made = caller.assign(*user, ids.role_admin).await;
        assert_eq!((made.status, made.body["createdDateTime"].as_str().map(|at| &at[..19])), (201, Some("2026-11-02T08:00:00")));
        seen.push(made.header("date").unwrap()[5..].to_owned());
    }
    let path = format!("{}/appRoleAssignedTo", caller.app());
    for _ in 0..2 {
        let read = caller.get(&path).await;
        assert_eq!(read.items().len(), 5 + 3);
        seen.push(read.header("date").unwrap()[5..].to_owned());
    }
    let on = |day: &str, hour: &str| format!("{day} Nov 2026 {hour}:00:00 GMT");
    assert_eq!(seen, [on("02", "10"), on("02", "10"), on("02", "08"), on("01", "08"), on("02", "08")]);
    assert_eq!(faults.waiting(), 0);
    let now = caller.practice.now();
    assert!(caller.practice.requests().iter().all(|request| request.at == now), "the tenant counts by its own clock");

    // No item of a batch has a date; the fault is spent on it all the same.
    faults.add(Fault::once("/appRoleAssignedTo", Effect::Date(hours(2))).at(Place::Inside));
    let (envelope, items) = caller.batch(vec![caller.post_row(ids.users[7])]).await;
    assert_eq!(
        (statuses(&items), &envelope.header("date").unwrap()[5..], faults.waiting()),
        (vec![201], on("02", "08").as_str(), 0)
    );
    let headers = items[0]["headers"].as_object().unwrap();
    assert!(!headers.keys().any(|name| name.eq_ignore_ascii_case("date")), "{headers:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_done_when_its_time_has_passed_and_what_hangs_is_never_done() {
    let caller = Caller::new(small()).await;
    let (ids, faults) = (caller.practice.ids().clone(), caller.practice.faults());
    faults.add(Fault::once("/appRoleAssignedTo", Effect::Delay(MINUTE)).on(Method::POST));
    let began = tokio::time::Instant::now();
    assert_eq!(caller.assign(ids.users[3], ids.role_admin).await.status, 201);
    assert_eq!(began.elapsed(), MINUTE);
    assert_eq!(caller.assign(ids.users[4], ids.role_admin).await.status, 201);
    assert_eq!(began.elapsed(), MINUTE, "the next one is on time");
    faults.add(Fault::once("/appRoleAssignedTo", Effect::Hang).on(Method::POST));
    assert!(tokio::time::timeout(MINUTE, caller.assign(ids.users[5], ids.role_admin)).await.is_err());
    assert_eq!((caller.practice.writes().len(), caller.row_is_there(ids.users[5]).await, faults.waiting()), (2, false, 0));
}

#[tokio::test(start_paused = true)]
async fn of_two_faults_that_are_due_the_first_strikes_and_what_is_cleared_is_gone() {
    let caller = Caller::new(small()).await;
    let (ids, faults) = (caller.practice.ids().clone(), caller.practice.faults());
    faults.add(Fault::once("/appRoleAssignedTo", belied()).on(Method::POST));
    faults.add(Fault::once("/appRoleAssignedTo", busy()).on(Method::POST).times(9));
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push((
            caller.assign(ids.users[3], ids.role_admin).await.status,
            caller.practice.writes().len(),
            faults.waiting(),
        ));
    }
    assert_eq!(answers, [(503, 1, 1), (503, 1, 1)], "the first was done, the second was not");
    faults.clear();
    assert_eq!((caller.assign(ids.users[3], ids.role_admin).await.status, faults.waiting()), (400, 0));
}

#[tokio::test(start_paused = true)]
async fn copies_of_the_directory_take_turns_and_each_further_one_is_later() {
    const BEHIND: Duration = Duration::from_secs(100);
    let caller = Caller::new(Scenario { replicas: Replicas { count: 3, behind: BEHIND }, ..small() }).await;
    let (ids, user) = (caller.practice.ids().clone(), caller.practice.ids().users[4]);
    assert_eq!(caller.assign(user, ids.role_admin).await.status, 201);
    // A write goes to the directory itself.
    assert_eq!(caller.assign(user, ids.role_admin).await.status, 400);
    let mut seen = Vec::new();
    for _ in 0..4 {
        // A path has turns of its own: here the first copy answers.
        let group = caller.get(&format!("/groups/{}/members?$select=id&n={}", ids.groups[0], seen.len())).await;
        assert_eq!(group.status, 200);
        let mut turns = Vec::new();
        for _ in 0..3 {
            turns.push(caller.row_is_there(user).await);
        }
        seen.push(turns);
        caller.practice.pass(BEHIND).await;
    }
    assert_eq!(seen, [[true, false, false], [true, true, false], [true, true, true], [true, true, true]]);
    assert_eq!(caller.practice.tally().asked, 2 + 4 + 12, "every copy is the same service to its quotas");
}

#[tokio::test(start_paused = true)]
async fn the_pages_of_a_list_come_from_the_copy_of_its_first_page() {
    let replicas = Replicas { count: 2, behind: 10 * MINUTE };
    let caller = Caller::new(Scenario { replicas, page_size: 2, ..small() }).await;
    let ids = caller.practice.ids().clone();
    let whole = async || {
        let (mut path, mut rows) = (format!("{}/appRoleAssignedTo?$top=999", caller.app()), 0);
        loop {
            let page = caller.get(&path).await;
            rows += page.items().len();
            match page.body["@odata.nextLink"].as_str() {
                Some(next) => path = next.to_owned(),
                None => return rows,
            }
        }
    };
    let before = whole().await;
    assert_eq!(whole().await, before);
    for user in &ids.users[3..6] {
        assert_eq!(caller.assign(*user, ids.role_admin).await.status, 201);
    }
    let lists = [whole().await, whole().await, whole().await, whole().await];
    assert_eq!(lists, [before + 3, before, before + 3, before]);
    caller.practice.pass(10 * MINUTE).await;
    assert_eq!([whole().await, whole().await], [before + 3; 2]);
}
