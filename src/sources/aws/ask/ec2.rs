//! EC2: whole-VPC reads by filter cost five calls whatever the VPC's size;
//! targets that are addresses are looked up by address.

use super::Pages;
use crate::situation::Reason;
use crate::situation::net::{
    Instance, Interface, NetworkAcl, Peer, PrefixList, RouteTable, SecurityGroup, Subnet,
};
use crate::sources::aws::client::Aws;
use crate::sources::aws::convert::{ec2 as convert, listed};
use crate::sources::aws::operations as op;
use crate::text::SafeText;
use aws_sdk_ec2::types::Filter;
use futures::future::{join, try_join_all};
use std::collections::BTreeSet;

/// Values that one filter takes.
const VALUES: usize = 200;

fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(Into::into).collect())).build()
}

/// Reads a whole list: one operation, one filter, one conversion.
macro_rules! all {
    ($aws:expr, $op:ident, $method:ident, $field:ident, $name:literal, $filter:expr, $size:literal) => {{
        let filter = $filter;
        let (mut pages, mut all) = (Pages::default(), Vec::new());
        loop {
            let out = pages
                .ask($aws, &op::$op, |c, token| {
                    c.ec2.$method().filters(filter.clone()).max_results($size).set_next_token(token).send()
                })
                .await?;
            all.extend(listed(out.$field, $name)?);
            if !pages.advance(out.next_token)? {
                break;
            }
        }
        all
    }};
}

/// Subnets of a VPC.
pub async fn subnets(aws: &Aws, vpc: &str) -> Result<Vec<Subnet>, Reason> {
    let all =
        all!(aws, DESCRIBE_SUBNETS, describe_subnets, subnets, "subnetSet", filter("vpc-id", [vpc]), 1000);
    Ok(all.iter().map(convert::subnet).collect())
}

/// Network ACLs of a VPC.
pub async fn network_acls(aws: &Aws, vpc: &str) -> Result<Vec<NetworkAcl>, Reason> {
    let all = all!(
        aws,
        DESCRIBE_NETWORK_ACLS,
        describe_network_acls,
        network_acls,
        "networkAclSet",
        filter("vpc-id", [vpc]),
        1000
    );
    all.iter().map(convert::network_acl).collect()
}

/// Route tables of a VPC.
pub async fn route_tables(aws: &Aws, vpc: &str) -> Result<Vec<RouteTable>, Reason> {
    let all = all!(
        aws,
        DESCRIBE_ROUTE_TABLES,
        describe_route_tables,
        route_tables,
        "routeTableSet",
        filter("vpc-id", [vpc]),
        100
    );
    Ok(all.iter().map(convert::route_table).collect())
}

async fn instances_by(aws: &Aws, by: Filter) -> Result<Vec<Instance>, Reason> {
    let all = all!(aws, DESCRIBE_INSTANCES, describe_instances, reservations, "reservationSet", by, 1000);
    Ok(all.iter().flat_map(|r| r.instances.iter().flatten()).map(convert::instance).collect())
}

/// Instances of a VPC.
pub async fn instances(aws: &Aws, vpc: &str) -> Result<Vec<Instance>, Reason> {
    instances_by(aws, filter("vpc-id", [vpc])).await
}

/// Instances by id; those that are gone are left out.
pub async fn instances_by_id(aws: &Aws, ids: &[SafeText]) -> Result<Vec<Instance>, Reason> {
    instances_by(aws, filter("instance-id", ids.iter().map(ToString::to_string))).await
}

/// Network interfaces by id; those that are gone are left out.
pub async fn interfaces_by_id(aws: &Aws, ids: &[SafeText]) -> Result<Vec<Interface>, Reason> {
    let parts = ids.chunks(VALUES).map(|p| filter("network-interface-id", p.iter().map(ToString::to_string)));
    let found = try_join_all(parts.map(|by| interfaces_by(aws, by))).await?;
    Ok(found.into_iter().flatten().collect())
}

/// Network interfaces of the NAT gateways of a VPC.
pub async fn nat_interfaces(aws: &Aws, vpc: &str) -> Result<Vec<Interface>, Reason> {
    let here = interfaces_by(aws, filter("interface-type", ["nat_gateway"])).await?;
    Ok(here.into_iter().filter(|i| i.vpc.as_str() == vpc).collect())
}

async fn groups_by(aws: &Aws, by: Filter) -> Result<Vec<SecurityGroup>, Reason> {
    let all = all!(
        aws,
        DESCRIBE_SECURITY_GROUPS,
        describe_security_groups,
        security_groups,
        "securityGroupInfo",
        by,
        1000
    );
    Ok(all.iter().map(convert::security_group).collect())
}

/// Security groups of a VPC, and those of our account that its rules refer to
/// in peered VPCs.
pub async fn security_groups(aws: &Aws, vpc: &str) -> Result<Vec<SecurityGroup>, Reason> {
    let mut groups = groups_by(aws, filter("vpc-id", [vpc])).await?;
    let elsewhere = elsewhere(&groups);
    if !elsewhere.is_empty() {
        // By filter, not by id: an id that is gone must not spoil the rest.
        let parts: Vec<&[String]> = elsewhere.chunks(VALUES).collect();
        let more = try_join_all(parts.iter().map(|p| groups_by(aws, filter("group-id", p.iter().cloned()))));
        groups.extend(more.await?.into_iter().flatten());
    }
    Ok(groups)
}

/// Groups that rules name, of our account, which are not in the list.
fn elsewhere(groups: &[SecurityGroup]) -> Vec<String> {
    let here: BTreeSet<&str> = groups.iter().map(|g| g.id.as_str()).collect();
    let named = groups.iter().flat_map(|g| g.ingress.iter().chain(&g.egress)).filter_map(|r| match &r.peer {
        Peer::Group { id, owner, .. } if owner.is_empty() => Some(id.as_str()),
        _ => None,
    });
    let missing: BTreeSet<&str> = named.filter(|id| id.starts_with("sg-") && !here.contains(id)).collect();
    missing.into_iter().map(String::from).collect()
}

async fn interfaces_by(aws: &Aws, by: Filter) -> Result<Vec<Interface>, Reason> {
    let all = all!(
        aws,
        DESCRIBE_NETWORK_INTERFACES,
        describe_network_interfaces,
        network_interfaces,
        "networkInterfaceSet",
        by,
        1000
    );
    Ok(all.iter().map(convert::interface).collect())
}

/// Network interfaces of a load balancer, by the description AWS gives them:
/// `ELB app/NAME/ID`.
pub async fn lb_interfaces(aws: &Aws, dimension: &str) -> Result<Vec<Interface>, Reason> {
    interfaces_by(aws, filter("description", [format!("ELB {dimension}")])).await
}

/// Network interfaces that hold these private addresses. An address may be in
/// use in several VPCs.
pub async fn interfaces_at(aws: &Aws, addresses: &[SafeText]) -> Result<Vec<Interface>, Reason> {
    let (v6, v4): (Vec<&SafeText>, Vec<&SafeText>) = addresses.iter().partition(|a| a.contains(':'));
    let by = |name: &'static str, list: Vec<&SafeText>| {
        let parts: Vec<Vec<String>> =
            list.chunks(VALUES).map(|p| p.iter().map(ToString::to_string).collect()).collect();
        try_join_all(parts.into_iter().map(move |p| interfaces_by(aws, filter(name, p))))
    };
    let (four, six) =
        join(by("addresses.private-ip-address", v4), by("ipv6-addresses.ipv6-address", v6)).await;
    Ok(four?.into_iter().chain(six?).flatten().collect())
}

/// Network interfaces that own these public addresses.
pub async fn interfaces_of_public(aws: &Aws, addresses: &[SafeText]) -> Result<Vec<Interface>, Reason> {
    let parts: Vec<Vec<String>> =
        addresses.chunks(VALUES).map(|p| p.iter().map(ToString::to_string).collect()).collect();
    let found = parts.into_iter().map(|p| interfaces_by(aws, filter("association.public-ip", p)));
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

/// A managed prefix list with its entries. Its name is a nicety: without the
/// right to read it the list is known all the same.
pub async fn prefix_list(aws: &Aws, id: &str) -> Result<PrefixList, Reason> {
    let entries = async {
        let (mut pages, mut all) = (Pages::default(), Vec::new());
        loop {
            let out = pages
                .ask(aws, &op::GET_MANAGED_PREFIX_LIST_ENTRIES, |c, token| {
                    c.ec2
                        .get_managed_prefix_list_entries()
                        .prefix_list_id(id)
                        .max_results(100)
                        .set_next_token(token)
                        .send()
                })
                .await?;
            all.extend(listed(out.entries, "entrySet")?);
            if !pages.advance(out.next_token)? {
                return Ok::<_, Reason>(all);
            }
        }
    };
    let name = aws.call(&op::DESCRIBE_MANAGED_PREFIX_LISTS, |c| {
        c.ec2.describe_managed_prefix_lists().filters(filter("prefix-list-id", [id])).send()
    });
    let (entries, name) = join(entries, name).await;
    let mut cidrs = Vec::new();
    for entry in entries? {
        let text = entry.cidr.unwrap_or_default();
        let cidr = text.parse().map_err(|_| Reason::Malformed {
            detail: SafeText::capped(format!("{id} holds the unreadable range {text}"), 120),
        })?;
        cidrs.push(cidr);
    }
    let name = name.ok().and_then(|out| out.prefix_lists?.into_iter().next()?.prefix_list_name);
    Ok(PrefixList { id: id.into(), name: name.map(SafeText::from).unwrap_or_default(), cidrs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::net::{Protocol, SgRule};

    #[test]
    fn finds_the_groups_of_ours_that_rules_name_elsewhere() {
        let rule = |id: &str, owner: &str| SgRule {
            protocol: Protocol::Tcp,
            from_port: None,
            to_port: None,
            peer: Peer::Group {
                id: id.into(),
                owner: owner.into(),
                peering: SafeText::default(),
                peering_status: SafeText::default(),
            },
            description: SafeText::default(),
        };
        let group = SecurityGroup {
            id: "sg-1".into(),
            ingress: vec![rule("sg-1", ""), rule("sg-2", ""), rule("sg-far", "222"), rule("", "")],
            egress: vec![rule("sg-2", ""), rule("sg-3", "")],
            ..SecurityGroup::default()
        };
        assert_eq!(elsewhere(&[group]), ["sg-2", "sg-3"]);
    }
}
