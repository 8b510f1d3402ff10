//! Sets of addresses as lists of prefixes, and taking prefixes out of them.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

/// Ranges that are not part of the public IPv4 internet: this network, private,
/// shared, loopback, link-local, multicast and reserved (IANA registries).
const NOT_PUBLIC: [(u8, u8, u8); 9] = [
    (0, 0, 8),
    (10, 0, 8),
    (100, 64, 10),
    (127, 0, 8),
    (169, 254, 16),
    (172, 16, 12),
    (192, 168, 16),
    (224, 0, 4),
    (240, 0, 4),
];

/// True when `big` holds all of `small`.
pub(super) fn holds(big: &IpNet, small: &IpNet) -> bool {
    big.contains(small)
}

/// True when the two share an address.
pub(super) fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// What is left of `net` without `hole`, which must lie inside it.
pub(super) fn minus(net: IpNet, hole: &IpNet, out: &mut Vec<IpNet>) {
    let mut rest = net.trunc();
    while rest.prefix_len() < hole.prefix_len() {
        let Ok(halves) = rest.subnets(rest.prefix_len() + 1) else { return };
        let mut next = rest;
        for half in halves {
            if half.contains(hole) {
                next = half;
            } else {
                out.push(half);
            }
        }
        if next == rest {
            return;
        }
        rest = next;
    }
}

/// Takes `cover` out of the set. True when that changed the set.
pub(super) fn take(set: &mut Vec<IpNet>, cover: &IpNet) -> bool {
    if !set.iter().any(|n| overlap(n, cover)) {
        return false;
    }
    let mut left = Vec::with_capacity(set.len());
    for net in set.drain(..) {
        if holds(cover, &net) {
            continue;
        }
        if holds(&net, cover) {
            minus(net, cover, &mut left);
        } else {
            left.push(net);
        }
    }
    *set = left;
    true
}

/// The part of the set that lies in `cover`.
pub(super) fn common(set: &[IpNet], cover: &IpNet) -> Vec<IpNet> {
    set.iter().filter_map(|n| intersect(n, cover)).collect()
}

/// What two prefixes share: the smaller one, or nothing.
pub(super) fn intersect(a: &IpNet, b: &IpNet) -> Option<IpNet> {
    if b.contains(a) {
        Some(a.trunc())
    } else if a.contains(b) {
        Some(b.trunc())
    } else {
        None
    }
}

/// How many addresses, as a float: only shares are computed from it.
pub(super) fn weight(nets: &[IpNet]) -> f64 {
    nets.iter().map(size).sum()
}

/// Number of addresses of one prefix.
pub(super) fn size(net: &IpNet) -> f64 {
    2f64.powi(i32::from(net.max_prefix_len()) - i32::from(net.prefix_len()))
}

/// The public IPv4 internet.
pub(super) fn internet4() -> &'static [IpNet] {
    static SET: OnceLock<Vec<IpNet>> = OnceLock::new();
    SET.get_or_init(|| {
        let mut set = vec![IpNet::V4(Ipv4Net::default())];
        for hole in not_public() {
            take(&mut set, &hole);
        }
        set
    })
}

/// The public IPv6 internet: global unicast, 2000::/3.
pub(super) fn internet6() -> IpNet {
    Ipv6Net::new(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
        .map_or(IpNet::V6(Ipv6Net::default()), IpNet::V6)
}

fn not_public() -> impl Iterator<Item = IpNet> {
    NOT_PUBLIC
        .iter()
        .filter_map(|&(a, b, len)| Ipv4Net::new(Ipv4Addr::new(a, b, 0, 0), len).ok().map(IpNet::V4))
}

/// True for an address that the internet can route.
pub fn is_public(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(_) => !not_public().any(|n| n.contains(&ip)),
        std::net::IpAddr::V6(_) => internet6().contains(&ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(s: &str) -> IpNet {
        s.parse().unwrap()
    }

    #[test]
    fn a_hole_leaves_exactly_the_rest() {
        let mut out = Vec::new();
        minus(net("10.0.0.0/30"), &net("10.0.0.1/32"), &mut out);
        out.sort();
        assert_eq!(out, [net("10.0.0.0/32"), net("10.0.0.2/31")]);
    }

    #[test]
    fn halves_cover_a_whole() {
        let mut set = internet4().to_vec();
        assert!(take(&mut set, &net("0.0.0.0/1")));
        assert!(!set.is_empty());
        take(&mut set, &net("128.0.0.0/1"));
        assert!(set.is_empty());
    }

    #[test]
    fn families_do_not_mix() {
        let mut set = vec![net("10.0.0.0/8")];
        assert!(!take(&mut set, &net("::/0")));
        assert_eq!(set, [net("10.0.0.0/8")]);
    }

    #[test]
    fn the_internet_is_public() {
        for (ip, public) in [
            ("8.8.8.8", true),
            ("10.1.1.1", false),
            ("100.64.0.1", false),
            ("172.31.0.1", false),
            ("172.32.0.1", true),
            ("2600::1", true),
            ("fd00::1", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }
}
