"""What two directives cost when no rule is hit: instructions and CPU time per request and connection."""

import statistics

import clients
from httpd import Server
from table import Line, heading, quotient, show

DIRECTIVES = "QS_SrvMaxConnPerIP 100000\nQS_ClientEventBlockCount 1000000 600"
AIM = 0.25


def run(modules, quick):
    heading("Two directives, no rule hit (ratio: our addition over no module / the C module's)")
    for mpm in ["event"] if quick else ["event", "prefork"]:
        counts = {name: instructions(module, mpm, quick) for name, module in modules.items()}
        for kind, what in [("request", "keep-alive request"), ("connection", "connection with one request")]:
            show(line(f"{what}, {mpm}", "instructions", kind, counts, AIM))
    if quick:
        return
    for mpm in ["event", "prefork"]:
        times = cpu_times(modules, mpm)
        for kind, what in [("request", "keep-alive request"), ("connection", "connection with one request")]:
            none, ours, peer = (times.get(name, {}).get(kind) for name in ["none", "ours", "peer"])
            show(Line(f"{what}, {mpm}, kernel included (ratio: ours / no module)", none, ours, peer,
                      quotient(ours, none), None, "us CPU"))


def line(what, unit, kind, found, aim):
    none, ours, peer = (found.get(name, {}).get(kind) for name in ["none", "ours", "peer"])
    ratio = quotient(ours - none, peer - none) if peer is not None else None
    remark = f"added: ours {ours - none:,.1f}"
    if peer is not None:
        remark += f", C module {peer - none:,.1f}"
    return Line(what, none, ours, peer, ratio, aim, unit, remark)


def instructions(module, mpm, quick, directives=DIRECTIVES):
    """Returns the median instructions of batches, after a warm-up that is not counted."""
    batches, size = (2, 50) if quick else (5, 200)
    with Server(module, directives, mpm, callgrind=True) as server:
        return {
            "request": statistics.median(requests(server, size, batches)),
            "connection": statistics.median(connections(server, size, batches)),
        }


def requests(server, size, batches):
    """Yields instructions per request: a connection with many, less one with few.

    The connection is closed before the count is taken: prefork's only process serves one at a time.
    """
    def kept(count):
        with clients.connect(server.port) as client:
            for _ in range(count):
                clients.ask_again(client)
        clients.settle()
        return server.instructions()

    kept(20)
    for _ in range(batches):
        yield (kept(size + 10) - kept(10)) / size


def connections(server, size, batches, sources=None):
    """Yields instructions per connection; of one known address, or of those that `sources` yields."""
    for _ in range(20):
        clients.ask_once(server.port)
    for _ in range(batches):
        clients.settle()
        server.instructions()
        for _ in range(size):
            clients.ask_once(server.port, next(sources) if sources else clients.KNOWN)
        clients.settle()
        yield server.instructions() / size


def cpu_times(modules, mpm, rounds=5, size=2000):
    """Returns the smallest CPU time of several rounds: what others did on the machine only adds."""
    found = {name: {"request": [], "connection": []} for name in modules}
    for _ in range(rounds):
        for name, module in modules.items():
            with Server(module, DIRECTIVES, mpm) as server:
                with clients.connect(server.port) as client:
                    clients.ask_again(client)
                    before = server.cpu_seconds()
                    for _ in range(size):
                        clients.ask_again(client)
                    found[name]["request"].append(server.cpu_seconds() - before)
                before = server.cpu_seconds()
                for _ in range(size):
                    clients.ask_once(server.port)
                clients.settle()
                found[name]["connection"].append(server.cpu_seconds() - before)
    return {name: {kind: min(values) / size * 1e6 for kind, values in kinds.items()}
            for name, kinds in found.items()}
