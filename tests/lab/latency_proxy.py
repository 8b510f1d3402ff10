"""A TCP proxy that makes the loopback as slow as a link to a region, and counts sequential round trips.

    latency_proxy.py --to http://127.0.0.1:PORT --rtt-ms 80 [--connect-rtts 2] [--port 0]

Every request arrives RTT later; the first on a new connection waits CONNECT_RTTS more (TCP and TLS). Prints
`ready http://127.0.0.1:PORT` and, when stdin ends, one JSON line: {requests, connections, waves, wave: [{at_ms, depth,
line}]}. The depth of a request is one more than the deepest whose answer had begun to arrive when it was sent; `waves`,
the largest, is the number of sequential round trips.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from urllib.parse import urlsplit

METHODS = (b"POST ", b"GET ", b"PUT ", b"HEAD ", b"DELETE ")


class Proxy:
    def __init__(self, host, port, rtt, connect_rtts):
        self.host, self.port, self.rtt, self.connect_rtts = host, port, rtt, connect_rtts
        self.requests, self.connections, self.begun, self.answered = [], 0, None, []

    def asked(self, line):
        now = time.monotonic()
        self.begun = self.begun or now
        depth = 1 + max((d for at, d in self.answered if at <= now), default=0)
        self.requests.append({"at_ms": round((now - self.begun) * 1000, 1), "depth": depth, "line": line})
        return depth

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.close()
            return
        ready, open_depths, late = time.monotonic() + self.connect_rtts * self.rtt, [], asyncio.Queue()

        async def deliver():
            while True:
                at, data = await late.get()
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                if data is None:
                    up_writer.write_eof()
                    return
                up_writer.write(data)
                await up_writer.drain()

        async def up():
            while data := await reader.read(65536):
                if data.startswith(METHODS):
                    open_depths.append(self.asked(data.split(b"\r\n", 1)[0].decode("latin1")))
                await late.put((max(time.monotonic(), ready) + self.rtt, data))
            await late.put((time.monotonic(), None))

        async def down():
            while data := await up_reader.read(65536):
                if data.startswith(b"HTTP/1.") and open_depths:
                    self.answered.append((time.monotonic(), open_depths.pop(0)))
                writer.write(data)
                await writer.drain()
            writer.close()

        await asyncio.gather(up(), deliver(), down(), return_exceptions=True)
        for w in (writer, up_writer):
            w.close()

    def report(self):
        return {
            "requests": len(self.requests),
            "connections": self.connections,
            "waves": max((r["depth"] for r in self.requests), default=0),
            "wave": self.requests,
        }


async def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--to", required=True)
    ap.add_argument("--rtt-ms", type=float, default=80)
    ap.add_argument("--connect-rtts", type=float, default=2)
    ap.add_argument("--port", type=int, default=0)
    a = ap.parse_args()
    to = urlsplit(a.to)
    proxy = Proxy(to.hostname, to.port, a.rtt_ms / 1000, a.connect_rtts)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", a.port)
    print("ready http://127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(0, lambda: ended.set() if not sys.stdin.buffer.raw.read(4096) else None)
    await ended.wait()
    print(json.dumps(proxy.report()), flush=True)
    # Connections may still be open; nobody waits for them.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
