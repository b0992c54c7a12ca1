//! To which addresses a worker may be sent. A resource's author names the app, the webhook and the collector; without a limit they could
//! have a pod ask what only the cluster's own network should reach, with a token in its hand.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

/// What the operator's flags allow beyond https to public names and addresses.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    pub networks: Vec<IpNet>,
    /// In lower case; `*.` in front stands for every name below.
    pub names: Vec<String>,
}

impl Allowed {
    /// Flags as they are written: a network, or a name.
    pub fn parse(text: &str) -> Result<Allowed, String> {
        let text = text.trim().to_ascii_lowercase();
        let name = text.strip_prefix("*.").unwrap_or(&text);
        if let Some(network) = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) {
            return Ok(Allowed { networks: vec![network], names: Vec::new() });
        }
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.') {
            return Ok(Allowed { networks: Vec::new(), names: vec![text] });
        }
        Err("write a network as 10.1.0.0/16, or a name as scim.example.com or *.example.com".into())
    }

    pub fn with(mut self, more: Allowed) -> Allowed {
        self.networks.extend(more.networks);
        self.names.extend(more.names);
        self
    }

    /// Why a worker may not be sent there.
    pub fn refuses(&self, url: &Url) -> Option<String> {
        let (named, public) = match url.host() {
            Some(Host::Domain(name)) => (self.has_name(&name.to_ascii_lowercase()), is_public_name(&name.to_ascii_lowercase())),
            Some(Host::Ipv4(address)) => (self.has_address(address.into()), is_public(address.into())),
            Some(Host::Ipv6(address)) => (self.has_address(address.into()), is_public(address.into())),
            None => (false, false),
        };
        let host = url.host_str().unwrap_or_default();
        if named || (public && url.scheme() == "https") {
            None
        } else if public {
            Some(format!("{host} is asked over {}; write https://", url.scheme()))
        } else {
            Some(format!("{host} is no public address; whoever runs the operator allows it with --allow-egress {host}"))
        }
    }

    fn has_name(&self, host: &str) -> bool {
        let fits = |name: &String| {
            name.strip_prefix("*.").map_or(name == host, |above| host.strip_suffix(above).is_some_and(|rest| rest.ends_with('.')))
        };
        self.names.iter().any(fits)
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

/// Names that no public DNS has, by the zones that RFC 6761, 6762 and 8375 and Kubernetes keep for themselves.
fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let inner = ["localhost", "local", "internal", "svc", "home.arpa", "test", "invalid", "lan", "intranet", "corp"];
    name.contains('.')
        && !inner.iter().any(|zone| name == *zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')))
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast())
                && !(v4.is_multicast() || v4.is_documentation() || shared || a == 0 || a >= 240)
        }
        // Global unicast is 2000::/3 alone.
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(allowed: &Allowed, url: &str) -> Option<String> {
        allowed.refuses(&Url::parse(url).unwrap())
    }

    #[test]
    fn public_names_and_addresses_over_https_are_all_that_is_allowed_by_itself() {
        let none = Allowed::default();
        for public in
            ["https://api.uniqkey.eu/scim", "https://8.8.8.8/", "https://[2606:4700::1]/", "https://example.com.:8443/scim"]
        {
            assert_eq!(refused(&none, public), None, "{public}");
        }
        for inner in [
            "https://localhost/",
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://scim/",
            "https://scim.identity.svc/",
            "https://scim.identity.svc.cluster.local/",
            "https://metadata.google.internal/",
            "https://2130706433/",
        ] {
            assert!(refused(&none, inner).is_some_and(|why| why.contains("--allow-egress")), "{inner}");
        }
        assert!(refused(&none, "http://api.uniqkey.eu/scim").is_some_and(|why| why.contains("write https://")));
    }

    #[test]
    fn what_the_flags_name_is_allowed_too() {
        let flags = ["10.1.0.0/16", "127.0.0.1", "*.identity.svc", "scim.internal"];
        let allowed = flags.iter().fold(Allowed::default(), |all, flag| all.with(Allowed::parse(flag).unwrap()));
        for inner in [
            "https://10.1.2.3/",
            "http://127.0.0.1:9000/",
            "https://a.identity.svc/",
            "http://scim.internal/",
            "https://SCIM.internal/",
        ] {
            assert_eq!(refused(&allowed, inner), None, "{inner}");
        }
        for another in [
            "https://10.2.0.1/",
            "https://127.0.0.2/",
            "https://identity.svc/",
            "https://xidentity.svc/",
            "https://a.scim.internal/",
        ] {
            assert!(refused(&allowed, another).is_some(), "{another}");
        }
        for wrong in ["", "*", "10.0.0.0/99", "https://scim.example.com", "a b"] {
            assert!(Allowed::parse(wrong).is_err(), "{wrong}");
        }
    }
}
