"""Starts the emulator with a world in it.

    start.py WORLD [--port 0] [--live] [--print-env]     prints `ready http://127.0.0.1:PORT`, serves until stdin ends
    start.py --list                                       the worlds, a line each
    start.py --nursery                                    for the tests: starts worlds on demand (see nursery.py)

It never outlives whoever started it: the end of stdin is the end of the process. (When stdin is a terminal, a signal is.)
"""

import argparse
import os
import signal
import sys
import threading

import nursery
import worlds
from emulator import Lab, serve


def environment(url, region):
    """What an AWS client needs in its environment to talk to this emulator and to nothing else."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIALAB",
        "AWS_SECRET_ACCESS_KEY": "lab",
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def wait_for_end():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    if sys.stdin is None or sys.stdin.isatty():
        threading.Event().wait()
    while os.read(0, 4096):
        pass
    os._exit(0)


def main():
    ap = argparse.ArgumentParser(description="AWS API emulator for badgate's tests")
    ap.add_argument("world", nargs="?")
    ap.add_argument("--port", type=int, default=0)
    ap.add_argument("--live", action="store_true", help="let traffic go on")
    ap.add_argument("--print-env", action="store_true", help="also print the environment a client needs")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--nursery", action="store_true")
    a = ap.parse_args()
    if a.nursery:
        return nursery.run()
    if a.list or not a.world:
        for name, fn in worlds.WORLDS.items():
            print(f"{name:12} {(fn.__doc__ or '').split(chr(10))[0]}")
        return None if a.list else sys.exit(2)
    lab = Lab()
    go_on = worlds.build(lab, a.world)
    if a.live:
        go_on()
    host, port = serve(lab, port=a.port).server_address
    url = f"http://{host}:{port}"
    if a.print_env:
        for k, v in environment(url, lab.names["region"]).items():
            print(f"export {k}={v}")
    print(f"ready {url}", flush=True)
    wait_for_end()


if __name__ == "__main__":
    main()
