"""Shared memory per client, and the start with a table of ten million."""

import pathlib

import clients
import cost
from httpd import Server
from table import Line, heading, quotient, show

OCTETS_AIM = 64
START_AIM = 1.2
SIZES = {"StartServers": 1, "ServerLimit": 1, "MaxRequestWorkers": 1}


def run(modules, quick):
    heading("Memory (ratio: octets per client of ours; start: ours / no module)")
    entries = 2000 if quick else 50_000
    ours, before = octets_per_client(modules["ours"], entries)
    remark = f"before the first client {before / 1024:,.0f} KiB"
    if quick:
        remark += "; so few clients also pay for the rows of open connections: no aim"
    show(Line(f"shared memory per client, {entries:,} clients, table full", None, ours, None, ours,
              None if quick else OCTETS_AIM, "octets", remark))
    untouched(modules, quick)
    start(modules, quick)


def octets_per_client(module, entries):
    directives = f"{cost.DIRECTIVES}\nQS_ClientEntries {entries}"
    sources = clients.addresses()
    with Server(module, directives, "prefork", SIZES) as server:
        before = shared_octets(server)
        # Some rows more than configured: for connections that are open.
        for _ in range(entries + 1000):
            clients.ask_once(server.port, next(sources))
        return (shared_octets(server) - before) / entries, before


def untouched(modules, quick):
    """A table of which nobody makes use yet."""
    directives = f"{cost.DIRECTIVES}\nQS_ClientEntries {100_000 if quick else 1_000_000}"
    counts = {}
    for name, module in modules.items():
        with Server(module, directives, "prefork", SIZES) as server:
            counts[name] = shared_octets(server) / 1024
    show(Line(f"{directives.splitlines()[-1]}, nobody came yet", counts["none"], counts["ours"],
              counts.get("peer"), None, None, "KiB"))


def shared_octets(server):
    """Returns what the server's shared mappings hold in memory."""
    total = 0
    is_shared = False
    for line in pathlib.Path(f"/proc/{server.process.pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            is_shared = words[1].endswith("s")
        elif is_shared and words[0] == "Rss:":
            total += int(words[1]) * 1024
    return total


def start(modules, quick):
    """From the call to the first answer, parent and children: two passes over the configuration."""
    entries = 10_000_000
    directives = f"{cost.DIRECTIVES}\nQS_ClientEntries {entries}"
    times = {name: [] for name in modules}
    for _ in range(3 if quick else 15):
        for name, module in modules.items():
            # The C module fills its table at the start: once is enough.
            if name == "peer" and (times[name] or quick):
                continue
            with Server(module, directives, "event", single=False) as server:
                times[name].append(server.answered_after * 1000)
    # The smallest: what others did on the machine only adds.
    best = {name: min(found) for name, found in times.items() if found}
    show(Line(f"start to first answer, QS_ClientEntries {entries:,}", best["none"], best["ours"],
              best.get("peer"), quotient(best["ours"], best["none"]), START_AIM, "ms"))
