"""What qostally takes for a long access log: time and memory, beside awk, sort and uniq, as one would do it by hand."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from table import Line, heading, quotient, show

ROOT = pathlib.Path(__file__).resolve().parent.parent
ADDRESSES = 50_000
BY_HAND = "awk '{ print $1 }' \"$1\" | sort | uniq -c | awk '$1 >= 60' | sort -rn"


def run(_, quick):
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "qostally"
    size = (64 if quick else 1024) << 20
    heading("qostally on an access log (ratio: its time / that of awk, sort and uniq)")
    if not program.exists():
        print("  qostally is not built: make")
        return
    with tempfile.TemporaryDirectory(prefix="qos-bench-") as directory:
        if shutil.disk_usage(directory).free < 4 * size:
            print(f"  no room for a log of {size >> 20} MiB")
            return
        log = pathlib.Path(directory) / "access.log"
        write(log, size)
        ours, octets = timed([str(program), str(log)])
        peer, _ = timed(["sh", "-c", BY_HAND, "sh", str(log)])
        show(Line(f"a log of {size >> 20} MiB with {ADDRESSES:,} addresses", None, ours, peer, quotient(ours, peer),
                  None, "s", f"{size / ours / 2**20:,.0f} MiB a second, {octets >> 20} MiB of memory at most"))


def write(path, size):
    """Writes lines of the combined format; addresses come in an order of their own, and again and again."""
    with path.open("w") as file:
        written = number = 0
        while written < size:
            lines = []
            for _ in range(10_000):
                number += 1
                n = number * 7919 % ADDRESSES
                lines.append(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255} - - [22/Nov/2026:09:00:00 +0000] "
                             f"\"GET /page/{number} HTTP/1.1\" 200 {number % 9000} \"-\" \"Mozilla/5.0\"\n")
            written += file.write("".join(lines))


def timed(command):
    """Returns the seconds of a command, and the most memory that it, and what it started, had."""
    began_at = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began_at
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise subprocess.CalledProcessError(process.returncode, command)
    return seconds, usage.ru_maxrss * 1024
