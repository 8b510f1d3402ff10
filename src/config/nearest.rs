//! The nearest known name to a mistyped one.

/// The candidate that was most likely meant, if one is near enough: at most
/// one edit for every three characters, and never more than three.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = fold(typed);
    let limit = (typed.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter_map(|k| {
            let folded = fold(k);
            let d = distance(&typed, &folded);
            let starts =
                typed.len() >= 3 && (folded.starts_with(&typed[..]) || typed.starts_with(&folded[..]));
            (d <= limit || starts).then_some((d, k))
        })
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Case and the kind of separator are the commonest slips and cost nothing.
fn fold(s: &str) -> Vec<char> {
    s.chars().take(64).map(|c| if c == '-' || c == ' ' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Edits between two words: insert, remove, replace, or swap two neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_far_off() {
        let known = ["log_groups", "theme", "color", "lang", "incident_dir", "poll"];
        let table = [
            ("log_group", Some("log_groups")),
            ("log-groups", Some("log_groups")),
            ("Log_Groups", Some("log_groups")),
            ("thmee", Some("theme")),
            ("colour", Some("color")),
            ("language", Some("lang")),
            ("incident_folder", None),
            ("x", None),
            ("", None),
            ("zzzzzz", None),
        ];
        for (typed, want) in table {
            assert_eq!(nearest(typed, known), want, "{typed}");
        }
    }
}
