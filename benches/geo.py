"""A file of countries (QS_ClientGeoCountryDB): reading it, its memory, a look-up; and what the start pays.

The first three by the engine's example `countries_bench`, the last with httpd.
"""

import os
import pathlib
import subprocess
import tempfile

import clients
import cost
from httpd import Server
from table import Line, heading, quotient, show
from table_rows import totals

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARK = "countries_bench::mark*"
RANGES = 200_000
LOOKUP_AIM = 200
OCTETS_AIM = 10
START_AIM = 50


def run(modules, quick):
    heading("A file of countries (ratio: to the aim's unit)")
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "qos-engine",
                    "--example", "countries_bench"], cwd=ROOT, check=True)
    for ranges in [2000] if quick else [2000, RANGES]:
        load, lookup, octets = parts(ranges, 10_000)
        show(Line(f"reading, {ranges:,} ranges, each", None, load, None, None, None, "instructions"))
        show(Line(f"a look-up among {ranges:,}", None, lookup, None, lookup, LOOKUP_AIM, "instructions"))
        show(Line(f"memory a range, {ranges:,}", None, octets, None, octets, OCTETS_AIM, "octets"))
    start(modules, 2000 if quick else RANGES, quick)


def parts(ranges, lookups):
    """Returns instructions to read a range, instructions of a look-up, and octets a range."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / "release" / "examples" / "countries_bench"
    with tempfile.TemporaryDirectory(prefix="qos-bench-") as directory:
        said = subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", "--vgdb=no", f"--dump-before={MARK}",
             f"--callgrind-out-file={directory}/count", str(program), str(ranges), str(lookups)],
            check=True, timeout=400, stdout=subprocess.PIPE, text=True).stdout
        load, lookup = [totals(pathlib.Path(directory) / f"count.{part}") for part in [2, 3]]
        return load / ranges, lookup / lookups, int(said.split()[1]) / ranges


def lines(ranges):
    """Yields lines of ranges that follow each other."""
    length = (2**32 - 2**24) // ranges
    for place in range(ranges):
        first = 2**24 + place * length
        last = first + length - 1
        yield f'"{dotted(first)}","{dotted(last)}","{first}","{last}","{["CH", "DE"][place % 2]}","Country"\n'


def dotted(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def start(modules, ranges, quick):
    """From the call to the first answer, with the file and without; and what a connection pays."""
    with tempfile.NamedTemporaryFile("w", prefix="qos-bench-", suffix=".csv") as file:
        file.writelines(lines(ranges))
        file.flush()
        os.chmod(file.name, 0o644)
        with_file = f"{cost.DIRECTIVES}\nQS_ClientGeoCountryDB {file.name}"
        variants = {"without": cost.DIRECTIVES, "with": with_file}
        times = {name: [] for name in variants}
        for _ in range(3 if quick else 15):
            for name, directives in variants.items():
                with Server(modules["ours"], directives, "event", single=False) as server:
                    times[name].append(server.answered_after * 1000)
        best = {name: min(found) for name, found in times.items()}
        show(Line(f"start to first answer, {ranges:,} ranges (ratio: ms more)", best["without"],
                  best["with"], None, best["with"] - best["without"], START_AIM, "ms"))
        counts = {}
        for name, directives in variants.items():
            with Server(modules["ours"], directives, "event", callgrind=True) as server:
                batches = list(cost.connections(server, 50 if quick else 200, 3))
                counts[name] = sorted(batches)[1]
        show(Line("connection with one request (none: without the file)", counts["without"],
                  counts["with"], None, quotient(counts["with"], counts["without"]), None, "instructions"))
