"""Does an idle child wake up? Counts how often its threads went to sleep by themselves."""

import pathlib
import time

import cost
from httpd import Server
from table import Line, heading, show

# A count: what we may have above no module. One stray wake-up is no timer.
AIM = 1


def run(modules, quick):
    span = 3 if quick else 10
    heading("Wake-ups in idle children (ratio: ours minus no module)")
    for mpm in ["prefork"] if quick else ["event", "prefork"]:
        counts = {name: wakeups(module, mpm, span) for name, module in modules.items()}
        show(Line(f"all children, {span} s, {mpm}", counts["none"], counts["ours"], counts.get("peer"),
                  counts["ours"] - counts["none"], AIM, "wake-ups"))
    if "peer" in modules and not quick:
        # Its thread comes with a data rate, a family that we do not have yet.
        rate = f"{cost.DIRECTIVES}\nQS_SrvMinDataRate 100"
        show(Line(f"the C module with QS_SrvMinDataRate, {span} s, event", None, None,
                  wakeups(modules["peer"], "event", span, rate), None, None, "wake-ups"))


def wakeups(module, mpm, span, directives=cost.DIRECTIVES):
    with Server(module, directives, mpm, single=False) as server:
        time.sleep(2.5)  # httpd starts more children, or ends some
        before = switches(server)
        time.sleep(span)
        after = switches(server)
        # Children that httpd started or ended meanwhile tell nothing.
        return sum(after[task] - before[task] for task in before.keys() & after.keys())


def switches(server):
    counts = {}
    for pid in server.children():
        for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
            for line in status.read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    counts[status.parent.name] = int(line.split()[1])
    return counts
