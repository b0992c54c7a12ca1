//! The way out of the real binary: through the proxy that the environment names, and to a service whose certificate authority
//! only `caFile` knows.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS12;
use rustls::{DEFAULT_VERSIONS, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::lines::Lines;
use crate::support::{AT_MOST, binary, stderr, stdout};

type Heard = Arc<Mutex<Vec<String>>>;

fn tls(authority: &Authority, names: &[&str], versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let own = authority.signs(names);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap().with_no_client_auth();
    let certificate = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

/// The first line of a request, once its head is there.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()?.lines().next().map(str::to_owned)
}

/// Entra and Graph: every token is given, every read refused.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, heard: Heard) {
    let Some(line) = head(&mut stream).await else { return };
    let (status, body) = if line.contains("/oauth2/v2.0/token") {
        ("200 OK", r#"{"token_type":"Bearer","expires_in":3599,"access_token":"opaque"}"#)
    } else {
        ("403 Forbidden", r#"{"error":{"code":"Authorization_RequestDenied","message":"No."}}"#)
    };
    heard.lock().unwrap().push(line);
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A proxy (its address, what it was asked for) before the one service that there is (what it was asked for).
struct Way {
    proxy: String,
    connects: Heard,
    heard: Heard,
    ca: String,
}

async fn way() -> Way {
    let authority = Authority::new();
    // The oldest that is accepted.
    let acceptor = tls(&authority, &["login.invalid", "graph.invalid", "app.invalid"], &[&TLS12]);
    let (connects, heard) = (Heard::default(), Heard::default());
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = service.local_addr().unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap();
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = service.accept().await {
            let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, kept).await;
                }
            });
        }
    });
    let kept = Arc::clone(&connects);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = proxy.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let Some(line) = head(&mut stream).await else { return };
                kept.lock().unwrap().push(line);
                let mut on = TcpStream::connect(behind).await.unwrap();
                let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
                let _ = copy_bidirectional(&mut stream, &mut on).await;
            });
        }
    });
    Way { proxy: format!("http://{address}"), connects, heard, ca: authority.pem }
}

struct Place {
    dir: tempfile::TempDir,
    config: PathBuf,
}

fn place(ca: Option<&str>) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("unscim.yaml");
    let ca_file = if ca.is_some() { "caFile: ca.pem" } else { "" };
    std::fs::write(dir.path().join("ca.pem"), ca.unwrap_or_default()).unwrap();
    for name in ["secret", "token"] {
        std::fs::write(dir.path().join(name), "s3cret").unwrap();
    }
    let text = format!(
        "apiVersion: unscim.dev/v1alpha1
kind: ScimRetirement
metadata: {{ name: far }}
spec:
  mode: Observe
  entra:
    tenantId: 11111111-1111-1111-1111-111111111111
    app: {{ servicePrincipalId: 22222222-2222-2222-2222-222222222222 }}
    credential: {{ clientId: 33333333-3333-3333-3333-333333333333, clientSecretFile: secret }}
    endpoints: {{ authority: \"https://login.invalid\", graph: \"https://graph.invalid\" }}
    {ca_file}
  groups: {{ select: AllAssigned }}
  target: {{ profile: generic, scimUrl: \"https://app.invalid/scim\", tokenFile: token }}
  timing: {{ requestTimeout: 5s }}
"
    );
    std::fs::write(&config, text).unwrap();
    Place { dir, config }
}

/// What `check` says, with these variables and no other about proxies.
async fn check(place: &Place, variables: &[(&str, &str)]) -> String {
    let mut command = binary();
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command.args(["check", "--config"]).arg(&place.config).envs(variables.iter().copied());
    let ended = tokio::time::timeout(AT_MOST, command.output()).await.expect("it ends").unwrap();
    stdout(&ended).to_owned() + stderr(&ended)
}

fn taken(heard: &Heard) -> Vec<String> {
    std::mem::take(&mut *heard.lock().unwrap())
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_and_an_authority_of_our_own_is_trusted_for_entra_alone() {
    let way = way().await;
    let place = place(Some(&way.ca));
    let said = check(&place, &[("HTTPS_PROXY", &way.proxy)]).await;
    let (connects, heard) = (taken(&way.connects), taken(&way.heard));
    for host in ["login.invalid", "graph.invalid", "app.invalid"] {
        assert!(connects.iter().any(|line| line.starts_with(&format!("CONNECT {host}:443 "))), "{host}: {connects:?}\n{said}");
    }
    assert!(heard.iter().any(|line| line.starts_with("POST /11111111-1111-1111-1111-111111111111/oauth2")), "{heard:?}\n{said}");
    assert!(heard.iter().any(|line| line.starts_with("GET /v1.0/servicePrincipals/")), "{heard:?}\n{said}");
    assert!(!heard.iter().any(|line| line.contains("/scim")), "the app is not Entra: {heard:?}");
    assert!(said.contains("give the credential Application.Read.All"), "Graph was heard: {said}");

    let said = check(&place, &[("HTTPS_PROXY", &way.proxy), ("NO_PROXY", "login.invalid,.invalid")]).await;
    assert_eq!((taken(&way.connects), taken(&way.heard)), (Vec::new(), Vec::new()), "{said}");
    assert!(said.contains("no connection"), "{said}");
}

#[tokio::test]
async fn a_certificate_of_nobody_known_is_refused_and_a_bundle_of_nothing_is_named() {
    let way = way().await;
    let stranger = Authority::new().pem;
    for ca in [None, Some(stranger.as_str())] {
        let said = check(&place(ca), &[("HTTPS_PROXY", &way.proxy)]).await;
        assert!(!taken(&way.connects).is_empty() && taken(&way.heard).is_empty(), "{said}");
        assert!(said.contains("no connection") && said.contains("certificate"), "{said}");
    }
    let empty = place(Some("-----BEGIN NOTHING-----"));
    let said = check(&empty, &[("HTTPS_PROXY", &way.proxy)]).await;
    assert!(said.contains("ca.pem") && said.contains("no certificate (PEM) in it"), "{said}");
    let torn = place(Some(&way.ca.replace("-----END", "----")));
    let said = check(&torn, &[("HTTPS_PROXY", &way.proxy)]).await;
    assert!(said.contains("ca.pem") && said.contains("no certificate (PEM) in it can be read: "), "{said}");
    std::fs::remove_file(empty.dir.path().join("ca.pem")).unwrap();
    let said = check(&empty, &[("HTTPS_PROXY", &way.proxy)]).await;
    assert!(said.contains("ca.pem") && said.contains("caFile must exist"), "{said}");
}

#[tokio::test]
async fn a_bundle_that_changes_is_read_again() {
    use http::Method;
    use unscim::world::http::{Api, Http, Trust, Unobserved, network, request};

    let authority = Authority::new();
    let acceptor = tls(&authority, &["127.0.0.1"], DEFAULT_VERSIONS);
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/x", service.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = service.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, Heard::default()).await;
            }
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("ca.pem");
    std::fs::write(&bundle, Authority::new().pem).unwrap();
    let trust = Trust { bundle: bundle.clone(), hosts: vec!["127.0.0.1".into()] };
    let transport = network(Duration::from_secs(5), Some(trust)).unwrap();
    let http = Http::new(transport, Api::Graph, Duration::from_secs(10), Arc::new(Unobserved));
    let ask = async || http.send("get", "asking", request(Method::GET, &url).unwrap()).await;
    assert!(ask().await.unwrap_err().to_string().contains("no connection"));
    std::fs::write(&bundle, Authority::new().pem + &authority.pem).unwrap();
    assert_eq!(ask().await.unwrap().status.as_u16(), 403);
    std::fs::write(&bundle, "torn").unwrap();
    assert_eq!(ask().await.unwrap().status.as_u16(), 403, "what was read before stays");
}

/// What the log holds at its finest while `doing` runs, in whatever library it is written.
async fn logged<T>(doing: impl Future<Output = T>) -> (T, String) {
    let (lines, guard) = Lines::gather(tracing_subscriber::filter::LevelFilter::TRACE);
    let done = doing.await;
    drop(guard);
    (done, lines.taken().join("\n"))
}

#[tokio::test]
async fn the_address_of_a_webhook_is_in_no_log_and_no_query_is() {
    use http::Method;
    use unscim::world::http::{Api, Http, Unobserved, network, request};

    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = format!("http://{}/pa7h/s3cret?qu3ry=s3cret", service.local_addr().unwrap()).parse().unwrap();
    let nowhere = "http://127.0.0.1:1/pa7h/s3cret?qu3ry=s3cret".parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = service.accept().await {
            answer(stream, Heard::default()).await;
        }
    });
    for api in Api::ALL {
        let http = Http::new(network(Duration::from_secs(5), None).unwrap(), api, Duration::from_secs(10), Arc::new(Unobserved));
        for (url, answered) in [(&there, true), (&nowhere, false)] {
            let (result, log) = logged(http.send("post", "asking", request(Method::POST, url).unwrap())).await;
            assert_eq!(result.is_ok(), answered);
            assert!(log.contains(api.label()) && log.contains("client_request_id"), "{log}");
            assert_eq!(log.contains("pa7h"), api != Api::Webhook, "{}: {log}", api.label());
            assert!(!log.contains("qu3ry"), "{}: {log}", api.label());
        }
    }
}
