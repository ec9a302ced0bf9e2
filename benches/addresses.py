"""An address never seen before against one that is known, with every row of the tables taken."""

import statistics

import clients
import cost
from httpd import Server
from table import Line, heading, quotient, show

AIM = 1.1
# One process at a time: all room in the tables that is not QS_ClientEntries is for open connections.
SIZES = {"StartServers": 1, "ServerLimit": 1, "MaxRequestWorkers": 1}


def run(modules, quick):
    heading("An address never seen before (ratio: ours, new / known)")
    batches, size = (2, 50) if quick else (5, 200)
    with Server(None, mpm="prefork", sizes=SIZES, callgrind=True) as server:
        none = statistics.median(cost.connections(server, size, batches))
    for entries in [1280] if quick else [1280, 50_000]:
        ours = new_and_known(modules["ours"], entries, size, batches, entries + 3000)
        peer = None, None
        if "peer" in modules and not quick:
            # It sorts all of its table for each newcomer, whether the rows are taken or not.
            few = (20, 3, 0) if entries > 1280 else (size, batches, entries + 100)
            peer = new_and_known(modules["peer"], entries, *few)
        lines(entries, none, ours, peer)


def lines(entries, none, ours, peer):
    known, new = ours
    peer_known, peer_new = peer
    remark = f"known: ours {known:,.0f}"
    if peer_known is not None:
        remark += f", C module {peer_known:,.0f} (new / known {peer_new / peer_known:,.1f})"
    what = f"connection of a new address, {entries:,} entries, full"
    show(Line(what, none, new, peer_new, quotient(new, known), AIM, "instructions", remark))
    added = None if peer_new is None else peer_new - none
    show(Line(f"our addition alone, {entries:,} entries, full", None, new - none, added,
              quotient(new - none, known - none), AIM, "instructions"))


def new_and_known(module, entries, size, batches, filling):
    directives = f"{cost.DIRECTIVES}\nQS_ClientEntries {entries}"
    sources = clients.addresses()
    with Server(module, directives, "prefork", SIZES, callgrind=True) as server:
        for _ in range(filling):
            clients.ask_once(server.port, next(sources))
        known = statistics.median(cost.connections(server, size, batches))
        new = statistics.median(cost.connections(server, size, batches, sources))
        return known, new
