//! Certificates and keys as text. No error repeats any of it.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, &'static str> {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("the key in it is encrypted; write it without a passphrase: openssl pkey -in KEY -out KEY.PEM");
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(
        |_| "no private key (PEM) in it; take it out of a .pfx with: openssl pkcs12 -in FILE.PFX -nocerts -noenc -out KEY.PEM",
    )
}

/// At least one.
pub fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let all = all.map_err(|_| "the PEM text in it is damaged; export it again")?;
    if all.is_empty() {
        return Err("no certificate (PEM) in it; take it out of a .pfx with: openssl pkcs12 -in FILE.PFX -nokeys -out CERT.PEM");
    }
    Ok(all)
}
