//! The config file: every example loads, every mistake is found at once, at its place and with a remedy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use unscim::config::{load, parse, parse_with, schema};
use unscim::model::spec::{Cloud, Entra, Hold, Mode, Spec};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn example(name: &str) -> String {
    std::fs::read_to_string(examples().join(name)).unwrap()
}

fn read(text: &str) -> Result<Spec, String> {
    parse(text, "f.yaml", Path::new("/etc/unscim")).map_err(|errors| errors.to_string())
}

/// The shortest example with these replacements.
fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = example("observe.yaml");
    for (from, to) in changes {
        assert!(text.contains(from), "the example has no {from:?}");
        text = text.replacen(from, to, 1);
    }
    text
}

fn refused(changes: &[(&str, &str)]) -> String {
    read(&changed(changes)).expect_err("this is refused")
}

#[test]
fn every_example_loads_and_fits_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        let value: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        seen += 1;
    }
    assert!(seen >= 3);
}

#[test]
fn the_published_schema_is_the_one_in_the_code() {
    let published = std::fs::read_to_string(examples().join("unscim.schema.json")).unwrap();
    let current = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    assert!(published == current, "config/unscim.schema.json is stale; run: cargo run -- schema > config/unscim.schema.json");
}

/// Every field of the schema, by its path.
fn fields(schema: &Value, root: &Value, path: &str, found: &mut BTreeSet<String>) {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    for (name, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields(below, root, &path, found);
        found.insert(path);
    }
    if let Some(items) = schema.get("items") {
        fields(items, root, path, found);
    }
}

#[test]
fn the_full_example_shows_every_field_with_its_default() {
    let schema = schema();
    let mut all = BTreeSet::new();
    fields(&schema, &schema, "", &mut all);
    assert!(all.contains(".spec.target.revocation.webhook.headerFiles") && all.contains(".spec.groups.list.members"));
    let text = example("full.yaml");
    for field in &all {
        let name = field.rsplit('.').next().unwrap();
        let shown = text.lines().any(|line| line.trim_start_matches([' ', '#', '-']).starts_with(&format!("{name}:")));
        assert!(shown, "{field} is not in config/full.yaml");
    }
    let full = read(&text).unwrap();
    let short = read(&example("observe.yaml")).unwrap();
    assert_eq!((&full.provisioning, &full.limits, &full.timing), (&short.provisioning, &short.limits, &short.timing));
    assert_eq!((&full.rollout, &full.roles, &full.target), (&short.rollout, &short.roles, &short.target));
    assert_eq!((full.groups.empty_groups, full.entra.cloud), (short.groups.empty_groups, short.entra.cloud));
    assert_eq!(
        (full.entra.authority.as_str(), full.entra.graph.as_str()),
        (short.entra.authority.as_str(), "https://graph.microsoft.com/")
    );
    let parts = ["const", "default"].map(|key| schema.to_string().contains(&format!("\"{key}\"")));
    assert_eq!(parts, [true, true]);
}

#[test]
fn the_spec_is_shown_in_the_words_of_the_file_and_without_a_secret() {
    let spec = serde_json::to_value(read(&example("full.yaml")).unwrap()).unwrap();
    assert_eq!(spec["limits"]["maxShrink"], "10%");
    assert_eq!(spec["timing"]["interval"], "1m");
    assert_eq!(spec["provisioning"]["cycleTimeout"], "6h");
    assert_eq!(spec["target"]["profile"], "uniqkey");
    assert_eq!(spec["entra"]["app"]["servicePrincipalId"], "22222222-2222-2222-2222-222222222222");
    assert_eq!(spec["entra"]["credential"]["clientSecretFile"], "/run/secrets/unscim/client-secret");
}

#[test]
fn a_relative_path_starts_at_the_folder_of_the_file() {
    let text = changed(&[("/run/secrets/unscim/scim-token", "secrets/token")]);
    assert_eq!(read(&text).unwrap().target.token_file, Path::new("/etc/unscim/secrets/token"));
}

#[test]
fn every_mistake_has_its_place_and_a_remedy() {
    let secret = "clientSecretFile: /run/secrets/unscim/client-secret";
    let id = "servicePrincipalId: 22222222-2222-2222-2222-222222222222";
    let cases: &[(&str, &str, &str)] = &[
        ("mode: Observe", "mode: Watch", "f.yaml:7:9: spec.mode: \"Watch\" is not known here; write Observe or Enforce"),
        ("mode: Observe", "mdoe: Observe", "f.yaml:7:3: spec.mdoe: unknown field; did you mean mode?\n"),
        ("  mode: Observe\n", "", "spec.mode: missing; it has no default"),
        ("mode: Observe", "mode:", "spec.mode: missing"),
        ("mode: Observe", "mode: [Observe]", "f.yaml:7:9: spec.mode"),
        (
            "mode: Observe",
            "mode: Observe\n  speed: 9",
            "f.yaml:8:3: spec.speed: unknown field; known here: mode, hold, approval, entra",
        ),
        (
            "unscim.dev/v1alpha1",
            "unscim.dev/v2",
            "f.yaml:2:13: apiVersion: \"unscim.dev/v2\" is not known here; write unscim.dev/v1alpha1",
        ),
        ("ScimRetirement", "Deployment", "kind: \"Deployment\" is not known here; write ScimRetirement"),
        ("name: uniqkey", "name: Uniq Key", "metadata.name: \"Uniq Key\" is no name; use 1 to 63"),
        (
            "11111111-1111-1111-1111-111111111111",
            "contoso",
            "f.yaml:9:15: spec.entra.tenantId: \"contoso\" is no id; an id looks like",
        ),
        ("11111111-1111-1111-1111-111111111111", "12", "spec.entra.tenantId: integer `12`, expected a string"),
        (
            id,
            "appId: 22222222-2222-2222-2222-222222222222\n      displayName: Uniqkey",
            "spec.entra.app: appId and displayName together; keep one of them",
        ),
        (id, "{}", "spec.entra.app: names no app; give one of servicePrincipalId, appId and displayName"),
        (
            secret,
            "clientSecret: hunter2",
            "spec.entra.credential.clientSecret: secrets never stand in this file; put it into a file of its own and name that with clientSecretFile",
        ),
        (
            secret,
            "clientSecretFile: s\n      managedIdentity: {}",
            "spec.entra.credential: clientSecretFile and managedIdentity together; keep one kind of credential",
        ),
        (
            secret,
            "privateKeyFile: k\n      federatedTokenFile: t",
            "privateKeyFile and federatedTokenFile together; keep one kind of credential",
        ),
        (secret, "certificateFile: c", "spec.entra.credential.privateKeyFile: missing; it has no default"),
        (secret, "privateKeyFile: k", "spec.entra.credential.certificateFile: missing; it has no default"),
        (
            secret,
            "managedIdentity: { clientId: x }",
            "spec.entra.credential.managedIdentity.clientId: unknown field; leave it out",
        ),
        (secret, "managedIdentity: true", "spec.entra.credential.managedIdentity: "),
        (secret, "privateKey: hunter2", "put it into a file of its own and name that with privateKeyFile"),
        (secret, "federatedToken: hunter2", "secrets never stand in this file"),
        (
            "clientId: 33333333-3333-3333-3333-333333333333\n      clientSecretFile: /run/secrets/unscim/client-secret",
            "{}",
            "spec.entra.credential: names no credential; give one of clientSecretFile, certificateFile with privateKeyFile, federatedTokenFile and managedIdentity: {}",
        ),
        ("select: AllAssigned", "select: Listed", "spec.groups.list: names no group; list the ids"),
        ("select: AllAssigned", "list: []", "spec.groups.list: names no group"),
        ("select: AllAssigned", "list: 44444444-4444-4444-4444-444444444444", "expected a list"),
        (
            "select: AllAssigned",
            "list: [{id: 44444444-4444-4444-4444-444444444444}, {id: 44444444-4444-4444-4444-444444444444}]",
            "f.yaml:16:61: spec.groups.list[1].id: group 44444444-4444-4444-4444-444444444444 stands here twice; keep one entry",
        ),
        (
            "select: AllAssigned",
            "select: AllAssigned\n    acknowledge: [Everything]",
            "spec.groups.acknowledge[0]: \"Everything\" is not known here; write UndiscoverableUses or TargetGroupContent or OtherTenantUrl",
        ),
        (
            "https://app.example.com/scim/v2",
            "http://app.example.com/scim/v2",
            "spec.target.scimUrl: http:// is accepted for loopback addresses only; use https://",
        ),
        ("https://app.example.com/scim/v2", "https://me:hunter2@app.example.com", "an address with a user or a password in it"),
        ("https://app.example.com/scim/v2", "app.example.com", "not an address"),
        ("https://app.example.com/scim/v2", "ftp://app.example.com", "ftp:// can't be used; use https://"),
        (
            "profile: uniqkey",
            "profile: uniqkey\n    revocation: { by: Webhook }",
            "spec.target.revocation: by: Webhook without a webhook",
        ),
        (
            "profile: uniqkey",
            "profile: uniqkey\n    revocation: { webhook: { url: \"https://a.example\" } }",
            "a webhook that would never be called",
        ),
        (
            "profile: uniqkey",
            "profile: uniqkey\n    revocation: { confirmations: 1 }",
            "spec.target.revocation.confirmations: 1 is too few; write at least 2",
        ),
        ("profile: uniqkey", "profile: uniqkey\n    readInterval: 0s", "spec.target.readInterval: no time at all"),
        ("profile: uniqkey", "profile: uniqkey\n    readInterval: 5 parsecs", "is no duration"),
        ("profile: uniqkey", "profile: uniqkey\n    readInterval: 300", "spec.target.readInterval: \"300\" is no duration"),
        ("mode: Observe", "mode: Observe\n  limits: { maxShrink: 0.5 }", "\"0.5\" is no share; write it in whole percent"),
        ("mode: Observe", "mode: Observe\n  limits: { writeQuota: 3000 }", "\"3000\" is no quota; write it as \"3000/150s\""),
        ("mode: Observe", "mode: Observe\n  limits: { maxShrink: [] }", "spec.limits.maxShrink: "),
        ("mode: Observe", "mode: Observe\n  limits: { maxShrink: 10 }", "spec.limits.maxShrink"),
        ("mode: Observe", "mode: Observe\n  limits: { maxShrink: 110% }", "\"110%\" is no share; write it in whole percent"),
        (
            "mode: Observe",
            "mode: Observe\n  limits: { maxUsers: -1 }",
            "spec.limits.maxUsers: integer `-1`, expected a whole number",
        ),
        ("mode: Observe", "mode: Observe\n  limits: { maxUsers: 0 }", "spec.limits.maxUsers: 0 is too few; write at least 1"),
        ("mode: Observe", "mode: Observe\n  limits: { writeShare: 0% }", "0% would never write anything"),
        (
            "mode: Observe",
            "mode: Observe\n  timing: { interval: 2h }",
            "spec.timing.interval: longer than is of use; write at most 1h",
        ),
        ("mode: Observe", "mode: Observe\n  timing: { settle: 59s }", "spec.timing.settle: too short to believe anything by"),
        ("mode: Observe", "mode: Observe\n  provisioning: { verifyCycles: 0 }", "0 is too few; write at least 1"),
        (
            "mode: Observe",
            "mode: Observe\n  roles: { admin: 22222222-2222-2222-2222-222222222222 }",
            "spec.roles.admin: \"admin\" is no id",
        ),
        ("mode: Observe", "mode: Observe\n  mode: Enforce", "f.yaml:8:3: "),
        ("mode: Observe", "mode: Observe\n\tentra: 1", "no valid YAML: while scanning a plain scalar, found a tab"),
        ("mode: Observe", "mode: \"Observe", "f.yaml:"),
        ("metadata:\n  name: uniqkey", "metadata: 5", "f.yaml:4:11: metadata: integer `5`, expected a map of fields"),
    ];
    for (from, to, expected) in cases {
        let message = refused(&[(from, to)]);
        assert!((message + "\n").contains(expected), "{from:?} -> {to:?}:\n{}\nexpected: {expected}", refused(&[(from, to)]));
        assert!(!refused(&[(from, to)]).contains("hunter2"), "a secret is repeated");
    }
}

/// Of a duration that has one part; what has several only the program adds up.
#[test]
fn the_schema_refuses_the_settle_that_the_program_refuses() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let refused = [
        "0s",
        "1s",
        "10s",
        "059s",
        "59.9s",
        "9 seconds",
        "10 sec",
        "59999ms",
        "1 millis",
        "59999999us",
        "5ns",
        "0m",
        "0.5min",
        "0h",
    ];
    let taken = [
        "60s",
        "060s",
        "100s",
        "60.5 secs",
        "60000ms",
        "60000000us",
        "60000000000ns",
        "1m",
        "1.5m",
        "10m",
        "20 minutes",
        "0h 5m",
        "1m 10s",
        "1h",
    ];
    for (settle, fits) in refused.map(|settle| (settle, false)).into_iter().chain(taken.map(|settle| (settle, true))) {
        let text = changed(&[("mode: Observe", &format!("mode: Observe\n  timing: {{ settle: {settle} }}"))]);
        assert_eq!(read(&text).is_ok(), fits, "{settle} in the program");
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(validator.is_valid(&value), fits, "{settle} in the schema");
    }
}

#[test]
fn one_mistake_gives_one_message() {
    for (from, to) in [
        ("  mode: Observe\n", ""),
        ("mode: Observe", "mode: Watch"),
        ("11111111-1111-1111-1111-111111111111", "contoso"),
        ("    select: AllAssigned", "    list: 7"),
        ("profile: uniqkey", "profile: 7"),
        ("      clientSecretFile: /run/secrets/unscim/client-secret\n", ""),
        ("mode: Observe", "mode: Observe\n  mode: Enforce"),
    ] {
        let message = refused(&[(from, to)]);
        assert_eq!(message.lines().count(), 1, "{from:?} -> {to:?}:\n{message}");
    }
    assert_eq!(
        read("apiVersion: unscim.dev/v1alpha1\nkind: ScimRetirement\nmetadata: {name: a}\n").unwrap_err().lines().count(),
        1
    );
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let message = refused(&[
        ("v1alpha1", "v2"),
        ("name: uniqkey", "nam: uniqkey"),
        ("mode: Observe", "mode: Watch"),
        ("11111111-1111-1111-1111-111111111111", "contoso"),
        ("clientSecretFile:", "clientSecret:"),
        ("select: AllAssigned", "select: Some"),
        ("https://", "http://"),
        ("profile: uniqkey", "profile: Uniqkey\n    readInterval: soon"),
    ]);
    let lines: Vec<&str> = message.lines().collect();
    // A wrong name is also a missing one, twice here (`nam`, `clientSecret`).
    assert_eq!(lines.last(), Some(&"12 mistakes"), "{message}");
    let places: Vec<u64> = lines[..lines.len() - 1].iter().map(|line| line.split(':').nth(1).unwrap().parse().unwrap()).collect();
    assert!(places.is_sorted(), "{message}");
}

#[test]
fn what_is_no_config_is_refused_in_one_line() {
    let deep = "a: ".to_owned() + &"[".repeat(5000);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    let cases = [
        "",
        "\n\n",
        "# nothing\n",
        "- a\n- b\n",
        "text",
        "42",
        "{",
        "\u{feff}",
        "a: b: c",
        &deep,
        bomb,
        "--- \na: 1\n--- \nb: 2\n",
        "\0",
        "!!binary x",
        "? [a]\n: b\n",
    ];
    for text in cases {
        let message = read(text).unwrap_err();
        assert!(message.starts_with("f.yaml:") && message.len() < 2000, "{:?}: {message}", &text[..text.len().min(40)]);
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_fine() {
    let text = format!("\u{feff}{}", example("observe.yaml").replace('\n', "\r\n"));
    assert_eq!(read(&text).unwrap().mode, Mode::Observe);
}

#[test]
fn a_file_that_is_not_there_not_text_or_too_large_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("unscim.yaml");
    let message = |path: &Path| load(path).unwrap_err().to_string();
    assert!(message(&path).contains("unscim.yaml:1:1: can't be read"));
    assert!(message(dir.path()).contains("can't be read"));
    std::fs::write(&path, [0xff, 0xfe, 0x41]).unwrap();
    assert!(message(&path).contains("not UTF-8 text; save it as UTF-8"));
    std::fs::write(&path, "a: ".to_owned() + &"x".repeat(10 << 20)).unwrap();
    assert!(message(&path).contains("is this the right file?"));
}

#[test]
fn no_garbling_makes_it_panic() {
    let good = example("full.yaml");
    let pieces = ["\n", "  ", ":", "- ", "{", "}", "[", "\"", "\t", "null", "0", "%", "&a", "*a", "é", "!!str ", "# "];
    for seed in 0..600 {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut text: Vec<char> = good.chars().collect();
        for _ in 0..chance.random_range(1..6) {
            let at = chance.random_range(0..text.len());
            let end = (at + chance.random_range(0..12)).min(text.len());
            let piece = pieces[chance.random_range(0..pieces.len())];
            text.splice(at..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(message) = read(&text) {
            assert!(message.starts_with("f.yaml:"), "seed {seed}: {message}");
        }
    }
}

#[test]
fn windows_and_released_users_are_read_and_their_mistakes_told() {
    let with = |lines: &str| changed(&[("spec:\n", &format!("spec:\n{lines}"))]);
    let spec = read(&with(
        "  hold: Held\n  released: [99999999-9999-9999-9999-999999999999, \"record:ada@x\"]\n  windows:\n    timeZone: Europe/Copenhagen\n    open:\n      - { days: [Sat], from: \"22:00\", to: \"06:30\" }\n      - { from: \"00:00\", to: \"24:00\" }\n",
    ))
    .unwrap();
    assert_eq!((spec.hold, spec.released.len()), (Hold::Held, 1));
    assert_eq!(spec.released_records.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ada@x"]);
    let windows = serde_json::to_value(spec.windows.unwrap()).unwrap();
    assert_eq!(windows["open"][0], serde_json::json!({"days": ["Sat"], "from": "22:00", "to": "06:30"}));
    let refused = read(&with(
        "  released: [x, \"record:\", \"record:y\", \"record:y\"]\n  windows:\n    timeZone: Europe/Atlantis\n    open:\n      - { days: [Caturday], from: 22:00, to: \"25:00\" }\n      - { days: [], from: \"01:00\", to: \"01:00\" }\n      - { from: \"01:00\" }\n",
    ))
    .unwrap_err();
    for words in [
        "\"x\" is no id",
        "\"record:\" is no id",
        "\"Europe/Atlantis\" is no time zone",
        "Caturday",
        "\"25:00\" is no time of day",
        "spec.windows.open[1].days",
        "the same as from",
        "spec.windows.open[2].to: missing",
    ] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let listed = "44444444-4444-4444-4444-444444444444";
    let with = |lines: &str| {
        let list = format!("    list: [{{ id: {listed} }}]");
        changed(&[("spec:\n", &format!("spec:\n{lines}")), ("    select: AllAssigned", &list)])
    };
    let waved = read(&with(&format!("  rollout:\n    waves: [[{listed}]]\n"))).unwrap();
    assert_eq!(serde_json::to_value(&waved.rollout).unwrap(), serde_json::json!({"waves": [[listed]]}));
    assert_eq!(serde_json::to_value(read(&with("  rollout: SmallestFirst\n")).unwrap().rollout).unwrap(), "SmallestFirst");
    let stranger = "99999999-9999-9999-9999-999999999999";
    let refused = read(&with(&format!("  rollout:\n    waves: [[{stranger}, {stranger}], [], [x]]\n"))).unwrap_err();
    for words in [
        "spec.rollout.waves[0][0]: group 99999999-9999-9999-9999-999999999999 is not in groups.list",
        "stands in the waves twice",
        "a wave without a group",
        "\"x\" is no id",
        "44444444-4444-4444-4444-444444444444 of groups.list in no wave",
    ] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    assert!(read(&with("  rollout: Sometimes\n")).unwrap_err().contains("SmallestFirst"));
    let refused = read(&with("  approval: sha256:12\n")).unwrap_err();
    assert!(refused.contains("copy the one that `unscim plan` prints"), "{refused}");
    let refused = read(&with("  windows: { timeZone: UTC, open: [] }\n")).unwrap_err();
    assert!(refused.contains("no hours at all"), "{refused}");
}

#[test]
fn what_is_shown_of_a_spec_has_no_address_that_may_be_a_secret() {
    let text = example("webhook.yaml")
        .replace("wiki/revoke", "path-s3cret?key=query-s3cret")
        .replace("https://wiki.example.com/scim", "https://wiki.example.com/scim?sig=s3cret");
    let spec = read(&text).unwrap();
    assert_eq!(spec.target.scim_url.query(), Some("sig=s3cret"));
    let shown = serde_json::to_value(&spec).unwrap();
    assert_eq!(shown["target"]["revocation"]["webhook"]["url"], "https://hooks.example.com");
    assert_eq!(shown["target"]["scimUrl"], "https://wiki.example.com/scim");
    assert!(!shown.to_string().contains("s3cret"), "{shown}");
}

/// The shortest example with these lines for its credential, and these variables.
fn with_credential(lines: &str, variables: &[(&str, &str)]) -> Result<Entra, String> {
    let given = "    credential:\n      clientId: 33333333-3333-3333-3333-333333333333\n      clientSecretFile: /run/secrets/unscim/client-secret\n";
    let text = changed(&[(given, lines)]);
    let variable = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
    let spec = parse_with(&text, "f.yaml", Path::new("/etc/unscim"), &variable);
    spec.map(|spec| spec.entra).map_err(|errors| errors.to_string())
}

const CLIENT: &str = "33333333-3333-3333-3333-333333333333";

#[test]
fn every_kind_of_credential_is_read_and_shown_in_the_words_of_the_file() {
    let kinds = [
        (
            format!("    credential: {{ clientId: {CLIENT}, certificateFile: c.pem, privateKeyFile: /k.pem }}\n"),
            json!({"clientId": CLIENT, "certificateFile": "/etc/unscim/c.pem", "privateKeyFile": "/k.pem"}),
        ),
        (
            format!("    credential: {{ clientId: {CLIENT}, federatedTokenFile: t }}\n"),
            json!({"clientId": CLIENT, "federatedTokenFile": "/etc/unscim/t"}),
        ),
        ("    credential: { managedIdentity: {} }\n".into(), json!({"managedIdentity": {}})),
        (
            format!("    credential: {{ clientId: {CLIENT}, managedIdentity: {{}} }}\n"),
            json!({"clientId": CLIENT, "managedIdentity": {}}),
        ),
    ];
    let others =
        [("AZURE_CLIENT_ID", "x"), ("AZURE_TENANT_ID", "x"), ("AZURE_FEDERATED_TOKEN_FILE", "/t"), ("AZURE_AUTHORITY_HOST", "x")];
    for (lines, shown) in kinds {
        let variables = if lines.contains("federated") { &others[2..3] } else { &others[..] };
        let entra = with_credential(&lines, variables).unwrap();
        assert_eq!(serde_json::to_value(&entra.credential).unwrap(), shown, "the file stands before the variables");
    }
}

#[test]
fn the_variables_of_workload_identity_stand_in_where_the_file_says_nothing() {
    let all = [
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_TENANT_ID", "99999999-9999-9999-9999-999999999999"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/token"),
        ("AZURE_AUTHORITY_HOST", "https://login.partner.microsoftonline.cn/"),
    ];
    let found = json!({"clientId": CLIENT, "federatedTokenFile": "/var/run/token"});
    for lines in ["", "    credential: {}\n", "    credential:\n"] {
        let entra = with_credential(lines, &all).unwrap();
        assert_eq!(serde_json::to_value(&entra.credential).unwrap(), found);
        assert_eq!((entra.cloud, entra.authority.as_str()), (Cloud::China, "https://login.partner.microsoftonline.cn/"));
        assert_eq!(entra.graph.as_str(), "https://microsoftgraph.chinacloudapi.cn/");
        assert_eq!(entra.tenant_id.to_string(), "11111111-1111-1111-1111-111111111111", "the file says it");
    }
    let tenant = "    tenantId: 11111111-1111-1111-1111-111111111111\n";
    let short = example("workload-identity.yaml");
    assert!(short.contains(tenant));
    let variable = |name: &str| all.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
    let entra = parse_with(&short.replace(tenant, ""), "f", Path::new("/"), &variable).unwrap().entra;
    assert_eq!(entra.tenant_id.to_string(), all[1].1);

    let cloud = with_credential("    cloud: UsGovDod\n", &all).unwrap();
    assert_eq!(
        (cloud.authority.as_str(), cloud.graph.as_str()),
        ("https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/")
    );
    let own = "    endpoints: { graph: \"https://graph.example.com\" }\n";
    let host = |host| [all[0], all[2], ("AZURE_AUTHORITY_HOST", host)];
    assert_eq!(
        with_credential(own, &host("https://login.example.com/")).unwrap().authority.as_str(),
        "https://login.example.com/"
    );
    for (authority, graph, cloud) in [
        ("https://login.sovcloud-identity.fr/", "https://graph.svc.sovcloud.fr/", Cloud::Bleu),
        ("https://login.sovcloud-identity.de/", "https://graph.svc.sovcloud.de/", Cloud::Delos),
        ("https://login.sovcloud-identity.sg/", "https://graph.svc.sovcloud.sg/", Cloud::Singapore),
    ] {
        let entra = with_credential("", &host(authority)).unwrap();
        assert_eq!((entra.cloud, entra.authority.as_str(), entra.graph.as_str()), (cloud, authority, graph));
    }
    for (variables, words) in [
        (&host("https://login.microsoftonline.us")[..], "write cloud: UsGov or cloud: UsGovDod"),
        (&host("https://login.example.com"), "names login.example.com, which is no cloud known here"),
        (&host("http://login.example.com"), "AZURE_AUTHORITY_HOST is http:// is accepted for loopback"),
        (&all[2..3], "spec.entra.credential.clientId: missing, and AZURE_CLIENT_ID is not set"),
        (&[all[2], ("AZURE_CLIENT_ID", "me")], "spec.entra.credential.clientId: missing, and in AZURE_CLIENT_ID \"me\" is no id"),
        (&all[..1], "spec.entra.credential: missing; it has no default"),
    ] {
        let message = with_credential("", variables).unwrap_err();
        assert!(message.contains(words) && message.lines().count() == 1, "{words}: {message}");
    }
}

#[test]
fn each_cloud_has_its_own_authority_and_graph() {
    for (cloud, authority, graph) in [
        ("Public", "https://login.microsoftonline.com/", "https://graph.microsoft.com/"),
        ("UsGov", "https://login.microsoftonline.us/", "https://graph.microsoft.us/"),
        ("UsGovDod", "https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/"),
        ("China", "https://login.chinacloudapi.cn/", "https://microsoftgraph.chinacloudapi.cn/"),
        ("Bleu", "https://login.sovcloud-identity.fr/", "https://graph.svc.sovcloud.fr/"),
        ("Delos", "https://login.sovcloud-identity.de/", "https://graph.svc.sovcloud.de/"),
        ("Singapore", "https://login.sovcloud-identity.sg/", "https://graph.svc.sovcloud.sg/"),
    ] {
        let entra = with_credential(&format!("    cloud: {cloud}\n    credential: {{ managedIdentity: {{}} }}\n"), &[]).unwrap();
        assert_eq!((entra.authority.as_str(), entra.graph.as_str()), (authority, graph), "{cloud}");
    }
}

#[test]
fn no_other_tls_than_rustls_is_in_the_tree() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let names: BTreeSet<&str> = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(names.contains("rustls") && names.len() > 100);
    for other in ["openssl", "openssl-sys", "native-tls", "schannel-sys", "boring", "boring-sys", "gnutls", "mbedtls"] {
        assert!(!names.contains(other), "{other}");
    }
}

/// Whatever stands in a file that is no config, a secret's or somebody's letters: nothing of it is repeated.
#[test]
fn nothing_of_a_file_that_is_no_config_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let shown = |content: &str| {
        let path = dir.path().join("file");
        std::fs::write(&path, content).unwrap();
        let errors = unscim::config::load(&path).unwrap_err();
        format!("{errors}\n{}", errors.excerpts())
    };
    let secrets = [
        "hunter2",
        "hunter2: x\nother: [",
        "{\"hunter2\": \"hunter2\"}",
        "- hunter2",
        "\"hunter2",
        "&hunter2 *hunter2x",
        "a: 'hunter2' b",
    ];
    for content in secrets {
        let shown = shown(content);
        assert!(!shown.contains("hunter2") && shown.contains("no config of unscim"), "{content:?}: {shown}");
    }
    // Meant as a config, and no valid YAML: the place, and nothing of the line.
    let shown = shown("apiVersion: unscim.dev/v1alpha1\nspec:\n  token: *hunter2\n");
    assert!(!shown.contains("hunter2") && shown.contains(":3:"), "{shown}");
}
