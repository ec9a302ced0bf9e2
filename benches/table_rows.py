"""One row of the table of clients by itself: known and new addresses, up to a million entries, full.

So many real connections would take too long; this runs the engine's example `table_bench`.
"""

import os
import pathlib
import subprocess
import tempfile

from httpd import Failed
from table import Line, heading, quotient, show

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARK = "table_bench::mark*"


def run(_modules, quick):
    heading("One row held and given back, without httpd (ratio: to a known address)")
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "qos-engine",
                    "--example", "table_bench"], cwd=ROOT, check=True)
    for rows in [1280] if quick else [1280, 50_000, 1_000_000]:
        known, new, mixed, _, after_all = parts(rows, 1000 if quick else 10_000)
        for what, cost in [("known address", known), ("new address", new),
                           ("known ones from all over, one new in ten", mixed),
                           ("new address after all rows were used again", after_all)]:
            show(Line(f"{what}, {rows:,} entries", None, cost, None, quotient(cost, known), None,
                      "instructions"))


def parts(rows, operations):
    """Returns the instructions of each part of the example, per operation."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / "release" / "examples" / "table_bench"
    with tempfile.TemporaryDirectory(prefix="qos-bench-") as directory:
        subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", "--vgdb=no", f"--dump-before={MARK}",
             f"--callgrind-out-file={directory}/count", str(program), str(rows), str(operations)],
            check=True, timeout=400)
        # count.1 is the filling; what comes after the last mark goes to a file without a number.
        files = [pathlib.Path(directory) / f"count.{part}" for part in range(2, 7)]
        return [totals(path) / operations for path in files]


def totals(path):
    for line in path.read_text().splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise Failed(f"no totals in {path}")
