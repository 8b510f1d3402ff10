//! An HTTP server that answers AWS API calls exactly as a test says, and remembers what was asked of it.
//!
//! For answers no emulator gives: halves of documents, resets, sockets that hang, errors in any wording. It knows
//! nothing of AWS but how a request names its operation.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::http::find;

/// What to answer, and how the connection fares.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Answered in full, the connection stays.
    Keep,
    /// Answered in full, then closed.
    Close,
    /// Full Content-Length, half of the body, then closed.
    Half,
    /// Closed without a word.
    Drop,
    /// Reset without a word.
    Reset,
    /// Never answered.
    Hang,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
            delay: Duration::ZERO,
            fate: Fate::Keep,
        }
    }

    /// An answer of the query protocols (ELB, EC2, STS).
    pub fn xml(body: &str) -> Self {
        Self::new(200, "text/xml", body)
    }

    /// An answer of the JSON protocols (ECS, CloudWatch Logs).
    pub fn json(body: &str) -> Self {
        Self::new(200, "application/x-amz-json-1.1", body)
    }

    /// An error of the query protocol (ELB, STS).
    pub fn query_error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>fake</RequestId></ErrorResponse>"
            ),
        )
    }

    /// An error of EC2's protocol.
    pub fn ec2_error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            "text/xml",
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
                 <RequestID>fake</RequestID></Response>"
            ),
        )
    }

    /// An error of the JSON protocols.
    pub fn json_error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "__type": code, "message": message }).to_string();
        Self::new(status, "application/x-amz-json-1.1", body).header("x-amzn-errortype", code)
    }

    /// The call is refused for its rate, in the words of that service.
    pub fn throttled(service: &str) -> Self {
        match service {
            "ec2" => Self::ec2_error(503, "RequestLimitExceeded", "Request limit exceeded."),
            "elbv2" | "elasticloadbalancing" | "sts" => Self::query_error(400, "Throttling", "Rate exceeded"),
            _ => Self::json_error(400, "ThrottlingException", "Rate exceeded"),
        }
    }

    /// The credentials have run out, in the words of that service.
    pub fn expired(service: &str) -> Self {
        let text = "The security token included in the request is expired";
        match service {
            "ec2" => Self::ec2_error(400, "RequestExpired", "Request has expired."),
            "elbv2" | "elasticloadbalancing" | "sts" => Self::query_error(403, "ExpiredToken", text),
            _ => Self::json_error(400, "ExpiredTokenException", text),
        }
    }

    /// The call is not permitted, in the words of that service.
    pub fn denied(service: &str, action: &str) -> Self {
        let text =
            format!("User: arn:aws:iam::123456789012:user/oncall is not authorized to perform: {action}");
        match service {
            "ec2" => Self::ec2_error(403, "UnauthorizedOperation", &text),
            "elbv2" | "elasticloadbalancing" | "sts" => Self::query_error(403, "AccessDenied", &text),
            _ => Self::json_error(400, "AccessDeniedException", &text),
        }
    }

    /// Nothing, and the connection closed.
    pub fn dropped() -> Self {
        Self::fated(Fate::Drop)
    }

    /// Nothing, and the connection reset.
    pub fn reset() -> Self {
        Self::fated(Fate::Reset)
    }

    /// Nothing, ever.
    pub fn hang() -> Self {
        Self::fated(Fate::Hang)
    }

    fn fated(fate: Fate) -> Self {
        Self { fate, ..Self::new(200, "text/plain", "") }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Answers only after this long.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends half of the body and closes.
    pub fn half(mut self) -> Self {
        self.fate = Fate::Half;
        self
    }

    /// Sends half of the document as if it were all: the framing is right, the document is not.
    pub fn truncated(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self
    }

    /// Closes the connection after the answer.
    pub fn then_close(mut self) -> Self {
        self.fate = Fate::Close;
        self
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The operation it names, or `METHOD path`.
    pub operation: String,
    /// Number of the TCP connection it came on.
    pub connection: usize,
    pub at: Instant,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Access key, region and service of the signature (`Credential=KEY/DATE/REGION/SERVICE/aws4_request`); `None` if
    /// the request was not signed.
    pub fn signed_scope(&self) -> Option<(String, String, String)> {
        let scope = self.header("authorization")?.split_once("Credential=")?.1.split([',', ' ']).next()?;
        let parts: Vec<&str> = scope.split('/').collect();
        let [key, _, region, service, "aws4_request"] = parts[..] else { return None };
        Some((key.into(), region.into(), service.into()))
    }

    /// The headers that the signature covers.
    pub fn signed_headers(&self) -> Vec<String> {
        let list =
            self.header("authorization").and_then(|a| a.split_once("SignedHeaders=")).map_or("", |(_, r)| r);
        list.split([',', ' ']).next().unwrap_or("").split(';').map(str::to_owned).collect()
    }
}

#[derive(Debug, Default)]
struct Script {
    /// (operation or `*`, how often still, answer)
    rules: Vec<(String, usize, Answer)>,
    seen: Vec<Seen>,
    connections: usize,
}

/// The server. It is gone when this is dropped.
#[derive(Debug)]
pub struct Fake {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    script: Arc<Mutex<Script>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Fake {
    /// The environment in which this is all of AWS.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIAFAKE"),
            ("AWS_SECRET_ACCESS_KEY", "fake"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("HOME", "/nowhere"),
            ("LANG", "C.UTF-8"),
        ]
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .to_vec()
    }

    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the fake");
        let script = Arc::new(Mutex::new(Script::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port for the fake");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::clone(&script);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { endpoint, script, runtime: Some(runtime) }
    }

    /// Answers `operation` (`*`: any that has no answer of its own) like this from now on.
    pub fn on(&self, operation: &str, answer: Answer) -> &Self {
        self.on_times(operation, usize::MAX, answer)
    }

    /// Answers `operation` like this so many times; then the rule before it holds again.
    pub fn on_times(&self, operation: &str, times: usize, answer: Answer) -> &Self {
        lock(&self.script).rules.push((operation.into(), times, answer));
        self
    }

    /// The same for those who sign with this access key only.
    pub fn on_key(&self, key: &str, operation: &str, answer: Answer) -> &Self {
        self.on(&format!("{operation} as {key}"), answer)
    }

    /// Everything that was asked.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.script).seen.clone()
    }

    /// What was asked of one operation.
    pub fn requests_of(&self, operation: &str) -> Vec<Seen> {
        self.requests().into_iter().filter(|s| s.operation == operation).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock(script: &Mutex<Script>) -> std::sync::MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    stream.set_nodelay(true).ok();
    let connection = {
        let mut s = lock(&script);
        s.connections += 1;
        s.connections
    };
    let mut buffer = Vec::new();
    while let Some(seen) = read_request(&mut stream, &mut buffer, connection).await {
        let answer = choose(&mut lock(&script), &seen);
        tokio::time::sleep(answer.delay).await;
        match answer.fate {
            Fate::Drop => return,
            Fate::Reset => {
                stream.set_zero_linger().ok();
                return;
            }
            Fate::Hang => {
                // Until the client gives up.
                let mut rest = [0; 1024];
                while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
                return;
            }
            Fate::Keep | Fate::Close | Fate::Half => {}
        }
        let mut head =
            format!("HTTP/1.1 {} Fake\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let body =
            if answer.fate == Fate::Half { &answer.body[..answer.body.len() / 2] } else { &answer.body[..] };
        if stream.write_all(&[head.as_bytes(), body].concat()).await.is_err() || answer.fate != Fate::Keep {
            stream.shutdown().await.ok();
            return;
        }
    }
}

fn choose(script: &mut Script, seen: &Seen) -> Answer {
    script.seen.push(seen.clone());
    let fits = |name: &str| script.rules.iter().rposition(|(op, left, _)| op == name && *left > 0);
    let own = seen.signed_scope().and_then(|(key, ..)| fits(&format!("{} as {key}", seen.operation)));
    match own.or_else(|| fits(&seen.operation)).or_else(|| fits("*")) {
        Some(i) => {
            script.rules[i].1 -= 1;
            script.rules[i].2.clone()
        }
        None => Answer::new(501, "text/plain", format!("the fake has no answer for {}", seen.operation)),
    }
}

/// The next request of a connection; `None` when the client has gone.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    let mut piece = [0; 16384];
    let head_end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => buffer.extend_from_slice(&piece[..n]),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_lowercase(), v.trim().to_owned()))
        .collect();
    let of = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let length: usize = of("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    while buffer.len() < head_end + 4 + length {
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => buffer.extend_from_slice(&piece[..n]),
            _ => return None,
        }
    }
    let rest = buffer.split_off(head_end + 4 + length);
    let body = buffer.split_off(head_end + 4);
    *buffer = rest;
    let operation = name_of(&method, &path, of("x-amz-target").as_deref(), &body);
    Some(Seen { method, path, headers, body, operation, connection, at: Instant::now() })
}

/// The operation a request names, in whichever protocol.
fn name_of(method: &str, path: &str, target: Option<&str>, body: &[u8]) -> String {
    if let Some(target) = target {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    if let Some((_, operation)) = path.rsplit_once("/operation/") {
        return operation.to_owned();
    }
    let form = String::from_utf8_lossy(body);
    let action = form.split('&').find_map(|pair| pair.strip_prefix("Action="));
    action.map_or_else(|| format!("{method} {path}"), str::to_owned)
}
