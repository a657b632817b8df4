"""What each group loses against real rows of its own, in the quantity that groups are compared in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from counterproof.metrics.cell_likeness import FIELDS, Likeness, likeness
from counterproof.metrics.group_cells import Plan
from counterproof.metrics.group_spread import Losses
from counterproof.metrics.sample import Floats
from counterproof.metrics.workbench import Workbench

By = Literal["kernel_distance", "precision", "recall", "density", "coverage"]
NULLS = 10  # re-splits; the floors of the engine are of the same


def losses_of(bench: Workbench, plan: Plan, found: Sequence[Likeness], k: int, by: By) -> Losses:
    """The losses of some cells, each against what real rows of its own reach.

    The kernel distance of real rows is 0 and their density 1; their coverage is known at any n. What
    precision and recall they reach depends on the distribution, and is taken from re-splits. Rows that
    crowd around modes are denser than real rows: that is no gain, so such a group loses nothing.
    """
    at = FIELDS.index(by)
    values, errors = (np.array([pair[at] for pair in pairs]) for pairs in _pairs(found))
    if by != "kernel_distance":
        null, spread = _null(bench, plan, found, k, by)
        values, errors = null - values, np.hypot(errors, 0.0 if bench.is_null else spread)
    if by == "density":
        values = np.maximum(values, 0.0)
    return Losses(
        names=[str(one.cell) for one in found],
        values=values,
        errors=errors,
        sizes=np.array([one.cell.real for one in found], dtype=np.float64),
    )


def _pairs(found: Sequence[Likeness]) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    return [one.values for one in found], [one.errors for one in found]


def _null(bench: Workbench, plan: Plan, found: Sequence[Likeness], k: int, by: By) -> tuple[Floats, Floats]:
    """What real rows reach in each cell, and the error of that."""
    if by == "density":
        return np.ones(len(found)), np.zeros(len(found))
    if by == "coverage":
        reached = [coverage_of_real_rows(plan.equal[one.cell.column], k) for one in found]
        return np.array(reached), np.zeros(len(found))
    return _resplit(bench, plan, found, k, FIELDS.index(by))


def _resplit(bench: Workbench, plan: Plan, found: Sequence[Likeness], k: int, at: int) -> tuple[Floats, Floats]:
    null, spread = np.zeros(len(found)), np.zeros(len(found))
    for place, one in enumerate(found):
        views = (likeness(bench.resplit(draw), plan, one.cell, k) for draw in range(NULLS))
        drawn = [view.values[at] for view in views if view is not None]
        null[place] = np.mean(drawn) if drawn else one.values[at]
        spread[place] = np.std(drawn, ddof=1) / np.sqrt(len(drawn)) if len(drawn) > 1 else 0.0
    return null, spread


def coverage_of_real_rows(n: int, k: int) -> float:
    """Expected coverage of ``n`` real rows by ``n`` others, whatever their distribution (without ties).

    >>> round(coverage_of_real_rows(1000, 5), 5)
    0.96898
    """
    return 1 - float(np.prod([(n - j) / (2 * n - j) for j in range(1, k + 1)]))
