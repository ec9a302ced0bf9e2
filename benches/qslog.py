"""The log analyser `qslog` on a log of a million lines, beside the C module's program: CPU time."""

import os
import pathlib
import random
import shutil
import subprocess
import tempfile

from table import Line, heading, quotient, show

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = shutil.which("qslog", path="/usr/bin")
FORMAT = "I..RSBiDQkUEs"
LINES = 1_000_000
ROUNDS = 3
# Half of the C program's time.
AIM = 0.5


def run(_modules, quick):
    lines = LINES // 20 if quick else LINES
    heading(f"qslog on {lines:,} lines (ratio: to the C program)")
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "qos-tools", "--bin", "qslog"],
                   cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ours = target / "release" / "qslog"
    with tempfile.TemporaryDirectory(prefix="qos-bench-") as directory:
        path = pathlib.Path(directory) / "access.log"
        with path.open("w") as log:
            log.writelines(made_up(lines))
        for mode in ["-p", "-pc", "-pu"]:
            seconds = best(ours, mode, path)
            theirs = best(PEER, mode, path) if PEER else None
            ratio = quotient(seconds, theirs)
            show(Line(f"qslog {mode}", None, seconds * 1000, theirs and theirs * 1000, ratio, AIM, "ms"))
    if PEER is None:
        print("the C program is left out: libapache2-mod-qos is not installed")


def best(program, mode, path):
    """Returns the smallest CPU time of some rounds."""
    found = []
    for _ in range(ROUNDS):
        with path.open("rb") as log:
            child = subprocess.Popen([program, "-f", FORMAT, mode], stdin=log,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = status
            if status:
                raise subprocess.CalledProcessError(status, str(program))
            found.append(used.ru_utime + used.ru_stime)
    return min(found)


def made_up(lines):
    """Yields the lines of two busy hours, the same in each run."""
    dice = random.Random(7)
    second = 36_000.0
    for _ in range(lines):
        second += dice.expovariate(lines / 7200)
        at = int(second)
        address = f"10.{dice.randrange(3)}.{dice.randrange(9)}.{dice.randrange(99)}"
        path = f"/{dice.choice('abcdef')}/{dice.choice('uvw')}.html?x={dice.randrange(999)}"
        status = dice.choice([200, 200, 200, 302, 304, 404, 500])
        yield (f'{address} [21/Nov/2026:{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02} +0000] '
               f'"{dice.choice(["GET", "POST"])} {path} HTTP/1.1" {status} {dice.randrange(99999)} '
               f'{dice.randrange(2000)} {dice.randrange(3_000_000)} {dice.choice(["-", "D;", "V;S;"])} '
               f'{dice.randrange(3)} u{dice.randrange(50)} {dice.choice(["-", "Ev1", "Ev1,Ev2", "Ev3"])} '
               f'{dice.randrange(100)}\n')
