#!/usr/bin/env python3
"""Benchmarks as ratios, measured side by side in one run: no module, ours, and the C module.

Instructions are counted by callgrind on `apache2 -X` and hardly differ from run to run; wall time and CPU
time depend on who else uses the machine, so of several rounds the smallest is taken. A full run takes some
ten minutes. The C module is a peer from its Debian package, and left out when
it is not there. `--quick` is a smoke run; names of measurements choose some (`run.py cost memory`).
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import addresses
import cost
import geo
import guide
import idle
import latency
import memory
import qslog
import refused
import slow
import table_rows
import tally
import workers
from httpd import HTTPD, MODULES, Failed, Server

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
MEASUREMENTS = {module.__name__: module for module in [
    cost, guide, addresses, table_rows, latency, memory, idle, workers, refused, geo, slow, tally,
    qslog]}


def main():
    arguments = parse()
    for program in ["valgrind", HTTPD]:
        if shutil.which(program) is None:
            print(f"{program} is missing (Debian: valgrind, apache2)")
            return 1
    with tempfile.TemporaryDirectory(prefix="qos-bench-") as directory:
        directory = pathlib.Path(directory)
        directory.chmod(0o755)  # the servers run as another user
        modules = {"none": None, "ours": ours(arguments.module, directory)}
        peer = c_module(directory)
        if peer is not None:
            modules["peer"] = peer
        began_at = time.monotonic()
        for name in arguments.measurements or MEASUREMENTS:
            try:
                MEASUREMENTS[name].run(modules, arguments.quick)
            except Failed as failure:
                print(f"  {name}: could not be measured: {failure}")
        print(f"\nmeasured in {time.monotonic() - began_at:.0f} s")
    return 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of less than a minute")
    parser.add_argument("--module", help="the shared object; without it, it is built")
    parser.add_argument("measurements", nargs="*", metavar="measurement",
                        help=f"some of: {' '.join(MEASUREMENTS)}")
    arguments = parser.parse_args()
    for name in arguments.measurements:
        if name not in MEASUREMENTS:
            parser.error(f"no measurement {name}")
    return arguments


def ours(module, directory):
    if module is None:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        module = target / "release" / "libmod_qos_rs.so"
    return shutil.copy(module, directory / "mod_qos_rs.so")


def c_module(directory):
    """Copies the C module of the Debian package, if it is there. It misses a library in its list."""
    source = MODULES / "mod_qos.so"
    if not source.exists() or shutil.which("patchelf") is None:
        print("the C module is left out: libapache2-mod-qos or patchelf is not installed")
        return None
    copy = directory / "mod_qos_peer.so"
    shutil.copyfile(source, copy)
    subprocess.run(["patchelf", "--add-needed", "libpcre.so.3", str(copy)], check=True)
    try:
        with Server(copy, cost.DIRECTIVES):
            return copy
    except Failed as failure:
        print(f"the C module is left out: {failure}")
        return None


if __name__ == "__main__":
    sys.exit(main())
