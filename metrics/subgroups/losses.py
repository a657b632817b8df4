"""Differences between groups: the worst group, the gap, the slope against group size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from counterproof.metrics.estimate import Estimate, normal_quantile
from counterproof.metrics.sample import Floats
from counterproof.metrics.subgroups.plan import Cell, ComparisonPlan
from counterproof.metrics.subgroups.scores import FIELDS, GroupScores, group_scores, kernel_error_of_real_rows
from counterproof.metrics.workbench import Workbench

By = Literal["kernel_distance", "precision", "recall", "density", "coverage"]
NULLS = 10  # re-splits; the floors of the engine are of the same


def losses_of(bench: Workbench, plan: ComparisonPlan, found: Sequence[GroupScores], k: int, by: By) -> Losses:
    """The losses of some cells, each against what its own real rows reach.

    The kernel distance of real rows is 0 and their density 1; their coverage is known at any n. What
    precision and recall they reach depends on the distribution, and is taken from re-splits. Rows that
    concentrate around modes are denser than real rows: that is no gain, so the loss is then 0.
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


@dataclass(frozen=True, eq=False, kw_only=True)
class RealGaps:
    """How far the groups of one column seem apart where all rows are real, on re-splits.

    Attributes:
        gaps: ``(draws,)`` largest less smallest loss.
        errors: ``(g,)`` standard error that the loss of each group has at these rows.
    """

    gaps: Floats
    errors: Floats

    @property
    def mean(self) -> float:
        """What real data reach: above 0, for one group has the luck to be worst."""
        return float(self.gaps.mean())

    @property
    def luck(self) -> float:
        """Standard deviation of a further gap about this mean."""
        return float(self.gaps.std(ddof=1)) * math.sqrt(1 + 1 / len(self.gaps))

    @property
    def error(self) -> float:
        """Standard error of the gap of a faithful release."""
        return max(float(np.hypot(*np.sort(self.errors)[-2:])), self.luck)


def real_gaps(bench: Workbench, plan: ComparisonPlan, cells: Sequence[Cell], k: int, by: By) -> RealGaps | None:
    """The gaps between the same groups where real rows are held against real rows; None of too few re-splits."""
    at = FIELDS.index(by)
    gaps: list[float] = []
    drawn: list[list[float]] = []
    for view in map(bench.resplit, range(NULLS)):
        found = [one for cell in cells if (one := group_scores(view, plan, cell, k)) is not None]
        if len(found) == len(cells):
            gaps.append(float(np.ptp(losses_of(view, plan, found, k, by).values)))
            drawn.append([one.values[at] for one in found])
    if len(gaps) < 2:
        return None
    errors = np.std(drawn, axis=0, ddof=1)
    if by == "kernel_distance":
        errors = np.maximum(errors, [kernel_error_of_real_rows(bench, plan, cell) for cell in cells])
    return RealGaps(gaps=np.array(gaps), errors=errors)


def gap_beyond(losses: Losses, real: RealGaps, *, level: float) -> Estimate:
    """By how much the gap of a release exceeds that of real rows.

    The mean gap of real rows takes off the luck that one of equal groups has to be worst, so that the
    interval needs no correction for having chosen the pair: that between worst and best group alone counts.
    """
    pair = float(np.hypot(losses.errors[losses.worst], losses.errors[losses.best]))
    value = float(np.ptp(losses.values)) - real.mean
    method = f"normal, against {len(real.gaps)} re-splits"
    return Estimate.normal(value, max(pair, real.luck), level=level, method=method)


def _pairs(found: Sequence[GroupScores]) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    return [one.values for one in found], [one.errors for one in found]


def _null(
    bench: Workbench, plan: ComparisonPlan, found: Sequence[GroupScores], k: int, by: By
) -> tuple[Floats, Floats]:
    """What real rows reach in each cell, and the error of that."""
    if by == "density":
        return np.ones(len(found)), np.zeros(len(found))
    if by == "coverage":
        reached = [coverage_of_real_rows(plan.equal[one.cell.column], k) for one in found]
        return np.array(reached), np.zeros(len(found))
    return _resplit(bench, plan, found, k, FIELDS.index(by))


def _resplit(
    bench: Workbench, plan: ComparisonPlan, found: Sequence[GroupScores], k: int, at: int
) -> tuple[Floats, Floats]:
    null, spread = np.zeros(len(found)), np.zeros(len(found))
    for place, one in enumerate(found):
        views = (group_scores(bench.resplit(draw), plan, one.cell, k) for draw in range(NULLS))
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Losses:
    """Independent estimates of a loss, one for each group of a column.

    Attributes:
        names: Of the groups.
        values: Estimates; larger is worse.
        errors: Their standard errors.
        sizes: Rows of each group, for the slope.
    """

    names: Sequence[str]
    values: Floats
    errors: Floats
    sizes: Floats

    @property
    def worst(self) -> int:
        """Position of the group that is worst off."""
        return int(self.values.argmax())

    @property
    def best(self) -> int:
        """Position of the group that is best off."""
        return int(self.values.argmin())


def worst_loss(losses: Losses, *, level: float, comparisons: int) -> Estimate:
    """The largest loss, simultaneous over all groups: its lower end allows for picking the worst.

    The largest true loss lies between the largest lower and the largest upper end of intervals at
    the Šidák level of all groups.

    Args:
        losses: Of the groups.
        level: Confidence.
        comparisons: How many groups are looked at in all.

    >>> three = Losses(names="abc", values=np.array([0.1, 0.5, 0.2]), errors=np.full(3, 0.01), sizes=np.ones(3))
    >>> round(worst_loss(three, level=0.95, comparisons=3).low, 3)
    0.476
    """
    reach = _quantile(level, comparisons) * losses.errors
    return Estimate(
        value=float(losses.values.max()),
        low=float((losses.values - reach).max()),
        high=float((losses.values + reach).max()),
        level=level,
        method=f"normal, Šidák over {comparisons} groups",
    )


def loss_gap(losses: Losses, *, level: float, comparisons: int) -> Estimate:
    """Largest less smallest loss, simultaneous over all pairs; its lower end is never below 0.

    Args:
        losses: Of two groups or more.
        level: Confidence.
        comparisons: How many pairs are looked at in all.
    """
    difference = losses.values[:, None] - losses.values[None, :]
    reach = _quantile(level, comparisons) * np.hypot(losses.errors[:, None], losses.errors[None, :])
    np.fill_diagonal(reach, 0.0)
    return Estimate(
        value=float(difference.max()),
        low=float((difference - reach).max()),  # 0 on the diagonal
        high=float((difference + reach).max()),
        level=level,
        method=f"normal, Šidák over {comparisons} pairs",
    )


def size_slope(losses: Losses, *, level: float) -> Estimate | None:
    """Loss for a tenfold larger group, by least squares weighted with the sizes; None where all are of one size.

    >>> two = Losses(names="ab", values=np.array([0.3, 0.1]), errors=np.full(2, 0.01), sizes=np.array([10.0, 100.0]))
    >>> round(size_slope(two, level=0.95).value, 6)
    -0.2
    """
    if losses.sizes.max() < 1.5 * losses.sizes.min():
        return None
    decades, weights = np.log10(losses.sizes), losses.sizes / losses.sizes.sum()
    centred = decades - weights @ decades
    share = weights * centred / (weights @ centred**2)
    error = math.sqrt(float(share**2 @ losses.errors**2))
    return Estimate.normal(float(share @ losses.values), error, level=level, method="normal, weighted least squares")


def _quantile(level: float, comparisons: int) -> float:
    return normal_quantile(0.5 + level ** (1 / max(1, comparisons)) / 2)
