//! The least HTTP client that can talk to the emulator: one request on one connection.
use std::io::{Read, Write};
use std::net::TcpStream;

use super::PATIENCE;

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether all of the body came that Content-Length promised.
    pub whole: bool,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Sends one request to `endpoint` (`http://host:port`) and reads the answer until it is complete or the connection ends.
///
/// # Errors
/// What the socket said: refused, reset, or closed before a status line (`UnexpectedEof`).
pub fn request(
    endpoint: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Reply> {
    let mut stream = connect(endpoint)?;
    send(&mut stream, method, path, headers, body)?;
    read_reply(&mut stream)
}

pub fn connect(endpoint: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(endpoint.trim_start_matches("http://"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub fn send(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: lab\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    stream.write_all(&[head.as_bytes(), body].concat())
}

pub fn read_reply(stream: &mut TcpStream) -> std::io::Result<Reply> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        if !read_more(stream, &mut bytes)? {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_lowercase(), v.trim().to_owned()))
        .collect();
    let mut body = bytes.split_off(head_end + 4);
    let length =
        headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse::<usize>().ok());
    loop {
        if length.is_some_and(|n| body.len() >= n) || !read_more(stream, &mut body)? {
            break;
        }
    }
    Ok(Reply { status, whole: length.is_none_or(|n| body.len() == n), headers, body })
}

/// Reads what there is; false at the end of the stream.
pub fn read_more(stream: &mut TcpStream, into: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut buffer = [0; 16384];
    let n = stream.read(&mut buffer)?;
    into.extend_from_slice(&buffer[..n]);
    Ok(n > 0)
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}
