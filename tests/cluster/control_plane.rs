//! etcd, kube-apiserver and kube-controller-manager on loopback, for as long as the value lives.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

/// No part of it takes longer to be ready, on a busy machine too.
const READY: Duration = Duration::from_secs(90);
const CONTROLLERS: &str = "statefulset-controller,garbage-collector-controller,namespace-controller,serviceaccount-controller,\
                           root-ca-certificate-publisher-controller,pod-garbage-collector-controller,\
                           persistentvolumeclaim-protection-controller";

pub fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no program; checks/cluster sets it")).into()
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What is to be run so that it ends with the thread that starts it, however that ends.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

pub fn spawn(command: &mut Command, log: &Path) -> Child {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "control plane of a test");
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key.
    fn issue(
        &self,
        names: &[&str],
        common: &str,
        organization: Option<&str>,
        usage: ExtendedKeyUsagePurpose,
    ) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        if let Some(organization) = organization {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.extended_key_usages = vec![usage];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

pub struct ControlPlane {
    pub folder: tempfile::TempDir,
    etcd: Mutex<Child>,
    etcd_port: u16,
    api: Mutex<Option<Child>>,
    controllers: Mutex<Child>,
    port: u16,
    /// Flags of the API server beside those that it needs.
    flags: Vec<String>,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for child in [&mut self.controllers, &mut self.etcd] {
            kill(child.get_mut().unwrap());
        }
        if let Some(api) = self.api.get_mut().unwrap() {
            kill(api);
        }
    }
}

impl ControlPlane {
    /// In this folder, with more flags for the API server than it needs.
    pub async fn start(folder: tempfile::TempDir, flags: Vec<String>) -> ControlPlane {
        let (etcd_port, port) = (free_port(), free_port());
        let address = format!("https://127.0.0.1:{port}");
        secrets(folder.path(), &address);
        let etcd = start_etcd(folder.path(), etcd_port);
        let api = start_api(folder.path(), port, etcd_port, &flags);
        let mut plane = ControlPlane {
            controllers: Mutex::new(start_controllers(folder.path())),
            etcd: Mutex::new(etcd),
            etcd_port,
            api: Mutex::new(Some(api)),
            port,
            folder,
            flags,
        };
        plane.until_ready().await;
        // It gives up where the API server is not there yet.
        kill(plane.controllers.get_mut().unwrap());
        *plane.controllers.get_mut().unwrap() = start_controllers(plane.folder.path());
        plane
    }

    pub fn log(&self, of: &str) -> PathBuf {
        self.folder.path().join(format!("{of}.log"))
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    pub async fn config(&self) -> Config {
        let read = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap()
    }

    /// As the administrator of the cluster.
    pub async fn client(&self) -> Client {
        Client::try_from(self.config().await).unwrap()
    }

    /// As somebody else: `system:serviceaccount:NAMESPACE:NAME`.
    pub async fn client_as(&self, user: &str) -> Client {
        let mut config = self.config().await;
        config.auth_info.impersonate = Some(user.to_owned());
        Client::try_from(config).unwrap()
    }

    pub async fn until_ready(&self) {
        let client = self.client().await;
        let begun = Instant::now();
        loop {
            let asked = http::Request::get("/readyz").body(Vec::new()).unwrap();
            match client.request_text(asked).await {
                Ok(_) => return,
                Err(error) => assert!(begun.elapsed() < READY, "no API server: {error}; {}", tail(&self.log("apiserver"))),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// For the benchmark: no controller of Kubernetes does anything from now on.
    #[allow(dead_code, reason = "no case does without them")]
    pub fn stop_controllers(&self) {
        kill(&mut self.controllers.lock().unwrap());
    }

    pub fn stop_api(&self) {
        kill(&mut self.api.lock().unwrap().take().expect("it runs"));
    }

    pub async fn start_api(&self) {
        let (folder, port, etcd, flags) = (self.folder.path().to_owned(), self.port, self.etcd_port, self.flags.clone());
        *self.api.lock().unwrap() = Some(for_good(move || start_api(&folder, port, etcd, &flags)));
        self.until_ready().await;
    }

    /// Everything that etcd remembers of the past is dropped, so that no watch can go on from there.
    pub async fn compact(&self) {
        let http = reqwest::Client::new();
        let url = |path: &str| format!("http://127.0.0.1:{}/v3/{path}", self.etcd_port);
        let post = async |path: &str, body: serde_json::Value| {
            let sent = http.post(url(path)).body(body.to_string()).send().await.unwrap();
            serde_json::from_str::<serde_json::Value>(&sent.text().await.unwrap()).unwrap()
        };
        let now = post("kv/range", serde_json::json!({ "key": "AA==" })).await;
        let revision = now["header"]["revision"].as_str().expect("etcd says its revision").to_owned();
        let done = post("kv/compaction", serde_json::json!({ "revision": revision, "physical": true })).await;
        assert!(done.get("error").is_none(), "{done}");
    }
}

/// On a thread that never ends, so that what it starts outlives the case.
fn for_good<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> T {
    let (started, starts) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        assert!(started.send(start()).is_ok());
        loop {
            std::thread::park();
        }
    });
    starts.recv().expect("it starts")
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn secrets(folder: &Path, address: &str) {
    let authority = Authority::new();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("ca.crt", &authority.pem);
    let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let (certificate, key) = authority.issue(&names, "kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth);
    write("api.crt", &certificate);
    write("api.key", &key);
    let account = KeyPair::generate().unwrap();
    write("account.key", &account.serialize_pem());
    write("account.pub", &account.public_key_pem());
    let (certificate, key) = authority.issue(&[], "admin", Some("system:masters"), ExtendedKeyUsagePurpose::ClientAuth);
    write("admin.crt", &certificate);
    write("admin.key", &key);
    let at = |name: &str| folder.join(name).display().to_string();
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{ "name": "test", "cluster": { "server": address, "certificate-authority": at("ca.crt") } }],
        "users": [{ "name": "admin", "user": { "client-certificate": at("admin.crt"), "client-key": at("admin.key") } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "admin" } }],
    });
    write("kubeconfig", &kubeconfig.to_string());
}

fn start_etcd(folder: &Path, port: u16) -> Child {
    let peer = free_port();
    let mut command = command(program("UNSCIM_ETCD"));
    command.arg("--data-dir").arg(folder.join("etcd")).arg("--unsafe-no-fsync");
    command.args([
        format!("--listen-client-urls=http://127.0.0.1:{port}"),
        format!("--advertise-client-urls=http://127.0.0.1:{port}"),
    ]);
    command.args([
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
    ]);
    command.arg(format!("--initial-cluster=default=http://127.0.0.1:{peer}"));
    spawn(&mut command, &folder.join("etcd.log"))
}

fn start_api(folder: &Path, port: u16, etcd: u16, flags: &[String]) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut command = command(program("UNSCIM_APISERVER"));
    command.args([
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        // No endpoint of the service kubernetes: loopback may not be one.
        "--endpoint-reconciler-type=none".into(),
        format!("--tls-cert-file={}", at("api.crt")),
        format!("--tls-private-key-file={}", at("api.key")),
        format!("--client-ca-file={}", at("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", at("account.pub")),
        format!("--service-account-signing-key-file={}", at("account.key")),
        "--authorization-mode=RBAC".into(),
        "--service-cluster-ip-range=10.0.0.0/16".into(),
        format!("--cert-dir={}", at("certs")),
    ]);
    command.args(flags);
    spawn(&mut command, &folder.join("apiserver.log"))
}

fn start_controllers(folder: &Path) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut command = command(program("UNSCIM_CONTROLLER_MANAGER"));
    command.args([
        format!("--kubeconfig={}", at("kubeconfig")),
        format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false".into(),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={}", free_port()),
        format!("--service-account-private-key-file={}", at("account.key")),
        format!("--root-ca-file={}", at("ca.crt")),
        format!("--cert-dir={}", at("certs")),
    ]);
    spawn(&mut command, &folder.join("controllers.log"))
}
