"""A campaign's report: text for a terminal, and one page with plots."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.soak.campaign import Outcome
from tests.soak.truth import Verdict

_WIDTH, _HEIGHT = 760, 160


def text(outcome: Outcome) -> str:
    """Return the figures as lines."""
    return "\n".join(f"{name:<46}{value}" if value else f"\n{name}" for name, value in _rows(outcome))


def page(outcome: Outcome) -> str:
    """Return a page that needs nothing from elsewhere."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        if value
        else f"<tr><th colspan=2><h2>{escape(name)}</h2></th></tr>"
        for name, value in _rows(outcome)
    )
    memory = [(at, kb / 1024) for at, kb in outcome.memory_kb]
    rate = [
        (b[0], (b[1] - a[1]) / max(b[0] - a[0], 1e-6))
        for a, b in zip(outcome.received, outcome.received[1:], strict=False)
    ]
    marks = [at for at, _ in outcome.fault_times]
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Campaign of faults</title>
<style>body{{font:14px system-ui;margin:24px auto;max-width:800px;color:#10151c}}
th{{text-align:left;font-weight:400;padding-right:24px}}td{{font-variant-numeric:tabular-nums}}
h2{{font-size:16px;margin:16px 0 4px}}svg{{width:100%}}</style>
<h1>{"Every promise was kept" if outcome.is_clean else "A promise was broken"}</h1>
<h2>Memory of the app, MB</h2>{_plot(memory, marks)}
<h2>Trades and gaps received by all clients, a second</h2>{_plot(rate, marks)}
<p>Grey marks are faults.</p><table>{rows}</table></html>"""


def _rows(outcome: Outcome) -> list[tuple[str, str]]:
    total, exchange = outcome.total, outcome.exchange
    rows = [
        ("Campaign", ""),
        ("exchange", outcome.plan.exchange),
        ("seed, seconds, clients", f"{outcome.plan.seed}, {outcome.plan.seconds:g}, {outcome.plan.clients}"),
        ("faults", str(sum(outcome.injected.values()))),
        *((f"  {kind}", str(count)) for kind, count in sorted(outcome.injected.items())),
        ("Exchange", ""),
        (
            "trades",
            ", ".join(f"{name} {count}" for name, count in sorted(exchange.trades.items())),
        ),
        ("connections accepted, refused", f"{exchange.accepted}, {exchange.refused}"),
        ("limits broken", str(dict(exchange.violations) or "none")),
        ("Clients", ""),
    ]
    for reader in outcome.readers:
        name = f"{reader.name} ({reader.connections} connections)"
        rows.append((name, _one(outcome.verdicts[reader.name], reader.longest_silence_seconds)))
    rows += [
        ("All clients", ""),
        ("received", str(total.received)),
        ("lost without declaration", str(total.lost)),
        ("repeated", str(total.repeated)),
        ("out of order", str(total.disordered)),
        ("altered", str(total.altered)),
        ("declared as missing at the exchange, wrongly", str(total.falsely_declared)),
        ("declared though REST could serve it", str(total.avoidable)),
        ("declared, by cause", str(dict(total.declared) or "none")),
        ("backfilled", str(total.backfilled)),
        ("numberings begun anew", str(total.renumbered)),
        *_channel_rows(outcome),
        ("App", ""),
        *(
            (name, f"{value:g}")
            for name, value in sorted(outcome.metrics.items())
            if name.startswith("livemarkets_")
        ),
        ("memory after warm-up, at the end", f"{_memory(outcome)} ({outcome.memory_growth:.1%})"),
        ("not settled", "; ".join(outcome.unsettled[:20]) or "nobody"),
        ("left at the exchange when all have gone", ", ".join(outcome.left_upstream) or "nothing"),
        ("verdict", "every promise was kept" if outcome.is_clean else "A PROMISE WAS BROKEN"),
    ]
    rows += [("  example", example) for example in (*total.examples, *outcome.candle_total.examples)]
    return rows


def _channel_rows(outcome: Outcome) -> list[tuple[str, str]]:
    if not outcome.channel_readers:
        return []
    total = outcome.candle_total
    rows = [("Other channels", "")]
    for reader in outcome.channel_readers:
        counts = reader.counts
        updates = sum(counts[kind] for kind in ("book", "ticker", "tickers", "depth"))
        rows.append(
            (
                f"{reader.name} ({counts['connections']} connections)",
                f"updates {updates}, left out {counts['skipped']}, candles {counts['candle']}, "
                f"lagged {counts['lagged']}, gaps {counts['gap']}",
            )
        )
    return [
        *rows,
        ("candles closed, running, revised", f"{total.closed}, {total.running}, {total.revised}"),
        *((f"candles {name}", str(count)) for name, count in total.faults().items()),
    ]


def _one(verdict: Verdict, silence_seconds: float) -> str:
    return (
        f"received {verdict.received}, lost {verdict.lost}, repeated {verdict.repeated}, "
        f"out of order {verdict.disordered}, altered {verdict.altered}, declared {dict(verdict.declared)}, "
        f"backfilled {verdict.backfilled}, longest silence {silence_seconds:.1f} s"
    )


def _memory(outcome: Outcome) -> str:
    samples = [kb for _, kb in outcome.memory_kb]
    return f"{samples[: max(1, len(samples) // 5)][-1] / 1024:.1f} MB, {samples[-1] / 1024:.1f} MB"


def _plot(points: Sequence[tuple[float, float]], marks: Sequence[float]) -> str:
    if len(points) < 2:
        return ""
    width = max(at for at, _ in points) or 1.0
    height = max(value for _, value in points) or 1.0
    line = " ".join(
        f"{at / width * _WIDTH:.1f},{_HEIGHT - value / height * (_HEIGHT - 16):.1f}" for at, value in points
    )
    ticks = "".join(f'<path d="M{at / width * _WIDTH:.1f} {_HEIGHT}v-6" stroke="#94a0b0"/>' for at in marks)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}">{ticks}'
        f'<polyline points="{line}" fill="none" stroke="#1f66d1"/>'
        f'<text x="2" y="12" font-size="12">{height:,.1f}</text></svg>'
    )
