#!/usr/bin/env python3
"""What the console costs as a program: start, idle, keys, floods of log lines, hang-ups, round trips over a slow link.

    cargo build --release && python3 benches/console.py --binary target/release/badgate [--only NAME,...] [--quick]

Drives the real binary in a real pty against the emulator of tests/lab and prints a table, one figure a line. Needs
python3 and, once, the emulator's environment (tests/lab/make_venv.py makes it). Nothing here passes or fails: figures
are for people. CPU is the program's own, from schedstat, in percent of one core.
"""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from urllib.request import Request, urlopen

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.path.join(HERE, "..", "tests", "lab")
LINE = 200  # bytes of a log line, line feed included


class Emulator:
    """tests/lab with one world; ends with this process."""

    def __init__(self, python, world):
        self.process = subprocess.Popen(
            [python, os.path.join(LAB, "start.py"), world], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().split()[-1]

    def control(self, method, what, doc=None):
        data = json.dumps(doc).encode() if doc is not None else None
        with urlopen(Request(f"{self.url}/_lab/{what}", data=data, method=method)) as answer:
            return json.loads(answer.read() or b"null")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Console:
    """badgate in a pty of its own. `mode` is how it stands to the session: see `hang_up`."""

    def __init__(self, binary, args, env, size=(200, 50), mode="leader"):
        self.out, self.began, self.lock = bytearray(), time.monotonic(), threading.Lock()
        told, tell = os.pipe()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.close(told)
            self.become(mode, tell, [binary, *args], env)
        os.close(tell)
        self.target = int(os.read(told, 64))
        os.close(told)
        self.reading = threading.Thread(target=self.read, daemon=True)
        self.stopped = False
        self.reading.start()

    @staticmethod
    def become(mode, tell, command, env):
        if mode == "leader":
            os.write(tell, b"%d\n" % os.getpid())
            os.set_inheritable(tell, False)
            os.execvpe(command[0], command, env)
        # A session leader that takes the hang-up for itself, as wrappers and task runners do.
        signal.signal(signal.SIGHUP, lambda *_: None)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGHUP, signal.SIG_IGN if mode == "ignored" else signal.SIG_DFL)
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.set_inheritable(tell, False)
            os.execvpe(command[0], command, env)
        os.write(tell, b"%d\n" % child)
        os.close(tell)
        while True:
            try:
                os.waitpid(child, 0)
                os._exit(0)
            except InterruptedError:
                pass

    def read(self):
        while not self.stopped:
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if not ready:
                continue
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:
                return
            if not data:
                return
            with self.lock:
                self.out += data

    def size(self):
        with self.lock:
            return len(self.out)

    def text(self, start=0):
        """What was painted, without the escape sequences."""
        with self.lock:
            raw = bytes(self.out[start:])
        return re.sub(rb"\x1b(\[[0-?]*[ -/]*[@-~]|[^\[])", b"", raw).decode(errors="replace")

    def until(self, what, within=60, start=0):
        """Seconds since the start until `what` was painted."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            if what in self.text(start):
                return time.monotonic() - self.began
            time.sleep(0.005)
        raise SystemExit(f"never painted: {what!r}\n{self.text()[-3000:]}")

    def keys(self, text):
        os.write(self.master, text.encode())

    def cpu(self):
        folder = f"/proc/{self.target}/task"
        return sum(int(open(f"{folder}/{t}/schedstat").read().split()[0]) for t in os.listdir(folder)) / 1e9

    def rss(self):
        rows = open(f"/proc/{self.target}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", rows).group(1)) / 1024

    def alive(self):
        try:
            return open(f"/proc/{self.target}/stat").read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False

    def over(self, seconds):
        """CPU percent and bytes a second over a while."""
        cpu, size, at = self.cpu(), self.size(), time.monotonic()
        time.sleep(seconds)
        span = time.monotonic() - at
        return 100 * (self.cpu() - cpu) / span, (self.size() - size) / span

    def end(self):
        if self.alive():
            os.kill(self.target, signal.SIGTERM)
        self.wait_gone(5)
        self.close()

    def wait_gone(self, within):
        at = time.monotonic()
        while self.alive() and time.monotonic() - at < within:
            time.sleep(0.005)
        return time.monotonic() - at

    def close(self):
        self.stopped = True
        self.reading.join()
        os.close(self.master)
        for pid in {self.target, self.pid}:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        try:
            os.waitpid(self.pid, 0)
        except OSError:
            pass

    def hang_up(self):
        """Seconds until the program is gone after its terminal is; None when it stays."""
        self.stopped = True
        self.reading.join()
        os.close(self.master)
        span = self.wait_gone(10)
        gone = not self.alive()
        for pid in {self.target, self.pid}:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        os.waitpid(self.pid, 0)
        return span if gone else None


class Flood:
    """A file that grows by so many lines a second until it is stopped."""

    def __init__(self, path, rate):
        self.path, self.rate, self.count, self.going = path, rate, 0, True
        open(path, "a").close()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        began = time.monotonic()
        with open(self.path, "a") as f:
            while self.going:
                due = int((time.monotonic() - began) * self.rate) - self.count
                if due > 0:
                    f.write("".join(line(self.count + i) for i in range(due)))
                    f.flush()
                    self.count += due
                time.sleep(0.01)

    def stop(self):
        self.going = False
        self.thread.join()


def line(i, word="GET /cart"):
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f"{at} INFO {word} n={i} ".ljust(LINE - 1, "x") + "\n"


class Bench:
    def __init__(self, a):
        self.a = a
        self.python = subprocess.run(
            ["python3", os.path.join(LAB, "make_venv.py"), a.env], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
        self.dir = tempfile.mkdtemp(prefix="badgate-bench-")
        self.emulator = None
        self.runs = 0

    def env(self, url, extra=None):
        self.runs += 1
        keep = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        home = os.path.join(self.dir, str(self.runs))
        os.makedirs(home)
        return keep | {
            "TERM": "xterm-256color",
            "HOME": home,
            "XDG_STATE_HOME": home,
            "XDG_CONFIG_HOME": home,
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "AKIALAB",
            "AWS_SECRET_ACCESS_KEY": "lab",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        } | (extra or {})

    def open(self, *args, size=(200, 50), mode="leader", extra=None, url=None):
        if self.emulator is None:
            self.emulator = Emulator(self.python, "shop-broken")
        env = self.env(url or self.emulator.url, extra)
        return Console(self.a.binary, ["open", "shop-alb", *args], env, size, mode)

    def say(self, name, value):
        print(f"{name:58} {value}", flush=True)

    # -- what is measured

    def binary(self):
        """binary size"""
        self.say("binary", f"{os.path.getsize(self.a.binary) / 1e6:.1f} MB")

    def first(self):
        """from exec to the first frame"""
        stats, bytes_at = [], []
        for _ in range(10):
            path = os.path.join(self.dir, "stats.json")
            c = self.open(extra={"BADGATE_STATS": path})
            while c.size() == 0:
                time.sleep(0.0005)
            bytes_at.append((time.monotonic() - c.began) * 1000)
            c.until("shop-alb")
            c.end()
            stats.append(json.load(open(path))["first_frame_ms"])
        self.say("first frame made, ms (min, median, max)", three(stats))
        self.say("first byte at the terminal since fork, ms", three(bytes_at))

    def trips(self):
        """round trips and times at 80 ms"""
        c = self.open()
        c.end()
        self.emulator.control("POST", "latency", {"ms": 80})
        health, picture, deep = [], [], set()
        for _ in range(5):
            self.emulator.control("DELETE", "calls")
            c = self.open("--log-group", "/app/shop")
            health.append(c.until("unhealthy") * 1000)
            time.sleep(2.5)
            calls = self.emulator.control("GET", "calls")
            c.end()
            calls = calls if isinstance(calls, list) else calls["calls"]
            first = {}
            for call in sorted(calls, key=lambda k: k["at_ms"]):
                first.setdefault((call["op"], json.dumps(call.get("key", call.get("params", "")))), call)
            static = [k for k in calls if k["service"] in ("elbv2", "elasticloadbalancing", "ec2")]
            begin = min(k["at_ms"] for k in calls)
            ends = [k["end_ms"] for k in static if k.get("end_ms") and k["at_ms"] - begin < 2000]
            picture.append(max(ends) - begin)
            deep.add(max(k["depth"] for k in calls if k["op"] == "DescribeTargetHealth" and k["at_ms"] - begin < 1500))
        self.say("80 ms a call: health on screen, ms", three(health))
        self.say("80 ms a call: the last static answer, ms after the first", three(picture))
        self.say("sequential round trips before health", sorted(deep))
        spans = []
        for _ in range(3):
            at = time.monotonic()
            env = self.env(self.emulator.url)
            subprocess.run([self.a.binary, "check", "shop-alb", "--json"], env=env, stdout=subprocess.DEVNULL)
            spans.append((time.monotonic() - at) * 1000)
        self.say("80 ms a call: the whole of `check`, ms", three(spans))
        self.emulator.control("POST", "latency", {"ms": 0})

    def idle(self):
        """CPU, bytes and memory with nothing going on"""
        for size in ((200, 50), (80, 24)):
            c = self.open(size=size)
            c.until("unhealthy")
            time.sleep(8)
            cpu, out = c.over(20 if self.a.quick else 60)
            self.say(f"idle at {size[0]}x{size[1]}: CPU, bytes a second", f"{cpu:.2f} %, {out:.0f} B/s")
            self.say("memory after the full picture", f"{c.rss():.1f} MB")
            c.end()

    def per_key(self):
        """bytes per key"""
        c = self.open("--log-group", "/app/shop")
        c.until("unhealthy")
        time.sleep(4)
        sizes = []
        for key in ["j", "k", "\t", "j", "j", "k", "\t", "k"] * 12:
            before = c.size()
            c.keys(key)
            time.sleep(0.12)
            sizes.append(c.size() - before)
        sizes = [s for s in sizes if s]
        self.say("bytes per key at 200x50 (min, median, max)", three(sizes, "%.0f"))
        c.end()

    def burst(self):
        """a million log lines at once"""
        n = 100_000 if self.a.quick else 1_000_000
        path = os.path.join(self.dir, "burst.log")
        open(path, "w").write(line(0))
        part = "".join(line(i) for i in range(n))
        c = self.open("--log-file", path)
        c.until("unhealthy")
        time.sleep(2)
        size, at, cpu = c.size(), time.monotonic(), c.cpu()
        with open(path, "a") as f:
            f.write(part)
            f.write(line(n, "QZQZQZQZQZ"))
        wrote = time.monotonic() - at
        c.until("QZQZQZQZQZ", 120, size)
        span = time.monotonic() - at
        self.say(
            f"{n} lines of {LINE} B: on screen after, written, bytes, CPU s",
            f"{span:.2f} s ({wrote:.2f} s of it the writing), {c.size() - size} B, {c.cpu() - cpu:.2f} s",
        )
        time.sleep(3)
        self.say(f"memory with {n} lines", f"{c.rss():.0f} MB")
        c.end()

    def tail(self):
        """a steady tail"""
        for rate in (500, 10_000):
            path = os.path.join(self.dir, f"tail{rate}.log")
            flood = Flood(path, rate)
            c = self.open("--log-file", path)
            c.until("unhealthy")
            time.sleep(5)
            cpu, out = c.over(10)
            self.say(f"{rate} lines a second: CPU, bytes a second", f"{cpu:.1f} %, {out:.0f} B/s")
            c.end()
            flood.stop()

    def hangup(self):
        """from the end of the terminal to the end of the program"""
        for rate in (0, 50_000):
            for mode in ("leader", "child", "ignored"):
                path = os.path.join(self.dir, f"hang{rate}{mode}.log")
                flood = Flood(path, rate)
                c = self.open("--log-file", path, mode=mode)
                c.until("unhealthy")
                time.sleep(4)
                span = c.hang_up()
                self.say(f"hang-up, {mode}, {rate} lines/s", "STAYS" if span is None else f"{span:.2f} s")
                flood.stop()
                os.remove(path)


def three(values, form="%.1f"):
    return ", ".join(form % v for v in (min(values), statistics.median(values), max(values)))


def main():
    names = ["binary", "first", "trips", "idle", "per_key", "burst", "tail", "hangup"]
    ap = argparse.ArgumentParser(description="measures the console as a program", epilog="names: " + ", ".join(names))
    ap.add_argument("--binary", required=True)
    ap.add_argument("--env", default="target", help="folder of the emulator's environment (default: target)")
    ap.add_argument("--only", help="names, separated by commas")
    ap.add_argument("--quick", action="store_true", help="smaller bursts, shorter idling")
    a = ap.parse_args()
    wanted = a.only.split(",") if a.only else names
    unknown = [n for n in wanted if n not in names]
    if unknown:
        sys.exit(f"console.py: no measurement is called {unknown[0]!r}; there are: {', '.join(names)}")
    bench = Bench(a)
    try:
        for name in wanted:
            getattr(bench, name)()
    finally:
        if bench.emulator:
            bench.emulator.stop()
        shutil.rmtree(bench.dir, ignore_errors=True)


if __name__ == "__main__":
    main()
