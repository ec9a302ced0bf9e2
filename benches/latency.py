"""How long known clients wait while a crowd of new addresses comes: 1,000 a second.

The table is far from full then: to take a row that nobody used yet goes the same way as to take the oldest,
and table_rows.py counts what that costs where all are taken.
"""

import pathlib
import subprocess
import sys
import time

import clients
import cost
from httpd import Server
from table import Line, heading, quotient, show

RATE = 1000
ENTRIES = 1_000_000
AIM = 1.5
CROWD = pathlib.Path(__file__).with_name("crowd.py")
KNOWN = [f"127.0.0.{number}" for number in range(10, 18)]
# Requests of known clients per second, half of them on kept connections.
ASKED = 400
# Where a known client gives up.
PATIENCE = 2


class Round:
    """What the known clients saw, and what came of the crowd."""

    def __init__(self):
        self.waits = {"request": [], "connection": []}
        self.lost = 0
        self.reopened = 0
        self.crowd = ""


def run(modules, quick):
    heading(f"{RATE:,} new addresses a second, QS_ClientEntries {ENTRIES:,} (ratio: ours / no module)")
    rounds, seconds = (1, 3) if quick else (5, 10)
    found = {name: [] for name in modules}
    for turn in range(rounds):
        for name, module in modules.items():
            # The C module stands still, and one short look shows it.
            if name == "peer" and (turn > 0 or quick):
                continue
            found[name].append(storm(module, 3 if name == "peer" else seconds))
    for kind, what in [("request", "known client, kept connection"),
                       ("connection", "known client, new connection")]:
        for part, aim in [(50, None), (99, AIM)]:
            values = {name: [percentile(one.waits[kind], part) for one in all_rounds]
                      for name, all_rounds in found.items() if all_rounds}
            # The smallest: what others did on the machine only adds.
            best = {name: min(of_rounds) for name, of_rounds in values.items()}
            remark = "rounds: " + "; ".join(
                f"{name} {' '.join(f'{one:.3g}' for one in values[name])}" for name in ["none", "ours"])
            show(Line(f"{what}, p{part}", best["none"], best["ours"], best.get("peer"),
                      quotient(best["ours"], best["none"]), aim, "ms", remark))
    lost = {name: sum(one.lost for one in all_rounds) for name, all_rounds in found.items() if all_rounds}
    show(Line("requests of known clients lost", lost["none"], lost["ours"], lost.get("peer"), lost["ours"],
              0))
    for name, all_rounds in found.items():
        for one in all_rounds[-1:]:
            print(f"      {name}, last round: {one.crowd}; kept connections closed by httpd: {one.reopened}")


def storm(module, seconds):
    directives = f"{cost.DIRECTIVES}\nQS_ClientEntries {ENTRIES}"
    result = Round()
    with Server(module, directives, "event", single=False) as server:
        kept = [clients.connect(server.port, source, PATIENCE) for source in KNOWN]
        for client in kept:
            clients.ask_again(client)
        crowd = subprocess.Popen(
            [sys.executable, str(CROWD), str(server.port), str(RATE), str(seconds), str(0x7F010001)],
            stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(0.5)
            ask(server.port, kept, seconds - 1, result)
            result.crowd = crowd.communicate(timeout=seconds + 30)[0].strip()
        finally:
            crowd.kill()
            for client in kept:
                client.close()
    return result


def ask(port, kept, seconds, result):
    start = time.monotonic()
    for turn in range(int(seconds * ASKED)):
        due = start + turn / ASKED
        if (early := due - time.monotonic()) > 0:
            time.sleep(early)
        elif early < -PATIENCE:
            return  # a server that stands still; enough was lost to show it
        place = turn // 2 % len(KNOWN)
        began_at = time.perf_counter()
        kind = "request" if turn % 2 else "connection"
        try:
            if turn % 2:
                again(kept, place, port, result)
            elif not clients.ask_once(port, KNOWN[place], timeout=PATIENCE):
                raise ConnectionError("no answer")
        except OSError:
            result.lost += 1
        result.waits[kind].append((time.perf_counter() - began_at) * 1000)


def again(kept, place, port, result):
    """One more request; like any client, once more on a new connection when the server closed the old."""
    try:
        clients.ask_again(kept[place])
    except ConnectionError:
        # httpd ends kept connections when it is busy, or when it ends a child that it needs no more.
        result.reopened += 1
        kept[place].close()
        kept[place] = clients.connect(port, KNOWN[place], PATIENCE)
        clients.ask_again(kept[place])


def percentile(waits, part):
    """Returns the wait that so many percent do not exceed."""
    return sorted(waits)[min(len(waits) * part // 100, len(waits) - 1)]
