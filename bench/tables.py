"""What all tables of the report are made with: numbers for people, columns, medians of the rounds."""

from statistics import median

MODE_WORDS = {"one": "one mail per connection", "kept": "kept connections"}


def number(value):
    """Three digits that matter."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    if value >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}"


def size_of(count):
    if count is None:
        return "–"
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if abs(count) >= unit:
            return f"{number(count / unit)} {name}"
    return f"{count:.0f} B"


class Results:
    """The rounds of a run, gathered."""

    def __init__(self, results):
        self.results = results

    def values(self, part, key, peer, **what):
        rows = self.results[part]
        found = [row[key] for row in rows if row["peer"] == peer and all(row[k] == v for k, v in what.items())]
        return [value for value in found if value is not None]

    def median(self, part, key, peer, **what):
        values = self.values(part, key, peer, **what)
        return median(values) if values else None

    def ratio(self, part, key, peer, other, **what):
        ours, theirs = self.median(part, key, peer, **what), self.median(part, key, other, **what)
        return ours / theirs if ours is not None and theirs else None


def spread(values):
    if not values:
        return "–"
    if len(values) == 1:
        return number(values[0])
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def times(value):
    return "–" if value is None else f"{number(value)}×"


def part_of(share):
    """A CPU share, from its inverse."""
    if share is None:
        return "–"
    return f"1/{number(share)}" if share >= 1 else times(1 / share)


def table(head, rows):
    """Columns; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "─" * max(map(len, lines)))
    return lines
