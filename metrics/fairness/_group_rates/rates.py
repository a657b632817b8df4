"""Groups, and one rate of two models in each of them: the table that all gaps are made of.

A learner is trained twice, on real rows and on the candidate's; both models decide about the same real
test rows. :func:`confusion_counts` counts these decisions once by the finest crossing of the group columns;
every :class:`Stratum` is a sum of its cells, and every :class:`RateTable` is a quotient of such sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Group, normal_quantile
from counterproof.metrics.sample import Floats, Sample
from counterproof.metrics.shared.partitions import CROWD, Partition, partition_by, partitions
from counterproof.metrics.statistics.proportions import wilson_ends
from counterproof.metrics.workbench import Workbench

Counts = NDArray[np.intp]
Side = Literal["real", "synthetic"]
SIDES: tuple[Side, Side] = ("real", "synthetic")
STATES = 8  # truth, decision of the real model, decision of the candidate's
CROWDED: Work[dict[str, int]] = Work("group columns of too many values")
STRATA: Work[tuple[Stratum, ...]] = Work("strata")
CONFUSION: Work[Counts] = Work("decisions of both models by group")


# -- groups -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Stratum:
    """The groups of one partition among the rows of one level of the control columns.

    Attributes:
        name: The partition's columns as one name.
        level: What is held fixed; ``()`` without control columns.
        groups: ``(g,)`` names of the groups that real rows have here, sorted.
        hidden: ``(g,)`` groups of so few real rows that nothing of them may be disclosed.
        at: ``(cells,)`` which group each finest cell belongs to; -1 elsewhere.
        crossed: Whether the groups are crossings of several columns.
    """

    name: str
    level: Group
    groups: tuple[str, ...]
    hidden: NDArray[np.bool_]
    at: NDArray[np.intp]
    crossed: bool

    def __len__(self) -> int:
        return len(self.groups)

    def summed(self, counts: NDArray[np.generic]) -> Floats:
        """``(g, k)`` sums over the groups, of ``(cells, k)`` numbers by finest cell."""
        inside = self.at >= 0
        codes, chosen = self.at[inside], counts[inside].astype(np.float64)
        columns = [np.bincount(codes, weights=column, minlength=len(self)) for column in chosen.T]
        return np.stack(columns, axis=1)

    def members(self, bench: Workbench) -> NDArray[np.intp]:
        """``(n,)`` group of each test row; -1 for rows of another level."""
        groups: NDArray[np.intp] = self.at[finest_cells(bench).codes[bench.test.rows]]
        return groups


def crowded_columns(bench: Workbench) -> dict[str, int]:
    """Group columns of more values in real data than can be compared, with their number."""

    def count() -> dict[str, int]:
        sizes = {name: len(np.unique(bench.real.group(name))) for name in bench.corpus.groups}
        return {name: size for name, size in sizes.items() if size > CROWD}

    return bench.shared(CROWDED.about(bench.real), count)


def finest_cells(bench: Workbench) -> Partition:
    """All group columns crossed, without the crowded ones: every other partition is a sum of its cells."""
    columns = tuple(name for name in bench.corpus.groups if name not in crowded_columns(bench))
    return partition_by(bench, columns)


def strata(bench: Workbench, control: tuple[str, ...] = ()) -> tuple[Stratum, ...]:
    """Every partition of the columns that are not held fixed, at every level of those that are.

    Args:
        bench: The view; all views of an audit share the strata.
        control: Group columns held fixed.

    Raises:
        MetricError: A control column is no group column, has too many values, or leaves none to compare.
    """
    key = STRATA.about(bench.real, bench.test, control=control, small_cell=bench.small_cell, show_real=bench.show_real)
    return bench.shared(key, lambda: _strata(bench, control))


def _strata(bench: Workbench, control: tuple[str, ...]) -> tuple[Stratum, ...]:
    columns, crowded = list(bench.corpus.groups), crowded_columns(bench)
    for name in control:
        if name not in columns:
            raise MetricError(f"option control: {name!r} is no group column; choose from {', '.join(columns)}")
        if name in crowded:
            raise MetricError(f"option control: {name} has {crowded[name]} values; {CROWD} can be held fixed at most")
    taken = {*control, *crowded}
    if set(columns) <= set(control):
        raise MetricError("option control: every group column is held fixed, so none is left to compare")
    parts = [part for part in partitions(bench) if not taken & set(part.columns)]
    return tuple(stratum for part in parts for stratum in _levels(bench, part, control))


def _levels(bench: Workbench, part: Partition, control: tuple[str, ...]) -> list[Stratum]:
    finest = finest_cells(bench)
    rows = np.zeros(len(finest), dtype=np.intp)
    rows[finest.codes] = np.arange(len(finest.codes))  # any row of a cell shows which groups it belongs to
    groups = part.codes[rows]
    fixed = partition_by(bench, control) if control else None
    levels = np.zeros(len(rows), dtype=np.intp) if fixed is None else fixed.codes[rows]
    names: tuple[Group, ...] = ((),) if fixed is None else fixed.groups
    several = [
        _stratum(bench, part, np.where(levels == at, groups, -1), level, rows=(bench.real, bench.test))
        for at, level in enumerate(names)
    ]
    return [stratum for stratum in several if len(stratum)]


def _stratum(
    bench: Workbench, part: Partition, codes: NDArray[np.intp], level: Group, *, rows: tuple[Sample, Sample]
) -> Stratum:
    finest, inside = finest_cells(bench), codes >= 0
    real, test = (
        np.bincount(codes[inside], weights=finest.counts(sample)[inside], minlength=len(part)) for sample in rows
    )
    kept = np.flatnonzero(real + test > 0)
    position = np.full(len(part) + 1, -1, dtype=np.intp)
    position[kept] = np.arange(len(kept))
    few = (np.maximum(real, test)[kept] < bench.small_cell) & (not bench.show_real)
    return Stratum(
        name=part.name,
        level=level,
        groups=tuple(part.names[g] for g in kept),
        hidden=np.asarray(few, dtype=np.bool_),
        at=position[codes],
        crossed=len(part.columns) > 1,
    )


# -- rates --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Rates:
    """One rate of one model, by group: a share of rows, or a mean with its standard error.

    Attributes:
        rows: ``(g,)`` rows that are counted.
        values: ``(g,)``; NaN without rows.
        hits: ``(g,)`` hits among them, where the rate is a share.
        errors: ``(g,)`` standard errors, where it is none.
    """

    rows: Counts
    values: Floats
    hits: Counts | None = None
    errors: Floats | None = None

    @classmethod
    def shares(cls, hits: Counts, rows: Counts) -> Rates:
        """Of counts."""
        return cls(rows=rows, values=quotient(hits, rows), hits=hits)

    def ends(self, level: float) -> tuple[Floats, Floats]:
        """Both ends of each group's interval: Wilson's for shares, normal for means."""
        z = normal_quantile(0.5 + level / 2)
        if self.hits is not None:
            safe = np.maximum(self.rows, 1)
            low, high = wilson_ends(np.where(self.rows > 0, self.hits, 0), safe, z)
            return np.where(self.rows > 0, low, np.nan), np.where(self.rows > 0, high, np.nan)
        assert self.errors is not None
        return self.values - z * self.errors, self.values + z * self.errors

    def take(self, groups: NDArray[np.intp]) -> Rates:
        """Of some groups."""
        return Rates(
            rows=self.rows[groups],
            values=self.values[groups],
            hits=None if self.hits is None else self.hits[groups],
            errors=None if self.errors is None else self.errors[groups],
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """What is looked at: groups, pairs of groups, or groups against all rows.

    Attributes:
        kind: Which of the three.
        first: ``(m,)`` position of the group.
        second: ``(m,)`` position of the other group of a pair.
        decidable: ``(m,)`` whether there are rows enough that a faithful release would pass.
        unlisted: Groups too small to say anything of that are only counted.
    """

    kind: Literal["group", "pair", "overall"]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    decidable: NDArray[np.bool_]
    unlisted: int = 0

    def __len__(self) -> int:
        return len(self.first)

    def groups(self, i: int) -> list[int]:
        """Positions of the groups of one cell."""
        return [int(self.first[i]), *([int(self.second[i])] if self.kind == "pair" else [])]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowInfluences:
    """How much each test row moves the changes: rows of one source are summed, for they count as one.

    Attributes:
        sources: ``(n,)`` source of each counted row.
        members: ``(n,)`` its group.
        own: ``(n,)`` how far it moves the change of its group.
        everyone: ``(n,)`` how far it moves the change over all rows.
    """

    sources: NDArray[np.intp]
    members: NDArray[np.intp]
    own: Floats
    everyone: Floats

    def errors(self, cells: Cells, groups: int) -> Floats:
        """``(m,)`` standard errors of the changes of cells."""
        from scipy.sparse import csr_array

        names, codes = np.unique(self.sources, return_inverse=True)
        n = len(names)
        if n < 2:
            return np.full(len(cells), np.inf)
        summed = csr_array((self.own, (codes, self.members)), shape=(n, groups))
        squares: Floats = np.asarray(summed.multiply(summed).sum(axis=0), dtype=np.float64).ravel()
        variance = squares[cells.first]
        if cells.kind == "overall":
            whole = np.bincount(codes, weights=self.everyone, minlength=n)
            variance = variance + whole @ whole - 2 * (summed.T @ whole)[cells.first]
        elif cells.kind == "pair":
            products = (summed.T @ summed).tocsr()
            common = np.array([products[a, b] for a, b in zip(cells.first, cells.second, strict=True)])
            variance = variance + squares[cells.second] - 2 * common
        errors: Floats = np.sqrt(np.maximum(variance, 0.0) * n / (n - 1))
        return errors


@dataclass(frozen=True, eq=False, kw_only=True)
class RateTable:
    """One rate of two models of one learner, by the groups of a stratum.

    A group is compared with another, or with all rows: ``rest`` are the rows that are not its own,
    for the difference from all rows is that from the rest, times the share of the rest.

    Attributes:
        stratum: The groups.
        rows: ``(g,)`` rows that a group is counted over by the model trained on real rows.
        rates: Of each of the two models.
        rest: The same over all rows but the group's own.
        change: ``(g,)`` rate of the candidate's model minus that of the real one; NaN without rows.
        error: ``(g,)`` standard error of each change by its paired test rows.
        overall_error: ``(g,)`` the same of the change of the difference from all rows.
        influences: Gives each row's part in the changes, where sources of rows are known.
    """

    stratum: Stratum
    rows: Counts
    rates: Mapping[Side, Rates]
    rest: Mapping[Side, Rates]
    change: Floats
    error: Floats
    overall_error: Floats
    influences: Callable[[], RowInfluences] | None = None

    @property
    def filled(self) -> NDArray[np.bool_]:
        """``(g,)`` whether both models have rows to count."""
        both: NDArray[np.bool_] = (self.rates["real"].rows > 0) & (self.rates["synthetic"].rows > 0)
        return both

    def other_share(self, side: Side) -> Floats:
        """``(g,)`` share of the counted rows that are not the group's own."""
        return other_share(self.rates[side], self.rest[side])

    def from_overall(self, side: Side) -> Floats:
        """``(g,)`` rate of a group minus that of all rows."""
        difference: Floats = self.other_share(side) * (self.rates[side].values - self.rest[side].values)
        return difference

    def has(self, cells: Cells) -> NDArray[np.bool_]:
        """``(m,)`` whether every group of a cell has rows to count."""
        filled = self.filled
        if cells.kind == "pair":
            return filled[cells.first] & filled[cells.second]
        if cells.kind == "overall":
            rest = (self.rest["real"].rows > 0) & (self.rest["synthetic"].rows > 0)
            return filled[cells.first] & rest[cells.first]
        return filled[cells.first]

    def disclosable(self, cells: Cells) -> NDArray[np.bool_]:
        """``(m,)`` whether every group of a cell has so many real rows that numbers of it may be disclosed."""
        shown = ~self.stratum.hidden
        return shown[cells.first] & shown[cells.second] if cells.kind == "pair" else shown[cells.first]

    def changes(self, cells: Cells) -> Floats:
        """``(m,)`` change of a group's rate, or of the gap between two groups, or to all rows."""
        if cells.kind == "overall":
            return (self.from_overall("synthetic") - self.from_overall("real"))[cells.first]
        first = self.change[cells.first]
        return first - self.change[cells.second] if cells.kind == "pair" else first

    def errors(self, cells: Cells) -> Floats:
        """``(m,)`` their standard errors by the test rows; rows of one source count as one."""
        if cells.kind == "overall":
            errors = self.overall_error[cells.first]
        else:
            errors = self.error[cells.first]
            errors = np.hypot(errors, self.error[cells.second]) if cells.kind == "pair" else errors
        if self.influences is None:
            return errors
        return np.fmax(errors, self.influences().errors(cells, len(self.stratum)))

    def named(self, cells: Cells, i: int) -> str:
        """A cell as readers and gates name it."""
        names = [self.stratum.groups[g] for g in cells.groups(i)]
        return " – ".join([*names, "overall"] if cells.kind == "overall" else names)


Tabulate = Callable[[Workbench, str, Stratum, "Rate", str], RateTable]
"""A rate of the models of a view: by learner, stratum, rate and positive class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What is compared between groups.

    Attributes:
        name: As readers know it.
        among: Of which rows: all, those whose true class is positive or negative, or those for
            which the positive class is predicted.
        hit: What is counted: the positive class is ``predicted``, the prediction is ``right``, the row
            is ``positive``; or, for means that are no shares, how much more positives than ``expected``.
        tabulate: Makes its table.
    """

    name: str
    tabulate: Tabulate
    among: Literal["all", "positive", "negative", "predicted"] = "all"
    hit: Literal["predicted", "right", "positive", "expected"] = "predicted"


def quotient(hits: NDArray[np.generic], rows: NDArray[np.generic]) -> Floats:
    """Shares; NaN without rows.

    >>> quotient(np.array([1, 0]), np.array([4, 0])).tolist()
    [0.25, nan]
    """
    shares = np.full(len(rows), np.nan)
    np.divide(hits.astype(np.float64), rows.astype(np.float64), out=shares, where=np.asarray(rows) > np.zeros(1))
    return shares


def other_share(rates: Rates, rest: Rates) -> Floats:
    """``(g,)`` share of all counted rows that are not the group's own."""
    return quotient(rest.rows, rates.rows + rest.rows)


# -- decisions ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """The labelled test rows as both models see them.

    Attributes:
        truth: ``(n,)`` the row is of the positive class.
        real: ``(n,)`` decision of the model trained on real rows: for the positive class, or right.
        synthetic: ``(n,)`` the same of the model trained on the candidate.
        rows: ``(n,)`` their positions among the test rows.
    """

    truth: NDArray[np.bool_]
    real: NDArray[np.bool_]
    synthetic: NDArray[np.bool_]
    rows: NDArray[np.intp]


def predictions_of(bench: Workbench, learner: str, positive: str, *, right: bool) -> Predictions:
    """What the two models of this view decide about the labelled test rows."""
    rows = np.flatnonzero(bench.test.labels != "")
    labels = bench.test.labels[rows]
    target = labels if right else positive
    real, synthetic = (
        bench.forecast(learner, sample).predicted[rows] for sample in (bench.learning, bench.synthetic_train)
    )
    return Predictions(truth=labels == positive, real=real == target, synthetic=synthetic == target, rows=rows)


def confusion_counts(bench: Workbench, learner: str, positive: str, *, right: bool = False) -> Counts:
    """``(cells, 2, 2, 2)`` labelled test rows by finest cell, truth and both decisions."""

    def count() -> Counts:
        seen, finest = predictions_of(bench, learner, positive, right=right), finest_cells(bench)
        state = seen.truth * 4 + seen.real * 2 + seen.synthetic
        codes = finest.codes[bench.test.rows[seen.rows]] * STATES + state
        return np.bincount(codes, minlength=STATES * len(finest)).reshape(-1, STATES).astype(np.intp)

    samples = (bench.learning, bench.synthetic_train, bench.test)
    key = CONFUSION.about(*samples, learner=learner, positive=positive, right=right)
    return bench.shared(key, count)


def counted_rows(bench: Workbench, rate: Rate, positive: str) -> NDArray[np.bool_]:
    """Which test rows a rate may be counted over."""
    labels = bench.test.labels
    counted: NDArray[np.bool_] = labels != ""
    if rate.among in ("positive", "negative"):
        counted &= (labels == positive) == (rate.among == "positive")
    return counted


def table_of_decisions(bench: Workbench, learner: str, stratum: Stratum, rate: Rate, positive: str) -> RateTable:
    """One rate of the two models of this view, by the groups of a stratum."""
    right = rate.hit == "right"
    cells = confusion_counts(bench, learner, positive, right=right)
    counts = stratum.summed(cells).astype(np.intp).reshape(-1, 2, 2, 2)
    table = precision_table(stratum, counts) if rate.among == "predicted" else share_table(stratum, counts, rate)
    if bench.corpus.clusters is None:
        return table
    influences = _precision_influences if rate.among == "predicted" else _share_influences
    seen = partial(predictions_of, bench, learner, positive, right=right)
    return replace(table, influences=lambda: influences(bench, table, rate, seen()))


SELECTION = Rate(name="selection rate", tabulate=table_of_decisions)
TRUE_POSITIVE = Rate(name="true positive rate", among="positive", tabulate=table_of_decisions)
FALSE_POSITIVE = Rate(name="false positive rate", among="negative", tabulate=table_of_decisions)
ACCURACY = Rate(name="accuracy", hit="right", tabulate=table_of_decisions)
PRECISION = Rate(name="precision", hit="positive", among="predicted", tabulate=table_of_decisions)


# -- shares over the same rows for both models --------------------------------------------------


def share_table(stratum: Stratum, counts: Counts, rate: Rate) -> RateTable:
    """The table of a share that is counted over the same rows for both models.

    Args:
        stratum: The groups.
        counts: ``(g, 2, 2, 2)`` rows by group, truth and both decisions.
        rate: Among which rows.
    """
    own, others = (_among(part, rate) for part in (counts, counts.sum(0)[None] - counts))
    rates, rest = ({side: _shares(part, side) for side in SIDES} for part in (own, others))
    rows = own.sum((1, 2))
    error = paired_errors(own)
    with np.errstate(invalid="ignore"):  # of a single group nothing is known of the rest
        overall_error = other_share(rates["real"], rest["real"]) * np.hypot(error, paired_errors(others))
    return RateTable(
        stratum=stratum,
        rows=rows,
        rates=rates,
        rest=rest,
        change=quotient(own[:, 0, 1] - own[:, 1, 0], rows),
        error=error,
        overall_error=overall_error,
    )


def _among(counts: Counts, rate: Rate) -> Counts:
    """``(g, 2, 2)`` counted rows by both decisions."""
    summed: Counts = counts.sum(1)
    return summed if rate.among == "all" else counts[:, 1 if rate.among == "positive" else 0]


def _shares(table: Counts, side: Side) -> Rates:
    hits = table[:, 1].sum(1) if side == "real" else table[:, :, 1].sum(1)
    return Rates.shares(hits, table.sum((1, 2)))


def paired_errors(table: Counts) -> Floats:
    """``(g,)`` standard errors of the paired changes of shares; infinite without rows.

    :func:`counterproof.metrics.statistics.proportions.paired_error` for many groups at once.

    Args:
        table: ``(g, 2, 2)`` rows by both decisions.
    """
    n = table.sum((1, 2))
    up, down = (table[:, 0, 1] + 1) / (n + 2), (table[:, 1, 0] + 1) / (n + 2)
    errors: Floats = np.where(n > 0, np.sqrt((up + down - (up - down) ** 2) / (n + 2)), np.inf)
    return errors


def _share_influences(bench: Workbench, table: RateTable, rate: Rate, seen: Predictions) -> RowInfluences:
    members = table.stratum.members(bench)[seen.rows]
    kept = members >= 0
    if rate.among != "all":
        kept &= seen.truth == (rate.among == "positive")
    moved = seen.synthetic.astype(np.float64) - seen.real
    own, everyone = np.zeros(len(moved)), np.zeros(len(moved))
    if kept.any():  # of a group without such rows there is nothing to divide by
        total, of = int(table.rows.sum()), members[kept]
        own[kept] = (moved[kept] - table.change[of]) / table.rows[of].astype(np.float64)
        everyone[kept] = (moved[kept] - moved[kept].sum() / total) / total
    return _of_kept(bench, seen, own, everyone, members, kept)


def _of_kept(
    bench: Workbench, seen: Predictions, own: Floats, everyone: Floats, members: Counts, kept: NDArray[np.bool_]
) -> RowInfluences:
    clusters = bench.corpus.clusters
    assert clusters is not None
    sources = clusters[bench.test.rows[seen.rows]][kept]
    return RowInfluences(sources=sources, members=members[kept], own=own[kept], everyone=everyone[kept])


# -- precision: over the rows that each model selects -------------------------------------------


def precision_table(stratum: Stratum, counts: Counts) -> RateTable:
    """The table of the share of positives among the rows for which each model predicts the positive class.

    Args:
        stratum: The groups.
        counts: ``(g, 2, 2, 2)`` rows by group, truth and both decisions.
    """
    others: Counts = counts.sum(0)[None] - counts
    rates, rest = ({side: _precisions(part, side) for side in SIDES} for part in (counts, others))
    shares = [other_share(rates[side], rest[side]) for side in SIDES]
    one = np.ones(len(stratum))
    return RateTable(
        stratum=stratum,
        rows=rates["real"].rows,
        rates=rates,
        rest=rest,
        change=rates["synthetic"].values - rates["real"].values,
        error=precision_errors(counts, one, one),
        overall_error=np.hypot(precision_errors(counts, *shares), precision_errors(others, *shares)),
    )


def _precisions(counts: Counts, side: Side) -> Rates:
    table = counts[:, :, 1].sum(2) if side == "real" else counts[:, :, :, 1].sum(2)
    return Rates.shares(table[:, 1], table.sum(1))


def precision_errors(counts: Counts, real_scale: Floats, synthetic_scale: Floats) -> Floats:
    """``(g,)`` standard errors of changes of precision, from the part that each row has in them.

    Rows that both models select have a small part, as the two precisions share them. A hit and a miss that
    only the one model selects, and the same for the other, are added, so that a few rows that all
    agree do not claim to know the difference exactly (the idea of Agresti and Caffo 2000,
    doi:10.1080/00031305.2000.10474560).

    Args:
        counts: ``(g, 2, 2, 2)`` rows by truth and both decisions.
        real_scale: ``(g,)`` factor of the real model's precision.
        synthetic_scale: ``(g,)`` factor of the other one's.
    """
    padded = counts.astype(np.float64)
    padded[:, :, 0, 1] += 1
    padded[:, :, 1, 0] += 1
    real, synthetic = padded[:, :, 1].sum(2), padded[:, :, :, 1].sum(2)
    variance = np.zeros(len(counts))
    for truth in (0, 1):
        of_real = real_scale * (truth - real[:, 1] / real.sum(1)) / real.sum(1)
        of_synthetic = synthetic_scale * (truth - synthetic[:, 1] / synthetic.sum(1)) / synthetic.sum(1)
        variance += padded[:, truth, 1, 0] * of_real**2 + padded[:, truth, 0, 1] * of_synthetic**2
        variance += padded[:, truth, 1, 1] * (of_synthetic - of_real) ** 2
    errors: Floats = np.sqrt(variance)
    return errors


def _precision_influences(bench: Workbench, table: RateTable, rate: Rate, seen: Predictions) -> RowInfluences:
    members = table.stratum.members(bench)[seen.rows]
    kept = (members >= 0) & (seen.real | seen.synthetic)
    own, everyone = np.zeros(len(members)), np.zeros(len(members))
    decisions: tuple[tuple[Side, NDArray[np.bool_], float], ...]
    decisions = (("synthetic", seen.synthetic, 1.0), ("real", seen.real, -1.0))
    for side, decision, sign in decisions:
        rates = table.rates[side]
        hits, rows = rates.hits, rates.rows
        assert hits is not None
        at = kept & decision
        if not at.any():  # a side that selects no row has no precision that a row could move
            continue
        own[at] += sign * (seen.truth[at] - rates.values[members[at]]) / rows[members[at]]
        everyone[at] += sign * (seen.truth[at] - hits.sum() / rows.sum()) / rows.sum()
    return _of_kept(bench, seen, own, everyone, members, kept)
