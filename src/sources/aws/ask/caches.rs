//! ElastiCache: clusters that let the targets in, their replication groups,
//! and what happened to them. Source: Amazon ElastiCache API reference
//! (2015-02-02), `DescribeCacheClusters`, `DescribeReplicationGroups`,
//! `DescribeServerlessCaches`, `DescribeEvents`.

use super::Pages;
use super::around::{number, query, text};
use crate::situation::Reason;
use crate::situation::beside::{Cache, Caches, SERVERLESS, WITHOUT_NODES};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations::{self as op, Operation};
use crate::sources::aws::xml::Node;
use crate::text::SafeText;
use futures::future::join;

const VERSION: &str = "2015-02-02";
/// Minutes of events that are read, and events kept.
const MINUTES: u32 = 180;
const EVENTS: usize = 40;

/// Every element of a list; what is asked besides its pages goes in `fields`.
async fn list(
    aws: &Aws,
    op: &'static Operation,
    name: &str,
    fields: &[(&str, &str)],
) -> Result<Vec<Node>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let mut form: Vec<(String, String)> =
            fields.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
        form.push(("MaxRecords".into(), "100".into()));
        form.extend(pages.token().map(|t| ("Marker".to_string(), t)));
        let mut out = query(aws, op, VERSION, &form).await?;
        let next = Some(out.text_of("Marker").to_string());
        let at = out.children.iter().position(|c| c.name == name).ok_or_else(|| super::lacks(name))?;
        all.extend(std::mem::take(&mut out.children[at].children));
        if !pages.advance(next)? {
            return Ok(all);
        }
    }
}

/// Clusters with one of these security groups.
pub async fn caches(aws: &Aws, groups: &[SafeText]) -> Result<Caches, Reason> {
    let nodes = [("ShowCacheNodeInfo", "true")];
    let (all, without_nodes) =
        join(list(aws, &op::DESCRIBE_CACHE_CLUSTERS, "CacheClusters", &nodes), serverless(aws)).await;
    let ours = |c: &Cache| c.security_groups.iter().any(|g| groups.contains(g));
    let mut out = Caches { clusters: all?.iter().map(cache).filter(ours).collect(), ..Caches::default() };
    let with_nodes = !out.clusters.is_empty();
    match without_nodes {
        Ok(list) => out.clusters.extend(list.into_iter().filter(ours)),
        Err(reason) => out.gaps.push((WITHOUT_NODES.into(), reason)),
    }
    // Serverless caches have neither groups nor events of these kinds.
    if !with_nodes {
        return Ok(out);
    }
    let minutes = MINUTES.to_string();
    let since = [("Duration", minutes.as_str())];
    let (members, events) = join(
        list(aws, &op::DESCRIBE_REPLICATION_GROUPS, "ReplicationGroups", &[]),
        list(aws, &op::DESCRIBE_CACHE_EVENTS, "Events", &since),
    )
    .await;
    match members {
        Ok(list) => {
            let told = list
                .iter()
                .map(|g| (text(g, "ReplicationGroupId"), text(g, "Status"), text(g, "AutomaticFailover")));
            out.groups = told.filter(|g| out.clusters.iter().any(|c| c.group == g.0)).collect();
        }
        Err(reason) => out.gaps.push(("replication groups".into(), reason)),
    }
    match events {
        Ok(list) => {
            let ours = |id: &SafeText| out.clusters.iter().any(|c| c.id == *id || c.group == *id);
            out.events = list
                .iter()
                .filter_map(|e| {
                    Some((e.text_of("Date").parse().ok()?, text(e, "SourceIdentifier"), text(e, "Message")))
                })
                .filter(|e| ours(&e.1))
                .collect();
            out.events.sort_by_key(|e| std::cmp::Reverse(e.0));
            out.events.truncate(EVENTS);
        }
        Err(reason) => out.gaps.push(("events".into(), reason)),
    }
    Ok(out)
}

/// Serverless caches of the account and region.
async fn serverless(aws: &Aws) -> Result<Vec<Cache>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let token = pages.token().map(|t| ("NextToken".to_string(), t));
        let form: Vec<(String, String)> =
            [("MaxResults".to_string(), "100".to_string())].into_iter().chain(token).collect();
        let out = query(aws, &op::DESCRIBE_SERVERLESS_CACHES, VERSION, &form).await?;
        let list = out.child("ServerlessCaches").ok_or_else(|| super::lacks("ServerlessCaches"))?;
        all.extend(list.children.iter().map(without_nodes));
        if !pages.advance(Some(out.text_of("NextToken").to_string()))? {
            return Ok(all);
        }
    }
}

fn without_nodes(n: &Node) -> Cache {
    let endpoint = n.child("Endpoint");
    Cache {
        id: text(n, "ServerlessCacheName"),
        arn: text(n, "ARN"),
        status: text(n, "Status"),
        engine: text(n, "Engine"),
        class: SERVERLESS.into(),
        port: endpoint.and_then(|e| number(e, "Port")),
        endpoint: endpoint.map(|e| text(e, "Address")).unwrap_or_default(),
        security_groups: n.members("SecurityGroupIds").map(|g| g.text.as_str().into()).collect(),
        ..Cache::default()
    }
}

fn cache(n: &Node) -> Cache {
    let nodes = || n.members("CacheNodes");
    let port = |e: &Node| number(e, "Port");
    let first = nodes().find_map(|x| x.child("Endpoint").and_then(port));
    let address = |e: &Node| Some(text(e, "Address")).filter(|a| !a.is_empty());
    let own = || nodes().find_map(|x| x.child("Endpoint").and_then(address)).filter(|_| nodes().count() == 1);
    Cache {
        id: text(n, "CacheClusterId"),
        arn: text(n, "ARN"),
        group: text(n, "ReplicationGroupId"),
        status: text(n, "CacheClusterStatus"),
        engine: text(n, "Engine"),
        class: text(n, "CacheNodeType"),
        port: n.child("ConfigurationEndpoint").and_then(port).or(first),
        endpoint: n.child("ConfigurationEndpoint").and_then(address).or_else(own).unwrap_or_default(),
        security_groups: n.members("SecurityGroups").map(|g| text(g, "SecurityGroupId")).collect(),
        ill: nodes()
            .map(|x| (text(x, "CacheNodeId"), text(x, "CacheNodeStatus")))
            .filter(|(_, status)| status.as_str() != "available" && !status.is_empty())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_read_with_its_nodes() {
        let doc = r"<CacheCluster><CacheClusterId>shop-001</CacheClusterId><CacheClusterStatus>available</CacheClusterStatus>
            <Engine>redis</Engine><CacheNodeType>cache.t4g.small</CacheNodeType><ReplicationGroupId>shop</ReplicationGroupId>
            <SecurityGroups><member><SecurityGroupId>sg-1</SecurityGroupId><Status>active</Status></member></SecurityGroups>
            <CacheNodes><CacheNode><CacheNodeId>0001</CacheNodeId><CacheNodeStatus>available</CacheNodeStatus><Endpoint><Address>a</Address><Port>6379</Port></Endpoint></CacheNode>
            <CacheNode><CacheNodeId>0002</CacheNodeId><CacheNodeStatus>rebooting</CacheNodeStatus></CacheNode></CacheNodes></CacheCluster>";
        let c = cache(&Node::parse(doc.as_bytes()).unwrap());
        assert_eq!((c.id.as_str(), c.group.as_str(), c.port), ("shop-001", "shop", Some(6379)));
        assert_eq!(c.security_groups, ["sg-1"]);
        assert_eq!(c.ill, [(SafeText::from("0002"), SafeText::from("rebooting"))]);
    }
}
