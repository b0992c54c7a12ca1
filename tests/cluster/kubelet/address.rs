//! Addresses of pods on loopback: 127.1.0.0/16.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU16, Ordering};

/// One that no other pod of this process has had lately.
pub fn next() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests of another process on the same machine begin elsewhere.
    let at = (std::process::id() as u16).wrapping_mul(251).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let [x, y] = at.to_be_bytes();
    Ipv4Addr::new(127, 1, x, y).into()
}

/// "All of the pod's addresses", said by a pod that has a network of its own, is this one here.
pub fn listened_on(wanted: &str, ip: IpAddr) -> String {
    match wanted.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]", port)) => format!("{ip}:{port}"),
        _ => wanted.to_owned(),
    }
}

#[test]
fn what_listens_everywhere_listens_on_the_pods_address() {
    let ip = [127, 1, 2, 3].into();
    for (wanted, got) in [
        ("[::]:8080", "127.1.2.3:8080"),
        ("0.0.0.0:80", "127.1.2.3:80"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("[::1]:9", "[::1]:9"),
        ("nonsense", "nonsense"),
    ] {
        assert_eq!(listened_on(wanted, ip), got);
    }
}
