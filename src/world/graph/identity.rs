//! Who we are to Entra, and what we show for it. Files are read anew each time; nothing of them is ever shown.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::assertion::{Signer, life_of_token};
use crate::model::id::TenantId;
use crate::model::snapshot::CredentialLife;
use crate::model::spec::{Credential, Entra};
use crate::world::error::{Error, Result};
use crate::world::http::{is_link_local, is_loopback, request};
use crate::world::secret::SecretFile;

const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Waits between the tries with the machine's own service, 75 s in all: while an identity is being given to a machine it
/// answers 404, and 410 for up to 70 s while it is itself renewed.
const MACHINE_WAITS: [u64; 6] = [2, 4, 8, 16, 20, 25];

/// Where this machine gives out the tokens of a managed identity.
#[derive(Clone, Debug)]
pub enum Machine {
    /// Virtual machines and what runs on them.
    Imds,
    /// App Service, Functions, Container Apps.
    AppService {
        endpoint: Url,
        header: SecretString,
    },
    Unknown(String),
}

impl Machine {
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Machine {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        match (set("IDENTITY_ENDPOINT"), set("IDENTITY_HEADER")) {
            (None, _) => Machine::Imds,
            (Some(_), None) => Machine::Unknown(
                "IDENTITY_ENDPOINT is set and IDENTITY_HEADER is not (Azure Arc?); use a certificate on this machine".into(),
            ),
            (Some(endpoint), Some(header)) => match Url::parse(&endpoint) {
                Ok(endpoint) if is_of_this_machine(&endpoint) => {
                    Machine::AppService { endpoint, header: SecretString::from(header) }
                }
                _ => Machine::Unknown("IDENTITY_ENDPOINT is no address of this machine; it should be http://localhost:…".into()),
            },
        }
    }
}

/// Over plain HTTP a token may come from here only.
fn is_of_this_machine(url: &Url) -> bool {
    let host = url.host_str();
    url.scheme() == "https" || (url.scheme() == "http" && (is_link_local(host) || is_loopback(host)))
}

enum Kind {
    Secret { client: Uuid, file: SecretFile },
    Certificate { client: Uuid, certificate: SecretFile, key: SecretFile },
    Federated { client: Uuid, file: SecretFile },
    Managed { client: Option<Uuid>, machine: Machine },
}

/// One identity at one authority.
pub(super) struct Identity {
    kind: Kind,
    tenant: TenantId,
    url: Url,
    resource: String,
}

/// One request for a token.
pub(super) struct Asking {
    pub request: Request<Bytes>,
    /// What was read for it: while it is the same, so is the answer.
    pub material: SecretString,
    /// What no text may repeat.
    pub hidden: SecretString,
}

impl Identity {
    pub fn new(entra: &Entra, machine: Machine) -> Self {
        let mut url = entra.authority.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([entra.tenant_id.to_string().as_str(), "oauth2", "v2.0", "token"]);
        }
        let file = |path: &std::path::Path| SecretFile::new(path.to_owned());
        let kind = match &entra.credential {
            Credential::ClientSecret { client_id, client_secret_file } => {
                Kind::Secret { client: *client_id, file: file(client_secret_file) }
            }
            Credential::Certificate { client_id, certificate_file, private_key_file } => {
                Kind::Certificate { client: *client_id, certificate: file(certificate_file), key: file(private_key_file) }
            }
            Credential::Federated { client_id, federated_token_file } => {
                Kind::Federated { client: *client_id, file: file(federated_token_file) }
            }
            Credential::ManagedIdentity { client_id, managed_identity: _ } => Kind::Managed { client: *client_id, machine },
        };
        Identity { kind, tenant: entra.tenant_id, url, resource: entra.graph.as_str().trim_end_matches('/').to_owned() }
    }

    pub fn asking(&self) -> Result<Asking> {
        match &self.kind {
            Kind::Secret { client, file } => {
                let secret = file.read()?;
                let request = self.form(*client, &[("client_secret", secret.expose_secret())])?;
                Ok(Asking { request, material: secret.clone(), hidden: secret })
            }
            Kind::Certificate { client, certificate, key } => {
                let signer = Signer::read(certificate, key)?;
                let assertion = signer.assertion(*client, &self.url, Timestamp::now())?;
                Ok(Asking { request: self.asserting(*client, &assertion)?, material: signer.material, hidden: assertion })
            }
            Kind::Federated { client, file } => {
                let token = file.read()?;
                Ok(Asking { request: self.asserting(*client, &token)?, material: token.clone(), hidden: token })
            }
            Kind::Managed { client, machine } => self.asking_machine(*client, machine),
        }
    }

    /// When to try again; empty where one try is all.
    pub fn waits(&self) -> impl Iterator<Item = Duration> {
        let waits = if matches!(self.kind, Kind::Managed { .. }) { &MACHINE_WAITS[..] } else { &[] };
        waits.iter().map(|seconds| Duration::from_secs(*seconds))
    }

    /// `None`: nobody can tell.
    #[expect(clippy::disallowed_methods, reason = "each sign-in reads the same files, and tells why it could not")]
    pub fn life(&self) -> Option<CredentialLife> {
        match &self.kind {
            Kind::Certificate { certificate, key, .. } => Signer::read(certificate, key).ok().map(|signer| signer.life),
            Kind::Federated { file, .. } => life_of_token(&file.read().ok()?),
            Kind::Secret { .. } | Kind::Managed { .. } => None,
        }
    }

    fn asserting(&self, client: Uuid, assertion: &SecretString) -> Result<Request<Bytes>> {
        self.form(client, &[("client_assertion_type", ASSERTION), ("client_assertion", assertion.expose_secret())])
    }

    fn form(&self, client: Uuid, proof: &[(&str, &str)]) -> Result<Request<Bytes>> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &client.to_string())
            .extend_pairs(proof)
            .append_pair("scope", &format!("{}/.default", self.resource))
            .finish();
        let mut request = request(Method::POST, &self.url)?;
        *request.body_mut() = Bytes::from(form);
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    fn asking_machine(&self, client: Option<Uuid>, machine: &Machine) -> Result<Asking> {
        let odd = |message: &str| Error::Credential { code: None, message: message.to_owned() };
        let nothing = SecretString::default();
        let (endpoint, version, header, hidden) = match machine {
            Machine::Imds => {
                let url = Url::parse(IMDS).map_err(|_| odd("the address of IMDS is odd"))?;
                (url, "2018-02-01", ("metadata", HeaderValue::from_static("true")), nothing)
            }
            Machine::AppService { endpoint, header } => {
                let mut value = HeaderValue::from_str(header.expose_secret())
                    .map_err(|_| odd("IDENTITY_HEADER has characters that no header can have"))?;
                value.set_sensitive(true);
                (endpoint.clone(), "2019-08-01", ("x-identity-header", value), header.clone())
            }
            Machine::Unknown(why) => return Err(odd(why)),
        };
        let mut url = endpoint;
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", &self.resource);
        if let Some(client) = client {
            url.query_pairs_mut().append_pair("client_id", &client.to_string());
        }
        let mut request = request(Method::GET, &url)?;
        request.headers_mut().insert(header.0, header.1);
        Ok(Asking { request, material: SecretString::default(), hidden })
    }

    /// What is wrong and what to do about it, for the codes that operators meet.
    pub fn remedy(&self, code: u32) -> Option<String> {
        let (client, tenant) = (self.client(), self.tenant);
        let sentence = match code {
            7000215 => "the client secret is wrong; put the secret's value, not its id, into clientSecretFile".to_owned(),
            7000222 => "the client secret has expired; create a new one and put it into clientSecretFile".to_owned(),
            700016 => format!("there is no application {client} in tenant {tenant}; check clientId and tenantId"),
            90002 => format!("there is no tenant {tenant}; check tenantId and cloud"),
            700027 => format!(
                "the assertion's signature is not accepted; register its certificate with application {client}, and see that it has not expired"
            ),
            700021 | 700023 => "the assertion's subject or audience is wrong; check clientId, tenantId and cloud".to_owned(),
            53003 => format!(
                "a Conditional Access policy keeps application {client} from signing in, most often for the address it comes from; see the service principal \
                 sign-ins in Entra's sign-in logs, and allow this address there or exclude the service principal"
            ),
            70021 | 700211..=700213 => format!(
                "no federated credential of application {client} fits the token's issuer, subject and audience; correct it there, or the token's service account"
            ),
            _ => return None,
        };
        Some(format!("{sentence} (AADSTS{code})"))
    }

    /// Where no code says it.
    pub fn advice(&self) -> &'static str {
        match &self.kind {
            Kind::Managed { .. } => "; give this machine or pod a managed identity, or correct clientId",
            _ => "",
        }
    }

    fn client(&self) -> Uuid {
        match &self.kind {
            Kind::Secret { client, .. } | Kind::Certificate { client, .. } | Kind::Federated { client, .. } => *client,
            Kind::Managed { client, .. } => client.unwrap_or_default(),
        }
    }
}
