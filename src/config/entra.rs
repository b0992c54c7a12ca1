//! `spec.entra`: the clouds, and who we are to them. Azure Workload Identity's variables stand in where the file says nothing.

use std::path::PathBuf;

use url::Url;

use super::check::Check;
use super::raw;
use super::values::{Guid, Link};
use crate::model::id::{JobId, TenantId};
use crate::model::spec::{Cloud, Credential, Entra, ManagedIdentity};

const AT: &str = "spec.entra.credential";
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const TENANT_ID: &str = "AZURE_TENANT_ID";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ClientSecret,
    Certificate,
    Federated,
    ManagedIdentity,
}

/// The field of the file that speaks of each kind.
const FIELDS: [(&str, Kind); 5] = [
    ("clientSecretFile", Kind::ClientSecret),
    ("certificateFile", Kind::Certificate),
    ("privateKeyFile", Kind::Certificate),
    ("federatedTokenFile", Kind::Federated),
    ("managedIdentity", Kind::ManagedIdentity),
];

impl Check<'_> {
    pub(super) fn entra(&mut self, raw: raw::Entra) -> Option<Entra> {
        let app = self.need(raw.app, "spec.entra.app").unwrap_or_default();
        let app = self.app(app);
        let kind = self.kind(raw.credential.is_some());
        let federated = kind == Some(Kind::Federated);
        let tenant_id = self.id(raw.tenant_id, "spec.entra.tenantId", TENANT_ID, federated);
        let credential = kind.and_then(|kind| self.credential(raw.credential.unwrap_or_default(), kind));
        let endpoints = raw.endpoints.unwrap_or_default();
        let (authority, graph) = (endpoints.authority.map(|link| link.0), endpoints.graph.map(|link| link.0));
        let (cloud, authority) = match (raw.cloud, authority) {
            (None, None) if federated => self.host_cloud(graph.is_some()),
            (cloud, authority) => (cloud.unwrap_or(Cloud::Public), authority),
        };
        let (known_authority, known_graph) = endpoints_of(cloud);
        Some(Entra {
            cloud,
            tenant_id: TenantId(tenant_id?),
            app: app?,
            job_id: raw.job_id.map(|id| JobId(id.0)),
            credential: credential?,
            authority: authority.unwrap_or(known_authority),
            graph: graph.unwrap_or(known_graph),
            ca_file: raw.ca_file.map(|path| self.file(path)),
        })
    }

    /// The one kind that is meant.
    fn kind(&mut self, readable: bool) -> Option<Kind> {
        let named: Vec<_> = FIELDS.into_iter().filter(|(field, _)| self.has(&format!("{AT}.{field}"))).collect();
        match named.first() {
            Some((_, kind)) if named.iter().all(|(_, other)| other == kind) => Some(*kind),
            Some(_) => {
                let fields: Vec<&str> = named.iter().map(|(field, _)| *field).collect();
                self.wrong(AT, format!("{} together; keep one kind of credential", fields.join(" and ")));
                None
            }
            None if self.variable(TOKEN_FILE).is_some() => Some(Kind::Federated),
            None if readable => {
                self.wrong(
                    AT,
                    "names no credential; give one of clientSecretFile, certificateFile with privateKeyFile, federatedTokenFile and managedIdentity: {}",
                );
                None
            }
            None => {
                self.need(None::<()>, AT);
                None
            }
        }
    }

    fn credential(&mut self, raw: raw::Credential, kind: Kind) -> Option<Credential> {
        let id_at = format!("{AT}.clientId");
        if kind == Kind::ManagedIdentity {
            let client_id = raw.client_id.map(|id| id.0);
            return raw.managed_identity.map(|_| Credential::ManagedIdentity { client_id, managed_identity: ManagedIdentity {} });
        }
        let client_id = self.id(raw.client_id, &id_at, CLIENT_ID, kind == Kind::Federated);
        let mut file = |file, field: &str| self.need(file, &format!("{AT}.{field}")).map(|path| self.file(path));
        match kind {
            Kind::ClientSecret => {
                let client_secret_file = file(raw.client_secret_file, "clientSecretFile");
                Some(Credential::ClientSecret { client_id: client_id?, client_secret_file: client_secret_file? })
            }
            Kind::Certificate => {
                let certificate_file = file(raw.certificate_file, "certificateFile");
                let private_key_file = file(raw.private_key_file, "privateKeyFile");
                Some(Credential::Certificate {
                    client_id: client_id?,
                    certificate_file: certificate_file?,
                    private_key_file: private_key_file?,
                })
            }
            Kind::Federated | Kind::ManagedIdentity => {
                let given = raw.federated_token_file.map(|path| self.file(path));
                let federated_token_file = given.or_else(|| self.variable(TOKEN_FILE).map(PathBuf::from))?;
                Some(Credential::Federated { client_id: client_id?, federated_token_file })
            }
        }
    }

    /// From the file; or from the variable, where that may stand in.
    fn id(&mut self, given: Option<Guid>, path: &str, variable: &str, may_stand_in: bool) -> Option<uuid::Uuid> {
        if !may_stand_in || given.is_some() || self.has(path) {
            return self.need(given, path).map(|id| id.0);
        }
        match self.variable(variable).map(Guid::try_from) {
            Some(Ok(id)) => Some(id.0),
            Some(Err(what)) => {
                self.wrong(path, format!("missing, and in {variable} {what}"));
                None
            }
            None => {
                self.wrong(path, format!("missing, and {variable} is not set"));
                None
            }
        }
    }

    /// The cloud whose token endpoint the variable names. One alone leaves open which Graph belongs to it.
    fn host_cloud(&mut self, graph_is_given: bool) -> (Cloud, Option<Url>) {
        let Some(host) = self.variable(AUTHORITY) else { return (Cloud::Public, None) };
        let url = match Link::try_from(host) {
            Ok(link) => link.0,
            Err(what) => {
                self.wrong("spec.entra", format!("{AUTHORITY} is {what}"));
                return (Cloud::Public, None);
            }
        };
        match url.host_str().unwrap_or_default() {
            "login.microsoftonline.com" => (Cloud::Public, Some(url)),
            "login.chinacloudapi.cn" | "login.partner.microsoftonline.cn" => (Cloud::China, Some(url)),
            "login.sovcloud-identity.fr" => (Cloud::Bleu, Some(url)),
            "login.sovcloud-identity.de" => (Cloud::Delos, Some(url)),
            "login.sovcloud-identity.sg" => (Cloud::Singapore, Some(url)),
            "login.microsoftonline.us" => {
                self.wrong("spec.entra", format!("{AUTHORITY} serves two clouds; write cloud: UsGov or cloud: UsGovDod"));
                (Cloud::UsGov, None)
            }
            _ if graph_is_given => (Cloud::Public, Some(url)),
            host => {
                let what = format!(
                    "{AUTHORITY} names {host}, which is no cloud known here; write cloud, or endpoints with both addresses"
                );
                self.wrong("spec.entra", what);
                (Cloud::Public, None)
            }
        }
    }
}

/// Token endpoint and Graph of each cloud (Microsoft Graph, "National cloud deployments").
fn endpoints_of(cloud: Cloud) -> (Url, Url) {
    let (authority, graph) = match cloud {
        Cloud::Public => ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
        Cloud::UsGov => ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
        Cloud::UsGovDod => ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
        Cloud::China => ("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
        Cloud::Bleu => ("https://login.sovcloud-identity.fr", "https://graph.svc.sovcloud.fr"),
        Cloud::Delos => ("https://login.sovcloud-identity.de", "https://graph.svc.sovcloud.de"),
        Cloud::Singapore => ("https://login.sovcloud-identity.sg", "https://graph.svc.sovcloud.sg"),
    };
    let known = |text: &str| Url::parse(text).expect("a known address is valid");
    (known(authority), known(graph))
}
