//! What the proxy of a drill carries on loopback: requests a second through
//! both of its nodes to its four servers and back, with connections kept, while
//! the drill's own clients do theirs. Each client asks for the next page when
//! it has the last. The servers take their time over every page, as servers do, so
//! it takes many connections to keep the proxy busy.

use badgate::sources::drill::{self, Wish, script};
use jiff::Timestamp;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: bench\r\n\r\n";
const CLIENTS: usize = 256;
const LASTS: Duration = Duration::from_secs(5);

fn main() {
    // `cargo bench` hands over options of its own; there is one measurement.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let drill = script::named("keepalive-race").expect("the drill is built in");
    let wish = Wish {
        drill,
        seed: 1,
        pace: 1.0,
        calm_pace: 1.0,
        start: Timestamp::now(),
        lasts: Duration::from_secs(60),
    };
    let (_link, handle) = runtime.block_on(drill::start(wish)).expect("the drill starts");
    std::thread::sleep(Duration::from_secs(2));
    let ports = handle.ports().to_vec();
    let end = Instant::now() + LASTS;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|i| {
            let port = ports[i % ports.len()];
            std::thread::spawn(move || client(port, end))
        })
        .collect();
    let mut took: Vec<f64> = clients.into_iter().flat_map(|c| c.join().expect("a client")).collect();
    took.sort_by(f64::total_cmp);
    let at = |p: f64| took[((took.len() - 1) as f64 * p) as usize] * 1000.0;
    println!(
        "{:.0} requests a second over {CLIENTS} connections; p50 {:.2} ms, p99 {:.2} ms, slowest {:.1} ms",
        took.len() as f64 / LASTS.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// Seconds of each exchange.
fn client(port: u16, end: Instant) -> Vec<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a node listens");
    stream.set_nodelay(true).expect("an option");
    let mut took = Vec::new();
    let mut buffer = [0; 4096];
    while Instant::now() < end {
        let begun = Instant::now();
        stream.write_all(REQUEST).expect("sent");
        let (mut got, mut whole) = (Vec::new(), None);
        while whole.is_none_or(|n| got.len() < n) {
            let n = stream.read(&mut buffer).expect("an answer");
            assert!(n > 0, "the proxy closed: {}", String::from_utf8_lossy(&got));
            got.extend_from_slice(&buffer[..n]);
            whole = whole.or_else(|| length(&got));
        }
        assert!(got.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&got));
        took.push(begun.elapsed().as_secs_f64());
    }
    took
}

/// Bytes of the whole answer, once its head is there.
fn length(got: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(got);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let body = head
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    Some(head.len() + 4 + body.unwrap_or(0))
}
