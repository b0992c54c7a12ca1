//! Rules and dashboard speak of what is there: metrics, labels, the runbook. `checks/watch` runs them on a real Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use unscim::model::condition::Reason;
use unscim::model::status::Brake;
use unscim::serve::metrics::Metrics;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// Every rule: alerts and records.
fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read("deploy/prometheus/rules.yaml")).unwrap();
    file["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/unscim.json")).unwrap()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter()
}

/// Title of the panel and query.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let of_panel = |panel: &Value| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.iter().map(|target| (text(panel, "title").to_owned(), text(target, "expr").to_owned())).collect::<Vec<_>>()
    };
    panels(dashboard).flat_map(of_panel).collect()
}

/// Series of a fresh process -> label -> values.
fn shown() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut shown: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for line in Metrics::new().described().unwrap().lines().filter(|line| !line.starts_with('#')) {
        let sample = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let of_name = shown.entry(name.to_owned()).or_default();
        for (label, value) in labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\"")) {
            of_name.entry(label.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
        }
    }
    shown
}

/// Names of metrics in a query, each with the matchers behind it.
fn used(expr: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(start) = rest.find(is_name) {
        let end = rest[start..].find(|c| !is_name(c)).map_or(rest.len(), |length| start + length);
        let (name, behind) = (&rest[start..end], &rest[end..]);
        if name.contains("unscim_") {
            let matchers = behind.strip_prefix('{').and_then(|inner| inner.split_once('}')).map_or("", |(inner, _)| inner);
            found.push((name, matchers));
        }
        rest = behind;
    }
    found
}

/// `a="x",b=~"y|z"` -> label and value; a pattern stands for itself where it is more than a list.
fn matched(matchers: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = matchers.split("\",").filter_map(|pair| pair.split_once('"'));
    pairs.flat_map(|(label, values)| {
        values.trim_end_matches('"').split('|').map(move |value| (label.trim_end_matches(['=', '~', '!']), value))
    })
}

fn assert_known(place: &str, expr: &str) {
    let shown = shown();
    let recorded: BTreeSet<String> = rules().iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned)).collect();
    let found = used(expr);
    assert!(!found.is_empty(), "{place} names no metric: {expr}");
    for (name, matchers) in found {
        if recorded.contains(name) {
            continue;
        }
        let labels = shown.get(name).unwrap_or_else(|| panic!("{place}: there is no {name}"));
        for (label, value) in matched(matchers).filter(|(label, _)| !["job", "instance"].contains(label)) {
            let values = labels.get(label).unwrap_or_else(|| panic!("{place}: {name} has no label {label}"));
            assert!(
                value.contains(['.', '*']) || values.contains(value),
                "{place}: {name} never has {label}={value}, only {values:?}"
            );
        }
    }
}

/// The places in the runbook to which an alert may lead.
fn anchors(runbook: &str) -> Vec<String> {
    let brakes = Brake::ALL.iter().map(|brake| brake.label()).chain(["preflight", "refused"]);
    if let Some(page) = runbook.strip_suffix("{{ $labels.brake }}") {
        return brakes.map(|brake| format!("{page}{brake}")).collect();
    }
    if let Some(page) = runbook.strip_suffix("{{ $labels.reason | toLower }}") {
        return Reason::ALL.iter().map(|reason| format!("{page}{}", reason.as_str().to_lowercase())).collect();
    }
    vec![runbook.to_owned()]
}

#[test]
fn every_rule_and_every_panel_asks_for_metrics_and_labels_that_are_there() {
    for rule in rules() {
        assert_known(rule["alert"].as_str().or(rule["record"].as_str()).unwrap(), text(&rule, "expr"));
    }
    let dashboard = dashboard();
    assert!(queries(&dashboard).len() > 30);
    for (panel, expr) in queries(&dashboard) {
        assert_known(&panel, &expr);
    }
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() {
    let headings: BTreeSet<String> = read("docs/reasons.md")
        .lines()
        .filter_map(|line| line.strip_prefix("###").map(|rest| rest.trim_start_matches('#').trim().to_lowercase()))
        .collect();
    let alerts = alerts();
    assert!(alerts.len() > 15);
    for alert in &alerts {
        let name = text(alert, "alert");
        assert!(name.starts_with("Unscim") && alert["for"].is_string(), "{name}");
        assert!(["critical", "warning", "info"].contains(&text(&alert["labels"], "severity")), "{name}");
        let annotations = &alert["annotations"];
        assert!(!text(annotations, "summary").contains('\n') && text(annotations, "description").ends_with('.'), "{name}");
        for place in anchors(text(annotations, "runbook")) {
            let anchor = place.strip_prefix("docs/reasons.md#").unwrap_or_else(|| panic!("{name}: {place}"));
            assert!(headings.contains(anchor), "{name}: docs/reasons.md has no {anchor}");
        }
    }
    // Entries of the runbook for alerts that are gone.
    let names: BTreeSet<String> = alerts.iter().map(|alert| text(alert, "alert").to_lowercase()).collect();
    let stale: Vec<_> = headings.iter().filter(|heading| heading.starts_with("unscim") && !names.contains(*heading)).collect();
    assert!(stale.is_empty(), "{stale:?}");
}

#[test]
fn the_page_about_monitoring_names_every_alert_by_its_severity() {
    let page = read("docs/monitoring.md");
    for severity in ["critical", "warning", "info"] {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{severity}` |"))).unwrap();
        let named: BTreeSet<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        let alerts = alerts();
        let of_severity = alerts.iter().filter(|alert| alert["labels"]["severity"] == severity);
        assert_eq!(named, of_severity.map(|alert| text(alert, "alert")).collect(), "{severity}");
    }
}

#[test]
fn every_alert_is_shown_firing_and_every_record_is_used() {
    let tests = read("deploy/prometheus/rules.test.yaml");
    for alert in alerts() {
        let name = text(&alert, "alert");
        assert!(tests.contains(&format!("alertname=\"{name}\",severity")), "no test shows {name} firing");
    }
    let dashboard = dashboard();
    let mut asked: Vec<String> = queries(&dashboard).into_iter().map(|(_, expr)| expr).collect();
    asked.extend(alerts().iter().map(|alert| text(alert, "expr").to_owned()));
    for record in rules().iter().filter_map(|rule| rule["record"].as_str()) {
        assert!(asked.iter().any(|expr| expr.contains(record)), "{record} is recorded for nobody");
    }
}

#[test]
fn the_dashboard_has_one_panel_in_each_place_and_asks_the_data_source_that_is_chosen() {
    let dashboard = dashboard();
    let variables: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|variable| text(variable, "name")).collect();
    assert_eq!(variables, ["datasource", "job", "instance"]);
    assert!(dashboard["schemaVersion"].as_u64() >= Some(39));
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels(&dashboard) {
        let title = text(panel, "title");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{title} leaves the grid");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(places.insert(cell), "{title} lies over another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(text(panel, "description").ends_with('.'), "{title} does not say what it shows");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            for selector in used(text(target, "expr")).into_iter().map(|(_, matchers)| matchers) {
                assert!(selector.starts_with("job=\"$job\",instance=\"$instance\""), "{title}: {selector}");
            }
        }
    }
    let rows: Vec<&str> = panels(&dashboard).filter(|panel| panel["type"] == "row").map(|panel| text(panel, "title")).collect();
    assert_eq!(rows[..2], ["Is anybody hurt?", "How far is it?"]);
}
