"""The tables of TLS: relaying under it, and handshakes."""

from statistics import median

from tables import MODE_WORDS, number, part_of, spread, table, times

BASE = "postfix-tuned"
CEILING = "no-relay"
PLAIN = "openssl"
INSIDE, APART = "key-inside", "key-apart"
CERTIFICATES = {"ecdsa": "ECDSA P-256", "rsa": "RSA 2048"}
KIND_WORDS = {"full": "full handshakes", "resumed": "resumed handshakes"}


def spoken(rows, *keys):
    """What was spoken, from the rows; more than one thing would make them incomparable, so all are told."""
    return "; ".join(sorted({row[key] for row in rows for key in keys if row.get(key)}))


def relay_table(data, kinds, size, mode, link):
    what = {"size": size, "mode": mode, "link": link}
    head = ["", "messages/s", "× tuned", "of no relay", "× no TLS", "CPU s/1000", "to tuned", "× no TLS", "tools' CPU"]
    head += ["handshakes in", "resumed", "out", "resumed"]
    body = []
    for kind in kinds:
        for secured in ({**what}, {**what, "link": "none"}):
            if not data.values("tls", "rate", kind.name, **secured):
                continue

            def to(key, other, own=kind.name, secured=secured, theirs=None):
                ours = data.median("tls", key, own, **secured)
                base = data.median("tls", key, other, **(theirs or what))
                return ours / base if ours is not None and base else None

            clear = {**what, "link": "none"}
            bare = secured["link"] == "none"
            row = [kind.label + (", no TLS" if bare else "")]
            row += [
                spread(data.values("tls", "rate", kind.name, **secured)),
                times(to("rate", BASE)),
                number(to("rate", CEILING)),
                "–" if bare else times(to("rate", kind.name, theirs=clear)),
                spread(data.values("tls", "cpu", kind.name, **secured)),
                part_of(1 / to("cpu", BASE) if to("cpu", BASE) else None),
                "–" if bare else times(to("cpu", kind.name, theirs=clear)),
                number(data.median("tls", "tools-cpu", kind.name, **secured)),
            ]
            for side in ("in", "out"):
                per = data.values("tls", f"{side}-handshakes", kind.name, **secured) if not bare else []
                again = data.values("tls", f"{side}-resumed", kind.name, **secured) if not bare else []
                row += [f"{median(per):.2f}" if per else "–", f"{100 * median(again):.0f} %" if again else "–"]
            body.append(row)
    return table(head, body)


def relay_tables(data, kinds):
    rows = data.results["tls"]
    lines = []
    for link in [link for link in CERTIFICATES if any(row["link"] == link for row in rows)]:
        secured = [row for row in rows if row["link"] == link]
        lines += ["", f"TLS both ways, {CERTIFICATES[link]}: {spoken(secured, 'spoken')}"]
        for size in sorted({row["size"] for row in secured}):
            for mode in [mode for mode in MODE_WORDS if any(row["mode"] == mode for row in secured)]:
                lines += ["", f"TLS, {CERTIFICATES[link]}, {size} KB, {MODE_WORDS[mode]}"]
                lines += relay_table(data, kinds, size, mode, link)
    if lines:
        lines.append("handshakes in and out: per message; × no TLS: to Postern without it, by the same tools, in this run")
    return lines


def handshake_table(data, kinds, what):
    head = ["", "handshakes/s", "of plain", "× tuned", "CPU s/1000", "× plain", "to tuned", "tools' CPU"]
    body = []
    for kind in kinds:
        if not data.values("handshakes", "rate", kind.name, **what):
            continue
        share = data.ratio("handshakes", "cpu", BASE, kind.name, **what)
        body.append([
            kind.label,
            spread(data.values("handshakes", "rate", kind.name, **what)),
            number(data.ratio("handshakes", "rate", kind.name, PLAIN, **what)),
            times(data.ratio("handshakes", "rate", kind.name, BASE, **what)),
            spread(data.values("handshakes", "cpu", kind.name, **what)),
            times(data.ratio("handshakes", "cpu", kind.name, PLAIN, **what)),
            part_of(share),
            number(data.median("handshakes", "tools-cpu", kind.name, **what)),
        ])
    return table(head, body)


def percent(values):
    if not values:
        return "–"
    words = [f"{100 * value:.1f}" for value in (median(values), min(values), max(values))]
    return f"{words[0]} %" if len(values) == 1 else f"{words[0]} % ({words[1]}–{words[2]})"


def apart_table(data):
    rows = data.results["apart"]
    body = []
    for link in CERTIFICATES:
        for kind, kind_words in KIND_WORDS.items():
            what = {"link": link, "kind": kind}
            lost = [data.values("apart", key, APART, **what) for key in ("lost", "lost-rate", "more-cpu")]
            if not lost[0]:
                continue
            cpu = [data.median("handshakes", *of, **what) for of in (
                ("worker", INSIDE), ("worker", APART), ("other-cpu", APART))]
            body.append([
                f"{CERTIFICATES[link]}, {kind_words}",
                *(percent(values) for values in lost),
                *(number(value) for value in cpu),
                number(1000 / cpu[2]) if cpu[2] and kind == "full" else "–",
            ])
    if not rows:
        return []
    head = ["what keys apart cost", "handshakes lost", "rate lost", "more CPU", "CPU s/1000: inside", "apart", "keys",
            "keys at most/s"]
    return [
        "",
        *table(head, body),
        "handshakes lost is by the worker's CPU, which bounds its handshakes, as it never waits; rate lost by what the clients on",
        "the same machine got; keys at most: signatures that role keys has CPU for, for all workers",
    ]


def handshake_tables(data, kinds):
    rows = data.results["handshakes"]
    lines = []
    for link in [link for link in CERTIFICATES if any(row["link"] == link for row in rows)]:
        for kind, kind_words in KIND_WORDS.items():
            what = {"link": link, "kind": kind}
            found = [row for row in rows if row["link"] == link and row["kind"] == kind]
            if found:
                lines += ["", f"{kind_words}, {CERTIFICATES[link]}: {spoken(found, 'spoken')}"]
                lines += handshake_table(data, kinds, what)
    if lines:
        lines.append("Postern and Postfix hear QUIT and answer it, too; connections to the loops end with the greeting")
    return lines + apart_table(data)
