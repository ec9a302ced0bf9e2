"""Does a connection cost more where more workers are configured?"""

import statistics

import cost
from httpd import Server
from table import Line, heading, quotient, show

AIM = 1.01
SIZES = {
    "prefork": lambda workers: {"ServerLimit": workers, "MaxRequestWorkers": workers},
    "event": lambda workers: {"ServerLimit": workers // 25, "MaxRequestWorkers": workers},
}


def run(modules, quick):
    heading("MaxRequestWorkers 150 and 10,000 (ratio: ours, 10,000 / 150)")
    batches, size = (2, 50) if quick else (7, 200)
    for mpm in ["prefork"] if quick else ["prefork", "event"]:
        counts = {name: [instructions(module, mpm, workers, size, batches)
                         for workers in [150, 10_000]]
                  for name, module in modules.items() if name != "peer" or not quick}
        none, ours, peer = (counts.get(name, [None, None]) for name in ["none", "ours", "peer"])
        remark = f"with 150: no module {none[0]:,.0f}, ours {ours[0]:,.0f}"
        if peer[0] is not None:
            remark += f", C module {peer[0]:,.0f}"
        show(Line(f"connection with 10,000 workers, {mpm}", none[1], ours[1], peer[1],
                  quotient(ours[1], ours[0]), AIM, "instructions", remark))


def instructions(module, mpm, workers, size, batches):
    sizes = SIZES[mpm](workers)
    with Server(module, cost.DIRECTIVES, mpm, sizes, callgrind=True) as server:
        return statistics.median(cost.connections(server, size, batches))
