//! CSV after RFC 4180: CRLF, quotes doubled. A cell that a spreadsheet would
//! take for a formula begins with an apostrophe.

use super::{Head, words};
use crate::journal::Record;

const COLUMNS: [&str; 6] = ["at", "logged", "by", "kind", "summary", "data"];

pub(super) fn write(head: &Head, records: &[Record]) -> String {
    let mut out = String::new();
    row(&mut out, &COLUMNS.map(str::to_owned));
    // The format has no comments, so the head is a row in the same columns.
    let said: Vec<String> =
        head.lines().into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let made = format!("{:.6}", head.generated);
    row(
        &mut out,
        &[made.clone(), made.clone(), "badgate".into(), "export".into(), said.join("; "), String::new()],
    );
    for problem in &head.problems {
        row(
            &mut out,
            &[
                made.clone(),
                made.clone(),
                "badgate".into(),
                "problem".into(),
                problem.to_string(),
                String::new(),
            ],
        );
    }
    for r in records {
        row(
            &mut out,
            &[
                format!("{:.6}", r.at),
                format!("{:.6}", r.logged),
                r.by.one_line().to_string(),
                r.kind.as_str().to_owned(),
                words::summary(r).to_string(),
                r.data.to_string(),
            ],
        );
    }
    out
}

fn row(out: &mut String, cells: &[String; 6]) {
    for (i, text) in cells.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        cell(out, text);
    }
    out.push_str("\r\n");
}

/// Whether a spreadsheet may take the text for a formula. The wide forms count
/// in East Asian settings.
fn is_formula(text: &str) -> bool {
    text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
}

fn cell(out: &mut String, text: &str) {
    let guard = if is_formula(text) { "'" } else { "" };
    let quoted = text.contains([',', '"', '\n', '\r', ';']) || text.starts_with(' ') || text.ends_with(' ');
    if quoted {
        out.push('"');
        out.push_str(guard);
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(guard);
        out.push_str(text);
    }
}
