//! `badgate path`, `check --snapshot` and the folders they read: answers as
//! the AWS CLI writes them, what is wrong with them, and the way back.
mod world;

use badgate::diagnosis::path::{Endpoint, Network, evaluate};
use badgate::situation::net::Protocol;
use badgate::situation::{Observation, Reason, Situation, Topic};
use badgate::sources::snapshot;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;
use world::*;

/// A small stack as `aws ec2 describe-*` writes it (documented examples'
/// form, with members nobody here reads).
fn cli_answers() -> Vec<(&'static str, Value)> {
    vec![
        (
            "sg",
            json!({"SecurityGroups": [
            {"GroupId": "sg-alb", "GroupName": "alb", "VpcId": "vpc-1", "OwnerId": "111122223333",
             "Description": "load balancer", "Tags": [{"Key": "Name", "Value": "alb"}],
             "SecurityGroupArn": "arn:aws:ec2:us-east-1:111122223333:security-group/sg-alb",
             "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
                "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}], "Ipv6Ranges": [],
                "PrefixListIds": [], "UserIdGroupPairs": []}],
             "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}]},
            {"GroupId": "sg-app", "GroupName": "app", "VpcId": "vpc-1", "OwnerId": "111122223333",
             "Description": "application",
             "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": [],
                "Ipv6Ranges": [], "PrefixListIds": [],
                "UserIdGroupPairs": [{"GroupId": "sg-alb", "UserId": "111122223333"}]}],
             "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}]}),
        ),
        (
            "acls.out",
            json!({"NetworkAcls": [
            {"NetworkAclId": "acl-1", "VpcId": "vpc-1", "IsDefault": true, "OwnerId": "111122223333", "Tags": [],
             "Associations": [
                {"NetworkAclAssociationId": "aclassoc-1", "NetworkAclId": "acl-1", "SubnetId": "subnet-pub"},
                {"NetworkAclAssociationId": "aclassoc-2", "NetworkAclId": "acl-1", "SubnetId": "subnet-app"}],
             "Entries": [
                {"CidrBlock": "0.0.0.0/0", "Egress": true, "Protocol": "-1", "RuleAction": "allow", "RuleNumber": 100},
                {"CidrBlock": "0.0.0.0/0", "Egress": true, "Protocol": "-1", "RuleAction": "deny", "RuleNumber": 32767},
                {"CidrBlock": "0.0.0.0/0", "Egress": false, "Protocol": "-1", "RuleAction": "allow", "RuleNumber": 100},
                {"CidrBlock": "0.0.0.0/0", "Egress": false, "Protocol": "-1", "RuleAction": "deny", "RuleNumber": 32767}]}]}),
        ),
        (
            "tables.json",
            json!({"RouteTables": [
            {"RouteTableId": "rtb-pub", "VpcId": "vpc-1", "PropagatingVgws": [], "Tags": [],
             "Associations": [{"Main": false, "SubnetId": "subnet-pub", "RouteTableAssociationId": "rtbassoc-1",
                "AssociationState": {"State": "associated"}}],
             "Routes": [
                {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"},
                {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "Origin": "CreateRoute", "State": "active"}]},
            {"RouteTableId": "rtb-main", "VpcId": "vpc-1", "PropagatingVgws": [], "Tags": [],
             "Associations": [{"Main": true, "RouteTableAssociationId": "rtbassoc-0",
                "AssociationState": {"State": "associated"}}],
             "Routes": [
                {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}]}]}),
        ),
        (
            "subnets.json",
            json!({"Subnets": [
            {"SubnetId": "subnet-pub", "VpcId": "vpc-1", "AvailabilityZone": "us-east-1a", "CidrBlock": "10.0.1.0/24",
             "Ipv6CidrBlockAssociationSet": [], "State": "available", "MapPublicIpOnLaunch": true},
            {"SubnetId": "subnet-app", "VpcId": "vpc-1", "AvailabilityZone": "us-east-1a", "CidrBlock": "10.0.11.0/24",
             "Ipv6CidrBlockAssociationSet": [], "State": "available", "MapPublicIpOnLaunch": false}]}),
        ),
        (
            "nics.json",
            json!({"NetworkInterfaces": [
            {"NetworkInterfaceId": "eni-alb", "Description": "ELB app/shop/50dc6c495c0c9188", "InterfaceType": "interface",
             "Status": "in-use", "VpcId": "vpc-1", "SubnetId": "subnet-pub", "AvailabilityZone": "us-east-1a",
             "Groups": [{"GroupId": "sg-alb", "GroupName": "alb"}], "PrivateIpAddress": "10.0.1.5",
             "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": "10.0.1.5",
                "Association": {"PublicIp": "203.0.113.10", "IpOwnerId": "amazon-elb"}}],
             "Association": {"PublicIp": "203.0.113.10", "IpOwnerId": "amazon-elb"},
             "RequesterId": "amazon-elb", "RequesterManaged": true, "SourceDestCheck": true},
            {"NetworkInterfaceId": "eni-app", "Description": "", "InterfaceType": "interface", "Status": "in-use",
             "VpcId": "vpc-1", "SubnetId": "subnet-app", "AvailabilityZone": "us-east-1a",
             "Groups": [{"GroupId": "sg-app", "GroupName": "app"}], "PrivateIpAddress": "10.0.11.10",
             "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": "10.0.11.10"}],
             "Attachment": {"InstanceId": "i-0a1", "DeviceIndex": 0, "Status": "attached"},
             "RequesterManaged": false, "SourceDestCheck": true}]}),
        ),
        (
            "hosts.json",
            json!({"Reservations": [{"ReservationId": "r-1", "OwnerId": "111122223333", "Groups": [],
            "Instances": [{"InstanceId": "i-0a1", "InstanceType": "t3.small", "State": {"Code": 16, "Name": "running"},
             "VpcId": "vpc-1", "SubnetId": "subnet-app", "Placement": {"AvailabilityZone": "us-east-1a"},
             "PrivateIpAddress": "10.0.11.10", "LaunchTime": "2026-11-20T08:00:00+00:00",
             "SecurityGroups": [{"GroupId": "sg-app", "GroupName": "app"}],
             "NetworkInterfaces": [{"NetworkInterfaceId": "eni-app", "PrivateIpAddress": "10.0.11.10",
                "Attachment": {"DeviceIndex": 0}, "Groups": [{"GroupId": "sg-app", "GroupName": "app"}]}],
             "Tags": [{"Key": "Name", "Value": "web-1"}]}]}]}),
        ),
        (
            "lbs.json",
            json!({"LoadBalancers": [{
            "LoadBalancerArn": "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/shop/50dc6c495c0c9188",
            "LoadBalancerName": "shop", "DNSName": "shop-1234567890.us-east-1.elb.amazonaws.com",
            "CanonicalHostedZoneId": "Z35SXDOTRQ7X7K", "CreatedTime": "2026-01-02T03:04:05.678000+00:00",
            "Scheme": "internet-facing", "VpcId": "vpc-1", "State": {"Code": "active"}, "Type": "application",
            "AvailabilityZones": [{"ZoneName": "us-east-1a", "SubnetId": "subnet-pub", "LoadBalancerAddresses": []}],
            "SecurityGroups": ["sg-alb"], "IpAddressType": "ipv4"}]}),
        ),
    ]
}

fn folder(files: &[(&str, Value)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in files {
        std::fs::write(dir.path().join(name), serde_json::to_vec_pretty(value).unwrap()).unwrap();
    }
    dir
}

fn badgate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_badgate"))
        .args(args)
        .env_clear()
        .env("HOME", "/nonexistent")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn path(dir: &Path, from: &str, to: &str, more: &[&str]) -> (Output, Value) {
    let dir = dir.to_str().unwrap();
    let out = badgate(&[&["path", from, to, "--snapshot", dir, "--json"], more].concat());
    let v = serde_json::from_slice(&out.stdout).unwrap_or(Value::Null);
    (out, v)
}

/// The one line a mistake ends with.
fn complaint(dir: &Path, code: i32) -> String {
    let out = badgate(&["path", "internet", "shop:443", "--snapshot", dir.to_str().unwrap()]);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(out.stdout.is_empty());
    said
}

#[test]
fn the_document_has_the_agreed_shape() {
    let dir = folder(&cli_answers());
    let (out, v) = path(dir.path(), "shop", "i-0a1:8080", &[]);
    assert_eq!(out.status.code(), Some(0), "{v:#} {}", text(&out.stderr));
    let members: Vec<&str> = v.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        ["schema", "from", "to", "protocol", "port", "verdict", "blocked_by", "forward", "return", "unknown"]
    );
    assert_eq!(v["schema"], "badgate.path/1");
    assert_eq!((&v["from"], &v["to"]), (&"shop".into(), &"i-0a1".into()));
    assert_eq!((&v["protocol"], &v["port"]), (&"tcp".into(), &8080.into()));
    assert_eq!((&v["verdict"], &v["blocked_by"]), (&"open".into(), &Value::Null));
    let stages = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(stages(&v["forward"]), ["sg-egress", "nacl-out", "route", "nacl-in", "sg-ingress"]);
    assert_eq!(stages(&v["return"]), ["return-nacl-out", "return-route", "return-nacl-in"]);
    for s in v["forward"].as_array().unwrap().iter().chain(v["return"].as_array().unwrap()) {
        for member in ["stage", "id", "rule", "decision"] {
            assert!(s[member].is_string(), "{member} of {s}");
        }
    }
    assert_eq!(v["unknown"], json!([]));
}

#[test]
fn ends_of_every_kind() {
    let dir = folder(&cli_answers());
    let arn = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/shop/50dc6c495c0c9188";
    for (from, to, code, verdict) in [
        ("internet", "shop:443", 0, "open"),
        ("internet", &format!("{arn}:443")[..], 0, "open"),
        ("internet", "shop-1234567890.us-east-1.elb.amazonaws.com:443", 0, "open"),
        ("internet", "shop:80", 1, "blocked"),
        ("198.51.100.7", "203.0.113.10:443", 0, "open"),
        (arn, "10.0.11.10:8080", 0, "open"),
        ("eni-alb", "eni-app:8080", 0, "open"),
        ("shop", "i-0a1:22", 1, "blocked"),
        ("internet", "i-0a1:8080", 1, "blocked"),
        // The targets' subnet has no way out.
        ("i-0a1", "internet:443", 1, "blocked"),
        ("shop", "i-0fff:8080", 3, "unknown"),
    ] {
        let (out, v) = path(dir.path(), from, to, &[]);
        assert_eq!(v["verdict"], verdict, "{from} -> {to}: {v:#} {}", text(&out.stderr));
        assert_eq!(out.status.code(), Some(code), "{from} -> {to}");
        if verdict == "blocked" {
            let b = &v["blocked_by"];
            for member in ["stage", "id", "rule", "why"] {
                assert!(b[member].is_string(), "{member} of {b}");
            }
        }
    }
    let (_, v) = path(dir.path(), "shop", "i-0a1:22", &[]);
    assert_eq!(v["blocked_by"]["stage"], "sg-ingress");
    let (_, v) = path(dir.path(), "i-0a1", "internet:443", &[]);
    assert_eq!((&v["blocked_by"]["stage"], &v["blocked_by"]["id"]), (&"route".into(), &"rtb-main".into()));
    let (_, v) = path(dir.path(), "shop", "i-0fff:8080", &[]);
    assert!(v["unknown"][0].to_string().contains("i-0fff"), "{v:#}");
}

#[test]
fn protocols_without_ports() {
    let dir = folder(&cli_answers());
    let (out, v) = path(dir.path(), "shop", "i-0a1", &["--protocol", "icmp"]);
    assert_eq!(
        (&v["protocol"], &v["port"], out.status.code()),
        (&"icmp".into(), &Value::Null, Some(1)),
        "{v:#}"
    );
    let (_, v) = path(dir.path(), "shop", "i-0a1:8080", &["--protocol", "udp"]);
    assert_eq!((&v["protocol"], &v["verdict"]), (&"udp".into(), &"blocked".into()));
    let out = badgate(&["path", "shop", "i-0a1:80", "--protocol", "icmp", "--snapshot", "."]);
    assert_eq!(out.status.code(), Some(2));
    assert_eq!(text(&out.stderr), "badgate: ICMP has no ports; leave out ':80'\n");
}

#[test]
fn the_text_form_fits_80_columns() {
    let dir = folder(&cli_answers());
    let dir = dir.path().to_str().unwrap();
    let out = badgate(&["path", "shop", "i-0a1:22", "--snapshot", dir]);
    let said = text(&out.stdout);
    for word in ["blocked", "SG ingress", "x deny", "forward", "return", "sg-app"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(said.lines().all(|l| badgate::text::width(l) <= 80), "{said}");
}

#[test]
fn what_no_file_tells_is_unknown_and_names_the_command() {
    for (missing, command) in [
        ("sg", "describe-security-groups"),
        ("acls.out", "describe-network-acls"),
        ("tables.json", "describe-route-tables"),
    ] {
        let mut files = cli_answers();
        files.retain(|f| f.0 != missing);
        let dir = folder(&files);
        let (out, v) = path(dir.path(), "shop", "i-0a1:8080", &[]);
        assert_eq!((out.status.code(), &v["verdict"]), (Some(3), &"unknown".into()), "{missing}: {v:#}");
        assert!(v["unknown"].to_string().contains(command), "{missing}: {v:#}");
    }
}

#[test]
fn a_foreign_file_is_left_out_and_said() {
    let mut files = cli_answers();
    files.push(("package.json", json!({"name": "shop", "version": "1.2.3"})));
    let dir = folder(&files);
    std::fs::write(dir.path().join("notes.txt"), "nginx restarted\n").unwrap();
    let (out, v) = path(dir.path(), "internet", "shop:443", &[]);
    assert_eq!(v["verdict"], "open");
    let said = text(&out.stderr);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains("notes.txt: no JSON; left out"), "{said}");
    assert!(said.contains("package.json: no answer that is known here (it holds name, version"), "{said}");
}

#[test]
fn a_bad_folder_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    assert!(complaint(dir.path(), 2).contains("no file here holds an answer of the AWS CLI"));
    assert!(complaint(&dir.path().join("nowhere"), 2).contains("the folder cannot be read"));

    let dir = folder(&cli_answers());
    let whole = std::fs::read(dir.path().join("tables.json")).unwrap();
    std::fs::write(dir.path().join("tables.json"), &whole[..whole.len() / 2]).unwrap();
    assert!(complaint(dir.path(), 2).contains("tables.json: the file is cut off in line"));
    std::fs::write(dir.path().join("tables.json"), b"").unwrap();
    assert!(complaint(dir.path(), 2).contains("tables.json: the file is empty"));
    std::fs::write(dir.path().join("tables.json"), b"{\"RouteTables\": [}]}").unwrap();
    assert!(complaint(dir.path(), 2).contains("tables.json: no JSON from line 1"));
    std::fs::write(dir.path().join("tables.json"), b"[]").unwrap();
    assert!(complaint(dir.path(), 2).contains("was --query used?"));
    std::fs::write(dir.path().join("tables.json"), b"{\"RouteTables\": {\"x\": 1}}").unwrap();
    assert!(complaint(dir.path(), 2).contains("RouteTables is not as the AWS CLI writes it"));
}

#[test]
fn a_page_of_several_is_no_answer() {
    let mut files = cli_answers();
    files[1].1["NextToken"] = "eyJ2IjoiMiJ9".into();
    assert!(complaint(folder(&files).path(), 2).contains("acls.out: only one page of several"));
}

#[test]
fn files_that_contradict_each_other_are_not_chosen_from() {
    let mut files = cli_answers();
    let mut old = files[0].1.clone();
    files.push(("sg-copy.json", old.clone()));
    let (_, v) = path(folder(&files).path(), "shop", "i-0a1:8080", &[]);
    assert_eq!(v["verdict"], "open", "the same twice is no contradiction");
    old["SecurityGroups"][1]["IpPermissions"][0]["ToPort"] = 9090.into();
    files.pop();
    files.push(("sg-old.json", old));
    let said = complaint(folder(&files).path(), 2);
    assert!(said.contains("sg and sg-old.json contradict each other about sg-app"), "{said}");

    // Each true alone, and not together: a subnet has one ACL.
    let mut files = cli_answers();
    let mut other = files[1].1.clone();
    other["NetworkAcls"][0]["NetworkAclId"] = "acl-2".into();
    other["NetworkAcls"][0]["IsDefault"] = false.into();
    other["NetworkAcls"][0]["Associations"].as_array_mut().unwrap().truncate(1);
    files.push(("acls-later.json", other));
    let said = complaint(folder(&files).path(), 2);
    assert!(said.contains("subnet-pub has two network ACLs, acl-2 and acl-1"), "{said}");
}

#[test]
fn a_load_balancer_that_is_not_there() {
    let dir = folder(&cli_answers());
    let out = badgate(&["path", "internet", "shopp:443", "--snapshot", dir.path().to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(3));
    let said = text(&out.stderr);
    assert!(said.contains("'shopp' is no instance, interface, address or load balancer of"), "{said}");
    assert!(said.trim_end().ends_with("there are shop"), "{said}");
    let out = badgate(&["check", "shopp", "--snapshot", dir.path().to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(3));
    assert_eq!(text(&out.stderr).lines().count(), 1);
}

#[test]
fn an_acl_entry_nobody_can_read_makes_the_path_unknown() {
    let mut files = cli_answers();
    files[1].1["NetworkAcls"][0]["Entries"][2]["RuleAction"] = "maybe".into();
    let (_, v) = path(folder(&files).path(), "shop", "i-0a1:8080", &[]);
    assert_eq!(v["verdict"], "unknown", "{v:#}");
    assert!(v["unknown"].to_string().contains("acl-1 entry 100"), "{v:#}");
}

#[test]
fn whose_an_answer_is_comes_from_the_file_name() {
    let tg = |name: &str| {
        json!({"TargetGroupArn": format!("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{name}/1"),
            "TargetGroupName": name, "Protocol": "HTTP", "Port": 8080, "VpcId": "vpc-1", "TargetType": "instance",
            "HealthCheckPort": "traffic-port", "HealthCheckPath": "/health", "Matcher": {"HttpCode": "200"},
            "LoadBalancerArns": ["arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/shop/50dc6c495c0c9188"]})
    };
    let health = |state: &str| {
        json!({"TargetHealthDescriptions": [{"Target": {"Id": "i-0a1", "Port": 8080}, "HealthCheckPort": "8080",
            "TargetHealth": {"State": state}}]})
    };
    let mut files = cli_answers();
    files.push(("groups.json", json!({"TargetGroups": [tg("web"), tg("web-blue")]})));
    files.push(("health of web.json", health("healthy")));
    files.push(("health-web-blue.json", health("unhealthy")));
    let read = snapshot::read(folder(&files).path()).unwrap();
    let mut s = Situation::new();
    for o in &read.observations {
        s.apply(o);
    }
    let state = |name: &str| {
        let (_, g) = s.groups.iter().find(|(_, g)| g.group.as_ref().unwrap().name.as_str() == name).unwrap();
        g.health.value().unwrap()[0].state.to_string()
    };
    assert_eq!((state("web"), state("web-blue")), ("healthy".into(), "unhealthy".into()));

    files.push(("health.json", health("draining")));
    let said = complaint(folder(&files).path(), 2);
    assert!(
        said.contains("target health of which target group?") && said.contains("web, web-blue"),
        "{said}"
    );
}

/// Everything a snapshot keeps is the same when it is read back.
#[test]
fn what_is_written_is_read_back() {
    let mut shop = Shop::default();
    // In the order in which they are read and evaluated.
    shop.acls.iter_mut().for_each(|a| a.entries.sort_by_key(|e| (e.egress, e.number)));
    shop.metrics.push(series(LB, "HTTPCode_ELB_504_Count", "Sum", vec![(minutes_ago(2), 40.0)]));
    shop.targets[0].state = "unhealthy".into();
    shop.failed = vec![(
        Topic::LbAttributes(LB.into()),
        Reason::Denied { action: "elasticloadbalancing:DescribeLoadBalancerAttributes".into() },
    )];
    let before = shop.observations();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new");
    let files = snapshot::write(&folder, &before).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "for its owner only");
    }
    let read = snapshot::read(&folder).unwrap();
    assert_eq!((read.files, read.remarks.len()), (files, 0), "{:?}", read.remarks);
    let fold = |list: &[Observation]| {
        let mut s = Situation::new();
        list.iter().for_each(|o| _ = s.apply(o));
        s
    };
    let (a, b) = (fold(&before), fold(&read.observations));
    let (va, vb) = (&a.vpcs[VPC], &b.vpcs[VPC]);
    assert_eq!(va.security_groups.value(), vb.security_groups.value());
    assert_eq!(va.network_acls.value(), vb.network_acls.value());
    assert_eq!(va.route_tables.value(), vb.route_tables.value());
    assert_eq!(va.subnets.value(), vb.subnets.value());
    assert_eq!(va.instances.value(), vb.instances.value());
    let (la, lb) = (a.lb().unwrap(), b.lb().unwrap());
    assert_eq!(la.lb.value(), lb.lb.value());
    assert_eq!(la.listeners.value(), lb.listeners.value());
    assert_eq!(la.interfaces.value(), lb.interfaces.value());
    assert_eq!(
        a.groups.values().map(|g| g.health.value()).collect::<Vec<_>>(),
        b.groups.values().map(|g| g.health.value()).collect::<Vec<_>>()
    );
    assert_eq!(
        a.groups.values().map(|g| &g.group).collect::<Vec<_>>(),
        b.groups.values().map(|g| &g.group).collect::<Vec<_>>()
    );
    assert_eq!(a.metrics, b.metrics);
    assert_eq!(la.attributes.why_unknown(), lb.attributes.why_unknown(), "what was denied stays denied");
    assert_eq!(a.at, b.at, "as of the time of the answers, not of the files");
    // And so is every path.
    let legs = |s: &Situation| -> Vec<(String, String)> {
        badgate::diagnosis::path::legs(s)
            .iter()
            .map(|l| (l.verdict.word().into(), l.why().to_string()))
            .collect()
    };
    assert_eq!(legs(&a), legs(&b));
}

#[test]
fn check_looks_at_a_folder() {
    let mut shop = Shop::default();
    for t in &mut shop.targets {
        (t.state, t.reason) = ("unhealthy".into(), "Target.Timeout".into());
    }
    let minutes = |v: f64, n: i64| (1..=n).rev().map(|m| (minutes_ago(m), v)).collect();
    shop.metrics.push(series(LB, "RequestCount", "Sum", minutes(1200.0, 60)));
    shop.metrics.push(series(LB, "HTTPCode_ELB_504_Count", "Sum", minutes(40.0, 9)));
    let deny = entry(90, false, false, Protocol::Tcp, "10.0.0.0/16", Some((8080, 8080)));
    shop.acl("acl-app").entries.push(deny);
    let dir = tempfile::tempdir().unwrap();
    snapshot::write(dir.path(), &shop.observations()).unwrap();
    let at = dir.path().to_str().unwrap();
    let out = badgate(&["check", "shop", "--snapshot", at, "--json"]);
    let v: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(v["verdicts"][0]["cause"], "nacl-forward-denied", "{}", text(&out.stderr));
    assert_eq!((&v["verdicts"][0]["standing"], out.status.code()), (&"confirmed".into(), Some(1)));
    assert_eq!(v["at"], now().to_string(), "judged as of the folder's time");

    // The CLI's answers alone: no counts, so too little to say.
    std::fs::remove_file(dir.path().join("Observations.json")).unwrap();
    let out = badgate(&["check", "shop", "--snapshot", at, "--json"]);
    let v: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(v["situation"]["unknown"].to_string().contains("metrics in the folder"), "{v:#}");
    assert_eq!(
        v["verdicts"][0]["cause"], "nacl-forward-denied",
        "targets time out, and a rule drops the way"
    );
}

#[test]
fn a_folder_with_something_in_it_is_not_written_over() {
    let dir = folder(&cli_answers());
    let out = badgate(&["snapshot", "shop", dir.path().to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("is not empty; name a new folder"));
}

#[test]
fn hostile_text_stays_text() {
    let mut files = cli_answers();
    files[0].1["SecurityGroups"][1]["IpPermissions"][0]["IpProtocol"] = "tcp\u{1b}[2J".into();
    let dir = folder(&files);
    let out = badgate(&["path", "shop", "i-0a1:8080", "--snapshot", dir.path().to_str().unwrap()]);
    assert!(!text(&out.stdout).contains('\u{1b}') && !text(&out.stderr).contains('\u{1b}'));
    assert_eq!(out.status.code(), Some(3), "a rule of an unknown protocol decides nothing");
}

#[test]
fn the_same_as_the_library() {
    let dir = folder(&cli_answers());
    let read = snapshot::read(dir.path()).unwrap();
    let mut s = Situation::new();
    read.observations.iter().for_each(|o| _ = s.apply(o));
    let net = Network::of(&s);
    let (from, to) = (Endpoint::parse("shop", &s).unwrap(), Endpoint::parse("i-0a1", &s).unwrap());
    let report = evaluate(&net, &from, &to, Protocol::Tcp, Some(8080));
    let (_, v) = path(dir.path(), "shop", "i-0a1:8080", &[]);
    assert_eq!(serde_json::to_value(&report).unwrap(), v);
}
