#!/usr/bin/env python3
"""What a probe costs besides waiting: over a slow way, and many idle connections watched at once.

    cargo build --release && python3 benches/probe.py --binary target/release/badgate [--quick]

Two servers of this script's own: one that takes a fixed time for each round trip (a relay that holds every piece of
data back for half of it, each way, in front of a plain server; a connect to it is answered by the kernel at once), and
one that ends idle connections after five seconds. Nothing here passes or fails: figures are for people.

The first figure is what a probe takes with a way of `d` ms, less the same number of round trips it waits for one after
another. That number is not assumed: it is counted at the relay as the pieces that went up after something had come
down. Three times are told: the whole program's, its start and end included; the probe's own (`took_ms`); and of that
what it did not spend waiting for the other side, by its own phases, which a busy machine and a slow server disturb
least. Memory is the most that was resident, as the
kernel counts it (getrusage of the child).
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import threading
import time

WAITS = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "body_ms")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers every request, and ends a connection that has been idle for `keep` seconds."""

    def __init__(self, keep, host="127.0.0.1"):
        self.keep, self.open, self.most, self.lock = keep, 0, 0, threading.Lock()
        self.socket = socket.create_server((host, 0), backlog=256)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.socket.accept()[0],), daemon=True).start()

    def serve(self, c):
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.settimeout(self.keep)
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        held = b""
        try:
            while piece := c.recv(65536):
                held += piece
                while b"\r\n\r\n" in held:
                    held = held.split(b"\r\n\r\n", 1)[1]
                    c.sendall(ANSWER)
        except OSError:
            pass
        with self.lock:
            self.open -= 1
        c.close()


class Relay:
    """Stands in front of `port` and holds what passes back for `delay` seconds each way."""

    def __init__(self, port, delay):
        self.to, self.delay, self.turns, self.lock = port, delay, 0, threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near = self.socket.accept()[0]
            far = socket.create_connection(("127.0.0.1", self.to))
            for s in (near, far):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Something has come down since the last piece went up: the next is another round trip.
            state = {"fresh": True}
            threading.Thread(target=self.carry, args=(near, far, state, True), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near, state, False), daemon=True).start()

    def carry(self, source, into, state, up):
        try:
            while piece := source.recv(65536):
                if up and state["fresh"]:
                    state["fresh"] = False
                    with self.lock:
                        self.turns += 1
                time.sleep(self.delay)
                into.sendall(piece)
                if not up:
                    state["fresh"] = True
            into.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def run(binary, *args):
    """What it took in ms (whole program), what it told, and the most that was resident so far in any child, in MiB."""
    began = time.monotonic()
    done = subprocess.run([binary, "probe", *args, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    took = (time.monotonic() - began) * 1000
    if done.returncode not in (0, 1):
        raise SystemExit(f"badgate probe {' '.join(args)}: {done.stderr.decode(errors='replace').strip()}")
    return took, json.loads(done.stdout), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def over_a_slow_way(binary, rounds):
    server = Server(keep=30)
    for name, trip in (("none", 0), ("100 ms", 100), ("300 ms", 300)):
        relay = Relay(server.port, trip / 2000)
        whole, probing, own, turns = [], [], [], 0
        for _ in range(rounds):
            relay.turns = 0
            took, told, _ = run(binary, f"http://127.0.0.1:{relay.port}/")
            turns = relay.turns
            waited = sum(told["exchanges"][0]["phases"][k] or 0 for k in WAITS)
            whole.append(took - turns * trip)
            probing.append(told["took_ms"] - turns * trip)
            own.append(told["took_ms"] - waited)
        half, best = statistics.median, min
        print(
            f"probe, round trip {name:>6}: {turns} waited for; besides them, median (best): the whole program "
            f"{half(whole):5.1f} ({best(whole):.1f}) ms, the probe {half(probing):5.1f} ({best(probing):.1f}) ms, "
            f"of that not waiting for the other side {half(own):5.1f} ({best(own):.1f}) ms"
        )


def idle_side_by_side(binary, many):
    server = Server(keep=5, host="0.0.0.0")
    via = [a for n in range(1, many + 1) for a in ("--via", f"127.0.0.{n}")]
    took, _, resident = run(binary, f"http://127.0.0.1:{server.port}/", "--keepalive", *via)
    print(
        f"keep-alive of {many} addresses: {took / 1000:5.2f} s for 5 s of silence, {server.most} connections open at once, "
        f"{resident:5.1f} MiB resident at most"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    args = parser.parse_args()
    binary = os.path.abspath(args.binary)
    # The one that is measured by its memory goes first: the kernel keeps the most of all children.
    idle_side_by_side(binary, 50)
    over_a_slow_way(binary, 3 if args.quick else 15)


if __name__ == "__main__":
    main()
