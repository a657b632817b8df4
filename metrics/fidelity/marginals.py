"""One column at a time: distributions, missing values, categories lost and categories invented."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate, Evidence, Group, normal_quantile
from counterproof.metrics.metric import Needs, Tolerance, Value, metric
from counterproof.metrics.sample import MISSING_TEXT, Mixed, Sample
from counterproof.metrics.shared.column_histograms import column_panel
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.workbench import Workbench

_SHAPES = "0.10 is what a reader sees at a glance in two histograms; fresh rows of 1,000 stay below 0.05 beyond chance"
_INVENTED = 0.01
_CHANCE = 1e-3  # that a fresh release of this size has any value which counts as invented


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
    algo=2,
    unit="distance",
    needs=Needs(modalities=frozenset({"table"}), smallest_n=500),
    reads=("columns",),
    tolerances=(
        Tolerance("excess", "<=", 0.10, _SHAPES, cells=True),
        Tolerance("missing_excess", "<=", 0.10, "missing values are data: the same tolerance as a column", cells=True),
        Tolerance(
            "invented", "<=", _INVENTED, "values that do not exist break a consumer's code at any rate", cells=True
        ),
        Tolerance(
            "unseen_excess",
            "<=",
            _INVENTED,
            "rare categories that real rows lack are natural in a long tail: as many more as may be invented",
            cells=True,
        ),
        Tolerance(
            "lost_excess",
            "<=",
            0.005,
            "dropping rare categories may be deliberate protection, so this warns; fresh rows stay below 0.002",
            cells=True,
            level="warn",
        ),
    ),
)
def marginals(bench: Workbench) -> Iterator[Value]:
    """How far each column's distribution lies from the real one.

    Numbers and dates by the Kolmogorov–Smirnov distance, categories by total variation (missing is
    a value). 0 is equal, 1 is disjoint; finite samples of the same distribution never reach 0, so
    read the excess over the floor. ``missing`` is the difference of missing rates.

    ``invented`` is the share of candidate rows with a value that no real row has and that chance does
    not explain: a category, or numbers above (below) all real ones, in ``k`` of ``n`` candidate rows and
    in none of ``m`` real ones has probability ``C(n, k) / C(n + m, k)`` where rows are alike, and
    counts if that times the number of values tried is below 0.001. ``unseen`` is the share of
    candidate rows with another category that the reference never has: of a long tail fresh rows
    bring such too, their share is the floor, and only the excess is judged; its interval holds the
    error of the floor's level, see :func:`level_error`. ``lost`` is the share
    of reference rows that carry a category the candidate never has, however rare. The evidence
    names only categories that no real row has.

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
    """Values that the candidate invented, brought or lost, as shares of rows: by column, and in any column."""
    p = mixed.numeric.shape[1]
    invented = _invented(bench, mixed)
    codes = mixed.codes[bench.reference.rows], mixed.codes[bench.candidate.rows]
    here = [np.isin(column, other) for column, other in zip(codes[1].T, codes[0].T, strict=True)]
    kept = [np.isin(column, other) for column, other in zip(codes[0].T, codes[1].T, strict=True)]
    unseen = ~np.array(here, dtype=bool).reshape(len(here), -1).T & ~invented[:, p:]
    lost = ~np.array(kept, dtype=bool).reshape(len(kept), -1).T
    if not bench.is_null:
        yield from _shares(bench, "invented", invented, mixed.columns, _outside(invented, mixed))
    if p < len(mixed.columns):
        for field, flags, other, table in (
            ("unseen", unseen, bench.reference, _unseen),
            ("lost", lost, bench.candidate, _lost),
        ):
            if bench.is_null:
                yield from _shares(bench, field, flags, mixed.columns[p:])
                continue
            counts = [np.bincount(column) for column in mixed.codes[bench.real.rows].T]
            errors = [level_error(column, len(other) / len(bench.real)) for column in counts]
            yield from _shares(bench, field, flags, mixed.columns[p:], table(bench, mixed), errors)
    else:
        for field in ("unseen", "lost"):
            yield Value(field=field, status="not_applicable", reason="no column holds categories")


def _shares(
    bench: Workbench,
    field: str,
    flags: NDArray[np.bool_],
    names: tuple[str, ...],
    evidence: tuple[Evidence, ...] = (),
    errors: Sequence[float] = (),
) -> Iterator[Value]:
    """The share of flagged rows, in any column and in each; ``errors`` are those of the floors' own level."""
    k, n = int(flags.any(1).sum()), len(flags)
    reason = f"most of them in {names[int(flags.sum(0).argmax())]}" if k and not bench.is_null else ""
    total = clopper_pearson(k, n, bench.level)
    yield Value(field=field, estimate=total, unit="share of rows", reason=reason, evidence=evidence)
    for name, column, error in zip(names, flags.T, errors or [0.0] * len(names), strict=True):
        estimate = _wider(clopper_pearson(int(column.sum()), n, bench.level), error)
        yield Value(field=field, group=(("column", name),), estimate=estimate, unit="share of rows")


def _wider(e: Estimate, error: float) -> Estimate:
    """The interval with another, independent standard error."""
    if not error:
        return e
    reach = normal_quantile(0.5 + e.level / 2) * error
    low, high = e.value - math.hypot(e.value - e.low, reach), e.value + math.hypot(e.high - e.value, reach)
    return replace(e, low=max(low, 0.0), high=min(high, 1.0), method=f"{e.method}, and the error of the floor's level")


def level_error(counts: NDArray[np.intp], share: float) -> float:
    """Standard error of the share of rows whose category stands in no row of another sample: that of the floor's mean.

    Re-splits of the same real rows show how far one split lies from the next, not how far these real
    rows' long tail lies from that of others. A row whose category ``c`` real rows carry is unseen with
    probability ``(1 - r)^(c - 1)`` when a share ``r`` of them is looked at, so that the floor's mean is
    ``sum g(c) / n`` with ``g(c) = c (1 - r)^(c - 1)``; its error is the jackknife's, by the ``g(c) - g(c - 1)``
    that each row adds.

    Args:
        counts: Real rows by category.
        share: Of the real rows that the other sample holds.

    >>> level_error(np.array([500, 500]), 0.5)  # nothing is ever unseen
    0.0
    >>> round(level_error(np.ones(500, dtype=int) , 0.5), 3)  # all rows are alike: each is unseen
    0.0
    >>> round(level_error(np.repeat([1, 2, 3], 100), 0.5), 3)
    0.018
    """
    carried = counts[counts > 0].astype(np.float64)
    seen = 1 - share
    added = carried * seen ** (carried - 1) - (carried - 1) * seen ** np.maximum(carried - 2, 0)
    n = carried.sum()
    mean = (carried * added).sum() / n
    return round(float(math.sqrt((carried * (added - mean) ** 2).sum()) / n), 12)


def _invented(bench: Workbench, mixed: Mixed) -> NDArray[np.bool_]:
    """``(n, p + q)`` candidate cells with a value that no real row has and that chance does not explain."""
    p, rows = mixed.numeric.shape[1], bench.candidate.rows
    found = np.zeros((len(rows), len(mixed.columns)), dtype=bool)
    if bench.is_null:
        return found
    clusters = bench.corpus.clusters
    units = rows if clusters is None else clusters[rows]  # rows of one source bring a value together
    real = len(bench.real) if clusters is None else len(np.unique(clusters[bench.real.rows]))
    n, tried = len(np.unique(units)), 2 * p + sum(len(np.unique(column[rows])) for column in mixed.codes.T)
    least = next((k for k in range(1, n + 1) if _log_chance(k, n, real) < math.log(_CHANCE / max(tried, 1))), n + 1)
    for at, column in enumerate(mixed.numeric.T):
        known = column[bench.real.rows][~np.isnan(column[bench.real.rows])]
        sides = (column[rows] > known.max(), column[rows] < known.min()) if len(known) else ()
        for outside in sides:
            if len(np.unique(units[outside])) >= least:
                found[:, at] |= outside
    for at, column in enumerate(mixed.codes.T, start=p):
        values, counts = np.unique(column[rows], return_counts=True)
        for value in np.setdiff1d(values[counts >= least], column[bench.real.rows]):
            alike = column[rows] == value
            if len(np.unique(units[alike])) >= least:
                found[:, at] |= alike
    return found


def _log_chance(k: int, n: int, real: int) -> float:
    """Logarithm of the probability that the ``k`` units with a value are all among ``n`` of ``n + real`` alike."""
    log = math.lgamma
    return log(n + 1) - log(n - k + 1) - log(n + real + 1) + log(n + real - k + 1)


def _outside(invented: NDArray[np.bool_], mixed: Mixed) -> tuple[Evidence, ...]:
    """Where invented values stand; categories are named beside ``unseen``."""
    p = mixed.numeric.shape[1]
    rows = [
        (name, "outside the range of real values" if at < p else "categories that no real row has", int(k))
        for at, (name, k) in enumerate(zip(mixed.columns, invented.sum(0), strict=True))
        if k
    ]
    if not rows:
        return ()
    rows.sort(key=lambda row: (-row[2], row[0]))
    return (
        Evidence(
            title="Columns with values that chance does not explain",
            columns=("column", "values", "release rows"),
            rows=tuple(rows),
        ),
    )


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
