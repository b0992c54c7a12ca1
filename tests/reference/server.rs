//! scim2-server: installed, started, read and ended. What is read here does not go through unscim's own client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const INSTALL: Duration = Duration::from_secs(300);
const START: Duration = Duration::from_secs(30);
/// Only the test itself comes in with this one.
const READER: &str = "only-for-the-test";

pub struct Server {
    /// Ended when this goes out of scope.
    _process: Child,
    pub url: String,
    /// Tokens that the app accepts, as a person sees them in its settings.
    settings: PathBuf,
    client: reqwest::Client,
}

impl Server {
    /// An empty service that accepts this token.
    pub async fn start(dir: &Path, token: &str) -> Server {
        let python = installed().await;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/scim_target.py");
        let (settings, test_only) = (dir.join("accepted"), dir.join("test-only"));
        std::fs::write(&settings, token).unwrap();
        std::fs::write(&test_only, READER).unwrap();
        let mut process = Command::new(python)
            .arg(script)
            .args([&settings, &test_only])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starting scim2-server");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let first = timeout(START, lines.next_line()).await.expect("scim2-server named no port within 30s");
        let port: u16 = first.unwrap().expect("scim2-server ended at once; see its output").parse().expect("a port");
        let client = reqwest::Client::builder().no_proxy().timeout(START).build().unwrap();
        Server { _process: process, url: format!("http://127.0.0.1:{port}/v2"), settings, client }
    }

    /// The person who deletes the token in the app's settings.
    pub fn delete_token(&self) {
        std::fs::write(&self.settings, "").unwrap();
    }

    /// The status with which a list of users is answered.
    pub async fn answers(&self, token: &str) -> u16 {
        let request = self.client.get(format!("{}/Users?count=1", self.url)).bearer_auth(token);
        request.send().await.expect("asking scim2-server").status().as_u16()
    }

    /// All records of a kind (`Users`, `Groups`), whole, by id.
    pub async fn records(&self, kind: &str) -> BTreeMap<String, Value> {
        let mut records = BTreeMap::new();
        for _ in 0..100 {
            let url = format!("{}/{kind}?startIndex={}&count=50", self.url, records.len() + 1);
            let response = self.client.get(url).bearer_auth(READER).send().await.expect("asking scim2-server");
            assert_eq!(response.status(), 200);
            let page: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
            for record in page["Resources"].as_array().into_iter().flatten() {
                records.insert(record["id"].as_str().expect("an id").to_owned(), record.clone());
            }
            if records.len() as u64 == page["totalResults"].as_u64().expect("a total") {
                return records;
            }
        }
        panic!("{kind}: the pages of scim2-server never came to its total");
    }
}

/// The Python of an environment with what is pinned and nothing else; made once for each state of the pins.
async fn installed() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("reference");
    let (python, stamp) = (dir.join("venv/bin/python"), dir.join("installed"));
    if std::fs::read_to_string(&stamp).is_ok_and(|done| done == REQUIREMENTS) && python.exists() {
        return python;
    }
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("removing an older installation");
    }
    std::fs::create_dir_all(&dir).unwrap();
    let pins = dir.join("requirements.txt");
    std::fs::write(&pins, REQUIREMENTS).unwrap();
    step("python3.11", &["-m".as_ref(), "venv".as_ref(), dir.join("venv").as_ref()]).await;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    // The file is the whole closure. Without --no-deps, pip looks for the newest release of what is named with extras.
    let strict = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement"];
    let mut args: Vec<&Path> = quiet.iter().chain(&strict).map(Path::new).collect();
    args.push(&pins);
    step(&python.to_string_lossy(), &args).await;
    std::fs::write(stamp, REQUIREMENTS).unwrap();
    python
}

async fn step(program: &str, args: &[&Path]) {
    let what = format!("installing scim2-server: {program} {args:?}");
    let run = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(INSTALL, run).await.unwrap_or_else(|_| panic!("{what}: not done within {INSTALL:?}"));
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}; this test needs python3.11 with venv and pip"));
    assert!(output.status.success(), "{what}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}
