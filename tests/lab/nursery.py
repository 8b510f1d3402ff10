"""Starts worlds on demand, fast: one process for all the labs of a test program.

Orders come on stdin, a JSON document a line, and each is answered with a line:

    {"world": NAME, "live": BOOL}   ->  {"pid": PID, "url": URL} or {"error": TEXT}
    {"stop": PID}                   ->  {"stopped": PID}

Python and moto take seconds to load and a world takes one more to build. So both are done once: a *template* process for
each world is forked off and builds it, and every lab is a fork of its template, with an account of its own. A template
is used for a short while only, because a world is told relative to the time it was built at.

Nothing outlives the nursery: all processes hold the reading end of a pipe that only the nursery can write to, and end
when it does. The nursery ends with its stdin.
"""

import json
import os
import select
import signal
import sys
import time
import traceback

import worlds
from emulator import Lab, serve

FRESH = 60  # seconds for which a template is used


def run():
    # A ctrl-c is for the test program; when that ends, so does stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lab = Lab()
    # One call of each service loads its part of moto.
    for service, operation in {
        "ec2": "describe_network_acls",
        "elbv2": "describe_load_balancers",
        "ecs": "list_clusters",
        "logs": "describe_log_groups",
        "sts": "get_caller_identity",
    }.items():
        getattr(lab.client(service), operation)()
    hold_read, hold_write = os.pipe()
    templates, labs = {}, set()
    say({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        if "stop" in order:
            if order["stop"] in labs:
                labs.remove(order["stop"])
                os.kill(order["stop"], signal.SIGKILL)
            say({"stopped": order["stop"]})
            continue
        t = templates.get(order["world"])
        if t is None or time.monotonic() - t.born > FRESH:
            if t:
                t.end()
            t = templates[order["world"]] = Template(lab, order["world"], hold_read, hold_write)
        answer = t.fork(order)
        if "pid" in answer:
            labs.add(answer["pid"])
        else:
            t.end()
            del templates[order["world"]]
        say(answer)


class Template:
    """The nursery's end of a template process: `fork` makes a lab of it."""

    def __init__(self, lab, world, hold_read, hold_write):
        self.born = time.monotonic()
        order_read, self.orders = os.pipe()
        self.answers, answer_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(hold_write), os.close(self.orders), os.close(self.answers)
            quietly(template, lab, world, order_read, answer_write, hold_read)
        os.close(order_read), os.close(answer_write)
        self.lines = os.fdopen(self.answers)

    def fork(self, order):
        try:
            os.write(self.orders, json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            pass
        line = self.lines.readline()
        return (
            json.loads(line)
            if line
            else {"error": f"the world {order['world']} could not be built (its traceback is above)"}
        )

    def end(self):
        # Killed, not asked: later templates hold copies of this pipe, so closing it here would say nothing.
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.orders)
        self.lines.close()


def template(lab, world, orders, answers, hold):
    # Labs that were stopped leave no zombies behind.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    go_on = worlds.build(lab, world)
    while True:
        ready, _, _ = select.select([orders, hold], [], [])
        line = os.read(orders, 65536) if orders in ready else b""
        if not line:
            return
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.close(orders)
            quietly(serve_lab, lab, go_on if order.get("live") else None, answers, hold)


def serve_lab(lab, go_on, answers, hold):
    lab.log.clear()
    host, port = serve(lab).server_address
    if go_on:
        go_on()
    os.write(answers, json.dumps({"pid": os.getpid(), "url": f"http://{host}:{port}"}).encode() + b"\n")
    os.close(answers)
    select.select([hold], [], [])  # readable means: the nursery is gone


def quietly(fn, *args):
    """Runs the rest of a forked process, which must never return into its parent's code."""
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        fn(*args)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def say(doc):
    print(json.dumps(doc), flush=True)
