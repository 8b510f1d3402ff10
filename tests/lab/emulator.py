"""The AWS API emulator of the tests: an HTTP server around `cloud.Cloud` with fault injection and a log of calls.

Control plane, on the same port (bodies and answers are JSON):

    POST   /_lab/faults   one fault or a list (see `Fault`); DELETE ends them all and lets go what they hold
    POST   /_lab/health   {tg, id, port, state, reason, description}; `*` is allowed and the default; DELETE
    POST   /_lab/tail     [{message, group, stream}] new log events; [{sampled|end|abort|exception: true}] for tails
    POST   /_lab/paging   {size, op}: list operations whose name matches `op` answer at most `size` rows; size 0 ends it
    POST   /_lab/latency  {ms}: every call takes that much longer
    POST   /_lab/state    {key: value} into `Cloud.state`
    POST   /_lab/aws      {service, operation, params, region, account}: any boto3 call, made inside, not logged
    GET    /_lab/calls    every call so far with its times and its depth (see `CallLog`); DELETE empties the log
    GET    /_lab/names    what the world is made of (ARNs, ids, names)
"""

import json
import re
import select
import socket
import struct
import sys
import threading
import time
import traceback
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

import wire
from cloud import Cloud
from wire import AwsError, Request, Response

JSON_ERRORS = ("json", "cbor", "rest")
IAM_PREFIX = {"elbv2": "elasticloadbalancing"}
# Actions of what has no operation in its request.
IAM_ACTION = {"POST /TraceSummaries": "GetTraceSummaries"}
# What AWS calls the same trouble in its different services: (query, ec2, json) as (code, status).
KINDS = {
    "throttle": (("Throttling", 400), ("RequestLimitExceeded", 503), ("ThrottlingException", 400)),
    "denied": (("AccessDenied", 403), ("UnauthorizedOperation", 403), ("AccessDeniedException", 400)),
    "expired": (("ExpiredToken", 403), ("RequestExpired", 400), ("ExpiredTokenException", 400)),
    "badkey": (("InvalidClientTokenId", 403), ("AuthFailure", 401), ("UnrecognizedClientException", 400)),
    "skew": (("SignatureDoesNotMatch", 403), ("RequestExpired", 400), ("InvalidSignatureException", 400)),
    "internal": (("InternalFailure", 500), ("InternalError", 500), ("InternalFailure", 500)),
    "unavailable": (("ServiceUnavailable", 503), ("Unavailable", 503), ("ServiceUnavailableException", 503)),
}
TEXTS = {
    "throttle": "Rate exceeded",
    "expired": "The security token included in the request is expired",
    "badkey": "The security token included in the request is invalid.",
    "skew": "Signature expired: the request was signed too long ago",
    "internal": "An internal error occurred",
    "unavailable": "The service is unavailable. Please try again shortly.",
}


class Fault:
    """What to do to the calls it fits.

    Which calls: `svc` and `op` (regular expressions on the whole name), `region` and `key` (of the signature), `match`
    (text in body or path), `skip` (let so many pass first), `times` (then do it so often; default for ever).
    What: `delay` seconds; `hang` (never answer); `kind` (throttle, denied, expired, badkey, skew, internal, unavailable)
    or `code`+`status`+`message`; `retry_after`; `canned` body with `status` and `ctype`; `truncate` (half the document,
    correctly framed); `drop`: before (closed without an answer), rst, mid (closed in the middle of the body);
    `trickle` seconds between pieces of 64 bytes; `date_offset` seconds on the Date header; `headers`.
    """

    def __init__(self, doc):
        self.doc = dict(doc)
        self.op, self.svc = re.compile(doc.get("op", ".*")), re.compile(doc.get("svc", ".*"))
        self.skip, self.left, self.hits = doc.get("skip", 0), doc.get("times", float("inf")), 0
        unknown = set(doc) - {
            "op",
            "svc",
            "region",
            "key",
            "match",
            "skip",
            "times",
            "delay",
            "hang",
            "kind",
            "code",
            "status",
            "message",
            "retry_after",
            "canned",
            "ctype",
            "truncate",
            "drop",
            "trickle",
            "date_offset",
            "headers",
        }
        if (
            unknown
            or doc.get("kind", "denied") not in KINDS
            or doc.get("drop", "rst") not in ("before", "rst", "mid")
        ):
            raise ValueError(f"no such fault: {doc}")

    def takes(self, call):
        if not (self.op.fullmatch(call.operation) and self.svc.fullmatch(call.service) and self.left > 0):
            return False
        if self.doc.get("region", call.region) != call.region or self.doc.get("key", call.access_key) != call.access_key:
            return False
        if self.doc.get("match", "") not in call.request.body.decode("latin1") + call.request.path:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.left -= 1
        self.hits += 1
        return True

    def error(self, call):
        """The error to answer with, or None."""
        d, which = self.doc, 0 if call.protocol == "query" else 1 if call.protocol == "ec2" else 2
        extra = [("Retry-After", str(d["retry_after"]))] if "retry_after" in d else []
        if kind := d.get("kind"):
            code, status = KINDS[kind][which]
            name = IAM_ACTION.get(call.operation, call.operation)
            action = f"{IAM_PREFIX.get(call.service, call.service)}:{name}"
            text = (
                f"User: arn:aws:iam::{wire.ACCOUNT}:user/oncall is not authorized to perform: {action} "
                f"because no identity-based policy allows the {action} action"
                if kind == "denied"
                else TEXTS[kind]
            )
            return AwsError(d.get("code", code), d.get("message", text), d.get("status", status), extra)
        if "code" in d:
            return AwsError(d["code"], d.get("message", "injected by lab"), d.get("status", 400), extra)
        return None


class CallLog:
    """Every call with its times. `depth` says how many calls had to end, one after the other, before this one began:
    1 for calls of the first wave, 2 for those that started after one of the first had been answered, and so on. It is
    only as sharp as the calls are long, so tests that count round trips add latency."""

    def __init__(self):
        self.lock, self.rows, self.born, self.number = threading.Lock(), [], time.monotonic(), 0

    def begin(self, call, connection):
        now = (time.monotonic() - self.born) * 1000
        with self.lock:
            self.number += 1
            depth = 1 + max(
                (r["depth"] for r in self.rows if r["end_ms"] is not None and r["end_ms"] <= now), default=0
            )
            row = {
                "seq": self.number,
                "op": call.operation,
                "service": call.service,
                "protocol": call.protocol,
                "region": call.region,
                "access_key": call.access_key,
                "connection": connection,
                "at_ms": round(now, 2),
                "end_ms": None,
                "status": None,
                "depth": depth,
                "user_agent": call.request.headers.get("user-agent", "")[:200],
            }
            self.rows.append(row)
        return row

    def end(self, row, status):
        with self.lock:
            if row["end_ms"] is not None:
                return
            row["end_ms"], row["status"] = round((time.monotonic() - self.born) * 1000, 2), status

    def clear(self):
        with self.lock:
            self.rows, self.born = [], time.monotonic()


class Lab:
    def __init__(self):
        self.cloud, self.log, self.lock = Cloud(), CallLog(), threading.Lock()
        self.faults, self.latency, self.names = [], 0.0, {}
        self.released = threading.Event()  # set when faults are cleared, to let go the calls they hold
        self._clients = {}

    # -- for worlds: boto3 without a socket
    def client(self, service, region="us-east-1", account="LABWORLD"):
        with self.lock:
            if (service, region, account) not in self._clients:
                c = boto3.client(
                    service,
                    endpoint_url="http://inside.invalid",
                    region_name=region,
                    aws_access_key_id=f"AKIA{account}",
                    aws_secret_access_key="lab",
                    config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
                )
                c.meta.events.register("before-send", self._inside)
                self._clients[service, region, account] = c
            return self._clients[service, region, account]

    def _inside(self, request, **_):
        path, _, query = request.url.split("//", 1)[1].partition("/")[2].partition("?")
        headers = {k.lower(): v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()}
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        r = self.cloud.answer(wire.take_apart(Request(request.method, "/" + path, query, headers, body)))
        return AWSResponse(request.url, r.status, dict(r.headers), Raw(r.body))

    # -- the control plane
    def control(self, method, path, doc):
        what = path.removeprefix("/_lab/").strip("/")
        if method == "DELETE":
            if what in ("faults", "all"):
                with self.lock:
                    self.faults = []
                    self.released.set()
                    self.released = threading.Event()
            if what in ("calls", "all"):
                self.log.clear()
            if what in ("health", "all"):
                self.cloud.health.clear()
            if what == "all":
                self.cloud.page, self.latency = None, 0.0
            return {}
        if method == "POST" and what == "faults":
            new = [Fault(d) for d in (doc if isinstance(doc, list) else [doc])]
            with self.lock:
                self.faults += new
        elif method == "POST" and what == "health":
            for d in doc if isinstance(doc, list) else [doc]:
                key = (d.get("tg", "*"), d.get("id", "*"), d.get("port", "*"))
                self.cloud.health.pop(key, None)
                self.cloud.health[key] = d
        elif method == "POST" and what == "tail":
            for d in doc if isinstance(doc, list) else [doc]:
                self.tail(d)
        elif method == "POST" and what == "paging":
            self.cloud.page, self.cloud.page_ops = doc.get("size") or None, doc.get("op", ".*")
        elif method == "POST" and what == "latency":
            self.latency = doc["ms"] / 1000
        elif method == "POST" and what == "state":
            self.cloud.state |= doc
        elif method == "POST" and what == "aws":
            client = self.client(doc["service"], doc.get("region", "us-east-1"), doc.get("account", "LABWORLD"))
            return getattr(client, doc["operation"])(**doc.get("params", {}))
        elif what == "calls":
            return {"calls": self.log.rows}
        elif what == "names":
            return self.names
        elif what == "faults":
            return {"faults": [{**f.doc, "hits": f.hits} for f in self.faults]}
        else:
            raise ValueError(f"no such order: {method} {path}")
        return {}

    def tail(self, d):
        """A log event into a group, or an order to the open tails."""
        if not d.get("group"):
            return self.cloud.logs.order(d)
        client, stream = self.client("logs", d.get("region", "us-east-1")), d.get("stream", "lab")
        try:
            client.create_log_stream(logGroupName=d["group"], logStreamName=stream)
        except client.exceptions.ResourceAlreadyExistsException:
            pass
        client.put_log_events(
            logGroupName=d["group"],
            logStreamName=stream,
            logEvents=[{"timestamp": d.get("timestamp", int(time.time() * 1000)), "message": d["message"]}],
        )

    def fault_for(self, call):
        with self.lock:
            return next((f for f in self.faults if f.takes(call)), None), self.released


class Raw:
    """The body of an answer that never saw a socket, as botocore reads it."""

    def __init__(self, body):
        self.body = body

    def stream(self, *_, **__):
        yield self.body

    def read(self, *_):
        out, self.body = self.body, b""
        return out


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with connections kept open, as AWS does; moto's own server closes after every answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    lab = None
    row = None  # in the log of calls, for an API call
    connections = iter(range(1, 1 << 62))

    def setup(self):
        super().setup()
        self.connection_number = next(self.connections)

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, TimeoutError, ValueError):
            pass  # the client went away, which clients may

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        self.row = None
        if path.startswith("/_lab"):
            return self.do_control(path, body)
        call = wire.take_apart(
            Request(self.command, path, query, {k.lower(): v for k, v in self.headers.items()}, body)
        )
        self.row = self.lab.log.begin(call, self.connection_number)
        status = 0
        try:
            status = self.serve(call)
        except OSError:
            raise
        except Exception as e:  # a mistake in here must not look like a fault of the network
            traceback.print_exc()
            self.close_connection = True
            status = self.send(wire.write_error(call, AwsError("LabFailure", f"lab: {e!r}", 500)))
        finally:
            self.lab.log.end(self.row, status)

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST

    def do_control(self, path, body):
        try:
            out, status = self.lab.control(self.command, path, json.loads(body or b"{}")), 200
        except Exception as e:  # whoever wrote the test wants to know what was wrong with the order
            out, status = {"error": f"{type(e).__name__}: {e}"}, 400
        self.send(
            Response(status, [("Content-Type", "application/json")], json.dumps(out, default=str).encode())
        )

    def serve(self, call):
        """Answers the call, well or badly; returns the status that was sent (0 for none)."""
        fault, released = self.lab.fault_for(call)
        d = fault.doc if fault else {}
        # Latency first: a fault on a slow line is a slow fault.
        time.sleep(self.lab.latency)
        if d.get("delay") or d.get("hang"):
            self.wait(released, float("inf") if d.get("hang") else d["delay"])
        if d.get("drop") in ("before", "rst"):
            return self.cut(d["drop"] == "rst")
        error = fault.error(call) if fault else None
        if error:
            response = wire.write_error(call, error)
        elif "canned" in d:
            text = d["canned"] if isinstance(d["canned"], str) else json.dumps(d["canned"])
            response = Response(
                d.get("status", 200),
                [("Content-Type", d.get("ctype", "application/x-amz-json-1.1"))],
                text.encode(),
            )
        elif call.operation == "StartLiveTail":
            return self.live_tail(call)
        else:
            response = self.lab.cloud.answer(call)
        if d.get("truncate"):
            response.body = response.body[: len(response.body) // 2]
        response.headers += [(k, v) for k, v in d.get("headers", {}).items()]
        if "date_offset" in d:
            response.headers.append(("Date", formatdate(time.time() + d["date_offset"], usegmt=True)))
        return self.send(response, half=d.get("drop") == "mid", trickle=d.get("trickle"))

    def wait(self, released, seconds):
        """Sleeps until the time is up, the faults are cleared or the client hangs up."""
        until = time.monotonic() + seconds
        while not released.wait(0.02) and time.monotonic() < until and not self.gone():
            pass

    def gone(self):
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def cut(self, hard):
        """Closes the connection: with RST, or in order."""
        if hard:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # The files around the socket would keep it open.
            self.rfile.close(), self.wfile.close()
            self.connection.close()
        self.close_connection = True
        return 0

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def send(self, response, half=False, trickle=None):
        headers = [
            (k, v)
            for k, v in response.headers
            if k.lower() not in ("content-length", "transfer-encoding", "connection", "server")
        ]
        if not any(k.lower() == "date" for k, _ in headers):
            headers.append(("Date", formatdate(usegmt=True)))
        body = b"" if self.command == "HEAD" else response.body
        head = (
            f"HTTP/1.1 {response.status} {'OK' if response.status < 400 else 'Error'}\r\n"
            + "".join(f"{k}: {v}\r\n" for k, v in headers)
            + f"Content-Length: {len(response.body)}\r\n\r\n"
        )
        # Before the client can know of it: its next call may be here before this thread goes on.
        if self.row:
            self.lab.log.end(self.row, response.status)
        if half:
            self.wfile.write(head.encode() + body[: max(1, len(body) // 2)])
            return self.cut(False) or response.status
        if trickle:
            self.wfile.write(head.encode())
            for i in range(0, len(body), 64):
                time.sleep(trickle)
                self.wfile.write(body[i : i + 64])
            return response.status
        self.wfile.write(head.encode() + body)
        return response.status

    def live_tail(self, call):
        from services import group_names

        try:
            frames = self.lab.cloud.logs.tail(call, group_names(call), self.gone)
        except AwsError as e:
            return self.send(wire.write_error(call, e))
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        while True:
            try:
                piece = next(frames)
            except StopIteration as stop:
                if stop.value:  # cut in the middle: no last chunk
                    return self.cut(True)
                self.wfile.write(b"0\r\n\r\n")
                return 200
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ValueError)):
            super().handle_error(request, client_address)


def serve(lab, host="127.0.0.1", port=0):
    """A server on a thread of its own; `server_address` says where."""
    server = Server((host, port), type("LabHandler", (Handler,), {"lab": lab}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    return server
