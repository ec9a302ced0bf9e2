"""Slow clients from 100 addresses that come again at once, 150 workers: how often is a good one served?"""

import time

from httpd import Server
from slow_clients import LARGE, Attack, GoodClient
from table import Line, heading, show

# A hundred connections of the 150 that can be served: within reach.
DIRECTIVES = "QS_SrvMinDataRate 120 1500 100"
AIMS = {"headers": 0.95, "body": 0.95, "reading": 0.90}
SIZES = {"Timeout": 10, "KeepAliveTimeout": 5}


def run(modules, quick):
    span = 12 if quick else 30
    heading(f"400 slow connections of 100 addresses, opened again at once, for {span} s (ratio: lost by ours)")
    for mpm in ["event"] if quick else ["worker", "event", "prefork"]:
        for kind, aim in AIMS.items():
            lost = {name: 1 - served(module, mpm, kind, span) for name, module in modules.items()}
            show(Line(f"requests lost, slow {kind}, {mpm}", lost["none"], lost["ours"], lost.get("peer"),
                      lost["ours"], 1 - aim))


def served(module, mpm, kind, span):
    with Server(module, DIRECTIVES, mpm, SIZES, single=False) as server:
        (server.directory / "htdocs" / "large").write_bytes(b"x" * LARGE)
        with Attack(server.port, kind), GoodClient(server.port) as client:
            time.sleep(span)
        return client.availability(after=span / 4)
