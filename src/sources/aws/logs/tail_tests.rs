use super::*;
use crate::sources::Event;
use crate::sources::aws::logs::api::Page;
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::mpsc;

/// CloudWatch Logs in memory, with whatever faults a test asks for.
#[derive(Default)]
struct Service {
    state: Mutex<State>,
    arrived: tokio::sync::Notify,
}

#[derive(Default)]
struct State {
    events: Vec<(String, Raw)>,
    /// Answers to the next reads before the real ones.
    read_faults: VecDeque<Reason>,
    /// Answers to the next attempts to open a session.
    live_faults: VecDeque<Reason>,
    live_denied: bool,
    /// Groups live tail may not open, or that do not exist.
    live_denied_for: Vec<String>,
    missing: Vec<String>,
    newest_first_unknown: bool,
    /// Newest first is ignored, as by emulators.
    newest_first_ignored: bool,
    page: Option<usize>,
    /// Every other page is empty but has a token.
    empty_pages: bool,
    sessions: u32,
    /// What happens to open sessions.
    ends: Vec<(u32, Ended)>,
    sampled: bool,
    reads: Vec<Stretch>,
    lives: Vec<Vec<String>>,
}

struct Session {
    service: Arc<Service>,
    number: u32,
    at: usize,
    groups: Vec<String>,
    started: bool,
}

impl Service {
    fn put(&self, group: &str, at_ms: i64, message: &str) {
        let mut s = self.state.lock().unwrap();
        let id = format!("{:056}", s.events.len());
        let raw = Raw {
            group: format!("123456789012:{group}"),
            stream: "web-1".into(),
            at_ms,
            message: message.into(),
            id,
        };
        s.events.push((group.into(), raw));
        drop(s);
        self.arrived.notify_waiters();
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let out = f(&mut self.state.lock().unwrap());
        self.arrived.notify_waiters();
        out
    }

    fn end(&self, how: Ended) {
        self.with(|s| {
            let now = s.sessions;
            s.ends.push((now, how));
        });
    }
}

struct Api(Arc<Service>);

impl LogApi for Api {
    type Session = Session;

    async fn read(&self, stretch: Stretch) -> Result<Page, Reason> {
        // A round trip takes time, in which things arrive.
        sleep(Duration::from_millis(20)).await;
        let mut s = self.0.state.lock().unwrap();
        s.reads.push(stretch.clone());
        if let Some(reason) = s.read_faults.pop_front() {
            return Err(reason);
        }
        if s.missing.contains(&stretch.group.to_string()) {
            return Err(Reason::NotFound { what: stretch.group });
        }
        if stretch.newest_first && s.newest_first_unknown {
            return Err(Reason::Failed { code: "InvalidParameterException".into(), detail: "".into() });
        }
        let mut hits: Vec<Raw> = s
            .events
            .iter()
            .filter(|(g, e)| {
                *g == stretch.group.as_str()
                    && e.at_ms >= stretch.from_ms
                    && stretch.to_ms.is_none_or(|to| e.at_ms <= to)
            })
            .map(|(_, e)| Raw { group: String::new(), ..e.clone() })
            .collect();
        hits.sort_by_key(|e| e.at_ms);
        if stretch.newest_first && !s.newest_first_ignored {
            hits.reverse();
        }
        let size = s.page.unwrap_or(10_000);
        let (at, gave) = match &stretch.token {
            Some(t) => {
                let (at, gave) = t.split_once('/').unwrap();
                (at.parse::<usize>().unwrap(), gave == "full")
            }
            None => (0, true),
        };
        if s.empty_pages && gave && !hits.is_empty() {
            return Ok(Page { events: vec![], token: Some(format!("{at}/empty")) });
        }
        let token = (at + size < hits.len()).then(|| format!("{}/full", at + size));
        Ok(Page { events: hits.into_iter().skip(at).take(size).collect(), token })
    }

    async fn live(&self, groups: Vec<SafeText>) -> Result<Session, Reason> {
        sleep(Duration::from_millis(20)).await;
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let mut s = self.0.state.lock().unwrap();
        s.lives.push(groups.clone());
        if let Some(reason) = s.live_faults.pop_front() {
            return Err(reason);
        }
        if s.live_denied || groups.iter().any(|g| s.live_denied_for.contains(g)) {
            return Err(Reason::Denied { action: "logs:StartLiveTail".into() });
        }
        if let Some(g) = groups.iter().find(|g| s.missing.contains(g)) {
            return Err(Reason::NotFound { what: g.into() });
        }
        s.sessions += 1;
        let (number, at) = (s.sessions, s.events.len());
        drop(s);
        Ok(Session { service: Arc::clone(&self.0), number, at, groups, started: false })
    }
}

impl LiveSession for Session {
    async fn next(&mut self) -> Result<Update, Ended> {
        if !self.started {
            self.started = true;
            return Ok(Update::Started);
        }
        sleep(Duration::from_secs(1)).await;
        let end = {
            let mut s = self.service.state.lock().unwrap();
            let mine = s.ends.iter().position(|(n, _)| *n == self.number);
            mine.map(|i| s.ends.remove(i).1)
        };
        match end {
            Some(end) if end == Ended::Cut("silence".into()) => std::future::pending().await,
            Some(end) => return Err(end),
            None => {}
        }
        let s = self.service.state.lock().unwrap();
        let new = s.events[self.at..].iter().filter(|(g, _)| self.groups.contains(g));
        let events = new.map(|(_, e)| Raw { id: String::new(), ..e.clone() }).collect();
        self.at = s.events.len();
        Ok(Update::Events { sampled: s.sampled, events })
    }
}

/// A running tail and what it says.
struct Rig {
    service: Arc<Service>,
    events: mpsc::Receiver<Event>,
    again: watch::Sender<u64>,
    lines: Vec<String>,
    /// The last word on each group.
    states: Vec<(String, Fact)>,
    history: Vec<Fact>,
    start_ms: i64,
    task: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn new(groups: &[&str], prepare: impl FnOnce(&Service, i64)) -> Rig {
        let service = Arc::new(Service::default());
        let now = Timestamp::now();
        prepare(&service, now.as_millisecond());
        let (send, events) = mpsc::channel(256);
        let again = watch::Sender::new(0);
        let terms = Terms {
            since: now - jiff::SignedDuration::from_mins(30),
            every: Duration::from_secs(3),
            outbox: Outbox::open(send),
            again: again.subscribe(),
        };
        let groups = groups.iter().map(|g| Group::new((*g).into())).collect();
        let task = tokio::spawn(Follow::new(Arc::new(Api(Arc::clone(&service))), groups, terms).run());
        let (lines, states, history) = Default::default();
        Rig { service, events, again, lines, states, history, start_ms: now.as_millisecond(), task }
    }

    /// Lets virtual time pass and takes what comes in it.
    async fn pass(&mut self, seconds: f64) {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while let Ok(Some(Event::Observed(all))) = tokio::time::timeout_at(end, self.events.recv()).await {
            for o in all {
                let Topic::Tail(group) = o.topic else { panic!("another topic") };
                match o.fact {
                    Fact::LogLines(lines) => self.lines.extend(lines.iter().map(|l| l.text.to_string())),
                    fact => {
                        self.history.push(fact.clone());
                        self.states.retain(|(g, _)| *g != group.as_str());
                        self.states.push((group.to_string(), fact));
                    }
                }
            }
        }
    }

    fn put(&self, message: &str) {
        self.service.put("/app", Timestamp::now().as_millisecond(), message);
    }

    fn state(&self, group: &str) -> String {
        match self.states.iter().find(|(g, _)| g == group).map(|s| &s.1) {
            Some(Fact::Tail(t)) => format!("{:?}: {}", t.mode, t.note),
            Some(Fact::Unknown(r)) => r.phrase(),
            _ => "silent".into(),
        }
    }

    /// Every line once, whatever the order; and no other.
    fn assert_all(&self, want: impl IntoIterator<Item = String>) {
        let mut got = self.lines.clone();
        let mut want: Vec<String> = want.into_iter().collect();
        got.sort();
        want.sort();
        assert_eq!(got, want);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn numbered(n: std::ops::Range<i64>) -> impl Iterator<Item = String> {
    n.map(|i| format!("line {i}"))
}

#[tokio::test(start_paused = true)]
async fn history_first_then_live() {
    let mut rig = Rig::new(&["/app"], |s, now| {
        for i in 0..50 {
            s.put("/app", now - 60_000 + i, &format!("line {i}"));
        }
        s.put("/app", now - 3_600_000, "too old");
        s.put("/other", now, "not ours");
    });
    rig.pass(2.0).await;
    assert_eq!(rig.lines, numbered(0..50).collect::<Vec<_>>());
    assert_eq!(rig.state("/app"), "Live: ");
    rig.put("line 50");
    rig.pass(1.5).await;
    assert_eq!(rig.lines.last().unwrap(), "line 50");
    rig.pass(60.0).await;
    rig.assert_all(numbered(0..51));
    let reads = rig.service.with(|s| s.reads.len());
    assert_eq!(reads, 2, "the first screen, and once more when the session has settled");
}

#[tokio::test(start_paused = true)]
async fn what_neither_the_read_nor_the_session_saw_is_found_when_it_settled() {
    let mut rig = Rig::new(&["/app"], |s, now| {
        s.put("/app", now - 60_000, "line 0");
    });
    rig.pass(1.0).await;
    // Ingested just before the session stood, visible to reads only now.
    let now = rig.start_ms;
    rig.service.with(|s| {
        let mut raw = s.events[0].1.clone();
        (raw.at_ms, raw.message, raw.id) = (now - 500, "line 1".into(), "late".into());
        // Sessions only give what comes behind their position.
        s.events.insert(0, ("/app".into(), raw));
    });
    rig.pass(10.0).await;
    assert!(rig.lines.contains(&"line 1".to_string()), "{:?}", rig.lines);
}

#[tokio::test(start_paused = true)]
async fn a_cut_session_leaves_no_hole_and_no_double() {
    let mut rig = Rig::new(&["/app"], |_, _| {});
    let mut n = 0;
    for round in 0..4 {
        for _ in 0..30 {
            rig.put(&format!("line {n}"));
            n += 1;
            rig.pass(0.5).await;
        }
        match round {
            0 => rig.service.end(Ended::Cut("connection reset".into())),
            1 => rig.service.end(Ended::Timeout),
            2 => rig.service.end(Ended::Cut("silence".into())),
            _ => {}
        }
    }
    rig.pass(120.0).await;
    rig.assert_all(numbered(0..n));
    assert_eq!(rig.state("/app"), "Live: ");
    let polled = rig.history.iter().any(
        |f| matches!(f, Fact::Tail(t) if t.mode == TailMode::Polled && t.note.contains("connection reset")),
    );
    assert!(polled, "a cut is named while it lasts: {:?}", rig.history);
    assert_eq!(rig.service.with(|s| s.sessions), 4);
}

#[tokio::test(start_paused = true)]
async fn a_hole_is_read_over_even_if_that_fails_at_first_and_new_lines_come_on() {
    let mut rig = Rig::new(&["/app"], |s, now| s.put("/app", now - 900_000, "line 0"));
    rig.pass(10.0).await;
    let now = rig.start_ms;
    rig.service.end(Ended::Timeout);
    rig.pass(0.9).await;
    // Ten minutes of lines that no session brought; reads fail while the new session runs.
    for i in 1..50 {
        rig.service.put("/app", now - 850_000 + i * 10_000, &format!("line {i}"));
    }
    rig.service.with(|s| s.read_faults.extend((0..3).map(|_| Reason::TimedOut { after_ms: 8000 })));
    for i in 50..70 {
        rig.pass(1.0).await;
        rig.put(&format!("line {i}"));
    }
    rig.pass(60.0).await;
    rig.assert_all(numbered(0..70));
}

#[tokio::test(start_paused = true)]
async fn equal_lines_in_one_millisecond_survive_a_cut() {
    let mut rig = Rig::new(&["/app"], |_, _| {});
    rig.pass(2.0).await;
    let at = Timestamp::now().as_millisecond();
    rig.service.put("/app", at, "same");
    rig.service.put("/app", at, "same");
    rig.pass(2.0).await;
    rig.service.end(Ended::Timeout);
    rig.service.put("/app", at, "same");
    rig.pass(60.0).await;
    assert_eq!(rig.lines, ["same", "same", "same"]);
}

#[tokio::test(start_paused = true)]
async fn polls_where_live_is_denied_and_says_which_permission_is_missing() {
    let mut rig = Rig::new(&["/app"], |s, _| s.with(|s| s.live_denied = true));
    for i in 0..40 {
        rig.put(&format!("line {i}"));
        rig.pass(1.0).await;
    }
    rig.pass(20.0).await;
    rig.assert_all(numbered(0..40));
    assert_eq!(rig.state("/app"), "Polled: live tail needs logs:StartLiveTail; polled every 3 s");
    let reads = rig.service.with(|s| s.reads.len());
    assert!(reads <= 22, "{reads} reads in a minute");
    assert_eq!(rig.service.with(|s| s.lives.len()), 1, "a refusal is not asked for again and again");

    // The permission is given and the credentials are read anew.
    rig.service.with(|s| s.live_denied = false);
    rig.again.send_modify(|n| *n += 1);
    rig.pass(10.0).await;
    assert_eq!(rig.state("/app"), "Live: ");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_tried_again_in_the_end() {
    let mut rig = Rig::new(&["/app"], |s, _| {
        s.with(|s| s.live_faults.push_back(Reason::Denied { action: "logs:StartLiveTail".into() }));
    });
    rig.pass(REFUSED_PAUSE.as_secs_f64() + 5.0).await;
    assert_eq!(rig.state("/app"), "Live: ");
}

#[tokio::test(start_paused = true)]
async fn late_lines_are_found_by_the_overlap_and_by_the_sweep() {
    let mut rig = Rig::new(&["/app"], |s, now| {
        s.with(|s| s.live_denied = true);
        s.put("/app", now - 1000, "line 0");
    });
    rig.pass(5.0).await;
    let now = rig.start_ms;
    rig.service.put("/app", now - 40_000, "line 1");
    rig.pass(5.0).await;
    rig.assert_all(numbered(0..2));
    rig.service.put("/app", now - 200_000, "line 2");
    rig.pass(5.0).await;
    rig.assert_all(numbered(0..2));
    rig.pass(SWEEP_EVERY.as_secs_f64() + 10.0).await;
    rig.assert_all(numbered(0..3));
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_through_empty_ones() {
    let mut rig = Rig::new(&["/app"], |s, now| {
        s.with(|s| {
            (s.live_denied, s.empty_pages, s.page) = (true, true, Some(7));
        });
        for i in 0..40 {
            s.put("/app", now - 50_000 + i, &format!("line {i}"));
        }
    });
    rig.pass(30.0).await;
    rig.assert_all(numbered(0..40));
    for i in 40..80 {
        rig.put(&format!("line {i}"));
    }
    rig.pass(30.0).await;
    rig.assert_all(numbered(0..80));
}

#[tokio::test(start_paused = true)]
async fn the_first_screen_is_the_newest_lines_and_says_where_it_begins() {
    let mut rig = Rig::new(&["/app"], |s, now| {
        s.with(|s| s.page = Some(1000));
        for i in 0..20_000 {
            s.put("/app", now - 1_200_000 + i * 50, &format!("line {i}"));
        }
    });
    rig.pass(3.0).await;
    rig.assert_all(numbered(15_000..20_000));
    let state = rig.state("/app");
    assert!(state.starts_with("Live: read from ") && state.ends_with("Z on"), "{state}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_without_newest_first_still_gives_the_newest() {
    for ignored in [false, true] {
        let mut rig = Rig::new(&["/app"], |s, now| {
            s.with(|s| {
                s.page = Some(1000);
                (s.newest_first_ignored, s.newest_first_unknown) = (ignored, !ignored);
            });
            for i in 0..20_000 {
                s.put("/app", now - 1_200_000 + i * 60, &format!("line {i}"));
            }
        });
        rig.pass(3.0).await;
        assert!(rig.lines.contains(&"line 19999".into()));
        assert!(!rig.lines.contains(&"line 0".into()));
        let distinct: std::collections::HashSet<_> = rig.lines.iter().collect();
        assert_eq!(distinct.len(), rig.lines.len());
    }
}

#[tokio::test(start_paused = true)]
async fn sampling_is_said_while_it_lasts() {
    let mut rig = Rig::new(&["/app"], |s, _| s.with(|s| s.sampled = true));
    rig.pass(5.0).await;
    assert_eq!(rig.state("/app"), "Sampled: the service leaves out lines above 500 a second");
    rig.service.with(|s| s.sampled = false);
    rig.pass(30.0).await;
    assert_eq!(rig.state("/app"), "Live: ");
}

#[tokio::test(start_paused = true)]
async fn one_session_for_several_groups_until_one_cannot_be_tailed() {
    let prepare = |s: &Service, now: i64| {
        s.put("/app", now - 1000, "a");
        s.put("/web", now - 1000, "w");
        s.put("/db", now - 1000, "d");
    };
    let mut rig = Rig::new(&["/app", "/web", "/db"], prepare);
    rig.pass(3.0).await;
    rig.service.put("/web", Timestamp::now().as_millisecond(), "w2");
    rig.pass(3.0).await;
    assert_eq!(rig.service.with(|s| s.lives.clone()), [["/app", "/web", "/db"]]);
    rig.assert_all(["a", "w", "d", "w2"].map(String::from));

    let mut rig = Rig::new(&["/app", "/web", "/gone"], |s, now| {
        prepare(s, now);
        s.with(|s| {
            s.live_denied_for.push("/web".into());
            s.missing.push("/gone".into());
        });
    });
    rig.pass(5.0).await;
    rig.service.put("/web", Timestamp::now().as_millisecond(), "w2");
    rig.put("a2");
    rig.pass(10.0).await;
    rig.assert_all(["a", "w", "w2", "a2"].map(String::from));
    assert_eq!(rig.state("/app"), "Live: ");
    assert_eq!(rig.state("/web"), "Polled: live tail needs logs:StartLiveTail; polled every 3 s");
    assert_eq!(rig.state("/gone"), "not found: /gone");
    // Created at last, it is found without a restart.
    rig.service.with(|s| s.missing.clear());
    rig.service.put("/gone", Timestamp::now().as_millisecond(), "g");
    rig.pass(200.0).await;
    assert_eq!(rig.state("/gone"), "Live: ");
    rig.assert_all(["a", "w", "w2", "a2", "g"].map(String::from));
}

#[tokio::test(start_paused = true)]
async fn nothing_readable_is_unknown_with_its_reason_and_heals() {
    let mut rig = Rig::new(&["/app"], |s, now| {
        s.with(|s| {
            s.live_denied = true;
            for _ in 0..4 {
                s.read_faults.push_back(Reason::Denied { action: "logs:FilterLogEvents".into() });
            }
        });
        s.put("/app", now - 1000, "line 0");
    });
    rig.pass(2.0).await;
    assert_eq!(rig.state("/app"), "access denied: needs logs:FilterLogEvents");
    rig.pass(60.0).await;
    rig.assert_all(numbered(0..1));
    assert!(rig.state("/app").starts_with("Polled: "), "{}", rig.state("/app"));
}

#[tokio::test(start_paused = true)]
async fn live_without_history_says_so() {
    let mut rig = Rig::new(&["/app"], |s, _| {
        s.with(|s| {
            s.read_faults.extend((0..50).map(|_| Reason::Denied { action: "logs:FilterLogEvents".into() }))
        });
    });
    rig.put("before");
    rig.pass(10.0).await;
    rig.put("line 0");
    rig.pass(3.0).await;
    assert_eq!(rig.lines.last().unwrap(), "line 0");
    assert_eq!(rig.state("/app"), "Live: no lines from before: access denied: needs logs:FilterLogEvents");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_poll_waits_as_long_as_it_is_told() {
    let mut rig = Rig::new(&["/app"], |s, _| s.with(|s| s.live_denied = true));
    rig.pass(5.0).await;
    let until = Timestamp::now() + jiff::SignedDuration::from_secs(40);
    let before = rig.service.with(|s| {
        s.read_faults.push_back(Reason::Throttled { until });
        s.reads.len()
    });
    rig.put("line 0");
    rig.pass(20.0).await;
    assert!(rig.state("/app").starts_with("throttled until"), "{}", rig.state("/app"));
    assert_eq!(rig.service.with(|s| s.reads.len()), before + 1);
    rig.pass(40.0).await;
    rig.assert_all(numbered(0..1));
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_cannot_keep_up_says_so_and_catches_up() {
    let mut rig = Rig::new(&["/app"], |s, _| {
        s.with(|s| (s.live_denied, s.page) = (true, Some(1000)));
    });
    rig.pass(5.0).await;
    let now = Timestamp::now().as_millisecond();
    for i in 0..20_000 {
        rig.service.put("/app", now - 20_000 + i, &format!("line {i}"));
    }
    rig.pass(4.0).await;
    assert!(rig.state("/app").ends_with("behind, catching up"), "{}", rig.state("/app"));
    rig.pass(30.0).await;
    rig.assert_all(numbered(0..20_000));
    assert!(!rig.state("/app").contains("behind"), "{}", rig.state("/app"));
}

#[tokio::test(start_paused = true)]
async fn a_poll_far_behind_jumps_to_the_newest_lines_and_names_what_it_left_out() {
    let mut rig = Rig::new(&["/app"], |s, now| {
        s.with(|s| (s.live_denied, s.page) = (true, Some(100)));
        s.put("/app", now - 900_000, "first");
    });
    rig.pass(5.0).await;
    // Fifteen minutes of lines appear at once, and more than can be read come on.
    let now = rig.start_ms;
    for i in 0..9000 {
        rig.service.put("/app", now - 800_000 + i * 50, &format!("old {i}"));
    }
    rig.service.put("/app", now, "newest");
    rig.pass(60.0).await;
    assert!(rig.lines.contains(&"newest".into()));
    let distinct: std::collections::HashSet<_> = rig.lines.iter().collect();
    assert_eq!(distinct.len(), rig.lines.len());
    if rig.lines.len() < 9002 {
        assert!(rig.history.iter().any(|f| matches!(f, Fact::Tail(t) if t.note.contains("not all read"))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_token_does_not_hold_the_tail_up() {
    let mut rig = Rig::new(&["/app"], |s, _| s.with(|s| (s.live_denied, s.page) = (true, Some(100))));
    rig.pass(5.0).await;
    let now = Timestamp::now().as_millisecond();
    for i in 0..1500 {
        rig.service.put("/app", now + i, &format!("line {i}"));
    }
    rig.pass(1.0).await;
    rig.service.with(|s| {
        s.read_faults
            .push_back(Reason::Failed { code: "InvalidParameterException".into(), detail: "token".into() })
    });
    rig.pass(60.0).await;
    rig.assert_all(numbered(0..1500));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_console_ends_the_tail() {
    for denied in [true, false] {
        let mut rig = Rig::new(&["/app"], |s, _| s.with(|s| s.live_denied = denied));
        rig.pass(5.0).await;
        rig.events.close();
        while rig.events.recv().await.is_some() {}
        rig.put("line");
        tokio::time::timeout(Duration::from_secs(900), &mut rig.task)
            .await
            .expect("the tail goes on")
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_live_tail_drops_and_counts_what_a_frozen_console_cannot_take() {
    let mut rig = Rig::new(&["/app"], |_, _| {});
    rig.pass(3.0).await;
    let long = "x".repeat(10_000);
    let mut n = 0;
    for _ in 0..60 {
        for _ in 0..100 {
            rig.put(&format!("{n} {long}"));
            n += 1;
        }
        sleep(Duration::from_secs(1)).await;
    }
    rig.pass(30.0).await;
    let state = rig.state("/app");
    let dropped: usize = state.split_once("Live: ").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
    assert!(state.ends_with("lines dropped, the console was too slow"), "{state}");
    assert_eq!(rig.lines.len() + dropped, n, "every line is shown or counted");
    assert!(rig.lines.last().unwrap().starts_with(&format!("{} ", n - 1)), "the newest line is shown");
}

#[test]
fn groups_are_known_by_any_of_their_names() {
    let (send, _events) = mpsc::channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let terms = Terms {
        since: Timestamp::UNIX_EPOCH,
        every: Duration::from_secs(3),
        outbox: Outbox::open(send),
        again: watch::Sender::new(0).subscribe(),
    };
    let names = ["/app", "arn:aws:logs:us-east-1:2:log-group:/web"];
    let groups = names.map(|n| Group::new(n.into())).into();
    let follow = Follow::new(Arc::new(Api(Arc::default())), groups, terms);
    let table = [
        ("123456789012:/app", Some(0)),
        ("/app", Some(0)),
        ("arn:aws:logs:us-east-1:1:log-group:/app", Some(0)),
        ("222222222222:/web", Some(1)),
        ("arn:aws:logs:us-east-1:2:log-group:/web", Some(1)),
        ("123456789012:/apps", None),
    ];
    for (identifier, want) in table {
        assert_eq!(follow.index_of(identifier), want, "{identifier}");
    }
}
