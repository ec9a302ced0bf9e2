"""What it costs to refuse a client that is blocked."""

import statistics

import clients
from httpd import Failed, Server
from table import Line, heading, quotient, show

DIRECTIVES = "QS_ClientEventBlockCount 5 600\nQS_SetEnvIfStatus 404 QS_Block"
BLOCKED = "127.0.0.3"


def run(modules, quick):
    heading("A blocked client's connection (ratio: ours / the C module's)")
    batches, size = (2, 50) if quick else (5, 200)
    for mpm in ["prefork"] if quick else ["event", "prefork"]:
        counts = {name: instructions(module, mpm, size, batches) for name, module in modules.items()}
        none, ours, peer = (counts.get(name) for name in ["none", "ours", "peer"])
        show(Line(f"refused connection, {mpm} (no module: answered 404)", none, ours, peer,
                  quotient(ours, peer), None, "instructions"))


def instructions(module, mpm, size, batches):
    with Server(module, DIRECTIVES, mpm, callgrind=True) as server:
        for _ in range(20):
            clients.ask_once(server.port, BLOCKED, clients.BAD_REQUEST)
        if module is not None and clients.ask_once(server.port, BLOCKED):
            raise Failed("the client is not blocked")
        counts = []
        for _ in range(batches):
            clients.settle()
            server.instructions()
            for _ in range(size):
                clients.ask_once(server.port, BLOCKED, clients.BAD_REQUEST)
            clients.settle()
            counts.append(server.instructions() / size)
        return statistics.median(counts)
