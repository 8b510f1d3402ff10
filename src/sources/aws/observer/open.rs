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

/// What was typed, and what its names lead to.
#[derive(Clone, Debug)]
pub struct Reading {
    pub asked: Asked,
    pub names: Names,
    pub resolved: Option<Resolved>,
    pub unresolved: Option<Reason>,
}

impl Reading {
    /// The form of what was typed; the error is one line for a person.
    pub fn of(typed: &str, options: &Options) -> Result<Reading, Trouble> {
        let asked = target::parse(typed).map_err(Trouble::Line)?;
        let names = Names::system(&options.resolve).map_err(Trouble::Line)?;
        Ok(Reading { asked, names, resolved: None, unresolved: None })
    }

    /// What the names lead to.
    pub async fn resolve(&self) -> Result<Option<Resolved>, Reason> {
        match &self.asked {
            // A load balancer's own DNS name says all there is to know.
            Asked::Host { host: target::Host::Name(n), .. }
                if elb_dns(n).is_some() || n.ends_with(".cloudfront.net") =>
            {
                Ok(None)
            }
            Asked::Host { host, port } => self.names.resolve(host, *port).await.map(Some),
            _ => Ok(None),
        }
    }

    /// What DNS does not know here, the account's own zones may.
    pub fn learn(&mut self, resolved: Result<Option<Resolved>, Reason>) {
        match resolved {
            Ok(resolved) => self.resolved = resolved,
            Err(reason) => self.unresolved = Some(reason),
        }
    }

    /// The region that the names lead to.
    pub fn led_to(&self) -> Option<String> {
        region_of(self.resolved.as_ref())
    }

    /// A search of this; what it offers goes nowhere until told where.
    pub fn search(&self, aws: Aws, typed: &str) -> Search {
        let (unused, _) = mpsc::channel(1);
        Search {
            aws,
            typed: SafeText::capped(typed.trim(), 300),
            asked: self.asked.clone(),
            resolved: self.resolved.clone(),
            unresolved: self.unresolved.clone(),
            names: self.names.clone(),
            others: Vec::new(),
            many: false,
            events: unused,
        }
    }
}

impl Opening {
    /// Reads, resolves and loads.
    pub async fn run(self) -> Result<Opened, Trouble> {
        let mut reading = Reading::of(&self.typed, &self.options)?;
        let (resolved, aws) = join(reading.resolve(), self.clients(reading.asked.region())).await;
        reading.learn(resolved);
        let mut aws = aws.map_err(Trouble::Reason)?;
        // The names may lead to a load balancer of another region.
        if let Some(region) = reading.led_to().filter(|r| *r != aws.region().as_str()) {
            aws = self.clients(Some(region)).await.map_err(Trouble::Reason)?;
        }
        Ok(Opened { search: reading.search(aws.clone(), &self.typed), aws })
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
