//! What a person typed, read into what can be looked up.

use crate::text::SafeText;
use std::net::IpAddr;

/// A TARGET by its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: list what there is.
    Nothing,
    /// A load balancer by ARN (also when a listener or rule was given).
    LoadBalancer(Arn),
    /// A target group by ARN.
    TargetGroup(Arn),
    /// A CloudFront distribution by id.
    Distribution(String),
    /// An API of API Gateway by id, with the stage where it was given.
    Api { id: String, stage: String, region: String },
    /// A function by ARN.
    Function { arn: String, region: String },
    /// A Classic Load Balancer by name.
    Classic { name: String, region: String },
    /// A host name or address, as in a URL.
    Host { host: Host, port: Option<u16> },
    /// A load balancer's or target group's name.
    Name(String),
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Lower case, no trailing dot.
    Name(String),
    Address(IpAddr),
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(a) => write!(f, "{a}"),
        }
    }
}

/// An ARN of Elastic Load Balancing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arn {
    pub text: String,
    pub region: String,
    pub account: String,
}

impl Asked {
    /// The region the target itself names.
    pub fn region(&self) -> Option<String> {
        match self {
            Asked::LoadBalancer(arn) | Asked::TargetGroup(arn) => Some(arn.region.clone()),
            Asked::Api { region, .. } | Asked::Function { region, .. } | Asked::Classic { region, .. } => {
                Some(region.clone())
            }
            Asked::Host { host: Host::Name(name), .. } => elb_dns(name).map(|d| d.region),
            _ => None,
        }
    }
}

/// Reads what was typed; the error is one line for a person.
pub fn parse(typed: &str) -> Result<Asked, String> {
    let text = typed.trim();
    if text.is_empty() {
        return Ok(Asked::Nothing);
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("arn:") {
        return arn(text);
    }
    if let Some((scheme, rest)) = lower.split_once("://") {
        if scheme != "http" && scheme != "https" {
            return Err(format!("a {scheme}: URL is not a load balancer's; give http(s)://HOST"));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some(asked) = console(authority, text) {
            return asked;
        }
        return host(authority, text).map(|asked| with_stage(asked, rest));
    }
    if let Ok(a) = text.parse::<IpAddr>() {
        return Ok(Asked::Host { host: Host::Address(a), port: None });
    }
    if text.contains(['.', ':', '/', '[']) {
        let authority = lower.split(['/', '?', '#']).next().unwrap_or_default();
        return host(authority, text).map(|asked| with_stage(asked, &lower));
    }
    // Load balancers have at most 32 letters, digits and hyphens; functions 64, and underscores.
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if text.len() <= 64 && text.bytes().all(fits) {
        return Ok(Asked::Name(text.to_string()));
    }
    Err(format!(
        "{} is neither a name or id (letters, digits, hyphens; at most 64) nor an ARN, host name or URL",
        SafeText::capped(text, 80)
    ))
}

fn arn(text: &str) -> Result<Asked, String> {
    let shown = SafeText::capped(text, 160);
    let part: Vec<&str> = text.splitn(6, ':').collect();
    let [_, _, service, region, account, resource] = part[..] else {
        return Err(format!("{shown} is not a whole ARN"));
    };
    match (service, resource.split_once([':', '/'])) {
        ("cloudfront", Some(("distribution", id))) if !id.is_empty() => {
            return Ok(Asked::Distribution(id.to_string()));
        }
        ("lambda", Some(("function", name))) if !name.is_empty() && !region.is_empty() => {
            return Ok(Asked::Function { arn: text.to_string(), region: region.to_string() });
        }
        ("execute-api", Some((id, rest))) if !region.is_empty() => {
            let stage = rest.split('/').next().unwrap_or_default().replace('*', "");
            return Ok(Asked::Api { id: id.to_string(), stage, region: region.to_string() });
        }
        ("apigateway", _) => {
            let mut parts = resource.trim_start_matches('/').split('/');
            if let (Some("restapis" | "apis"), Some(id)) = (parts.next(), parts.next()) {
                let stage = parts.nth(1).unwrap_or_default().to_string();
                return Ok(Asked::Api { id: id.to_string(), stage, region: region.to_string() });
            }
        }
        _ => {}
    }
    if service != "elasticloadbalancing" {
        return Err(format!("{shown} belongs to {service}, which is not on a request's path as known here"));
    }
    if region.is_empty() || account.is_empty() {
        return Err(format!("{shown} names no region or no account"));
    }
    let made = |text: String| Arn { text, region: region.to_string(), account: account.to_string() };
    let whole = || made(text.to_string());
    let pieces: Vec<&str> = resource.split('/').collect();
    match pieces[..] {
        ["loadbalancer", "app" | "net" | "gwy", name, id] if !name.is_empty() && !id.is_empty() => {
            Ok(Asked::LoadBalancer(whole()))
        }
        ["loadbalancer", name] if !name.is_empty() => {
            Ok(Asked::Classic { name: name.to_string(), region: region.to_string() })
        }
        ["targetgroup", name, id] if !name.is_empty() && !id.is_empty() => Ok(Asked::TargetGroup(whole())),
        ["listener" | "listener-rule", kind, name, id, ..] => {
            let head = &text[..text.len() - resource.len()];
            Ok(Asked::LoadBalancer(made(format!("{head}loadbalancer/{kind}/{name}/{id}"))))
        }
        _ => Err(format!("{shown} is not the ARN of a load balancer, listener or target group")),
    }
}

/// An API's own host: `ID.execute-api.REGION.amazonaws.com`.
pub fn api_host(host: &str) -> Option<(String, String)> {
    let (id, rest) = host.split_once(".execute-api.")?;
    let region = rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))?;
    // An endpoint of a VPC has its id behind the API's.
    let id = id.split('-').next().unwrap_or(id);
    (!id.is_empty() && !region.contains('.')).then(|| (id.to_string(), region.to_string()))
}

/// An API's own URL names its stage first in the path.
fn with_stage(asked: Asked, rest: &str) -> Asked {
    let Asked::Host { host: Host::Name(name), .. } = &asked else { return asked };
    let Some((id, region)) = api_host(name) else { return asked };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let stage = path.split('/').nth(1).unwrap_or_default().to_string();
    Asked::Api { id, stage, region }
}

/// The form of a distribution's id: capitals and digits, `E1A2B3C4D5F6G7`.
pub fn is_distribution_id(name: &str) -> bool {
    (12..=16).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && name.bytes().any(|b| b.is_ascii_uppercase())
}

/// The form of an API's id: ten small letters and digits.
pub fn is_api_id(name: &str) -> bool {
    name.len() == 10
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && name.bytes().any(|b| b.is_ascii_digit())
}

/// A page of the AWS console that shows a load balancer or target group.
fn console(authority: &str, url: &str) -> Option<Result<Asked, String>> {
    let aws = ["console.aws.amazon.com", "console.amazonaws.cn", "console.amazonaws-us-gov.com"];
    if !aws.iter().any(|d| authority == *d || authority.ends_with(&format!(".{d}"))) {
        return None;
    }
    let plain = percent_decode(url);
    if let Some(at) = plain.find("arn:aws") {
        let end = plain[at..].find([';', '&', '?', '#', ' ']).map_or(plain.len(), |n| at + n);
        return Some(arn(&plain[at..end]));
    }
    for key in ["search=", "name="] {
        if let Some((_, tail)) = plain.split_once(key) {
            let name = tail.split([';', '&', '#']).next().unwrap_or_default();
            if !name.is_empty() {
                return Some(parse(name));
            }
        }
    }
    Some(Err("this page of the AWS console names no load balancer: give its name or ARN".into()))
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(b) if bytes[i] == b'%' => {
                out.push(b);
                i += 3;
            }
            _ => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Host and port of a URL's authority part.
fn host(authority: &str, typed: &str) -> Result<Asked, String> {
    if authority.contains('@') {
        return Err("the URL holds a user name or password: give it without (scheme://HOST/...)".into());
    }
    let shown = SafeText::capped(typed, 160);
    let no_host = || format!("{shown} names no host");
    let (name, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (inside, tail) =
            rest.split_once(']').ok_or_else(|| format!("{shown} lacks a closing bracket"))?;
        (inside, tail.strip_prefix(':'))
    } else {
        authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p)))
    };
    let port = match port {
        None | Some("") => None,
        Some(p) => Some(
            p.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(|| format!("{shown} has no valid port"))?,
        ),
    };
    if let Ok(a) = name.parse::<IpAddr>() {
        return Ok(Asked::Host { host: Host::Address(a), port });
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(no_host());
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b >= 0x80)
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(format!("{shown} has no valid host name"));
    }
    if !name.is_ascii() {
        return Err(format!("{shown}: give the host name in its ASCII form (xn--...)"));
    }
    Ok(Asked::Host { host: Host::Name(name.to_string()), port })
}

/// A load balancer's own DNS name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElbDns {
    /// As the API writes it, but in lower case: without `dualstack.`.
    pub dns_name: String,
    /// The load balancer's name, as far as the DNS name tells.
    pub lb: String,
    pub region: String,
}

/// Reads `[dualstack.][internal-]NAME-ID.REGION.elb.amazonaws.com` and
/// `NAME-ID.elb.REGION.amazonaws.com`, also with `.cn`.
pub fn elb_dns(host: &str) -> Option<ElbDns> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let dns_name = host.strip_prefix("dualstack.").unwrap_or(&host).to_string();
    let bare =
        dns_name.strip_suffix(".amazonaws.com").or_else(|| dns_name.strip_suffix(".amazonaws.com.cn"))?;
    let (first, region) = match bare.strip_suffix(".elb") {
        Some(head) => head.rsplit_once('.')?,
        None => {
            let (head, region) = bare.rsplit_once('.')?;
            (head.strip_suffix(".elb")?, region)
        }
    };
    if first.is_empty() || region.is_empty() || first.contains('.') {
        return None;
    }
    let lb = first.strip_prefix("internal-").unwrap_or(first);
    let lb = lb.rsplit_once('-').map_or(lb, |(name, _)| name).to_string();
    Some(ElbDns { region: region.to_string(), lb, dns_name })
}

/// What a name that is no load balancer's stands for, where its form tells.
pub fn other_service(name: &str) -> Option<&'static str> {
    let ends = |d: &str| name.ends_with(d);
    if ends(".awsglobalaccelerator.com") {
        Some("a Global Accelerator: give the load balancer behind it")
    } else if name.contains(".lambda-url.") {
        Some("a Lambda function URL: there is no load balancer in front")
    } else if ends(".azurefd.net") || ends(".cloudapp.azure.com") || ends(".azurewebsites.net") {
        Some("hosted in Azure, not in AWS")
    } else {
        None
    }
}

/// The names that come nearest, best first, at most three.
pub fn nearest<'a>(name: &str, all: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.to_ascii_lowercase();
    let mut scored: Vec<(usize, &str)> = all
        .into_iter()
        .filter_map(|other| {
            let lower = other.to_ascii_lowercase();
            let contained = lower.contains(&name) || (lower.len() > 2 && name.contains(&lower));
            let distance = if contained { 1 } else { distance(&name, &lower) };
            let limit = (name.len().max(3) / 3).max(1);
            (distance <= limit).then_some((distance, other))
        })
        .collect();
    scored.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(b.1)));
    scored.dedup();
    scored.into_iter().take(3).map(|s| s.1).collect()
}

/// Edits between two short texts (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:";

    fn named(name: &str, port: Option<u16>) -> Asked {
        Asked::Host { host: Host::Name(name.into()), port }
    }

    #[test]
    fn every_form_of_a_target() {
        let lb = format!("{HEAD}loadbalancer/app/shop/50dc6c49");
        let tg = format!("{HEAD}targetgroup/web/73e2d6bc");
        let arn = |text: &str| Arn {
            text: text.into(),
            region: "eu-west-1".into(),
            account: "123456789012".into(),
        };
        let v6 = Asked::Host { host: Host::Address("2001:db8::1".parse().unwrap()), port: Some(8443) };
        let table = [
            ("", Asked::Nothing),
            ("  ", Asked::Nothing),
            ("shop-alb", Asked::Name("shop-alb".into())),
            (&lb, Asked::LoadBalancer(arn(&lb))),
            (&tg, Asked::TargetGroup(arn(&tg))),
            (&format!("{HEAD}listener/app/shop/50dc6c49/f2f7"), Asked::LoadBalancer(arn(&lb))),
            (&format!("{HEAD}listener-rule/app/shop/50dc6c49/f2f7/9683"), Asked::LoadBalancer(arn(&lb))),
            ("shop.example.com", named("shop.example.com", None)),
            ("Shop.Example.COM.", named("shop.example.com", None)),
            ("shop.example.com:8443/cart?x=1#y", named("shop.example.com", Some(8443))),
            ("https://shop.example.com", named("shop.example.com", None)),
            ("HTTPS://Shop.example.com:443/a@b", named("shop.example.com", Some(443))),
            ("http://shop.example.com?u=a@b", named("shop.example.com", None)),
            ("https://localhost:8443/", named("localhost", Some(8443))),
            ("https://[2001:db8::1]:8443/", v6.clone()),
            ("[2001:db8::1]:8443", v6),
            ("203.0.113.7", Asked::Host { host: Host::Address("203.0.113.7".parse().unwrap()), port: None }),
            ("2001:db8::1", Asked::Host { host: Host::Address("2001:db8::1".parse().unwrap()), port: None }),
            (
                "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#LoadBalancer:loadBalancerArn=arn%3Aaws%3Aelasticloadbalancing%3Aeu-west-1%3A123456789012%3Aloadbalancer%2Fapp%2Fshop%2F50dc6c49;tab=listeners",
                Asked::LoadBalancer(arn(&lb)),
            ),
            (
                "https://console.aws.amazon.com/ec2/v2/home?region=eu-west-1#LoadBalancers:search=shop-alb;sort=loadBalancerName",
                Asked::Name("shop-alb".into()),
            ),
        ];
        for (typed, want) in table {
            assert_eq!(parse(typed).as_ref(), Ok(&want), "{typed}");
        }
    }

    #[test]
    fn what_stands_in_front_has_forms_of_its_own() {
        let api = |stage: &str| Asked::Api {
            id: "a1b2c3d4e5".into(),
            stage: stage.into(),
            region: "eu-west-1".into(),
        };
        let function = "arn:aws:lambda:eu-west-1:1:function:orders:live";
        let table = [
            (
                "arn:aws:cloudfront::1:distribution/E1A2B3C4D5F6G7",
                Asked::Distribution("E1A2B3C4D5F6G7".into()),
            ),
            ("https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/prod/orders?x=1", api("prod")),
            ("a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", api("")),
            ("arn:aws:execute-api:eu-west-1:1:a1b2c3d4e5/prod/GET/orders", api("prod")),
            ("arn:aws:apigateway:eu-west-1::/restapis/a1b2c3d4e5/stages/prod", api("prod")),
            (function, Asked::Function { arn: function.into(), region: "eu-west-1".into() }),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/old",
                Asked::Classic { name: "old".into(), region: "eu-west-1".into() },
            ),
            ("order_api", Asked::Name("order_api".into())),
        ];
        for (typed, want) in table {
            assert_eq!(parse(typed).as_ref(), Ok(&want), "{typed}");
        }
        assert!(is_distribution_id("E1A2B3C4D5F6G7") && !is_distribution_id("shop-alb"));
        assert!(is_api_id("a1b2c3d4e5") && !is_api_id("checkoutlb"));
    }

    #[test]
    fn what_cannot_be_a_target_is_said_in_one_line() {
        let table = [
            ("https://user:secret@shop.example.com/", "user name or password"),
            ("user@shop.example.com", "user name or password"),
            ("ftp://shop.example.com", "ftp: URL"),
            ("https://", "names no host"),
            ("https://shop.example.com:99999/", "no valid port"),
            ("https://shop.example.com:0/", "no valid port"),
            ("https://shop..example.com/", "no valid host"),
            ("https://sh op.example.com/", "no valid host"),
            ("https://[::1/", "closing bracket"),
            ("b\u{fc}cher.example", "ASCII form"),
            ("arn:aws:s3:::bucket", "belongs to s3"),
            ("arn:aws:elasticloadbalancing:eu-west-1", "not a whole ARN"),
            ("arn:aws:dynamodb:eu-west-1:1:table/x", "belongs to dynamodb"),
            ("arn:aws:elasticloadbalancing:eu-west-1:1:truststore/x/y", "not the ARN of"),
            ("my shop", "neither"),
            ("a-name-that-is-much-too-long-for-a-load-balancer-and-for-a-function-too", "neither"),
            ("https://console.aws.amazon.com/ec2/home#Instances:", "names no load balancer"),
        ];
        for (typed, want) in table {
            let line = parse(typed).unwrap_err();
            assert!(line.contains(want), "{typed}: {line}");
            assert!(!line.contains('\n') && !line.contains("secret"), "{line}");
        }
        assert!(!parse("\u{1b}]0;x\u{7}y z").unwrap_err().contains('\u{1b}'));
    }

    #[test]
    fn load_balancers_dns_names() {
        let d = |dns: &str, lb: &str, region: &str| {
            Some(ElbDns { dns_name: dns.into(), lb: lb.into(), region: region.into() })
        };
        let table = [
            (
                "shop-1234567890.eu-west-1.elb.amazonaws.com",
                d("shop-1234567890.eu-west-1.elb.amazonaws.com", "shop", "eu-west-1"),
            ),
            (
                "dualstack.Shop-Alb-123.us-east-1.elb.amazonaws.com.",
                d("shop-alb-123.us-east-1.elb.amazonaws.com", "shop-alb", "us-east-1"),
            ),
            (
                "internal-shop-9.us-east-1.elb.amazonaws.com",
                d("internal-shop-9.us-east-1.elb.amazonaws.com", "shop", "us-east-1"),
            ),
            (
                "edge-0123abcd.elb.eu-west-1.amazonaws.com",
                d("edge-0123abcd.elb.eu-west-1.amazonaws.com", "edge", "eu-west-1"),
            ),
            (
                "shop-1.cn-north-1.elb.amazonaws.com.cn",
                d("shop-1.cn-north-1.elb.amazonaws.com.cn", "shop", "cn-north-1"),
            ),
            ("shop.example.com", None),
            ("s3.eu-west-1.amazonaws.com", None),
            ("elb.amazonaws.com", None),
            ("a.b.eu-west-1.elb.amazonaws.com", None),
        ];
        for (host, want) in table {
            assert_eq!(elb_dns(host), want, "{host}");
        }
        let asked = parse("http://shop-1.eu-west-1.elb.amazonaws.com/").unwrap();
        assert_eq!(asked.region().as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn near_names_come_first() {
        let all = ["shop-alb", "shop-api", "payments", "Shop-ALB-old", "x"];
        assert_eq!(nearest("shop-abl", all), ["shop-alb", "shop-api"]);
        assert_eq!(nearest("shop", all), ["Shop-ALB-old", "shop-alb", "shop-api"]);
        assert!(nearest("zebra", all).is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
