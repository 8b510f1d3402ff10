//! What is never probed, whoever asks: addresses at which a machine's own
//! credentials are served, and those that are no single endpoint.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why this address is refused; `None` when it may be probed.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(a) => v4(a),
        IpAddr::V6(a) => v6(a),
    }
}

fn v4(a: Ipv4Addr) -> Option<&'static str> {
    // Azure's and Alibaba's metadata services live outside the link-local block.
    const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];
    if a.is_link_local() {
        return Some("is link-local: instance metadata and credentials are served there");
    }
    if METADATA.contains(&a) {
        return Some("is a cloud's metadata service");
    }
    if a.octets()[0] == 0 {
        return Some("is no address of an endpoint");
    }
    if a.is_multicast() || a.is_broadcast() || a.octets()[0] >= 240 {
        return Some("is no single endpoint");
    }
    None
}

fn v6(a: Ipv6Addr) -> Option<&'static str> {
    // AWS (fd00:ec2::/32) and Google (fd20:ce::254) serve metadata on unique local addresses.
    let s = a.segments();
    if (s[0] & 0xffc0) == 0xfe80 {
        return Some("is link-local: instance metadata and credentials are served there");
    }
    if (s[0] == 0xfd00 && s[1] == 0x0ec2) || (s[0] == 0xfd20 && s[1] == 0x00ce) {
        return Some("is a cloud's metadata service");
    }
    if a.is_multicast() || a.is_unspecified() {
        return Some("is no single endpoint");
    }
    // Forms that hold an IPv4 address: mapped, compatible, NAT64, 6to4.
    let low = Ipv4Addr::new((s[6] >> 8) as u8, s[6] as u8, (s[7] >> 8) as u8, s[7] as u8);
    let embedded = if let Some(mapped) = a.to_ipv4_mapped() {
        Some(mapped)
    } else if (s[0] == 0x64 && s[1] == 0xff9b) || (s[..6] == [0; 6] && !a.is_loopback()) {
        Some(low)
    } else if s[0] == 0x2002 {
        Some(Ipv4Addr::new((s[1] >> 8) as u8, s[1] as u8, (s[2] >> 8) as u8, s[2] as u8))
    } else {
        None
    };
    embedded.and_then(v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_machines_are_out_of_reach_in_every_spelling() {
        for a in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.1",
            "168.63.129.16",
            "100.100.100.200",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::",
            "ff02::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(refusal(a.parse().unwrap()).is_some(), "{a}");
        }
        for a in [
            "127.0.0.1",
            "10.0.1.5",
            "203.0.113.9",
            "::1",
            "2001:db8::1",
            "fd12::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::1",
        ] {
            assert_eq!(refusal(a.parse().unwrap()), None, "{a}");
        }
    }
}
