//! `unscim report` over a whole retirement, held against what the practice tenant and its app really hold.

use std::collections::BTreeSet;

use serde_json::Value;
use unscim::model::id::UserId;
use unscim::model::spec::Mode;

use crate::support::{Rig, output, stderr, stdout};

async fn report(data: &str) -> Value {
    let made = output(&["report", "--data-dir", data, "--format", "json"]).await;
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    serde_json::from_str(stdout(&made)).unwrap()
}

fn list<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report[name].as_array().unwrap_or_else(|| panic!("{name}: {report:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_tells_what_was_done_and_seen_and_says_kept_only_when_it_was_read() {
    let rig = Rig::new(Mode::Enforce).await;
    let data = rig.data().to_str().unwrap().to_owned();
    let none = output(&["report", "--data-dir", &data]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("there is no ledger in"), "{}", stderr(&none));

    let mut daemon = rig.start();
    daemon.until_phase("EmptyingGroups").await;
    let early = report(&data).await;
    assert_eq!(early["proven"], false);
    assert!(early["result"].as_str().unwrap().starts_with("not proven"), "{}", early["result"]);
    assert!(list(&early, "users").iter().all(|user| user["after"].is_null()));
    daemon.until_phase("AwaitingRevocation").await;
    rig.served.practice.revoke_token().unwrap();
    daemon.until_phase("Retired").await;
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));

    let practice = &rig.served.practice;
    let made = report(&data).await;
    assert_eq!(made["proven"], true);
    let users = list(&made, "users");
    let kept = users.iter().filter(|user| user["after"]["verdict"] == "kept").count();
    let result = made["result"].as_str().unwrap();
    assert!(result.starts_with(&format!("{kept} of {kept} users kept")), "{result}");
    let records = practice.scim_app().unwrap().users();
    for user in users {
        let id: UserId = serde_json::from_value(user["id"].clone()).unwrap();
        let now = practice.scim_user(id).map(|scim| scim.to_string());
        assert_eq!(user["before"]["id"].as_str(), now.as_deref(), "{user:#}");
        assert_eq!(user["after"]["record"], user["before"], "the same record, no less active: {user:#}");
        let there = records.iter().find(|record| record["id"].as_str() == now.as_deref());
        assert_eq!(there.map(|record| &record["active"]), Some(&user["after"]["record"]["active"]));
        assert!(!list(user, "through").is_empty() && !list(user, "roles").is_empty());
    }
    assert!(list(&made, "groups").iter().all(|group| group["gone"] == true && group["unassignedAt"].is_string()));

    // Every write that Graph has seen, with an id of its own.
    let writes: Vec<_> = list(&made, "writes").iter().filter(|write| write["action"] != "RequestRevocation").collect();
    assert_eq!(writes.len(), practice.writes().len());
    let ids: BTreeSet<_> = writes.iter().filter_map(|write| write["ending"]["requestId"].as_str()).collect();
    assert_eq!(ids.len(), writes.len());
    let cycles = list(&made, "witnessed").iter().filter(|one| one["event"] == "cycle").count();
    assert!(cycles >= 4, "{cycles}");
    assert_eq!(made["revocationProof"]["rejections"].as_array().map(Vec::len), Some(3), "{:#}", made["revocationProof"]);
    assert!(!made.to_string().contains(&practice.scim_token()));

    let page = output(&["report", "--data-dir", &data]).await;
    let page = stdout(&page);
    assert!(page.contains(&format!("<h1 class=\"proven\">{result}</h1>")), "{}", &page[..1500]);
    let was = |words: &str| page.matches(words).count();
    assert_eq!(
        (was("disabled in Entra before it began"), was("disabled in Entra by somebody else")),
        (1, 0),
        "nobody did that meanwhile"
    );
    for part in ["<link", "<script", "<img", "url(", "@import", "src="] {
        assert!(!page.contains(part), "the page needs something else: {part}");
    }
    for id in ids {
        assert!(page.contains(id), "{id}");
    }

    // On a journal that was touched, no report.
    let ledger = rusqlite::Connection::open(rig.data().join("ledger.db")).unwrap();
    ledger.execute_batch("DROP TRIGGER journal_stays; UPDATE journal SET turn = turn + 1 WHERE id = 3").unwrap();
    drop(ledger);
    let broken = output(&["report", "--data-dir", &data]).await;
    assert_eq!((broken.status.code(), stdout(&broken)), (Some(3), ""));
    assert!(stderr(&broken).contains("line 3 is edited"), "{}", stderr(&broken));
}
