//! TLS of the listener, off where no certificate is named. The files are read again while it runs: what renews certificates puts new
//! ones under the same names.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::world::pem;
use crate::world::secret::SecretFile;

/// Connections that come within this time of the last look at the files are served by what was read then.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// What a kubelet asks, which has no certificate to show.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/healthz"];

const CERTIFICATE: &str = "--tls-cert-file";
const KEY: &str = "--tls-private-key-file";
const CLIENT_CA: &str = "--tls-client-ca-file";

/// A certificate with its key and, where callers must show one too, the authority that theirs are of. What was read last and could
/// be used is in force.
pub struct Tls {
    files: Files,
    now: Mutex<Now>,
}

struct Files {
    certificate: SecretFile,
    key: SecretFile,
    client_ca: Option<SecretFile>,
}

/// What is in them.
struct Material {
    certificate: SecretString,
    key: SecretString,
    client_ca: Option<SecretString>,
}

struct Now {
    looked: Instant,
    /// Of what was read last, whether it can be used or not.
    print: Print,
    is_good: bool,
    config: Arc<ServerConfig>,
}

type Print = [u8; 32];

impl Tls {
    /// Reads the files; an error names the one that is wrong, and its flag.
    pub fn open(certificate: PathBuf, key: PathBuf, client_ca: Option<PathBuf>) -> Result<Tls, String> {
        let (certificate, key) = (SecretFile::new(certificate), SecretFile::new(key));
        let files = Files { certificate, key, client_ca: client_ca.map(SecretFile::new) };
        let read = files.read();
        let print = print(&read);
        let config = files.config(&read?)?;
        Ok(Tls { files, now: Mutex::new(Now { looked: Instant::now(), print, is_good: true, config }) })
    }

    /// Whether callers must show a certificate.
    pub(super) fn asks_for_certificates(&self) -> bool {
        self.files.client_ca.is_some()
    }

    /// For a connection that has just come.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.looked.elapsed() >= LOOK_AGAIN {
            now.look(&self.files);
            now.looked = Instant::now();
        }
        now.config.clone()
    }
}

impl Now {
    fn look(&mut self, files: &Files) {
        let read = files.read();
        let print = print(&read);
        if print == std::mem::replace(&mut self.print, print) {
            return;
        }
        match read.and_then(|read| files.config(&read)) {
            Ok(config) => {
                self.config = config;
                if std::mem::replace(&mut self.is_good, true) {
                    tracing::info!("the files of TLS have changed; new connections are served by them");
                } else {
                    tracing::info!("the files of TLS can be used again; new connections are served by them");
                }
            }
            Err(error) => {
                self.is_good = false;
                tracing::warn!(error, "the files of TLS have changed and can't be used; what was read before stays in force");
            }
        }
    }
}

fn print(read: &Result<Material, String>) -> Print {
    let mut print = Sha256::new();
    match read {
        Ok(Material { certificate, key, client_ca }) => {
            for text in [Some(certificate), Some(key), client_ca.as_ref()].into_iter().flatten() {
                print.update(Sha256::digest(text.expose_secret()));
            }
        }
        Err(error) => print.update(error),
    }
    print.finalize().into()
}

fn wrong(flag: &'static str, file: &SecretFile, cause: impl Into<String>) -> String {
    format!("{flag}: {}", file.trouble(cause))
}

/// A pipe can't be read a second time, and whoever tries waits for ever.
fn text(flag: &'static str, file: &SecretFile) -> Result<SecretString, String> {
    if std::fs::metadata(file.path()).is_ok_and(|found| !found.is_file()) {
        return Err(wrong(flag, file, "it is no regular file; name one, as it is read again while unscim runs"));
    }
    file.text().map_err(|error| format!("{flag}: {error}"))
}

impl Files {
    fn read(&self) -> Result<Material, String> {
        Ok(Material {
            certificate: text(CERTIFICATE, &self.certificate)?,
            key: text(KEY, &self.key)?,
            client_ca: self.client_ca.as_ref().map(|file| text(CLIENT_CA, file)).transpose()?,
        })
    }

    fn config(&self, read: &Material) -> Result<Arc<ServerConfig>, String> {
        let Files { certificate, key, client_ca } = self;
        let secret = pem::private_key(read.key.expose_secret()).map_err(|cause| wrong(KEY, key, cause))?;
        let chain =
            pem::certificates(read.certificate.expose_secret()).map_err(|cause| wrong(CERTIFICATE, certificate, cause))?;
        let ended = has_ended(&chain[0]);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13, &TLS12]);
        let builder = versions.map_err(|error| error.to_string())?;
        let builder = match client_ca.as_ref().zip(read.client_ca.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((file, authorities)) => {
                let roots = roots(authorities.expose_secret()).map_err(|cause| wrong(CLIENT_CA, file, cause))?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
                builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(CLIENT_CA, file, error.to_string()))?)
            }
        };
        let mut config = builder.with_single_cert(chain, secret).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let cause = format!(
                    "its first certificate is not of the key in {}; name a pair, and write the certificate before its issuers",
                    key.path().display()
                );
                wrong(CERTIFICATE, certificate, cause)
            }
            rustls::Error::InvalidCertificate(_) => {
                wrong(CERTIFICATE, certificate, format!("its first certificate can't be used: {error}; make another one"))
            }
            // What it says of a key is the kind of the mistake, and nothing of the key.
            error => wrong(KEY, key, format!("the key can't be used: {error}; make an RSA, ECDSA or Ed25519 key for TLS")),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session that is taken up again would outlive the certificates that it was opened with.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if let Some(ended) = ended {
            let file = certificate.path().display();
            tracing::warn!(%file, %ended, "the certificate has expired: whoever looks at it will not connect; renew it");
        }
        Ok(Arc::new(config))
    }
}

fn roots(text: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for authority in pem::certificates(text)? {
        roots.add(authority).map_err(|error| format!("a certificate in it can't be used as an authority: {error}"))?;
    }
    Ok(roots)
}

/// Since when it has.
fn has_ended(certificate: &CertificateDer<'_>) -> Option<jiff::Timestamp> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let ends = parsed.tbs_certificate().validity().not_after.to_unix_duration();
    let ends = jiff::Timestamp::from_second(i64::try_from(ends.as_secs()).ok()?).ok()?;
    (ends < jiff::Timestamp::now()).then_some(ends)
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    /// They have shown a certificate, which was verified.
    pub(super) is_known: bool,
}

/// Answers nobody without a certificate, but for the probes.
pub(super) async fn known(request: Request, next: Next) -> Response {
    let is_known = request.extensions().get().is_some_and(|caller: &Caller| caller.is_known);
    if is_known || PROBES.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let why = "show a client certificate that this listener's authority has signed; only the probes do without\n";
    (StatusCode::UNAUTHORIZED, why).into_response()
}
