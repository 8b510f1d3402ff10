//! Rows that are counted, judged and shown.
#![no_main]
use badgate::sources::access_log::tally::{Rules, Tally};
use badgate::sources::access_log::{Line, Parser};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut parser, mut a, mut b) = (Parser::default(), Tally::new(Rules::default()), None);
    for (i, line) in data.split(|c| *c == b'\n').enumerate() {
        if let Line::Row(format, row) = parser.line(line, true) {
            let half = b.get_or_insert_with(|| Tally::new(a.rules.clone()));
            if i % 2 == 0 { a.take(format, &row, b"") } else { half.take(format, &row, b"10.0.0.1") }
        }
    }
    if let Some(b) = b {
        let rows = a.rows + b.rows;
        a.merge(b);
        assert_eq!(a.rows, rows);
    }
});
