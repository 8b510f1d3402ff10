//! What TARGET may look like. Only its form is judged here; whether there is
//! such a thing, the cloud says.

/// The form of a TARGET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// ARN of a load balancer.
    LoadBalancer(String),
    /// ARN of a target group.
    TargetGroup(String),
    /// `http` or `https` URL; the host in lower case without brackets.
    Url { url: String, host: String, port: Option<u16> },
    /// A host name, a load balancer's DNS name included, or an address.
    Host(String),
    /// ARN of a distribution, an API, a function or a Classic Load Balancer.
    Arn(String),
    /// The name of a load balancer, an API or a function, or an id.
    Name(String),
}

impl Target {
    /// The text to look up, as typed but for blanks around it.
    pub fn text(&self) -> &str {
        match self {
            Target::LoadBalancer(s)
            | Target::TargetGroup(s)
            | Target::Arn(s)
            | Target::Host(s)
            | Target::Name(s) => s,
            Target::Url { url, .. } => url,
        }
    }

    /// Names it may be known by in the config file: host, or name within an ARN.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Target::LoadBalancer(arn) | Target::TargetGroup(arn) => vec![arn, crate::situation::short(arn)],
            Target::Arn(arn) => vec![arn, arn.rsplit(['/', ':']).next().unwrap_or(arn)],
            Target::Url { host, .. } => vec![host],
            Target::Host(s) | Target::Name(s) => vec![s],
        }
    }
}

impl std::str::FromStr for Target {
    type Err = String;

    /// The error is the rest of a line that begins with the argument's name.
    fn from_str(typed: &str) -> Result<Self, String> {
        let s = typed.trim();
        if s.is_empty() {
            return Err(
                "is empty; give a load balancer's name, ARN or DNS name, a target group's ARN, a URL or a \
                        host name"
                    .into(),
            );
        }
        if s.len() > 2048 {
            return Err(format!(
                "is {} bytes long; a name, ARN, URL or host name is shorter than 2048",
                s.len()
            ));
        }
        if let Some(c) = s.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("holds {}; quote one name, ARN, URL or host name", shown(c)));
        }
        if s.starts_with("arn:") {
            return arn(s);
        }
        if s.get(..15).is_some_and(|h| h.eq_ignore_ascii_case("/subscriptions/")) {
            return Err("is an Azure resource id; this version knows AWS load balancers only".into());
        }
        if let Some((scheme, rest)) = s.split_once("://") {
            return url(s, scheme, rest);
        }
        let host = s.split(['/', '?', '#']).next().unwrap_or(s);
        if host.len() < s.len() {
            return Err(format!("is neither a URL nor a name; write 'https://{s}', or the host alone"));
        }
        let (host, port) = split_port(s)?;
        if port.is_some() {
            return Err(format!("has a port; write 'https://{s}/', or the host alone"));
        }
        let address = host.parse::<std::net::IpAddr>().is_ok();
        if address || host.contains('.') {
            host_name(host)?;
            return Ok(Target::Host(host.trim_end_matches('.').to_ascii_lowercase()));
        }
        if s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Ok(Target::Name(s.to_owned()));
        }
        let c = s.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-').unwrap_or(' ');
        Err(format!("holds {}, which no load balancer's name can hold", shown(c)))
    }
}

fn shown(c: char) -> String {
    match c {
        ' ' => "a blank".into(),
        c if c.is_control() || c.is_whitespace() => format!("a control character (U+{:04X})", c as u32),
        c => format!("'{c}'"),
    }
}

fn arn(s: &str) -> Result<Target, String> {
    let parts: Vec<&str> = s.splitn(6, ':').collect();
    let &[_, partition, service, region, account, resource] = parts.as_slice() else {
        return Err("is cut short: an ARN has six parts divided by colons".into());
    };
    let known = match service {
        "cloudfront" => resource.starts_with("distribution/"),
        "lambda" => resource.starts_with("function:"),
        "apigateway" => resource.starts_with("/restapis/") || resource.starts_with("/apis/"),
        "execute-api" => !region.is_empty(),
        _ => false,
    };
    if known {
        return Ok(Target::Arn(s.to_owned()));
    }
    if service != "elasticloadbalancing" {
        return Err(format!(
            "is an ARN of {service}; give that of a load balancer, target group, distribution, API or function"
        ));
    }
    if !partition.starts_with("aws") || region.is_empty() || account.is_empty() {
        return Err("is no whole ARN: partition, region or account is missing".into());
    }
    let mut path = resource.split('/');
    let words: Vec<&str> = path.by_ref().collect();
    match words.as_slice() {
        ["loadbalancer", "app" | "net" | "gwy", name, id] if !name.is_empty() && !id.is_empty() => {
            Ok(Target::LoadBalancer(s.to_owned()))
        }
        ["targetgroup", name, id] if !name.is_empty() && !id.is_empty() => Ok(Target::TargetGroup(s.to_owned())),
        ["loadbalancer", name] if !name.is_empty() => Ok(Target::Arn(s.to_owned())),
        ["listener" | "listener-rule", kind, name, id, ..] => Err(format!(
            "is the ARN of a listener; its load balancer is \
             arn:{partition}:{service}:{region}:{account}:loadbalancer/{kind}/{name}/{id}"
        )),
        _ => Err("is no ARN of a load balancer (…:loadbalancer/app/NAME/ID) or target group (…:targetgroup/NAME/ID)"
            .replace('…', "...")),
    }
}

fn url(s: &str, scheme: &str, rest: &str) -> Result<Target, String> {
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(format!("has the scheme '{scheme}'; http and https are known"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') {
        // It would stand in the incident file and in exports.
        return Err("holds a user name or password; leave it out".into());
    }
    let (host, port) = split_port(authority)?;
    if host.is_empty() {
        return Err("is a URL without a host".into());
    }
    host_name(host)?;
    Ok(Target::Url { url: s.to_owned(), host: host.trim_end_matches('.').to_ascii_lowercase(), port })
}

/// `host:port`, `[v6]:port`, or no port. A bare IPv6 address is a host.
fn split_port(s: &str) -> Result<(&str, Option<u16>), String> {
    let number = |p: &str| match p.parse::<u16>() {
        Ok(n) if n > 0 => Ok(Some(n)),
        _ => Err(format!("has the port '{p}'; ports are 1 to 65535")),
    };
    if let Some(inner) = s.strip_prefix('[') {
        let Some((host, tail)) = inner.split_once(']') else { return Err("lacks the closing ']'".into()) };
        return match tail.strip_prefix(':') {
            Some(p) => Ok((host, number(p)?)),
            None if tail.is_empty() => Ok((host, None)),
            None => Err(format!("has '{tail}' behind its address")),
        };
    }
    if s.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((s, None));
    }
    match s.split_once(':') {
        Some((host, p)) => Ok((host, number(p)?)),
        None => Ok((s, None)),
    }
}

fn host_name(host: &str) -> Result<(), String> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    let bare = host.strip_suffix('.').unwrap_or(host);
    if bare.len() > 253 {
        return Err(format!("names a host of {} characters; 253 is the longest", bare.len()));
    }
    for label in bare.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(format!("names the host '{host}', whose parts must have 1 to 63 characters"));
        }
        if let Some(c) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_') {
            let hint = if c.is_ascii() { "" } else { "; write its xn-- form" };
            return Err(format!("names the host '{host}', which holds {}{hint}", shown(c)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_forms_apart() {
        let lb =
            "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188";
        let tg = "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/web/73e2d6bc24d8a067";
        let url = |u: &str, host: &str, port| Target::Url { url: u.into(), host: host.into(), port };
        let table = [
            (lb, Target::LoadBalancer(lb.into())),
            (tg, Target::TargetGroup(tg.into())),
            ("shop-alb", Target::Name("shop-alb".into())),
            (
                "arn:aws:cloudfront::1:distribution/E1A2B3",
                Target::Arn("arn:aws:cloudfront::1:distribution/E1A2B3".into()),
            ),
            (
                "arn:aws:elasticloadbalancing:r:1:loadbalancer/old",
                Target::Arn("arn:aws:elasticloadbalancing:r:1:loadbalancer/old".into()),
            ),
            (" shop-alb\n", Target::Name("shop-alb".into())),
            (
                "Shop-1.ap-northeast-1.elb.amazonaws.com.",
                Target::Host("shop-1.ap-northeast-1.elb.amazonaws.com".into()),
            ),
            ("203.0.113.9", Target::Host("203.0.113.9".into())),
            ("2001:db8::1", Target::Host("2001:db8::1".into())),
            ("https://Shop.Example.com/a?b", url("https://Shop.Example.com/a?b", "shop.example.com", None)),
            ("http://[2001:db8::1]:8080", url("http://[2001:db8::1]:8080", "2001:db8::1", Some(8080))),
            ("HTTPS://localhost:8443/", url("HTTPS://localhost:8443/", "localhost", Some(8443))),
        ];
        for (typed, want) in table {
            assert_eq!(typed.parse::<Target>(), Ok(want), "{typed}");
        }
        assert_eq!(lb.parse::<Target>().unwrap().names(), [lb, "shop"]);
    }

    #[test]
    fn says_what_is_wrong() {
        let a = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:";
        let table = [
            (String::new(), "is empty"),
            ("  ".into(), "is empty"),
            ("a b".into(), "holds a blank"),
            ("a\u{1b}[2J".into(), "holds a control character (U+001B)"),
            ("arn:aws:s3:::bucket".into(), "is an ARN of s3"),
            ("arn:aws".into(), "is cut short"),
            ("arn:aws:cloudfront::1:function/x".into(), "is an ARN of cloudfront"),
            (format!("{a}listener/app/shop/50dc/aa11"), "123456789012:loadbalancer/app/shop/50dc"),
            (format!("{a}loadbalancer/app/shop"), "is no ARN of a load balancer"),
            (format!("{a}targetgroup/web/"), "is no ARN of a load balancer"),
            ("ftp://x".into(), "has the scheme 'ftp'"),
            ("https://".into(), "is a URL without a host"),
            ("https://u:p@shop.example.com/".into(), "holds a user name or password"),
            ("https://shop.example.com:0/".into(), "has the port '0'"),
            ("https://shop..com/".into(), "1 to 63"),
            ("shop.example.com/path".into(), "write 'https://shop.example.com/path'"),
            ("shop.example.com:443".into(), "write 'https://shop.example.com:443/'"),
            ("shop!alb".into(), "holds '!'"),
            ("店.example".into(), "write its xn-- form"),
            ("/subscriptions/0/x".into(), "is an Azure resource id"),
            ("x".repeat(3000), "is 3000 bytes long"),
            ("[::1".into(), "lacks the closing ']'"),
        ];
        for (typed, want) in table {
            let line = typed.parse::<Target>().unwrap_err();
            assert!(line.contains(want) && !line.contains('\n'), "{typed}: {line}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// Whatever is typed: a target that can be named, or a line without control characters.
        #[test]
        fn any_text_is_a_target_or_one_line(typed in "(arn:|https?://|\\[)?.{0,60}") {
            match typed.parse::<Target>() {
                Ok(t) => {
                    proptest::prop_assert!(!t.text().is_empty());
                    proptest::prop_assert!(!t.text().chars().any(|c| c.is_control() || c.is_whitespace()));
                    proptest::prop_assert_eq!(t.text().parse::<Target>(), Ok(t.clone()));
                }
                // The line as it reaches the terminal.
                Err(why) => {
                    let line = crate::text::SafeText::from(format!("TARGET '{typed}' {why}"));
                    proptest::prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
                }
            }
        }
    }
}
