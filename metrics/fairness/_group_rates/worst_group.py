"""The worst group of each model, and the metric frame: counts and rates of both models for every group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate, Evidence, Group
from counterproof.metrics.fairness._group_rates.assessment import Ready, positive_class
from counterproof.metrics.fairness._group_rates.rates import (
    ACCURACY,
    FALSE_POSITIVE,
    PRECISION,
    SELECTION,
    SIDES,
    TRUE_POSITIVE,
    Rate,
    RateTable,
    Side,
    Stratum,
    strata,
)
from counterproof.metrics.metric import Value
from counterproof.metrics.shared.retraining import Change

FRAME = "Metric frame"
MEASURES: dict[str, Rate] = {
    "selection rate": SELECTION,
    "true positive rate": TRUE_POSITIVE,
    "false positive rate": FALSE_POSITIVE,
    "accuracy": ACCURACY,
    "precision": PRECISION,
}
MODELS = {"real": "real", "synthetic": "release"}


def minimax_values(ready: Ready, changes: list[Change]) -> Iterator[Value]:
    """By how much the release moves the worst rate of any group that is large enough, whichever that is."""
    by_group = {change.group: change for change in changes}
    for block in ready.blocks:
        here = [(i, by_group[group]) for i in range(len(block.cells)) if (group := block.group(i)) in by_group]
        large = [(i, change) for i, change in here if change.decidable]
        if large:
            groups = block.cells.first[[i for i, _ in large]]
            several = [change for _, change in large]
            estimate = minimax_change(block.table, groups, several, ready.bench.level)
            where: Group = ((block.stratum.name, None), *block.stratum.level, ("learner", block.learner))
            few = f"without {len(here) - len(large)} smaller groups" if len(large) < len(here) else ""
            yield Value(estimate=estimate, field="minimax", group=where, n=ready.sizes, better="higher", reason=few)


def minimax_change(table: RateTable, groups: NDArray[np.intp], several: Sequence[Change], level: float) -> Estimate:
    """The lowest rate of the candidate's model over these groups minus that of the real one.

    The true move lies between the changes of the groups that may be the worst: below that of the
    real model's worst group, above that of the candidate's. Each of the three statements has a third
    of the doubt: the changes of all groups, and which groups may be the worst of either model.

    Args:
        table: The rates of both models.
        groups: ``(g,)`` the groups to look at.
        several: Their changes.
        level: Confidence of the two-sided interval.
    """
    sure = (1 - (1 - level) / 3) ** (1 / len(groups))
    ends = {side: table.rates[side].take(groups).ends(sure) for side in SIDES}
    worst = {side: lows <= highs.min() for side, (lows, highs) in ends.items()}
    reach = [change.estimate(sure) for change in several]
    low = min(e.low for e, may in zip(reach, worst["synthetic"], strict=True) if may)
    high = max(e.high for e, may in zip(reach, worst["real"], strict=True) if may)
    value = float(table.rates["synthetic"].values[groups].min() - table.rates["real"].values[groups].min())
    method = f"changes of the groups that may be worst, Šidák over {len(groups)}"
    return Estimate(value=value, low=min(low, value), high=max(high, value), level=level, method=method)


# -- the metric frame ---------------------------------------------------------------------------


def metric_frame(ready: Ready, positive: str | None) -> Evidence:
    """Counts and rates of both models, for every group and crossing of groups.

    Groups of fewer than ``small_cell`` real rows, or of as few test rows, are listed without
    numbers; so are positives and negatives where either are so few.
    """
    asked = positive_class(ready.bench, positive)
    rows = [
        row
        for stratum in strata(ready.bench)
        for learner in ready.learners
        for row in _framed(ready, stratum, learner, asked)
    ]
    rates = [f"{name}, {model}" for name in MEASURES for model in MODELS.values()]
    return Evidence(
        title=FRAME,
        columns=("column", "group", "model", "trial rows", "positives", "negatives", *rates, "remark"),
        rows=tuple(rows),
        note="The models trained on real rows and on the release, of each learner, on the same real test rows.",
    )


def _framed(ready: Ready, stratum: Stratum, learner: str, positive: str) -> Iterator[tuple[object, ...]]:
    bench = ready.bench
    few = 0 if bench.show_real else bench.small_cell
    tables = {
        name: rate.tabulate(bench, learner, stratum, rate, positive)
        for name, rate in MEASURES.items()
        if positive or rate is ACCURACY
    }
    all_rows = tables["accuracy"].rows
    counts = np.zeros((2, len(stratum)), dtype=np.intp)
    if positive:
        counts = np.stack([tables["true positive rate"].rows, tables["false positive rate"].rows])
    disclosable = (all_rows >= max(few, 1)) & ~stratum.hidden
    split = disclosable & ((counts >= few) | (counts == 0)).all(0) & bool(positive)
    for g, name in enumerate(stratum.groups):
        numbers: list[object] = [int(all_rows[g]) if disclosable[g] else None]
        numbers += [int(count[g]) if split[g] else None for count in counts]
        for measure, rate in MEASURES.items():
            shown = disclosable[g] if rate.among in ("all", "predicted") else split[g]
            for side in SIDES:
                numbers.append(_rate(tables.get(measure), side, g, few if rate.among == "predicted" else 1, shown))
        yield (stratum.name, name, learner, *numbers, "" if disclosable[g] else "too few rows")


def _rate(table: RateTable | None, side: Side, g: int, least: int, shown: bool) -> float | None:
    if table is None or not shown:
        return None
    rates = table.rates[side]
    return float(rates.values[g]) if rates.rows[g] >= max(least, 1) else None
