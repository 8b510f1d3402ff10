"""CloudWatch Logs events: FilterLogEvents and StartLiveTail.

moto ignores most filter patterns (everything matches) and ends a live tail after one update. Here both read one store,
so that what a live tail shows is also what a later FilterLogEvents finds.
"""

import json
import re
import shlex
import struct
import threading
import time
import zlib

from wire import ACCOUNT, AwsError

ARN = re.compile(r"arn:aws:logs:([^:]+):(\d+):log-group:([^:*]+)(:\*)?$")
# Seconds between updates of a live tail. AWS sends one a second, with or without events; here events come sooner, so that
# tests need not wait for them.
PERIOD, SOONEST = 1.0, 0.25


class Logs:
    """All events of all groups, by (region, group). An event is a dictionary in the shape of FilteredLogEvent."""

    def __init__(self):
        self.lock = threading.Condition()
        self.groups = {}
        self.arrived = []  # (region, group, event) in order of arrival, and the orders of /_lab/tail
        self.count = 0

    def clear(self):
        with self.lock:
            self.groups, self.arrived, self.count = {}, [], 0

    def put(self, region, group, stream, events):
        """events: dictionaries with timestamp (ms since the epoch) and message."""
        with self.lock:
            rows = self.groups.setdefault((region, group), [])
            now = int(time.time() * 1000)
            for e in events:
                self.count += 1
                # 56 digits and growing, as AWS's ids: unique in the group whatever the stream.
                row = {
                    "logStreamName": stream,
                    "timestamp": int(e["timestamp"]),
                    "message": e["message"],
                    "ingestionTime": max(now, int(e["timestamp"])),
                    "eventId": f"{int(e['timestamp']):026d}{self.count:030d}",
                }
                rows.append(row)
                self.arrived.append((region, group, row))
            rows.sort(key=lambda r: r["eventId"])  # which begins with the time
            self.lock.notify_all()

    def order(self, doc):
        """Something that is to happen to every open live tail: {message} for all, {sampled}, {end}, {abort} or {exception}."""
        with self.lock:
            self.arrived.append((None, None, doc))
            self.lock.notify_all()

    # -- FilterLogEvents
    def filter(self, call, known, page):
        """`known`: the group names that exist. `page`: how many events an answer holds; then every other one is empty
        but carries a token, as AWS's may be."""
        p = call.params
        name = p.get("logGroupName")
        if identifier := p.get("logGroupIdentifier"):
            found = ARN.match(identifier)
            name = found[3] if found else identifier
        if not name:
            raise AwsError(
                "InvalidParameterException", "Either logGroupName or logGroupIdentifier must be given"
            )
        if name not in known:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        match = pattern(p.get("filterPattern"))
        start, end = p.get("startTime", 0), p.get("endTime", 1 << 62)
        streams, prefix = p.get("logStreamNames"), p.get("logStreamNamePrefix")
        with self.lock:
            rows = list(self.groups.get((call.region, name), []))
        rows = [
            r
            for r in rows
            if start <= r["timestamp"] <= end
            and match(r["message"])
            and (not streams or r["logStreamName"] in streams)
            and (not prefix or r["logStreamName"].startswith(prefix))
        ]
        if p.get("startFromHead") is False:
            rows.reverse()
        size = min(p.get("limit") or 10000, 10000, page or 10000)
        at, empty = 0, bool(page)
        if token := p.get("nextToken"):
            found = re.fullmatch(r"Bxkq6kVGFtq2y_(\d+)_([01])", token)
            if not found:
                raise AwsError("InvalidParameterException", "The specified nextToken is invalid.")
            at, empty = int(found[1]), found[2] == "1"
        if empty and rows:
            return {"events": [], "searchedLogStreams": [], "nextToken": f"Bxkq6kVGFtq2y_{at}_0"}
        more = at + size < len(rows)
        return {
            "events": rows[at : at + size],
            "searchedLogStreams": [],
            **({"nextToken": f"Bxkq6kVGFtq2y_{at + size}_{int(bool(page))}"} if more else {}),
        }

    # -- StartLiveTail
    def tail(self, call, known, gone):
        """Yields the frames of a live tail. `gone()` says that the client hung up. Returns True to cut the line."""
        p, groups = call.params, []
        for identifier in p.get("logGroupIdentifiers", []):
            found = ARN.match(identifier)
            if not found or found[4]:
                raise AwsError(
                    "InvalidParameterException", f"Invalid ARN in logGroupIdentifiers: {identifier}"
                )
            if found[3] not in known:
                raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
            groups.append(found[3])
        if not 0 < len(groups) <= 10:
            raise AwsError("InvalidParameterException", "logGroupIdentifiers must hold 1 to 10 log groups")
        return self._frames(call.region, groups, p, pattern(p.get("logEventFilterPattern")), gone)

    def _frames(self, region, groups, p, match, gone):
        with self.lock:
            at = len(self.arrived)
        yield frame("initial-response", {})
        yield frame(
            "sessionStart",
            {
                "requestId": "00000000-0000-4000-8000-000000000000",
                "sessionId": "11111111-1111-4111-8111-111111111111",
                "logGroupIdentifiers": p["logGroupIdentifiers"],
                "logEventFilterPattern": p.get("logEventFilterPattern") or "",
            },
        )
        streams, prefixes = p.get("logStreamNames"), p.get("logStreamNamePrefixes")
        due = time.monotonic() + PERIOD
        while not gone():
            time.sleep(SOONEST)
            with self.lock:
                new, at = self.arrived[at:], len(self.arrived)
            events, sampled, close = [], False, None
            for where, group, e in new:
                if where is None:
                    sampled |= bool(e.get("sampled"))
                    close = next((k for k in ("end", "abort", "exception") if e.get(k)), close)
                    if "message" not in e:
                        continue
                    now = int(time.time() * 1000)
                    e = {
                        "logStreamName": e.get("stream", "lab"),
                        "timestamp": e.get("timestamp", now),
                        "ingestionTime": now,
                        "message": e["message"],
                    }
                    group = groups[0]
                elif where != region or group not in groups:
                    continue
                if (
                    not match(e["message"])
                    or (streams and e["logStreamName"] not in streams)
                    or (prefixes and not any(e["logStreamName"].startswith(x) for x in prefixes))
                ):
                    continue
                events.append(
                    {
                        "logGroupIdentifier": f"{ACCOUNT}:{group}",
                        "logStreamName": e["logStreamName"],
                        "message": e["message"],
                        "timestamp": e["timestamp"],
                        "ingestionTime": e["ingestionTime"],
                    }
                )
            if len(events) > 500:  # AWS sends at most 500 a second and says so
                events, sampled = events[:500], True
            if not (events or sampled or close) and time.monotonic() < due:
                continue
            due = time.monotonic() + PERIOD
            yield frame("sessionUpdate", {"sessionMetadata": {"sampled": sampled}, "sessionResults": events})
            if close == "exception":
                yield frame(
                    "SessionTimeoutException",
                    {"message": "The live tail session has timed out."},
                    "exception",
                )
            if close:
                return close == "abort"
        return False


def frame(kind, payload, message="event"):
    """One message of application/vnd.amazon.eventstream."""
    names = (
        (":message-type", message),
        (":exception-type" if message == "exception" else ":event-type", kind),
        (":content-type", "application/json"),
    )
    head = b"".join(
        bytes([len(k)]) + k.encode() + b"\x07" + struct.pack(">H", len(v)) + v.encode() for k, v in names
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(body), len(head))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + body
    return whole + struct.pack(">I", zlib.crc32(whole))


def pattern(text):
    """A predicate for CloudWatch's unstructured filter patterns: words, "quoted phrases", ?any, -not, %regex%.
    Structured patterns are refused rather than misread."""
    text = (text or "").strip()
    if not text:
        return lambda message: True
    if text[0] in "{[":
        raise AwsError("InvalidParameterException", "lab: structured filter patterns are not emulated")
    if len(text) > 1 and text[0] == text[-1] == "%":
        found = re.compile(text[1:-1])
        return lambda message: bool(found.search(message))
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, '"', "\\", ""
    words = list(lexer)
    some = [w[1:] for w in words if w[0] == "?"]
    no = [w[1:] for w in words if w[0] == "-"]
    every = [w for w in words if w[0] not in "?-"]

    def matches(message):
        # A pattern that mixes plain and ?words ignores the ?words, as AWS documents.
        return (
            all(w in message for w in every)
            and not any(w in message for w in no)
            and (bool(every) or not some or any(w in message for w in some))
        )

    return matches
