"""One column at a time: distributions, missing values, categories lost and categories invented."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate, Evidence, Group
from counterproof.metrics.metric import Needs, Tolerance, Value, metric
from counterproof.metrics.sample import MISSING_TEXT, Mixed, Sample
from counterproof.metrics.shared.column_histograms import column_panel
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.workbench import Workbench

_SHAPES = "0.10 is what a reader sees at a glance in two histograms; fresh rows of 1,000 stay below 0.05 beyond chance"


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one column's distributions lie apart: a statistic in [0, 1] and its standard error."""

    value: float
    error: float

    def estimate(self, level: float, method: str) -> Estimate:
        """With an interval inside [0, 1]."""
        e = Estimate.normal(self.value, self.error, level=level, method=method)
        return Estimate(value=e.value, low=max(e.low, 0.0), high=min(e.high, 1.0), level=level, method=method)


@metric(
    id="fidelity.marginals",
    family="fidelity",
    title="column distributions",
    unit="distance",
    needs=Needs(modalities=frozenset({"table"}), smallest_n=500),
    tolerances=(
        Tolerance("excess", "<=", 0.10, _SHAPES, cells=True),
        Tolerance("missing_excess", "<=", 0.10, "missing values are data: the same tolerance as a column", cells=True),
        Tolerance(
            "unseen_excess",
            "<=",
            0.01,
            "invented categories break a consumer's code at any rate; 1 % beyond what fresh rows bring is the least "
            "that 500 rows show",
        ),
        Tolerance(
            "lost_excess",
            "<=",
            0.005,
            "dropping rare categories may be deliberate protection, so this warns; fresh rows stay below 0.002",
            level="warn",
        ),
    ),
)
def marginals(bench: Workbench) -> Iterator[Value]:
    """How far each column's distribution lies from the real one.

    Numbers and dates by the Kolmogorov–Smirnov distance, categories by total variation (missing is
    a value). 0 is equal, 1 is disjoint; finite samples of the same distribution never reach 0, so
    read the excess over the floor. ``missing`` is the difference of missing rates, ``unseen`` the
    share of candidate rows with a category that the reference never has, ``lost`` the share of
    reference rows that carry a category the candidate never has, however rare. Of a long tail
    fresh rows bring unseen categories too: their share is the floor, and what a release invents
    lies beyond it. The evidence names only categories that no real row has.

    Source: SDMetrics' KSComplement and TVComplement are 1 minus these (they drop missing values).

    Yields:
        A value per column (``[column=age]``), the worst column as the headline.
    """
    mixed = bench.corpus.mixed
    assert mixed is not None
    found = {name: column_difference(mixed, name, bench.reference, bench.candidate) for name in mixed.columns}
    worst = max(found, key=lambda name: found[name].value)
    numeric = set(mixed.columns[: mixed.numeric.shape[1]])
    for name, difference in found.items():
        method = "Kolmogorov–Smirnov, normal" if name in numeric else "total variation, normal"
        yield Value(group=(("column", name),), estimate=difference.estimate(bench.level, method))
    panels = () if bench.is_null else (column_panel(bench, {n: d.value for n, d in found.items()}),)
    yield Value(estimate=found[worst].estimate(bench.level, "worst column"), panels=panels, reason=_worst(bench, worst))
    yield from missing_rates(bench, mixed)
    yield from categories(bench, mixed)


def _worst(bench: Workbench, name: str) -> str:
    return "" if bench.is_null else f"the worst column is {name}"


def column_difference(mixed: Mixed, name: str, reference: Sample, candidate: Sample) -> Difference:
    """The distance of one column between two samples."""
    at = mixed.columns.index(name)
    p = mixed.numeric.shape[1]
    if at < p:
        return kolmogorov_smirnov(mixed.numeric[reference.rows, at], mixed.numeric[candidate.rows, at])
    codes = mixed.codes[:, at - p]
    return total_variation(codes[reference.rows], codes[candidate.rows])


def kolmogorov_smirnov(x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]]) -> Difference:
    """Largest difference of two empirical distribution functions, missing values left out.

    >>> round(kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0])).value, 2)
    0.5
    """
    x, y = np.sort(x[~np.isnan(x)]), np.sort(y[~np.isnan(y)])
    if not len(x) or not len(y):
        return Difference(0.0 if len(x) == len(y) else 1.0, 0.0)
    points = np.concatenate([x, y])
    f, g = np.searchsorted(x, points, side="right") / len(x), np.searchsorted(y, points, side="right") / len(y)
    at = int(np.abs(f - g).argmax())
    return Difference(float(abs(f[at] - g[at])), _two_shares(f[at], len(x), g[at], len(y)))


def total_variation(x: NDArray[np.int32], y: NDArray[np.int32]) -> Difference:
    """Half the absolute difference of two sets of category shares.

    >>> total_variation(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])).value
    0.25
    """
    size = int(max(x.max(initial=0), y.max(initial=0))) + 1
    p, q = np.bincount(x, minlength=size) / len(x), np.bincount(y, minlength=size) / len(y)
    # On the set where p exceeds q the distance is a difference of two shares, which has an error.
    above = p > q
    return Difference(float(np.abs(p - q).sum() / 2), _two_shares(p[above].sum(), len(x), q[above].sum(), len(y)))


def _two_shares(p: float, n: int, q: float, m: int) -> float:
    # One row more or less keeps the error positive where both shares are 0 or 1.
    p, q = (p * n + 0.5) / (n + 1), (q * m + 0.5) / (m + 1)
    return math.sqrt(max(p * (1 - p), 0.0) / n + max(q * (1 - q), 0.0) / m)


def missing_rates(bench: Workbench, mixed: Mixed) -> Iterator[Value]:
    """Difference of missing rates of the number columns that miss any value."""
    absent = np.isnan(mixed.numeric)
    if not absent.any():
        yield Value(field="missing", status="not_applicable", reason="no number or date column misses a value")
    for at in np.flatnonzero(absent.any(0)):
        p, q = absent[bench.reference.rows, at].mean(), absent[bench.candidate.rows, at].mean()
        difference = Difference(abs(p - q), _two_shares(p, len(bench.reference), q, len(bench.candidate)))
        group: Group = (("column", mixed.columns[at]),)
        yield Value(field="missing", group=group, estimate=difference.estimate(bench.level, "difference of shares"))


def categories(bench: Workbench, mixed: Mixed) -> Iterator[Value]:
    """Categories that the candidate invented or lost, as shares of rows."""
    names = mixed.columns[mixed.numeric.shape[1] :]
    unseen = np.zeros((len(bench.candidate), len(names)), dtype=bool)
    lost = np.zeros((len(bench.reference), len(names)), dtype=bool)
    for at in range(len(names)):
        codes = mixed.codes[:, at]
        unseen[:, at] = ~np.isin(codes[bench.candidate.rows], codes[bench.reference.rows])
        lost[:, at] = ~np.isin(codes[bench.reference.rows], codes[bench.candidate.rows])
    for field, flags, table in (("unseen", unseen, _unseen), ("lost", lost, _lost)):
        evidence = () if bench.is_null else table(bench, mixed)
        k, n = int(flags.any(1).sum()), len(flags)
        yield Value(
            field=field,
            estimate=clopper_pearson(k, n, bench.level),
            unit="share of rows",
            reason=_most(flags, names) if k and not bench.is_null else "",
            evidence=evidence,
        )


def _most(flags: NDArray[np.bool_], names: tuple[str, ...]) -> str:
    return f"most of them in {names[int(flags.sum(0).argmax())]}"


def _unseen(bench: Workbench, mixed: Mixed) -> tuple[Evidence, ...]:
    rows = []
    for name, values, real, made in _counts(bench, mixed):
        for at in np.flatnonzero((real == 0) & (made > 0)):
            rows.append((name, values[at], int(made[at])))
    rows.sort(key=lambda row: (-row[2], row[0], row[1]))
    if not rows:
        return ()
    title = f"{len(rows)} categories that no real row has"
    return (Evidence(title=title, columns=("column", "category", "release rows"), rows=tuple(rows[:200])),)


def _lost(bench: Workbench, mixed: Mixed) -> tuple[Evidence, ...]:
    rows: list[tuple[str, str, int]] = []
    rare: dict[str, int] = {}
    for name, values, real, made in _counts(bench, mixed):
        for at in np.flatnonzero((real > 0) & (made == 0)):
            if real[at] >= bench.small_cell or bench.show_real:
                rows.append((name, values[at], int(real[at])))
            else:
                rare[name] = rare.get(name, 0) + 1
    rows.sort(key=lambda row: (-row[2], row[0], row[1]))
    hidden = tuple((name, f"{n} more, hidden", f"fewer than {bench.small_cell} each") for name, n in rare.items())
    if not rows and not hidden:
        return ()
    title = f"{len(rows) + sum(rare.values())} real categories that the release never has"
    note = "A category carried by few real rows is itself a real value: it is counted, not named."
    return (
        Evidence(
            title=title,
            columns=("column", "category", "real rows"),
            rows=tuple(rows[:200]) + hidden,
            note=note if hidden else "",
            shows_real=bench.show_real and bool(rows) and rows[-1][2] < bench.small_cell,
        ),
    )


def _counts(
    bench: Workbench, mixed: Mixed
) -> Iterator[tuple[str, NDArray[np.str_], NDArray[np.intp], NDArray[np.intp]]]:
    """Per category column: the values by code, and rows per code among real rows and the release."""
    p = mixed.numeric.shape[1]
    frame = bench.corpus.frame
    assert frame is not None
    for at, name in enumerate(mixed.columns[p:]):
        codes = mixed.codes[:, at]
        size = int(codes.max()) + 1
        first = np.full(size, -1)
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        column = frame[name]
        gone = column.isna().to_numpy()
        values = np.array([MISSING_TEXT if row < 0 or gone[row] else str(column.iloc[row]) for row in first])
        yield (
            name,
            values,
            np.bincount(codes[bench.real.rows], minlength=size),
            np.bincount(codes[bench.release.rows], minlength=size),
        )
