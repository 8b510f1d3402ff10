//! API Gateway: REST APIs (v1) and HTTP APIs (v2). Which of the two an id is,
//! the service that knows it says.

use super::Pages;
use super::around::{moment, word};
use crate::situation::Reason;
use crate::situation::front::{Api, Integration, Stage, VpcLink};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations::{self as op, Operation};
use crate::sources::aws::plain::{Question, encode};
use crate::text::SafeText;
use futures::future::{join, join_all, join3, join4};
use serde_json::Value;

/// Resources, routes and integrations read at most, in pages of 500.
const PAGES: usize = 2;
/// Methods whose integration is asked for one by one.
const SINGLES: usize = 40;

async fn ask(aws: &Aws, op: &'static Operation, path: String) -> Result<Value, Reason> {
    let body = aws
        .call(op, |c| {
            let mut q = Question::get(path.clone());
            // Without it REST APIs answer in HAL.
            q.headers.push(("accept", "application/json".into()));
            async move { c.plain(op, q).await }
        })
        .await?;
    super::json(&body)
}

/// Members of a list as either version writes it.
fn members(doc: &Value) -> Vec<&Value> {
    let list = ["item", "items"].iter().find_map(|n| doc.get(*n));
    match list {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(Value::Object(_)) => list.into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Every member of a list over its pages; true when some were left out.
async fn list(
    aws: &Aws,
    op: &'static Operation,
    path: &str,
    size: &str,
    marker: &str,
    most: usize,
) -> Result<(Vec<Value>, bool), Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    for _ in 0..most {
        // In the order of their names: the signature covers them so.
        let mut fields: Vec<String> = size.split('&').filter(|f| !f.is_empty()).map(String::from).collect();
        fields.extend(pages.token().map(|t| format!("{marker}={}", encode(&t))));
        fields.sort();
        let query = if fields.is_empty() { String::new() } else { format!("?{}", fields.join("&")) };
        let doc = ask(aws, op, format!("{path}{query}")).await?;
        all.extend(members(&doc).into_iter().cloned());
        if !pages.advance(doc.get(marker).and_then(Value::as_str).map(String::from))? {
            return Ok((all, false));
        }
    }
    Ok((all, true))
}

/// Id and name of every API.
pub async fn apis(aws: &Aws) -> Result<Vec<(SafeText, SafeText)>, Reason> {
    let (rest, http) = join(
        list(aws, &op::GET_REST_APIS, "/restapis", "limit=500", "position", 4),
        list(aws, &op::GET_APIS, "/v2/apis", "", "nextToken", 10),
    )
    .await;
    // Where one of them may not be listed, the other may hold it.
    let (rest, http) = match (rest, http) {
        (Err(reason), Err(_)) => return Err(reason),
        (a, b) => (a.unwrap_or_default().0, b.unwrap_or_default().0),
    };
    let rest = rest.iter().map(|a| (word(a, "id"), word(a, "name")));
    Ok(rest.chain(http.iter().map(|a| (word(a, "apiId"), word(a, "name")))).collect())
}

/// Ids of the APIs that custom domain names lead to, with their stage.
pub async fn mapped(aws: &Aws, host: &str) -> Result<Vec<(SafeText, SafeText)>, Reason> {
    let name = encode(host);
    let (rest, http) = join(
        list(
            aws,
            &op::GET_BASE_PATH_MAPPINGS,
            &format!("/domainnames/{name}/basepathmappings"),
            "limit=500",
            "position",
            1,
        ),
        list(aws, &op::GET_API_MAPPINGS, &format!("/v2/domainnames/{name}/apimappings"), "", "nextToken", 1),
    )
    .await;
    let mut out: Vec<(SafeText, SafeText)> = Vec::new();
    let mut failed = None;
    for (answer, id) in [(rest, "restApiId"), (http, "apiId")] {
        match answer {
            Ok((all, _)) => out.extend(all.iter().map(|m| (word(m, id), word(m, "stage")))),
            Err(Reason::NotFound { .. }) => {}
            Err(reason) => failed = Some(reason),
        }
    }
    out.retain(|m| !m.0.is_empty());
    out.dedup();
    match failed {
        Some(reason) if out.is_empty() => Err(reason),
        _ => Ok(out),
    }
}

/// Names that API Gateway gives custom domains: name and the host its DNS
/// record must lead to.
pub async fn domains(aws: &Aws) -> Result<Vec<(SafeText, Vec<SafeText>)>, Reason> {
    let (all, _) = list(aws, &op::GET_DOMAIN_NAMES, "/domainnames", "limit=500", "position", 2).await?;
    Ok(all
        .iter()
        .map(|d| {
            let to = ["regionalDomainName", "distributionDomainName"];
            (word(d, "domainName"), to.iter().map(|n| word(d, n)).filter(|t| !t.is_empty()).collect())
        })
        .collect())
}

/// One API: stages, integrations, VPC links. What of it may not be read is named.
pub async fn api(aws: &Aws, id: &str, stage: &str) -> Result<Api, Reason> {
    let (rest, http) = join(
        ask(aws, &op::GET_REST_API, format!("/restapis/{}", encode(id))),
        ask(aws, &op::GET_API, format!("/v2/apis/{}", encode(id))),
    )
    .await;
    let mut api = match (rest, http) {
        (Ok(doc), _) if doc.get("id").is_some() => self::rest(aws, id, &doc).await?,
        (_, Ok(doc)) if doc.get("apiId").is_some() => self::http(aws, id, &doc).await?,
        (Err(Reason::NotFound { .. }), Err(reason)) | (Err(reason), Err(Reason::NotFound { .. })) => {
            return Err(reason);
        }
        (Err(reason), _) => return Err(reason),
        _ => return Err(super::lacks("the API's id")),
    };
    api.stage = stage.into();
    Ok(api)
}

/// Takes a part of an answer, or names it as a gap.
fn part<T: Default>(gaps: &mut Vec<(SafeText, Reason)>, what: &str, answer: Result<T, Reason>) -> T {
    match answer {
        Ok(v) => v,
        Err(reason) => {
            gaps.push((what.into(), reason));
            T::default()
        }
    }
}

async fn rest(aws: &Aws, id: &str, doc: &Value) -> Result<Api, Reason> {
    let base = format!("/restapis/{}", encode(id));
    let (stages, resources, links) = join3(
        ask(aws, &op::GET_STAGES, format!("{base}/stages")),
        list(
            aws,
            &op::GET_RESOURCES,
            &format!("{base}/resources"),
            "embed=methods&limit=500",
            "position",
            PAGES,
        ),
        list(aws, &op::GET_VPC_LINKS, "/vpclinks", "limit=500", "position", 1),
    )
    .await;
    let mut gaps = Vec::new();
    let stages = part(&mut gaps, "stages", stages);
    let (resources, cut) = part(&mut gaps, "integrations", resources);
    if cut {
        // Said where what is missing is said, and no cause is ruled out by it.
        let detail = "only the first 1000 resources were read".into();
        gaps.push(("integrations".into(), Reason::Failed { code: "too many".into(), detail }));
    }
    let (links, _) = links.unwrap_or_default();
    let mut integrations = Vec::new();
    let mut single = Vec::new();
    for r in &resources {
        let path = word(r, "path");
        for (method, m) in r.get("resourceMethods").and_then(Value::as_object).into_iter().flatten() {
            let route = format!("{method} {path}");
            match m.get("methodIntegration") {
                Some(i) => integrations.push(rest_integration(&route, i)),
                None if single.len() < SINGLES && method != "OPTIONS" => {
                    let at = format!(
                        "{base}/resources/{}/methods/{}/integration",
                        encode(&word(r, "id")),
                        encode(method)
                    );
                    single.push((route, at));
                }
                None => {}
            }
        }
    }
    let asked = single.into_iter().map(|(route, at)| async move {
        ask(aws, &op::GET_INTEGRATION, at).await.map(|i| rest_integration(&route, &i))
    });
    for answer in join_all(asked).await {
        match answer {
            Ok(i) => integrations.push(i),
            // A method without one is being made.
            Err(Reason::NotFound { .. }) => {}
            Err(reason) if gaps.is_empty() => gaps.push(("integrations".into(), reason)),
            Err(_) => {}
        }
    }
    let types = doc.pointer("/endpointConfiguration/types/0").and_then(Value::as_str).unwrap_or_default();
    Ok(Api {
        id: id.into(),
        name: word(doc, "name"),
        kind: "REST".into(),
        endpoint: types.into(),
        stages: members(&stages).into_iter().map(stage).collect(),
        integrations,
        links: links.iter().map(rest_link).collect(),
        cut: if cut { "only the first 1000 resources were read".into() } else { SafeText::default() },
        gaps,
        ..Api::default()
    })
}

fn rest_link(l: &Value) -> VpcLink {
    VpcLink {
        id: word(l, "id"),
        name: word(l, "name"),
        status: word(l, "status"),
        message: word(l, "statusMessage"),
        targets: texts(l.get("targetArns")),
        security_groups: Vec::new(),
    }
}

fn texts(v: Option<&Value>) -> Vec<SafeText> {
    let list = v.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(|t| SafeText::capped(t, 300)).collect()
}

fn stage(s: &Value) -> Stage {
    let log = s.get("accessLogSettings").unwrap_or(&Value::Null);
    let arn = word(log, "destinationArn");
    let group = arn.split(":log-group:").nth(1).unwrap_or_default().trim_end_matches(":*");
    Stage {
        name: word(s, "stageName"),
        access_log: group.into(),
        format: SafeText::capped(log.get("format").and_then(Value::as_str).unwrap_or_default(), 4096),
        deployment: word(s, "deploymentId"),
        updated: moment(s.get("lastUpdatedDate")),
        web_acl: word(s, "webAclArn"),
    }
}

/// ARN of the function that an integration's URI names; empty for others.
fn function(uri: &str) -> SafeText {
    let arn = match uri.split_once("/functions/") {
        Some((_, tail)) => tail.split("/invocations").next().unwrap_or(tail),
        None => uri,
    };
    if arn.starts_with("arn:") && arn.contains(":lambda:") && !arn.contains("${") {
        arn.into()
    } else {
        SafeText::default()
    }
}

fn small(v: Option<&Value>) -> Option<u32> {
    v.and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())
}

fn rest_integration(route: &str, i: &Value) -> Integration {
    let uri = word(i, "uri");
    let kind = word(i, "type");
    let own = matches!(kind.as_str(), "AWS" | "HTTP" | "MOCK");
    let fits_all = |r: &Value| word(r, "selectionPattern").is_empty();
    let responses = i.get("integrationResponses").and_then(Value::as_object);
    let linked = word(i, "connectionType").as_str() == "VPC_LINK";
    let id = word(i, "connectionId");
    Integration {
        route: route.into(),
        function: function(&uri),
        timeout_ms: small(i.get("timeoutInMillis")),
        // The id is not always told; that it is a link is.
        link: if linked && id.is_empty() { "?".into() } else { id },
        has_default: own.then(|| responses.is_some_and(|all| all.values().any(fits_all))),
        server_name: i.get("tlsConfig").map(|t| word(t, "serverNameToVerify")).unwrap_or_default(),
        kind,
        uri,
    }
}

async fn http(aws: &Aws, id: &str, doc: &Value) -> Result<Api, Reason> {
    let base = format!("/v2/apis/{}", encode(id));
    let path = |p: &str| format!("{base}/{p}");
    let (stages, integrations, routes, links) = join4(
        list(aws, &op::GET_V2_STAGES, &path("stages"), "", "nextToken", PAGES),
        list(aws, &op::GET_INTEGRATIONS, &path("integrations"), "", "nextToken", PAGES),
        list(aws, &op::GET_ROUTES, &path("routes"), "", "nextToken", PAGES),
        list(aws, &op::GET_V2_VPC_LINKS, "/v2/vpclinks", "", "nextToken", 1),
    )
    .await;
    let mut gaps = Vec::new();
    let (stages, _) = part(&mut gaps, "stages", stages);
    let (integrations, cut) = part(&mut gaps, "integrations", integrations);
    let (routes, _) = routes.unwrap_or_default();
    let (links, _) = links.unwrap_or_default();
    let protocol = word(doc, "protocolType");
    Ok(Api {
        id: id.into(),
        name: word(doc, "name"),
        kind: protocol,
        endpoint: "REGIONAL".into(),
        stages: stages.iter().map(stage).collect(),
        integrations: integrations.iter().map(|i| http_integration(i, &routes)).collect(),
        links: links.iter().map(http_link).collect(),
        cut: if cut { "not all integrations were read".into() } else { SafeText::default() },
        gaps,
        ..Api::default()
    })
}

fn http_link(l: &Value) -> VpcLink {
    VpcLink {
        id: word(l, "vpcLinkId"),
        name: word(l, "name"),
        status: word(l, "vpcLinkStatus"),
        message: word(l, "vpcLinkStatusMessage"),
        targets: Vec::new(),
        security_groups: texts(l.get("securityGroupIds")),
    }
}

fn http_integration(i: &Value, routes: &[Value]) -> Integration {
    let id = word(i, "integrationId");
    let target = format!("integrations/{id}");
    let route = routes.iter().find(|r| word(r, "target").as_str() == target);
    let uri = word(i, "integrationUri");
    Integration {
        route: route.map(|r| word(r, "routeKey")).unwrap_or(id),
        kind: word(i, "integrationType"),
        function: function(&uri),
        timeout_ms: small(i.get("timeoutInMillis")),
        link: word(i, "connectionId"),
        has_default: None,
        server_name: i.get("tlsConfig").map(|t| word(t, "serverNameToVerify")).unwrap_or_default(),
        uri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_function_behind_a_uri() {
        let arn = "arn:aws:lambda:r:1:function:orders:live";
        let uri = format!("arn:aws:apigateway:r:lambda:path/2015-03-31/functions/{arn}/invocations");
        assert_eq!(function(&uri), arn);
        assert_eq!(function(arn), arn);
        assert!(function("https://shop.example.com/").is_empty());
        assert!(function("arn:aws:apigateway:r:lambda:path/2015-03-31/functions/arn:aws:lambda:r:1:function:${stageVariables.fn}/invocations").is_empty());
    }

    #[test]
    fn a_mapping_without_a_pattern_takes_what_no_other_fits() {
        let of = |responses: Value| {
            rest_integration("GET /", &json!({"type": "AWS", "integrationResponses": responses})).has_default
        };
        assert_eq!(of(json!({"200": {"statusCode": "200"}})), Some(true));
        assert_eq!(of(json!({"200": {"statusCode": "200", "selectionPattern": "2\\d{2}"}})), Some(false));
        assert_eq!(rest_integration("GET /", &json!({"type": "AWS_PROXY"})).has_default, None);
    }

    #[test]
    fn lists_are_read_in_both_spellings() {
        assert_eq!(members(&json!({"item": [1, 2]})).len(), 2);
        assert_eq!(members(&json!({"items": [1]})).len(), 1);
        assert_eq!(members(&json!({"item": {"id": "a"}})).len(), 1);
        assert!(members(&json!({})).is_empty());
    }
}
