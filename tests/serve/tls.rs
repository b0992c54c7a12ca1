//! The listener over TLS: who is answered, what is read again, and callers who mean no good.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use unscim::serve::metrics::Metrics;
use unscim::serve::{Hosts, State, Tls, bind, listen, listen_with};

use crate::authority::{Authority, Pair, put};
use crate::lines::Lines;

/// As many as there are seats.
const SEATS: usize = 256;
const EVERY: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// Files of a listener, of one authority.
struct Files {
    dir: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Files { dir: tempfile::tempdir().unwrap(), authority: Authority::new() };
        files.put(&files.authority.signs(&["localhost"]));
        files
    }

    fn put(&self, pair: &Pair) {
        put(self.dir.path(), "tls.crt", &pair.certificate);
        put(self.dir.path(), "tls.key", &pair.key);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> Result<Tls, String> {
        let client_ca = self.path("ca.crt");
        Tls::open(self.path("tls.crt"), self.path("tls.key"), client_ca.exists().then_some(client_ca))
    }

    /// Callers must be of the same authority.
    fn ask_for_certificates(&self) {
        put(self.dir.path(), "ca.crt", &self.authority.pem);
    }
}

struct Listening {
    at: SocketAddr,
    cancel: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    async fn start(tls: Tls) -> Self {
        let state = State::new("uniqkey", json!({}), Arc::new(Metrics::new()), Duration::from_secs(86_400));
        let (socket, cancel) = (bind("127.0.0.1:0".parse().unwrap()).await.unwrap(), CancellationToken::new());
        let (at, serving) = listen(socket, state, Hosts::default(), Some(tls), cancel.clone()).unwrap();
        Listening { at, cancel, serving: tokio::spawn(serving) }
    }

    async fn close(self) {
        self.cancel.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// Trusts this authority, and shows this.
fn caller_by(authority: &Authority, shown: Option<&Pair>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = config.with_root_certificates(roots);
    match shown {
        None => config.with_no_client_auth(),
        Some(pair) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    }
}

fn caller(authority: &Authority, shown: Option<&Pair>) -> TlsConnector {
    TlsConnector::from(Arc::new(caller_by(authority, shown, &EVERY)))
}

/// From 127.0.0.`peer`.
async fn connect(to: SocketAddr, peer: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, peer), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// The whole answer to one request.
async fn ask(caller: &TlsConnector, to: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = caller.connect("localhost".try_into().unwrap(), connect(to, 1).await).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn code(caller: &TlsConnector, to: SocketAddr, path: &str) -> String {
    ask(caller, to, path).await.unwrap().split(' ').nth(1).unwrap().to_owned()
}

/// So much later, without waiting.
async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_nothing_but_http_1() {
    let files = Files::new();
    let listening = Listening::start(files.open().unwrap()).await;
    for version in EVERY {
        let caller = TlsConnector::from(Arc::new(caller_by(&files.authority, None, &[version])));
        for path in ["/livez", "/metrics", "/"] {
            assert_eq!(code(&caller, listening.at, path).await, "200", "{version:?} {path}");
        }
    }
    assert!(ask(&caller(&Authority::new(), None), listening.at, "/livez").await.is_err(), "of an authority that is not trusted");
    let mut of_h2 = caller_by(&files.authority, None, &EVERY);
    of_h2.alpn_protocols = vec![b"h2".to_vec()];
    assert!(ask(&TlsConnector::from(Arc::new(of_h2)), listening.at, "/livez").await.is_err());
    listening.close().await;
}

#[tokio::test]
async fn files_that_change_are_in_force_for_new_connections_and_bad_ones_are_not() {
    let files = Files::new();
    let (lines, _guard) = Lines::gather(LevelFilter::INFO);
    let listening = Listening::start(files.open().unwrap()).await;
    let (old, other) = (caller(&files.authority, None), Authority::new());
    let new = caller(&other, None);
    assert_eq!(code(&old, listening.at, "/livez").await, "200");

    let renewed = other.signs(&["localhost"]);
    put(files.dir.path(), "tls.crt", &renewed.certificate);
    assert_eq!(code(&old, listening.at, "/livez").await, "200", "they are not looked at for each connection");
    assert_eq!(lines.taken(), Vec::<String>::new());
    later(10).await;
    for _ in 0..3 {
        assert_eq!(code(&old, listening.at, "/livez").await, "200", "a pair that is half written");
        later(10).await;
    }
    let told = lines.taken();
    assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains("name a pair"), "told once: {told:#?}");
    std::fs::remove_file(files.path("tls.key")).unwrap();
    assert_eq!(code(&old, listening.at, "/livez").await, "200");
    assert!(lines.taken()[0].contains("--tls-private-key-file"), "what is wrong now is told");

    files.put(&renewed);
    later(10).await;
    assert_eq!(code(&new, listening.at, "/livez").await, "200");
    let told = lines.taken();
    assert!(told.len() == 1 && told[0].contains("INFO") && told[0].contains("can be used again"), "{told:#?}");
    assert!(ask(&old, listening.at, "/livez").await.is_err());
    files.put(&files.authority.signs(&["localhost"]));
    later(10).await;
    assert_eq!(code(&old, listening.at, "/livez").await, "200");
    let told = lines.taken();
    assert!(told.len() == 1 && told[0].contains("INFO") && told[0].contains("have changed"), "{told:#?}");
    listening.close().await;
}

#[tokio::test]
async fn only_probes_do_without_a_certificate_where_one_is_asked_for() {
    let files = Files::new();
    files.ask_for_certificates();
    let listening = Listening::start(files.open().unwrap()).await;
    let own = files.authority.signs(&["prometheus"]);
    let (known, nobody) = (caller(&files.authority, Some(&own)), caller(&files.authority, None));
    for path in ["/livez", "/healthz"] {
        assert_eq!(code(&nobody, listening.at, path).await, "200", "{path}");
    }
    assert_eq!(code(&nobody, listening.at, "/readyz?verbose").await, "503", "no turn has ended");
    for path in ["/", "/status", "/metrics", "/events", "/page.js", "/nothing", "/livez/", "/livez/../metrics", "//livez"] {
        let answer = ask(&nobody, listening.at, path).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("only the probes do without\n"), "{path}: {answer}");
    }
    for (path, expected) in [("/livez", "200"), ("/", "200"), ("/metrics", "200"), ("/status", "503"), ("/nothing", "404")] {
        assert_eq!(code(&known, listening.at, path).await, expected, "{path}");
    }
    for stranger in [Authority::new().signs(&["prometheus"]), files.authority.signs_until(&["prometheus"], 2020)] {
        for version in EVERY {
            let caller = TlsConnector::from(Arc::new(caller_by(&files.authority, Some(&stranger), &[version])));
            assert!(ask(&caller, listening.at, "/livez").await.is_err(), "a certificate that does not verify ends the handshake");
        }
    }
    // Another authority, from now on.
    let next = Authority::new();
    put(files.dir.path(), "ca.crt", &next.pem);
    later(10).await;
    assert!(ask(&known, listening.at, "/metrics").await.is_err());
    let known = caller(&files.authority, Some(&next.signs(&["prometheus"])));
    assert_eq!(code(&known, listening.at, "/metrics").await, "200");
    listening.close().await;
}

#[tokio::test]
async fn the_same_holds_for_any_router() {
    let files = Files::new();
    files.ask_for_certificates();
    let router = Router::new().route("/livez", get(async || "ok\n")).route("/metrics", get(async || "told\n"));
    let (socket, end) = (bind("127.0.0.1:0".parse().unwrap()).await.unwrap(), CancellationToken::new());
    let (at, serving) = listen_with(socket, router, Some(files.open().unwrap()), end.clone(), end.clone()).unwrap();
    let serving = tokio::spawn(serving);
    let (known, nobody) = (caller(&files.authority, Some(&files.authority.signs(&["me"]))), caller(&files.authority, None));
    for (caller, path, expected) in [(&nobody, "/livez", "200"), (&nobody, "/metrics", "401"), (&known, "/metrics", "200")] {
        assert_eq!(code(caller, at, path).await, expected, "{path}");
    }
    end.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn plain_http_ends_the_connection_and_no_line_is_logged() {
    let files = Files::new();
    let (lines, _guard) = Lines::gather(LevelFilter::INFO);
    let listening = Listening::start(files.open().unwrap()).await;
    for _ in 0..3 {
        let mut stream = connect(listening.at, 1).await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("it ends");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    assert_eq!(lines.taken(), Vec::<String>::new());
    listening.close().await;
}

/// A handshake without an end, a byte at a time.
async fn dribble(mut stream: TcpStream, pause: Duration) {
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].into_iter().chain(std::iter::repeat(7));
    for byte in hello {
        if stream.write_all(&[byte]).await.is_err() {
            return;
        }
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(pause, stream.read(&mut [0; 256])).await {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_takes_too_long_is_cut() {
    let files = Files::new();
    let listening = Listening::start(files.open().unwrap()).await;
    let began = tokio::time::Instant::now();
    let dribbling = dribble(connect(listening.at, 2).await, Duration::from_secs(1));
    tokio::time::timeout(Duration::from_secs(300), dribbling).await.expect("it is closed");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    listening.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_get_through_while_many_peers_dribble_their_handshakes() {
    let files = Files::new();
    let listening = Listening::start(files.open().unwrap()).await;
    let (open, mut flood) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    // The probe's own address among them.
    for peer in 1..12 {
        for _ in 0..50 {
            let (stream, open) = (connect(listening.at, peer).await, open.clone());
            open.fetch_add(1, Ordering::Relaxed);
            flood.spawn(async move {
                dribble(stream, Duration::from_millis(50)).await;
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
    let caller = caller(&files.authority, None);
    for _ in 0..20 {
        let answer = tokio::time::timeout(Duration::from_secs(1), ask(&caller, listening.at, "/livez")).await;
        assert!(answer.expect("within a second").unwrap().ends_with("ok\n"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let left = open.load(Ordering::Relaxed);
    assert!(left <= SEATS, "{left} dribble on");
    drop(flood);
    listening.close().await;
}

#[test]
fn files_that_cant_be_used_are_told_by_their_flags_and_nothing_of_a_key_is_repeated() {
    let (files, other) = (Files::new(), Authority::new().signs(&["localhost"]));
    let whole = files.authority.signs(&["localhost"]);
    let torn = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let reversed = format!("{}{}", files.authority.pem, whole.certificate);
    for (name, text, flag, why) in [
        ("tls.crt", "", "--tls-cert-file", "no certificate (PEM) in it"),
        ("tls.crt", &whole.key, "--tls-cert-file", "no certificate (PEM) in it"),
        ("tls.crt", &whole.certificate.replace("-----END", "----"), "--tls-cert-file", "damaged"),
        ("tls.crt", &other.certificate, "--tls-cert-file", "name a pair"),
        ("tls.crt", &reversed, "--tls-cert-file", "write the certificate before its issuers"),
        ("tls.key", &whole.certificate, "--tls-private-key-file", "no private key (PEM) in it"),
        ("tls.key", torn, "--tls-private-key-file", "the key can't be used"),
        ("tls.key", encrypted, "--tls-private-key-file", "without a passphrase"),
        ("ca.crt", "", "--tls-client-ca-file", "no certificate (PEM) in it"),
        ("ca.crt", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "--tls-client-ca-file", "authority"),
    ] {
        files.put(&whole);
        files.ask_for_certificates();
        assert!(files.open().is_ok());
        let path = put(files.dir.path(), name, text);
        let error = files.open().err().unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(error.starts_with(flag) && error.contains(path.to_str().unwrap()) && error.contains(why), "{name}: {error}");
        assert!(!error.contains("c2VjcmV0") && !error.contains("secret"), "{error}");
    }
    files.put(&whole);
    files.ask_for_certificates();
    for path in ["/nowhere/tls.key", "/dev/zero", "/"] {
        let error = Tls::open(files.path("tls.crt"), path.into(), None).err().unwrap();
        assert!(error.starts_with("--tls-private-key-file: ") && error.contains(path), "{error}");
    }
    let (lines, _guard) = Lines::gather(LevelFilter::INFO);
    files.put(&files.authority.signs_until(&["localhost"], 2020));
    assert!(files.open().is_ok());
    let told = lines.taken();
    assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains("2020-02-29T00:00:00Z"), "{told:#?}");
}
