//! Instances and network interfaces.

use super::{Tag, name_of, text};
use crate::situation::net;
use crate::sources::snapshot::stamp;
use crate::text::SafeText;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkInterface {
    network_interface_id: SafeText,
    description: SafeText,
    interface_type: SafeText,
    status: SafeText,
    vpc_id: SafeText,
    subnet_id: SafeText,
    availability_zone: SafeText,
    groups: Vec<GroupId>,
    private_ip_address: SafeText,
    private_ip_addresses: Vec<PrivateIp>,
    ipv6_addresses: Vec<Ip6>,
    association: Option<PublicIp>,
    attachment: Option<Attachment>,
    requester_managed: bool,
    requester_id: SafeText,
    source_dest_check: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct GroupId {
    group_id: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PrivateIp {
    primary: bool,
    private_ip_address: SafeText,
    association: Option<PublicIp>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PublicIp {
    public_ip: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Ip6 {
    ipv6_address: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Attachment {
    instance_id: SafeText,
    device_index: Option<i64>,
}

/// Addresses in this order, each once; what is none is left out.
fn addresses<'a>(list: impl Iterator<Item = &'a SafeText>) -> Vec<IpAddr> {
    let mut out: Vec<IpAddr> = Vec::new();
    for a in list.filter_map(|a| a.parse().ok()) {
        if !out.contains(&a) {
            out.push(a);
        }
    }
    out
}

fn group_ids(list: &[GroupId]) -> Vec<SafeText> {
    list.iter().map(|g| g.group_id.clone()).collect()
}

fn as_groups(list: &[SafeText]) -> Vec<GroupId> {
    list.iter().map(|g| GroupId { group_id: g.clone() }).collect()
}

fn as_private(list: &[IpAddr]) -> Vec<PrivateIp> {
    let v4 = list.iter().filter(|a| a.is_ipv4()).enumerate();
    v4.map(|(n, a)| PrivateIp { primary: n == 0, private_ip_address: text(a), association: None }).collect()
}

fn as_v6(list: &[IpAddr]) -> Vec<Ip6> {
    list.iter().filter(|a| a.is_ipv6()).map(|a| Ip6 { ipv6_address: text(a) }).collect()
}

impl NetworkInterface {
    pub fn read(mut self) -> net::Interface {
        self.private_ip_addresses.sort_by_key(|p| !p.primary);
        let private = self.private_ip_addresses.iter();
        let own = private.clone().map(|p| &p.private_ip_address).chain([&self.private_ip_address]);
        let public = private.filter_map(|p| p.association.as_ref()).chain(&self.association);
        net::Interface {
            addresses: addresses(own.chain(self.ipv6_addresses.iter().map(|a| &a.ipv6_address))),
            public_addresses: addresses(public.map(|a| &a.public_ip)),
            groups: group_ids(&self.groups),
            instance: self.attachment.map(|a| a.instance_id).unwrap_or_default(),
            requester: if self.requester_managed { self.requester_id } else { SafeText::default() },
            id: self.network_interface_id,
            description: self.description,
            kind: self.interface_type,
            status: self.status,
            vpc: self.vpc_id,
            subnet: self.subnet_id,
            az: self.availability_zone,
            source_dest_check: self.source_dest_check,
        }
    }

    pub fn write(i: &net::Interface) -> NetworkInterface {
        let mut private = as_private(&i.addresses);
        for (own, public) in private.iter_mut().zip(&i.public_addresses) {
            own.association = Some(PublicIp { public_ip: text(public) });
        }
        let left = i.public_addresses.get(private.len()).filter(|_| private.is_empty());
        NetworkInterface {
            network_interface_id: i.id.clone(),
            description: i.description.clone(),
            interface_type: i.kind.clone(),
            status: i.status.clone(),
            vpc_id: i.vpc.clone(),
            subnet_id: i.subnet.clone(),
            availability_zone: i.az.clone(),
            groups: as_groups(&i.groups),
            private_ip_address: private.first().map(|p| p.private_ip_address.clone()).unwrap_or_default(),
            private_ip_addresses: private,
            ipv6_addresses: as_v6(&i.addresses),
            association: left.map(|a| PublicIp { public_ip: text(a) }),
            attachment: (!i.instance.is_empty())
                .then(|| Attachment { instance_id: i.instance.clone(), device_index: None }),
            requester_managed: !i.requester.is_empty(),
            requester_id: i.requester.clone(),
            source_dest_check: i.source_dest_check,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Reservation {
    pub instances: Vec<Instance>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instance {
    instance_id: SafeText,
    instance_type: SafeText,
    state: Option<State>,
    state_reason: Option<StateReason>,
    vpc_id: SafeText,
    subnet_id: SafeText,
    placement: Option<Placement>,
    private_ip_address: SafeText,
    security_groups: Vec<GroupId>,
    network_interfaces: Vec<NetworkInterface>,
    launch_time: Option<Value>,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    name: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct StateReason {
    message: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Placement {
    availability_zone: SafeText,
}

impl Instance {
    pub fn read(mut self) -> net::Instance {
        let index =
            |c: &NetworkInterface| c.attachment.as_ref().and_then(|a| a.device_index).unwrap_or(i64::MAX);
        self.network_interfaces.sort_by_key(index);
        let cards = &self.network_interfaces;
        let groups = cards.first().map(|c| &c.groups).filter(|g| !g.is_empty());
        let mut own: Vec<&SafeText> = vec![&self.private_ip_address];
        for c in cards {
            own.push(&c.private_ip_address);
            own.extend(c.private_ip_addresses.iter().map(|p| &p.private_ip_address));
            own.extend(c.ipv6_addresses.iter().map(|a| &a.ipv6_address));
        }
        net::Instance {
            addresses: addresses(own.into_iter()),
            groups: group_ids(groups.unwrap_or(&self.security_groups)),
            interfaces: cards.iter().map(|c| c.network_interface_id.clone()).collect(),
            name: name_of(&self.tags),
            state: self.state.map(|s| s.name).unwrap_or_default(),
            state_reason: self.state_reason.map(|s| s.message).unwrap_or_default(),
            az: self.placement.map(|p| p.availability_zone).unwrap_or_default(),
            launched: self.launch_time.as_ref().and_then(stamp),
            tags: self.tags.iter().map(|t| (t.key.clone(), t.value.clone())).collect(),
            id: self.instance_id,
            instance_type: self.instance_type,
            vpc: self.vpc_id,
            subnet: self.subnet_id,
        }
    }

    pub fn write(i: &net::Instance) -> Instance {
        let some = |t: &SafeText| (!t.is_empty()).then(|| t.clone());
        let card = |(n, id): (usize, &SafeText)| NetworkInterface {
            network_interface_id: id.clone(),
            groups: if n == 0 { as_groups(&i.groups) } else { Vec::new() },
            private_ip_addresses: if n == 0 { as_private(&i.addresses) } else { Vec::new() },
            ipv6_addresses: if n == 0 { as_v6(&i.addresses) } else { Vec::new() },
            attachment: Some(Attachment { instance_id: i.id.clone(), device_index: i64::try_from(n).ok() }),
            ..NetworkInterface::default()
        };
        Instance {
            instance_id: i.id.clone(),
            instance_type: i.instance_type.clone(),
            state: some(&i.state).map(|name| State { name }),
            state_reason: some(&i.state_reason).map(|message| StateReason { message }),
            vpc_id: i.vpc.clone(),
            subnet_id: i.subnet.clone(),
            placement: some(&i.az).map(|availability_zone| Placement { availability_zone }),
            private_ip_address: i.addresses.first().map(text).unwrap_or_default(),
            security_groups: as_groups(&i.groups),
            network_interfaces: i.interfaces.iter().enumerate().map(card).collect(),
            launch_time: i.launched.map(|t| t.to_string().into()),
            tags: i.tags.iter().map(|(k, v)| Tag { key: k.clone(), value: v.clone() }).collect(),
        }
    }
}
