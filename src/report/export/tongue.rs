//! The fixed words of a postmortem in other languages than English. The
//! English words stand where they are used and are the keys here.

use crate::procedure::Lang;

/// The words in this language; the English ones where there are none.
pub(super) fn say(lang: Lang, english: &str) -> &str {
    match lang {
        Lang::En => english,
        Lang::Ja => JA.iter().find(|(en, _)| *en == english).map_or(english, |(_, ja)| ja),
    }
}

const JA: &[(&str, &str)] = &[
    ("Postmortem", "ポストモーテム"),
    ("Warning", "警告"),
    ("Summary", "概要"),
    ("Impact", "影響"),
    ("Phases", "経過の区切り"),
    ("Evidence", "根拠"),
    ("Marked rows", "印を付けた行"),
    ("Procedure", "手順"),
    ("Actions taken", "実施した操作"),
    ("Notes", "メモ"),
    ("Timeline (UTC)", "タイムライン (UTC)"),
    ("Action items", "今後の対応"),
    ("Not recorded, not readable", "記録されなかったもの、読めなかったもの"),
    ("How it went", "時間の流れ"),
    ("Request path", "リクエストの経路"),
    ("Causes", "原因"),
    ("Timeout chain", "タイムアウトの連鎖"),
    ("What this is made of", "この文書の出所"),
    ("target", "対象"),
    ("account", "アカウント"),
    ("region", "リージョン"),
    ("profile", "プロファイル"),
    ("version", "版"),
    ("people", "関わった人"),
    ("cause", "原因"),
    ("phase", "区切り"),
    ("at (UTC)", "時刻 (UTC)"),
    ("known by", "出所"),
    ("at", "時刻"),
    ("kind", "種類"),
    ("by", "誰が"),
    ("what", "内容"),
    ("file", "ファイル"),
    ("range", "範囲"),
    ("records", "記録数"),
    ("filter", "絞り込み"),
    ("redaction", "伏せ字"),
    ("removed", "除いたもの"),
    ("generated", "作成"),
    ("schema", "スキーマ"),
    ("onset", "発生"),
    ("detected", "検知"),
    ("diagnosed", "原因特定"),
    ("mitigated", "緩和"),
    ("resolved", "解決"),
    ("time to detect", "検知まで"),
    ("time to diagnose", "原因特定まで"),
    ("time to mitigate", "緩和まで"),
    ("time to resolve", "解決まで"),
    ("to detect", "検知まで"),
    ("to name the cause", "原因特定まで"),
    ("to mitigate", "緩和まで"),
    ("to resolve", "解決まで"),
    ("not recorded", "記録なし"),
    ("Not recorded.", "記録なし。"),
    (
        "Not recorded. Who was affected, how many requests failed, for how long?",
        "記録なし。誰が影響を受け、何件のリクエストがどれだけの間失敗したか。",
    ),
    (
        "Two sentences for those who were asleep: what broke, and what made it work again.",
        "寝ていた人のために二文で: 何が壊れ、何で直ったか。",
    ),
    ("None recorded.", "記録なし。"),
    ("None recorded. A row marked with `m` stands here.", "記録なし。`m` で印を付けた行がここに載る。"),
    (
        "None recorded. A note that begins `action:` becomes one.",
        "記録なし。`action:` で始まるメモがここに載る。",
    ),
    ("No step was run.", "実行した手順はない。"),
    ("No note was written.", "メモはない。"),
    ("Empty.", "なし。"),
    ("Nothing: every line of the file was read.", "なし: ファイルの全行を読めた。"),
    ("No cause was named.", "原因は特定されていない。"),
    ("Nothing was observed of the request path.", "リクエストの経路は観測されていない。"),
    ("No timer was observed.", "タイムアウトの値は観測されていない。"),
    (
        "observation(s) are listed in the JSON and CSV exports; above stands what changed.",
        "件の観測は JSON と CSV にある。上に載るのは変化したものだけ。",
    ),
    ("confirmed", "確定"),
    ("likely", "有力"),
    ("possible", "可能性"),
    ("unchecked", "未確認"),
    ("ruled out", "除外"),
    ("for", "支持"),
    ("against", "反証"),
    ("next", "次に"),
    ("evidence", "根拠"),
    ("ok", "正常"),
    ("warn", "注意"),
    ("bad", "異常"),
    ("unknown", "不明"),
    ("violated", "違反"),
    ("at risk", "危うい"),
    ("broken here", "ここが壊れている"),
    ("not known", "不明"),
    ("as of", "時点"),
    ("5xx a minute", "5xx/分"),
    ("no data", "データなし"),
    ("healthy", "正常"),
    ("health", "ヘルス"),
    ("not observed", "観測なし"),
    ("some healthy", "一部正常"),
    ("none healthy", "正常なし"),
    ("all healthy", "すべて正常"),
    ("verdicts", "診断"),
    ("steps", "手順"),
    ("notes", "メモ"),
    ("marks", "印"),
    ("changes", "変更"),
    ("actions", "操作"),
    ("others", "その他"),
    ("longer than the drawing", "図の幅を超える"),
    ("must hold", "守るべき順序"),
    ("drawn to scale, in seconds", "秒に比例して描画"),
    ("last of", "全"),
    ("runs", "回の最後"),
    ("session", "セッション"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fixed_word_has_its_japanese() {
        let sources = [include_str!("html.rs"), include_str!("svg.rs"), include_str!("markdown.rs")];
        let call = regex::Regex::new(r#"\bt\("((?:[^"\\]|\\.)*)"\)"#).unwrap();
        let mut found = 0;
        for word in sources.iter().flat_map(|s| call.captures_iter(s)) {
            found += 1;
            assert!(JA.iter().any(|(en, _)| *en == &word[1]), "no Japanese for {:?}", &word[1]);
        }
        assert!(found > 30, "the words are no longer found in the source");
        let mut keys: Vec<&str> = JA.iter().map(|(en, _)| *en).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), JA.len(), "a word stands twice");
    }
}
