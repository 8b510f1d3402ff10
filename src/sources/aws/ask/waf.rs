//! AWS WAF: which web ACL stands before something, and its rules.
//! Source: AWS WAF API reference (2019-07-29), `GetWebACLForResource` (an
//! answer without a web ACL means that none is associated) and `GetWebACL`.

use super::around::word;
use crate::situation::Reason;
use crate::situation::beside::{AclRule, WebAcl};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations::{self as op, Operation};
use crate::sources::aws::plain::Question;
use crate::text::SafeText;
use serde_json::{Value, json};

/// Rules that are kept of one web ACL.
const RULES: usize = 50;

async fn ask(aws: &Aws, op: &'static Operation, question: Value) -> Result<WebAcl, Reason> {
    let target = format!("AWSWAF_20190729.{}", op.name);
    let answer = aws
        .call(op, |c| {
            let q = Question::json(&target, &question);
            async move { c.plain(op, q).await }
        })
        .await;
    let body = match answer {
        Ok(body) => body,
        // The word of this service for "there is none".
        Err(Reason::Failed { code, .. }) if code.contains("NonexistentItem") => return Ok(WebAcl::default()),
        Err(reason) => return Err(reason),
    };
    let doc: Value = super::json(&body)?;
    match doc.get("WebACL") {
        None | Some(Value::Null) if doc.is_object() => Ok(WebAcl::default()),
        Some(acl) if !word(acl, "ARN").is_empty() => Ok(read(acl)),
        _ => Err(super::lacks("ARN of the web ACL")),
    }
}

/// The web ACL of a load balancer or an API's stage, by its ARN.
pub async fn of_resource(aws: &Aws, arn: &str) -> Result<WebAcl, Reason> {
    ask(aws, &op::GET_WEB_ACL_FOR_RESOURCE, json!({ "ResourceArn": arn })).await
}

/// A web ACL by its own ARN (`...:regional/webacl/NAME/ID`), in its region.
pub async fn by_arn(aws: &Aws, arn: &str) -> Result<WebAcl, Reason> {
    let parts = || Some((arn.split(':').nth(3)?, arn.splitn(6, ':').nth(5)?));
    let split = parts().and_then(|(region, tail)| match tail.split('/').collect::<Vec<_>>()[..] {
        [scope, "webacl", name, id] => Some((region, scope, name, id)),
        _ => None,
    });
    let Some((region, scope, name, id)) = split else {
        let why = "a web ACL of AWS WAF Classic, which is not read".into();
        return Err(Reason::NotApplicable { why });
    };
    let (there, scope) = match scope {
        "global" => (aws.global().await?, "CLOUDFRONT"),
        _ => (aws.in_region(region).await?, "REGIONAL"),
    };
    ask(&there, &op::GET_WEB_ACL, json!({ "Name": name, "Scope": scope, "Id": id })).await
}

fn read(acl: &Value) -> WebAcl {
    let metric = |v: &Value| v.get("VisibilityConfig").map(|c| word(c, "MetricName")).unwrap_or_default();
    // `{"Block": {}}`: the one key is the word.
    let key = |v: &Value, name: &str| {
        let keys = v.get(name).and_then(Value::as_object).and_then(|o| o.keys().next());
        keys.map(|k| k.to_ascii_lowercase()).unwrap_or_default()
    };
    let rules = acl.get("Rules").and_then(Value::as_array).into_iter().flatten().take(RULES);
    WebAcl {
        arn: word(acl, "ARN"),
        name: word(acl, "Name"),
        metric: metric(acl),
        default: SafeText::capped(key(acl, "DefaultAction"), 20),
        rules: rules
            .map(|r| {
                let action = match (key(r, "Action").as_str(), key(r, "OverrideAction").as_str()) {
                    ("", "count") => "count".to_owned(),
                    ("", _) => "group".to_owned(),
                    (action, _) => action.to_owned(),
                };
                AclRule { name: word(r, "Name"), metric: metric(r), action: SafeText::capped(action, 20) }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_with_what_they_do() {
        let acl = read(&json!({
            "ARN": "arn:aws:wafv2:us-east-1:1:regional/webacl/shop/8a", "Name": "shop",
            "DefaultAction": {"Allow": {}}, "VisibilityConfig": {"MetricName": "shop-acl"},
            "Rules": [
                {"Name": "rate", "Action": {"Block": {}}, "VisibilityConfig": {"MetricName": "rate-m"}},
                {"Name": "common", "OverrideAction": {"None": {}}, "VisibilityConfig": {"MetricName": "common-m"}},
                {"Name": "trial", "OverrideAction": {"Count": {}}, "VisibilityConfig": {"MetricName": "trial-m"}},
            ],
        }));
        assert_eq!(
            (acl.default.as_str(), acl.metric.as_str(), acl.is_global()),
            ("allow", "shop-acl", false)
        );
        let of: Vec<(&str, &str)> =
            acl.rules.iter().map(|r| (r.metric.as_str(), r.action.as_str())).collect();
        assert_eq!(of, [("rate-m", "block"), ("common-m", "group"), ("trial-m", "count")]);
    }
}
