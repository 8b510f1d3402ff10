//! A list narrowed down by typing.

use crate::console::keys::{Code, Key};
use crate::console::textbox::TextBox;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// What a match at the very beginning is worth: more than any other.
const PREFIX: u32 = 1 << 16;

/// The state of such a list; what it lists is with its owner.
#[derive(Clone, Debug)]
pub struct FuzzyList {
    pub input: TextBox,
    /// Index into `hits`.
    pub selected: usize,
    /// Indexes of the items that fit, best first.
    pub hits: Vec<usize>,
}

impl FuzzyList {
    /// All items, nothing typed.
    pub fn new(labels: &[String]) -> FuzzyList {
        FuzzyList { input: TextBox::line(), selected: 0, hits: (0..labels.len()).collect() }
    }

    /// Fits the typed text to the labels anew; the selected item stays so if it
    /// still fits.
    pub fn refresh(&mut self, labels: &[String]) {
        let selected = self.item();
        let typed = self.input.text();
        if typed.trim().is_empty() {
            self.hits = (0..labels.len()).collect();
        } else {
            let pattern = Pattern::parse(typed, CaseMatching::Smart, Normalization::Smart);
            let mut matcher = Matcher::new(Config::DEFAULT);
            let mut buf = Vec::new();
            let mut scored: Vec<(u32, usize)> = labels
                .iter()
                .enumerate()
                .filter_map(|(i, l)| {
                    let score = pattern.score(Utf32Str::new(l, &mut buf), &mut matcher)?;
                    // Who types the beginning of a name means that name.
                    Some((score + if l.starts_with(typed) { PREFIX } else { 0 }, i))
                })
                .collect();
            scored.sort_by_key(|(score, i)| (std::cmp::Reverse(*score), *i));
            self.hits = scored.into_iter().map(|(_, i)| i).collect();
        }
        self.selected = selected.and_then(|s| self.hits.iter().position(|h| *h == s)).unwrap_or(0);
    }

    /// The selected item.
    pub fn item(&self) -> Option<usize> {
        self.hits.get(self.selected).copied()
    }

    /// Takes a key that moves or types; false for any other.
    pub fn key(&mut self, key: Key, labels: &[String]) -> bool {
        let last = self.hits.len().saturating_sub(1);
        match (key.code, key.ctrl) {
            (Code::Up, _) => self.selected = self.selected.saturating_sub(1),
            (Code::Char('n'), true) | (Code::Down, _) => self.selected = (self.selected + 1).min(last),
            (Code::PageUp, _) => self.selected = self.selected.saturating_sub(10),
            (Code::PageDown, _) => self.selected = (self.selected + 10).min(last),
            _ => {
                if !self.input.key(key) {
                    return false;
                }
                // What is typed asks for the best match, wherever one was before.
                self.selected = usize::MAX;
                self.refresh(labels);
            }
        }
        true
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str, labels: &[String]) {
        self.input.insert(text);
        self.selected = usize::MAX;
        self.refresh(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["shop-alb ap-northeast-1", "shop-internal us-east-1", "billing eu-west-1"].map(String::from).to_vec()
    }

    fn typed(keys: &str) -> FuzzyList {
        let mut l = FuzzyList::new(&labels());
        for k in Key::sequence(keys).unwrap() {
            assert!(l.key(k, &labels()), "{k}");
        }
        l
    }

    #[test]
    fn narrows_and_moves() {
        assert_eq!(typed("").item(), Some(0));
        assert_eq!(typed("bil").item(), Some(2));
        assert_eq!(typed("shint").item(), Some(1));
        assert_eq!(typed("shop<down>").item(), Some(1));
        assert_eq!(typed("<down><down><down><down>").item(), Some(2));
        assert_eq!(typed("zzz").item(), None);
        assert_eq!(typed("zzz<down><up>").item(), None);
        assert_eq!(typed("zz<backspace><backspace>").hits, [0, 1, 2]);
    }

    #[test]
    fn what_is_selected_stays_when_the_list_grows() {
        let mut l = typed("<down>");
        l.refresh(&[labels(), vec!["new".into()]].concat());
        assert_eq!((l.item(), l.hits.len()), (Some(1), 4));
    }
}
