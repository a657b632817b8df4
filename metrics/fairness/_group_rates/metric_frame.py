"""The metric frame: counts and rates of two models of every learner, for every group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from counterproof.metrics.estimate import Evidence
from counterproof.metrics.fairness._group_rates.assessment import Inquiry, positive_class
from counterproof.metrics.fairness._group_rates.confusion_counts import (
    ACCURACY,
    FALSE_POSITIVE,
    PRECISION,
    SELECTION,
    TRUE_POSITIVE,
    Decisions,
    Rate,
    decided,
)
from counterproof.metrics.fairness._group_rates.rates import SIDES, Side
from counterproof.metrics.fairness._group_rates.strata import Stratum, strata

FRAME = "Metric frame"
MEASURES: dict[str, Rate] = {
    "selection rate": SELECTION,
    "true positive rate": TRUE_POSITIVE,
    "false positive rate": FALSE_POSITIVE,
    "accuracy": ACCURACY,
    "precision": PRECISION,
}
MODELS = {"real": "real", "synthetic": "release"}


def metric_frame(inquiry: Inquiry, positive: str | None) -> Evidence:
    """Counts and rates of both models, for every group and crossing of groups.

    Groups of fewer than ``small_cell`` real rows, or of as few trial rows, are listed without
    numbers; so are positives and negatives where either are so few.
    """
    asked = positive_class(inquiry.bench, positive)
    rows = [
        row
        for stratum in strata(inquiry.bench)
        for learner in inquiry.learners
        for row in _framed(inquiry, stratum, learner, asked)
    ]
    rates = [f"{name}, {model}" for name in MEASURES for model in MODELS.values()]
    return Evidence(
        title=FRAME,
        columns=("column", "group", "model", "trial rows", "positives", "negatives", *rates, "remark"),
        rows=tuple(rows),
        note="The models trained on real rows and on the release, of each learner, on the same real test rows.",
    )


def _framed(inquiry: Inquiry, stratum: Stratum, learner: str, positive: str) -> Iterator[tuple[object, ...]]:
    bench = inquiry.bench
    few = 0 if bench.show_real else bench.small_cell
    tables = {
        name: decided(bench, learner, stratum, rate, positive)
        for name, rate in MEASURES.items()
        if positive or rate is ACCURACY
    }
    all_rows = tables["accuracy"].rows
    counts = np.zeros((2, len(stratum)), dtype=np.intp)
    if positive:
        counts = np.stack([tables["true positive rate"].rows, tables["false positive rate"].rows])
    told = (all_rows >= max(few, 1)) & ~stratum.hidden
    split = told & ((counts >= few) | (counts == 0)).all(0) & bool(positive)
    for g, name in enumerate(stratum.groups):
        numbers: list[object] = [int(all_rows[g]) if told[g] else None]
        numbers += [int(count[g]) if split[g] else None for count in counts]
        for measure, rate in MEASURES.items():
            shown = told[g] if rate.among in ("all", "predicted") else split[g]
            for side in SIDES:
                numbers.append(_rate(tables.get(measure), side, g, few if rate.among == "predicted" else 1, shown))
        yield (stratum.name, name, learner, *numbers, "" if told[g] else "too few to say")


def _rate(table: Decisions | None, side: Side, g: int, least: int, shown: bool) -> float | None:
    if table is None or not shown:
        return None
    rates = table.rates(side)
    return float(rates.values[g]) if rates.rows[g] >= max(least, 1) else None
