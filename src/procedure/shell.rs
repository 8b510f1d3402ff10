//! Command lines for people to paste. Names in them come from outside, so
//! every value is quoted unless it is plainly harmless.

use super::load::{Check, On, Only};
use super::result::Manual;
use super::suspects::{Place, Suspect, cluster_name};
use crate::situation::Situation;
use crate::text::SafeText;
use std::collections::BTreeMap;

/// A word the shell takes as one argument and as nothing else.
pub(crate) fn quote(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:/-@%+=,".contains(&b);
    if !word.is_empty() && !word.starts_with('-') && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Values for the places in command templates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// Sets a value; it will be quoted. Empty values count as unknown.
    pub fn set(&mut self, name: &'static str, value: &str) -> &mut Self {
        if !value.is_empty() {
            self.0.insert(name, quote(value));
        }
        self
    }

    /// Puts the values into a template. What is not known stays as its name in
    /// capitals, for the person to fill in.
    pub fn fill(&self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(i) = rest.find('{') {
            let name = rest[i + 1..].split('}').next().unwrap_or("");
            // `%{name}` is curl's own.
            let is_slot = !name.is_empty()
                && !rest[..i].ends_with('%')
                && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if !is_slot {
                out.push_str(&rest[..=i]);
                rest = &rest[i + 1..];
                continue;
            }
            out.push_str(&rest[..i]);
            match self.0.get(name) {
                Some(v) => out.push_str(v),
                // Without a profile or region the command is right as it is.
                None if name == "aws" => {
                    let kept = out.trim_end().len();
                    out.truncate(kept);
                }
                None => out.push_str(&name.to_ascii_uppercase()),
            }
            rest = &rest[i + name.len() + 2..];
        }
        out.push_str(rest);
        out
    }
}

/// Values everything in a situation gives: names, addresses, ports of the load
/// balancer and of the target that is most in question.
pub(crate) fn values(s: &Situation, suspect: Option<&Suspect<'_>>) -> Values {
    let mut v = Values::default();
    if let Some(id) = s.identity.value() {
        let mut flags = Vec::new();
        for (flag, value) in [("--region", &id.region), ("--profile", &id.profile)] {
            if !value.is_empty() {
                flags.extend([flag.to_owned(), quote(value)]);
            }
        }
        if !flags.is_empty() {
            v.0.insert("aws", flags.join(" "));
        }
    }
    let lb = s.load_balancer();
    let host = s.target.value().map(|t| t.host.as_str()).filter(|h| !h.is_empty());
    if let Some(lb) = lb {
        v.set("lb_arn", &lb.arn).set("lb_name", &lb.name).set("lb_dns", &lb.dns_name);
        v.set("lb_dimension", lb.dimension());
    }
    let host = host.or(lb.map(|l| l.dns_name.as_str())).unwrap_or("");
    v.set("host", host);
    let listeners = s.lb().and_then(|l| l.listeners.value()).map(Vec::as_slice).unwrap_or_default();
    let listener = listeners
        .iter()
        .find(|l| l.protocol.as_str() == "HTTPS")
        .or(listeners.first())
        .map(|l| (l.port, &l.protocol));
    let asked = s.target.value().map_or("", |t| t.asked.as_str());
    if asked.contains("://") {
        v.set("url", asked);
    } else if !host.is_empty() {
        let url = match listener {
            Some((443, p)) if p.as_str() == "HTTPS" => format!("https://{host}/"),
            Some((port, p)) if p.as_str() == "HTTPS" => format!("https://{host}:{port}/"),
            Some((80, _)) | None => format!("http://{host}/"),
            Some((port, _)) => format!("http://{host}:{port}/"),
        };
        v.set("url", &url);
    }
    if let (Some((port, _)), false) = (listener, host.is_empty()) {
        v.set("lb_connect", &format!("{host}:{port}"));
    }
    if !host.is_empty() {
        v.set("host_header", &format!("Host: {host}"));
    }
    if let Some(l) = listeners.first() {
        v.set("listener_arn", &l.arn);
    }
    let service = s.active_groups().into_iter().filter_map(|(_, g)| g.services.value()).flatten().next();
    if let Some(service) = service {
        v.set("cluster", cluster_name(&service.cluster)).set("service", &service.name);
    }
    if let Some(t) = suspect {
        v.set("target_id", &t.key.id).set("target_ip", &t.address).set("tg_arn", t.group_arn);
        v.set("tg_dimension", t.group.group.as_ref().map_or("", |g| g.dimension()));
        if let Some(port) = t.port {
            v.set("port", &port.to_string());
            v.set("target_arg", &format!("Id={},Port={port}", t.key.id));
        }
        let scheme = if t.tls { "https" } else { "http" };
        if let Some(g) = &t.group.group {
            let path = if g.health_check.path.is_empty() { "/" } else { g.health_check.path.as_str() };
            let port = t.health_port.unwrap_or(80);
            v.set("health_path", path).set("local_health_url", &format!("{scheme}://127.0.0.1:{port}{path}"));
        }
        if let Some(port) = t.port {
            v.set("target_url", &format!("{scheme}://{}:{port}/", t.address_in_url()));
            v.set("target_connect", &format!("{}:{port}", t.address_in_url()));
            v.set("local_url", &format!("{scheme}://127.0.0.1:{port}/"));
        }
        if let Place::Task { cluster, service, .. } = &t.place {
            v.set("cluster", cluster).set("service", service);
        }
    }
    v
}

/// The commands of a check, ready to paste: those for here, then those for a
/// host as plain shell lines, and as one line for each of the first hosts in
/// question that has a remote way in.
pub(crate) fn manual(
    check: &Check,
    values: &Values,
    suspects: &[Suspect<'_>],
    applies: impl Fn(Only) -> bool,
    remote: impl Fn(&str, &str) -> SafeText,
) -> Vec<Manual> {
    let mut out = Vec::new();
    let mut on_host: Vec<String> = Vec::new();
    for t in check.manual.iter().filter(|t| t.only.is_none_or(&applies)) {
        let run = values.fill(&t.run);
        if t.on == On::Host && !t.changes {
            on_host.push(run.clone());
        }
        out.push(Manual {
            what: t.what.clone(),
            run: run.into(),
            host: SafeText::default(),
            changes: t.changes,
        });
    }
    if on_host.is_empty() {
        return out;
    }
    let script = on_host.join("; ");
    let aws = values.0.get("aws").map(|a| format!(" {a}")).unwrap_or_default();
    for t in suspects.iter().take(HOSTS) {
        match &t.place {
            Place::Instance { id } => out.push(Manual {
                what: remote("SSM", id),
                run: ssm(id, &aws, &script).into(),
                host: id.clone(),
                changes: false,
            }),
            Place::Task { cluster, task, container, .. } => out.push(Manual {
                what: remote("ECS Exec", task),
                run: ecs_exec(cluster, task, container, &aws, &script).into(),
                host: task.clone(),
                changes: false,
            }),
            Place::Address => {}
        }
    }
    out
}

/// False for commands about things that are known not to be on this path.
/// Where that is not known, a command is rather shown in vain.
pub(crate) fn applies(s: &Situation, only: Only) -> bool {
    let groups = s.active_groups();
    let all = |no: &dyn Fn(&crate::situation::GroupState) -> bool| {
        !groups.is_empty() && groups.iter().all(|(_, g)| no(g))
    };
    let is = |g: &crate::situation::GroupState, f: &dyn Fn(&crate::situation::elb::TargetGroup) -> bool| {
        g.group.as_ref().is_some_and(f)
    };
    match only {
        Only::Ecs => !all(&|g| g.services.value().is_some_and(Vec::is_empty)),
        Only::Instances => !all(&|g| is(g, &|g| g.target_type.as_str() != "instance")),
        Only::TlsTarget => !all(&|g| is(g, &|g| g.protocol.as_str() != "HTTPS")),
        Only::AccessLogs => {
            let on = |a: &crate::situation::elb::Attributes| {
                a.get("access_logs.s3.enabled").is_some_and(|v| v.as_str() == "true")
            };
            s.lb().and_then(|l| l.attributes.value()).is_none_or(on)
        }
        Only::TlsListener => {
            let listeners = s.lb().and_then(|l| l.listeners.value());
            listeners.is_none_or(|all| all.iter().any(|l| matches!(l.protocol.as_str(), "HTTPS" | "TLS")))
        }
    }
}

/// Hosts that get a line of their own.
const HOSTS: usize = 3;

/// Runs a script by SSM and waits for what it prints (at most 100 s).
fn ssm(instance: &str, aws: &str, script: &str) -> String {
    let parameters = serde_json::json!({ "commands": [script] }).to_string();
    let on = format!("{aws} --command-id \"$id\" --instance-id {}", quote(instance));
    format!(
        "id=$(aws ssm send-command{aws} --instance-ids {} --document-name AWS-RunShellScript --parameters {} \
         --query Command.CommandId --output text) && {{ aws ssm wait command-executed{on}; \
         aws ssm get-command-invocation{on} --query StandardOutputContent --output text; }}",
        quote(instance),
        quote(&parameters)
    )
}

/// Runs a script in a container; it needs execute-command switched on for the task.
fn ecs_exec(cluster: &str, task: &str, container: &str, aws: &str, script: &str) -> String {
    let container =
        if container.is_empty() { String::new() } else { format!(" --container {}", quote(container)) };
    let command = format!("sh -c {}", quote(script));
    format!(
        "aws ecs execute-command{aws} --cluster {} --task {}{container} --interactive --command {}",
        quote(cluster),
        quote(task),
        quote(&command)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What a shell makes of a line that prints its arguments.
    fn words(line: &str) -> Vec<String> {
        let script = format!("printf '%s\\n' {line}");
        let out = Command::new("sh").args(["-c", &script]).output().unwrap();
        String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_quoted_word_is_one_argument_whatever_it_holds() {
        for word in
            ["plain", "two words", "it's", "$(touch x)", "`id`", "a;b", "", "-rf", "a\"b", "*", "&&", "~"]
        {
            assert_eq!(words(&quote(word)), [word], "{word}");
        }
        assert_eq!(quote("i-0a1:8080"), "i-0a1:8080");
    }

    #[test]
    fn unknown_values_stay_in_capitals() {
        let mut v = Values::default();
        v.set("host", "a b").set("port", "");
        assert_eq!(
            v.fill("curl {host} -p {port} {aws} ${x} {}"),
            "curl 'a b' -p PORT ${x} {}".replace("${x}", "$X")
        );
        assert_eq!(v.fill("-w '%{http_code}' {host}"), "-w '%{http_code}' 'a b'");
        assert_eq!(v.fill("awk '{print $1}'; { x; }"), "awk '{print $1}'; { x; }");
    }

    #[test]
    fn a_script_reaches_the_far_shell_unharmed() {
        let script = "grep -E 'a|b' /x | awk '{print $1}'; echo \"it's\"";
        let line = ssm("i-0a1", " --region eu-west-1", script);
        let inside = line.split("--parameters ").nth(1).unwrap().split(" --query Command").next().unwrap();
        let parameters: serde_json::Value = serde_json::from_str(&words(inside)[0]).unwrap();
        assert_eq!(parameters["commands"][0], script);

        let line = ecs_exec("c", "t", "", "", script);
        let command = &words(line.split("--command ").nth(1).unwrap())[0];
        assert_eq!(words(command.strip_prefix("sh -c ").unwrap()), [script]);
    }
}
