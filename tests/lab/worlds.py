"""The named situations. Each is a function of a World; `build` makes one in a Lab."""

import threading
import time

from traffic import Traffic
from world import Host, World, permission

ANY = "0.0.0.0/0"
WORLDS = {}


def world(name):
    def register(fn):
        WORLDS[name] = fn
        return fn

    return register


def build(lab, name):
    """Builds the world `name` into an empty account. Returns what goes on from there: call it to set the world alive."""
    if name not in WORLDS:
        raise SystemExit(f"no world named {name}; there are: {', '.join(sorted(WORLDS))}")
    w = World(lab)
    lab.names["world"] = name
    lab.names["region"] = w.region
    traffic = WORLDS[name](w)
    return (
        (lambda: threading.Thread(target=Live(w, traffic).run, daemon=True).start())
        if traffic
        else (lambda: None)
    )


# ---- parts that several worlds share -------------------------------------------------------------------------------
def shop_network(w, deny_in_b=False):
    """Two zones with a network ACL for the public subnets and one for each app subnet."""
    n = w.network()
    w.network_acl(
        n,
        "nacl-public",
        n.public,
        [
            (100, "in", "6", 80, 80, ANY, "allow"),
            (110, "in", "6", 443, 443, ANY, "allow"),
            (120, "in", "6", 1024, 65535, n.cidr, "allow"),
            (100, "out", "6", 8080, 8080, n.cidr, "allow"),
            (110, "out", "6", 1024, 65535, ANY, "allow"),
        ],
    )
    for zone, subnet in zip("ab", n.app):
        deny = [(90, "in", "6", 8080, 8080, n.cidr, "deny")] if deny_in_b and zone == "b" else []
        w.network_acl(
            n,
            f"nacl-app-{zone}",
            [subnet],
            deny
            + [
                (100, "in", "6", 8080, 8080, n.cidr, "allow"),
                (110, "in", "6", 1024, 65535, ANY, "allow"),
                (100, "out", "6", 1024, 65535, n.cidr, "allow"),
                (110, "out", "6", 443, 443, ANY, "allow"),
            ],
        )
    return n


def shop_groups(w, n):
    e = w.client("ec2")
    office = e.create_managed_prefix_list(
        PrefixListName="office",
        MaxEntries=5,
        AddressFamily="IPv4",
        Entries=[
            {"Cidr": "198.51.100.0/24", "Description": "headquarters"},
            {"Cidr": "203.0.113.64/26", "Description": "branch"},
        ],
    )["PrefixList"]["PrefixListId"]
    w.note("prefix_lists", office=office)
    app = w.security_group(n, "sg-app", [("tcp", 22, 22, office)])
    alb = w.security_group(
        n, "sg-alb", [("tcp", 80, 80, ANY), ("tcp", 443, 443, ANY)], [("tcp", 8080, 8080, app)]
    )
    e.authorize_security_group_ingress(
        GroupId=app,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 8080,
                "ToPort": 8080,
                "UserIdGroupPairs": [{"GroupId": alb, "Description": "from the load balancer"}],
            }
        ],
    )
    return alb, app


def shop(w, broken=False):
    n = shop_network(w, deny_in_b=broken)
    alb, app = shop_groups(w, n)
    hosts = w.instances(n, 4, app)
    lb = w.load_balancer(n, "shop-alb", alb, tags={"env": "prod", "team": "shop"})
    web = w.target_group(
        n,
        "web",
        hosts,
        attributes={"deregistration_delay.timeout_seconds": 60},
        tags={"badgate:log-group": "/app/shop"},
    )
    w.listener(lb, 80, "https")
    secure = w.listener(lb, 443, web, "HTTPS")
    w.rule(secure, 10, 503, path="/maintenance")
    w.log_group("/app/shop", retention=30)
    w.log_group("/app/payments", retention=30)
    w.log_group("/aws/vpc/flow-logs")
    # An old wound that nobody noticed: the application closes idle connections after 5 s, the load balancer after 60 s.
    blocked = [h for h in hosts if h.zone.endswith("b")] if broken else []
    t = Traffic(
        w,
        lb,
        web,
        "/app/shop",
        onset=w.now - 14 * 60 if broken else None,
        blocked=blocked,
        keepalive_race=0.012 if broken else 0.0,
    )
    t.write_history()
    cpu(w, hosts)
    w.note(
        "story",
        onset=t.onset,
        blocked=[h.id for h in blocked],
        healthy=[h.id for h in hosts if h not in blocked],
    )
    return t


def cpu(w, hosts):
    for h in hosts:
        for age in range(180, -1, -5):
            w.lab.cloud.metrics.put(
                "AWS/EC2",
                "CPUUtilization",
                {"InstanceId": h.id},
                w.now - w.now % 300 - age * 60,
                18 + (sum(h.name.encode()) + age * 7) % 9,
            )


# ---- the worlds ------------------------------------------------------------------------------------------------------
@world("shop")
def healthy_shop(w):
    """One load balancer, two zones, four instances, all well."""
    return shop(w)


@world("shop-broken")
def broken_shop(w):
    """The same shop, 14 minutes after someone denied 8080 into one app subnet: two of four targets time out, the other
    two are overrun. Besides, connections have always been lost to a keep-alive of 5 s behind an idle timeout of 60 s."""
    t = shop(w, broken=True)
    # From now on (that is, in a live world) one of the survivors fails its checks now and then.
    t.flap = (t.group.hosts[2], 200, 40)
    return t


@world("ecs")
def ecs(w):
    """A Fargate service behind the load balancer; the log group stands in its task definition only."""
    n = shop_network(w)
    alb, app = shop_groups(w, n)
    hosts = w.addresses(n, 3, app)
    lb = w.load_balancer(n, "web-alb", alb)
    group = w.target_group(n, "ecs-web", hosts, kind="ip")
    w.listener(lb, 443, group, "HTTPS")
    w.log_group("/ecs/web")
    w.ecs_service(
        n,
        "shop",
        "web",
        group,
        hosts,
        app,
        "/ecs/web",
        events=[
            (3, "(service web) has reached a steady state."),
            (363, "(service web) has reached a steady state."),
            (366, f"(service web) registered 1 targets in (target-group {group.arn})"),
            (368, "(service web) has started 1 tasks: (task 0123456789abcdef0123456789abcdef)."),
        ],
        stopped=[
            {
                "age": 25,
                "code": "EssentialContainerExited",
                "reason": "Essential container in task exited",
                "exit": 137,
            }
        ],
    )
    t = Traffic(w, lb, group, "/ecs/web")
    t.write_history()
    return t


@world("ip-targets")
def ip_targets(w):
    """Targets by address: two in the VPC, one outside of it, reached through a peering connection whose route is gone."""
    n = w.network()
    alb, app = shop_groups(w, n)
    e = w.client("ec2")
    other = e.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    peering = e.create_vpc_peering_connection(VpcId=n.vpc, PeerVpcId=other)["VpcPeeringConnection"][
        "VpcPeeringConnectionId"
    ]
    e.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    e.create_route(
        RouteTableId=w.lab.names["network"]["route_tables"]["app"],
        DestinationCidrBlock="10.99.0.0/16",
        VpcPeeringConnectionId=peering,
    )
    w.lab.cloud.state["blackholes"] = [peering]
    e.authorize_security_group_egress(
        GroupId=alb, IpPermissions=[permission("tcp", 8080, 8080, "10.99.0.0/16")]
    )
    hosts = w.addresses(n, 2, app, description="legacy appliance", name="box") + [
        Host("10.99.4.17", "10.99.4.17", "all", "far")
    ]
    lb = w.load_balancer(n, "ip-alb", alb, scheme="internal")
    group = w.target_group(n, "boxes", hosts, kind="ip")
    w.listener(lb, 80, group)
    w.log_group("/app/boxes")
    t = Traffic(w, lb, group, "/app/boxes", onset=w.now - 30 * 60, blocked=[hosts[2]])
    t.write_history()
    w.note("story", peering=peering, blocked=[hosts[2].id], onset=t.onset)
    return t


@world("many")
def many(w):
    """Fifty target groups behind one listener, by host name; two instances in each."""
    n = shop_network(w)
    alb, app = shop_groups(w, n)
    hosts = w.instances(n, 4, app)
    lb = w.load_balancer(n, "many-alb", alb)
    groups = [w.target_group(n, f"svc-{i:02}", [hosts[i % 4], hosts[(i + 1) % 4]]) for i in range(50)]
    secure = w.listener(lb, 443, groups[0], "HTTPS")
    for i, g in enumerate(groups[1:], 1):
        w.rule(secure, i * 10, g, host=f"svc-{i:02}.example.com")
    w.log_group("/app/many")
    w.health(groups[7], hosts[7 % 4], "unhealthy", "Target.FailedHealthChecks")
    w.note("story", unhealthy_group="svc-07", unhealthy=hosts[7 % 4].id)
    t = Traffic(w, lb, groups[0], "/app/many")
    t.write_history()
    return t


@world("empty")
def empty(w):
    """An account with a default VPC and nothing in it."""
    return None


@world("twins")
def twins(w):
    """Load balancers with names that are alike, one of them a network load balancer."""
    n = w.network()
    alb, app = shop_groups(w, n)
    hosts = w.instances(n, 2, app)
    group, traffic = w.target_group(n, "web", hosts), None
    for name, scheme in (
        ("shop-alb", "internet-facing"),
        ("shop-alb-internal", "internal"),
        ("shop-api", "internet-facing"),
        ("payments", "internet-facing"),
    ):
        lb = w.load_balancer(n, name, alb, scheme=scheme)
        g = group if name == "shop-alb" else w.target_group(n, f"tg-{name}"[:32], hosts)
        w.listener(lb, 80, g)
        t = Traffic(w, lb, g, keepalive_race=0.03 if name == "shop-api" else 0.0)
        t.write_history()
        traffic = traffic or t
    w.load_balancer(n, "shop-nlb", None, kind="network")
    return traffic


@world("ec2-by-name")
def ec2_by_name(w):
    """Instances whose log groups can only be found by name: nothing is tagged and no task definition says so."""
    n = shop_network(w)
    alb, app = shop_groups(w, n)
    hosts = w.instances(n, 2, app, name="api", tags={"service": "api"})
    lb = w.load_balancer(n, "api-alb", alb)
    group = w.target_group(n, "api", hosts)
    w.listener(lb, 80, group)
    for name in ("/ec2/api", "/ec2/api/access", "/ec2/billing", "/aws/lambda/thumbnailer"):
        w.log_group(name)
    t = Traffic(w, lb, group, "/ec2/api")
    t.write_history()
    return t


class Live:
    """Lets a world go on: log lines each second, metrics each minute, health as the checks would see it. A denied port
    that someone allows again (DeleteNetworkAclEntry, ReplaceNetworkAclEntry) heals as it would in AWS."""

    def __init__(self, w, traffic):
        self.w, self.traffic = w, traffic

    def denied(self):
        acls = self.w.client("ec2").describe_network_acls(
            NetworkAclIds=list(self.w.lab.names.get("network_acls", {}).values())
        )["NetworkAcls"]
        return any(
            e["RuleAction"] == "deny" and e["RuleNumber"] < 100 and not e["Egress"]
            for acl in acls
            for e in acl["Entries"]
        )

    def run(self):
        at, by_acl = int(self.w.now), bool(self.traffic.blocked) and self.denied()
        while True:
            time.sleep(max(0.0, at + 1 - time.time()))
            with self.w.lab.cloud.lock:
                if by_acl and self.traffic.until is None and at % 5 == 0 and not self.denied():
                    self.traffic.until = at
                self.traffic.step(at)
            at += 1
