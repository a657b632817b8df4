"""What two models decide about the same trial rows, counted by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.intervals import Floats, newcombe, newcombe_sidak, paired_error, parts_error, wilson
from counterproof.metrics.workbench import Workbench

Counts = NDArray[np.intp]
Cell = tuple[int, int | None]
"""A group, or a pair of groups, by position."""
Side = Literal["real", "synthetic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of rows, by group.

    Attributes:
        name: As readers know it.
        hit: What is counted: the positive class is ``predicted``, or the prediction is ``right``.
        among: Of which rows: all, or those whose true class is positive or negative.
    """

    name: str
    hit: Literal["predicted", "right"] = "predicted"
    among: Literal["all", "positive", "negative"] = "all"


SELECTION = Rate(name="selection rate")
TRUE_POSITIVE = Rate(name="true positive rate", among="positive")
FALSE_POSITIVE = Rate(name="false positive rate", among="negative")
ACCURACY = Rate(name="accuracy", hit="right")


@dataclass(frozen=True, eq=False, kw_only=True)
class Decisions:
    """One rate of two models of one learner, by the groups of one column.

    Attributes:
        groups: ``(g,)`` names, sorted.
        codes: ``(n,)`` group of each counted trial row.
        real: ``(n,)`` hits of the model trained on real rows.
        synthetic: ``(n,)`` hits of the model trained on the candidate.
        clusters: ``(n,)`` source record of each row.
    """

    groups: tuple[str, ...]
    codes: NDArray[np.intp]
    real: NDArray[np.bool_]
    synthetic: NDArray[np.bool_]
    clusters: NDArray[np.intp] | None

    def _count(self, which: NDArray[np.bool_] | None = None) -> Counts:
        codes = self.codes if which is None else self.codes[which]
        return np.bincount(codes, minlength=len(self.groups)).astype(np.intp)

    @cached_property
    def rows(self) -> Counts:
        """``(g,)`` counted trial rows."""
        return self._count()

    @cached_property
    def real_hits(self) -> Counts:
        """``(g,)`` hits of the model trained on real rows."""
        return self._count(self.real)

    @cached_property
    def synthetic_hits(self) -> Counts:
        """``(g,)`` hits of the model trained on the candidate."""
        return self._count(self.synthetic)

    @cached_property
    def change(self) -> Floats:
        """``(g,)`` rate of the candidate's model minus that of the real one; NaN without rows."""
        found = np.full(len(self.groups), np.nan)
        np.divide(self.synthetic_hits - self.real_hits, self.rows, out=found, where=self.rows > 0)
        return found

    @cached_property
    def error(self) -> Floats:
        """``(g,)`` standard error of each change by its paired trial rows."""
        gained, lost = self._count(self.synthetic & ~self.real), self._count(self.real & ~self.synthetic)
        pairs = zip(gained, lost, self.rows, strict=True)
        return np.array([paired_error(int(up), int(down), int(n)) if n else np.inf for up, down, n in pairs])

    def change_at(self, cell: Cell) -> float:
        """Change of one group's rate, or of the gap between two groups."""
        first, second = cell
        return float(self.change[first] - (0.0 if second is None else self.change[second]))

    def error_at(self, cell: Cell) -> float:
        """Its standard error by the trial rows; rows of one source record count as one."""
        first, second = cell
        error = float(np.hypot(self.error[first], 0.0 if second is None else self.error[second]))
        if self.clusters is None:
            return error
        parts = self._parts(first) - (0.0 if second is None else self._parts(second))
        return max(error, parts_error(parts, self.clusters))

    def hits(self, side: Side) -> Counts:
        """``(g,)`` hits of one of the two models."""
        return self.real_hits if side == "real" else self.synthetic_hits

    def level_at(self, cell: Cell, side: Side, level: float) -> Estimate:
        """The rate of a group, or the signed gap between two, of one model; trial rows alone."""
        first, second = cell
        hits, rows = self.hits(side).tolist(), self.rows.tolist()
        if second is None:
            return wilson(hits[first], rows[first], level)
        return newcombe(hits[first], rows[first], hits[second], rows[second], level)

    def has(self, cell: Cell) -> bool:
        """Whether every group of the cell has rows to count."""
        return all(self.rows[g] > 0 for g in cell if g is not None)

    def named(self, cell: Cell) -> str:
        """The cell as readers and gates name it."""
        return " – ".join(self.groups[g] or "(missing)" for g in cell if g is not None)

    def _parts(self, group: int) -> Floats:
        gained = self.synthetic.astype(np.float64) - self.real
        parts: Floats = np.where(self.codes == group, gained - self.change[group], 0.0) / self.rows[group]
        return parts


def group_codes(bench: Workbench, column: str) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """The groups that real rows have, and the group of each trial row."""

    def make() -> tuple[tuple[str, ...], NDArray[np.intp]]:
        trial = bench.trial.group(column)
        names = np.unique(np.concatenate([bench.real.group(column), trial]))
        return tuple(str(name) for name in names), np.searchsorted(names, trial)

    return bench.shared(("group codes", column, bench.trial.name), make)


def counted_rows(bench: Workbench, rate: Rate, positive: str) -> NDArray[np.bool_]:
    """Which trial rows a rate is counted over."""
    labels = bench.trial.labels
    counted: NDArray[np.bool_] = labels != ""
    if rate.among != "all":
        counted &= (labels == positive) == (rate.among == "positive")
    return counted


def decided(bench: Workbench, learner: str, column: str, rate: Rate, positive: str) -> Decisions:
    """Count what the two models of this view decide about the labelled trial rows."""
    groups, codes = group_codes(bench, column)
    labels, counted = bench.trial.labels, counted_rows(bench, rate, positive)
    target = labels[counted] if rate.hit == "right" else positive
    real, synthetic = (bench.forecast(learner, rows).predicted[counted] for rows in (bench.learning, bench.studying))
    clusters = bench.corpus.clusters
    return Decisions(
        groups=groups,
        codes=codes[counted],
        real=real == target,
        synthetic=synthetic == target,
        clusters=None if clusters is None else clusters[bench.trial.rows][counted],
    )


def cells_of(rows: Counts, minimum: int, *, paired: bool) -> Iterator[tuple[Cell, bool]]:
    """The cells to measure, and whether each is decidable.

    All groups, or all pairs of groups, with at least ``minimum`` real trial rows; every smaller
    group is listed too, in a pair with the largest group, as too few to say.
    """
    large = [int(g) for g in np.flatnonzero(rows >= minimum)]
    small = [int(g) for g in np.flatnonzero(rows < minimum)]
    if not paired:
        yield from (((g, None), True) for g in large)
        yield from (((g, None), False) for g in small)
        return
    yield from ((pair, True) for pair in combinations(large, 2))
    largest = int(rows.argmax())
    for g in small:
        if g != largest and not (largest in small and rows[g] == 0 == rows[largest]):
            yield (min(g, largest), max(g, largest)), False


def largest_gap(tables: Sequence[Decisions], side: Side, level: float) -> Estimate | None:
    """``max - min`` over groups, the largest of several rates; simultaneous over all pairs of all rates.

    Fairlearn's ``demographic_parity_difference`` and ``equal_opportunity_difference`` for one
    rate, ``equalized_odds_difference`` with ``agg="worst_case"`` for two. None with fewer than two
    groups to compare.
    """
    filled = [table.rows > 0 for table in tables]
    if any(keep.sum() < 2 for keep in filled):
        return None
    pairs = sum(int(keep.sum() * (keep.sum() - 1) // 2) for keep in filled)
    gaps = [
        newcombe_sidak(table.hits(side)[keep].tolist(), table.rows[keep].tolist(), level, comparisons=pairs)
        for table, keep in zip(tables, filled, strict=True)
    ]
    value, low, high = (max(getattr(gap, end) for gap in gaps) for end in ("value", "low", "high"))
    return Estimate(value=value, low=low, high=high, level=level, method=gaps[0].method)


def least_rate(table: Decisions, side: Side, level: float) -> Estimate | None:
    """The lowest rate of any group, simultaneous over the groups; None without rows."""
    groups = [int(g) for g in np.flatnonzero(table.rows > 0)]
    if not groups:
        return None
    rates = [table.level_at((g, None), side, level ** (1 / len(groups))) for g in groups]
    value, low, high = (min(getattr(rate, end) for rate in rates) for end in ("value", "low", "high"))
    return Estimate(value=value, low=low, high=high, level=level, method=f"Wilson, Šidák over {len(groups)} groups")
