"""Simulated users of one load balancer, second by second.

One list of requests makes both the metrics and the application's log, so that they cannot contradict each other. A
second's requests depend only on the seed and on that second: the past can be written when a world is built and the
present can go on from it.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timezone

NAMESPACE = "AWS/ApplicationELB"
PATHS = [
    "/",
    "/products",
    "/products/1042",
    "/products/881",
    "/cart",
    "/api/orders",
    "/api/session",
    "/search?q=tea",
    "/assets/app.js",
]
HISTORY_OF_METRICS, HISTORY_OF_LOGS = 180 * 60, 60 * 60
CHECKS_UNTIL_UNHEALTHY = 35  # seconds: two checks 15 s apart, the second with its time-out


@dataclass
class Request:
    at: float
    host: object  # None: no target was chosen
    seconds: float
    elb: int  # what the client got
    target: int  # what the target answered; 0: nothing
    connect_error: bool = False
    error: str = ""  # what the application wrote about it


class Traffic:
    """rate: requests per second. onset: when `blocked` hosts stopped being reachable (epoch seconds, or None).
    keepalive_race: share of requests that are lost to the target closing idle connections first."""

    def __init__(
        self, world, lb, group, log_group=None, rate=2.0, onset=None, blocked=(), keepalive_race=0.0
    ):
        self.world, self.lab, self.lb, self.group, self.log_group = world, world.lab, lb, group, log_group
        self.rate, self.onset, self.blocked, self.race = rate, onset, list(blocked), keepalive_race
        self.seed = sum(lb.name.encode())
        self.until = None  # when the block was lifted
        self.flap = None  # (host, period, seconds): this host fails its checks now and then
        self.pending = {}  # minute -> requests not yet published as metrics

    # -- what is true when
    def cut_off(self, at):
        return (
            self.blocked
            if self.onset is not None and self.onset <= at and (self.until is None or at < self.until)
            else []
        )

    def known_bad(self, at):
        """host id -> (state, reason): what health checks have found by then."""
        bad = {}
        if self.onset is not None and at >= self.onset + CHECKS_UNTIL_UNHEALTHY:
            if self.until is None or at < self.until:
                bad = {h.id: ("unhealthy", "Target.Timeout") for h in self.blocked}
            elif at < self.until + 45:  # three good checks
                bad = {h.id: ("unhealthy", "Target.Timeout") for h in self.blocked}
        if self.flap and self.strained(at) and at % self.flap[1] < self.flap[2]:
            bad[self.flap[0].id] = ("unhealthy", "Target.ResponseCodeMismatch")
        return bad

    def strained(self, at):
        """The rest of the fleet carries the load of the hosts that are gone."""
        return (
            self.onset is not None
            and at >= self.onset + CHECKS_UNTIL_UNHEALTHY
            and (self.until is None or at < self.until + 60)
        )

    def second(self, at):
        """The requests of one second."""
        r = random.Random(int(at) * 1009 + self.seed)
        count = int(self.rate) + (r.random() < self.rate % 1)
        bad, cut, strained = self.known_bad(at), {h.id for h in self.cut_off(at)}, self.strained(at)
        usable = [h for h in self.group.hosts if h.id not in bad] or self.group.hosts
        out = []
        for _ in range(count):
            when, dice = int(at) + r.random(), r.random()
            if not usable:
                out.append(Request(when, None, 0.0, 503, 0))
                continue
            host = r.choice(usable)
            took = max(0.004, r.gauss(0.04, 0.015)) * (12 if strained and r.random() < 0.35 else 1)
            if host.id in cut:
                out.append(Request(when, host, 10.0, 504, 0, connect_error=True))
            elif dice < self.race * (4 if strained else 1):
                out.append(Request(when, host, 0.003, 502, 0))
            elif strained and dice < 0.06:
                out.append(
                    Request(
                        when,
                        host,
                        60.0,
                        504,
                        0,
                        error="client gone before the answer: waited 60004ms for a database connection",
                    )
                )
            elif strained and dice < 0.13:
                out.append(
                    Request(
                        when,
                        host,
                        5.004,
                        500,
                        500,
                        error="pool timeout: no connection within 5000ms (in use 20/20, waiting %d)"
                        % r.randint(22, 64),
                    )
                )
            else:
                out.append(Request(when, host, took, 200, 200))
        return out

    # -- metrics
    def dimensions(self, request):
        lb, tg = {"LoadBalancer": self.lb.dimension}, {"TargetGroup": self.group.dimension}
        sets = [lb, lb | tg] if request.host else [lb]
        if request.host and request.host.zone != "all":
            sets += [s | {"AvailabilityZone": request.host.zone} for s in (lb, lb | tg)]
        return sets

    def publish(self, minute, requests):
        """One minute's metrics. Like AWS's, a series has no point where nothing happened."""
        put, counts, times = self.lab.cloud.metrics.put, {}, {}
        for q in requests:
            for d in self.dimensions(q):
                of_group, key = "TargetGroup" in d, tuple(d.items())
                names = ["RequestCount"] if q.host else []
                names += [f"HTTPCode_Target_{q.target // 100}XX_Count"] if q.target else []
                names += ["TargetConnectionErrorCount"] if q.connect_error else []
                if not of_group and not q.target:
                    names += ["HTTPCode_ELB_5XX_Count", f"HTTPCode_ELB_{q.elb}_Count"]
                for n in names:
                    counts[n, key] = counts.get((n, key), 0) + 1
                if q.target:
                    times.setdefault(key, []).append(q.seconds)
        for (name, key), n in counts.items():
            put(NAMESPACE, name, dict(key), minute, n)
        for key, values in times.items():
            put(NAMESPACE, "TargetResponseTime", dict(key), minute, *values)
        lb = {"LoadBalancer": self.lb.dimension}
        put(NAMESPACE, "NewConnectionCount", lb, minute, len(requests) // 3)
        put(NAMESPACE, "ActiveConnectionCount", lb, minute, len(requests) * 2)
        bad = self.known_bad(minute + 30)
        both = lb | {"TargetGroup": self.group.dimension}
        for dims, hosts in [(both, self.group.hosts)] + [
            (both | {"AvailabilityZone": z}, [h for h in self.group.hosts if h.zone == z])
            for z in self.lb.zones
        ]:
            put(NAMESPACE, "HealthyHostCount", dims, minute, sum(h.id not in bad for h in hosts))
            put(NAMESPACE, "UnHealthyHostCount", dims, minute, sum(h.id in bad for h in hosts))
        put(
            NAMESPACE,
            "RequestCountPerTarget",
            {"TargetGroup": self.group.dimension},
            minute,
            len(requests) / max(1, len(self.group.hosts)),
        )

    # -- the application's log
    def lines(self, at, requests):
        """[(stream, time, text)] that the application wrote in this second."""
        out = []

        def say(host, at, level, text):
            stream = f"{host.name}/{host.id}"
            out.append((stream, at, f"{stamp(at)} {level:5} {host.name} {text}"))

        for q in requests:
            if q.host is None or q.connect_error or (q.elb == 502 and not q.target):
                continue  # never arrived, or lost before anyone read it
            r = random.Random(int(q.at * 1e6))
            path, method = r.choice(PATHS), "POST" if r.random() < 0.2 else "GET"
            trace = f"Root=1-{int(q.at):08x}-{r.getrandbits(96):024x}"
            done, took = q.at + min(q.seconds, 1.0), f"{q.seconds * 1000:.0f}ms"
            if q.error:
                say(
                    q.host,
                    done,
                    "ERROR",
                    f'http: {method} {path} {q.target or 499} {took} err="{q.error}" trace={trace}',
                )
            else:
                level = "WARN" if q.seconds > 0.5 else "INFO"
                say(q.host, done, level, f"http: {method} {path} {q.target} {took} trace={trace}")
        for i, h in enumerate(self.group.hosts):
            beat = int(at) + i * 7
            if beat % 600 == 0:
                where = f"listening on 0.0.0.0:{self.group.port}"
                limits = "keepAliveTimeout=5000ms headersTimeout=60000ms"
                say(h, at, "INFO", f"cluster: worker {beat // 600 % 4} recycled, {where} {limits}")
            if beat % 60 == 0:
                swept = random.Random(beat).randint(0, 9)
                say(h, at, "INFO", f"session: sweep removed {swept} expired sessions")
            if self.strained(at) and h not in self.cut_off(at) and beat % 20 == 0:
                say(h, at, "WARN", "http: too many open connections (512/512), closing idle ones first")
        return out

    def write_lines(self, lines):
        streams = {}
        for stream, at, text in lines:
            streams.setdefault(stream, []).append((at, text))
        for stream, rows in streams.items():
            self.world.log(self.log_group, stream, rows)

    # -- past and present
    def write_history(self):
        """Three hours of metrics up to the last full minute, one hour of logs up to now."""
        now, lines = int(self.world.now), []
        for at in range(now - now % 60 - HISTORY_OF_METRICS, now):
            requests = self.second(at)
            self.pending.setdefault(at - at % 60, []).extend(requests)
            if self.log_group and at >= now - HISTORY_OF_LOGS:
                lines += self.lines(at, requests)
        for minute in [m for m in self.pending if m + 60 <= now]:
            self.publish(minute, self.pending.pop(minute))
        if self.log_group:
            self.write_lines([line for line in lines if line[1] < now])
        self.settle(now)

    def step(self, at):
        """Goes on by one second (live)."""
        requests = self.second(at)
        self.pending.setdefault(int(at) - int(at) % 60, []).extend(requests)
        for minute in [m for m in self.pending if m + 60 <= at]:
            self.publish(minute, self.pending.pop(minute))
        if self.log_group:
            self.write_lines(self.lines(at, requests))
        self.settle(at)

    def settle(self, at):
        """Target health as the checks see it at that time."""
        bad = self.known_bad(at)
        for h in self.group.hosts:
            state, reason = bad.get(h.id, ("healthy", None))
            self.world.health(self.group, h, state, reason)


def stamp(at):
    return (
        datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{int(at * 1000) % 1000:03d}Z"
    )
