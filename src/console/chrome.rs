//! The header line and the line at the bottom: which incident, whose account,
//! whether it is recorded, what time it is; which keys, or what was last said.

use super::keys::{Action, Binding, Scope, TABLE};
use super::panes::mask;
use super::past::{Past, Role as Part};
use super::state::{JournalState, Mark, State};
use super::theme::Role;
use crate::text::{truncate_with, width};
use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A piece of the header. Where there is no room for all, those of the highest
/// rank go first.
struct Piece {
    text: String,
    role: Role,
    rank: u8,
    right: bool,
}

/// Draws the header.
pub fn header(state: &State, buf: &mut Buffer, area: Rect) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let tinted = state.theme.tinted;
    let base = state.theme.style(if tinted { Role::Tint } else { Role::Header });
    let alarm = matches!(state.journal, JournalState::Trouble { .. });
    // What is not on disk is worse than what is not the present.
    let past = state.past.as_ref().filter(|_| !alarm);
    let base = match past {
        _ if alarm => state.theme.style(Role::Alarm),
        Some(_) => state.theme.style(Role::Banner),
        None => base,
    };
    fill(buf, area, base);
    let mut pieces = match past {
        _ if alarm => alarm_pieces(state),
        Some(past) => past_pieces(state, past),
        None => pieces(state),
    };
    let alarm = alarm || past.is_some();
    // Pieces are two columns apart, and one column is left at either end.
    let room = area.width as usize;
    let wide = |pieces: &[Piece]| pieces.iter().map(|p| width(&p.text) + 2).sum::<usize>();
    while wide(&pieces) > room && pieces.len() > 1 {
        let Some(worst) = (0..pieces.len()).max_by_key(|i| (pieces[*i].rank, *i)) else { break };
        pieces.remove(worst);
    }
    let (mut left, mut right) = (area.x + 1.min(area.width), area.right());
    for p in pieces.iter().filter(|p| p.right).rev() {
        let w = width(&p.text) as u16;
        if right < left + w + 1 {
            break;
        }
        right -= w + 1;
        buf.set_string(right, area.y, &p.text, over(base, state, p.role, tinted || alarm));
        right = right.saturating_sub(1).max(left);
    }
    for p in pieces.iter().filter(|p| !p.right) {
        let room = right.saturating_sub(left) as usize;
        let text = truncate_with(&p.text, room, state.glyphs.ellipsis);
        buf.set_string(left, area.y, &text, over(base, state, p.role, tinted || alarm));
        left = (left + width(&text) as u16 + 2).min(area.right());
    }
}

/// On a coloured header only bold tells pieces apart: red on red is not read.
fn over(base: Style, state: &State, role: Role, coloured: bool) -> Style {
    let style = state.theme.style(role);
    if coloured { base.add_modifier(style.add_modifier) } else { base.patch(Style { bg: None, ..style }) }
}

fn fill(buf: &mut Buffer, area: Rect, style: Style) {
    for x in area.left()..area.right() {
        let cell = &mut buf[(x, area.y)];
        cell.reset();
        cell.set_style(style);
    }
}

fn alarm_pieces(state: &State) -> Vec<Piece> {
    let JournalState::Trouble { line, waiting } = &state.journal else { return Vec::new() };
    let text = format!("NOT ON DISK: {waiting} record(s) wait. {line}");
    vec![
        Piece { text, role: Role::Strong, rank: 0, right: false },
        Piece { text: clock(state.now), role: Role::Strong, rank: 2, right: true },
    ]
}

/// The banner of the past: which moment, how long ago, what is new behind it.
fn past_pieces(state: &State, past: &Past) -> Vec<Piece> {
    let left = |text: String, rank| Piece { text, role: Role::Strong, rank, right: false };
    let right = |text: String, rank| Piece { text, role: Role::Text, rank, right: true };
    let replay = state.role == Part::Replay;
    let word = if replay { "REPLAY" } else { "PAST" };
    if !past.shown {
        let how_far = match past.reading {
            Some((done, of)) if of > 0 => format!("{} %", (done.min(of) * 100) / of),
            _ => String::new(),
        };
        return vec![left(word.into(), 0), left(format!("reading the incident file {how_far}"), 1)];
    }
    let day = if replay { "%Y-%m-%d " } else { "" };
    let mut out = vec![left(word.into(), 0), left(format!("{}{}", past.at.strftime(day), clock(past.at)), 0)];
    // Where there is no room for the day, the time of day alone says most.
    if let (true, Some(piece)) = (replay && state.size.0 < 60, out.get_mut(1)) {
        piece.text = clock(past.at);
    }
    if past.playing.is_some() {
        out.push(left(format!("playing {}x", past.factor()), 2));
    }
    if !replay {
        out.push(left(super::update::ago(past, state.now), 3));
    }
    out.push(left(format!("event {}/{}", past.event, past.events), 4));
    if !past.differences.is_empty() {
        let n = past.differences.len();
        out.push(left(format!("{n} cause{} judged otherwise", if n == 1 { "" } else { "s" }), 5));
    }
    out.push(left(format!("INC {}", state.incident.name), 8));
    if let Some(onset) = state.incident.onset {
        out.push(left(format!("onset {}Z", onset.strftime("%H:%M")), 9));
    }
    if let (false, Some(b)) = (replay, state.behind_past()) {
        out.push(right(format!("behind: {} events, {} log lines", b.events, b.lines), 6));
        out.push(right(format!("now {}", clock(state.now)), 7));
    }
    out
}

fn pieces(state: &State) -> Vec<Piece> {
    let left = |text: String, role, rank| Piece { text, role, rank, right: false };
    let right = |text: String, role, rank| Piece { text, role, rank, right: true };
    let s = state.shown();
    let target = s.target.value();
    let name = match target {
        Some(t) if !t.host.is_empty() => t.host.to_string(),
        Some(t) => crate::situation::short(&t.lb).to_string(),
        None if state.incident.asked.is_empty() => "no target yet".into(),
        None => state.incident.asked.to_string(),
    };
    let mut out = vec![
        left("badgate".into(), Role::Dim, 9),
        left(name, Role::Strong, 1),
        left(format!("INC {}", state.incident.name), Role::Text, 7),
    ];
    if let Some(onset) = state.incident.onset {
        out.push(left(format!("onset {}Z", onset.strftime("%H:%M")), Role::Warn, 5));
        out.push(left(elapsed(state.now, onset), Role::Warn, 6));
    }
    if let Some(with) = super::update::company(state) {
        out.push(right(with, Role::Info, 5));
    }
    if state.role == Part::Join {
        out.push(right("FOLLOWING".into(), Role::Info, 4));
    }
    if !state.label.is_empty() {
        out.push(right(state.label.to_string(), Role::Strong, 2));
    }
    // Until the new place has said whose it is, the identity is that of another.
    let ours = |id: &&crate::situation::Identity| {
        let place = state.place.as_ref();
        place.is_none_or(|(profile, region)| id.profile == *profile && id.region == *region)
    };
    if let Some(id) = s.identity.value().filter(ours) {
        let account = if state.privacy { "account hidden".into() } else { mask::account(&id.account) };
        let who =
            [id.profile.as_str(), &account].iter().filter(|t| !t.is_empty()).copied().collect::<Vec<_>>();
        out.push(right(who.join(" "), Role::Text, 6));
        out.push(right(id.region.to_string(), Role::Text, 4));
        if let Some(end) = id.expires {
            let left_s = end.duration_since(state.now).as_secs();
            let (text, role) = match left_s {
                ..=0 => ("creds expired".to_string(), Role::Bad),
                1..=900 => (format!("creds {}m", left_s / 60), Role::Warn),
                901..=5999 => (format!("creds {}m", left_s / 60), Role::Text),
                _ => (format!("creds {}h", left_s / 3600), Role::Text),
            };
            let rank = if left_s <= 900 { 2 } else { 8 };
            out.push(right(text, role, rank));
        }
    }
    out.push(match state.journal {
        JournalState::Recording => right("REC".into(), Role::Good, 3),
        _ => right("NOT RECORDED".into(), Role::Bad, 2),
    });
    out.push(right(clock(state.now), Role::Text, 0));
    out.retain(|p| !p.text.is_empty());
    out
}

fn clock(t: Timestamp) -> String {
    t.strftime("%H:%M:%SZ").to_string()
}

/// `+12m44s`, `+3h05m`: seconds no longer matter after an hour.
fn elapsed(now: Timestamp, since: Timestamp) -> String {
    let s = now.duration_since(since).max(SignedDuration::ZERO).as_secs();
    match s {
        0..=3599 => format!("+{}m{:02}s", s / 60, s % 60),
        _ => format!("+{}h{:02}m", s / 3600, s % 3600 / 60),
    }
}

/// Draws the line at the bottom.
pub fn bar(state: &State, buf: &mut Buffer, area: Rect) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    fill(buf, area, state.theme.base());
    if let Some(n) = &state.notice {
        let (glyph, role) = match n.mark {
            Mark::Good => (state.glyphs.good, Role::Good),
            Mark::Info => (state.glyphs.idle, Role::Info),
            Mark::Warn => (state.glyphs.warn, Role::Warn),
            Mark::Bad => (state.glyphs.bad, Role::Bad),
            Mark::Unknown => (state.glyphs.unknown, Role::Unknown),
        };
        let text = format!(" {glyph} {}", n.text.one_line());
        say(state, buf, area, &text, state.theme.style(role));
    } else if let Some((lines, others)) = state.behind() {
        let at = state.shown_now().strftime("%H:%M:%SZ");
        let key = super::update::first_key(&state.keymap, Action::Freeze);
        let text =
            format!(" FROZEN at {at}   behind: {lines} log lines, {others} other answers   {key} goes on");
        fill(buf, area, state.theme.style(Role::Banner));
        say(state, buf, area, &text, state.theme.style(Role::Banner));
    } else if !state.no_target.is_empty() && state.situation.lb_arn().is_none() {
        say(
            state,
            buf,
            area,
            &format!(" {} {}", state.glyphs.bad, state.no_target),
            state.theme.style(Role::Bad),
        );
    } else {
        keys(state, buf, area);
    }
    if let Some(m) = state.metered {
        let text = format!(" {} B {} frames, last {} B ", m.bytes, m.frames, m.last);
        let w = (width(&text) as u16).min(area.width);
        buf.set_string(area.right() - w, area.y, text, state.theme.style(Role::Dim));
    }
}

fn say(state: &State, buf: &mut Buffer, area: Rect, text: &str, style: Style) {
    let text = truncate_with(text, area.width as usize, state.glyphs.ellipsis);
    buf.set_string(area.x, area.y, text, style);
}

/// Keys that matter here, those of the focused pane first, as many as fit. The
/// key of the help is always among them.
fn keys(state: &State, buf: &mut Buffer, area: Rect) {
    let first = |a: Action| super::update::first_key(&state.keymap, a);
    let mut items: Vec<(String, &str)> = Vec::new();
    let past = state.past.as_ref().filter(|p| p.shown);
    if past.is_some() {
        let pair = |a, b| format!("{} {}", first(a), first(b));
        items.push((pair(Action::Earlier, Action::Later), "event"));
        items.push((pair(Action::ChangeBack, Action::ChangeOn), "change"));
        items.push((pair(Action::MinuteBack, Action::MinuteOn), "minute"));
        items.push((first(Action::Play), "play"));
        items.push((pair(Action::Slower, Action::Faster), "speed"));
        items.push((first(Action::Time), "type a time"));
        if state.role == Part::Live {
            items.push((first(Action::Back), "back to now"));
        }
        items.push((first(Action::Differences), "differences"));
    }
    if !state.steps.is_empty() && past.is_none() {
        items.push((format!("{}-{}", first(Action::Step(0)), first(Action::Step(7))), "run step"));
    }
    if !state.offers.is_empty() {
        items.push((first(Action::Act), "act"));
    }
    let here = TABLE.iter().filter(|b| b.scope == Scope::In(state.focus));
    let all = TABLE.iter().filter(|b| b.scope == Scope::Everywhere && b.action != Action::Help);
    let present = |b: &&Binding| {
        past.is_none() || (b.action != Action::Time && !super::update::only_now(state.role, b.action))
    };
    let all = all.filter(present);
    let shown = |b: &&Binding| {
        let taken = state.keymap.keys(b.action).first().is_some_and(|k| state.keymap.in_past(*k).is_some());
        let free = past.is_none() || !taken;
        free && !b.word.is_empty() && !state.keymap.keys(b.action).is_empty()
    };
    items.extend(here.chain(all).filter(shown).map(|b| (first(b.action), b.word)));
    let help = (first(Action::Help), "help");
    let wide = |(key, word): &(String, &str)| width(key) + 1 + width(word);

    let mut room = (area.width as usize).saturating_sub(1 + wide(&help));
    items.retain(|i| {
        let fits = wide(i) + 3 <= room;
        if fits {
            room -= wide(i) + 3;
        }
        fits
    });
    items.push(help);
    let mut x = area.x + 1.min(area.width);
    for (key, word) in &items {
        let key = truncate_with(key, area.right().saturating_sub(x) as usize, "");
        buf.set_string(x, area.y, &key, state.theme.style(Role::Key));
        x = (x + width(&key) as u16 + 1).min(area.right());
        let word = truncate_with(word, area.right().saturating_sub(x) as usize, "");
        buf.set_string(x, area.y, &word, state.theme.style(Role::Dim));
        x = (x + width(&word) as u16 + 3).min(area.right());
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::state;
    use super::*;
    use crate::situation::{Datum, Identity};

    fn head(state: &State, w: u16) -> String {
        let mut buf = Buffer::empty(Rect::new(0, 0, w, 1));
        header(state, &mut buf, Rect::new(0, 0, w, 1));
        buf.content.iter().map(|c| c.symbol()).collect()
    }

    fn known() -> State {
        let mut s = state();
        let id = Identity {
            account: "123456789012".into(),
            profile: "prod".into(),
            region: "ap-northeast-1".into(),
            expires: s.now.checked_add(SignedDuration::from_mins(41)).ok(),
            ..Identity::default()
        };
        s.situation.identity = Datum::known(id, s.now, "sts:GetCallerIdentity");
        s.incident.onset = s.now.checked_sub(SignedDuration::from_secs(764)).ok();
        s.journal = JournalState::Recording;
        s
    }

    #[test]
    fn the_clock_is_the_last_to_go() {
        let s = known();
        insta::assert_snapshot!(
            [200, 120, 80, 40, 12, 5].map(|w| format!("|{}|", head(&s, w))).join("\n"),
            @r"
        | badgate  shop-alb  INC shop-2026-11-22  onset 01:41Z  +12m44s                                                                             prod 1234....9012  ap-northeast-1  creds 41m  REC  01:53:51Z |
        | shop-alb  INC shop-2026-11-22  onset 01:41Z  +12m44s      prod 1234....9012  ap-northeast-1  creds 41m  REC  01:53:51Z |
        | shop-alb  onset 01:41Z  +12m44s                 ap-northeast-1  REC  01:53:51Z |
        | shop-alb                REC  01:53:51Z |
        |  01:53:51Z |
        |     |
        "
        );
        for w in 0..200 {
            head(&s, w);
        }
    }

    #[test]
    fn what_is_not_recorded_is_said() {
        let mut s = known();
        s.journal = JournalState::Off;
        assert!(head(&s, 80).contains("NOT RECORDED"));
        s.journal = JournalState::Trouble { line: "the disk is full: free some space".into(), waiting: 3 };
        assert!(
            head(&s, 80).starts_with(" NOT ON DISK: 3 record(s) wait. the disk is full"),
            "{}",
            head(&s, 80)
        );
        s.situation.identity = Datum::default();
        assert!(head(&s, 10).len() >= 10);
    }

    #[test]
    fn elapsed_time() {
        let t: Timestamp = "2026-11-22T01:00:00Z".parse().unwrap();
        let at = |s: i64| elapsed(t.checked_add(SignedDuration::from_secs(s)).unwrap(), t);
        assert_eq!(
            [at(-5), at(7), at(764), at(3600), at(11105)],
            ["+0m00s", "+0m07s", "+12m44s", "+1h00m", "+3h05m"]
        );
    }
}
