//! The docs say what is so: every reason and brake has its place in the runbook, every link leads somewhere, every example works.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use unscim::cli::Cli;
use unscim::guide::permissions::{NEEDS, WIDER, When};
use unscim::model::condition::Reason;
use unscim::model::status::Brake;
use unscim::serve::metrics::{Metrics, operations};
use unscim::sim::scenario::Scenario;
use unscim::world::http::Api;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

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

#[test]
fn every_reason_is_given_somewhere() {
    let mut sources = Vec::new();
    for dir in ["src/guide", "src/report", "src"] {
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
        let wider = WIDER.iter().filter(|(least, _)| needed.contains(least)).flat_map(|(_, wider)| *wider).copied();
        let known: BTreeSet<&str> = needed.iter().copied().chain(wider).collect();
        assert!(told.is_subset(&known), "{operations:?} need no {told:?}");
        assert_eq!(row[3].contains("optional"), need.when == When::Optional, "{operations:?}");
    }
    let named: BTreeSet<&str> = NEEDS.iter().flat_map(|need| need.operations).copied().collect();
    assert_eq!(named, operations(Api::Graph).iter().copied().collect());
    let (look, write) = text.split_once("## To write").unwrap();
    for need in NEEDS {
        let table = if matches!(need.when, When::Always | When::Optional) { look } else { write };
        assert!(table.contains(&format!("| `{}`", need.operations[0])), "{:?}", need.operations);
    }
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
    let text = Metrics::new().text().unwrap();
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
         No label ever bears a user, a mail or a token, and every label set is there from the start. Beside these there are the usual\n\
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
         machines.\n\n| exit code | |\n|---|---|\n| 0 | done, or nothing to do |\n| 1 | trouble: could not look |\n| 2 | changes are pending (`plan`, \
         `rollback`) |\n| 3 | refused or held: a person must decide |\n| 4 | waiting for a cycle or a person (`--once`, `rollback`) |\n\
         | 64 | usage or config |\n\n## JSON\n\n| verb | fields |\n|---|---|\n\
         | `plan` | `conditions`, `progress`, `way` (digest, users, groups, steps, calls), `actions`, `held`, `notes` |\n\
         | `check` | `config`, `mode`, `offline`, `passed`, `refused`, `unknown`, `heldLater`, `notes`, `progress` |\n\
         | `status` | the document of `/status` |\n\
         | `rollback` | `actions`, `alreadyAsBefore`, `waits`, `stays`, `carriedOut` (`done`, `refused`, `stopped`; null where it was only shown) |\n\
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
    let text = Metrics::new().text().unwrap();
    let helps: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# HELP unscim_")).collect();
    assert!(helps.len() > 25);
    for help in helps {
        let (name, words) = help.split_once(' ').unwrap();
        assert!(words.split_whitespace().count() > 8 && words.ends_with('.'), "{name}: {words}");
    }
}
