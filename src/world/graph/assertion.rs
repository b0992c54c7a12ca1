//! A signed word of our own (RFC 7523) in place of a secret: PS256, with a certificate that is registered in Entra.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::model::snapshot::CredentialLife;
use crate::world::error::{Error, Result};
use crate::world::pem;
use crate::world::secret::{SecretFile, claims, time_of};

/// An assertion is used at once.
const GOOD_FOR: i64 = 300;
/// `rsaEncryption` (RFC 8017), as it stands in every PKCS#8 form of an RSA key.
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// A certificate and its key, as they were in their files.
pub(super) struct Signer {
    key: RsaKeyPair,
    thumbprint: String,
    pub life: CredentialLife,
    /// The text of both files: tells a renewed pair from the one before.
    pub material: SecretString,
}

impl Signer {
    pub fn read(certificate: &SecretFile, private_key: &SecretFile) -> Result<Signer> {
        let (public, secret) = (certificate.text()?, private_key.text()?);
        let key = key_in(secret.expose_secret()).map_err(|cause| private_key.trouble(cause))?;
        let found = certificates_in(public.expose_secret()).map_err(|cause| certificate.trouble(cause))?;
        let own = |(_, parsed): &&(CertificateDer<'_>, Certificate)| {
            let public = &parsed.tbs_certificate().subject_public_key_info().subject_public_key;
            public.as_bytes() == Some(key.public_key().as_ref())
        };
        // Exports hold the issuers too, in any order: ours is the one that belongs to the key.
        let Some((der, parsed)) = found.iter().find(own) else {
            let cause = format!("no certificate in it belongs to the key in {}; name a pair", private_key.path().display());
            return Err(certificate.trouble(cause));
        };
        let validity = parsed.tbs_certificate().validity();
        let life = CredentialLife { begins: stamp(validity.not_before), ends: stamp(validity.not_after) };
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(der));
        let material = SecretString::from(format!("{}\n{}", public.expose_secret(), secret.expose_secret()));
        Ok(Signer { key, thumbprint, life, material })
    }

    /// A fresh one, for this token endpoint.
    pub fn assertion(&self, client: Uuid, audience: &Url, now: Timestamp) -> Result<SecretString> {
        let now = now.as_second();
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint}));
        let claims = part(json!({
            "aud": audience, "iss": client, "sub": client, "jti": Uuid::new_v4(),
            "nbf": now, "iat": now, "exp": now + GOOD_FOR,
        }));
        let text = format!("{head}.{claims}");
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).map_err(|_| {
            let message = "the private key can't sign; use an RSA key of at least 2048 bits".to_owned();
            Error::Credential { code: None, message }
        })?;
        Ok(SecretString::from(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

fn key_in(text: &str) -> Result<RsaKeyPair, &'static str> {
    let der = pem::private_key(text)?;
    const NOT_RSA: &str = "its key is no RSA key; Entra takes RSA only: make a certificate with an RSA key of at least 2048 bits";
    let key = match &der {
        // The algorithm stands before the key itself.
        PrivateKeyDer::Pkcs8(der) if !der.secret_pkcs8_der().windows(RSA.len()).take(40).any(|at| at == RSA) => {
            return Err(NOT_RSA);
        }
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(NOT_RSA),
    };
    key.map_err(|_| "its RSA key can't be used; it must have 2048 to 8192 bits and be whole")
}

fn certificates_in(text: &str) -> Result<Vec<(CertificateDer<'static>, Certificate)>, &'static str> {
    let all = pem::certificates(text)?;
    #[expect(clippy::disallowed_methods, reason = "an issuer's may be odd; that ours is not among the rest is told")]
    let parsed = all.into_iter().filter_map(|der| Certificate::from_der(&der).ok().map(|parsed| (der, parsed)));
    Ok(parsed.collect())
}

#[expect(clippy::disallowed_methods, reason = "beyond the calendar is for ever")]
fn stamp(time: x509_cert::time::Time) -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(time.to_unix_duration()).unwrap_or(Timestamp::MAX)
}

/// When the projected token begins and ends, by its own claims.
#[expect(clippy::disallowed_methods, reason = "a time beyond the calendar is none")]
pub(super) fn life_of_token(token: &SecretString) -> Option<CredentialLife> {
    let claims = claims(token)?;
    let ends = time_of(&claims, "exp")?;
    let begins = time_of(&claims, "iat").or(time_of(&claims, "nbf")).unwrap_or(ends.checked_sub(Duration::from_secs(3600)).ok()?);
    Some(CredentialLife { begins, ends })
}
