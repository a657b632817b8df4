"""What these numbers of rows cannot decide, told from counts before any work is done."""

from __future__ import annotations

from collections.abc import Sequence

from counterproof.measuring.measure import what_is_missing
from counterproof.metrics.metric import Metric
from counterproof.metrics.workbench import Workbench


def preflight(metrics: Sequence[Metric], bench: Workbench) -> str:
    """One line that names the gates that cannot be decided here, and what would settle them; empty where all can.

    A metric tells by its ``preflight``, from counts of real rows alone. It is a forecast: how well the
    labels can be learned, say, shows only in the work itself.
    """
    told = [
        (metric.title, why)
        for metric in metrics
        if metric.preflight is not None
        and any(tolerance.level == "fail" for tolerance in metric.tolerances)
        and what_is_missing(metric, bench) is None
        and (why := metric.preflight(bench))
    ]
    if not told:
        return ""
    by_reason: dict[str, list[str]] = {}
    for title, why in told:
        by_reason.setdefault(why, []).append(title)
    named = "; ".join(f"{', '.join(titles)} ({why})" for why, titles in by_reason.items())
    rows = min(len(bench.reference), len(bench.learning))
    advice = "give a test set, fewer groups, or more rows" if bench.corpus.groups else "give a test set or more rows"
    return f"with {rows} rows a role these gates cannot be decided: {named}; {advice}"
