use super::*;
use proptest::prelude::*;

fn read(head: bool, bytes: &[u8], closed: bool) -> Reader {
    let mut r = Reader::new(head, 1 << 16);
    r.feed(bytes);
    if closed {
        r.end();
    }
    r
}

fn ids(r: &Reader) -> Vec<&str> {
    r.answer.faults.iter().map(|f| f.id.as_str()).collect()
}

#[test]
fn a_clean_answer_has_no_fault() {
    for (wire, body, framing) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..], &b"abc"[..], Framing::Length(3)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
            b"abcde",
            Framing::Chunked,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", Framing::Nothing),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", Framing::Length(0)),
    ] {
        let r = read(false, wire, false);
        assert_eq!(r.need(), Need::Nothing, "{:?}", r.answer);
        assert_eq!((r.answer.body.as_slice(), r.answer.framing), (body, Some(framing)));
        assert!(r.answer.faults.is_empty() && r.answer.keeps, "{:?}", r.answer);
    }
    let r = read(true, b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", false);
    assert_eq!((r.need(), r.answer.keeps), (Need::Nothing, true));
    let r = read(false, b"HTTP/1.0 200 OK\r\n\r\nabc", true);
    assert_eq!((r.need(), r.answer.keeps, r.answer.body.as_slice()), (Need::Nothing, false, &b"abc"[..]));
}

#[test]
fn faults_are_named() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "a".repeat(40_000));
    for (head, wire, want) in [
        (
            false,
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"[..],
            "conflicting-content-length",
        ),
        (false, b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", "repeated-content-length"),
        (false, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", "bad-content-length"),
        (
            false,
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "length-and-chunked",
        ),
        (false, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "bad-transfer-encoding"),
        (false, b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunked-in-1.0"),
        (false, b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", "obs-fold"),
        (false, b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare-lf"),
        (false, b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n", "blank-before-colon"),
        (false, b"HTTP/1.1 200 OK\r\nX\x01Y: a\r\nContent-Length: 0\r\n\r\n", "bad-header-name"),
        (false, b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n", "control-in-header"),
        (false, b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n", "header-without-colon"),
        (false, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "length-on-204"),
        (false, b"HTTP/1.1 204 No Content\r\n\r\nhello", "body-after-no-body"),
        (true, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "body-after-no-body"),
        (false, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", "bytes-after-answer"),
        (false, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "early-close"),
        (false, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "early-close"),
        (false, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "bad-chunk"),
        (false, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", "bad-chunk"),
        (false, b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "blank-before-answer"),
        (false, b"HTTP/3 200 OK\r\nContent-Length: 0\r\n\r\n", "bad-version"),
        (false, b"HTTP/1.1 twohundred\r\n", "bad-status-line"),
        (false, b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "no-blank-after-status"),
        (false, b"\x15\x03\x03\x00\x02\x02\x28", "not-http"),
        (false, b"SSH-2.0-OpenSSH_9\r\n", "not-http"),
        (false, long.as_bytes(), "header-block-large"),
    ] {
        let r = read(head, wire, true);
        assert!(ids(&r).contains(&want), "{}: {:?}", String::from_utf8_lossy(wire), r.answer);
    }
}

#[test]
fn what_never_ends_is_given_up() {
    let mut r = Reader::new(false, 1 << 16);
    r.feed(b"HTTP/1.1 200 OK\r\n");
    for _ in 0..10_000 {
        r.feed(b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    }
    assert_eq!(r.need(), Need::GaveUp);
    assert!(ids(&r).contains(&"header-block-endless"), "{:?}", ids(&r));

    let mut r = Reader::new(false, 100);
    r.feed(b"HTTP/1.1 200 OK\r\n\r\n");
    for _ in 0..1000 {
        r.feed(&[b'x'; 1000]);
    }
    assert_eq!((r.need(), r.answer.body.len(), r.answer.body_bytes), (Need::Body, 100, 1_000_000));

    let mut r = Reader::new(false, 0);
    for _ in 0..40 {
        r.feed(b"HTTP/1.1 103 Early Hints\r\n\r\n");
    }
    assert_eq!(r.need(), Need::GaveUp);
}

#[test]
fn ends_without_an_answer_are_told_apart() {
    for (wire, want) in [
        (&b""[..], "closed without an answer"),
        (b"HTT", "closed within the header"),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", "closed within the header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", "closed after 2 of 10 bytes"),
    ] {
        let r = read(false, wire, true);
        assert!(r.answer.failure.contains(want), "{:?}", r.answer);
    }
}

proptest! {
    #[test]
    fn pieces_make_no_difference(wire in answers(), cuts in prop::collection::vec(1usize..40, 1..60)) {
        let whole = read(false, &wire, true);
        let mut r = Reader::new(false, 1 << 16);
        let mut rest = wire.as_slice();
        for n in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let n = (*n).min(rest.len());
            r.feed(&rest[..n]);
            rest = &rest[n..];
        }
        r.end();
        prop_assert_eq!(format!("{:?}", whole.answer), format!("{:?}", r.answer));
        prop_assert_eq!(whole.need(), r.need());
    }
}

/// Answers, whole and damaged.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\n",
        "HTTP/1.1 204 x\r\n",
        "HTTP/1.1 100 c\r\n\r\n",
        "Content-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\n",
        " folded\r\n",
        "Connection: close\r\n",
        "\r\n",
        "\n",
        "4\r\nabcd\r\n",
        "0\r\n\r\n",
        "X: y\r\n",
        "junk",
        "\u{0}\u{1}",
    ]);
    prop::collection::vec(line, 0..12).prop_map(|lines| {
        let mut all = b"HTTP/1.1 200 OK\r\n".to_vec();
        lines.iter().for_each(|l| all.extend_from_slice(l.as_bytes()));
        all
    })
}
