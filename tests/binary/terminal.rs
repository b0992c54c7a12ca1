//! What a person sees in a terminal, and what a pipe gets. The terminal is made by `script` of util-linux.

use std::process::Output;

use serde_json::Value;
use unscim::model::spec::Mode;

use crate::support::{AT_MOST, Rig, binary, output, stderr, stdout};

/// In a terminal of so many columns; its text with what steers it.
async fn in_terminal(columns: u16, args: &[&str], env: &[(&str, &str)]) -> String {
    let words: Vec<_> = [env!("CARGO_BIN_EXE_unscim")].iter().chain(args).map(|word| format!("'{word}'")).collect();
    let mut command = tokio::process::Command::new("script");
    command.args(["-qec", &format!("stty cols {columns} rows 40; {}", words.join(" ")), "/dev/null"]);
    let clean = binary();
    for (name, value) in clean.as_std().get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    command.env_remove("NO_COLOR").env("TERM", "xterm-256color").envs(env.iter().copied());
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(AT_MOST, command.output()).await.expect("it ends").expect("script of util-linux");
    String::from_utf8(ended.stdout).unwrap().replace('\r', "")
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(stdout(output)).unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

/// Letters and digits alone: what is left when lines are folded and framed otherwise.
fn letters(text: &str) -> usize {
    plain(text).chars().filter(|c| c.is_alphanumeric()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_fold_and_colours_are_for_terminals_alone() {
    let rig = Rig::new(Mode::Observe).await;
    let config = rig.config.to_str().unwrap();
    let piped = output(&["plan", "--config", config]).await;
    assert!(!stdout(&piped).contains('\u{1b}') && stdout(&piped).contains("3 managed groups:"), "{}", stdout(&piped));
    assert!(stdout(&piped).lines().all(|line| line.chars().count() <= 100));
    let mut seen = Vec::new();
    for columns in [60u16, 140] {
        let shown = in_terminal(columns, &["plan", "--config", config], &[]).await;
        assert!(shown.contains("\u{1b}["), "{shown}");
        let text = plain(&shown);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(columns)), "{text}");
        for words in ["protected users", "The decisions in it", "sha256:", "A turn would do now"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        seen.push(letters(&text));
    }
    // The times in it differ, and each is a few digits.
    assert!(seen[0].abs_diff(seen[1]) < 20, "{seen:?}");
    let shown = in_terminal(100, &["plan", "--config", config], &[("NO_COLOR", "1")]).await;
    assert!(!shown.contains("\u{1b}["), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_that_tells_something_tells_it_as_json_too() {
    let rig = Rig::new(Mode::Enforce).await;
    let config = rig.config.to_str().unwrap();
    let daemon = rig.start();
    daemon.until_phase("AwaitingCycle").await;
    let root = daemon.root().await;
    drop(daemon);
    let data = rig.data();
    let data = data.to_str().unwrap();
    let verbs: [(&[&str], &[&str]); 5] = [
        (&["plan", "--config", config], &["conditions", "progress", "way", "actions", "held", "notes"]),
        (&["check", "--config", config], &["config", "mode", "passed", "refused", "unknown", "heldLater", "notes", "progress"]),
        (&["check", "--config", config, "--offline"], &["config", "mode", "passed", "offline"]),
        (
            &["rollback", "--config", config, "--data-dir", data],
            &["actions", "alreadyAsBefore", "waits", "stays", "comesIntoScope", "carriedOut"],
        ),
        (&["verify", "--data-dir", data], &["holds", "lines", "head", "breaks"]),
    ];
    for (args, fields) in verbs {
        let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        let document = json(&output(&args).await);
        for field in fields {
            assert!(document.get(field).is_some(), "{args:?} has no {field}: {document:#}");
        }
    }
    let report = json(&output(&["report", "--data-dir", data, "--format", "json"]).await);
    assert!(report.is_object());
    let gone = output(&["status", "--url", &root, "--output", "json"]).await;
    assert_eq!(gone.status.code(), Some(1), "nobody listens there any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_config_is_shown_with_its_place_marked() {
    let rig = Rig::new(Mode::Observe).await;
    rig.edit("mode: Observe", "mode: Look");
    let config = rig.config.to_str().unwrap();
    let refused = output(&["check", "--offline", "--config", config]).await;
    assert_eq!(refused.status.code(), Some(64));
    let lines: Vec<&str> = stderr(&refused).lines().collect();
    let at = lines.iter().position(|line| line.contains("| ") && line.contains("mode: Look")).expect("the line");
    assert_eq!(lines[at].find("Look"), lines[at + 1].find('^'), "{lines:#?}");
    assert!(!stderr(&refused).contains('\u{1b}'));
    let shown = in_terminal(100, &["check", "--offline", "--config", config], &[]).await;
    assert!(shown.contains("\u{1b}[") && plain(&shown).contains("^^^^"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_draws_bars_in_a_terminal_and_nowhere_else() {
    let args = ["demo", "--fast", "--once", "--users", "6", "--groups", "2"];
    let shown = in_terminal(100, &args, &[]).await;
    assert!(shown.contains("users assigned") && shown.contains("6/6"), "{shown}");
    assert!(plain(&shown).contains("6 of 6 users kept"));
    let piped = output(&args).await;
    assert_eq!((piped.status.code(), stderr(&piped)), (Some(0), ""));
    assert!(!stdout(&piped).contains('\u{1b}') && stdout(&piped).contains("6 of 6 users kept"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shells_get_completions_that_they_can_read() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&["completions", shell]).await;
        assert!(script.status.success() && stdout(&script).contains("rollback"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("unscim.bash");
    std::fs::write(&file, output(&["completions", "bash"]).await.stdout).unwrap();
    let read = tokio::process::Command::new("bash").arg("-n").arg(&file).output().await.unwrap();
    assert!(read.status.success() && read.stderr.is_empty(), "{}", stderr(&read));
}
