//! What is sent, and what comes back.

use crate::situation::net::Protocol;

/// Packets of one direction: a protocol, and the range of destination ports
/// or the ICMP type and code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flow {
    pub protocol: Protocol,
    /// Destination ports, inclusive; meaningful for TCP and UDP only.
    pub ports: (u16, u16),
    pub icmp: (i32, i32),
}

impl Flow {
    /// The packets that open the connection. `None` for a port means all of
    /// them. For ICMP it is the echo request.
    pub fn request(protocol: Protocol, port: Option<u16>, v6: bool) -> Flow {
        let protocol = match protocol {
            Protocol::Icmp if v6 => Protocol::Icmpv6,
            Protocol::Icmpv6 if !v6 => Protocol::Icmp,
            p => p,
        };
        let icmp = if protocol == Protocol::Icmpv6 { (128, 0) } else { (8, 0) };
        Flow { protocol, ports: port.map_or((0, u16::MAX), |p| (p, p)), icmp }
    }

    /// The packets that answer it, towards the opener's ephemeral ports.
    pub fn reply(self, ephemeral: (u16, u16)) -> Flow {
        let icmp = if self.protocol == Protocol::Icmpv6 { (129, 0) } else { (0, 0) };
        Flow { protocol: self.protocol, ports: ephemeral, icmp }
    }

    /// True for protocols that have ports.
    pub fn has_ports(self) -> bool {
        matches!(self.protocol, Protocol::Tcp | Protocol::Udp)
    }

    /// `tcp/8080`, `tcp/1024-65535`, `icmp type 8`.
    pub fn words(self) -> String {
        match self.protocol {
            Protocol::Icmp | Protocol::Icmpv6 => format!("{} type {}", name(self.protocol), self.icmp.0),
            p if self.has_ports() => format!("{}/{}", name(p), range(self.ports)),
            p => name(p),
        }
    }
}

/// A protocol as people write it.
pub(super) fn name(p: Protocol) -> String {
    match p {
        Protocol::All => "all traffic".into(),
        Protocol::Tcp => "tcp".into(),
        Protocol::Udp => "udp".into(),
        Protocol::Icmp => "icmp".into(),
        Protocol::Icmpv6 => "icmpv6".into(),
        Protocol::Other(n) => format!("protocol {n}"),
    }
}

/// `8080`, `1024-65535`, `all ports`.
pub(super) fn range((lo, hi): (u16, u16)) -> String {
    match (lo, hi) {
        (0, u16::MAX) => "all ports".into(),
        _ if lo == hi => lo.to_string(),
        _ => format!("{lo}-{hi}"),
    }
}

/// True when an ICMP type or code field of a rule takes this value; -1 is any.
pub(super) fn icmp_takes(rule: (i32, i32), flow: (i32, i32)) -> bool {
    (rule.0 == -1 || rule.0 == flow.0) && (rule.1 == -1 || rule.1 == flow.1)
}
