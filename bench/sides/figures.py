"""Figures of two sides: collected as they are measured, shown as a table, as JSON and as markdown."""

import json
import statistics


def median(values):
    return statistics.median(values) if values else None


def show(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Figure:
    """One line of the table. `runs` holds every run's value of each side; the figure is their median.

    `limit` is what our value must keep: ("≤", 8) or ("≥", 0.9); `than_etcd` is "higher" or "lower" where only the order counts.
    """

    def __init__(self, key, title, unit, limit=None, than_etcd=None):
        self.key, self.title, self.unit, self.limit, self.than_etcd = key, title, unit, limit, than_etcd
        self.runs = {"etcdpp": [], "etcd": []}

    def add(self, side, value):
        if value is not None:
            self.runs[side].append(value)

    def value(self, side):
        return median(self.runs[side])

    def ratio(self):
        ours, theirs = self.value("etcdpp"), self.value("etcd")
        return ours / theirs if ours is not None and theirs else None

    def kept(self):
        """True, False, or None where nothing is asked or nothing was measured."""
        ours, theirs = self.value("etcdpp"), self.value("etcd")
        verdicts = []
        if self.limit and ours is not None:
            verdicts.append(ours <= self.limit[1] if self.limit[0] == "≤" else ours >= self.limit[1])
        if self.than_etcd and ours is not None and theirs is not None:
            verdicts.append(ours > theirs if self.than_etcd == "higher" else ours < theirs)
        return all(verdicts) if verdicts else None

    def asked(self):
        parts = []
        if self.limit:
            parts.append(f"{self.limit[0]} {self.limit[1]:g}")
        if self.than_etcd:
            parts.append(f"{self.than_etcd} than etcd")
        return ", ".join(parts)

    def cells(self):
        verdict = {True: "kept", False: "MISSED", None: ""}[self.kept()]
        ratio = self.ratio()
        return [self.title, self.unit, show(self.value("etcdpp")), show(self.value("etcd")), "-" if ratio is None else f"{ratio:.2f}",
                self.asked(), verdict]


class Report:
    HEAD = ["figure", "unit", "etcdpp", "etcd", "ratio", "asked", ""]

    def __init__(self):
        self.figures = {}
        self.facts = {}

    def figure(self, key, title, unit, **asked):
        return self.figures.setdefault(key, Figure(key, title, unit, **asked))

    def rows(self):
        return [f.cells() for f in self.figures.values() if f.runs["etcdpp"] or f.runs["etcd"]]

    def table(self):
        rows = [self.HEAD] + self.rows()
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.HEAD))]
        def line(row):
            return "  ".join(c.ljust(w) if i in (0, 1, 5, 6) else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        return "\n".join([line(rows[0]), "-" * (sum(widths) + 2 * len(widths)), *map(line, rows[1:])])

    def markdown(self):
        lines = ["| " + " | ".join(self.HEAD[:-1] + ["verdict"]) + " |", "|---|---|--:|--:|--:|---|---|"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in self.rows()])

    def json(self):
        return json.dumps({"facts": self.facts, "figures": {
            f.key: {"title": f.title, "unit": f.unit, "etcdpp": f.value("etcdpp"), "etcd": f.value("etcd"), "ratio": f.ratio(),
                    "asked": f.asked(), "kept": f.kept(), "runs": f.runs} for f in self.figures.values()}}, indent=1)

    def missed(self):
        return [f for f in self.figures.values() if f.kept() is False]
