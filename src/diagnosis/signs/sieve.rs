//! A sieve for log lines: says of nearly every line that it holds none of a few
//! hundred texts, by a look at every second place. An automaton for as many
//! texts waits for the cache at every byte, since where it looks next depends
//! on what it found; these looks wait for nothing, and their table fits into
//! the first cache. What passes is searched properly.

/// Bytes that are looked for, from two places next to each other in each text:
/// one of them is met whatever text stands before.
const WINDOW: usize = 5;
const STRIDE: usize = 2;

/// What is common in log lines, the most common first, and words that stand in
/// many. A text is known by its rarest window.
const COMMON: &[u8] = b" etaoinsr0123456789/.:-=\"lhdcumpfg_w,]['b()vykxjqz";
const WORDS: &str = " request response connection connected connecting server client upstream handled handler \
    worker thread pool execution execute exception function method process message error failed failure warning \
    header status runtime system memory command database query session service served timeout seconds duration \
    available could should while only device such with user agent failed order handle ";

/// Windows of all texts.
#[derive(Clone, Debug)]
pub(super) struct Sieve {
    /// A bit for each hash that a window has.
    bits: Vec<u64>,
    /// In order.
    windows: Vec<u64>,
}

const HASH_BITS: u32 = 16;

fn hash(window: u64) -> usize {
    // Multiplicative hashing: the golden ratio of 64 bits.
    (window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as usize
}

/// Upper and lower case are one, and so are a few other pairs of bytes.
fn folded(b: u8) -> u8 {
    b | 0x20
}

/// The window at the beginning of eight bytes.
fn window(bytes: [u8; 8]) -> u64 {
    (u64::from_le_bytes(bytes) | 0x2020_2020_2020_2020) << (64 - 8 * WINDOW)
}

/// How common a place in a text is: in how many of its windows it is like
/// everyday words, and how frequent its letters are.
fn commonness(place: &[u8]) -> (usize, usize) {
    let fold = |text: &[u8]| -> Vec<u8> { text.iter().map(|b| folded(*b)).collect() };
    let (place, words) = (fold(place), fold(WORDS.as_bytes()));
    let everyday = place.windows(WINDOW).filter(|w| words.windows(WINDOW).any(|x| x == *w)).count();
    let rank = |b: &u8| COMMON.iter().position(|c| folded(*c) == *b).map_or(0, |r| COMMON.len() - r);
    (everyday, place.iter().map(rank).sum())
}

impl Sieve {
    /// For texts of at least six bytes, whatever their case in ASCII; `None`
    /// when one of them is shorter.
    pub fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Sieve> {
        let mut bits = vec![0; 1 << (HASH_BITS - 6)];
        let mut windows = Vec::new();
        for text in texts {
            let places = text.as_bytes().windows(WINDOW + STRIDE - 1);
            let rarest = places.min_by_key(|w| commonness(w))?;
            for place in rarest.windows(WINDOW) {
                let mut bytes = [0; 8];
                bytes[..WINDOW].copy_from_slice(place);
                let window = window(bytes);
                let at = hash(window);
                bits[at / 64] |= 1 << (at % 64);
                windows.push(window);
            }
        }
        windows.sort_unstable();
        Some(Sieve { bits, windows })
    }

    /// May one of the texts be in this line? Never wrong when it says no.
    pub fn may_hold(&self, line: &[u8]) -> bool {
        let Ok(bits) = <&[u64; 1 << (HASH_BITS - 6)]>::try_from(self.bits.as_slice()) else { return true };
        let mut rest = line;
        while let Some(bytes) = rest.first_chunk::<16>() {
            if self.look(bits, bytes) {
                return true;
            }
            rest = &rest[8..];
        }
        let mut end = [0; 24];
        end[..rest.len()].copy_from_slice(rest);
        [&end[..16], &end[8..]].into_iter().filter_map(<[u8]>::first_chunk).any(|b| self.look(bits, b))
    }

    /// Four looks, without a branch between them.
    fn look(&self, bits: &[u64; 1 << (HASH_BITS - 6)], bytes: &[u8; 16]) -> bool {
        let mut windows = [0; 8 / STRIDE];
        let mut any = 0;
        for (i, w) in windows.iter_mut().enumerate() {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[i * STRIDE..i * STRIDE + 8]);
            *w = window(eight);
            let at = hash(*w);
            any |= bits[at / 64] >> (at % 64);
        }
        any & 1 == 1 && windows.iter().any(|w| self.windows.binary_search(w).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXTS: [&str; 5] = ["timeout", "AH00898", "connect() to unix:", "oom-kill:", "exited on signal 9"];

    #[test]
    fn nearly_nothing_else_passes() {
        let s = Sieve::new(TEXTS.into_iter()).unwrap();
        for line in [
            "",
            "a",
            "level=info msg=\"request served\" status=200 ms=17 path=/items/42 user_agent=curl",
            "10.0.0.9 - - [22/Nov/2026:21:42:36 +0000] \"GET /a?b=1 HTTP/1.1\" 200 381 \"-\" \"Mozilla/5.0\"",
        ] {
            assert!(!s.may_hold(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn what_it_cannot_look_for_it_refuses() {
        assert!(Sieve::new(["short"].into_iter()).is_none());
    }

    proptest! {
        #[test]
        fn a_line_that_holds_one_passes(
            before in "\\PC{0,40}", after in "\\PC{0,40}", n in 0..TEXTS.len(), upper in any::<u32>(),
        ) {
            let s = Sieve::new(TEXTS.into_iter()).unwrap();
            let said: String = TEXTS[n].chars().enumerate()
                .map(|(i, c)| if upper >> (i % 32) & 1 == 1 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect();
            let line = format!("{before}{said}{after}");
            prop_assert!(s.may_hold(line.as_bytes()));
        }
    }
}
