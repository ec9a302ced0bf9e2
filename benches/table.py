"""The lines that are printed: what, no module, ours, the C module, ratio, aim, and whether it is met."""

import dataclasses


@dataclasses.dataclass
class Line:
    """One measured thing. `ratio` is None when it could not be measured; `aim` None: for information."""

    what: str
    none: float | None = None
    ours: float | None = None
    peer: float | None = None
    ratio: float | None = None
    aim: float | None = None
    unit: str = ""
    remark: str = ""

    def verdict(self):
        if self.aim is None:
            return "-"
        if self.ratio is None:
            return "not measured"
        return "ok" if self.ratio <= self.aim else "MISSED"


COLUMNS = ("what", "no module", "ours", "C module", "ratio", "aim", "")


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def heading(text):
    print(f"\n{text}", flush=True)
    print("  " + cells(*COLUMNS), flush=True)


def cells(what, none, ours, peer, ratio, aim, verdict):
    return f"{what:<78} {none:>10} {ours:>10} {peer:>12} {ratio:>7} {aim:>7}  {verdict}".rstrip()


def show(line):
    ratio = "-" if line.ratio is None else f"{line.ratio:.3f}"
    aim = "-" if line.aim is None else f"{line.aim:g}"
    what = f"{line.what} [{line.unit}]" if line.unit else line.what
    print("  " + cells(what, number(line.none), number(line.ours), number(line.peer), ratio, aim,
                       line.verdict()), flush=True)
    if line.remark:
        print(f"      {line.remark}", flush=True)
    return line


def quotient(above, below):
    """Returns above/below, or None where that says nothing."""
    if above is None or below is None or below <= 0:
        return None
    return above / below
