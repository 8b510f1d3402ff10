//! A large stack: 5,000 targets behind one load balancer, 1,000 security groups
//! of 60 rules, 200 ACL entries.

use crate::world::*;
use badgate::situation::net::{Protocol, SecurityGroup};

const TARGETS: usize = 5_000;
const GROUPS: usize = 1_000;
const RULES: i32 = 60;
const SUBNETS: usize = 20;

/// 60 rules of which only the last admits the load balancer.
fn security_group(i: usize) -> SecurityGroup {
    let mut ingress: Vec<_> =
        (1..RULES).map(|r| tcp(20_000 + r, &format!("172.16.{}.0/24", (i as i32 + r) % 256))).collect();
    ingress.push(tcp(8080, "sg-alb"));
    group(&format!("sg-{i}"), ingress, vec![all_traffic("0.0.0.0/0")])
}

pub fn large() -> Shop {
    let mut shop = Shop::default();
    shop.subnets.truncate(2);
    shop.instances.clear();
    shop.targets.clear();
    shop.acl("acl-app").subnets.clear();
    for n in 0..SUBNETS {
        let id = format!("subnet-app-{n}");
        shop.subnets.push(subnet(&id, "us-east-1a", &format!("10.{}.0.0/16", n + 10)));
        shop.acl("acl-app").subnets.push(id.as_str().into());
    }
    // 200 entries, most of them about something else.
    for n in 0..50 {
        for egress in [true, false] {
            let cidr = format!("192.168.{n}.0/24");
            let e = entry(n + 1, egress, false, Protocol::Tcp, &cidr, Some((22, 22)));
            shop.acl("acl-app").entries.push(e.clone());
            shop.acl("acl-pub").entries.push(e);
        }
    }
    for t in shop.tables.iter_mut() {
        t.routes[0] = route("10.0.0.0/8", "local");
    }
    shop.security_groups.extend((0..GROUPS).map(security_group));
    for i in 0..TARGETS {
        let id = format!("i-{i:05}");
        let address = format!("10.{}.{}.{}", 10 + i % SUBNETS, (i / SUBNETS) / 250, (i / SUBNETS) % 250 + 4);
        let sg = format!("sg-{}", i % GROUPS);
        shop.instances.push(instance(&id, &format!("subnet-app-{}", i % SUBNETS), &[&sg], &address));
        let ill = i % 97 == 0;
        let (state, reason) = if ill { ("unhealthy", "Target.Timeout") } else { ("healthy", "") };
        shop.targets.push(health(&id, 8080, state, reason));
    }
    shop.group.health_check.port = "9000".into();
    let points = |v: f64| (0..180).map(|m| (minutes_ago(180 - m), v)).collect();
    shop.metrics = vec![
        series(LB, "RequestCount", "Sum", points(900.0)),
        series(LB, "HTTPCode_ELB_502_Count", "Sum", points(2.0)),
    ];
    shop
}
