"""The whole configuration of the DoS defence guide, no rule hit: instructions per request and connection."""

import pathlib
import re

import cost
from httpd import MODULES
from table import heading, show

GUIDE = pathlib.Path(__file__).resolve().parent.parent / "apache-conf" / "examples" / "guide.conf"
AIM = 0.25
# Numbers of workers are the MPM's and stay as they are; no client of the measurement may be refused.
LEFT_OUT = ("MaxClients", "TimeOut", "KeepAlive", "MaxKeepAliveRequests")


def run(modules, quick):
    heading("The guide's configuration, no rule hit (ratio: our addition over no module / the C module's)")
    for name, lines in [("", directives()), (", without SetEnvIfPlus", without_plus(directives()))]:
        for mpm in ["event"] if quick else ["event", "prefork"]:
            counts = {which: instructions(which, module, lines, mpm, quick)
                      for which, module in modules.items()}
            for kind, what in [("request", "keep-alive request"), ("connection", "connection with one request")]:
                show(cost.line(f"{what}{name}, {mpm}", "instructions", kind, counts, AIM))


def lines():
    """Returns the guide's lines, the country file at its place in this repository."""
    text = GUIDE.read_text().replace("conf/GeoIPCountryWhois.csv", str(country_file()))
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def directives():
    """Returns the guide's lines, scaled so that no client of the measurement reaches a limit."""
    changed = []
    for line in lines():
        if line.startswith(LEFT_OUT):
            continue
        line = re.sub(r"^(QS_ClientEventBlockCount +)20", r"\g<1>1000000", line)
        changed.append(re.sub(r"^(QS_ClientEventLimitCount +)(20|3) ", r"\g<1>1000000 ", line))
    return changed


def country_file():
    return GUIDE.parent.parent.parent / "tests" / "server" / "GeoIPCountryWhois.csv"


def without_plus(lines):
    return [line for line in lines if not line.startswith("SetEnvIfPlus")]


def instructions(which, module, lines, mpm, quick):
    """The C module has no SetEnvIfPlus: httpd's SetEnvIf stands in for it, and counts as its own."""
    if which == "peer":
        lines = [re.sub(r"^SetEnvIfPlus", "SetEnvIf", line) for line in lines]
        if any(line.startswith("SetEnvIf ") for line in lines):
            lines = [f"LoadModule setenvif_module {MODULES}/mod_setenvif.so", *lines]
    if which == "none":
        lines = []
    return cost.instructions(module, mpm, quick, "\n".join(lines))
