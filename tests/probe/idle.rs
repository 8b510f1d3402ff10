//! How long idle connections are kept: the value, and who ended it how.

use crate::serve::*;
use badgate::sources::probe::{Ask, Idle, quietly};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Answers requests; after `keep` of silence ends the connection.
fn keeps(keep: Duration, with_reset: bool) -> Serve {
    Serve::new(move |mut s| {
        s.set_read_timeout(Some(keep)).unwrap();
        while request(&mut s) {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        if with_reset {
            reset(s);
        }
    })
}

#[test]
fn the_time_comes_out_and_how_it_ended() {
    for (with_reset, by) in [(false, "fin"), (true, "rst")] {
        let s = keeps(Duration::from_millis(1500), with_reset);
        let (code, v) = probe(&[&s.url(), "--keepalive"]);
        let seconds = v["keepalive_s"].as_f64().unwrap_or_else(|| panic!("{v:#}"));
        assert!((seconds - 1.5).abs() < 0.2, "{seconds}");
        assert_eq!((code, v["closed_by"].as_str()), (0, Some(by)), "{v:#}");
    }
}

#[test]
fn a_server_that_keeps_nothing_or_never_ends_is_said_to() {
    let each = Serve::new(|mut s| {
        request(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    let (code, v) = probe(&[&each.url(), "--keepalive"]);
    assert_eq!((code, &v["keepalive"]["closes_each"]), (0, &true.into()), "{v:#}");
    assert!(v["keepalive_s"].is_null() && v["closed_by"].is_null());
    // Longer than is watched.
    let long = keeps(Duration::from_secs(60), false);
    let (code, v) = probe(&[&long.url(), "--keepalive=1s"]);
    assert_eq!((code, &v["keepalive"]["at_least_s"]), (0, &1.0.into()), "{v:#}");
    assert!(v["keepalive_s"].is_null());
    let dead = Serve::new(drop);
    let (code, v) = probe(&[&dead.url(), "--keepalive=1s"]);
    assert_eq!(code, 1);
    assert!(v["keepalive_s"].is_null() && !v["keepalive"]["failure"].as_str().unwrap().is_empty(), "{v:#}");
}

#[test]
fn what_a_server_says_before_the_end_is_kept() {
    let s = Serve::new(|mut s| {
        request(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        std::thread::sleep(Duration::from_secs(1));
        let _ = s.write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    });
    let (_, v) = probe(&[&s.url(), "--keepalive"]);
    assert_eq!(v["keepalive"]["unasked"], "HTTP/1.1 408 Request Timeout", "{v:#}");
    assert!((v["keepalive_s"].as_f64().unwrap() - 1.0).abs() < 0.2, "{v:#}");
}

#[tokio::test]
async fn a_hop_that_forgets_without_a_word_shows_when_connections_are_used_again() {
    // Nothing is ever ended; what comes after 700 ms of silence is reset.
    let s = Serve::new(|mut s| {
        let mut byte = [0u8; 1];
        loop {
            let begun = std::time::Instant::now();
            if !matches!(s.read(&mut byte), Ok(1)) {
                return;
            }
            if begun.elapsed() > Duration::from_millis(700) {
                return reset(s);
            }
            if !request(&mut s) {
                return;
            }
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let mut ask = Ask::plain(s.url().parse().unwrap(), Duration::from_secs(20));
    let pauses = [300, 1200].map(Duration::from_millis).to_vec();
    ask.keepalive = Some(Idle { max: Duration::from_millis(2000), pauses });
    let p = badgate::sources::probe::probe(&ask, &quietly()).await;
    let k = p.keepalive.unwrap();
    assert_eq!(p.keepalive_s, None);
    assert_eq!(k.at_least_s, Some(0.3), "{k:?}");
    assert!(k.failure.contains("forgotten without a word"), "{k:?}");
    assert!(p.faults.iter().any(|f| f.id == "idle-silent-drop" && f.wrong));
}

#[tokio::test]
async fn many_are_measured_side_by_side() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let s = Serve::new(move |mut s| {
        s.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        while request(&mut s) {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        count.fetch_add(1, Ordering::SeqCst);
    });
    let mut ask = Ask::plain(s.url().parse().unwrap(), Duration::from_secs(60));
    ask.keepalive = Some(Idle { max: Duration::from_secs(60), pauses: Vec::new() });
    let say = quietly();
    let all = futures::future::join_all((0..50).map(|_| badgate::sources::probe::probe(&ask, &say))).await;
    for p in &all {
        let s = p.keepalive_s.unwrap_or_else(|| panic!("{p:?}"));
        assert!((0.9..2.0).contains(&s), "{s}");
    }
    assert!(ended.load(Ordering::SeqCst) >= 50);
}

#[test]
fn each_address_is_watched_and_the_shortest_counts() {
    let (short, long) = (keeps(Duration::from_secs(1), true), keeps(Duration::from_millis(2500), false));
    let (code, v) =
        probe(&[&long.url(), "--keepalive", "--via", &long.at.to_string(), "--via", &short.at.to_string()]);
    assert_eq!(code, 0, "{v:#}");
    // How near the values are is for others to test: a busy machine is late with both.
    let counts = v["keepalive_s"].as_f64().unwrap();
    assert_eq!((&v["closed_by"], &v["keepalive"]["address"]), (&"rst".into(), &short.at.to_string().into()));
    let each = v["kept_each"].as_array().unwrap();
    assert_eq!(each.len(), 2);
    let (first, second) = (each[0]["seconds"].as_f64().unwrap(), each[1]["seconds"].as_f64().unwrap());
    assert!(first > second + 1.0 && counts == second && second > 0.9, "{v:#}");
    assert!(v["faults"].as_array().unwrap().iter().any(|f| f["id"] == "idle-differs"), "{v:#}");
}
