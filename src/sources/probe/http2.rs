//! The same request over HTTP/2, where the server speaks it.

use super::exchange::{BODY, Request};
use super::http1::Answer;
use super::tcp::{Io, millis};
use super::who;
use crate::situation::probe::{Exchange, Fault, Phases};
use crate::text::SafeText;
use bytes::Bytes;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Header lists beyond this are refused, as bytes after decompression.
const HEAD: u32 = 256 * 1024;

/// Sends the request over a connection that has agreed on HTTP/2.
pub async fn send(
    io: Box<dyn Io>,
    request: &Request,
    https: bool,
    address: SafeText,
    limit: Duration,
    before: Phases,
) -> Exchange {
    let mut out = Exchange {
        at: Timestamp::now(),
        address,
        protocol: "HTTP/2".into(),
        framing: "HTTP/2".into(),
        phases: before,
        ..Exchange::default()
    };
    let started = Instant::now();
    let talk = talk(io, request, https, &mut out, started);
    let done = tokio::time::timeout(limit, talk).await;
    match done {
        Ok(Ok(())) => {}
        Ok(Err(why)) => out.failure = why,
        Err(_) if out.status.is_none() => {
            out.failure = format!("no answer within {} s", limit.as_secs_f64()).into();
        }
        Err(_) => out.failure = format!("the body was not complete within {} s", limit.as_secs_f64()).into(),
    }
    out
}

async fn talk(
    io: Box<dyn Io>,
    request: &Request,
    https: bool,
    out: &mut Exchange,
    started: Instant,
) -> Result<(), SafeText> {
    let said = |e: h2::Error| SafeText::from(reason(&e));
    let (mut sender, connection) = h2::client::Builder::new()
        .max_header_list_size(HEAD)
        .initial_window_size(BODY as u32 + 1)
        .enable_push(false)
        .handshake::<_, Bytes>(io)
        .await
        .map_err(said)?;
    let work = async {
        let scheme = if https { "https" } else { "http" };
        let uri = format!("{scheme}://{}{}", request.authority, request.path);
        let mut built =
            http::Request::builder().method(request.method.as_str()).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in request.all_headers() {
            built = built.header(name, value);
        }
        let built = built.body(()).map_err(|e| SafeText::from(format!("cannot be sent over HTTP/2: {e}")))?;
        let (answer, _) = sender.send_request(built, true).map_err(said)?;
        let answer = answer.await.map_err(said)?;
        let first = started.elapsed();
        out.phases.first_byte_ms = Some(millis(first));
        let (parts, mut body) = answer.into_parts();
        out.status = Some(parts.status.as_u16());
        out.status_line = format!("HTTP/2 {}", parts.status.as_u16()).into();
        let mut plain = Answer { status: out.status, ..Answer::default() };
        for (name, value) in &parts.headers {
            out.header_bytes += (name.as_str().len() + value.len()) as u64;
            plain.headers.push((name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        if out.header_bytes > super::http1::LARGE_HEAD {
            let text =
                format!("the headers are {} bytes long, above the 32 KB proxies take", out.header_bytes);
            out.faults.push(Fault::wrong("header-block-large", text));
        }
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(said)?;
            out.body_bytes += piece.len() as u64;
            let room = 65_536usize.saturating_sub(plain.body.len()).min(piece.len());
            plain.body.extend_from_slice(&piece[..room]);
            if out.body_bytes >= BODY {
                out.body_cut = !body.is_end_stream();
                break;
            }
            let _ = body.flow_control().release_capacity(piece.len());
        }
        out.phases.body_ms = Some(millis(started.elapsed().saturating_sub(first)));
        out.keeps = true;
        out.who = who::who(&plain);
        out.body_head = SafeText::capped(&plain.body, 300);
        out.headers = plain
            .headers
            .iter()
            .filter(|(n, _)| !n.eq_ignore_ascii_case(b"set-cookie"))
            .take(100)
            .map(|(n, v)| (SafeText::capped(n, 100), SafeText::capped(v, 500)))
            .collect();
        Ok(())
    };
    // The connection does the reading and writing. When it ends, what has
    // already come is still there to be read.
    tokio::pin!(work, connection);
    tokio::select! {
        biased;
        done = &mut work => done,
        _ = &mut connection => work.await,
    }
}

fn reason(e: &h2::Error) -> String {
    match (e.reason(), e.is_go_away(), e.is_reset()) {
        (Some(r), true, _) => format!("the server ended the connection: GOAWAY {r}"),
        (Some(r), _, true) => format!("the server reset the stream: {r}"),
        _ => e.to_string(),
    }
}
