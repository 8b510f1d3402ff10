//! CloudFront and Route 53, both without a region.

use super::Pages;
use crate::situation::Reason;
use crate::situation::beside::HealthCheck;
use crate::situation::front::{Behavior, Distribution, Origin, Record, Records};
use crate::sources::aws::client::Aws;
use crate::sources::aws::names::Names;
use crate::sources::aws::operations::{self as op, Operation};
use crate::sources::aws::plain::{Question, encode};
use crate::sources::aws::target::Host;
use crate::sources::aws::xml::Node;
use crate::text::SafeText;
use futures::future::{join, join_all};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

const EDGE: &str = "/2020-05-31";
const ZONES: &str = "/2013-04-01";
/// Distributions and zones listed at most, in pages of 100.
const PAGES: usize = 20;
/// Request policies that are read at most.
const POLICIES: usize = 6;
/// A name that is looked up besides is not waited for longer.
const LOOKUP: Duration = Duration::from_secs(3);

/// Managed policies and whether they send the viewer's Host header on.
/// Sources: "Use managed origin request policies", "Use managed cache
/// policies", Amazon CloudFront developer guide.
const MANAGED: &[(&str, bool)] = &[
    ("216adef6-5c7f-47e4-b989-5492eafa07d3", true),
    ("33f36d7e-f396-46d9-90e0-52428a34d9dc", true),
    ("b689b0a8-53d0-40ab-baf2-68738e2966ac", false),
    ("88a5eaf4-2fd4-4709-b370-b4c650ea3fcf", false),
    ("59781a5b-3903-41f3-afcb-af62929ccde1", false),
    ("acba4595-bd28-49b8-b9fe-13317c0390fa", false),
    ("775133bc-15f2-49f9-abea-afb2e0bf67d2", false),
    ("83da9c7e-98b4-4e11-a168-04f0df8e2c65", true),
    ("4cc15a8a-d715-48a4-82b8-cc0b614638fe", true),
    ("658327ea-f89d-4fab-a63d-7e88639e58f6", false),
    ("4135ea2d-6df8-44a3-9df3-4b5a84be39ad", false),
    ("b2884449-e4de-46a7-ac36-70bc7f1ddd6d", false),
    ("08627262-05a9-4f76-9ded-b50ca2e3a84f", false),
    ("2e54312d-136d-493c-8eb9-b001f22f67d2", false),
];

fn managed(id: &str) -> Option<bool> {
    MANAGED.iter().find(|m| m.0 == id).map(|m| m.1)
}

async fn xml(aws: &Aws, op: &'static Operation, path: String) -> Result<Node, Reason> {
    let body = aws
        .call(op, |c| {
            let q = Question::get(path.clone());
            async move { c.plain(op, q).await }
        })
        .await?;
    Node::parse(&body.0).map_err(|what| Reason::Malformed { detail: what.into() })
}

fn text(n: &Node, name: &str) -> SafeText {
    SafeText::capped(n.text_of(name), 512)
}

fn number<T: std::str::FromStr>(n: &Node, name: &str) -> Option<T> {
    n.text_of(name).parse().ok()
}

/// Members of `LIST/Items`.
fn items<'a>(n: &'a Node, list: &str) -> impl Iterator<Item = &'a Node> {
    n.at(&[list, "Items"]).into_iter().flat_map(|i| i.children.iter())
}

fn plain(n: &Node) -> SafeText {
    SafeText::capped(n.text.trim(), 512)
}

/// A distribution as a list shows it.
fn summary(n: &Node) -> Distribution {
    Distribution {
        id: text(n, "Id"),
        arn: text(n, "ARN"),
        domain: text(n, "DomainName"),
        aliases: items(n, "Aliases").map(plain).collect(),
        status: text(n, "Status"),
        enabled: n.text_of("Enabled") != "false",
        modified: n.text_of("LastModifiedTime").parse().ok(),
        ..Distribution::default()
    }
}

/// Every distribution of the account, in short.
pub async fn distributions(aws: &Aws) -> Result<Vec<Distribution>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    for _ in 0..PAGES {
        let mut path = format!("{EDGE}/distribution?");
        if let Some(marker) = pages.token() {
            path.push_str(&format!("Marker={}&", encode(&marker)));
        }
        path.push_str("MaxItems=100");
        let root = xml(aws, &op::LIST_DISTRIBUTIONS, path).await?;
        all.extend(items_of(&root).map(summary));
        let next =
            Some(root.text_of("NextMarker").to_string()).filter(|_| root.text_of("IsTruncated") == "true");
        if !pages.advance(next)? {
            break;
        }
    }
    Ok(all)
}

fn items_of(n: &Node) -> impl Iterator<Item = &Node> {
    n.members("Items")
}

/// One distribution: its configuration, and its domain and state where those
/// may be read.
pub async fn distribution(aws: &Aws, id: &str) -> Result<Distribution, Reason> {
    let at = format!("{EDGE}/distribution/{}", encode(id));
    let (config, whole) = join(
        xml(aws, &op::GET_DISTRIBUTION_CONFIG, format!("{at}/config")),
        xml(aws, &op::GET_DISTRIBUTION, at.clone()),
    )
    .await;
    let config = config?;
    let mut d = configured(&config);
    d.id = id.into();
    match whole {
        Ok(whole) => {
            let s = summary(&whole);
            (d.arn, d.domain, d.status, d.modified) = (s.arn, s.domain, s.status, s.modified);
        }
        // What exists was just read; a summary that may not be is no loss.
        Err(Reason::Denied { .. }) => {}
        Err(reason) => return Err(reason),
    }
    let mut asked: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let nodes: Vec<&Node> =
        items(&config, "CacheBehaviors").chain(config.child("DefaultCacheBehavior")).collect();
    for (i, b) in nodes.iter().enumerate() {
        let policy = b.text_of("OriginRequestPolicyId");
        if d.behaviors[i].host.is_none() && !policy.is_empty() && managed(policy).is_none() {
            asked.entry(policy.to_string()).or_default().push(i);
        }
    }
    let read = asked.into_iter().take(POLICIES).map(|(id, at)| async move {
        let path = format!("{EDGE}/origin-request-policy/{}", encode(&id));
        (at, xml(aws, &op::GET_ORIGIN_REQUEST_POLICY, path).await)
    });
    for (at, policy) in join_all(read).await {
        let host = policy.ok().and_then(|p| sends_host(&p));
        for i in at {
            d.behaviors[i].host = host;
        }
    }
    Ok(d)
}

/// Does a request policy send the Host header on?
fn sends_host(policy: &Node) -> Option<bool> {
    let h = policy.at(&["OriginRequestPolicyConfig", "HeadersConfig"])?;
    let named = || items(h, "Headers").any(|n| n.text.trim().eq_ignore_ascii_case("host"));
    Some(match h.text_of("HeaderBehavior") {
        "allViewer" | "allViewerAndWhitelistCloudFront" => true,
        "whitelist" => named(),
        "allExcept" => !named(),
        _ => false,
    })
}

fn configured(c: &Node) -> Distribution {
    let mut behaviors: Vec<Behavior> = items(c, "CacheBehaviors").map(behavior).collect();
    if let Some(default) = c.child("DefaultCacheBehavior") {
        behaviors.push(Behavior { pattern: "*".into(), ..behavior(default) });
    }
    let logging = c.child("Logging").filter(|l| l.text_of("Enabled") == "true");
    let bucket = logging.map_or("", |l| l.text_of("Bucket"));
    Distribution {
        aliases: items(c, "Aliases").map(plain).collect(),
        enabled: c.text_of("Enabled") == "true",
        origins: items(c, "Origins").map(origin).collect(),
        groups: items(c, "OriginGroups")
            .map(|g| (text(g, "Id"), items(g, "Members").map(|m| text(m, "OriginId")).collect()))
            .collect(),
        behaviors,
        errors: items(c, "CustomErrorResponses")
            .filter_map(|e| {
                Some((number(e, "ErrorCode")?, number(e, "ErrorCachingMinTTL"), number(e, "ResponseCode")))
            })
            .collect(),
        certificate: c.child("ViewerCertificate").map(|v| text(v, "ACMCertificateArn")).unwrap_or_default(),
        web_acl: text(c, "WebACLId"),
        log_bucket: bucket.split(".s3.").next().unwrap_or(bucket).into(),
        log_prefix: logging.map(|l| text(l, "Prefix")).unwrap_or_default(),
        ..Distribution::default()
    }
}

fn behavior(b: &Node) -> Behavior {
    let mut functions: Vec<(SafeText, SafeText)> =
        items(b, "FunctionAssociations").map(|f| (text(f, "EventType"), text(f, "FunctionARN"))).collect();
    functions.extend(
        items(b, "LambdaFunctionAssociations").map(|f| (text(f, "EventType"), text(f, "LambdaFunctionARN"))),
    );
    let (request, cache) = (b.text_of("OriginRequestPolicyId"), b.text_of("CachePolicyId"));
    let host = if let Some(old) = b.child("ForwardedValues") {
        let mut names = items(old, "Headers").map(|h| h.text.trim().to_ascii_lowercase());
        Some(names.any(|n| n == "host" || n == "*"))
    } else {
        // What the cache key holds is sent on as well.
        let key = if cache.is_empty() { Some(false) } else { managed(cache) };
        let sent = if request.is_empty() { Some(false) } else { managed(request) };
        match (key, sent) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    };
    Behavior { pattern: text(b, "PathPattern"), origin: text(b, "TargetOriginId"), functions, host }
}

fn origin(o: &Node) -> Origin {
    let none = Node::default();
    let (kind, c) =
        match (o.child("CustomOriginConfig"), o.child("VpcOriginConfig"), o.child("S3OriginConfig")) {
            (Some(c), _, _) => ("custom", c),
            (_, Some(c), _) => ("vpc", c),
            (_, _, Some(c)) => ("s3", c),
            _ => ("s3", &none),
        };
    Origin {
        id: text(o, "Id"),
        domain: SafeText::capped(o.text_of("DomainName").to_ascii_lowercase(), 253),
        kind: kind.into(),
        http_port: number(c, "HTTPPort"),
        https_port: number(c, "HTTPSPort"),
        policy: text(c, "OriginProtocolPolicy"),
        protocols: items(c, "OriginSslProtocols").map(plain).collect(),
        read_s: number(c, "OriginReadTimeout"),
        keepalive_s: number(c, "OriginKeepaliveTimeout"),
        connect_s: number(o, "ConnectionTimeout"),
        attempts: number(o, "ConnectionAttempts"),
        completion_s: number(o, "ResponseCompletionTimeout"),
        vpc_origin: text(c, "VpcOriginId"),
    }
}

/// Id and name of every zone, without its final dot.
async fn zones(aws: &Aws) -> Result<Vec<(String, String)>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    for _ in 0..PAGES {
        let marker = pages.token().map(|m| format!("?marker={}", encode(&m))).unwrap_or_default();
        let root = xml(aws, &op::LIST_HOSTED_ZONES, format!("{ZONES}/hostedzone{marker}")).await?;
        all.extend(root.members("HostedZones").map(|z| {
            let id = z.text_of("Id").rsplit('/').next().unwrap_or_default().to_string();
            (id, z.text_of("Name").trim_end_matches('.').to_ascii_lowercase())
        }));
        let next =
            Some(root.text_of("NextMarker").to_string()).filter(|_| root.text_of("IsTruncated") == "true");
        if !pages.advance(next)? {
            break;
        }
    }
    Ok(all)
}

/// What Route 53 holds for each of these host names, one list of zones for all
/// of them. A name that no zone of the account would hold has no records.
pub async fn records(aws: &Aws, hosts: &[SafeText]) -> Vec<(SafeText, Result<Records, Reason>)> {
    let zones = match zones(aws).await {
        Ok(zones) => zones,
        Err(reason) => return hosts.iter().map(|h| (h.clone(), Err(reason.clone()))).collect(),
    };
    let zones = &zones;
    join_all(hosts.iter().map(|h| async move { (h.clone(), of_host(aws, zones, h).await) })).await
}

async fn of_host(aws: &Aws, zones: &[(String, String)], host: &str) -> Result<Records, Reason> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let holds = |zone: &str| host == zone || host.ends_with(&format!(".{zone}"));
    let longest = zones.iter().filter(|(_, n)| !n.is_empty() && holds(n)).map(|(_, n)| n.len()).max();
    let mut found = Records::default();
    // A private and a public zone may have the same name: both are looked at.
    for (id, name) in zones.iter().filter(|(_, n)| Some(n.len()) == longest && holds(n)) {
        (found.zone, found.zone_id) = (name.into(), id.into());
        let mut here = named(aws, id, &host).await?;
        if here.is_empty()
            && let Some((_, parent)) = host.split_once('.')
            && parent.len() >= name.len()
        {
            here = named(aws, id, &format!("*.{parent}")).await?;
        }
        found.records.extend(here);
        if !found.records.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// Record sets of one name that lead somewhere.
async fn named(aws: &Aws, zone: &str, name: &str) -> Result<Vec<Record>, Reason> {
    let path = format!("{ZONES}/hostedzone/{zone}/rrset?maxitems=20&name={}", encode(name));
    let root = xml(aws, &op::LIST_RESOURCE_RECORD_SETS, path).await?;
    let all = root.members("ResourceRecordSets").map(record);
    Ok(all.filter(|r| r.name.as_str() == name && matches!(r.kind.as_str(), "A" | "AAAA" | "CNAME")).collect())
}

fn record(n: &Node) -> Record {
    let host = |t: &str| t.trim_end_matches('.').to_ascii_lowercase().replace("\\052", "*");
    let alias = n.at(&["AliasTarget", "DNSName"]).map_or(String::new(), |d| host(d.text.trim()));
    Record {
        name: SafeText::capped(host(n.text_of("Name")), 253),
        kind: text(n, "Type"),
        alias: SafeText::capped(alias, 253),
        values: n
            .members("ResourceRecords")
            .map(|r| SafeText::capped(host(r.text_of("Value")), 253))
            .collect(),
        set: text(n, "SetIdentifier"),
        weight: number(n, "Weight"),
        region: text(n, "Region"),
        failover: text(n, "Failover"),
        place: place(n),
        check: text(n, "HealthCheckId"),
        evaluates: n.at(&["AliasTarget", "EvaluateTargetHealth"]).is_some_and(|e| e.text.trim() == "true"),
        gone: None,
    }
}

/// For whom a record is meant, by place or by address.
fn place(n: &Node) -> SafeText {
    if let Some(g) = n.child("GeoLocation") {
        let (continent, country, part) =
            (g.text_of("ContinentCode"), g.text_of("CountryCode"), g.text_of("SubdivisionCode"));
        return match (continent, country, part) {
            (_, "*", _) => "default".into(),
            (_, country, "") if !country.is_empty() => SafeText::capped(format!("country {country}"), 80),
            (_, country, part) if !country.is_empty() => SafeText::capped(format!("{country} {part}"), 80),
            (continent, ..) => SafeText::capped(format!("continent {continent}"), 80),
        };
    }
    if let Some(g) = n.child("GeoProximityLocation") {
        let near = g.children.iter().find(|c| c.name != "Bias").map_or("", |c| c.text.trim());
        return SafeText::capped(format!("nearest to {near}"), 80);
    }
    match n.child("CidrRoutingConfig") {
        Some(c) => SafeText::capped(format!("addresses of {}", c.text_of("LocationName")), 80),
        None => SafeText::default(),
    }
}

/// Names that are looked up of one host's records.
const LOOKUPS: usize = 6;

/// Looks whether what records lead to has an address at all: a load balancer
/// that was deleted takes its name with it. Only where Route 53 chooses among
/// several, since a plain record that is dead is seen by every resolver.
pub async fn look_up(names: &Names, records: &mut Records) {
    if records.records.len() < 2 {
        return;
    }
    let mut leads: Vec<String> = records.leads_to().map(String::from).collect();
    leads.sort();
    leads.dedup();
    leads.truncate(LOOKUPS);
    let answers = join_all(leads.iter().map(|n| async move {
        let host = Host::Name(n.clone());
        match timeout(LOOKUP, names.resolve(&host, None)).await {
            Ok(Ok(r)) => Some(r.addresses.is_empty()),
            Ok(Err(Reason::NotFound { .. })) => Some(true),
            _ => None,
        }
    }))
    .await;
    for r in &mut records.records {
        let told = |n: &str| leads.iter().position(|l| l == n).and_then(|i| answers[i]);
        r.gone = r.leads_to().filter_map(told).reduce(|a, b| a && b);
    }
}

/// A health check, and what its checkers reported last.
pub async fn health_check(aws: &Aws, id: &str) -> Result<HealthCheck, Reason> {
    let at = format!("{ZONES}/healthcheck/{}", encode(id));
    let (config, status) = join(
        xml(aws, &op::GET_HEALTH_CHECK, at.clone()),
        xml(aws, &op::GET_HEALTH_CHECK_STATUS, format!("{at}/status")),
    )
    .await;
    let root = config?;
    let config =
        root.at(&["HealthCheck", "HealthCheckConfig"]).ok_or_else(|| super::lacks("HealthCheckConfig"))?;
    let mut check = checked(id, config);
    match status {
        Ok(root) => report(&mut check, &root),
        // Nobody reports on those that are computed of others.
        Err(_) if matches!(check.kind.as_str(), "CALCULATED" | "CLOUDWATCH_METRIC" | "RECOVERY_CONTROL") => {}
        Err(reason) => check.gaps.push(("reports of the checkers".into(), reason)),
    }
    Ok(check)
}

fn checked(id: &str, c: &Node) -> HealthCheck {
    let kind = text(c, "Type");
    let host = match c.text_of("FullyQualifiedDomainName") {
        "" => c.text_of("IPAddress"),
        name => name,
    };
    let scheme = match kind.as_str() {
        k if k.starts_with("HTTPS") => "https",
        k if k.starts_with("HTTP") => "http",
        _ => "tcp",
    };
    let port = match c.text_of("Port") {
        "" => String::new(),
        port => format!(":{port}"),
    };
    let endpoint = match host {
        "" => String::new(),
        host => format!("{scheme}://{host}{port}{}", c.text_of("ResourcePath")),
    };
    HealthCheck {
        id: id.into(),
        kind,
        endpoint: SafeText::capped(endpoint, 300),
        inverted: c.text_of("Inverted") == "true",
        disabled: c.text_of("Disabled") == "true",
        ..HealthCheck::default()
    }
}

/// Takes the checkers' newest words in: `Success: ...` or `Failure: ...`.
fn report(check: &mut HealthCheck, root: &Node) {
    let said = root
        .members("HealthCheckObservations")
        .filter_map(|o| Some(o.at(&["StatusReport", "Status"])?.text.trim()).filter(|s| !s.is_empty()));
    let said: Vec<&str> = said.collect();
    let bad: Vec<&&str> = said.iter().filter(|s| !s.starts_with("Success")).collect();
    check.reports = u32::try_from(said.len()).ok().filter(|n| *n > 0);
    check.failing = u32::try_from(bad.len()).unwrap_or(u32::MAX);
    check.why = bad.first().map(|s| SafeText::capped(**s, 160)).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_read_from_its_configuration() {
        let doc = r#"<DistributionConfig><Aliases><Quantity>1</Quantity><Items><CNAME>www.example.com</CNAME></Items></Aliases>
          <Origins><Items><Origin><Id>main</Id><DomainName>Origin.example.com</DomainName><ConnectionAttempts>3</ConnectionAttempts><ConnectionTimeout>10</ConnectionTimeout>
          <CustomOriginConfig><HTTPPort>80</HTTPPort><HTTPSPort>8443</HTTPSPort><OriginProtocolPolicy>https-only</OriginProtocolPolicy><OriginReadTimeout>30</OriginReadTimeout><OriginKeepaliveTimeout>60</OriginKeepaliveTimeout>
          <OriginSslProtocols><Items><SslProtocol>TLSv1.2</SslProtocol></Items></OriginSslProtocols></CustomOriginConfig></Origin></Items></Origins>
          <DefaultCacheBehavior><TargetOriginId>main</TargetOriginId><OriginRequestPolicyId>216adef6-5c7f-47e4-b989-5492eafa07d3</OriginRequestPolicyId><CachePolicyId>4135ea2d-6df8-44a3-9df3-4b5a84be39ad</CachePolicyId>
          <FunctionAssociations><Items><FunctionAssociation><FunctionARN>arn:f</FunctionARN><EventType>viewer-request</EventType></FunctionAssociation></Items></FunctionAssociations></DefaultCacheBehavior>
          <CustomErrorResponses><Items><CustomErrorResponse><ErrorCode>502</ErrorCode><ErrorCachingMinTTL>300</ErrorCachingMinTTL></CustomErrorResponse></Items></CustomErrorResponses>
          <Logging><Enabled>true</Enabled><Bucket>logs.s3.amazonaws.com</Bucket><Prefix>cdn/</Prefix></Logging><Enabled>true</Enabled></DistributionConfig>"#;
        let d = configured(&Node::parse(doc.as_bytes()).unwrap());
        let o = d.used()[0];
        assert_eq!(
            (o.domain.as_str(), o.ports(), o.keepalive_s),
            ("origin.example.com", vec![(8443, true)], Some(60))
        );
        assert_eq!(d.forwards_host(o), Some(true));
        assert_eq!(d.errors, [(502, Some(300), None)]);
        assert_eq!((d.log_bucket.as_str(), d.log_prefix.as_str()), ("logs", "cdn/"));
        assert_eq!(d.behaviors[0].functions[0].0, "viewer-request");
    }

    #[test]
    fn a_record_is_read_without_its_final_dot() {
        let doc = r"<ResourceRecordSet><Name>\052.Example.com.</Name><Type>A</Type><AliasTarget><DNSName>dualstack.shop-1.elb.amazonaws.com.</DNSName></AliasTarget></ResourceRecordSet>";
        let r = record(&Node::parse(doc.as_bytes()).unwrap());
        assert_eq!(r.name, "*.example.com");
        assert_eq!(r.leads_to().collect::<Vec<_>>(), ["dualstack.shop-1.elb.amazonaws.com"]);
        assert_eq!((r.policy().as_str(), r.evaluates), ("", false), "a plain record has none");
    }

    #[test]
    fn a_record_says_how_it_is_chosen() {
        let of = |inside: &str| {
            let doc = format!(
                "<ResourceRecordSet><Name>a.example.com.</Name><Type>A</Type><SetIdentifier>s</SetIdentifier>{inside}</ResourceRecordSet>"
            );
            record(&Node::parse(doc.as_bytes()).unwrap())
        };
        let weighted = of("<Weight>0</Weight><HealthCheckId>hc-1</HealthCheckId>");
        assert_eq!((weighted.policy().as_str(), weighted.check.as_str()), ("weight 0", "hc-1"));
        for (inside, want) in [
            ("<Failover>SECONDARY</Failover>", "failover SECONDARY"),
            ("<Region>eu-west-1</Region>", "latency eu-west-1"),
            ("<GeoLocation><ContinentCode>EU</ContinentCode></GeoLocation>", "for continent EU"),
            ("<GeoLocation><CountryCode>*</CountryCode></GeoLocation>", "for default"),
            (
                "<GeoLocation><CountryCode>US</CountryCode><SubdivisionCode>CA</SubdivisionCode></GeoLocation>",
                "for US CA",
            ),
            (
                "<GeoProximityLocation><AWSRegion>us-east-1</AWSRegion><Bias>5</Bias></GeoProximityLocation>",
                "for nearest to us-east-1",
            ),
            ("<MultiValueAnswer>true</MultiValueAnswer>", "one of several"),
        ] {
            assert_eq!(of(inside).policy(), want, "{inside}");
        }
        let alias = of(
            "<AliasTarget><DNSName>x.</DNSName><EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget>",
        );
        assert!(alias.evaluates);
    }

    #[test]
    fn a_set_that_is_not_answered_with_is_followed_last() {
        let to =
            |alias: &str, weight| Record { alias: alias.into(), weight: Some(weight), ..Record::default() };
        let r = Records { records: vec![to("old", 0), to("new", 5)], ..Records::default() };
        assert_eq!(r.leads_to().collect::<Vec<_>>(), ["new", "old"]);
    }

    #[test]
    fn what_checkers_say_is_counted() {
        let config = r#"<HealthCheckConfig><Type>HTTPS_STR_MATCH</Type><FullyQualifiedDomainName>shop.example.com</FullyQualifiedDomainName><Port>443</Port><ResourcePath>/up</ResourcePath><Inverted>false</Inverted></HealthCheckConfig>"#;
        let mut check = checked("hc-1", &Node::parse(config.as_bytes()).unwrap());
        assert_eq!(check.endpoint, "https://shop.example.com:443/up");
        let one = |s: &str| {
            format!(
                "<HealthCheckObservation><Region>us-east-1</Region><IPAddress>1.2.3.4</IPAddress><StatusReport><Status>{s}</Status><CheckedTime>2026-11-22T01:40:00Z</CheckedTime></StatusReport></HealthCheckObservation>"
            )
        };
        let doc = format!(
            "<GetHealthCheckStatusResponse><HealthCheckObservations>{}{}{}</HealthCheckObservations></GetHealthCheckStatusResponse>",
            one("Failure: HTTP Status Code 502, Bad Gateway"),
            one("Success: HTTP Status Code 200, OK"),
            one("Failure: Connection timed out")
        );
        report(&mut check, &Node::parse(doc.as_bytes()).unwrap());
        assert_eq!((check.reports, check.failing), (Some(3), 2));
        assert_eq!(check.healthy(), Some(true), "a third is more than 18 %");
        assert!(
            check.phrase().contains(
                "2 of 3 checkers fail at https://shop.example.com:443/up: Failure: HTTP Status Code 502"
            ),
            "{}",
            check.phrase()
        );
        let mut none = checked("hc-1", &Node::parse(config.as_bytes()).unwrap());
        report(&mut none, &Node::parse(b"<R><HealthCheckObservations/></R>").unwrap());
        assert_eq!(none.healthy(), None);
    }
}
