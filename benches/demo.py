#!/usr/bin/env python3
"""Shows what the guide's configuration is worth: slowhttptest against 150 workers, without and with the module.

A good client at 127.0.0.9 asks for a page five times a second, and counts as served when it is answered within two
seconds. The guide's two thresholds of 500 connections are scaled to 100, since there are 150 workers and not 896.
Beside the rest of httpd nothing helps: mod_reqtimeout is not loaded.

With the module the client has to be served at least 99 % of the time after the first ten seconds.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import guide
from httpd import HTTPD, Failed, Server
from slow_clients import LARGE, GoodClient

AIM = 0.99
FIRST = 10
MPMS = ["worker", "event", "prefork"]
# `-R` asks by HEAD, which httpd 2.4 answers at once whatever the ranges are; so it gets a large file.
MODES = {
    "headers": ["-H", "-i", "5", "-x", "24"],
    "body": ["-B", "-i", "5", "-s", "8192", "-x", "10"],
    "reading": ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"],
    "ranges": ["-R", "-t", "GET", "-a", "1", "-b", "3000"],
}


def main():
    arguments = parse()
    for program in [HTTPD, "slowhttptest"]:
        if shutil.which(program) is None:
            print(f"{program} is missing (Debian: apache2, slowhttptest)")
            return 1
    mpms = MPMS if arguments.mpm == "all" else [arguments.mpm]
    print("A good client's requests that were served, after the first ten seconds of the attack:\n")
    print(f"  {'attack':<24}{'without the module':>20}{'with it':>12}")
    is_met = True
    with tempfile.TemporaryDirectory(prefix="qos-demo-") as directory:
        directory = pathlib.Path(directory)
        directory.chmod(0o755)  # the servers run as another user
        module = shutil.copy(arguments.module, directory / "mod_qos_rs.so")
        for mpm in mpms:
            for mode in arguments.modes.split(","):
                without = served(None, mpm, mode, arguments.seconds)
                with_it = served(module, mpm, mode, arguments.seconds)
                is_met &= with_it >= AIM
                verdict = "" if with_it >= AIM else f"  MISSED: {AIM:.0%} wanted"
                print(f"  slow {mode + ', ' + mpm:<19}{without:>20.1%}{with_it:>12.1%}{verdict}", flush=True)
    return 0 if is_met else 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", required=True, help="the shared object")
    parser.add_argument("--mpm", default=os.environ.get("MPM", "event"), choices=[*MPMS, "all"])
    parser.add_argument("--modes", default=",".join(MODES), help=f"some of {','.join(MODES)}")
    parser.add_argument("--seconds", type=int, default=30, help="of each attack")
    return parser.parse_args()


def directives():
    lines = [line for line in guide.lines() if not line.startswith("MaxClients")]
    return "\n".join(line.replace(" 500", " 100") if line.startswith("QS_Srv") else line for line in lines)


def served(module, mpm, mode, seconds):
    sizes = {"Timeout": 10, "KeepAliveTimeout": 5}
    with Server(module, directives(), mpm, sizes, single=False) as server:
        (server.directory / "htdocs" / "large").write_bytes(b"x" * LARGE)
        attack = subprocess.Popen(
            ["slowhttptest", "-c", "1000", "-r", "200", "-l", str(seconds), *MODES[mode],
             "-u", f"http://127.0.0.1:{server.port}/large"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with GoodClient(server.port) as client:
                time.sleep(seconds)
        finally:
            attack.kill()
            attack.wait()
        return client.availability(after=FIRST)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(failure)
        sys.exit(1)
