//! `badgate path FROM TO[:PORT]`.

use super::{Failure, print, snapshot};
use crate::cli::{End, Path};
use crate::diagnosis::path::{Endpoint, Network, Verdict, evaluate};
use crate::report::path::to_text;
#[cfg(feature = "aws")]
use crate::situation::Observation;
use crate::situation::Situation;
use crate::text::SafeText;

/// Evaluates one path; the exit code is its verdict.
pub fn run(args: &Path) -> Result<u8, Failure> {
    let situation = match &args.snapshot {
        Some(dir) => snapshot::read(dir)?.1,
        None => live(args)?,
    };
    let end = |e: &End| endpoint(e, &situation, args);
    let (from, to) = (end(&args.from)?, end(&args.to)?);
    let report = evaluate(&Network::of(&situation), &from, &to, args.protocol, args.port);
    let text = if args.json {
        // Nothing in it can fail to serialise.
        serde_json::to_string_pretty(&report).map(|s| s + "\n").unwrap_or_default()
    } else {
        to_text(&report)
    };
    let code = match report.verdict {
        Verdict::Open => 0,
        Verdict::Partly | Verdict::Blocked => 1,
        Verdict::Unknown | Verdict::NotApplicable => 3,
    };
    Ok(print(text.as_bytes(), code))
}

fn endpoint(e: &End, s: &Situation, args: &Path) -> Result<Endpoint, Failure> {
    Ok(match e {
        End::Internet => Endpoint::Internet,
        End::Address(ip) => Endpoint::Address(*ip),
        End::Instance(id) => Endpoint::Instance(id.as_str().into()),
        End::Interface(id) => Endpoint::Interface(id.as_str().into()),
        End::LoadBalancer(name) => match Endpoint::parse(name, s) {
            Some(found) => found,
            None => {
                let names: Vec<SafeText> =
                    s.lbs.values().filter_map(|l| l.lb.value()).map(|lb| lb.name.clone()).collect();
                let kind = "no instance, interface, address or load balancer";
                let line = match &args.snapshot {
                    Some(dir) => snapshot::nowhere(name, kind, dir, &names),
                    None => {
                        let gap = s.lbs.get(name.as_str()).and_then(|l| l.lb.why_unknown());
                        let why = gap.map_or(String::new(), |r| format!(": {}", r.phrase()));
                        format!("'{name}' is {kind} that was found{why}").into()
                    }
                };
                return Err(Failure { code: 3, line });
            }
        },
    })
}

#[cfg(feature = "aws")]
fn live(args: &Path) -> Result<Situation, Failure> {
    use crate::sources::Options;
    use crate::sources::aws::path::observe;
    let ends = [&args.from, &args.to].map(|e| match e {
        End::Internet => Endpoint::Internet,
        End::Address(ip) => Endpoint::Address(*ip),
        End::Instance(id) => Endpoint::Instance(id.as_str().into()),
        End::Interface(id) => Endpoint::Interface(id.as_str().into()),
        End::LoadBalancer(name) => Endpoint::LoadBalancer(name.as_str().into()),
    });
    let asks = args.places.iter().map(|place| {
        let options = Options {
            profile: place.profile.clone(),
            region: place.region.clone(),
            call_timeout: Some(args.timeout),
            ..Options::default()
        };
        observe(options, ends.to_vec())
    });
    let all = crate::console::run::block_on(futures::future::join_all(asks))
        .map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
    let mut list = Vec::new();
    let mut failed: Vec<String> = Vec::new();
    for (place, answer) in args.places.iter().zip(all) {
        match answer {
            Ok(told) => list.extend(told),
            Err(why) if args.places.len() == 1 => failed.push(why.phrase()),
            Err(why) => failed.push(format!("{}: {}", place.name(), why.phrase())),
        }
    }
    if failed.len() == args.places.len() {
        return Err(Failure { code: 3, line: failed.join("; ").into() });
    }
    for line in failed {
        super::complain(&SafeText::from(format!("badgate: not asked: {line}")));
    }
    let mut s = Situation::new();
    for o in &list {
        if !elsewhere(o, &list) {
            s.apply(o);
        }
    }
    Ok(s)
}

/// An end that one place does not have was found in another.
#[cfg(feature = "aws")]
fn elsewhere(o: &Observation, all: &[Observation]) -> bool {
    use crate::situation::{Fact, Reason, Topic};
    let Fact::Unknown(Reason::NotFound { what }) = &o.fact else { return false };
    all.iter().any(|other| match (&o.topic, &other.fact) {
        (Topic::LoadBalancer(name), Fact::LoadBalancer(lb)) => {
            [&lb.name, &lb.arn].contains(&name) || lb.dns_name.eq_ignore_ascii_case(name)
        }
        (Topic::Instances(_), Fact::Instances(list)) => list.iter().any(|i| i.id == *what),
        (Topic::Interfaces(_), Fact::Interfaces(list)) => list.iter().any(|i| i.id == *what),
        _ => false,
    })
}

#[cfg(not(feature = "aws"))]
fn live(_args: &Path) -> Result<Situation, Failure> {
    let line = "this badgate was built without AWS (--no-default-features): give --snapshot DIR";
    Err(Failure { code: 3, line: line.into() })
}
