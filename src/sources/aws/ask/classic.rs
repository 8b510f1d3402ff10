//! Classic Load Balancers (Elastic Load Balancing API, version 2012-06-01).

use super::Pages;
use super::around::{number, query, text};
use crate::situation::Reason;
use crate::situation::front::{Classic, InstanceHealth};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use crate::sources::aws::xml::Node;
use crate::text::SafeText;
use futures::future::join;

const VERSION: &str = "2012-06-01";

/// All of them, or those of one name. A name that is not there is an empty list.
pub async fn classics(aws: &Aws, name: Option<&str>) -> Result<Vec<Classic>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let mut fields: Vec<(String, String)> = Vec::new();
        fields.extend(name.map(|n| ("LoadBalancerNames.member.1".to_string(), n.to_string())));
        fields.extend(pages.token().map(|t| ("Marker".to_string(), t)));
        let out = match query(aws, &op::DESCRIBE_CLASSICS, VERSION, &fields).await {
            Err(Reason::NotFound { .. }) => return Ok(all),
            other => other?,
        };
        all.extend(out.members("LoadBalancerDescriptions").map(classic));
        if !pages.advance(Some(out.text_of("NextMarker").to_string()))? {
            return Ok(all);
        }
    }
}

/// One load balancer with its attributes.
pub async fn classic_named(aws: &Aws, name: &str) -> Result<Classic, Reason> {
    let fields = [("LoadBalancerName".to_string(), name.to_string())];
    let (list, attributes) =
        join(classics(aws, Some(name)), query(aws, &op::DESCRIBE_CLASSIC_ATTRIBUTES, VERSION, &fields)).await;
    let mut c = list?.into_iter().next().ok_or_else(|| Reason::NotFound {
        what: SafeText::capped(format!("Classic Load Balancer {name}"), 160),
    })?;
    match attributes {
        Ok(out) => {
            if let Some(a) = out.child("LoadBalancerAttributes") {
                attribute(&mut c, a);
            }
        }
        Err(reason) => c.gap = Some(reason),
    }
    Ok(c)
}

fn attribute(c: &mut Classic, a: &Node) {
    let on = |name: &str| a.child(name).map(|n| n.text_of("Enabled") == "true");
    c.idle_s = a.child("ConnectionSettings").and_then(|n| number(n, "IdleTimeout"));
    c.cross_zone = on("CrossZoneLoadBalancing");
    if on("ConnectionDraining") == Some(true) {
        c.draining_s = a.child("ConnectionDraining").and_then(|n| number(n, "Timeout"));
    }
    if let Some(l) = a.child("AccessLog").filter(|l| l.text_of("Enabled") == "true") {
        c.log_bucket = text(l, "S3BucketName");
        c.log_prefix = text(l, "S3BucketPrefix");
    }
}

fn classic(n: &Node) -> Classic {
    let list = |name: &str| n.members(name).map(|m| SafeText::capped(m.text.trim(), 120)).collect();
    let check = n.child("HealthCheck");
    Classic {
        name: text(n, "LoadBalancerName"),
        dns_name: SafeText::capped(n.text_of("DNSName").to_ascii_lowercase(), 253),
        scheme: text(n, "Scheme"),
        vpc: text(n, "VPCId"),
        zones: list("AvailabilityZones"),
        subnets: list("Subnets"),
        security_groups: list("SecurityGroups"),
        instances: n.members("Instances").map(|i| text(i, "InstanceId")).collect(),
        listeners: n
            .members("ListenerDescriptions")
            .filter_map(|d| {
                let l = d.child("Listener")?;
                let port = |name| number(l, name).unwrap_or_default();
                Some((
                    text(l, "Protocol"),
                    port("LoadBalancerPort"),
                    text(l, "InstanceProtocol"),
                    port("InstancePort"),
                ))
            })
            .collect(),
        health_check: check.map(|h| text(h, "Target")).unwrap_or_default(),
        health_interval_s: check.and_then(|h| number(h, "Interval")),
        health_timeout_s: check.and_then(|h| number(h, "Timeout")),
        ..Classic::default()
    }
}

/// How each instance is.
pub async fn instance_health(aws: &Aws, name: &str) -> Result<Vec<InstanceHealth>, Reason> {
    let fields = [("LoadBalancerName".to_string(), name.to_string())];
    let out = query(aws, &op::DESCRIBE_INSTANCE_HEALTH, VERSION, &fields).await?;
    Ok(out
        .members("InstanceStates")
        .map(|n| InstanceHealth {
            id: text(n, "InstanceId"),
            state: text(n, "State"),
            reason: text(n, "ReasonCode"),
            description: text(n, "Description"),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_and_its_attributes_are_read() {
        let doc = r"<member><LoadBalancerName>old</LoadBalancerName><DNSName>Old-1.us-east-1.elb.amazonaws.com</DNSName>
          <Instances><member><InstanceId>i-1</InstanceId></member></Instances>
          <ListenerDescriptions><member><Listener><Protocol>HTTP</Protocol><LoadBalancerPort>80</LoadBalancerPort><InstanceProtocol>HTTP</InstanceProtocol><InstancePort>8080</InstancePort></Listener></member></ListenerDescriptions>
          <HealthCheck><Target>HTTP:8080/healthz</Target><Interval>10</Interval></HealthCheck></member>";
        let mut c = classic(&Node::parse(doc.as_bytes()).unwrap());
        assert_eq!((c.name.as_str(), c.dns_name.as_str()), ("old", "old-1.us-east-1.elb.amazonaws.com"));
        assert_eq!(c.listeners, [("HTTP".into(), 80, "HTTP".into(), 8080)]);
        let doc = r"<LoadBalancerAttributes><ConnectionSettings><IdleTimeout>60</IdleTimeout></ConnectionSettings><CrossZoneLoadBalancing><Enabled>false</Enabled></CrossZoneLoadBalancing>
          <AccessLog><Enabled>true</Enabled><S3BucketName>logs</S3BucketName><S3BucketPrefix/></AccessLog></LoadBalancerAttributes>";
        attribute(&mut c, &Node::parse(doc.as_bytes()).unwrap());
        assert_eq!((c.idle_s, c.cross_zone, c.log_bucket.as_str()), (Some(60), Some(false), "logs"));
    }
}
