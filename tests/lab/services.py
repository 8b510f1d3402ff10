"""What AWS answers and moto does not, operation by operation.

A handler gets the cloud, the call and `ask`, which returns moto's own answer as a dictionary. The corrections follow the
public API models and the documentation of Elastic Load Balancing, EC2, ECS and CloudWatch.
"""

import json
import subprocess
import time

from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.logs.models import logs_backends

from wire import ACCOUNT, AwsError

HANDLERS = {}


def handles(service, *operations):
    def register(fn):
        HANDLERS.update({(service, op): fn for op in operations})
        return fn

    return register


def pages_itself(fn):
    """The handler reads page sizes and tokens itself."""
    fn.pages_itself = True
    return fn


# ---- Elastic Load Balancing -------------------------------------------------------------------------------------------
@handles("elbv2", "DescribeTargetGroups")
def target_groups(cloud, call, ask):
    doc = ask()
    for g in doc["TargetGroups"]:  # moto lists a load balancer once per rule that names the group
        g["LoadBalancerArns"] = list(dict.fromkeys(g.get("LoadBalancerArns", [])))
    return doc


LB_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "health_check_logs.s3.enabled": "false",
    "health_check_logs.s3.bucket": "",
    "health_check_logs.s3.prefix": "",
    "idle_timeout.timeout_seconds": "60",
    "ipv6.deny_all_igw_traffic": "false",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
TG_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.app_cookie.cookie_name": "",
    "stickiness.app_cookie.duration_seconds": "86400",
    "stickiness.enabled": "false",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "stickiness.type": "lb_cookie",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
LISTENER_ATTRIBUTES = {"routing.http.response.server.enabled": "true"}


def attributes(doc, defaults, drop=()):
    have = {a["Key"]: a.get("Value", "") for a in doc["Attributes"]}
    return {
        "Attributes": [
            {"Key": k, "Value": str(v)} for k, v in sorted({**defaults, **have}.items()) if k not in drop
        ]
    }


@handles("elbv2", "DescribeLoadBalancerAttributes")
def lb_attributes(cloud, call, ask):
    if "/app/" not in call.params["LoadBalancerArn"]:
        return ask()
    doc = ask()
    # moto starts with false; on an Application Load Balancer it is always on.
    doc["Attributes"] = [a for a in doc["Attributes"] if a["Key"] != "load_balancing.cross_zone.enabled"]
    return attributes(doc, LB_ATTRIBUTES)


@handles("elbv2", "DescribeTargetGroupAttributes")
def tg_attributes(cloud, call, ask):
    group = group_of(call)
    return attributes(
        ask(),
        {"lambda.multi_value_headers.enabled": "false"} if group.target_type == "lambda" else TG_ATTRIBUTES,
        drop=("waf.fail_open.enabled",),
    )


@handles("elbv2", "DescribeListenerAttributes")
def listener_attributes(cloud, call, ask):
    http = "/app/" in call.params["ListenerArn"]
    return attributes(
        ask(), LISTENER_ATTRIBUTES if http else {}, drop=("tcp.idle_timeout.seconds",) if http else ()
    )


def both_forms(action, order):
    """AWS returns a single forward both as TargetGroupArn and as ForwardConfig, and fills in what a redirect inherits."""
    if action["Type"] == "forward":
        config = action.setdefault(
            "ForwardConfig", {"TargetGroups": [{"TargetGroupArn": action.get("TargetGroupArn"), "Weight": 1}]}
        )
        config.setdefault("TargetGroupStickinessConfig", {"Enabled": False})
        if len(config["TargetGroups"]) == 1:
            action["TargetGroupArn"] = config["TargetGroups"][0]["TargetGroupArn"]
    if action["Type"] == "redirect":
        action["RedirectConfig"] = {
            "Protocol": "#{protocol}",
            "Port": "#{port}",
            "Host": "#{host}",
            "Path": "/#{path}",
            "Query": "#{query}",
            **action["RedirectConfig"],
        }
    action.setdefault("Order", order)
    return action


@handles("elbv2", "DescribeListeners")
def listeners(cloud, call, ask):
    doc = ask()
    for one in doc["Listeners"]:
        one["DefaultActions"] = [both_forms(a, i) for i, a in enumerate(one.get("DefaultActions", []), 1)]
        if one["Protocol"] in ("HTTP", "TCP", "UDP"):
            one.pop("SslPolicy", None), one.pop("Certificates", None)
        if one["Protocol"] == "HTTPS":
            one["MutualAuthentication"] = {"Mode": "off"}
    return doc


@handles("elbv2", "DescribeRules")
def rules(cloud, call, ask):
    doc = ask()
    forms = {
        "path-pattern": "PathPatternConfig",
        "host-header": "HostHeaderConfig",
        "source-ip": "SourceIpConfig",
        "http-request-method": "HttpRequestMethodConfig",
    }
    for rule in doc["Rules"]:
        rule["Actions"] = [both_forms(a, i) for i, a in enumerate(rule.get("Actions", []), 1)]
        for c in rule.get("Conditions", []):
            config = forms.get(c.get("Field"))
            if config and c.get("Values"):
                c.setdefault(config, {"Values": c["Values"]})
            elif config and config in c:
                c["Values"] = c[config].get("Values", [])
    return doc


def group_of(call):
    group = elbv2_backends[ACCOUNT][call.region].target_groups.get(call.params["TargetGroupArn"])
    if group is None:
        raise AwsError("TargetGroupNotFound", "One or more target groups not found")
    return group


HEALTH_TEXT = {
    "Target.Timeout": "Request timed out",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.ResponseCodeMismatch": "Health checks failed with these codes: [503]",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.InvalidState": "Target is in the stopped state",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.HealthCheckDisabled": "Health checks are not enabled for this target",
}


@handles("elbv2", "DescribeTargetHealth")
def target_health(cloud, call, ask):
    group, p = group_of(call), call.params
    backend = ec2_backends[ACCOUNT][call.region]
    wanted = p.get("Targets") or list(group.targets.values())
    include, rows = set(p.get("Include", [])), []
    for t in wanted:
        port = int(t.get("Port") or group.port or 0)
        registered = any(
            v["Id"] == t["Id"] and t.get("Port") in (None, v["Port"], str(v["Port"]))
            for v in group.targets.values()
        )
        instance = backend.get_instance_by_id(t["Id"]) if t["Id"].startswith("i-") else None
        state, reason, text = "healthy", None, None
        if not registered:
            state, reason = "unused", "Target.NotRegistered"
        elif instance is not None and instance.state != "running":
            state, reason, text = "unused", "Target.InvalidState", f"Target is in the {instance.state} state"
        elif not in_use(group, call.region):
            state, reason = "unused", "Target.NotInUse"
        elif group.target_type == "lambda" and str(group.health_check_enabled).lower() != "true":
            state, reason = "unavailable", "Target.HealthCheckDisabled"
        elif (group.arn, t["Id"]) in cloud.checked:
            state, reason, text = cloud.checked[group.arn, t["Id"]]
        # What a test says holds over everything, and what it said last over what it said before.
        for (tg, target, at), said in reversed(cloud.health.items()):
            if tg in (group.arn, group.name, "*") and target in (t["Id"], "*") and at in (port, "*"):
                state, reason, text = said["state"], said.get("reason"), said.get("description")
                break
        row = {"Target": {"Id": t["Id"], "Port": port}, "TargetHealth": {"State": state}}
        if group.target_type == "lambda":
            del row["Target"]["Port"]
        else:
            row["HealthCheckPort"] = str(
                port if group.health_check_port in (None, "traffic-port") else group.health_check_port
            )
        if t.get("AvailabilityZone"):
            row["Target"]["AvailabilityZone"] = t["AvailabilityZone"]
        if reason:
            row["TargetHealth"] |= {"Reason": reason, "Description": text or HEALTH_TEXT.get(reason, "")}
        if include & {"AnomalyDetection", "All"}:
            odd = t["Id"] in cloud.state.get("anomalous", ())
            row["AnomalyDetection"] = {"Result": "anomalous" if odd else "normal", "MitigationInEffect": "no"}
        row["AdministrativeOverride"] = cloud.state.get("admin_override", {}).get(t["Id"]) or {
            "State": "no_override",
            "Reason": "AdministrativeOverride.NoOverride",
            "Description": "No override is currently active on target",
        }
        rows.append(row)
    return {"TargetHealthDescriptions": rows}


def in_use(group, region):
    """Whether any listener rule forwards to the group (an idle group's targets are `unused`)."""
    for lb in elbv2_backends[ACCOUNT][region].load_balancers.values():
        for listener in lb.listeners.values():
            actions = list(listener.default_actions) + [a for r in listener.rules.values() for a in r.actions]
            if any(
                group.arn in json.dumps(getattr(a, "data", None) or vars(a), default=str) for a in actions
            ):
                return True
    return False


# ---- EC2 ----------------------------------------------------------------------------------------------------------------
@handles("ec2", "DescribeRouteTables")
def route_tables(cloud, call, ask):
    doc, dead = ask(), set(cloud.state.get("blackholes", []))
    for table in doc["RouteTables"]:
        for route in table.get("Routes", []):
            if dead & {
                v for k, v in route.items() if k.endswith("Id") and not k.startswith("Destination")
            } | dead & {route.get("DestinationCidrBlock")}:
                route["State"] = "blackhole"
    return doc


@handles("ec2", "DescribeNetworkInterfaces")
def network_interfaces(cloud, call, ask):
    """Interfaces that belong to a load balancer or a task say who requested them; moto has no such field to set."""
    doc = ask()
    for eni in doc["NetworkInterfaces"]:
        text = eni.get("Description", "")
        owner = (
            "amazon-elb" if text.startswith("ELB ") else "578734482556" if ":attachment/" in text else None
        )
        if owner:
            eni |= {
                "RequesterId": owner,
                "RequesterManaged": True,
                "Status": "in-use",
                "Attachment": {
                    "AttachmentId": "ela-attach-" + eni["NetworkInterfaceId"][4:],
                    "DeleteOnTermination": False,
                    "DeviceIndex": 1,
                    "InstanceOwnerId": owner,
                    "Status": "attached",
                },
            }
    return doc


@handles("ec2", "DescribeInstanceStatus")
def instance_status(cloud, call, ask):
    doc = ask()
    for row in doc.get("InstanceStatuses", []):
        for part, value in (
            cloud.state.get("instance_status", {}).get(row["InstanceId"], {}).items()
        ):  # {instanceStatus|systemStatus: impaired}
            name = part[0].upper() + part[1:]
            row[name] = {
                "Status": value,
                "Details": [{"Name": "reachability", "Status": "passed" if value == "ok" else "failed"}],
            }
    return doc


# ---- ECS ----------------------------------------------------------------------------------------------------------------
@handles("ecs", "DescribeServices")
def describe_services(cloud, call, ask):
    doc = ask()
    for s in doc.get("services", []):
        s |= cloud.state.get("ecs_services", {}).get(s["serviceName"], {})
    return doc


@handles("ecs", "ListTasks")
def list_tasks(cloud, call, ask):
    p, tasks = call.params, cloud.state.get("ecs_tasks")
    if tasks is None:
        return ask()
    service = p.get("serviceName", "").split("/")[-1]
    return {
        "taskArns": [
            t["taskArn"]
            for t in tasks
            if t["desiredStatus"] == p.get("desiredStatus", "RUNNING")
            and t["clusterArn"].split("/")[-1] == p.get("cluster", "default").split("/")[-1]
            and (not service or t["group"] == "service:" + service)
            and (not p.get("family") or f"/{p['family']}:" in t["taskDefinitionArn"])
        ]
    }


@handles("ecs", "DescribeTasks")
def describe_tasks(cloud, call, ask):
    tasks = cloud.state.get("ecs_tasks")
    if tasks is None:
        return ask()
    known = {t["taskArn"].split("/")[-1]: t for t in tasks}
    ids = [(t, t.split("/")[-1]) for t in call.params["tasks"]]
    if len(ids) > 100:
        raise AwsError("InvalidParameterException", "tasks can have at most 100 items.")
    return {
        "tasks": [known[i] for _, i in ids if i in known],
        "failures": [{"arn": a, "reason": "MISSING"} for a, i in ids if i not in known],
    }


# ---- CloudWatch and CloudWatch Logs -----------------------------------------------------------------------------------
@handles("cloudwatch", "PutMetricData")
def put_metric_data(cloud, call, ask):
    return cloud.metrics.put_metric_data(call)


@handles("cloudwatch", "GetMetricData")
@pages_itself
def get_metric_data(cloud, call, ask):
    return cloud.metrics.get_metric_data(call, cloud.forced_page(call))


@handles("cloudwatch", "ListMetrics")
@pages_itself
def list_metrics(cloud, call, ask):
    return cloud.metrics.list_metrics(call, cloud.forced_page(call))


def group_names(call):
    return logs_backends[ACCOUNT][call.region].groups


@handles("logs", "FilterLogEvents")
@pages_itself
def filter_log_events(cloud, call, ask):
    return cloud.logs.filter(call, group_names(call), cloud.forced_page(call))


@handles("logs", "DescribeLogGroups")
def log_groups(cloud, call, ask):
    """moto knows the prefix; the substring (logGroupNamePattern, case insensitive) it ignores."""
    doc, part = ask(), call.params.get("logGroupNamePattern")
    if part and call.params.get("logGroupNamePrefix"):
        raise AwsError(
            "InvalidParameterException",
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        )
    if part:
        doc["logGroups"] = [g for g in doc["logGroups"] if part.lower() in g["logGroupName"].lower()]
    return doc


@handles("logs", "DescribeDeliverySources")
def delivery_sources(cloud, call, ask):
    return {"deliverySources": cloud.state.get("delivery_sources", [])}


@handles("logs", "DescribeDeliveries")
def deliveries(cloud, call, ask):
    return {"deliveries": cloud.state.get("deliveries", [])}


@handles("logs", "DescribeDeliveryDestinations")
def delivery_destinations(cloud, call, ask):
    return {"deliveryDestinations": cloud.state.get("delivery_destinations", [])}


# ---- what surrounds a path --------------------------------------------------------------------------------------------
@handles("acm", "DescribeCertificate")
def certificate(cloud, call, ask):
    """The worlds name a certificate that nobody has imported."""
    now = time.time()
    return {
        "Certificate": {
            "CertificateArn": call.params["CertificateArn"],
            "DomainName": "shop.example.com",
            "SubjectAlternativeNames": ["shop.example.com"],
            "Status": "ISSUED",
            "Type": "AMAZON_ISSUED",
            "NotBefore": now - 86400 * 100,
            "NotAfter": now + 86400 * 200,
        }
    }


@handles("cloudtrail", "LookupEvents")
def lookup_events(cloud, call, ask):
    return {"Events": cloud.state.get("events", [])}


# moto's X-Ray wants a package of its own, and knows no root causes.
@handles("xray", "POST /TraceSummaries")
def trace_summaries(cloud, call, ask):
    summaries = cloud.state.get("traces", [])
    return {"TraceSummaries": summaries, "TracesProcessedCount": len(summaries), "ApproximateTime": 0}


# ---- Systems Manager -----------------------------------------------------------------------------------------------------
# state["hosts"]: instance id -> what it prints, or True: the script runs in a shell of this machine, as it stands. Only
# badgate's own questions to hosts ever come here, and those only read.
COMMANDS = {}


@handles("ssm", "DescribeInstanceInformation")
def instance_information(cloud, call, ask):
    wanted = [v for f in call.params.get("Filters", []) if f["Key"] == "InstanceIds" for v in f["Values"]]
    hosts = cloud.state.get("hosts", {})
    return {
        "InstanceInformationList": [
            {"InstanceId": i, "PingStatus": "Online", "PlatformType": "Linux", "AgentVersion": "3.3.987.0"}
            for i in wanted
            if i in hosts
        ]
    }


@handles("ssm", "SendCommand")
def send_command(cloud, call, ask):
    ids, hosts = call.params["InstanceIds"], cloud.state.get("hosts", {})
    if gone := [i for i in ids if i not in hosts]:
        raise AwsError("InvalidInstanceId", f"Instances not in a valid state for account: {', '.join(gone)}")
    number = f"00000000-0000-0000-0000-{len(COMMANDS):012d}"
    COMMANDS[number] = {"lines": call.params["Parameters"]["commands"], "asked": 0}
    return {"Command": {"CommandId": number, "InstanceIds": ids, "Status": "Pending"}}


@handles("ssm", "GetCommandInvocation")
def get_command_invocation(cloud, call, ask):
    order, host = COMMANDS[call.params["CommandId"]], call.params["InstanceId"]
    order["asked"] += 1
    # As AWS: not there at once, then under way.
    if order["asked"] == 1:
        raise AwsError("InvocationDoesNotExist", "")
    row = {"CommandId": call.params["CommandId"], "InstanceId": host, "StandardOutputContent": ""}
    if order["asked"] == 2:
        return row | {"Status": "InProgress", "StatusDetails": "InProgress"}
    said = cloud.state["hosts"][host]
    if said is True:
        script = "\n".join(order["lines"])
        said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, errors="replace", timeout=60).stdout
    return row | {"Status": "Success", "StatusDetails": "Success", "StandardOutputContent": said[:24000]}
