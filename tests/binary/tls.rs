//! TLS of the listener, and `unscim status` over it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use unscim::model::spec::Mode;
use unscim::serve::metrics::Metrics;
use unscim::serve::{Hosts, State, Tls, bind, listen};

use crate::authority::{Authority, put};
use crate::support::{AT_MOST, Daemon, Rig, output, stderr, stdout};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn wrong_flags_and_files_are_64_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (pair, other) = (authority.signs(&["localhost"]), authority.signs(&["localhost"]));
    let certificate = put(dir.path(), "tls.crt", &pair.certificate);
    let (key, of_other) = (put(dir.path(), "tls.key", &pair.key), put(dir.path(), "other.key", &other.key));
    let nothing = put(dir.path(), "ca.crt", "");
    let (certificate, key, of_other, nothing) = (text(&certificate), text(&key), text(&of_other), text(&nothing));
    let data = dir.path().join("data");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/observe.yaml");
    let run = ["run", "--config", config, "--data-dir", text(&data), "--listen", "127.0.0.1:0"];
    let operator = ["operator", "--namespace", "n", "--worker-image", "i", "--listen", "127.0.0.1:0"];
    for (flags, why) in [
        (&["--tls-cert-file", certificate][..], "--tls-private-key-file"),
        (&["--tls-private-key-file", key], "--tls-cert-file"),
        (&["--tls-client-ca-file", certificate], "--tls-cert-file"),
        (&["--tls-cert-file", "/nowhere/tls.crt", "--tls-private-key-file", key], "--tls-cert-file: reading /nowhere/tls.crt: "),
        (&["--tls-cert-file", certificate, "--tls-private-key-file", certificate], "no private key (PEM) in it"),
        (&["--tls-cert-file", certificate, "--tls-private-key-file", of_other], "name a pair"),
        (
            &["--tls-cert-file", certificate, "--tls-private-key-file", key, "--tls-client-ca-file", nothing],
            "--tls-client-ca-file: ",
        ),
    ] {
        for verb in [&run[..], &[&run[..], &["--once"]].concat(), &operator] {
            let ended = output(&[verb, flags].concat()).await;
            assert_eq!(ended.status.code(), Some(64), "{verb:?} {flags:?}: {}", stderr(&ended));
            assert!(stderr(&ended).contains(why), "{flags:?}: {}", stderr(&ended));
            assert!(!stderr(&ended).contains(other.key.lines().nth(1).unwrap()), "{}", stderr(&ended));
        }
    }
    assert!(!data.exists());
    for (flags, why) in [
        (&["--client-cert-file", certificate][..], "--client-key-file"),
        (&["--ca-file", "/nowhere/ca.crt"], "/nowhere/ca.crt"),
        (&["--ca-file", nothing], "no certificate (PEM) in it"),
        (&["--client-cert-file", certificate, "--client-key-file", nothing], "--client-key-file: "),
        (&["--client-cert-file", certificate, "--client-key-file", of_other], "belong together"),
    ] {
        for more in [&[][..], &["--watch"]] {
            let ended = output(&[&["status", "--url", "https://127.0.0.1:1"], flags, more].concat()).await;
            assert_eq!(ended.status.code(), Some(64), "{flags:?}: {}", stderr(&ended));
            assert!(stderr(&ended).contains(why), "{flags:?}: {}", stderr(&ended));
        }
    }
}

#[tokio::test]
async fn status_is_asked_for_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, callers) = (Authority::new(), Authority::new());
    let (own, caller) = (authority.signs(&["127.0.0.1"]), callers.signs(&["me"]));
    let file = |name: &str, text: &str| put(dir.path(), name, text);
    let tls = Tls::open(file("tls.crt", &own.certificate), file("tls.key", &own.key), Some(file("callers.crt", &callers.pem)));
    let state = State::new("uniqkey", Value::Null, Arc::new(Metrics::new()), Duration::from_secs(60));
    let (stop, socket) = (CancellationToken::new(), bind("127.0.0.1:0".parse().unwrap()).await.unwrap());
    let (at, serving) = listen(socket, state, Hosts::default(), Some(tls.unwrap()), stop.clone()).unwrap();
    let serving = tokio::spawn(serving);
    let (ca, certificate, key) =
        (file("ca.crt", &authority.pem), file("me.crt", &caller.certificate), file("me.key", &caller.key));
    let url = format!("https://{at}");
    let trusting = ["status", "--url", &url, "--ca-file", text(&ca)];
    let shown = [&trusting[..], &["--client-cert-file", text(&certificate), "--client-key-file", text(&key)]].concat();
    for (args, said) in [
        (vec!["status", "--url", &url], "--ca-file"),
        (trusting.to_vec(), "/status answers 401 Unauthorized; name a certificate with --client-cert-file"),
        (shown, "no turn has ended yet"),
        ([&trusting[..], &["--ready"]].concat(), "/readyz answers 503 Service Unavailable: no turn has ended yet"),
    ] {
        let ended = output(&args).await;
        assert_eq!((ended.status.code(), stdout(&ended)), (Some(1), ""), "{args:?}");
        assert!(stderr(&ended).contains(said), "{args:?}: {}", stderr(&ended));
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_daemon_speaks_tls_and_whoever_does_not_fills_no_log() {
    let rig = Rig::new(Mode::Observe).await;
    let authority = Authority::new();
    let own = authority.signs(&["127.0.0.1"]);
    let file = |name: &str, text: &str| put(rig.dir.path(), name, text);
    let (certificate, key, ca) = (file("tls.crt", &own.certificate), file("tls.key", &own.key), file("ca.crt", &authority.pem));
    let mut args = rig.args();
    args.extend(["--tls-cert-file", text(&certificate), "--tls-private-key-file", text(&key)].map(str::to_owned));
    let mut daemon = Daemon::start(&args);
    let url = daemon.root().await.replace("http://", "https://");
    let at = url.trim_start_matches("https://");
    // What is no TLS, what is none at its second glance, and a warning as TLS has them.
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00\x04\x14\0\0\0", b"\x15\x03\x01\x00\x02\x01\x5a"] {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(AT_MOST, stream.read_to_end(&mut answer)).await.expect("it ends");
        assert!(!answer.starts_with(b"HTTP"));
    }
    let asked = ["status", "--url", &url, "--ca-file", text(&ca), "--wait-for", "Observing", "--timeout", "60s"];
    let ended = output(&asked).await;
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
    let log = daemon.log();
    assert!(log.iter().any(|line| line.contains("\"tls\":true")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("rustls") || line.contains("handshake")), "{log:#?}");
}
