//! How long a load balancer waits, asked for the rows it wrote.

use crate::situation::Reason;
use crate::situation::elb::Attributes;
use crate::sources::aws::ask::{classic, elb};
use crate::sources::aws::client::Aws;
use crate::sources::aws::find::Search;
use crate::sources::aws::found::Outcome;
use crate::sources::aws::names::Names;
use crate::sources::aws::target::{self, Asked};
use crate::text::SafeText;
use futures::future::{join, try_join_all};
use tokio::sync::mpsc;

/// Target groups of one load balancer that are asked at most.
const GROUPS: usize = 100;

/// What rows are judged by, in seconds; `Ok(None)` where there is no such thing.
#[derive(Clone, Debug)]
pub struct Waits {
    /// The load balancer.
    pub of: SafeText,
    pub idle: Result<Option<f64>, Reason>,
    /// The shortest of its target groups.
    pub deregistration: Result<Option<f64>, Reason>,
}

/// Why nothing is known.
#[derive(Clone, Debug)]
pub enum NoWaits {
    /// One line for a person: trying again would not help.
    Line(String),
    /// Nobody could say.
    Reason(Reason),
}

impl From<Reason> for NoWaits {
    fn from(why: Reason) -> NoWaits {
        NoWaits::Reason(why)
    }
}

/// Finds what a TARGET stands for, and asks how long it waits.
///
/// # Errors
/// When it is not a target, is not there, or nobody could say.
pub async fn waits(aws: &Aws, typed: &str) -> Result<Waits, NoWaits> {
    let (aws, outcome) = search(aws, typed).await?;
    let found = match outcome {
        Outcome::One(found) => found,
        Outcome::None(missing) => return Err(NoWaits::Line(missing.line)),
        Outcome::Several => {
            return Err(NoWaits::Line(format!(
                "several load balancers may be {}; write the name or ARN of the one that wrote the rows",
                SafeText::capped(typed, 200)
            )));
        }
    };
    let aws = found.aws.as_ref().unwrap_or(&aws);
    let t = &found.target;
    if !t.classic.is_empty() {
        let c = classic::classic_named(aws, &t.classic).await?;
        let known = |s: Option<u32>| match (s, &c.gap) {
            (Some(s), _) => Ok(Some(f64::from(s))),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Ok(None),
        };
        let (idle, deregistration) = (known(c.idle_s), known(c.draining_s));
        return Ok(Waits { of: c.name, idle, deregistration });
    }
    if t.lb.is_empty() {
        return Err(NoWaits::Line(format!(
            "{} leads to no load balancer; write the name or ARN of the one that wrote the rows",
            SafeText::capped(typed, 200)
        )));
    }
    let (attributes, groups) = join(elb::lb_attributes(aws, &t.lb), delays(aws, &t.lb)).await;
    let name = t.lb.split('/').nth(2).unwrap_or(&t.lb);
    Ok(Waits {
        of: name.into(),
        idle: attributes.map(|a| seconds(&a, "idle_timeout.timeout_seconds")),
        deregistration: groups,
    })
}

/// Who is asked, and what was found.
async fn search(aws: &Aws, typed: &str) -> Result<(Aws, Outcome), NoWaits> {
    let asked = target::parse(typed).map_err(NoWaits::Line)?;
    let names = Names::system(&aws.options().resolve).map_err(NoWaits::Line)?;
    let aws = match asked.region() {
        Some(region) => aws.in_region(&region).await?,
        None => aws.clone(),
    };
    let resolved = match &asked {
        // A load balancer's own DNS name says all there is to know.
        Asked::Host { host: target::Host::Name(n), .. }
            if target::elb_dns(n).is_some() || n.ends_with(".cloudfront.net") =>
        {
            Ok(None)
        }
        Asked::Host { host, port } => names.resolve(host, *port).await.map(Some),
        _ => Ok(None),
    };
    let (resolved, unresolved) = match resolved {
        Ok(r) => (r, None),
        Err(why) => (None, Some(why)),
    };
    let (events, _) = mpsc::channel(1);
    let (typed, others) = (SafeText::capped(typed.trim(), 300), Vec::new());
    let who = aws.clone();
    let search = Search { aws, typed, asked, resolved, unresolved, names, others, many: false, events };
    Ok((who, search.run().await?))
}

/// The shortest deregistration delay of its target groups.
async fn delays(aws: &Aws, lb: &str) -> Result<Option<f64>, Reason> {
    let groups = elb::target_groups(aws, lb).await?;
    let all = try_join_all(groups.iter().take(GROUPS).map(|g| elb::tg_attributes(aws, &g.arn))).await?;
    let key = "deregistration_delay.timeout_seconds";
    Ok(all.iter().filter_map(|a| seconds(a, key)).reduce(f64::min))
}

fn seconds(attributes: &Attributes, key: &str) -> Option<f64> {
    attributes.iter().find(|(k, _)| k.as_str() == key)?.1.parse().ok()
}
