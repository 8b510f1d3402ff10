//! From what was typed to a search that can begin: the form is read, names
//! are resolved and configuration is loaded, the two at the same time.

use crate::situation::Reason;
use crate::sources::aws::client::{Aws, Place};
use crate::sources::aws::find::Search;
use crate::sources::aws::names::{Names, Resolved};
use crate::sources::aws::target::{self, Asked, elb_dns};
use crate::sources::{Call, Options};
use crate::text::SafeText;
use futures::future::join;
use tokio::sync::mpsc;

/// What is needed to begin.
#[derive(Debug)]
pub struct Opening {
    pub place: Option<Place>,
    pub options: Options,
    pub typed: String,
    /// The clients of an earlier target, used again where the region is the same.
    pub aws: Option<Aws>,
    pub calls: mpsc::Sender<Call>,
}

/// Ready to search.
#[derive(Debug)]
pub struct Opened {
    pub aws: Aws,
    pub search: Search,
}

/// Why it cannot begin.
#[derive(Debug)]
pub enum Trouble {
    /// One line for a person: trying again would not help.
    Line(String),
    /// Nobody could say.
    Reason(Reason),
}

impl Opening {
    /// Reads, resolves and loads.
    pub async fn run(self) -> Result<Opened, Trouble> {
        let asked = target::parse(&self.typed).map_err(Trouble::Line)?;
        let names = Names::system(&self.options.resolve).map_err(Trouble::Line)?;
        let resolve = async {
            match &asked {
                // A load balancer's own DNS name says all there is to know.
                Asked::Host { host: target::Host::Name(n), .. }
                    if elb_dns(n).is_some() || n.ends_with(".cloudfront.net") =>
                {
                    Ok(None)
                }
                Asked::Host { host, port } => names.resolve(host, *port).await.map(Some),
                _ => Ok(None),
            }
        };
        let (resolved, aws) = join(resolve, self.clients(asked.region())).await;
        // What DNS does not know here, the account's own zones may.
        let (resolved, unresolved) = match resolved {
            Ok(resolved) => (resolved, None),
            Err(reason) => (None, Some(reason)),
        };
        let mut aws = aws.map_err(Trouble::Reason)?;
        // The names may lead to a load balancer of another region.
        if let Some(region) = region_of(resolved.as_ref()).filter(|r| *r != aws.region().as_str()) {
            aws = self.clients(Some(region)).await.map_err(Trouble::Reason)?;
        }
        let (unused, _) = mpsc::channel(1);
        let search = Search {
            aws: aws.clone(),
            typed: SafeText::capped(self.typed.trim(), 300),
            asked,
            resolved,
            unresolved,
            names,
            events: unused,
        };
        Ok(Opened { aws, search })
    }

    /// Clients for the region that the target names, else for the configured one.
    async fn clients(&self, region: Option<String>) -> Result<Aws, Reason> {
        if let Some(aws) = &self.aws {
            let same = match &region {
                Some(r) => *r == aws.region().as_str(),
                // Those of an earlier target may be of that target's region.
                None => aws.options().region == self.options.region,
            };
            if same {
                return Ok(aws.clone());
            }
        }
        let mut options = self.options.clone();
        if region.is_some() {
            options.region = region;
        }
        Aws::load_at(self.place.clone(), options, self.calls.clone()).await
    }
}

fn region_of(resolved: Option<&Resolved>) -> Option<String> {
    resolved?.names.iter().find_map(|n| elb_dns(n)).map(|d| d.region)
}
