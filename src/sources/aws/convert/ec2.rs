//! EC2: the network and what stands in it.

use super::{free, id, ids, time};
use crate::situation::Reason;
use crate::situation::net::{
    AclEntry, Destination, Instance, Interface, NetworkAcl, Peer, Protocol, Route, RouteTable, SecurityGroup,
    SgRule, Subnet,
};
use crate::text::SafeText;
use aws_sdk_ec2::types as sdk;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

fn tag(tags: &Option<Vec<sdk::Tag>>, key: &str) -> SafeText {
    tags.iter().flatten().find(|t| t.key.as_deref() == Some(key)).map(|t| free(&t.value)).unwrap_or_default()
}

fn tags(list: &Option<Vec<sdk::Tag>>) -> BTreeMap<SafeText, SafeText> {
    list.iter().flatten().map(|t| (id(&t.key), free(&t.value))).collect()
}

fn address(text: &Option<String>) -> Option<IpAddr> {
    text.as_deref()?.parse().ok()
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok()
}

/// A security group, one rule per peer.
pub fn security_group(x: &sdk::SecurityGroup) -> SecurityGroup {
    let owner = id(&x.owner_id);
    SecurityGroup {
        id: id(&x.group_id),
        name: id(&x.group_name),
        vpc: id(&x.vpc_id),
        description: free(&x.description),
        ingress: x.ip_permissions.iter().flatten().flat_map(|p| rules(p, &owner)).collect(),
        egress: x.ip_permissions_egress.iter().flatten().flat_map(|p| rules(p, &owner)).collect(),
        owner,
    }
}

fn rules(p: &sdk::IpPermission, owner: &SafeText) -> Vec<SgRule> {
    let said = p.ip_protocol.as_deref().unwrap_or_default();
    let protocol = Protocol::parse(said);
    let rule = |peer: Peer, description: &Option<String>| SgRule {
        protocol: protocol.unwrap_or(Protocol::All),
        from_port: p.from_port,
        to_port: p.to_port,
        // A rule for we know not what protocol decides nothing.
        peer: match protocol {
            Some(_) => peer,
            None => Peer::Unreadable(SafeText::capped(format!("protocol {said}"), 80)),
        },
        description: free(description),
    };
    let cidr = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        net(text).map_or_else(|| Peer::Unreadable(SafeText::capped(text, 80)), Peer::Cidr)
    };
    let v4 = p.ip_ranges.iter().flatten().map(|r| rule(cidr(&r.cidr_ip), &r.description));
    let v6 = p.ipv6_ranges.iter().flatten().map(|r| rule(cidr(&r.cidr_ipv6), &r.description));
    let groups = p.user_id_group_pairs.iter().flatten().map(|g| {
        let theirs = id(&g.user_id);
        let peer = Peer::Group {
            id: id(&g.group_id),
            owner: if theirs == *owner { SafeText::default() } else { theirs },
            peering: id(&g.vpc_peering_connection_id),
            peering_status: id(&g.peering_status),
        };
        rule(peer, &g.description)
    });
    let lists = p
        .prefix_list_ids
        .iter()
        .flatten()
        .map(|l| rule(Peer::PrefixList(id(&l.prefix_list_id)), &l.description));
    v4.chain(v6).chain(groups).chain(lists).collect()
}

/// A network ACL. An entry that cannot be read makes the whole list
/// unreadable: with one number missing any other may decide wrongly.
pub fn network_acl(x: &sdk::NetworkAcl) -> Result<NetworkAcl, Reason> {
    let mut entries =
        x.entries.iter().flatten().map(|e| acl_entry(e, x)).collect::<Result<Vec<AclEntry>, Reason>>()?;
    entries.sort_by_key(|e| (e.egress, e.number));
    Ok(NetworkAcl {
        id: id(&x.network_acl_id),
        name: tag(&x.tags, "Name"),
        vpc: id(&x.vpc_id),
        is_default: x.is_default.unwrap_or_default(),
        subnets: x.associations.iter().flatten().map(|a| id(&a.subnet_id)).collect(),
        entries,
    })
}

fn acl_entry(e: &sdk::NetworkAclEntry, acl: &sdk::NetworkAcl) -> Result<AclEntry, Reason> {
    let unreadable = |what: &str| {
        let (acl, number) = (acl.network_acl_id.as_deref().unwrap_or("?"), e.rule_number.unwrap_or_default());
        Reason::Malformed {
            detail: SafeText::capped(format!("{acl} entry {number} has no readable {what}"), 200),
        }
    };
    let allow = match &e.rule_action {
        Some(sdk::RuleAction::Allow) => true,
        Some(sdk::RuleAction::Deny) => false,
        _ => return Err(unreadable("action")),
    };
    let protocol = e.protocol.as_deref().and_then(Protocol::parse).ok_or_else(|| unreadable("protocol"))?;
    let block = e.cidr_block.as_deref().or(e.ipv6_cidr_block.as_deref());
    let ports = match &e.port_range {
        None => None,
        Some(r) => Some((
            r.from.and_then(|p| u16::try_from(p).ok()).ok_or_else(|| unreadable("ports"))?,
            r.to.and_then(|p| u16::try_from(p).ok()).ok_or_else(|| unreadable("ports"))?,
        )),
    };
    Ok(AclEntry {
        number: e.rule_number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| unreadable("number"))?,
        egress: e.egress.ok_or_else(|| unreadable("direction"))?,
        allow,
        protocol,
        cidr: block.and_then(net).ok_or_else(|| unreadable("CIDR"))?,
        ports,
        icmp: e.icmp_type_code.as_ref().map(|c| (c.r#type.unwrap_or(-1), c.code.unwrap_or(-1))),
    })
}

/// A route table.
pub fn route_table(x: &sdk::RouteTable) -> RouteTable {
    let alive = |a: &&sdk::RouteTableAssociation| {
        use sdk::RouteTableAssociationStateCode as S;
        let state = a.association_state.as_ref().and_then(|s| s.state.as_ref());
        !matches!(state, Some(S::Disassociated | S::Disassociating | S::Failed))
    };
    let alive: Vec<_> = x.associations.iter().flatten().filter(alive).collect();
    RouteTable {
        id: id(&x.route_table_id),
        name: tag(&x.tags, "Name"),
        vpc: id(&x.vpc_id),
        main: alive.iter().any(|a| a.main == Some(true)),
        subnets: alive.iter().filter(|a| a.subnet_id.is_some()).map(|a| id(&a.subnet_id)).collect(),
        routes: x.routes.iter().flatten().map(route).collect(),
    }
}

fn route(r: &sdk::Route) -> Route {
    let cidr = r.destination_cidr_block.as_deref().or(r.destination_ipv6_cidr_block.as_deref());
    let destination = match (cidr, &r.destination_prefix_list_id) {
        (Some(c), _) => {
            net(c).map_or_else(|| Destination::Unreadable(SafeText::capped(c, 80)), Destination::Cidr)
        }
        (None, Some(pl)) => Destination::PrefixList(pl.into()),
        (None, None) => Destination::Unreadable("no destination".into()),
    };
    // An instance as target comes with its interface, which is the exact one.
    let target = [
        &r.gateway_id,
        &r.nat_gateway_id,
        &r.transit_gateway_id,
        &r.vpc_peering_connection_id,
        &r.network_interface_id,
        &r.instance_id,
        &r.egress_only_internet_gateway_id,
        &r.carrier_gateway_id,
        &r.local_gateway_id,
        &r.core_network_arn,
        &r.odb_network_arn,
    ]
    .into_iter()
    .find(|t| t.is_some());
    Route {
        destination,
        target: target.map(id).unwrap_or_default(),
        active: matches!(r.state, None | Some(sdk::RouteState::Active)),
        origin: r.origin.as_ref().map(|o| SafeText::new(o.as_str())).unwrap_or_default(),
    }
}

/// A subnet with its IPv4 range and its associated IPv6 ranges.
pub fn subnet(x: &sdk::Subnet) -> Subnet {
    let v6 = x.ipv6_cidr_block_association_set.iter().flatten().filter(|a| {
        let state = a.ipv6_cidr_block_state.as_ref().and_then(|s| s.state.as_ref());
        matches!(state, None | Some(sdk::SubnetCidrBlockStateCode::Associated))
    });
    Subnet {
        id: id(&x.subnet_id),
        name: tag(&x.tags, "Name"),
        vpc: id(&x.vpc_id),
        az: id(&x.availability_zone),
        cidrs: x
            .cidr_block
            .as_deref()
            .into_iter()
            .chain(v6.filter_map(|a| a.ipv6_cidr_block.as_deref()))
            .filter_map(net)
            .collect(),
    }
}

/// A network interface.
pub fn interface(x: &sdk::NetworkInterface) -> Interface {
    let mut private: Vec<_> = x.private_ip_addresses.iter().flatten().collect();
    private.sort_by_key(|p| p.primary != Some(true));
    let mut addresses: Vec<IpAddr> = private.iter().filter_map(|p| address(&p.private_ip_address)).collect();
    addresses.extend(address(&x.private_ip_address));
    addresses.extend(x.ipv6_addresses.iter().flatten().filter_map(|a| address(&a.ipv6_address)));
    let mut public: Vec<IpAddr> =
        private.iter().filter_map(|p| address(&p.association.as_ref()?.public_ip)).collect();
    public.extend(x.association.as_ref().and_then(|a| address(&a.public_ip)));
    Interface {
        id: id(&x.network_interface_id),
        description: free(&x.description),
        kind: x.interface_type.as_ref().map(|k| SafeText::new(k.as_str())).unwrap_or_default(),
        status: x.status.as_ref().map(|s| SafeText::new(s.as_str())).unwrap_or_default(),
        vpc: id(&x.vpc_id),
        subnet: id(&x.subnet_id),
        az: id(&x.availability_zone),
        groups: x.groups.iter().flatten().map(|g| id(&g.group_id)).collect(),
        addresses: once_each(addresses),
        public_addresses: once_each(public),
        instance: x.attachment.as_ref().map(|a| id(&a.instance_id)).unwrap_or_default(),
        requester: if x.requester_managed == Some(true) { id(&x.requester_id) } else { SafeText::default() },
        source_dest_check: x.source_dest_check,
    }
}

fn once_each(list: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut out: Vec<IpAddr> = Vec::new();
    for a in list {
        if !out.contains(&a) {
            out.push(a);
        }
    }
    out
}

/// An instance. Traffic to it as a target arrives at its primary interface.
pub fn instance(x: &sdk::Instance) -> Instance {
    let mut cards: Vec<_> = x.network_interfaces.iter().flatten().collect();
    cards.sort_by_key(|c| c.attachment.as_ref().and_then(|a| a.device_index).unwrap_or(i32::MAX));
    let groups = cards.first().and_then(|c| c.groups.as_ref()).or(x.security_groups.as_ref());
    let mut addresses: Vec<IpAddr> = address(&x.private_ip_address).into_iter().collect();
    for card in &cards {
        addresses.extend(address(&card.private_ip_address));
        addresses.extend(
            card.private_ip_addresses.iter().flatten().filter_map(|p| address(&p.private_ip_address)),
        );
        addresses.extend(card.ipv6_addresses.iter().flatten().filter_map(|p| address(&p.ipv6_address)));
    }
    Instance {
        id: id(&x.instance_id),
        name: tag(&x.tags, "Name"),
        state: x
            .state
            .as_ref()
            .and_then(|s| s.name.as_ref())
            .map(|n| SafeText::new(n.as_str()))
            .unwrap_or_default(),
        state_reason: x.state_reason.as_ref().map(|r| free(&r.message)).unwrap_or_default(),
        instance_type: x.instance_type.as_ref().map(|t| SafeText::new(t.as_str())).unwrap_or_default(),
        vpc: id(&x.vpc_id),
        subnet: id(&x.subnet_id),
        az: x.placement.as_ref().map(|p| id(&p.availability_zone)).unwrap_or_default(),
        groups: groups.into_iter().flatten().map(|g| id(&g.group_id)).collect(),
        addresses: once_each(addresses),
        interfaces: ids(&Some(cards.iter().filter_map(|c| c.network_interface_id.clone()).collect())),
        launched: time(&x.launch_time),
        tags: tags(&x.tags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(protocol: &str) -> aws_sdk_ec2::types::builders::IpPermissionBuilder {
        sdk::IpPermission::builder().ip_protocol(protocol).from_port(8080).to_port(8081)
    }

    #[test]
    fn a_permission_becomes_one_rule_per_peer() {
        let p = permission("tcp")
            .ip_ranges(sdk::IpRange::builder().cidr_ip("10.0.0.0/16").description("app").build())
            .ip_ranges(sdk::IpRange::builder().cidr_ip("10.0.0.0/33").build())
            .ipv6_ranges(sdk::Ipv6Range::builder().cidr_ipv6("::/0").build())
            .user_id_group_pairs(sdk::UserIdGroupPair::builder().group_id("sg-2").user_id("111").build())
            .user_id_group_pairs(
                sdk::UserIdGroupPair::builder()
                    .group_id("sg-3")
                    .user_id("222")
                    .vpc_peering_connection_id("pcx-1")
                    .peering_status("active")
                    .build(),
            )
            .prefix_list_ids(sdk::PrefixListId::builder().prefix_list_id("pl-1").build())
            .build();
        let group = sdk::SecurityGroup::builder().group_id("sg-1").owner_id("111").ip_permissions(p).build();
        let got = security_group(&group);
        assert!(got.egress.is_empty());
        let peers: Vec<Peer> = got.ingress.iter().map(|r| r.peer.clone()).collect();
        let group = |id: &str, owner: &str, peering: &str, status: &str| Peer::Group {
            id: id.into(),
            owner: owner.into(),
            peering: peering.into(),
            peering_status: status.into(),
        };
        assert_eq!(
            peers,
            [
                Peer::Cidr("10.0.0.0/16".parse().unwrap()),
                Peer::Unreadable("10.0.0.0/33".into()),
                Peer::Cidr("::/0".parse().unwrap()),
                group("sg-2", "", "", ""),
                group("sg-3", "222", "pcx-1", "active"),
                Peer::PrefixList("pl-1".into()),
            ]
        );
        assert!(got.ingress.iter().all(|r| r.protocol == Protocol::Tcp && r.from_port == Some(8080)));
        assert_eq!(got.ingress[0].description.as_str(), "app");
    }

    #[test]
    fn a_rule_of_an_unknown_protocol_decides_nothing() {
        let p =
            permission("quic-next").ip_ranges(sdk::IpRange::builder().cidr_ip("0.0.0.0/0").build()).build();
        assert!(
            matches!(&rules(&p, &"1".into())[0].peer, Peer::Unreadable(what) if what.contains("quic-next"))
        );
        let p = permission("-1").ip_ranges(sdk::IpRange::builder().cidr_ip("0.0.0.0/0").build()).build();
        assert_eq!(rules(&p, &"1".into())[0].protocol, Protocol::All);
    }

    fn entry(number: i32, egress: bool) -> aws_sdk_ec2::types::builders::NetworkAclEntryBuilder {
        sdk::NetworkAclEntry::builder()
            .rule_number(number)
            .egress(egress)
            .protocol("6")
            .rule_action(sdk::RuleAction::Deny)
            .cidr_block("10.0.1.0/24")
            .port_range(sdk::PortRange::builder().from(8080).to(8080).build())
    }

    #[test]
    fn acl_entries_are_in_order_and_whole() {
        let acl = sdk::NetworkAcl::builder()
            .network_acl_id("acl-1")
            .associations(sdk::NetworkAclAssociation::builder().subnet_id("subnet-1").build())
            .entries(entry(32767, false).protocol("-1").set_port_range(None).build())
            .entries(entry(90, true).build())
            .entries(entry(90, false).rule_action(sdk::RuleAction::Allow).build())
            .build();
        let got = network_acl(&acl).unwrap();
        let order: Vec<_> = got.entries.iter().map(|e| (e.egress, e.number, e.allow)).collect();
        assert_eq!(order, [(false, 90, true), (false, 32767, false), (true, 90, false)]);
        assert_eq!(got.entries[0].ports, Some((8080, 8080)));
        assert_eq!((got.entries[1].ports, got.entries[1].protocol), (None, Protocol::All));
        assert_eq!(got.subnets, ["subnet-1"]);
    }

    #[test]
    fn an_unreadable_acl_entry_is_not_skipped() {
        let bad = [
            entry(100, false).set_cidr_block(None).build(),
            entry(100, false).cidr_block("10.0.0.0/40").build(),
            entry(100, false).protocol("none").build(),
            entry(100, false).set_rule_action(None).build(),
            entry(100, false).set_egress(None).build(),
            entry(100, false).set_rule_number(None).build(),
            entry(100, false).port_range(sdk::PortRange::builder().from(-5).to(70000).build()).build(),
        ];
        for e in bad {
            let acl = sdk::NetworkAcl::builder().network_acl_id("acl-1").entries(e).build();
            let reason = network_acl(&acl).unwrap_err();
            assert!(reason.phrase().contains("acl-1 entry"), "{}", reason.phrase());
        }
    }

    #[test]
    fn routes_name_destination_target_and_state() {
        let r = |b: aws_sdk_ec2::types::builders::RouteBuilder| route(&b.build());
        let base = sdk::Route::builder;
        let local = r(base()
            .destination_cidr_block("10.0.0.0/16")
            .gateway_id("local")
            .state(sdk::RouteState::Active));
        assert_eq!((local.target.as_str(), local.active), ("local", true));
        let hole = r(base()
            .destination_cidr_block("0.0.0.0/0")
            .nat_gateway_id("nat-1")
            .state(sdk::RouteState::Blackhole));
        assert_eq!((hole.target.as_str(), hole.active), ("nat-1", false));
        let list = r(base().destination_prefix_list_id("pl-1").gateway_id("vpce-1"));
        assert_eq!(list.destination, Destination::PrefixList("pl-1".into()));
        let card =
            r(base().destination_ipv6_cidr_block("::/0").instance_id("i-1").network_interface_id("eni-1"));
        assert_eq!(card.target.as_str(), "eni-1");
        assert!(matches!(r(base()).destination, Destination::Unreadable(_)));
        let table = sdk::RouteTable::builder()
            .route_table_id("rtb-1")
            .associations(sdk::RouteTableAssociation::builder().main(true).build())
            .associations(sdk::RouteTableAssociation::builder().main(false).subnet_id("subnet-1").build())
            .associations(
                sdk::RouteTableAssociation::builder()
                    .subnet_id("subnet-gone")
                    .association_state(
                        sdk::RouteTableAssociationState::builder()
                            .state(sdk::RouteTableAssociationStateCode::Disassociated)
                            .build(),
                    )
                    .build(),
            )
            .build();
        let got = route_table(&table);
        assert!(got.main);
        assert_eq!(got.subnets, ["subnet-1"]);
    }

    #[test]
    fn interfaces_list_the_primary_address_first() {
        let ip = |a: &str, primary, public: Option<&str>| {
            sdk::NetworkInterfacePrivateIpAddress::builder()
                .private_ip_address(a)
                .primary(primary)
                .set_association(
                    public.map(|p| sdk::NetworkInterfaceAssociation::builder().public_ip(p).build()),
                )
                .build()
        };
        let x = sdk::NetworkInterface::builder()
            .network_interface_id("eni-1")
            .description("ELB app/shop/50dc")
            .private_ip_address("10.0.0.7")
            .private_ip_addresses(ip("10.0.0.8", false, None))
            .private_ip_addresses(ip("10.0.0.7", true, Some("203.0.113.7")))
            .requester_managed(true)
            .requester_id("amazon-elb")
            .groups(sdk::GroupIdentifier::builder().group_id("sg-1").build())
            .build();
        let got = interface(&x);
        assert_eq!(got.addresses, ["10.0.0.7".parse::<IpAddr>().unwrap(), "10.0.0.8".parse().unwrap()]);
        assert_eq!(got.public_addresses, ["203.0.113.7".parse::<IpAddr>().unwrap()]);
        assert_eq!((got.requester.as_str(), got.groups.len()), ("amazon-elb", 1));
    }

    #[test]
    fn an_instance_has_the_groups_of_its_primary_interface() {
        let card = |index, sg: &str, ip: &str| {
            sdk::InstanceNetworkInterface::builder()
                .network_interface_id(format!("eni-{index}"))
                .attachment(sdk::InstanceNetworkInterfaceAttachment::builder().device_index(index).build())
                .groups(sdk::GroupIdentifier::builder().group_id(sg).build())
                .private_ip_address(ip)
                .build()
        };
        let x = sdk::Instance::builder()
            .instance_id("i-1")
            .private_ip_address("10.0.0.5")
            .network_interfaces(card(1, "sg-second", "10.0.9.5"))
            .network_interfaces(card(0, "sg-first", "10.0.0.5"))
            .state(sdk::InstanceState::builder().name(sdk::InstanceStateName::Stopped).build())
            .tags(sdk::Tag::builder().key("Name").value("web\u{202e}1").build())
            .build();
        let got = instance(&x);
        assert_eq!(got.groups, ["sg-first"]);
        assert_eq!(got.addresses, ["10.0.0.5".parse::<IpAddr>().unwrap(), "10.0.9.5".parse().unwrap()]);
        assert_eq!((got.state.as_str(), got.name.as_str()), ("stopped", "web\\u{202e}1"));
        assert_eq!(got.interfaces, ["eni-0", "eni-1"]);
    }

    #[test]
    fn a_subnet_has_the_ranges_that_are_associated() {
        let v6 = |cidr: &str, state| {
            sdk::SubnetIpv6CidrBlockAssociation::builder()
                .ipv6_cidr_block(cidr)
                .ipv6_cidr_block_state(sdk::SubnetCidrBlockState::builder().state(state).build())
                .build()
        };
        let x = sdk::Subnet::builder()
            .subnet_id("subnet-1")
            .cidr_block("10.0.1.0/24")
            .ipv6_cidr_block_association_set(v6("2001:db8::/64", sdk::SubnetCidrBlockStateCode::Associated))
            .ipv6_cidr_block_association_set(v6(
                "2001:db9::/64",
                sdk::SubnetCidrBlockStateCode::Disassociated,
            ))
            .build();
        let want: Vec<IpNet> = vec!["10.0.1.0/24".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
        assert_eq!(subnet(&x).cidrs, want);
    }
}
