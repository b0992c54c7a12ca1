//! TLS as the flags ask for it: of the listener, and of whoever asks one.

use std::path::PathBuf;

use anyhow::Result;
use secrecy::ExposeSecret as _;

use crate::cli::args::{CallerTls, ListenerTls, Misuse};
use crate::serve::Tls;
use crate::world::http::{certificates, chain};
use crate::world::pem;
use crate::world::secret::SecretFile;

/// `None` where no certificate is named.
pub fn of_listener(args: &ListenerTls) -> Result<Option<Tls>> {
    let ListenerTls { tls_cert_file, tls_private_key_file, tls_client_ca_file } = args;
    let Some((certificate, key)) = tls_cert_file.clone().zip(tls_private_key_file.clone()) else { return Ok(None) };
    Ok(Some(Tls::open(certificate, key, tls_client_ca_file.clone()).map_err(Misuse)?))
}

/// The files are read now.
pub fn client(args: &CallerTls, builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    let CallerTls { ca_file, client_cert_file, client_key_file } = args;
    let builder = match ca_file {
        Some(file) => builder.tls_certs_merge(certificates(file, "--ca-file").map_err(|error| Misuse(error.to_string()))?),
        None => builder,
    };
    let builder = match client_cert_file.clone().zip(client_key_file.clone()) {
        Some((certificate, key)) => builder.identity(identity(certificate, key).map_err(Misuse)?),
        None => builder,
    };
    let named = if client_cert_file.is_some() { "; do --client-cert-file and --client-key-file belong together?" } else { "" };
    builder.build().map_err(|error| Misuse(format!("the HTTP client: {}{named}", chain(&error))).into())
}

fn identity(certificate: PathBuf, key: PathBuf) -> Result<reqwest::Identity, String> {
    let (certificate, key) = (SecretFile::new(certificate), SecretFile::new(key));
    let read = |flag: &str, file: &SecretFile| file.text().map_err(|error| format!("{flag}: {error}"));
    let (shown, secret) = (read("--client-cert-file", &certificate)?, read("--client-key-file", &key)?);
    let wrong = |flag: &str, file: &SecretFile, cause: &str| format!("{flag}: {}", file.trouble(cause));
    pem::certificates(shown.expose_secret()).map_err(|cause| wrong("--client-cert-file", &certificate, cause))?;
    pem::private_key(secret.expose_secret()).map_err(|cause| wrong("--client-key-file", &key, cause))?;
    let both = [shown.expose_secret(), secret.expose_secret()].join("\n");
    reqwest::Identity::from_pem(both.as_bytes()).map_err(|error| wrong("--client-cert-file", &certificate, &chain(&error)))
}
