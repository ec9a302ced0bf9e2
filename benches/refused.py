"""What it costs to refuse a client that is blocked."""

import statistics

import clients
from httpd import Failed, Server
from table import Line, heading, quotient, show

DIRECTIVES = "QS_ClientEventBlockCount 5 600\nQS_SetEnvIfStatus 404 QS_Block"
BLOCKED = "127.0.0.3"
# Of the whole connection. Event and worker hand a connection from one thread to another before any module is
# asked: that is httpd's own, and alone more than half of what a refusal by the C module costs.
AIMS = {"prefork": 0.6}


def run(modules, quick):
    heading("A blocked client's connection (ratio: ours / the C module's)")
    # One of twenty refusals is logged.
    batches, size = (2, 100) if quick else (5, 200)
    for mpm in ["prefork"] if quick else ["event", "prefork"]:
        counts = {name: instructions(module, mpm, size, batches) for name, module in modules.items()}
        none, ours, peer = (counts.get(name) for name in ["none", "ours", "peer"])
        show(Line(f"refused connection, {mpm} (no module: answered 404)", none, ours, peer,
                  quotient(ours, peer), AIMS.get(mpm), "instructions"))


def instructions(module, mpm, size, batches):
    with Server(module, DIRECTIVES, mpm, callgrind=True) as server:
        for _ in range(20):
            clients.ask_once(server.port, BLOCKED, clients.BAD_REQUEST)
        if module is not None and clients.ask_once(server.port, BLOCKED):
            raise Failed("the client is not blocked")

        def asked(count):
            for _ in range(count):
                clients.ask_once(server.port, BLOCKED, clients.BAD_REQUEST)
            clients.settle()
            return server.instructions()

        asked(20)
        # Of many less those of a few: what surrounds a batch is not counted.
        return statistics.median((asked(size + 20) - asked(20)) / size for _ in range(batches))
