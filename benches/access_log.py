#!/usr/bin/env python3
"""Access logs side by side: the same question to badgate, DuckDB and polars, in turn.

    python3 benches/access_log.py target/release/badgate [--rows 1000000] [--rounds 5] [--dir DIR] [--floor PROGRAM]

The question: rows per pair of statuses, the ten targets with most 502, median and 99 % of the target time, 502 per
minute; of badgate also the causes. It is put to one plain file and to 60 packed parts of it. Answers are compared
before times are: a tool that answers otherwise is shown as wrong. DuckDB and polars are left out when Python cannot
import them. Times are the best and the median of all rounds, taken in turn so that a busy minute hits everybody;
processor time (the best, user and system) and peak memory are of the whole process. On a machine that others use,
compare processor times. PROGRAM is a bare scan, run as `PROGRAM THREADS FILE...`. Data is made once (seed 502) and kept
in DIR.
"""
import argparse
import datetime
import glob
import gzip
import importlib.util
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

STATUS, TARGET, TIME, SPENT = 8, 4, 1, 6


def make(folder, rows):
    """Rows of an hour with fifteen minutes of incident in it."""
    plain, parts = os.path.join(folder, "alb.log"), os.path.join(folder, "parts")
    if os.path.exists(os.path.join(folder, f"made-{rows}")):
        return plain, parts
    os.makedirs(parts, exist_ok=True)
    dice = random.Random(502)
    start = datetime.datetime(2026, 5, 4, 10)
    targets = [f"10.{20 + g}.{z}.{10 + k}:8080" for g in range(5) for z in range(3) for k in range(4)]
    agents = ["curl/8.5.0", "okhttp/4.12.0",
              "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"]
    paths = ["/api/v1/cart", "/api/v1/orders/%d", "/p/%d?ref=mail", "/assets/app.%d.js", "/search?q=t%d"]
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop/73e2d6bc24d8a067"
    cert = "arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
    chunk = [[] for _ in range(60)]
    with open(plain, "w", buffering=1 << 20) as out:
        for i in range(rows):
            second = 3600 * i / rows
            at = start + datetime.timedelta(seconds=second, microseconds=dice.randrange(1000))
            target, lb, status = dice.choice(targets), "200", "200"
            req, spent, resp = dice.random() * 0.002, dice.lognormvariate(-3.6, 1.1), dice.random() * 0.001
            if dice.random() < (0.045 if 1500 <= second < 2400 else 0.005):
                lb, status, kind = "502", "-", dice.randrange(10)
                if kind < 5:
                    spent, resp = 0.001 + dice.random() * 0.003, -1
                elif kind < 8:
                    target, req, spent, resp = targets[2], -1, -1, -1
                else:
                    status = "502"
            path = dice.choice(paths)
            path = path % dice.randrange(100000) if "%d" in path else path
            stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            n = lambda v: "-1" if v == -1 else f"{v:.3f}"
            line = (f'h2 {stamp} app/shop/50dc6c495c0c9188 203.0.{dice.randrange(256)}.{dice.randrange(256)}:40000 {target} '
                    f'{n(req)} {n(spent)} {n(resp)} {lb} {status} {dice.randrange(80, 1800)} {dice.randrange(120, 90000)} '
                    f'"GET https://shop.example.com:443{path} HTTP/2.0" "{dice.choice(agents)}" TLS_AES_128_GCM_SHA256 TLSv1.3 {arn} '
                    f'"Root=1-{i:08x}-{dice.getrandbits(96):024x}" "shop.example.com" "{cert}" {dice.randrange(1, 40)} {stamp} '
                    f'"forward" "-" "-" "{target}" "{status}" "-" "-" TID_{dice.getrandbits(128):032x}\n')
            out.write(line)
            chunk[int(second // 300) * 5 + dice.randrange(5)].append(line)
    for i, lines in enumerate(chunk):
        with open(os.path.join(parts, f"{i:02}.log.gz"), "wb") as raw:
            raw.write(gzip.compress("".join(lines).encode(), 6, mtime=0))
    open(os.path.join(folder, f"made-{rows}"), "w").close()
    return plain, parts


DUCK = """
import duckdb, json, sys
q = duckdb.connect(config={{"threads": 2}})
q.execute("set enable_progress_bar = false")
q.execute("create temp table r as select column04 t, column06 s, column08 lb, column09 st, column01 tm from read_csv('{path}', "
          "delim=' ', quote='\\"', escape='\\\\', header=false, auto_detect=false, strict_mode=false, null_padding=true, columns={{{columns}}})")
f = lambda s: q.execute(s).fetchall()
"""
COMMON = """
print(json.dumps(dict(rows=f("select count(*) from r")[0][0], pairs={f"{a}/{b}": n for a, b, n in f("select lb, st, count(*) from r group by all")},
    top=sorted(([a, n] for a, n in f("select t, count(*) from r where lb = '502' group by t")), key=lambda x: (-x[1], x[0]))[:10],
    minutes={a: n for a, n in f("select substr(tm, 1, 16), count(*) from r where lb = '502' group by all")},
    times=[float(x) for x in f("select quantile_disc(s::double, 0.5), quantile_disc(s::double, 0.99) from r where s <> '-1'")[0]])))
"""
POLARS = """
import polars as pl, json, sys, glob
names = [f"c{{i:02}}" for i in range({n})]
r = pl.scan_csv({paths!r}, separator=" ", has_header=False, new_columns=names, infer_schema=False, quote_char='"', truncate_ragged_lines=True)
a, b, c, d, e = pl.collect_all([
    r.select(pl.len()), r.group_by("c08", "c09").len(), r.filter(pl.col("c08") == "502").group_by("c04").len(),
    r.filter(pl.col("c08") == "502").group_by(pl.col("c01").str.slice(0, 16)).len(),
    r.filter(pl.col("c06") != "-1").select(pl.col("c06").cast(pl.Float64).quantile(0.5).alias("a"), pl.col("c06").cast(pl.Float64).quantile(0.99).alias("b"))])
print(json.dumps(dict(rows=a.item(), pairs={{f"{{x}}/{{y}}": n for x, y, n in b.iter_rows()}},
    top=sorted(([x, n] for x, n in c.iter_rows()), key=lambda x: (-x[1], x[0]))[:10],
    minutes={{x: n for x, n in d.iter_rows()}}, times=list(e.row(0)))))
"""


def tools(binary, path, packed, floor=None):
    """Name and command of each."""
    yield "badgate", [binary, "logs", path, "--json", "--threads", "2"]
    yield "badgate, 1 thread", [binary, "logs", path, "--json", "--threads", "1"]
    many = os.path.join(path, "*.gz") if packed else path
    columns = ", ".join(f"'column{i:02}': 'VARCHAR'" for i in range(30))
    if floor:
        files = sorted(glob.glob(many)) if packed else [many]
        yield "bare scan", [floor, "2" if packed else "1", *files]
    if importlib.util.find_spec("duckdb"):
        yield "duckdb", [sys.executable, "-c", DUCK.format(path=many, columns=columns) + COMMON]
    if importlib.util.find_spec("polars"):
        yield "polars", [sys.executable, "-c", POLARS.format(n=30, paths=many)]


def answer(name, out):
    doc = json.loads(out)
    if not name.startswith("badgate"):
        return doc
    return dict(
        rows=doc["rows"],
        pairs={f"{p['lb']}/{p['target'] or '-'}": p["count"] for p in doc["pairs"]},
        top=[[t["target"], t["count"]] for t in doc["targets_502"]],
        minutes={m["minute"][:16]: m["lb_502"] for m in doc["per_minute"] if m["lb_502"]},
        times=[doc["target_time"]["p50"], doc["target_time"]["p99"]],
    )


def equal(a, b):
    near = all(abs(x - y) <= 0.005 * y + 0.001 for x, y in zip(a["times"], b["times"]))
    return near and all(a[k] == b[k] for k in ("rows", "pairs", "top", "minutes"))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("binary")
    args.add_argument("--rows", type=int, default=1_000_000)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--floor")
    args.add_argument("--dir", default=os.path.join(tempfile.gettempdir(), "badgate-access-log"))
    args = args.parse_args()
    os.makedirs(args.dir, exist_ok=True)
    # In a process of its own: what this one holds when it forks would count as a tool's peak memory.
    maker = multiprocessing.get_context("spawn").Process(target=make, args=(args.dir, args.rows))
    maker.start()
    maker.join()
    plain, parts = make(args.dir, args.rows)
    env = dict(os.environ, POLARS_MAX_THREADS="2")
    for title, path, packed in (("plain", plain, False), ("60 gz parts", parts, True)):
        all_tools, times, first = list(tools(args.binary, path, packed, args.floor)), {}, None
        wrong = set()
        for _ in range(args.rounds):
            for name, command in all_tools:
                began = time.perf_counter()
                with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as wailed:
                    child = subprocess.Popen(command, stdout=said, stderr=wailed, env=env)
                    _, status, used = os.wait4(child.pid, 0)
                    took = time.perf_counter() - began
                    said.seek(0)
                    wailed.seek(0)
                    out, err = said.read(), wailed.read()
                # Python must not wait for it again.
                child.returncode = os.waitstatus_to_exitcode(status)
                if child.returncode > 1 or not out:
                    wrong.add(name)
                    print(f"{name}: {err.decode()[-300:]}", file=sys.stderr)
                    continue
                times.setdefault(name, []).append((took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))
                if name == "bare scan":
                    continue
                got = answer(name, out)
                first = first or got
                if not equal(got, first):
                    wrong.add(name)
        print(f"\n{title}: {args.rows} rows, best and median of {args.rounds}")
        print(f"  {'':<20} {'best':>9} {'median':>9} {'cpu':>9} {'memory':>9}")
        for name, runs in times.items():
            note = "  WRONG ANSWER" if name in wrong else ""
            wall, cpu, memory = zip(*runs)
            print(f"  {name:<20} {min(wall):7.3f} s {statistics.median(wall):7.3f} s {min(cpu):7.3f} s {max(memory):5.0f} MiB{note}")


if __name__ == "__main__":
    main()
