"""Builds situations in the emulator: networks, load balancers, targets, services, logs.

Everything is made through the API (boto3, without a socket), so that a world cannot hold what AWS would refuse; only what
the API has no call for (a load balancer's DNS name, the age of things) is set on moto's objects.
"""

import random
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from wire import ACCOUNT

AMI = "ami-12c6146b"
CERTIFICATE = "arn:aws:acm:{region}:123456789012:certificate/6f1a2c3d-0000-4000-8000-5eed00000001"


@dataclass
class Network:
    vpc: str
    cidr: str
    public: list = field(default_factory=list)
    app: list = field(default_factory=list)
    zones: dict = field(default_factory=dict)  # subnet -> availability zone
    cidrs: dict = field(default_factory=dict)  # subnet -> CIDR
    used: dict = field(default_factory=dict)  # subnet -> last host number given away


@dataclass
class Host:
    """What is registered in a target group: an instance, or an address."""

    id: str
    ip: str
    zone: str
    name: str


@dataclass
class Group:
    name: str
    arn: str
    port: int
    hosts: list

    @property
    def dimension(self):
        return "targetgroup/" + self.arn.split("targetgroup/")[1]


@dataclass
class Balancer:
    name: str
    arn: str
    dns: str
    zones: list

    @property
    def dimension(self):
        return self.arn.split("loadbalancer/")[1]


class World:
    def __init__(self, lab, region="us-east-1", seed=502):
        self.lab, self.region, self.random = lab, region, random.Random(seed)
        self.now = time.time()

    def client(self, service):
        return self.lab.client(service, self.region)

    # -- network
    def network(self, prefix="10.20", zones="ab"):
        """A VPC with a public subnet (PREFIX.0.0/24 up) and an app subnet (PREFIX.10.0/24 up) in each zone, an internet
        gateway for the public ones and a NAT gateway for the others."""
        e = self.client("ec2")
        vpc = e.create_vpc(CidrBlock=prefix + ".0.0/16", TagSpecifications=named("vpc", "shop"))["Vpc"][
            "VpcId"
        ]
        n = Network(vpc, prefix + ".0.0/16")
        gateway = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        e.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        tables = {
            k: e.create_route_table(VpcId=vpc, TagSpecifications=named("route-table", f"rt-{k}"))[
                "RouteTable"
            ]["RouteTableId"]
            for k in ("public", "app")
        }
        for kind, first, subnets in (("public", 0, n.public), ("app", 10, n.app)):
            for i, zone in enumerate(zones):
                cidr = f"{prefix}.{first + i}.0/24"
                s = e.create_subnet(
                    VpcId=vpc,
                    CidrBlock=cidr,
                    AvailabilityZone=self.region + zone,
                    TagSpecifications=named("subnet", f"{kind}-{zone}"),
                )["Subnet"]["SubnetId"]
                e.associate_route_table(RouteTableId=tables[kind], SubnetId=s)
                subnets.append(s)
                n.zones[s], n.cidrs[s], n.used[s] = self.region + zone, cidr, 10
        e.create_route(RouteTableId=tables["public"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        address = e.allocate_address(Domain="vpc")["AllocationId"]
        nat = e.create_nat_gateway(SubnetId=n.public[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
        e.create_route(RouteTableId=tables["app"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        self.note("network", vpc=vpc, public=n.public, app=n.app, route_tables=tables, igw=gateway, nat=nat)
        return n

    def take_address(self, n, subnet):
        n.used[subnet] += 1
        return n.cidrs[subnet].rsplit(".", 1)[0] + f".{n.used[subnet]}"

    def security_group(self, n, name, ingress=(), egress=None):
        """Rules are (protocol, from port, to port, source); the source is a CIDR, sg-* or pl-*. egress None: allow all."""
        e = self.client("ec2")
        g = e.create_security_group(
            GroupName=name, Description=name, VpcId=n.vpc, TagSpecifications=named("security-group", name)
        )["GroupId"]
        if ingress:
            e.authorize_security_group_ingress(GroupId=g, IpPermissions=[permission(*r) for r in ingress])
        if egress is not None:
            e.revoke_security_group_egress(
                GroupId=g, IpPermissions=[permission("-1", None, None, "0.0.0.0/0")]
            )
            if egress:
                e.authorize_security_group_egress(GroupId=g, IpPermissions=[permission(*r) for r in egress])
        self.note("security_groups", **{name: g})
        return g

    def network_acl(self, n, name, subnets, entries):
        """entries: (number, "in"|"out", protocol, from port, to port, CIDR, "allow"|"deny")."""
        e = self.client("ec2")
        acl = e.create_network_acl(VpcId=n.vpc, TagSpecifications=named("network-acl", name))["NetworkAcl"][
            "NetworkAclId"
        ]
        for number, way, protocol, low, high, cidr, action in entries:
            e.create_network_acl_entry(
                NetworkAclId=acl,
                RuleNumber=number,
                Egress=way == "out",
                Protocol=protocol,
                RuleAction=action,
                CidrBlock=cidr,
                **({} if low is None else {"PortRange": {"From": low, "To": high}}),
            )
        for old in e.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [n.vpc]}])["NetworkAcls"]:
            for a in old["Associations"]:
                if a["SubnetId"] in subnets:
                    e.replace_network_acl_association(
                        AssociationId=a["NetworkAclAssociationId"], NetworkAclId=acl
                    )
        self.note("network_acls", **{name: acl})
        return acl

    def interface(self, n, subnet, groups, description, ip=None):
        ip = ip or self.take_address(n, subnet)
        self.client("ec2").create_network_interface(
            SubnetId=subnet, Groups=groups, PrivateIpAddress=ip, Description=description
        )
        return ip

    # -- targets
    def instances(self, n, count, group, name="web", tags=None):
        """Instances spread over the app subnets, two months old."""
        e, hosts = self.client("ec2"), []
        for i in range(count):
            subnet = n.app[i % len(n.app)]
            ip = self.take_address(n, subnet)
            spec = named("instance", f"{name}-{i + 1}")
            spec[0]["Tags"] += [{"Key": k, "Value": v} for k, v in (tags or {}).items()]
            made = e.run_instances(
                ImageId=AMI,
                MinCount=1,
                MaxCount=1,
                InstanceType="t3.small",
                SubnetId=subnet,
                SecurityGroupIds=[group],
                PrivateIpAddress=ip,
                TagSpecifications=spec,
            )["Instances"][0]["InstanceId"]
            ec2_backends[ACCOUNT][self.region].get_instance(made).launch_time = iso(self.now - 61 * 86400)
            hosts.append(Host(made, ip, n.zones[subnet], f"{name}-{i + 1}"))
        self.note("instances", **{h.name: h.id for h in hosts})
        return hosts

    def addresses(self, n, count, group, description=None, name="task"):
        """Addresses in the app subnets, each with the network interface of an ECS task (or what `description` says)."""
        hosts = []
        for i in range(count):
            subnet = n.app[i % len(n.app)]
            ip = self.interface(
                n,
                subnet,
                [group],
                description or f"arn:aws:ecs:{self.region}:{ACCOUNT}:attachment/{self.uuid()}",
            )
            hosts.append(Host(ip, ip, n.zones[subnet], f"{name}-{i + 1}"))
        self.note("addresses", **{h.name: h.ip for h in hosts})
        return hosts

    # -- load balancing
    def load_balancer(
        self, n, name, group, scheme="internet-facing", kind="application", attributes=None, tags=None
    ):
        el = self.client("elbv2")
        subnets = n.public if scheme == "internet-facing" else n.app
        made = el.create_load_balancer(
            Name=name,
            Subnets=subnets,
            Scheme=scheme,
            Type=kind,
            **({"SecurityGroups": [group]} if group else {}),
            **({"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]} if tags else {}),
        )["LoadBalancers"][0]
        arn, number = made["LoadBalancerArn"], self.random.randrange(10**8, 2 * 10**9)
        dns = f"{'internal-' if scheme == 'internal' else ''}{name}-{number}.{self.region}.elb.amazonaws.com"
        model = elbv2_backends[ACCOUNT][self.region].load_balancers[arn]
        model.dns_name, model.created_time, model.canonical_hosted_zone_id = (
            dns,
            iso(self.now - 400 * 86400),
            "Z35SXDOTRQ7X7K",
        )
        lb = Balancer(name, arn, dns, [n.zones[s] for s in subnets])
        for s in subnets:
            self.interface(n, s, [group] if group else [], f"ELB {lb.dimension}")
        if attributes:
            el.modify_load_balancer_attributes(
                LoadBalancerArn=arn, Attributes=[{"Key": k, "Value": str(v)} for k, v in attributes.items()]
            )
        self.note("load_balancers", **{name: {"arn": arn, "dns": dns}})
        return lb

    def target_group(
        self, n, name, hosts, port=8080, kind="instance", attributes=None, tags=None, **health_check
    ):
        el = self.client("elbv2")
        check = {
            "HealthCheckPath": "/healthz",
            "HealthCheckIntervalSeconds": 15,
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 3,
            "UnhealthyThresholdCount": 2,
            "Matcher": {"HttpCode": "200"},
            **health_check,
        }
        arn = el.create_target_group(
            Name=name,
            TargetType=kind,
            Protocol="HTTP",
            Port=port,
            VpcId=n.vpc,
            HealthCheckProtocol="HTTP",
            **check,
        )["TargetGroups"][0]["TargetGroupArn"]
        if attributes:
            el.modify_target_group_attributes(
                TargetGroupArn=arn, Attributes=[{"Key": k, "Value": str(v)} for k, v in attributes.items()]
            )
        if tags:
            el.add_tags(ResourceArns=[arn], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
        if hosts:
            el.register_targets(
                TargetGroupArn=arn,
                Targets=[
                    {"Id": h.id, "Port": port, **({"AvailabilityZone": h.zone} if h.zone == "all" else {})}
                    for h in hosts
                ],
            )
        self.note("target_groups", **{name: arn})
        return Group(name, arn, port, list(hosts))

    def listener(self, lb, port, action, protocol="HTTP"):
        secure = (
            {
                "Certificates": [{"CertificateArn": CERTIFICATE.format(region=self.region)}],
                "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            }
            if protocol == "HTTPS"
            else {}
        )
        arn = self.client("elbv2").create_listener(
            LoadBalancerArn=lb.arn,
            Port=port,
            Protocol=protocol,
            DefaultActions=[rule_action(action)],
            **secure,
        )["Listeners"][0]["ListenerArn"]
        self.note("listeners", **{f"{lb.name}:{port}": arn})
        return arn

    def rule(self, listener, priority, action, path=None, host=None):
        conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}] if path else []
        conditions += [{"Field": "host-header", "HostHeaderConfig": {"Values": [host]}}] if host else []
        self.client("elbv2").create_rule(
            ListenerArn=listener, Priority=priority, Conditions=conditions, Actions=[rule_action(action)]
        )

    def health(self, group, host, state, reason=None, description=None):
        """What the health checks found."""
        if state == "healthy":
            self.lab.cloud.checked.pop((group.arn, host.id), None)
        else:
            self.lab.cloud.checked[group.arn, host.id] = (state, reason, description)

    # -- logs
    def log_group(self, name, retention=None, tags=None):
        logs = self.client("logs")
        logs.create_log_group(logGroupName=name, **({"tags": tags} if tags else {}))
        if retention:
            logs.put_retention_policy(logGroupName=name, retentionInDays=retention)
        self.note("log_groups", **{name: f"arn:aws:logs:{self.region}:{ACCOUNT}:log-group:{name}"})

    def log(self, group, stream, events):
        """events: (epoch seconds, text)."""
        logs = self.client("logs")
        if stream not in self.lab.names.setdefault("log_streams", {}).setdefault(group, []):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            self.lab.names["log_streams"][group].append(stream)
        rows = [{"timestamp": int(at * 1000), "message": text} for at, text in sorted(events)]
        for i in range(0, len(rows), 5000):
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=rows[i : i + 5000])

    # -- ECS
    def ecs_service(
        self, n, cluster, service, group, hosts, security_group, log_group, events=(), stopped=(), revision=7
    ):
        """A Fargate service whose tasks are the hosts. events: (age in minutes, text); stopped: dictionaries with age
        (minutes), code, reason, exit. moto starts no tasks for a service, so they are kept in `Cloud.state`."""
        e = self.client("ecs")
        e.create_cluster(clusterName=cluster)
        for r in range(1, revision + 1):
            task_definition = e.register_task_definition(
                family=service,
                networkMode="awsvpc",
                requiresCompatibilities=["FARGATE"],
                cpu="256",
                memory="512",
                containerDefinitions=[
                    {
                        "name": service,
                        "image": f"{ACCOUNT}.dkr.ecr.{self.region}.amazonaws.com/{service}:{r}",
                        "essential": True,
                        "cpu": 256,
                        "memory": 512,
                        "portMappings": [{"containerPort": group.port, "protocol": "tcp"}],
                        "stopTimeout": 30,
                        "environment": [{"name": "PORT", "value": str(group.port)}],
                        "logConfiguration": {
                            "logDriver": "awslogs",
                            "options": {
                                "awslogs-group": log_group,
                                "awslogs-region": self.region,
                                "awslogs-stream-prefix": service,
                            },
                        },
                    }
                ],
            )["taskDefinition"]["taskDefinitionArn"]
        e.create_service(
            cluster=cluster,
            serviceName=service,
            taskDefinition=task_definition,
            desiredCount=len(hosts),
            launchType="FARGATE",
            healthCheckGracePeriodSeconds=60,
            networkConfiguration={
                "awsvpcConfiguration": {"subnets": n.app, "securityGroups": [security_group]}
            },
            loadBalancers=[
                {"targetGroupArn": group.arn, "containerName": service, "containerPort": group.port}
            ],
        )
        cluster_arn = f"arn:aws:ecs:{self.region}:{ACCOUNT}:cluster/{cluster}"
        subnet_of = {v: k for k, v in n.zones.items() if k in n.app}

        def task(last, **kw):
            return {
                "taskArn": f"arn:aws:ecs:{self.region}:{ACCOUNT}:task/{cluster}/{self.random.getrandbits(128):032x}",
                "clusterArn": cluster_arn,
                "taskDefinitionArn": task_definition,
                "group": "service:" + service,
                "lastStatus": last,
                "desiredStatus": last,
                "launchType": "FARGATE",
                "cpu": "256",
                "memory": "512",
                "healthStatus": "UNKNOWN",
                "connectivity": "CONNECTED",
                **kw,
            }

        tasks = [
            task(
                "RUNNING",
                createdAt=self.now - 86400,
                startedAt=self.now - 86370,
                availabilityZone=h.zone,
                containers=[
                    {
                        "name": service,
                        "lastStatus": "RUNNING",
                        "networkInterfaces": [{"privateIpv4Address": h.ip}],
                    }
                ],
                attachments=[
                    {
                        "id": self.uuid(),
                        "type": "ElasticNetworkInterface",
                        "status": "ATTACHED",
                        "details": [
                            {"name": "subnetId", "value": subnet_of[h.zone]},
                            {"name": "privateIPv4Address", "value": h.ip},
                        ],
                    }
                ],
            )
            for h in hosts
        ]
        for s in stopped:
            at = self.now - s["age"] * 60
            tasks.append(
                task(
                    "STOPPED",
                    stopCode=s["code"],
                    stoppedReason=s["reason"],
                    createdAt=at - 200,
                    startedAt=at - 170,
                    stoppedAt=at,
                    availabilityZone=self.region + "a",
                    containers=[{"name": service, "lastStatus": "STOPPED", "exitCode": s["exit"]}],
                    attachments=[],
                )
            )
        made = self.now - 86400
        self.lab.cloud.state.setdefault("ecs_tasks", []).extend(tasks)
        self.lab.cloud.state.setdefault("ecs_services", {})[service] = {
            "runningCount": len(hosts),
            "pendingCount": 0,
            "desiredCount": len(hosts),
            "status": "ACTIVE",
            "events": [
                {"id": self.uuid(), "createdAt": utc(self.now - age * 60), "message": text}
                for age, text in sorted(events)
            ],
            "deploymentConfiguration": {
                "minimumHealthyPercent": 100,
                "maximumPercent": 200,
                "deploymentCircuitBreaker": {"enable": False, "rollback": False},
            },
            "deployments": [
                {
                    "id": "ecs-svc/0123456789",
                    "status": "PRIMARY",
                    "taskDefinition": task_definition,
                    "desiredCount": len(hosts),
                    "runningCount": len(hosts),
                    "pendingCount": 0,
                    "failedTasks": 0,
                    "createdAt": utc(made),
                    "updatedAt": utc(made + 90),
                    "launchType": "FARGATE",
                    "rolloutState": "COMPLETED",
                    "rolloutStateReason": "ECS deployment ecs-svc/0123456789 completed.",
                }
            ],
        }
        self.note(
            "ecs",
            cluster=cluster,
            service=service,
            task_definition=task_definition,
            tasks=[t["taskArn"] for t in tasks],
        )

    # -- odds and ends
    def uuid(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def note(self, _what, **facts):
        """Makes names and ids known to the tests (GET /_lab/names)."""
        self.lab.names.setdefault(_what, {}).update(facts)


def permission(protocol, low, high, source):
    p = {"IpProtocol": protocol} | ({} if low is None else {"FromPort": low, "ToPort": high})
    if source.startswith("sg-"):
        return p | {"UserIdGroupPairs": [{"GroupId": source}]}
    if source.startswith("pl-"):
        return p | {"PrefixListIds": [{"PrefixListId": source}]}
    return p | (
        {"Ipv6Ranges": [{"CidrIpv6": source}]} if ":" in source else {"IpRanges": [{"CidrIp": source}]}
    )


def rule_action(action):
    """A Group forwards, "https" redirects, [(group, weight)] splits, a number answers with that status."""
    if isinstance(action, Group):
        return {"Type": "forward", "TargetGroupArn": action.arn}
    if action == "https":
        return {
            "Type": "redirect",
            "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
        }
    if isinstance(action, list):
        return {
            "Type": "forward",
            "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": g.arn, "Weight": w} for g, w in action]},
        }
    return {
        "Type": "fixed-response",
        "FixedResponseConfig": {
            "StatusCode": str(action),
            "ContentType": "text/plain",
            "MessageBody": "down for maintenance",
        },
    }


def named(kind, name):
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def utc(epoch):
    return datetime.fromtimestamp(epoch, timezone.utc)


def iso(epoch):
    return (datetime(1970, 1, 1) + timedelta(seconds=int(epoch))).strftime("%Y-%m-%dT%H:%M:%S.000Z")
