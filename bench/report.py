"""What was measured, as tables for people, and the figures that Postern is to reach with ok or short beside each."""

from statistics import median

import report_tls
from tables import MODE_WORDS, Results, number, part_of, size_of, spread, table, times

BASE = "postfix-tuned"
CEILING = "no-relay"
FLOOR = "limit"
OURS = "postern"
BUSY = 0.2  # processors that others may use before the table says so

# to reach at 10 KB, by mode: CPU at most this share of Postfix tuned, at least that many times its rate and that
# share of the rate without a relay; at other sizes half of each will do
MAIN_SIZE = 10
CPU_SHARE = {"one": 1 / 15, "kept": 1 / 20}
RATE_TIMES = {"one": 6, "kept": 10}
RATE_SHARE = 0.6
LIMIT_TIMES = 1.25
OTHER_SIZES_EASE = 2
SYNCS = 0.1
LATENCY_SHARE = 0.5
HANDSHAKES_LOST = 0.05
ACCEPT_SHARE = 0.8
QUEUED_BYTES = 400
IDLE_BYTES = 16 * 1024
ACCEPT_SECONDS = 1.0
DELIVER_SECONDS = 5.0
FULL_BACKLOG = 1000000


def brief(part, values):
    """One line of progress."""
    if part in ("relay", "tls"):
        cpu = f", {number(values['cpu'])} CPU s/1000" if values["cpu"] is not None else ""
        return f"{number(values['rate'])}/s of {values['messages']}{cpu}"
    if part == "handshakes":
        return f"{number(values['rate'])}/s of {values['handshakes']}, {number(values['cpu'])} CPU s/1000"
    if part == "apart":
        return f"{100 * values['lost']:.1f} % fewer handshakes than with the key inside"
    if part == "details":
        return f"{number(values['syncs'])} syncs per message, {size_of(values['memory'])}"
    if part == "latency":
        return f"p50 {number(values['p50'])} ms, p99 {number(values['p99'])} ms"
    if part == "idle":
        return f"{size_of(values['per-session'])} per session"
    rates = values["accept-rates"]
    taken = f"{number(rates[0])}/s to {number(rates[-1])}/s with {values['messages']}"
    return f"{taken}, drained at {number(values['drain-rate'])}/s"


def relay_tables(data, kinds):
    rows = data.results["relay"]
    lines = []
    for size in sorted({row["size"] for row in rows}):
        for mode in [mode for mode in MODE_WORDS if any(row["mode"] == mode for row in rows)]:
            what = {"size": size, "mode": mode}
            lines += ["", f"{size} KB, {MODE_WORDS[mode]}"]
            head = ["", "messages/s", "× tuned", "of no relay", "CPU s/1000", "to tuned", "× limit", "tools' CPU"]
            body = []
            for kind in kinds:
                if not data.values("relay", "rate", kind.name, **what):
                    continue
                share = data.ratio("relay", "cpu", BASE, kind.name, **what)
                body.append([
                    kind.label,
                    spread(data.values("relay", "rate", kind.name, **what)),
                    times(data.ratio("relay", "rate", kind.name, BASE, **what)),
                    number(data.ratio("relay", "rate", kind.name, CEILING, **what)),
                    spread(data.values("relay", "cpu", kind.name, **what)),
                    part_of(share),
                    times(data.ratio("relay", "cpu", kind.name, FLOOR, **what)),
                    number(data.median("relay", "tools-cpu", kind.name, **what)),
                ])
            lines += table(head, body)
    return lines


def detail_tables(data, kinds):
    lines = []
    results = data.results
    if results["details"]:
        how = results["details"][0]["how"]
        lines += ["", f"{MAIN_SIZE} KB: syncs per message ({how}), peak of memory; one mail each, and kept"]
        head = ["", "syncs, one each", "memory, one each", "syncs, kept", "memory, kept"]
        body = []
        for kind in kinds:
            if not data.values("details", "syncs", kind.name):
                continue
            cells = [kind.label]
            for mode in MODE_WORDS:
                cells.append(number(data.median("details", "syncs", kind.name, mode=mode)))
                cells.append(size_of(data.median("details", "memory", kind.name, mode=mode)))
            body.append(cells)
        lines += table(head, body)
    if results["latency"]:
        lines += ["", "connect to arrival at 100 messages/s, 10 KB, one mail per connection, ms"]
        body = [
            [kind.label, *(spread(data.values("latency", key, kind.name)) for key in ("p50", "p99", "max"))]
            for kind in kinds if data.values("latency", "p50", kind.name)
        ]
        lines += table(["", "p50", "p99", "longest"], body)
    if results["idle"]:
        lines += ["", "memory (PSS) of idle sessions, after EHLO"]
        body = []
        for row in results["idle"]:
            label = next(kind.label for kind in kinds if kind.name == row["peer"])
            counts = "/".join(map(str, row["counts"]))
            grown = [size_of(row[key]) for key in ("first", "further", "per-session")]
            body.append([label, size_of(row["none"]), counts, *grown])
        lines += table(["", "no session", "sessions", "each of the first", "each further", "per session"], body)
    if results["backlog"]:
        lines += ["", "backlog, destination down, 1 KB, kept connections"]
        body = []
        for row in results["backlog"]:
            label = next(kind.label for kind in kinds if kind.name == row["peer"])
            rates = row["accept-rates"]
            body.append([
                label,
                f"{row['messages']:,}",
                *(number(rate) for rate in (rates[0], median(rates), rates[-1])),
                size_of(row["bytes-per-message"]),
                *(number(row[key]) for key in ("restart-clean", "restart-killed", "first-delivery")),
                number(row["drain-rate"]),
                str(row["doubled"]),
            ])
        head = ["", "messages", "taken/s, first tenth", "median", "last", "memory each", "restart s", "after kill s"]
        lines += table([*head, "first delivery s", "drained/s", "twice"], body)
        hurried = {row["peer"] for row in results["backlog"] if row["hurried"]}
        if hurried:
            told = ", ".join(kind.label for kind in kinds if kind.name in hurried)
            lines.append(f"told to try at once after the restart, since nothing came by itself: {told}")
    return lines


class Figures:
    """Figures to reach: what is wanted, what was measured, whether that will do."""

    def __init__(self, data):
        self.data = data
        self.rows = []
        self.notes = []

    def add(self, words, value, bound, at_most, show=number):
        if value is None:
            state = "not measured"
        else:
            state = "ok" if (value <= bound if at_most else value >= bound) else "SHORT"
        sign = "≤" if at_most else "≥"
        self.rows.append([words, f"{sign} {show(bound)}", show(value), state])

    def share(self, words, value, bound):
        """A CPU share, shown as 1/n."""
        self.add(words, value, bound, True, lambda share: part_of(share and 1 / share))

    def loads(self, size, mode, ease):
        what = {"size": size, "mode": mode}
        at = f"{size} KB, {'kept' if mode == 'kept' else 'one each'}: "

        def ratio(key, other):
            return self.data.ratio("relay", key, OURS, other, **what)

        self.share(at + "CPU to Postfix tuned", ratio("cpu", BASE), CPU_SHARE[mode] * ease)
        self.add(at + "rate to Postfix tuned", ratio("rate", BASE), RATE_TIMES[mode] / ease, False, times)
        self.add(at + "rate to no relay", ratio("rate", CEILING), RATE_SHARE / ease, False)
        if ease == 1:
            self.add(at + "CPU to limit.c (aim)", ratio("cpu", FLOOR), LIMIT_TIMES, True, times)
            self.add(at + "syncs per message", self.data.median("details", "syncs", OURS, mode=mode), SYNCS, True)

    def keys_apart(self):
        for link in sorted({row["link"] for row in self.data.results["apart"]}):
            lost = self.data.median("apart", "lost", "key-apart", link=link, kind="full")
            words = f"handshakes lost to keys apart, {report_tls.CERTIFICATES[link]}"
            self.add(words, lost, HANDSHAKES_LOST, True, lambda share: f"{100 * share:.1f} %" if share is not None else "–")

    def latency(self):
        for key in ("p50", "p99"):
            value = self.data.ratio("latency", key, OURS, BASE)
            self.add(f"latency {key} to Postfix tuned", value, LATENCY_SHARE, True)

    def idle(self):
        data = self.data
        idle = [row for row in data.results["idle"] if row["peer"] == OURS]
        worst = max((max(row["first"], row["further"]) for row in idle), default=None)
        self.add("memory per idle connection", worst, IDLE_BYTES, True, size_of)

    def backlog(self):
        rows = [row for row in self.data.results["backlog"] if row["peer"] == OURS]
        values = dict.fromkeys(("accept", "memory", "greets", "delivers"))
        count = FULL_BACKLOG
        if rows:
            row, count = rows[0], rows[0]["messages"]
            values["accept"] = row["accept-rates"][-1] / row["accept-rates"][0]
            values["memory"] = row["bytes-per-message"]
            values["greets"] = max(row["restart-clean"], row["restart-killed"])
            values["delivers"] = row["first-delivery"]
        at = f"{count:,} queued: "
        self.add(at + "accept rate to an empty queue's", values["accept"], ACCEPT_SHARE, False)
        self.add(at + "memory per message", values["memory"], QUEUED_BYTES, True, size_of)
        self.add(at + "restart until it accepts, s", values["greets"], ACCEPT_SECONDS, True)
        self.add(at + "restart until it delivers, s", values["delivers"], DELIVER_SECONDS, True)
        if rows and row["hurried"]:
            self.rows[-1][-1] = "SHORT (only when told)"
        if count < FULL_BACKLOG:
            self.notes.append(
                f"the queue's figures are meant for {FULL_BACKLOG:,} messages: "
                f"make bench ARGS='--only postern --parts backlog --backlog {FULL_BACKLOG}'"
            )

    def relay(self):
        measured = {row["size"] for row in self.data.results["relay"]} or {MAIN_SIZE}
        for size in sorted(measured, key=lambda kb: (kb != MAIN_SIZE, kb)):
            for mode in MODE_WORDS:
                self.loads(size, mode, 1 if size == MAIN_SIZE else OTHER_SIZES_EASE)

    def lines(self):
        parts = {"relay": self.relay, "handshakes": self.keys_apart, "latency": self.latency, "idle": self.idle,
                 "backlog": self.backlog}
        for part, add in parts.items():
            if part in self.data.results["parts"]:
                add()
        if not self.rows:
            return []
        ends = [row.pop() for row in self.rows]
        rows = table(["", "wanted", "measured"], self.rows)
        return ["", "Postern: the figures to reach", *rows[:2], *map("  ".join, zip(rows[2:], ends)), *self.notes]


def check_lines(data):
    """The self-check, and what disturbed the run."""
    results = data.results
    loads = results["relay"] + results["tls"] + results["details"] + results["latency"] + results["backlog"]
    lines = [""]
    if loads:
        sent = sum(row["messages"] for row in loads)
        doubled = sum(row["doubled"] for row in results["backlog"])
        lines.append(f"self-check: {sent:,} messages in {len(loads)} loads that count, each arrived")
        lines[-1] += " once" if not doubled else f"; {doubled} twice, after the kill"
    shaken = sum(row["handshakes"] for row in results["handshakes"])
    if shaken:
        lines.append(f"self-check: {shaken:,} handshakes, each full or resumed as it should be")
    lines.append(f"measurements that failed: {len(results['failures']) or 'none'}")
    for failure in results["failures"]:
        where = " ".join(str(failure[key]) for key in ("part", "peer", "link", "kind", "size", "mode") if key in failure)
        lines.append(f"  FAILED {where}: {failure['why']}")
    for name, why in results["absent"].items():
        lines.append(f"  not measured: {name}: {why}")
    foreign = [row["foreign"] for part in ("relay", "tls", "handshakes") for row in results[part]]
    if foreign and median(foreign) > BUSY:
        lines.append(
            f"  the machine was busy with other work: {number(median(foreign))} processors, at most "
            f"{number(max(foreign))}; rates and latencies suffer from it most, CPU per message less"
        )
    return lines


def text(results, kinds, loops):
    data = Results(results)
    machine = results["machine"]
    lines = [
        f"{machine['cores']} processors, Linux {machine['kernel']}, spools on {machine['filesystem']}, "
        f"load {machine['load-before']:.1f} before; {results['rounds']} rounds, medians (least–most); "
        f"{results['minutes']:.0f} minutes",
        *relay_tables(data, kinds),
        *report_tls.relay_tables(data, kinds),
        *report_tls.handshake_tables(data, (*loops, *kinds)),
        *detail_tables(data, kinds),
    ]
    parts = ("relay", "tls", "handshakes", "details", "latency", "idle", "backlog")
    seen = {row["peer"] for part in parts for row in results[part]}
    lines += ["", *(f"{kind.label}: {kind.note}" for kind in (*kinds, *loops) if kind.name in seen)]
    if OURS in seen or results["apart"]:
        lines += Figures(data).lines()
    return "\n".join(lines + check_lines(data))
