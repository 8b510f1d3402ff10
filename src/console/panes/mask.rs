//! What a shared screen must not show: account numbers and addresses.
//!
//! The last part of an address stays, so that two people can still talk about
//! "the one that ends in 77".

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The text with account numbers (runs of exactly twelve digits) and IP
/// addresses masked. Never longer than the text.
pub fn mask(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out: Option<String> = None;
    let mut copied = 0;
    let mut i = 0;
    while i < bytes.len() {
        let starts = in_word(bytes[i]) && (i == 0 || !in_word(bytes[i - 1]));
        if !starts {
            i += 1;
            continue;
        }
        let end = i + bytes[i..].iter().take_while(|b| in_word(**b)).count();
        let mut at = i;
        i = end;
        // EC2 host names spell the address: `ip-10-0-1-9.ap-northeast-1...`.
        if &text[at..end] == "ip"
            && let Some((stop, short)) = masked_host(text, end)
        {
            push(&mut out, text, &mut copied, at, stop, &short);
            i = stop;
            continue;
        }
        // `10.0.1.9:8080`, `::1`, an ARN: try the whole word, then its parts between colons.
        if let Some(short) = masked_v6(&text[at..end]) {
            push(&mut out, text, &mut copied, at, end, &short);
            continue;
        }
        while at < end {
            let stop = at + bytes[at..end].iter().take_while(|b| **b != b':').count();
            // A sentence may end behind an address.
            let trimmed = at + text[at..stop].trim_end_matches('.').len();
            if let Some(short) = masked_part(&text[at..trimmed]) {
                push(&mut out, text, &mut copied, at, trimmed, &short);
            }
            at = stop + 1;
        }
    }
    match out {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
    }
}

fn in_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'.' || b == b':'
}

fn push(out: &mut Option<String>, text: &str, copied: &mut usize, from: usize, to: usize, with: &str) {
    let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
    out.push_str(&text[*copied..from]);
    out.push_str(with);
    *copied = to;
}

/// `-10-0-1-9` behind `ip`: where it ends, and what to show for the whole.
fn masked_host(text: &str, from: usize) -> Option<(usize, String)> {
    let mut at = from;
    let mut last = "";
    for _ in 0..4 {
        let rest = text.get(at..)?.strip_prefix('-')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=3).contains(&digits) {
            return None;
        }
        last = &rest[..digits];
        at += 1 + digits;
    }
    Some((at, format!("ip-*-*-*-{last}")))
}

fn masked_part(part: &str) -> Option<String> {
    if part.len() == 12 && part.bytes().all(|b| b.is_ascii_digit()) {
        return Some(account(part));
    }
    let v4: Ipv4Addr = part.parse().ok()?;
    Some(format!("*.*.*.{}", v4.octets()[3]))
}

fn masked_v6(word: &str) -> Option<String> {
    let trimmed = word.trim_end_matches('.');
    let v6: Ipv6Addr = trimmed.parse().ok()?;
    let short = format!("*::{:x}", v6.segments()[7]);
    let tail = &word[trimmed.len()..];
    // `::1` is its own shortest form and tells nothing.
    Some(if short.len() <= trimmed.len() { format!("{short}{tail}") } else { word.to_owned() })
}

/// An account number as the header shows it to everybody: first and last four digits.
pub fn account(number: &str) -> String {
    match (number.get(..4), number.len().checked_sub(4).and_then(|n| number.get(n..))) {
        (Some(head), Some(tail)) if number.len() == 12 => format!("{head}....{tail}"),
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accounts_and_addresses() {
        for (text, want) in [
            ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::1234....9012:role/x"),
            ("10.0.1.9:8080 refused", "*.*.*.9:8080 refused"),
            (
                "client=203.0.113.77, upstream http://10.0.2.8:80/",
                "client=*.*.*.77, upstream http://*.*.*.8:80/",
            ),
            ("from 10.0.0.1.", "from *.*.*.1."),
            ("[2001:db8::17]:443", "[*::17]:443"),
            ("fe80::1", "*::1"),
            ("::1", "::1"),
            ("took 1.2.3 ms at 01:53:50", "took 1.2.3 ms at 01:53:50"),
            ("1234567890123 and 12345678901", "1234567890123 and 12345678901"),
            ("999.1.1.1", "999.1.1.1"),
            ("\u{65e5}\u{672c}10.0.0.7\u{8a9e}", "\u{65e5}\u{672c}*.*.*.7\u{8a9e}"),
            ("ip-10-0-1-9.internal up", "ip-*-*-*-9.internal up"),
            ("ip-10-0", "ip-10-0"),
        ] {
            assert_eq!(mask(text), want);
        }
        assert_eq!(account("123456789012"), "1234....9012");
        assert_eq!(account("12"), "12");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_longer_and_no_address_left(
            head in "[ -~]{0,8}", ip in any::<[u8; 4]>(), v6 in any::<[u16; 8]>(), tail in "[ ,;/)\\]]{0,3}",
        ) {
            let v4 = Ipv4Addr::from(ip).to_string();
            let v6 = Ipv6Addr::from(v6).to_string();
            let text = format!("{head} {v4} {v6}{tail}");
            let masked = mask(&text);
            prop_assert!(masked.len() <= text.len());
            prop_assert!(!masked.contains(&v4), "{}", masked);
            let masked_twice = mask(&masked).into_owned();
            prop_assert_eq!(&masked_twice, masked.as_ref());
        }
    }
}
