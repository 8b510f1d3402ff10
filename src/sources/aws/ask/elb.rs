//! Elastic Load Balancing v2.

use super::Pages;
use crate::situation::Reason;
use crate::situation::elb::{Attributes, Listener, LoadBalancer, Rule, TargetGroup, TargetHealth};
use crate::sources::aws::client::Aws;
use crate::sources::aws::convert::{elb as convert, listed};
use crate::sources::aws::operations as op;
use crate::text::SafeText;
use aws_sdk_elasticloadbalancingv2::types::DescribeTargetHealthInputIncludeEnum as Include;
use futures::future::try_join_all;

/// ARNs that one `DescribeTags` takes.
const TAGGED: usize = 20;

/// Which load balancers to describe.
#[derive(Clone, Debug)]
pub enum Which {
    All,
    Name(String),
    Arn(SafeText),
}

/// Load balancers, page by page; `page` sees each as it comes and says
/// whether to go on.
pub async fn load_balancers(
    aws: &Aws,
    which: Which,
    mut page: impl FnMut(Vec<LoadBalancer>, bool) -> bool,
) -> Result<(), Reason> {
    let (name, arn) = match which {
        Which::All => (None, None),
        Which::Name(name) => (Some(vec![name]), None),
        Which::Arn(arn) => (None, Some(vec![arn.to_string()])),
    };
    let mut pages = Pages::default();
    loop {
        let out = pages
            .ask(aws, &op::DESCRIBE_LOAD_BALANCERS, |c, marker| {
                c.elb
                    .describe_load_balancers()
                    .set_names(name.clone())
                    .set_load_balancer_arns(arn.clone())
                    .set_marker(marker)
                    .send()
            })
            .await?;
        let list = listed(out.load_balancers, "LoadBalancers")?;
        let more = pages.advance(out.next_marker)?;
        if !page(list.iter().map(convert::load_balancer).collect(), more) || !more {
            return Ok(());
        }
    }
}

/// Attributes of a listener.
pub async fn listener_attributes(aws: &Aws, arn: &str) -> Result<Attributes, Reason> {
    let out = aws
        .call(&op::DESCRIBE_LISTENER_ATTRIBUTES, |c| {
            c.elb.describe_listener_attributes().listener_arn(arn).send()
        })
        .await?;
    let list = listed(out.attributes, "Attributes")?;
    Ok(list
        .into_iter()
        .filter_map(|a| {
            Some((SafeText::capped(a.key?, 120), SafeText::capped(a.value.unwrap_or_default(), 300)))
        })
        .collect())
}

/// The one load balancer of this name or ARN.
pub async fn load_balancer(aws: &Aws, which: Which) -> Result<LoadBalancer, Reason> {
    let what = match &which {
        Which::All => SafeText::default(),
        Which::Name(name) => SafeText::from(name),
        Which::Arn(arn) => arn.clone(),
    };
    let mut found = None;
    load_balancers(aws, which, |page, _| {
        found = found.take().or(page.into_iter().next());
        false
    })
    .await?;
    found.ok_or(Reason::NotFound { what })
}

/// Listeners of a load balancer.
pub async fn listeners(aws: &Aws, lb: &str) -> Result<Vec<Listener>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let out = pages
            .ask(aws, &op::DESCRIBE_LISTENERS, |c, marker| {
                c.elb.describe_listeners().load_balancer_arn(lb).set_marker(marker).send()
            })
            .await?;
        all.extend(listed(out.listeners, "Listeners")?.iter().map(convert::listener));
        if !pages.advance(out.next_marker)? {
            return Ok(all);
        }
    }
}

/// Rules of a listener, by priority, the default rule last.
pub async fn rules(aws: &Aws, listener: &SafeText) -> Result<Vec<Rule>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let out = pages
            .ask(aws, &op::DESCRIBE_RULES, |c, marker| {
                c.elb.describe_rules().listener_arn(listener.as_str()).set_marker(marker).send()
            })
            .await?;
        all.extend(listed(out.rules, "Rules")?.iter().map(|r| convert::rule(r, listener)));
        if !pages.advance(out.next_marker)? {
            all.sort_by_key(|r| r.priority.unwrap_or(u32::MAX));
            return Ok(all);
        }
    }
}

/// Target groups of a load balancer.
pub async fn target_groups(aws: &Aws, lb: &str) -> Result<Vec<TargetGroup>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let out = pages
            .ask(aws, &op::DESCRIBE_TARGET_GROUPS, |c, marker| {
                c.elb.describe_target_groups().load_balancer_arn(lb).set_marker(marker).send()
            })
            .await?;
        all.extend(listed(out.target_groups, "TargetGroups")?.iter().map(convert::target_group));
        if !pages.advance(out.next_marker)? {
            return Ok(all);
        }
    }
}

/// The target group of this ARN.
pub async fn target_group(aws: &Aws, arn: &str) -> Result<TargetGroup, Reason> {
    let out = aws
        .call(&op::DESCRIBE_TARGET_GROUPS, |c| c.elb.describe_target_groups().target_group_arns(arn).send())
        .await?;
    let list = listed(out.target_groups, "TargetGroups")?;
    list.first().map(convert::target_group).ok_or(Reason::NotFound { what: arn.into() })
}

/// The first page of all target groups; true when there are more. In most
/// accounts it is the only page, and saves a round trip.
pub async fn some_target_groups(aws: &Aws) -> Result<(Vec<TargetGroup>, bool), Reason> {
    let out = aws
        .call(&op::DESCRIBE_TARGET_GROUPS, |c| c.elb.describe_target_groups().page_size(400).send())
        .await?;
    let list = listed(out.target_groups, "TargetGroups")?;
    let more = out.next_marker.is_some_and(|m| !m.is_empty());
    Ok((list.iter().map(convert::target_group).collect(), more))
}

/// Health of every target of a group.
pub async fn target_health(aws: &Aws, tg: &str) -> Result<Vec<TargetHealth>, Reason> {
    let out = aws
        .call(&op::DESCRIBE_TARGET_HEALTH, |c| {
            c.elb.describe_target_health().target_group_arn(tg).include(Include::All).send()
        })
        .await?;
    let list = listed(out.target_health_descriptions, "TargetHealthDescriptions")?;
    Ok(list.iter().map(convert::target_health).collect())
}

/// Attributes of a load balancer.
pub async fn lb_attributes(aws: &Aws, lb: &str) -> Result<Attributes, Reason> {
    let out = aws
        .call(&op::DESCRIBE_LOAD_BALANCER_ATTRIBUTES, |c| {
            c.elb.describe_load_balancer_attributes().load_balancer_arn(lb).send()
        })
        .await?;
    Ok(convert::lb_attributes(&listed(out.attributes, "Attributes")?))
}

/// Attributes of a target group.
pub async fn tg_attributes(aws: &Aws, tg: &str) -> Result<Attributes, Reason> {
    let out = aws
        .call(&op::DESCRIBE_TARGET_GROUP_ATTRIBUTES, |c| {
            c.elb.describe_target_group_attributes().target_group_arn(tg).send()
        })
        .await?;
    Ok(convert::tg_attributes(&listed(out.attributes, "Attributes")?))
}

/// ARNs of all certificates of a listener.
pub async fn listener_certificates(aws: &Aws, listener: &str) -> Result<Vec<SafeText>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let out = pages
            .ask(aws, &op::DESCRIBE_LISTENER_CERTIFICATES, |c, token| {
                c.elb.describe_listener_certificates().listener_arn(listener).set_marker(token).send()
            })
            .await?;
        let certificates = listed(out.certificates, "Certificates")?;
        all.extend(certificates.into_iter().filter_map(|c| c.certificate_arn).map(SafeText::from));
        if !pages.advance(out.next_marker)? {
            return Ok(all);
        }
    }
}

/// Tags of load balancers and target groups.
pub async fn tags(aws: &Aws, arns: &[SafeText]) -> Result<Vec<(SafeText, Attributes)>, Reason> {
    let parts = arns.chunks(TAGGED).map(|part| {
        let part: Vec<String> = part.iter().map(ToString::to_string).collect();
        async move {
            let out = aws
                .call(&op::DESCRIBE_ELB_TAGS, |c| {
                    c.elb.describe_tags().set_resource_arns(Some(part.clone())).send()
                })
                .await?;
            Ok::<_, Reason>(convert::tags(&listed(out.tag_descriptions, "TagDescriptions")?))
        }
    });
    Ok(try_join_all(parts).await?.into_iter().flatten().collect())
}
