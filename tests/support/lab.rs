//! The AWS API emulator, started for a test.
//!
//! All labs of a test program come from one nursery process (see `tests/lab/nursery.py`), which ends with the program.
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

use super::http;

/// An emulator of its own, with a situation in it. It is gone when this is dropped.
#[derive(Debug)]
pub struct Lab {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    pid: u64,
    home: tempfile::TempDir,
}

/// One API call the emulator was asked, as its log has it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, such as `DescribeTargetHealth`.
    pub op: String,
    /// The service, by the name of its API model: `elbv2`, `ec2`, `ecs`, `logs`, `cloudwatch`, `sts`.
    pub service: String,
    /// query, ec2, json, cbor or rest.
    pub protocol: String,
    /// Region and access key of the signature.
    pub region: String,
    pub access_key: String,
    /// Milliseconds since the start of the lab, or since the log was last cleared.
    pub at_ms: f64,
    /// When the answer had been sent; `None` while it is under way.
    pub end_ms: Option<f64>,
    /// The HTTP status that was sent; 0 where a fault cut the connection.
    pub status: u64,
    /// 1 for the first wave, 2 for calls that began after one of the first had been answered, and so on.
    pub depth: u64,
    /// Number of the TCP connection.
    pub connection: u64,
    pub user_agent: String,
}

/// How many round trips these calls took one after the other. Sharp only with [`Lab::latency`].
pub fn round_trips(calls: &[Call]) -> u64 {
    calls.iter().map(|c| c.depth).max().unwrap_or(0)
}

impl Lab {
    /// A lab with the world of that name (`start.py --list` tells them), standing still.
    ///
    /// # Panics
    /// Where python3 is missing or its environment cannot be made, saying which.
    pub fn start(world: &str) -> Self {
        Self::with(&json!({ "world": world }))
    }

    /// The same with traffic that goes on: log lines each second, metrics each minute, health as checks would see it.
    pub fn start_live(world: &str) -> Self {
        Self::with(&json!({ "world": world, "live": true }))
    }

    fn with(order: &Value) -> Self {
        let answer = nursery().ask(order);
        let (Some(url), Some(pid)) = (answer["url"].as_str(), answer["pid"].as_u64()) else {
            panic!("the emulator did not start: {answer}");
        };
        let home = tempfile::tempdir().expect("a temporary folder");
        Self { endpoint: url.to_owned(), pid, home }
    }

    /// The process id of the emulator.
    pub fn pid(&self) -> u64 {
        self.pid
    }

    /// A folder that is HOME in [`Lab::env`] and is removed with the lab.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The whole environment of a program that shall see this lab and nothing else: add it to an empty one.
    pub fn env(&self) -> Vec<(String, String)> {
        let home = self.home.path();
        let path = |p: &str| home.join(p).display().to_string();
        let mut env = vec![
            ("AWS_ENDPOINT_URL".into(), self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID".into(), "AKIALAB".into()),
            ("AWS_SECRET_ACCESS_KEY".into(), "lab".into()),
            ("AWS_REGION".into(), "us-east-1".into()),
            ("AWS_EC2_METADATA_DISABLED".into(), "true".into()),
            ("AWS_CONFIG_FILE".into(), path("no-config")),
            ("AWS_SHARED_CREDENTIALS_FILE".into(), path("no-credentials")),
            ("HOME".into(), home.display().to_string()),
            ("XDG_STATE_HOME".into(), path("state")),
            ("XDG_CONFIG_HOME".into(), path("config")),
            ("XDG_CACHE_HOME".into(), path("cache")),
            ("TERM".into(), "xterm-256color".into()),
            ("LANG".into(), "C.UTF-8".into()),
        ];
        if let Ok(path) = std::env::var("PATH") {
            env.push(("PATH".into(), path));
        }
        env
    }

    /// Injects a fault, or a list of them; the words are at `Fault` in `tests/lab/emulator.py`.
    pub fn fault(&self, fault: &Value) {
        self.control("POST", "faults", fault);
    }

    /// Ends all faults and lets go the calls they hold.
    pub fn clear_faults(&self) {
        self.control("DELETE", "faults", &Value::Null);
    }

    /// What DescribeTargetHealth says from now on. `tg` is an ARN or a name; `*` stands for all, as `tg` and as `id`.
    pub fn health(&self, tg: &str, id: &str, state: &str, reason: Option<&str>) {
        self.control("POST", "health", &json!({ "tg": tg, "id": id, "state": state, "reason": reason }));
    }

    /// New log events (`{message, group, stream}`), or an order to open live tails (`{end: true}`, `{sampled: true}`,
    /// `{abort: true}`, `{exception: true}`): one or a list.
    pub fn tail(&self, messages: &Value) {
        self.control("POST", "tail", messages);
    }

    /// List operations whose whole name matches `op` answer at most `size` rows a page; 0 ends that.
    pub fn paging(&self, size: u32, op: &str) {
        self.control("POST", "paging", &json!({ "size": size, "op": op }));
    }

    /// Every call takes this much longer.
    pub fn latency(&self, milliseconds: u32) {
        self.control("POST", "latency", &json!({ "ms": milliseconds }));
    }

    /// Any call of the API, made inside the emulator and not logged: service and operation as boto3 names them.
    pub fn aws(&self, service: &str, operation: &str, params: &Value) -> Value {
        self.control("POST", "aws", &json!({ "service": service, "operation": operation, "params": params }))
    }

    /// The same elsewhere: in this region, and in the account of this number (see [`Lab::key_of`]).
    pub fn aws_in(&self, at: (&str, &str), service: &str, operation: &str, params: &Value) -> Value {
        let (region, account) = at;
        let order = json!({
            "service": service, "operation": operation, "params": params, "region": region, "account": account
        });
        self.control("POST", "aws", &order)
    }

    /// The access key of an account by its twelve digits.
    pub fn key_of(account: &str) -> String {
        format!("AKIA{account}")
    }

    /// ARNs, ids and names of what the world is made of.
    pub fn names(&self) -> Value {
        self.control("GET", "names", &Value::Null)
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let log = self.control("GET", "calls", &Value::Null);
        let rows = log["calls"].as_array().expect("a list of calls").iter();
        rows.map(|r| Call {
            op: text(&r["op"]),
            service: text(&r["service"]),
            protocol: text(&r["protocol"]),
            region: text(&r["region"]),
            access_key: text(&r["access_key"]),
            at_ms: r["at_ms"].as_f64().unwrap_or_default(),
            end_ms: r["end_ms"].as_f64(),
            status: r["status"].as_u64().unwrap_or_default(),
            depth: r["depth"].as_u64().unwrap_or_default(),
            connection: r["connection"].as_u64().unwrap_or_default(),
            user_agent: text(&r["user_agent"]),
        })
        .collect()
    }

    /// Empties the log of calls and starts its clock anew.
    pub fn clear_calls(&self) {
        self.control("DELETE", "calls", &Value::Null);
    }

    /// One order to the control plane.
    ///
    /// # Panics
    /// With the emulator's words, if it refuses.
    pub fn control(&self, method: &str, what: &str, body: &Value) -> Value {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let reply = http::request(&self.endpoint, method, &format!("/_lab/{what}"), &[], &bytes)
            .unwrap_or_else(|e| panic!("{method} /_lab/{what}: {e}"));
        assert_eq!(reply.status, 200, "{method} /_lab/{what} {body}: {}", reply.text());
        serde_json::from_slice(&reply.body).expect("JSON from the emulator")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        nursery().try_ask(&json!({ "stop": self.pid }));
    }
}

struct Nursery {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

static NURSERY: OnceLock<Mutex<Nursery>> = OnceLock::new();

fn nursery() -> std::sync::MutexGuard<'static, Nursery> {
    NURSERY.get_or_init(|| Mutex::new(Nursery::start())).lock().unwrap_or_else(PoisonError::into_inner)
}

impl Nursery {
    fn start() -> Self {
        let mut process = Command::new(python())
            .arg(folder().join("start.py"))
            .arg("--nursery")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator's Python starts");
        let orders = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut nursery = Self { process, orders, answers };
        let ready = nursery.read();
        assert_eq!(ready["ready"], true, "the emulator did not start (its words are above): {ready}");
        nursery
    }

    fn ask(&mut self, order: &Value) -> Value {
        self.try_ask(order).unwrap_or_else(|| panic!("the emulator's nursery ended; asked {order}"))
    }

    fn try_ask(&mut self, order: &Value) -> Option<Value> {
        writeln!(self.orders, "{order}").and_then(|()| self.orders.flush()).ok()?;
        Some(self.read()).filter(|v| !v.is_null())
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap_or(0);
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }
}

/// `tests/lab`
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab")
}

/// The Python of the emulator's environment, made on first use under the target folder.
///
/// # Panics
/// Where there is no python3 or the environment cannot be made: a test that needs the emulator fails, it does not pass
/// unrun.
pub fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON
        .get_or_init(|| {
            // Cargo gives integration tests TARGET/tmp.
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
            let made = Command::new("python3").arg(folder().join("make_venv.py")).arg(target).output();
            let made = made.unwrap_or_else(|e| {
                panic!("python3 cannot be run ({e}). The tests need it: the AWS API emulator runs on it.")
            });
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
        })
        .clone()
}
