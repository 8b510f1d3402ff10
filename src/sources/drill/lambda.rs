//! A function behind the load balancer: an invocation is one request to a
//! runtime on loopback, which runs the handler for at most its timeout, and
//! whose answer must be what a load balancer takes ("Using AWS Lambda with an
//! Application Load Balancer", AWS Lambda developer guide).

use super::chance::Chance;
use super::deed::Conduct;
use super::estate::FUNCTION;
use super::http::{Head, Kind, Wire, response};
use super::stage::World;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::{TcpListener, TcpStream};

/// Bytes of an answer at most.
const LARGEST: usize = 1 << 20;
/// The log group of the function.
pub const LOG: &str = "/aws/lambda/quotes";
const SPACE: &str = "AWS/Lambda";
/// Header by which the runtime says that the function failed.
const FAULT: &str = "X-Amz-Function-Error";

/// Serves invocations until the drill ends.
pub async fn run(world: Arc<World>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        world.spawn(one(Arc::clone(&world), stream));
    }
}

async fn one(world: Arc<World>, stream: TcpStream) {
    let mut wire = Wire::new(stream);
    let Ok(head) = wire.head(Kind::Request, 64 * 1024).await else { return };
    let Ok(event) = wire.body(head.length(), LARGEST).await else { return };
    let bytes = handle(&world, &event).await;
    let _ = wire.send(&bytes).await;
}

/// One run of the handler.
async fn handle(world: &Arc<World>, event: &[u8]) -> Vec<u8> {
    let mut chance = Chance::new(world.fresh_seed(), "quotes");
    let (conduct, limit) = {
        let e = world.estate();
        (world.function(), e.function.as_ref().and_then(|f| f.timeout_s).map_or(3.0, f64::from))
    };
    let count = |name: &'static str| world.meter().sum(world.clock.now(), SPACE, FUNCTION, name, 1.0);
    if conduct == Conduct::Throttled && world.runs.load(Ordering::Relaxed) >= 1 {
        count("Throttles");
        return response(
            429,
            "Too Many Requests",
            &[],
            b"{\"Reason\":\"ReservedFunctionConcurrentInvocationLimitExceeded\"}",
        );
    }
    count("Invocations");
    world.runs.fetch_add(1, Ordering::Relaxed);
    let id = format!("{}-{}", chance.hex(8), chance.hex(4));
    let path =
        serde_json::from_slice::<Value>(event).ok().and_then(|e| Some(e.get("path")?.as_str()?.to_owned()));
    let path = path.unwrap_or_default();
    let began = world.clock.now();
    let own = match conduct {
        Conduct::TimesOut if path.starts_with("/quote") || path.starts_with("/api") => limit + 30.0,
        Conduct::Throttled => chance.between(1.5, 3.0),
        _ => chance.between(0.04, 0.2),
    };
    let late = world.clock.within(limit, world.clock.sleep(own)).await.is_err();
    let ms = (world.clock.since(began) * 1000.0).min(limit * 1000.0);
    world.runs.fetch_sub(1, Ordering::Relaxed);
    {
        let mut m = world.meter();
        m.state(world.clock.now(), SPACE, FUNCTION, "Duration", "Maximum", ms);
    }
    let report = |status: &str| {
        world.log(LOG, "quotes", &format!("REPORT RequestId: {id} Duration: {ms:.2} ms Billed Duration: {ms:.0} ms Memory Size: 256 MB Max Memory Used: 88 MB{status}"));
    };
    let fault = |kind: &str, message: &str| {
        count("Errors");
        let body = json!({"errorType": kind, "errorMessage": message}).to_string();
        response(200, "OK", &[(FAULT, "Unhandled")], body.as_bytes())
    };
    if late {
        world.log(LOG, "quotes", &format!("{id} Task timed out after {limit:.2} seconds"));
        report(" Status: timeout");
        return fault("Sandbox.Timedout", "Task timed out");
    }
    let good =
        json!({"statusCode": 200, "headers": {"content-type": "application/json"}, "body": "{\"quote\":42}"});
    let answer = match conduct {
        Conduct::Throws => {
            world.log(LOG, "quotes", &format!("{id} ERROR Invoke Error {{\"errorType\":\"TypeError\",\"errorMessage\":\"Cannot read properties of undefined (reading 'rates')\"}}"));
            report("");
            return fault("TypeError", "Cannot read properties of undefined (reading 'rates')");
        }
        // The status as text, and an object where text is wanted.
        Conduct::Invalid => json!({"statusCode": "ok", "result": {"quote": 42}}),
        Conduct::TooLarge => {
            report("");
            return large().clone();
        }
        _ => good,
    };
    report("");
    response(200, "OK", &[], answer.to_string().as_bytes())
}

/// An answer of more than a load balancer takes, made once.
fn large() -> &'static Vec<u8> {
    static ANSWER: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    ANSWER.get_or_init(|| {
        let mut body = br#"{"statusCode":200,"body":""#.to_vec();
        body.resize(LARGEST + 4096, b'x');
        body.extend_from_slice(br#""}"#);
        response(200, "OK", &[], &body)
    })
}

/// Invokes the function with a request: status and body, or the error reason
/// of the access log.
pub async fn invoke(world: &Arc<World>, head: &Head, body: &[u8]) -> Result<(u16, Vec<u8>), &'static str> {
    let event = json!({
        "requestContext": {"elb": {}},
        "httpMethod": head.word,
        "path": head.path(),
        "headers": head.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "body": String::from_utf8_lossy(body),
        "isBase64Encoded": false,
    });
    let event = event.to_string();
    let port = world.function_port;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|_| "LambdaConnectionError")?;
    let mut wire = Wire::new(stream);
    let request = format!(
        "POST /2015-03-31/functions/quotes/invocations HTTP/1.1\r\nContent-Length: {}\r\n\r\n{event}",
        event.len()
    );
    wire.send(request.as_bytes()).await.map_err(|_| "LambdaConnectionError")?;
    let head = wire.head(Kind::Response, 64 * 1024).await.map_err(|_| "LambdaServiceException")?;
    if head.status == 429 {
        return Err("LambdaThrottling");
    }
    if head.get(&FAULT.to_ascii_lowercase()).is_some() {
        return Err("LambdaUnhandled");
    }
    if head.length() > LARGEST {
        return Err("LambdaResponseTooLarge");
    }
    let body = wire.body(head.length(), LARGEST).await.map_err(|_| "LambdaServiceException")?;
    read(&body).ok_or("LambdaInvalidResponse")
}

/// What a load balancer takes: a number as `statusCode`, text as `body`.
fn read(body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let v: Value = serde_json::from_slice(body).ok()?;
    let status = u16::try_from(v.get("statusCode")?.as_u64()?).ok().filter(|s| (100..600).contains(s))?;
    let text = match v.get("body") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(_) => return None,
    };
    Some((status, text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_taken() {
        assert_eq!(read(b"{\"statusCode\":200,\"body\":\"a\"}"), Some((200, b"a".to_vec())));
        assert_eq!(read(b"{\"statusCode\":204}"), Some((204, Vec::new())));
        for bad in [
            &b"{\"statusCode\":\"200\"}"[..],
            b"{\"body\":\"a\"}",
            b"null",
            b"{\"statusCode\":200,\"body\":{}}",
            b"{\"statusCode\":20000}",
        ] {
            assert_eq!(read(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
