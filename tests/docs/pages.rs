//! The docs say what is so: every reason and brake has its place in the runbook, every link leads somewhere, every example works.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use serde_json::Value;
use unscim::cli::args::Cli;
use unscim::judge::permissions::{NEEDS, WIDER, When};
use unscim::model::condition::Reason;
use unscim::model::status::{Brake, Phase};
use unscim::practice::scenario::Scenario;
use unscim::serve::metrics::{Metrics, operations};
use unscim::world::http::Api;

use crate::{read, root, texts};

/// Pages of the project, without what is built or fetched.
fn pages(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim())
}

/// As a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn the_runbook_explains_every_reason_and_every_brake_and_nothing_else() {
    let text = read("docs/reasons.md");
    let explained: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut expected: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    expected.extend(Brake::ALL.iter().map(|brake| brake.label()));
    expected.extend(["preflight", "refused"]);
    let (missing, invented): (Vec<_>, Vec<_>) =
        (expected.difference(&explained).collect(), explained.difference(&expected).collect());
    assert!(missing.is_empty() && invented.is_empty(), "missing: {missing:?}; no longer there: {invented:?}");
}

/// Heading -> what stands under it.
fn entries(text: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ").or_else(|| line.strip_prefix("#### ")) {
            found.push((heading, String::new()));
            open = true;
        } else if line.starts_with('#') {
            open = false;
        } else if let Some((_, body)) = found.last_mut().filter(|_| open) {
            body.push_str(line);
            body.push(' ');
        }
    }
    found
}

#[test]
fn every_entry_of_the_runbook_says_what_it_means_and_who_acts() {
    let text = read("docs/reasons.md");
    let entries = entries(&text);
    assert!(entries.len() > 60, "{}", entries.len());
    for (heading, body) in entries {
        let meaning = body.split("**").next().unwrap();
        assert!(meaning.split_whitespace().count() > 2 || meaning.contains("See ["), "{heading} does not say what it means");
        assert!(body.contains("**Do**") || body.contains("**By itself**"), "{heading} does not say who acts");
    }
}

#[test]
fn the_runbook_names_every_phase() {
    let text = read("docs/reasons.md");
    let table = text.split("## Phases").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let named: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(named, Phase::ALL.iter().map(|phase| phase.as_str()).collect::<Vec<_>>());
}

#[test]
fn every_reason_is_given_somewhere() {
    let mut sources = Vec::new();
    for dir in ["src/judge", "src/judge/steps", "src/judge/preflight", "src/turn", "src/turn/report"] {
        for entry in std::fs::read_dir(root().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "rs") {
                sources.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    for reason in Reason::ALL {
        assert!(sources.iter().any(|text| text.contains(&format!("Reason::{reason}"))), "{reason} is never given");
    }
}

#[test]
fn every_link_within_the_project_leads_somewhere() {
    let mut found = Vec::new();
    pages(&root(), &mut found);
    assert!(found.len() > 5);
    for page in found {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(file.exists(), "{}: {target} is not there", page.display());
            if !fragment.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                assert!(
                    headings(&text).any(|heading| anchor(heading) == fragment),
                    "{}: {target} has no heading",
                    page.display()
                );
            }
        }
    }
}

#[test]
fn the_gate_runs_the_test_command_of_the_readme() {
    let (readme, gate) = (read("README.md"), read(".ci/run"));
    for command in ["cargo test --locked", "cargo run --locked -- demo --fast --once"] {
        assert!(readme.lines().any(|line| line == command), "the README has no {command}");
    }
    assert!(gate.lines().any(|line| line == "cargo test --locked"));
}

#[test]
fn the_scenario_in_the_docs_can_be_played() {
    let text = read("docs/practice.md");
    let yaml = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let scenario: Scenario = serde_saphyr::from_str(yaml).unwrap();
    assert_eq!((scenario.seed, scenario.users, scenario.group_traits.len()), (7, 40, 2));
}

/// Words in backticks.
fn quoted(cell: &str) -> BTreeSet<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_permissions_are_those_that_check_asks_for_with_every_operation_on_graph() {
    let text = read("docs/permissions.md");
    let rows: Vec<_> =
        text.lines().filter(|line| line.starts_with("| `")).map(|row| row.split('|').collect::<Vec<_>>()).collect();
    assert_eq!(rows.len(), NEEDS.len());
    for need in NEEDS {
        let operations = need.operations.iter().copied().collect();
        let row = rows.iter().find(|row| quoted(row[1]) == operations).unwrap_or_else(|| panic!("{operations:?} have no row"));
        let (told, needed) = (quoted(row[3]), need.permissions.iter().copied().collect::<BTreeSet<_>>());
        assert!(needed.is_subset(&told), "{operations:?} need {needed:?}");
        assert!(need.instead.is_none_or(|instead| told.contains(instead)), "{operations:?}: {:?} serves too", need.instead);
        let wider = WIDER.iter().filter(|(least, _)| needed.contains(least)).flat_map(|(_, wider)| *wider).copied();
        let known: BTreeSet<&str> = needed.iter().copied().chain(wider).chain(need.instead).collect();
        assert!(told.is_subset(&known), "{operations:?} need no {told:?}");
        assert_eq!(row[3].contains("optional"), need.when == When::Optional, "{operations:?}");
    }
    let named: BTreeSet<&str> = NEEDS.iter().flat_map(|need| need.operations).copied().collect();
    // A batch needs what is in it.
    assert_eq!(named, operations(Api::Graph).iter().copied().filter(|operation| *operation != "batch").collect());
    let (look, write) = text.split_once("## To write").unwrap();
    for need in NEEDS {
        let table = if matches!(need.when, When::Always | When::Optional) { look } else { write };
        assert!(table.contains(&format!("| `{}`", need.operations[0])), "{:?}", need.operations);
    }
}

#[test]
fn the_readme_asks_for_each_permission_that_is_needed_and_for_no_other() {
    let text = read("README.md");
    let (look, write) = text.split_once("## For real").unwrap();
    let told = |text: &str| -> BTreeSet<String> {
        let rows = text
            .lines()
            .map(str::trim)
            .filter_map(|line| line.strip_prefix("| `")?.split_once('|').map(|(cell, _)| format!("`{cell}")));
        rows.flat_map(|cell| quoted(&cell).into_iter().filter(|word| word.contains('.')).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    let needed = |whens: &[When]| -> BTreeSet<String> {
        let needs = NEEDS.iter().filter(|need| whens.contains(&need.when));
        needs.flat_map(|need| need.permissions.iter().chain(&need.instead)).map(|name| (*name).to_owned()).collect()
    };
    let (read, more) = (needed(&[When::Always, When::Optional]), needed(&[When::Enforce, When::Empties, When::Pauses]));
    let wider = |least: &str| WIDER.iter().find(|(known, _)| *known == least).map(|(_, wider)| *wider).unwrap_or_default();
    let known: BTreeSet<String> =
        read.iter().flat_map(|least| wider(least)).map(|name| (*name).to_owned()).chain(read.clone()).collect();
    assert!(read.is_subset(&told(look)) && told(look).is_subset(&known), "{:?}", told(look).symmetric_difference(&read));
    let told: BTreeSet<String> = told(write).into_iter().filter(|name| name.ends_with(".All")).collect();
    assert_eq!(told, &more - &read);
}

/// At most 130 columns, as the other pages.
fn wrapped(out: &mut String, first: &str, text: &str) {
    let mut line = first.to_owned();
    for word in text.split(' ') {
        if !line.trim().is_empty() && line.len() + word.len() >= 130 {
            writeln!(out, "{}", line.trim_end()).unwrap();
            line = "  ".repeat(usize::from(first.starts_with('-')));
        }
        write!(line, "{word} ").unwrap();
    }
    writeln!(out, "{}", line.trim_end()).unwrap();
}

/// The page about the metrics, from what a fresh process shows: every label set is there from the start.
fn metrics_page() -> String {
    let text = Metrics::new().described().unwrap();
    let (mut helps, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let mut labels: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            helps.insert(name, help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(name, kind);
        } else if let Some((sample, rest)) = line.split_once('{') {
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| sample.strip_suffix(end).filter(|name| kinds.get(name) == Some(&"histogram")))
                .unwrap_or(sample);
            for pair in rest.split_once('}').unwrap().0.split("\",") {
                let (label, value) = pair.split_once("=\"").unwrap();
                labels.entry(name).or_default().entry(label).or_default().insert(value.trim_end_matches('"'));
            }
        }
    }
    let mut page = String::from(
        "# Metrics\n\nWhat `/metrics` shows, from the program itself; `UNSCIM_WRITE_DOCS=1 cargo test --locked --test docs` writes this page.\n\
         No label ever bears a user, a mail or a token, and every label set but those of requests is there from the start; only gauges\n\
         of what a look sees are left out until one has seen it, and what is not known later stays as it was. Beside these there are the usual\n\
         `process_*` metrics. [monitoring.md](monitoring.md) says what to do with all of it.\n",
    );
    for (name, help) in helps.iter().filter(|(name, _)| name.starts_with("unscim_")) {
        write!(page, "\n## {name}\n\n").unwrap();
        wrapped(&mut page, "", &format!("{}: {help}", kinds[name]));
        let of_metric = labels.get(name).into_iter().flatten().filter(|(label, _)| **label != "le");
        for (nth, (label, values)) in of_metric.enumerate() {
            if nth == 0 {
                page.push('\n');
            }
            let values = match *name {
                "unscim_build_info" => "of the build".to_owned(),
                _ => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" "),
            };
            wrapped(&mut page, "- ", &format!("`{label}`: {values}"));
        }
    }
    page
}

/// A page that the program itself writes.
fn holds(name: &str, page: &str) {
    let path = root().join(name);
    if std::env::var_os("UNSCIM_WRITE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let remedy = "`UNSCIM_WRITE_DOCS=1 cargo test --locked --test docs` writes it anew";
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == page, "{name} is not what it should be; {remedy}");
}

#[test]
fn the_page_about_the_metrics_is_what_the_program_shows() {
    holds("docs/metrics.md", &metrics_page());
}

fn cli_page() -> String {
    let mut command = Cli::command();
    command.build();
    let mut page = String::from(
        "# Command line\n\nFrom the program itself; `UNSCIM_WRITE_DOCS=1 cargo test --locked --test docs` writes this page. A flag wins over its \
         variable in\nthe environment, that over the config, that over the default. Tables and paragraphs fold to the width of the terminal, \
         or to 100 columns\nwhere there is none; colours are for terminals alone, and `NO_COLOR` switches them off. `--output json` is for \
         machines.\n\n| exit code | |\n|---|---|\n| 0 | done, or nothing to do |\n| 1 | trouble: Graph or the app could not be read |\n| 2 | changes are pending (`plan`, \
         `rollback`, `run --once` in `Observe`) |\n| 3 | refused or held: a person must decide |\n| 4 | waiting for a cycle or a person (`--once`, `rollback`, `status --wait-for`) |\n\
         | 5 | retired: all five steps hold (`status`) |\n\
         | 64 | usage or config |\n\n## JSON\n\n| verb | fields |\n|---|---|\n\
         | `plan` | `conditions`, `progress`, `way` (digest, users, groups, steps, calls), `actions`, `held`, `notes` |\n\
         | `check` | `config`, `mode`, `offline`, `passed`, `refused`, `unknown`, `heldLater`, `notes`, `progress` |\n\
         | `status` | the document of `/status` |\n\
         | `rollback` | `actions`, `alreadyAsBefore`, `waits`, `stays`, `carriedOut` (`done`, `refused`, `stopped`, `ledgerHeld`; null where it was only shown) |\n\
         | `verify` | `holds`, `lines`, `head`, `breaks`, `asked`, `askedAtLine` |\n\
         | `report --format json` | the evidence ([evidence.md](evidence.md)) |\n",
    );
    for verb in command.get_subcommands() {
        write!(page, "\n## unscim {}\n\n", verb.get_name()).unwrap();
        wrapped(&mut page, "", &format!("{}.", verb.get_about().map(ToString::to_string).unwrap_or_default()));
        let mut first = true;
        for arg in verb.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            if std::mem::take(&mut first) {
                page.push('\n');
            }
            let name = arg.get_long().map_or_else(|| arg.get_id().to_string().to_uppercase(), |long| format!("--{long}"));
            let mut about = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let values = arg.get_possible_values();
            let takes_value = arg.get_action().takes_values();
            if takes_value && !values.is_empty() {
                let values: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
                about = format!("{about}{}one of {}", if about.is_empty() { "" } else { "; " }, values.join(", "));
            }
            if let Some(default) = arg.get_default_values().first().filter(|_| takes_value) {
                about.push_str(&format!("; `{}` without it", default.to_string_lossy()));
            }
            let env = arg.get_env().map(|env| format!(" (`{}`)", env.to_string_lossy())).unwrap_or_default();
            wrapped(&mut page, "- ", &format!("`{name}`{env}: {about}"));
        }
    }
    page
}

#[test]
fn the_page_about_the_command_line_is_what_the_program_takes() {
    holds("docs/cli.md", &cli_page());
}

#[test]
fn every_metric_of_ours_says_what_to_do_with_it() {
    let text = Metrics::new().described().unwrap();
    let helps: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# HELP unscim_")).collect();
    assert!(helps.len() > 25);
    for help in helps {
        let (name, words) = help.split_once(' ').unwrap();
        assert!(words.split_whitespace().count() > 8 && words.ends_with('.'), "{name}: {words}");
    }
}

/// What stands in code in a page: each line of a block, and each span in a line.
fn code(text: &str) -> Vec<String> {
    let (mut found, mut prose, mut block) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            block = !block;
        } else if block {
            found.push(line.trim().to_owned());
        } else {
            // A span may go on in the next line.
            prose.push_str(line);
            prose.push(' ');
        }
    }
    found.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
    found
}

/// Every piece of code in every page, with the page.
fn all_code() -> Vec<(String, String)> {
    let mut found = Vec::new();
    pages(&root(), &mut found);
    let of_page = |page: PathBuf| {
        let text = std::fs::read_to_string(&page).unwrap();
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        code(&text).into_iter().map(move |piece| (name.clone(), piece))
    };
    found.into_iter().flat_map(of_page).collect()
}

#[test]
fn every_verb_and_flag_in_the_docs_is_one() {
    let mut command = Cli::command();
    command.build();
    let flags = |verb: &str| -> Option<BTreeSet<String>> {
        let verb = command.get_subcommands().find(|known| known.get_name() == verb)?;
        Some(verb.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect())
    };
    let all: BTreeSet<String> = command.get_subcommands().flat_map(|verb| flags(verb.get_name()).unwrap()).collect();
    // Of cargo and its tools.
    let others = ["release", "profile", "iterate", "shard", "locked"];
    let mut checked = 0;
    // With these words the journal's chain begins.
    for (page, piece) in all_code().into_iter().filter(|(_, piece)| piece != "unscim journal 1") {
        let words: Vec<&str> = piece.split_whitespace().take_while(|word| !["|", ">", "#", "&&"].contains(word)).collect();
        let ours = |word: &&str| *word == "unscim" || word.ends_with("/unscim") || word.ends_with("/unscim-bin");
        let verb = match words.iter().position(ours) {
            Some(0) => words.get(1),
            _ if words.first() == Some(&"cargo") && words.get(1) == Some(&"run") => {
                words.iter().position(|word| *word == "--").and_then(|at| words.get(at + 1))
            }
            _ => None,
        };
        let long = |word: &&str| word.strip_prefix("--").map(|flag| flag.split('=').next().unwrap_or(flag).to_owned());
        if let Some(verb) = verb.filter(|verb| !verb.starts_with('-')) {
            let known = flags(verb).unwrap_or_else(|| panic!("{page}: there is no verb {verb}: {piece}"));
            let after = words.iter().skip_while(|word| *word != verb).filter_map(long);
            for flag in after.filter(|flag| !flag.is_empty()) {
                assert!(known.contains(&flag), "{page}: {verb} has no --{flag}: {piece}");
            }
            checked += 1;
        } else if let Some(flag) = words.first().and_then(long) {
            assert!(all.contains(&flag) || flag == "version" || others.contains(&&*flag), "{page}: nothing has --{flag}");
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn every_file_in_the_docs_is_there() {
    let tops = ["src", "tests", "docs", "config", "deploy", "checks", ".ci", ".cargo"];
    let mut checked = 0;
    for (page, piece) in all_code() {
        for word in piece.split_whitespace().filter(|word| !word.contains(['*', '<', '{', '$', '…', '|'])) {
            let word = word.trim_start_matches("./").trim_end_matches([',', ';', '.', ')', '/']);
            let Some((top, _)) = word.split_once('/').filter(|(top, _)| tops.contains(top)) else { continue };
            let beside = root().join(&page).parent().unwrap().join(word);
            let within = top == "deploy" && root().join("deploy/helm/unscim").join(word).exists();
            assert!(root().join(word).exists() || beside.exists() || within, "{page}: {word} is not there: {piece}");
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn every_folder_of_tests_has_its_line_in_their_page() {
    let page = read("tests/README.md");
    let (tests, rest) = page.split_once("\n## ").unwrap();
    let named: Vec<&str> = tests.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let entries = std::fs::read_dir(root().join("tests")).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    assert_eq!(files, [root().join("tests/README.md")], "each subject has a folder");
    let folders: BTreeSet<String> = folders.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(named, folders.iter().filter(|name| *name != "common").collect::<Vec<_>>());
    for entry in std::fs::read_dir(root().join("tests/common")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(rest.contains(&format!("`{name}`")), "tests/common/{name}");
    }
}

#[test]
fn every_test_that_the_page_about_services_names_is_there() {
    let (mut tests, mut checked) = (Vec::new(), 0);
    texts(&root().join("tests"), &mut tests);
    let page = read("docs/scim-services.md");
    for name in page.split('`').skip(1).step_by(2).filter(|piece| piece.matches('_').count() > 3) {
        let test = format!("async fn {name}()");
        assert!(tests.iter().any(|(_, text)| text.contains(&test)), "{name} is no test");
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
}

/// Paths of the config's fields, and what each of them may say where that is a closed list.
fn fields(schema: &Value, at: &Value, path: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(name) = at["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        fields(schema, &schema["$defs"][name], path, found);
    }
    for word in at["enum"].as_array().into_iter().flatten().chain(at.get("const")).filter_map(Value::as_str) {
        found.entry(path.to_owned()).or_default().insert(word.to_owned());
    }
    for list in ["oneOf", "anyOf", "allOf"] {
        for one in at[list].as_array().into_iter().flatten() {
            fields(schema, one, path, found);
        }
    }
    if at["items"].is_object() {
        fields(schema, &at["items"], path, found);
    }
    for (name, inner) in at["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.entry(path.clone()).or_default();
        fields(schema, inner, &path, found);
    }
}

#[test]
fn every_field_of_the_config_in_the_docs_is_one() {
    let schema = unscim::config::schema();
    let mut known = BTreeMap::new();
    fields(&schema, &schema, "", &mut known);
    let resource = unscim::operator::crd::definition();
    let resource = &resource["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    fields(resource, &resource["properties"]["spec"], ".spec", &mut known);
    let names: BTreeSet<&str> = known.keys().filter_map(|path| path.rsplit('.').next()).collect();
    let is_name =
        |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(|c| c.is_ascii_alphanumeric());
    let ends = |path: String| known.iter().filter(move |(known, _)| known.ends_with(&path)).map(|(_, values)| values);
    let mut checked = 0;
    for (page, piece) in all_code() {
        // `limits.maxUsers`, `spec.hold`
        let parts: Vec<&str> = piece.split('.').collect();
        if parts.len() > 1 && parts.iter().all(|part| is_name(part)) && names.contains(parts[0]) && !piece.ends_with(".rs") {
            assert!(ends(format!(".{piece}")).next().is_some(), "{page}: the config has no {piece}");
            checked += 1;
        }
        // `mode: Enforce`
        if let Some((field, value)) = piece.split_once(": ").filter(|(field, _)| is_name(field)) {
            let values: BTreeSet<&String> = ends(format!(".{field}")).flatten().collect();
            if !values.is_empty() && value.chars().all(|c| c.is_ascii_alphabetic()) {
                assert!(values.iter().any(|known| *known == value), "{page}: {field} is never {value}");
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn every_variable_of_the_environment_in_the_docs_is_read_somewhere() {
    let mut all = vec![(PathBuf::from("Dockerfile"), read("Dockerfile"))];
    for dir in ["src", "tests", "checks", "benches"] {
        texts(&root().join(dir), &mut all);
    }
    // What only a page or this file names nobody reads.
    all.retain(|(path, _)| !path.ends_with(file!()) && path.extension().is_none_or(|end| end != "md"));
    let mut checked = 0;
    for (page, piece) in all_code() {
        for name in piece.split(|c: char| !c.is_ascii_uppercase() && c != '_').filter(|name| name.starts_with("UNSCIM_")) {
            assert!(
                name == "UNSCIM_" || name == "UNSCIM_WRITE_DOCS" || all.iter().any(|(_, text)| text.contains(name)),
                "{page}: nothing reads {name}"
            );
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn the_operator_s_metrics_are_on_its_page_with_their_words() {
    let shown = unscim::operator::metrics::Metrics::new().unwrap().text().unwrap();
    let page = read("docs/operator.md");
    let rows: BTreeMap<&str, &str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `unscim_"))
        .filter_map(|line| Some((line.split('`').next()?, line.rsplit('|').nth(1)?.trim())))
        .collect();
    let told: BTreeMap<&str, &str> =
        shown.lines().filter_map(|line| line.strip_prefix("# HELP unscim_")?.split_once(' ')).collect();
    assert_eq!(rows, told);
    for text in [read("deploy/prometheus/operator.yaml"), read("deploy/grafana/unscim-fleet.json")] {
        let named =
            text.match_indices("unscim_").map(|(at, _)| text[at..].split(|c: char| !c.is_ascii_lowercase() && c != '_').next());
        for name in named.flatten().map(|name| name.trim_start_matches("unscim_").trim_end_matches("_bucket")) {
            assert!(told.contains_key(name), "there is no metric unscim_{name}");
        }
    }
}

#[test]
fn the_definition_in_the_project_is_the_one_that_the_program_prints() {
    assert_eq!(read("config/unscim.crd.json"), format!("{:#}\n", unscim::operator::crd::definition()));
}
