//! Verdicts in words: as `check` prints them, as the incident file keeps them.

use super::check::wrap;
use crate::diagnosis::Judgement;
use crate::diagnosis::catalogue::Catalogue;
use crate::diagnosis::verdict::{Evidence, Hop, Lack, Polarity, Risk, Standing, Verdict};
use crate::text::SafeText;
use serde::Serialize;

/// Who a record of a verdict is by.
pub const JUDGE: &str = "badgate";

/// A verdict with the words of the catalogue. `cause`, `standing`, `hop`,
/// `evidence` and `next` are the agreed members; the others came later.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerdictLine {
    /// Id of the catalogue.
    pub cause: &'static str,
    pub title: SafeText,
    pub standing: Standing,
    pub hop: Hop,
    /// For first, then against; heavier first.
    pub evidence: Vec<Evidence>,
    /// What to do next, most useful first.
    pub next: Vec<SafeText>,
    /// Why it stands where it stands.
    pub why: SafeText,
    /// What would tell and is not known.
    pub missing: Vec<Lack>,
    /// Causes that what was seen cannot tell from this one; the first of `next`
    /// is the cheapest check that would.
    pub twins: Vec<&'static str>,
}

impl VerdictLine {
    /// Puts a verdict in words.
    pub fn new(v: &Verdict, words: &Catalogue) -> VerdictLine {
        VerdictLine {
            cause: v.cause,
            title: title(words, v.cause),
            standing: v.standing,
            hop: v.hop,
            evidence: v.evidence.clone(),
            next: words.next(v),
            why: v.why.clone(),
            missing: v.missing.clone(),
            twins: v.twins.clone(),
        }
    }
}

/// A configuration that could cause a 502 and shows no trace of it now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskLine {
    pub cause: &'static str,
    pub title: SafeText,
    pub hop: Hop,
    pub evidence: Vec<Evidence>,
    pub why: SafeText,
    /// What keeps it from happening.
    pub fix: SafeText,
}

impl RiskLine {
    /// Puts a risk in words.
    pub fn new(r: &Risk, words: &Catalogue) -> RiskLine {
        RiskLine {
            cause: r.cause,
            title: title(words, r.cause),
            hop: r.hop,
            evidence: r.evidence.clone(),
            why: r.why.clone(),
            fix: words.get(r.cause).map(|w| w.fix.clone()).unwrap_or_default(),
        }
    }
}

/// Verdicts and risks of a judgement in words, in its order.
pub fn lines(j: &Judgement, words: &Catalogue) -> (Vec<VerdictLine>, Vec<RiskLine>) {
    (
        j.diagnosis.verdicts.iter().map(|v| VerdictLine::new(v, words)).collect(),
        j.diagnosis.risks.iter().map(|r| RiskLine::new(r, words)).collect(),
    )
}

fn title(words: &Catalogue, cause: &str) -> SafeText {
    words.get(cause).map_or_else(|| cause.into(), |w| w.title.clone())
}

/// A change of standing as a record of the incident file holds it: the verdict
/// as it is now, `was` (`null` when it is new) and a line for the timeline.
pub fn record(v: &Verdict, was: Option<Standing>, words: Option<&Catalogue>) -> serde_json::Value {
    let mut data = words.map_or_else(
        || serde_json::to_value(v).unwrap_or_default(),
        |w| serde_json::to_value(VerdictLine::new(v, w)).unwrap_or_default(),
    );
    if let Some(members) = data.as_object_mut() {
        let text = headline(v.cause, Some(v.standing), was, &v.evidence);
        members.insert("was".into(), serde_json::to_value(was).unwrap_or_default());
        members.insert("text".into(), text.to_string().into());
    }
    data
}

/// `likely alb-target-connection-refused (was possible): target health of web: ...`.
/// Without a standing nothing speaks for or against the cause any more.
pub fn headline(
    cause: &str,
    standing: Option<Standing>,
    was: Option<Standing>,
    evidence: &[Evidence],
) -> SafeText {
    let was = was.map_or(String::new(), |w| format!(" (was {})", w.word()));
    let side = if standing == Some(Standing::RuledOut) { Polarity::Against } else { Polarity::For };
    let first = evidence.iter().find(|e| e.polarity == side);
    let said = first.map_or(String::new(), |e| format!(": {}: {}", e.what, e.value));
    format!("{} {cause}{was}{said}", standing.map_or("no longer judged:", Standing::word)).into()
}

/// Pieces of evidence shown for a verdict that is not the first.
const SHOWN: usize = 3;

/// The text form, 80 columns.
pub fn text(out: &mut String, verdicts: &[VerdictLine], risks: &[RiskLine]) {
    out.push_str("\nVerdicts\n");
    let open: Vec<&VerdictLine> = verdicts
        .iter()
        .filter(|v| matches!(v.standing, Standing::Confirmed | Standing::Likely | Standing::Possible))
        .collect();
    if open.is_empty() {
        out.push_str("  none\n");
    }
    for (n, v) in open.iter().enumerate() {
        let head = format!("  {} {:<10}", sign(v.standing), v.standing.word());
        wrap(out, &head, 14, &format!("{}: {}", v.cause, v.title));
        wrap(out, "              ", 14, &format!("at {}; {}", v.hop.word(), v.why));
        let shown = if n == 0 || v.standing.names_it() { usize::MAX } else { SHOWN };
        evidence(out, &v.evidence, shown);
        if !v.twins.is_empty() {
            wrap(out, "    alike     ", 14, &format!("cannot be told from {} yet", v.twins.join(", ")));
        }
        for step in v.next.iter().take(shown) {
            wrap(out, "    next      ", 14, step);
        }
    }
    if !risks.is_empty() {
        out.push_str("\nRisks: no cause of what is seen now, but one day\n");
        for r in risks {
            wrap(out, "  ! risk      ", 14, &format!("{}: {}", r.cause, r.title));
            evidence(out, &r.evidence, SHOWN);
            if !r.fix.is_empty() {
                wrap(out, "    fix       ", 14, &r.fix);
            }
        }
    }
    unchecked(out, verdicts);
    let out_of: Vec<&str> =
        verdicts.iter().filter(|v| v.standing == Standing::RuledOut).map(|v| v.cause).collect();
    if !out_of.is_empty() {
        out.push_str("\nRuled out\n");
        wrap(out, "  ", 2, &out_of.join(", "));
    }
}

/// Causes nobody could look into, by what is missing: one answer often hangs
/// over many of them.
fn unchecked(out: &mut String, verdicts: &[VerdictLine]) {
    let mut by: Vec<(String, Vec<&str>)> = Vec::new();
    for v in verdicts.iter().filter(|v| v.standing == Standing::Unchecked) {
        let Some(l) = v.missing.first() else { continue };
        let lack = format!("{}: {}", l.what, l.reason.phrase());
        match by.iter_mut().find(|b| b.0 == lack) {
            Some(b) => b.1.push(v.cause),
            None => by.push((lack, vec![v.cause])),
        }
    }
    if by.is_empty() {
        return;
    }
    out.push_str("\nNot checked\n");
    for (lack, causes) in by {
        wrap(out, "  ? ", 4, &lack);
        wrap(out, "      ", 6, &causes.join(", "));
    }
}

fn evidence(out: &mut String, list: &[Evidence], shown: usize) {
    for e in list.iter().take(shown) {
        let side = if e.polarity == Polarity::For { "for" } else { "against" };
        let at = e.at.strftime("%H:%M:%SZ");
        let said = format!("{}: {} ({} {at})", e.what, e.value, e.source);
        wrap(out, &format!("    {side:<10}"), 14, &said);
    }
    if list.len() > shown {
        wrap(out, "              ", 14, &format!("and {} more", list.len() - shown));
    }
}

/// Sign and word: the sign alone is lost on a screen reader.
fn sign(s: Standing) -> char {
    match s {
        Standing::Confirmed => 'x',
        Standing::Likely => '!',
        Standing::Possible => '-',
        Standing::Unchecked => '?',
        Standing::RuledOut => '+',
    }
}
