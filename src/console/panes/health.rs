//! Target health: every group with its health check, every target with its
//! state, reason and since when. Worst first.

use super::frame::{self, Chrome, Fresh};
use super::list::{Key, ListView, Listing, key};
use super::paint::{Ctx, KEEP, Seg, Spread};
use super::wrap::wrap;
use super::{Detail, PaneView, Reply, Row, detail, say};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::layout::FrameKind;
use crate::console::state::{Mark, State};
use crate::console::theme::Role;
use crate::situation::elb::{HealthCheck, TargetGroup, TargetHealth, TargetKey};
use crate::situation::{GroupState, Situation, TargetTrack, short};
use crate::text::SafeText;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::BTreeMap;

/// Health is asked every 5 seconds; after this many it is stale.
const STALE_S: u64 = 30;
/// Healthy targets shown one by one; more are told as a number.
const HEALTHY_SHOWN: usize = 8;
/// Groups shown open when all is well with them.
const GROUPS_OPEN: usize = 4;
/// A target that left stays in sight for this long, seconds.
const GONE_SHOWN_S: u64 = 3600;
/// From this width on a target takes one line.
const ONE_LINE: u16 = 72;

/// View state of the pane.
#[derive(Clone, Debug, Default)]
pub struct HealthView {
    list: ListView,
}

/// How a target state is to be taken.
pub fn mark_of(state: &str) -> Mark {
    match state {
        "healthy" => Mark::Good,
        "initial" | "draining" | "unused" => Mark::Warn,
        "unavailable" => Mark::Unknown,
        s if s.starts_with("unhealthy") => Mark::Bad,
        _ => Mark::Unknown,
    }
}

/// Worst first: what gets errors now, what we cannot tell, what gets nothing.
fn rank(state: &str) -> u8 {
    match state {
        "healthy" => 9,
        "initial" => 4,
        "draining" => 5,
        "unused" => 3,
        "unavailable" => 2,
        s if s.starts_with("unhealthy") => 0,
        _ => 1,
    }
}

struct Group<'a> {
    arn: &'a SafeText,
    state: &'a GroupState,
    name: &'a str,
    healthy: usize,
    total: usize,
    mark: Mark,
    /// Every target is unhealthy: requests go to all of them all the same.
    fail_open: bool,
    open: bool,
}

enum Item<'a> {
    Group(usize),
    Target {
        group: usize,
        health: &'a TargetHealth,
        track: Option<&'a TargetTrack>,
    },
    Gone {
        group: usize,
        key: &'a TargetKey,
        track: &'a TargetTrack,
    },
    /// The healthy ones, told as a number.
    Healthy {
        group: usize,
        count: usize,
        open: bool,
    },
    /// Nothing is known about the targets, and why.
    Unknown {
        group: usize,
    },
}

/// The rows of the pane.
pub struct Targets<'a> {
    groups: Vec<Group<'a>>,
    items: Vec<Item<'a>>,
    names: BTreeMap<&'a str, &'a str>,
    now: Timestamp,
}

impl<'a> Targets<'a> {
    fn new(s: &'a Situation, list: &ListView, now: Timestamp) -> Targets<'a> {
        let mut groups: Vec<Group<'a>> =
            s.active_groups().into_iter().map(|(arn, g)| group(arn, g)).collect();
        groups.sort_by_key(|g| group_rank(g));
        let many = groups.len() > GROUPS_OPEN;
        let mut items = Vec::new();
        for (n, g) in groups.iter_mut().enumerate() {
            let fine = g.mark == Mark::Good;
            g.open = list.fold(key(("group", g.arn.as_str()))).unwrap_or(!(fine && many));
            items.push(Item::Group(n));
            if g.open {
                targets(n, g, list, now, &mut items);
            }
        }
        let names = s
            .vpcs
            .values()
            .filter_map(|v| v.instances.value())
            .flatten()
            .filter(|i| !i.name.is_empty())
            .map(|i| (i.id.as_str(), i.name.as_str()))
            .collect();
        Targets { groups, items, names, now }
    }
}

fn group<'a>(arn: &'a SafeText, state: &'a GroupState) -> Group<'a> {
    let name = state.group.as_ref().map_or_else(|| short(arn), |g| g.name.as_str());
    let targets = state.health.value().map_or(&[][..], Vec::as_slice);
    let total = targets.len();
    let healthy = targets.iter().filter(|t| t.is_healthy()).count();
    let ill = targets.iter().filter(|t| t.state.starts_with("unhealthy")).count();
    let mark = match (state.health.value(), healthy) {
        (None, _) => Mark::Unknown,
        (Some(_), h) if h == total && total > 0 => Mark::Good,
        (Some(_), 0) if targets.iter().all(|t| t.state.as_str() == "unavailable") && total > 0 => {
            Mark::Unknown
        }
        (Some(_), 0) => Mark::Bad,
        (Some(_), h) if h * 2 < total => Mark::Bad,
        _ => Mark::Warn,
    };
    let fail_open =
        ill > 0 && healthy == 0 && ill + targets.iter().filter(|t| rank(&t.state) >= 3).count() == total;
    Group { arn, state, name, healthy, total, mark, fail_open, open: true }
}

fn group_rank(g: &Group<'_>) -> u8 {
    match g.mark {
        Mark::Bad => 0,
        Mark::Warn => 1,
        Mark::Unknown => 2,
        Mark::Info | Mark::Good => 3,
    }
}

fn targets<'a>(n: usize, g: &Group<'a>, list: &ListView, now: Timestamp, items: &mut Vec<Item<'a>>) {
    let Some(all) = g.state.health.value() else {
        items.push(Item::Unknown { group: n });
        return;
    };
    let mut order: Vec<&TargetHealth> = all.iter().collect();
    order.sort_by(|a, b| {
        (rank(&a.state), &a.reason, &a.az, &a.id, a.port).cmp(&(
            rank(&b.state),
            &b.reason,
            &b.az,
            &b.id,
            b.port,
        ))
    });
    let ill = order.partition_point(|t| !t.is_healthy());
    let push = |t: &'a TargetHealth, items: &mut Vec<Item<'a>>| {
        let track = g.state.tracks.get(&t.key());
        items.push(Item::Target { group: n, health: t, track });
    };
    for t in &order[..ill] {
        push(t, items);
    }
    let gone =
        g.state.tracks.iter().filter(|(_, t)| t.gone && say::seconds_since(t.since, now) < GONE_SHOWN_S);
    items.extend(gone.map(|(key, track)| Item::Gone { group: n, key, track }));
    let healthy = &order[ill..];
    if healthy.len() > HEALTHY_SHOWN {
        let open = list.fold(key(("healthy", g.arn.as_str()))).unwrap_or(false);
        items.push(Item::Healthy { group: n, count: healthy.len(), open });
        if !open {
            return;
        }
    }
    for t in healthy {
        push(t, items);
    }
}

/// `1a` of `ap-northeast-1a`: zones of one region differ in their end.
fn zone(az: &str) -> &str {
    az.rsplit('-').next().unwrap_or(az)
}

/// The health check in words: `GET /health :8080 wants 200 every 10s`.
fn check_words(hc: &HealthCheck, g: &TargetGroup) -> String {
    if hc.enabled == Some(false) {
        return "health checks are off".to_owned();
    }
    let mut out = String::from("check");
    if (!hc.protocol.is_empty() && hc.protocol != g.protocol) || hc.path.is_empty() {
        out.push(' ');
        out.push_str(if hc.protocol.is_empty() { &g.protocol } else { &hc.protocol });
    }
    if !hc.path.is_empty() {
        out.push(' ');
        out.push_str(&hc.path);
    }
    match hc.port.as_str() {
        "" | "traffic-port" => {}
        port => {
            out.push_str(" :");
            out.push_str(port);
        }
    }
    if !hc.matcher.is_empty() {
        out.push_str(" wants ");
        out.push_str(&hc.matcher);
    }
    if let Some(every) = hc.interval_s {
        out.push_str(&format!(" every {every}s"));
    }
    if let Some(limit) = hc.timeout_s {
        out.push_str(&format!(", timeout {limit}s"));
    }
    if let (Some(up), Some(down)) = (hc.healthy_threshold, hc.unhealthy_threshold) {
        out.push_str(&format!(", {down} bad / {up} good"));
    }
    out
}

/// `since 01:40:58`, or that it was so before we looked.
fn since_words(track: &TargetTrack, now: Timestamp) -> String {
    let clock = say::clock(track.since, now);
    if track.since_exact { format!("since {clock}") } else { format!("since before {clock}") }
}

/// How long a target has been as it is: `12m`, in minutes so that the row
/// does not change every second.
fn lasting_words(track: &TargetTrack, now: Timestamp) -> String {
    match say::seconds_since(track.since, now) {
        0..60 => "<1m".to_owned(),
        s => say::lasting(s / 60 * 60, false),
    }
}

fn was_words(track: &TargetTrack) -> Option<String> {
    let (state, reason) = track.before.as_ref()?;
    Some(if reason.is_empty() { format!("was {state}") } else { format!("was {state} {reason}") })
}

/// `i-0a1b2c3d4e5f60718` and `:8080`; of an ARN the readable end.
fn address(role: Role, id: &str, port: Option<u16>) -> Vec<Seg<'static>> {
    let id = short(id);
    // An IPv6 target and its port would run together.
    let id = if id.contains(':') && port.is_some() { format!("[{id}]") } else { id.to_owned() };
    let mut out = vec![Seg::new(role, id).rank(4).min(9).middle()];
    out.extend(port.map(|p| Seg::new(role, format!(":{p}")).rank(5).whole().glue()));
    out
}

impl Targets<'_> {
    fn name(&self, id: &str) -> Option<String> {
        self.names.get(id).map(|n| (*n).to_owned())
    }

    fn group_lines(&self, ctx: &Ctx<'_>, g: &Group<'_>) -> Vec<Spread<'_>> {
        let role = Ctx::role(g.mark);
        let count = if g.state.health.value().is_some() {
            format!("{}/{} healthy", g.healthy, g.total)
        } else {
            "unknown".to_owned()
        };
        let fold = if g.open { ctx.glyphs.open } else { ctx.glyphs.closed };
        let mut first = vec![
            Seg::new(Role::Dim, fold).rank(KEEP).min(1),
            Seg::new(Role::Strong, g.name.to_owned()).rank(7).min(6),
            ctx.mark(g.mark),
            Seg::new(role, count).rank(8).whole(),
        ];
        if g.total == 0 && g.state.health.value().is_some() {
            first.push(Seg::new(role, "no targets").rank(6).whole());
        }
        let mut right = Vec::new();
        if let Some(tg) = &g.state.group {
            let port = tg.port.map_or(String::new(), |p| format!(" :{p}"));
            right.push(Seg::new(Role::Dim, format!("{}{port}", tg.protocol)).extra());
        }
        let mut out = vec![Spread::new(0, first).right(right)];
        if !g.open {
            return out;
        }
        if g.fail_open {
            out.push(Spread::new(
                2,
                vec![
                    Seg::new(Role::Warn, ctx.glyphs.warn).rank(KEEP).min(1),
                    Seg::new(Role::Warn, "fail open: requests go to all of them").min(10),
                ],
            ));
        }
        if let Some(tg) = &g.state.group
            && tg.target_type.as_str() != "lambda"
        {
            let words = check_words(&tg.health_check, tg);
            out.push(Spread::new(2, vec![Seg::new(Role::Dim, words).min(8)]));
        }
        out
    }

    fn target_lines(
        &self,
        ctx: &Ctx<'_>,
        t: &TargetHealth,
        track: Option<&TargetTrack>,
        columns: u16,
    ) -> Vec<Spread<'_>> {
        let mark = mark_of(&t.state);
        let role = Ctx::role(mark);
        let word = format!("{:<9}", t.state.as_str());
        let wide = columns >= ONE_LINE;
        let mut first = vec![ctx.mark(mark), Seg::new(role, word).rank(8).min(9)];
        first.extend(address(Role::Text, &t.id, t.port));
        first.extend(self.name(&t.id).map(|n| Seg::new(Role::Strong, n).rank(6).min(4)));
        first.push(Seg::new(Role::Dim, zone(&t.az).to_owned()).rank(3).whole());
        let mut more = Vec::new();
        if !t.reason.is_empty() {
            more.push(Seg::new(role, t.reason.to_string()).rank(6).min(8));
        }
        if let Some(track) = track {
            let recent = say::seconds_since(track.since, self.now) < 3600 && track.since_exact;
            if mark != Mark::Good || recent {
                more.push(Seg::new(Role::Text, since_words(track, self.now)).rank(5).whole());
                if track.since_exact {
                    more.push(Seg::new(Role::Dim, lasting_words(track, self.now)).extra());
                }
                more.extend(was_words(track).map(|w| Seg::new(Role::Dim, w).extra()));
            }
        }
        if wide || more.is_empty() {
            first.extend(more);
            return vec![Spread::new(1, first)];
        }
        vec![Spread::new(1, first), Spread::new(3, more)]
    }
}

impl Listing for Targets<'_> {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn key(&self, i: usize) -> Key {
        let arn = |n: &usize| self.groups[*n].arn.as_str();
        match &self.items[i] {
            Item::Group(n) => key(("group", arn(n))),
            Item::Target { group, health, .. } => {
                key(("target", arn(group), health.id.as_str(), health.port))
            }
            Item::Gone { group, key: k, .. } => key(("target", arn(group), k.id.as_str(), k.port)),
            Item::Healthy { group, .. } => key(("healthy", arn(group))),
            Item::Unknown { group } => key(("unknown", arn(group))),
        }
    }

    fn level(&self, i: usize) -> u8 {
        match &self.items[i] {
            Item::Group(_) => 0,
            _ => 1,
        }
    }

    fn lines(&self, ctx: &Ctx<'_>, i: usize, width: u16) -> Vec<Spread<'_>> {
        match &self.items[i] {
            Item::Group(n) => self.group_lines(ctx, &self.groups[*n]),
            Item::Target { health, track, .. } => self.target_lines(ctx, health, *track, width),
            Item::Gone { key, track, .. } => {
                let mut segs =
                    vec![ctx.mark(Mark::Info), Seg::new(Role::Dim, format!("{:<9}", "gone")).rank(8).min(4)];
                segs.extend(address(Role::Dim, &key.id, key.port));
                segs.extend(self.name(&key.id).map(|n| Seg::new(Role::Dim, n).rank(4).min(4)));
                let when = format!("since {}", say::clock(track.since, self.now));
                segs.push(Seg::new(Role::Dim, when).rank(5).whole());
                vec![Spread::new(1, segs)]
            }
            Item::Healthy { count, open, .. } => {
                let fold = if *open { ctx.glyphs.open } else { ctx.glyphs.closed };
                vec![Spread::new(
                    1,
                    vec![
                        ctx.mark(Mark::Good),
                        Seg::new(Role::Good, format!("{} healthy", say::count(*count as u64))).whole(),
                        Seg::new(Role::Dim, fold).rank(3).min(1),
                    ],
                )]
            }
            Item::Unknown { group } => {
                let why =
                    self.groups[*group].state.health.why_unknown().map_or(String::new(), |r| r.phrase());
                let columns = usize::from(width).saturating_sub(3);
                let parts = wrap(&format!("health: {why}"), columns, 3, ctx.glyphs.ellipsis);
                parts
                    .into_iter()
                    .enumerate()
                    .map(|(n, part)| {
                        let text = Seg::new(Role::Unknown, part);
                        if n == 0 {
                            Spread::new(1, vec![ctx.mark(Mark::Unknown), text])
                        } else {
                            Spread::new(3, vec![text])
                        }
                    })
                    .collect()
            }
        }
    }

    fn row(&self, i: usize) -> Row {
        let base = |g: &Group<'_>| {
            let known = g.state.health.get();
            (
                known.map_or(self.now, |k| k.as_of),
                known.map_or_else(|| SafeText::from("target health"), |k| k.source.clone()),
            )
        };
        match &self.items[i] {
            Item::Group(n) | Item::Unknown { group: n } | Item::Healthy { group: n, .. } => {
                let g = &self.groups[*n];
                let (at, source) = base(g);
                let text = match g.state.health.why_unknown() {
                    Some(why) => format!("{}: target health unknown: {}", g.name, why.phrase()),
                    None => format!("{}: {}/{} healthy", g.name, g.healthy, g.total),
                };
                Row { at, source, text: text.into() }
            }
            Item::Target { group, health, track } => {
                let g = &self.groups[*group];
                let (at, source) = base(g);
                let changed = track.filter(|t| t.since_exact).map(|t| t.since);
                let port = health.port.map_or(String::new(), |p| format!(":{p}"));
                let mut text = format!("{} {}{port} {}", g.name, health.id, health.state);
                if !health.reason.is_empty() {
                    text.push_str(&format!(" {}", health.reason));
                }
                if !health.az.is_empty() {
                    text.push_str(&format!(" in {}", health.az));
                }
                if let Some(name) = self.names.get(health.id.as_str()) {
                    text.push_str(&format!(" ({name})"));
                }
                if let Some(t) = track {
                    text.push_str(&format!(" {}", since_words(t, self.now)));
                }
                Row { at: changed.unwrap_or(at), source, text: text.into() }
            }
            Item::Gone { group, key, track } => {
                let g = &self.groups[*group];
                let port = key.port.map_or(String::new(), |p| format!(":{p}"));
                let text = format!("{} {}{port} no longer registered", g.name, key.id);
                Row { at: track.since, source: base(g).1, text: text.into() }
            }
        }
    }

    fn detail(&self, i: usize) -> Option<Detail> {
        let Item::Target { group, health: t, track } = &self.items[i] else { return None };
        let g = &self.groups[*group];
        let mut d = detail::Builder::new(format!("{} {}", g.name, t.id));
        d.pair("state", &t.state).pair("reason", &t.reason).pair("description", &t.description);
        d.pair("group", g.name).pair("zone", &t.az);
        d.pair("port", &t.port.map_or(String::new(), |p| p.to_string()));
        d.pair("health port", &t.health_port.map_or("traffic port".to_owned(), |p| p.to_string()));
        if let Some(name) = self.names.get(t.id.as_str()) {
            d.pair("instance", name);
        }
        d.pair("anomaly", &t.anomaly).pair("override", &t.override_state);
        if let Some(track) = track {
            d.pair("since", &since_words(track, self.now));
            d.pair("before", &was_words(track).unwrap_or_default());
        }
        if let Some(tg) = &g.state.group {
            d.pair("health check", &check_words(&tg.health_check, tg));
        }
        if let Some(known) = g.state.health.get() {
            d.pair("source", &known.source).pair("as of", &known.as_of.to_string());
        }
        Some(d.done())
    }

    fn unfolded(&self, i: usize) -> Option<bool> {
        match &self.items[i] {
            Item::Group(n) => Some(self.groups[*n].open),
            Item::Healthy { open, .. } => Some(*open),
            _ => None,
        }
    }
}

/// Draws the pane.
pub fn draw(state: &State, view: &HealthView, area: Rect, kind: FrameKind, focused: bool, buf: &mut Buffer) {
    let ctx = &Ctx::of(state);
    let s = state.shown();
    let list = Targets::new(s, &view.list, ctx.now);
    let inside = crate::console::layout::inner(area, kind);
    let window = view.list.window(ctx, &list, inside);
    let mut fresh = Fresh::default();
    for g in &list.groups {
        fresh = fresh.with(&g.state.health);
    }
    let mut facts = Vec::new();
    if list.groups.len() > 1 {
        let (healthy, total) = list.groups.iter().fold((0, 0), |a, g| (a.0 + g.healthy, a.1 + g.total));
        let mark =
            list.groups.iter().map(|g| g.mark).max_by_key(|m| super::worse(*m)).unwrap_or(Mark::Unknown);
        let words = format!("{} {healthy}/{total} healthy", ctx.sign(mark));
        facts.push(Seg::new(Ctx::role(mark), words).rank(6).whole());
        facts.push(Seg::new(Role::Dim, say::plural(list.groups.len(), "group", "groups")).extra());
    }
    let chrome = Chrome {
        title: "Target health",
        facts,
        status: fresh.status(ctx, STALE_S),
        foot: window.foot(ctx, view.list.filter.as_ref()),
        place: window.place(),
        focused,
    };
    let inside = frame::draw(ctx, buf, area, kind, chrome);
    if list.groups.is_empty() {
        let why = s.lb().map(|lb| &lb.groups).and_then(|d| d.why_unknown());
        super::explain(ctx, buf, inside, &super::nothing_yet(state, why, "no target group is in use"));
    }
    window.draw(ctx, buf, inside, focused, &view.list);
}

impl PaneView for HealthView {
    fn handle(&mut self, action: Action, area: Rect, state: &State) -> Reply {
        let list = Targets::new(state.shown(), &self.list, state.shown_now());
        self.list.handle(action, &Ctx::of(state), &list, area)
    }

    fn selected(&self, state: &State) -> Option<Row> {
        let list = Targets::new(state.shown(), &self.list, state.shown_now());
        self.list.selected(&list).map(|i| list.row(i))
    }

    fn detail(&self, state: &State) -> Option<Detail> {
        let list = Targets::new(state.shown(), &self.list, state.shown_now());
        self.list.selected(&list).and_then(|i| list.detail(i)).map(|d| detail::masked(state, d))
    }

    fn seek(&mut self, what: &str, area: Rect, state: &State) {
        let list = Targets::new(state.shown(), &self.list, state.shown_now());
        self.list.seek(what, &Ctx::of(state), &list, area);
    }

    fn set_filter(&mut self, filter: Option<Filter>) {
        self.list.filter = filter;
    }

    fn filter(&self) -> Option<&Filter> {
        self.list.filter.as_ref()
    }
}
