//! Puts the stages of a path together.

use super::flow::Flow;
use super::network::{Network, Place, Side};
use super::sg::Way;
use super::{
    Block, Cut, Decision, Endpoint, Outcome, PathReport, SCHEMA, Stage, StageKind, Unseen, Verdict, nacl,
    route, sg, space,
};
use crate::situation::Reason;
use crate::situation::net::Protocol;
use crate::text::SafeText;
use ipnet::IpNet;

/// Evaluates a path in both directions. A `port` of `None` means every port
/// (TCP, UDP) or an echo request (ICMP). Where an end stands in several places
/// (the zones of a load balancer) the worst of them is reported.
pub fn evaluate(
    net: &Network<'_>,
    from: &Endpoint,
    to: &Endpoint,
    protocol: Protocol,
    port: Option<u16>,
) -> PathReport {
    let (label_from, label_to) = (label(net, from), label(net, to));
    let sides = net.resolve(from).and_then(|f| Ok((f, net.resolve(to)?)));
    let (froms, tos) = match sides {
        Ok(s) => s,
        Err((what, reason)) => {
            let mut r = empty(label_from, label_to, protocol, port);
            r.unknown.push(Unseen { stage: StageKind::Route, what, reason });
            return r;
        }
    };
    let mut reports: Vec<PathReport> = Vec::with_capacity(froms.len() * tos.len());
    for f in &froms {
        for t in &tos {
            reports.push(between(net, f, t, protocol, port));
        }
    }
    let all = reports.len();
    let open = reports.iter().filter(|r| r.verdict == Verdict::Open).count();
    let Some(mut worst) = reports.into_iter().min_by_key(|r| rank(r.verdict)) else {
        return empty(label_from, label_to, protocol, port);
    };
    if worst.verdict == Verdict::Blocked && open > 0 {
        worst.verdict = Verdict::Partly;
        worst.partial = Some(open as f64 / all as f64);
        if let Some(b) = &mut worst.blocked_by {
            b.why = SafeText::from(format!("{} ({} to {} only)", b.why, worst.from, worst.to));
        }
    }
    worst.from = label_from;
    worst.to = label_to;
    worst
}

/// A certain fault outweighs a doubt, a doubt outweighs a clean path.
pub(super) fn rank(v: Verdict) -> u8 {
    match v {
        Verdict::Blocked => 0,
        Verdict::Partly => 1,
        Verdict::Unknown => 2,
        Verdict::Open => 3,
        Verdict::NotApplicable => 4,
    }
}

fn label(net: &Network<'_>, e: &Endpoint) -> SafeText {
    match e {
        Endpoint::Internet => "internet".into(),
        Endpoint::Address(ip) => ip.to_string().into(),
        Endpoint::Interface(id) | Endpoint::Instance(id) => id.clone(),
        Endpoint::LoadBalancer(arn) => {
            let known = net.s.lbs.get(arn).and_then(|l| l.lb.value());
            known.map_or_else(|| arn.clone(), |lb| lb.name.clone())
        }
    }
}

fn empty(from: SafeText, to: SafeText, protocol: Protocol, port: Option<u16>) -> PathReport {
    PathReport {
        schema: SCHEMA,
        from,
        to,
        protocol,
        port,
        verdict: Verdict::Unknown,
        blocked_by: None,
        partial: None,
        forward: Vec::new(),
        back: Vec::new(),
        unknown: Vec::new(),
    }
}

/// Addresses of both sides in the family they share, IPv4 first.
fn family(from: &Side<'_>, to: &Side<'_>) -> Option<(Vec<IpNet>, Vec<IpNet>)> {
    for v6 in [false, true] {
        let pick = |s: &Side<'_>| -> Vec<IpNet> {
            s.addresses.iter().filter(|n| matches!(n, IpNet::V6(_)) == v6).copied().collect()
        };
        let (f, t) = (pick(from), pick(to));
        if !f.is_empty() && !t.is_empty() {
            return Some((f, t));
        }
    }
    None
}

fn same_family(nets: &[IpNet], like: &[IpNet]) -> Vec<IpNet> {
    let v6 = like.iter().any(|n| matches!(n, IpNet::V6(_)));
    nets.iter().filter(|n| matches!(n, IpNet::V6(_)) == v6).copied().collect()
}

/// Evaluates one resolved pair.
pub(super) fn between(
    net: &Network<'_>,
    from: &Side<'_>,
    to: &Side<'_>,
    protocol: Protocol,
    port: Option<u16>,
) -> PathReport {
    let carried = carry(net, from, to, protocol, port);
    admit(net, from, to, protocol, port, &carried)
}

/// What subnets decide about a pair, whichever security groups it has.
pub(super) struct Carried {
    /// `None` when the two share no address family.
    addresses: Option<(Vec<IpNet>, Vec<IpNet>)>,
    stages: Vec<(StageKind, Outcome)>,
    /// References to security groups match: nothing relays in between.
    direct: bool,
}

/// Evaluates network ACLs and routes.
pub(super) fn carry(
    net: &Network<'_>,
    from: &Side<'_>,
    to: &Side<'_>,
    protocol: Protocol,
    port: Option<u16>,
) -> Carried {
    let Some((src, dst)) = family(from, to) else {
        return Carried { addresses: None, stages: Vec::new(), direct: true };
    };
    let flow = flow(protocol, port, &dst);
    let reply = flow.reply(from.ephemeral.0);
    let same = same_subnet(from, to);
    let mut stages = Vec::with_capacity(6);
    let there =
        if from.is_outside() { arrival(to, &dst) } else { route::evaluate(net, from, to, &dst, false) };
    let direct = !relayed(&there);
    if !from.is_outside() {
        stages.push((StageKind::NaclOut, acl(net, from, to, true, same, &dst, flow)));
    }
    stages.push((StageKind::Route, there));
    if !to.is_outside() {
        stages.push((StageKind::NaclIn, acl(net, to, from, false, same, &src, flow)));
        stages.push((StageKind::ReturnNaclOut, acl(net, to, from, true, same, &src, reply)));
        let back = match &from.answers_to {
            Some(a) => route::evaluate(net, to, from, &same_family(a, &dst), true),
            None => route::evaluate(net, to, from, &src, true),
        };
        stages.push((StageKind::ReturnRoute, back));
    }
    if !from.is_outside() {
        stages.push((StageKind::ReturnNaclIn, acl(net, from, to, false, same, &dst, reply)));
    }
    Carried { addresses: Some((src, dst)), stages, direct }
}

/// Adds what security groups decide, and puts the report together.
pub(super) fn admit(
    net: &Network<'_>,
    from: &Side<'_>,
    to: &Side<'_>,
    protocol: Protocol,
    port: Option<u16>,
    carried: &Carried,
) -> PathReport {
    let mut r = empty(from.label.clone(), to.label.clone(), protocol, port);
    let Some((src, dst)) = &carried.addresses else {
        no_common_family(&mut r, from, to);
        return r;
    };
    let flow = flow(protocol, port, dst);
    r.protocol = flow.protocol;
    let mut sum = Sum::new(r, src, dst, flow.ports, from.ephemeral.0);
    if !from.is_outside() {
        let o = sg::evaluate(net, Way::Egress, from, to, dst, flow, carried.direct);
        sum.add(StageKind::SgEgress, &o);
    }
    for (kind, o) in &carried.stages {
        sum.add(*kind, o);
        if *kind == StageKind::NaclIn {
            let o = sg::evaluate(net, Way::Ingress, to, from, src, flow, carried.direct);
            sum.add(StageKind::SgIngress, &o);
        }
    }
    sum.finish()
}

/// True where nothing on the way refuses anything or is unknown, as far as one
/// rule of each side's security groups says so: then [`admit`] makes an open
/// report. Thousands of targets differ in nothing but their groups, and are
/// told in one line; only one of them needs its report.
pub(super) fn plainly_open(
    net: &Network<'_>,
    from: &Side<'_>,
    to: &Side<'_>,
    protocol: Protocol,
    port: Option<u16>,
    carried: &Carried,
) -> bool {
    let Some((src, dst)) = &carried.addresses else { return false };
    let flow = flow(protocol, port, dst);
    let direct = carried.direct;
    carried.stages.iter().all(|(_, o)| matches!(o.decision, Decision::Allow | Decision::NotApplicable))
        && (from.is_outside() || sg::plainly_allows(net, Way::Egress, from, to, dst, flow, direct))
        && (to.is_outside() || sg::plainly_allows(net, Way::Ingress, to, from, src, flow, direct))
}

fn flow(protocol: Protocol, port: Option<u16>, dst: &[IpNet]) -> Flow {
    Flow::request(protocol, port, dst.iter().any(|n| matches!(n, IpNet::V6(_))))
}

/// Packets from outside find a place in a VPC by its public address.
fn arrival(to: &Side<'_>, dst: &[IpNet]) -> Outcome {
    if to.is_outside() {
        let what = format!("the way to {}", to.label);
        return Outcome::unknown("", what, Reason::NotApplicable { why: "both ends are outside".into() });
    }
    if dst.iter().any(|n| matches!(n, IpNet::V6(_))) {
        return Outcome::new(
            "",
            "IPv6 address",
            Decision::Allow,
            format!("{} is addressed by IPv6", to.label),
        );
    }
    match &to.public {
        Ok(true) => {
            Outcome::new("", "public address", Decision::Allow, format!("{} has a public address", to.label))
        }
        Ok(false) => {
            let why = format!("{} has no public address: the internet cannot reach it", to.label);
            Outcome::new("", "no public address", Decision::Deny, why)
        }
        Err(why) => Outcome::unknown("", format!("public address of {}", to.label), why.clone()),
    }
}

/// True when the route hands packets to something that is not known to keep
/// their source as it is: references to groups do not match behind it.
fn relayed(o: &Outcome) -> bool {
    o.rule.split(" -> ").nth(1).is_some_and(|t| {
        !(t == "local" || t.starts_with("pcx-") || t.starts_with("tgw-") || t.starts_with("igw-"))
    })
}

fn no_common_family(r: &mut PathReport, from: &Side<'_>, to: &Side<'_>) {
    let bare =
        if from.addresses.is_empty() { Some(from) } else { Some(to).filter(|t| t.addresses.is_empty()) };
    match bare {
        Some(side) => {
            let reason = match &side.spread {
                super::network::Spread::Some(why) => why.clone(),
                _ => Reason::NotFound { what: "addresses".into() },
            };
            let what = SafeText::from(format!("addresses of {}", side.label));
            r.unknown.push(Unseen { stage: StageKind::Route, what, reason });
        }
        None => {
            r.verdict = Verdict::Blocked;
            r.blocked_by = Some(Block {
                stage: StageKind::Route,
                id: SafeText::default(),
                rule: "no common address family".into(),
                why: format!("{} and {} share neither IPv4 nor IPv6", from.label, to.label).into(),
            });
        }
    }
}

fn same_subnet(a: &Side<'_>, b: &Side<'_>) -> bool {
    match (&a.place, &b.place) {
        (Place::Subnet { id: x, .. }, Place::Subnet { id: y, .. }) => x == y,
        _ => false,
    }
}

/// The ACL of `own`'s subnet, unless the packet does not cross its border.
fn acl(
    net: &Network<'_>,
    own: &Side<'_>,
    peer: &Side<'_>,
    egress: bool,
    same: bool,
    nets: &[IpNet],
    flow: Flow,
) -> Outcome {
    if same {
        return Outcome::skipped("", "same subnet: network ACLs are not asked");
    }
    match &own.place {
        Place::Outside => Outcome::skipped("", "outside the VPCs seen"),
        Place::Vpc { why, .. } => Outcome::unknown("", format!("subnet of {}", own.label), why.clone()),
        Place::Subnet { vpc, id } => nacl::evaluate(net, vpc, id, egress, peer, nets, flow),
    }
}

/// Connections still possible: who opens them, to where, on which ports.
#[derive(Clone, Copy, Debug)]
struct Cell {
    src: IpNet,
    dst: IpNet,
    dport: (u16, u16),
    sport: (u16, u16),
}

impl Cell {
    fn size(&self) -> f64 {
        let ports = |p: (u16, u16)| f64::from(p.1) - f64::from(p.0) + 1.0;
        space::size(&self.src) * space::size(&self.dst) * ports(self.dport) * ports(self.sport)
    }
}

/// Which of a cell's parts a stage speaks about.
#[derive(Clone, Copy)]
struct Aspect {
    /// Its peer is the opener (else the destination).
    src: bool,
    /// Its ports are the opener's (else the destination's).
    sport: bool,
}

fn aspect(kind: StageKind) -> Aspect {
    match kind {
        StageKind::SgEgress | StageKind::NaclOut | StageKind::Route => Aspect { src: false, sport: false },
        StageKind::NaclIn | StageKind::SgIngress => Aspect { src: true, sport: false },
        StageKind::ReturnNaclOut | StageKind::ReturnRoute => Aspect { src: true, sport: true },
        StageKind::ReturnNaclIn => Aspect { src: false, sport: true },
    }
}

/// Takes a cut out of the cells.
fn remove(cells: &mut Vec<Cell>, cut: &Cut, a: Aspect) {
    let mut left = Vec::with_capacity(cells.len());
    for c in cells.drain(..) {
        let (net, ports) = (if a.src { c.src } else { c.dst }, if a.sport { c.sport } else { c.dport });
        let asked = cut.ports.unwrap_or(ports);
        let hit = (ports.0.max(asked.0), ports.1.min(asked.1));
        let Some(gone) = space::intersect(&net, &cut.net).filter(|_| hit.0 <= hit.1) else {
            left.push(c);
            continue;
        };
        let mut rest = Vec::new();
        space::minus(net, &gone, &mut rest);
        left.extend(
            rest.into_iter().map(|n| if a.src { Cell { src: n, ..c } } else { Cell { dst: n, ..c } }),
        );
        let within = if a.src { Cell { src: gone, ..c } } else { Cell { dst: gone, ..c } };
        let mut keep = |p: (u16, u16)| {
            left.push(if a.sport { Cell { sport: p, ..within } } else { Cell { dport: p, ..within } });
        };
        if ports.0 < hit.0 {
            keep((ports.0, hit.0 - 1));
        }
        if hit.1 < ports.1 {
            keep((hit.1 + 1, ports.1));
        }
    }
    *cells = left;
}

/// Collects stages and what they leave possible.
struct Sum {
    report: PathReport,
    /// Connections no partial stage refuses.
    cells: Vec<Cell>,
    /// Size of all connections.
    whole: f64,
    /// A full stop was met.
    stopped: bool,
}

impl Sum {
    fn new(report: PathReport, src: &[IpNet], dst: &[IpNet], dport: (u16, u16), sport: (u16, u16)) -> Sum {
        let cells: Vec<Cell> = src
            .iter()
            .flat_map(|s| dst.iter().map(move |d| Cell { src: s.trunc(), dst: d.trunc(), dport, sport }))
            .collect();
        let whole = cells.iter().map(Cell::size).sum();
        Sum { report, cells, whole, stopped: false }
    }

    fn add(&mut self, kind: StageKind, o: &Outcome) {
        let r = &mut self.report;
        let block =
            |o: &Outcome| Block { stage: kind, id: o.id.clone(), rule: o.rule.clone(), why: o.why.clone() };
        match o.decision {
            Decision::Deny if !self.stopped => {
                // The first full stop is the one named, even behind a partial one.
                r.blocked_by = Some(block(o));
                self.stopped = true;
            }
            Decision::Partial => {
                if r.blocked_by.is_none() {
                    r.blocked_by = Some(block(o));
                }
                for cut in &o.cuts {
                    remove(&mut self.cells, cut, aspect(kind));
                }
            }
            Decision::Unknown => {
                let (what, reason) =
                    o.unknown.clone().unwrap_or_else(|| (SafeText::from(kind.words()), Reason::NotAsked));
                r.unknown.push(Unseen { stage: kind, what, reason });
            }
            _ => {}
        }
        let stage = Stage {
            stage: kind,
            id: o.id.clone(),
            rule: o.rule.clone(),
            decision: o.decision,
            why: o.why.clone(),
        };
        match kind {
            StageKind::ReturnNaclOut | StageKind::ReturnRoute | StageKind::ReturnNaclIn => r.back.push(stage),
            _ => r.forward.push(stage),
        }
    }

    fn finish(self) -> PathReport {
        let mut r = self.report;
        let partial = r.forward.iter().chain(&r.back).any(|s| s.decision == Decision::Partial);
        r.verdict = if self.stopped || (partial && self.cells.is_empty()) {
            Verdict::Blocked
        } else if partial {
            let left: f64 = self.cells.iter().map(Cell::size).sum();
            r.partial = Some(left / self.whole);
            Verdict::Partly
        } else if !r.unknown.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::Open
        };
        r
    }
}
