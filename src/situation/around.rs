//! What surrounds a request path: changes, status checks, Auto Scaling,
//! certificates, databases, functions.

use super::datum::Reason;
use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A change somebody made through the API, as CloudTrail recorded it.
/// Source: CloudTrail API reference, `LookupEvents`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeEvent {
    pub at: Timestamp,
    /// `RevokeSecurityGroupIngress`.
    pub name: SafeText,
    /// `ec2.amazonaws.com`.
    pub service: SafeText,
    pub user: SafeText,
    /// Ids, names and ARNs the event is about, and those its parameters mention.
    pub about: Vec<SafeText>,
    /// Error code when the call failed: then nothing was changed.
    pub failed: SafeText,
    pub id: SafeText,
}

/// Changes in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    pub from: Option<Timestamp>,
    /// Newest first.
    pub events: Vec<ChangeEvent>,
    /// What was left out, when there was too much; empty when all was read.
    pub cut: SafeText,
}

/// Status checks of one instance. `ok`, `impaired`, `initializing`,
/// `insufficient-data`, `not-applicable`; empty when not reported.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceStatus {
    pub id: SafeText,
    pub state: SafeText,
    pub system: SafeText,
    pub instance: SafeText,
    pub volumes: SafeText,
    pub application: SafeText,
    /// Checks of the application that failed, where any is set up.
    pub application_checks: Vec<ApplicationCheck>,
    /// Why they could not be read; empty when they were, or there was no need.
    pub application_unread: Option<Reason>,
    pub performance: SafeText,
    /// Scheduled events: `system-reboot: text`.
    pub events: Vec<SafeText>,
}

/// An application status check of an instance that fails (EC2 API reference:
/// `ApplicationStatusDetail`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplicationCheck {
    pub id: SafeText,
    /// `ConnectionRefused`, `ConnectionReset`, `ConnectionTimeout`,
    /// `ResponseTimeout`, `ResponseCodeMismatch`; empty when not said.
    pub reason: SafeText,
    /// The status that was answered instead of the one that is wanted.
    pub status_code: Option<i32>,
    pub since: Option<Timestamp>,
}

/// An Auto Scaling group that holds targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScalingGroup {
    pub name: SafeText,
    pub min: i32,
    pub max: i32,
    pub desired: i32,
    /// `EC2` or `ELB`.
    pub health_check: SafeText,
    pub grace_s: Option<i32>,
    /// Names of suspended processes.
    pub suspended: Vec<SafeText>,
    pub target_groups: Vec<SafeText>,
    /// Instance id and life cycle state.
    pub instances: Vec<(SafeText, SafeText)>,
    /// Newest first.
    pub activities: Vec<Activity>,
}

/// One activity of an Auto Scaling group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Activity {
    pub at: Timestamp,
    pub ended: Option<Timestamp>,
    /// `Successful`, `Failed`, `InProgress`, ...
    pub status: SafeText,
    /// `Terminating EC2 instance: i-0abc`.
    pub what: SafeText,
    pub cause: SafeText,
}

/// A certificate of a listener. Source: ACM API reference, `DescribeCertificate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Certificate {
    pub arn: SafeText,
    /// `ISSUED`, `EXPIRED`, `PENDING_VALIDATION`, `REVOKED`, ...
    pub status: SafeText,
    pub domain: SafeText,
    pub names: Vec<SafeText>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    /// `AMAZON_ISSUED`, `IMPORTED`.
    pub kind: SafeText,
    /// Status of the renewal and its reason; empty when there is none.
    pub renewal: SafeText,
}

impl Certificate {
    /// Does it cover this host name?
    pub fn covers(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.names.iter().chain([&self.domain]).any(|name| {
            let name = name.to_ascii_lowercase();
            match name.strip_prefix("*.") {
                Some(rest) => {
                    host.split_once('.').is_some_and(|(label, tail)| !label.is_empty() && tail == rest)
                }
                None => name == host,
            }
        })
    }
}

/// A database that the targets may reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    pub id: SafeText,
    pub arn: SafeText,
    /// `available`, `stopped`, `failed`, `storage-full`, `rebooting`, ...
    pub status: SafeText,
    pub engine: SafeText,
    pub class: SafeText,
    pub host: SafeText,
    pub port: Option<u16>,
    pub security_groups: Vec<SafeText>,
    pub multi_az: bool,
}

/// A function that is a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Function {
    pub arn: SafeText,
    pub name: SafeText,
    /// `Active`, `Inactive`, `Pending`, `Failed`.
    pub state: SafeText,
    pub state_reason: SafeText,
    pub last_update: SafeText,
    pub modified: Option<Timestamp>,
    pub timeout_s: Option<u32>,
    pub memory_mib: Option<u32>,
    /// Concurrency set aside for it; 0 means that it is switched off.
    pub reserved: Option<u32>,
    /// Principals its resource policy allows to invoke it; `None` when the
    /// policy could not be read.
    pub invokers: Option<Vec<SafeText>>,
    /// Log group it writes to; empty when it is the usual one.
    pub log_group: SafeText,
    /// Parts that could not be read, by IAM action or in words.
    pub gaps: Vec<(SafeText, Reason)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        let c = Certificate {
            domain: "shop.example.com".into(),
            names: vec!["*.api.example.com".into()],
            ..Certificate::default()
        };
        for (host, want) in [
            ("shop.example.com", true),
            ("SHOP.example.com.", true),
            ("v1.api.example.com", true),
            ("a.v1.api.example.com", false),
            ("api.example.com", false),
            (".api.example.com", false),
            ("www.example.com", false),
        ] {
            assert_eq!(c.covers(host), want, "{host}");
        }
    }
}
