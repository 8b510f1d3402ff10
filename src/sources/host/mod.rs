//! What hosts say of themselves: a fixed list of commands that only read, run
//! here or by the system's own `ssh`, read into observations with units.
//! Output is untrusted text. Command lines and configuration are read for
//! timeouts and limits only; nothing else of them is kept.

mod brief;
mod capture;
mod commands;
mod firewall;
mod follow;
mod inside;
mod parse;
mod session;
mod settings;
mod transport;

pub use brief::{BRIEF, Local, is_ours, lines as brief_lines, mark};
pub use capture::Look;
pub use commands::{COMMANDS, Command, follow_script, script};
pub use follow::{Following, follow};
pub use inside::{Container, commands as inside_commands, is_ours as is_inside, line as inside_line};
pub use session::{PLUGIN, Session, found, run as run_session, usable};
pub use transport::{Output, Reached, Trouble};

use crate::situation::host::Host;
use crate::situation::log::{LogLine, Tail, TailMode};
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::sources::stamp::Stamps;
use crate::text::SafeText;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use parse::Answers;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// How long one host may take for the whole list.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Lines of one log that are kept.
const LINES: usize = 200;

/// How hosts are asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking {
    /// For each host; [`LIMIT`] when zero.
    pub limit: Duration,
    /// Also look at what passes.
    pub look: Option<Look>,
}

/// Asks one host everything: what it says, and the newest lines of its error
/// logs. Never fails: a host that cannot be asked is an observation too.
pub async fn observe(host: &Reached, limit: Duration) -> Vec<Observation> {
    observe_by(host, &Asking { limit, ..Asking::default() }).await
}

/// The same, by any way there is.
pub async fn observe_by(host: &Reached, asking: &Asking) -> Vec<Observation> {
    let started = Instant::now();
    let limit = if asking.limit.is_zero() { LIMIT } else { asking.limit };
    // Unlike anything a host prints, so that no file can forge an answer.
    let mark = format!("==badgate-{:x}-{:x}==", std::process::id(), Timestamp::now().as_nanosecond());
    let look = async {
        let look = asking.look?;
        let within = limit + Duration::from_secs(u64::from(look.seconds));
        let ran = host.run(&look.script(&mark), &mark, within).await.map(|o| o.bytes);
        Some((look, ran))
    };
    let (ran, looked) = futures::future::join(host.run(&script(&mark), &mark, limit), look).await;
    let at = Timestamp::now();
    let took_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
    let made = |topic, fact| Observation { at, source: host.to_string().into(), topic, fact, took_ms };
    let topic = Topic::Host(host.to_string().into());
    let (bytes, first) = match ran {
        Ok(output) => (output.bytes, output.first),
        Err(Trouble::TimedOut) => {
            let after_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            return vec![made(topic, Fact::Unknown(Reason::TimedOut { after_ms }))];
        }
        Err(Trouble::Failed(detail)) => {
            return vec![made(topic, Fact::Unknown(Reason::Offline { detail: detail.into() }))];
        }
    };
    let asked = host.to_string();
    let (mut seen, logs) = read_whole(&asked, &Answers::read(&bytes, &mark), first, at);
    if let Some((look, ran)) = looked {
        let read = ran.map_err(|t| t.to_string()).and_then(|bytes| {
            let a = Answers::read(&bytes, &mark);
            capture::read(&look, a.of("capture"), a.code("capture"))
        });
        match read {
            Ok(capture) => seen.capture = Some(capture),
            Err(why) => seen.silent.push(("capture".into(), SafeText::capped(why, 160))),
        }
    }
    let mut out = vec![made(topic, Fact::Host(Box::new(seen)))];
    out.extend(logs.into_iter().map(|(topic, fact)| made(topic, fact)));
    out
}

/// What the whole list told: the host, and the newest lines of its logs.
fn read_whole(
    asked: &str,
    answers: &Answers,
    first: Option<f64>,
    at: Timestamp,
) -> (Host, Vec<(Topic, Fact)>) {
    let mut seen = parse::host(asked, answers);
    seen.silent = parse::silent(answers);
    let mut clock = answers.of("clock").lines();
    let theirs = clock.next().and_then(|l| l.trim().parse::<f64>().ok());
    let said = clock.next().map(str::trim);
    let zone = said.and_then(offset);
    seen.zone = said.filter(|_| zone.is_some()).map(SafeText::from);
    seen.clock_ms = theirs.zip(first).map(|(t, f)| ((t - f) * 1000.0).round());
    let skew = seen.clock_ms.unwrap_or(0.0);
    let zone = zone.unwrap_or(TimeZone::UTC);
    let mut logs = Vec::new();
    for (file, text) in settings::files(answers.of("logs")) {
        let name = SafeText::capped(format!("{asked}:{file}"), 200);
        logs.extend(read_once(name.clone(), lines(&name, text, zone.clone(), at, skew)));
    }
    (seen, logs)
}

/// What a container said in a session: the same as of a host, by the list for
/// containers. `address` is its own, as the cloud knows it.
pub fn read_inside(
    asked: &str,
    output: &Output,
    mark: &str,
    at: Timestamp,
    address: &str,
) -> Vec<(Topic, Fact)> {
    let text = inside::plain(&output.bytes, mark);
    let answers = Answers::read(&text, mark);
    let (mut seen, logs) = read_whole(asked, &answers, output.first, at);
    seen.silent = parse::silent_of(&inside::ids(), &answers);
    if address.parse::<std::net::IpAddr>().is_ok() && !seen.addresses.iter().any(|a| a.as_str() == address) {
        seen.addresses.push(address.into());
    }
    let host = (Topic::Host(asked.into()), Fact::Host(Box::new(seen)));
    std::iter::once(host).chain(logs).collect()
}

/// What a run-command service brought: what a host printed for the short
/// list, run at some time between `sent` and `received`.
#[derive(Clone, Copy, Debug)]
pub struct Ran<'a> {
    /// Name of the host as it was asked: `ssm:i-0abc`.
    pub asked: &'a str,
    /// Operation that brought the answer.
    pub source: &'a str,
    pub output: &'a str,
    pub mark: &'a str,
    pub local: Option<&'a Local>,
    pub sent: Timestamp,
    pub received: Timestamp,
}

/// Reads it into observations: the host, and its newest log lines.
pub fn read_brief(ran: &Ran<'_>) -> Vec<Observation> {
    let at = ran.received;
    let took_ms = u32::try_from(at.duration_since(ran.sent).as_millis()).unwrap_or(u32::MAX);
    let made = |topic, fact| Observation { at, source: ran.source.into(), topic, fact, took_ms };
    let answers = Answers::read(ran.output.as_bytes(), ran.mark);
    let mut seen = parse::host(ran.asked, &answers);
    seen.silent = parse::cut(&answers);
    seen.local = ran.local.and_then(|l| parse::local(l.port, &l.path, answers.of(brief::LOCAL)));
    let mut clock = answers.of("clock").lines();
    let theirs = clock.next().and_then(|l| l.trim().parse::<f64>().ok());
    let zone = clock.next().and_then(offset).unwrap_or(TimeZone::UTC);
    // When exactly it ran is not known: only what lies outside is off.
    let bound = |t: Timestamp| t.as_millisecond() as f64 / 1000.0;
    seen.clock_ms = theirs.map(|t| {
        let off = if t < bound(ran.sent) {
            t - bound(ran.sent)
        } else if t > bound(at) {
            t - bound(at)
        } else {
            0.0
        };
        (off * 1000.0).round()
    });
    let skew = seen.clock_ms.unwrap_or(0.0);
    // The journal has what dmesg has, with better times.
    let journal = !answers.of("kernel").is_empty();
    let mut tails = Vec::new();
    for (id, file) in brief::LOGS.into_iter().filter(|(id, _)| *id != "dmesg" || !journal) {
        let text: String = answers.of(id).lines().filter_map(|l| kernel_line(l, &zone, at)).collect();
        if file == brief::KERNEL {
            seen.kernel = text.lines().map(|l| SafeText::capped(l.trim_end(), 240)).take(LINES).collect();
        }
        if !text.is_empty() && !text.contains("No such file") {
            let name = SafeText::capped(format!("{}:{file}", ran.asked), 200);
            let lines = lines(&name, &text, zone.clone(), at, skew);
            tails.extend(read_once(name, lines));
        }
    }
    let host = (Topic::Host(ran.asked.into()), Fact::Host(Box::new(seen)));
    std::iter::once(host).chain(tails).map(|(topic, fact)| made(topic, fact)).collect()
}

/// Lines of a log that is not followed, and that it is not.
fn read_once(name: SafeText, lines: Vec<LogLine>) -> [(Topic, Fact); 2] {
    let tail = Tail { mode: TailMode::Polled, note: "read once, when the host was asked".into() };
    [(Topic::Tail(name.clone()), Fact::LogLines(lines)), (Topic::Tail(name), Fact::Tail(tail))]
}

/// Kernel messages older than this are of another day.
const KERNEL: jiff::SignedDuration = jiff::SignedDuration::from_mins(90);

/// A line with its time in a form that is read; `None` for what is too old.
/// `dmesg -T` writes `[Sun Nov 22 13:50:54 2026] text`, in the host's zone.
fn kernel_line(line: &str, zone: &TimeZone, now: Timestamp) -> Option<String> {
    let told = line.strip_prefix('[').and_then(|l| l.split_once("] "));
    let stamp = told.and_then(|(stamp, text)| {
        let civil = jiff::civil::DateTime::strptime("%a %b %d %H:%M:%S %Y", stamp.trim()).ok()?;
        Some((civil.to_zoned(zone.clone()).ok()?.timestamp(), text))
    });
    match stamp {
        Some((at, _)) if now.duration_since(at) > KERNEL => None,
        Some((at, text)) => Some(format!("{at} kernel: {text}\n")),
        None => Some(format!("{line}\n")),
    }
}

/// `+0900`.
fn offset(text: &str) -> Option<TimeZone> {
    let text = text.trim();
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", d) => (1, d),
        ("-", d) => (-1, d),
        _ => return None,
    };
    let (h, m): (i32, i32) = (digits.get(..2)?.parse().ok()?, digits.get(2..4)?.parse().ok()?);
    Offset::from_seconds(sign * (h * 3600 + m * 60)).ok().map(TimeZone::fixed)
}

/// Lines with their times by our clock: the host's may be off.
fn lines(group: &SafeText, text: &str, zone: TimeZone, now: Timestamp, skew_ms: f64) -> Vec<LogLine> {
    let stamps = Stamps::new(zone);
    let skew = jiff::SignedDuration::from_millis(skew_ms as i64);
    let mut last = now;
    let all: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let mut times_seen: HashMap<u64, usize> = HashMap::new();
    all[all.len().saturating_sub(LINES)..]
        .iter()
        .map(|line| {
            if let Some(t) = stamps.read(line.as_bytes(), now) {
                last = t.checked_sub(skew).unwrap_or(t);
            }
            // The same lines come again whenever the host is asked again.
            let mut hash = DefaultHasher::new();
            (group.as_str(), line).hash(&mut hash);
            let n = times_seen.entry(hash.finish()).and_modify(|n| *n += 1).or_default();
            let id = format!("{:016x}-{n}", hash.finish()).into();
            let text = SafeText::capped(line, 4096);
            LogLine { at: last, group: group.clone(), stream: SafeText::default(), id, text }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_host_come_onto_one_clock() {
        let now: Timestamp = "2026-11-22T01:54:00Z".parse().unwrap();
        let text = "2026/11/22 10:53:50 [error] 7#7: *1 no live upstreams\n  continued\n";
        // Nine hours east, and 2 s ahead.
        let out =
            lines(&"ssh:web-1:/var/log/nginx/error.log".into(), text, offset("+0900").unwrap(), now, 2000.0);
        assert_eq!(out.len(), 2);
        assert_eq!(out[0].at, "2026-11-22T01:53:48Z".parse::<Timestamp>().unwrap());
        assert_eq!(out[1].at, out[0].at);
        // Asked again, the same lines are the same lines.
        let again = lines(&out[0].group, text, TimeZone::UTC, now, 0.0);
        assert!(out[0].id == again[0].id && out[0].id != out[1].id);
    }

    #[test]
    fn what_a_run_command_service_brought_is_read() {
        let sent: Timestamp = "2026-11-22T02:00:00Z".parse().unwrap();
        let received: Timestamp = "2026-11-22T02:00:02Z".parse().unwrap();
        let mark = "==badgate-12ab==";
        let local = Local::new(8080, "/health", false);
        let output = format!(
            "{mark} local\n000\n{mark} clock\n1795312801.5\n+0900\n{mark} memory\nMem: 1910 1851 31 2 28 14\n\
             {mark} dmesg\n[Sat Nov 21 10:00:00 2026] Out of memory: Killed process 1 (old)\n\
             [Sun Nov 22 10:47:00 2026] Out of memory: Killed process 2 (shopd)\n{mark} nginx-log\n\
             tail: cannot open '/var/log/nginx/error.log' for reading: No such file or directory\n"
        );
        let ran = Ran {
            asked: "ssm:i-1",
            source: "ssm:GetCommandInvocation",
            output: &output,
            mark,
            local: Some(&local),
            sent,
            received,
        };
        let all = read_brief(&ran);
        let Fact::Host(h) = &all[0].fact else { panic!("{:?}", all[0]) };
        assert_eq!(h.local.as_ref().map(|l| (l.port, l.status)), Some((8080, None)));
        assert_eq!(h.clock_ms, Some(0.0));
        assert_eq!(h.memory.map(|m| m.available_mib), Some(14));
        assert!(h.is_target("i-1") && !h.is_target("i-2"));
        assert!(h.silent.iter().any(|(id, _)| id == "iptables"), "what was cut off is said");
        let lines: Vec<_> = all
            .iter()
            .filter_map(|o| match &o.fact {
                Fact::LogLines(l) => Some(l),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(lines.len(), 1, "yesterday's is not told: {lines:?}");
        assert_eq!(lines[0].at, "2026-11-22T01:47:00Z".parse::<Timestamp>().unwrap());
        assert_eq!(lines[0].group, "ssm:i-1:kernel");
    }

    #[tokio::test]
    async fn the_machine_this_runs_on_answers() {
        let all = observe(&Reached::Local, Duration::from_secs(60)).await;
        let Fact::Host(h) = &all[0].fact else { panic!("{:?}", all[0]) };
        assert!(h.cores.is_some_and(|n| n > 0) && h.load.is_some(), "{h:?}");
        assert!(h.memory.is_some_and(|m| m.total_mib > 0), "{h:?}");
        assert!(h.clock_ms.is_some_and(|ms| ms.abs() < 60_000.0), "{h:?}");
        assert_eq!(all[0].topic, Topic::Host("local".into()));
    }
}
