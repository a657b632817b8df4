"""One column at a time: distributions, missing values, categories lost and categories invented."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Estimate, Evidence, Expected, Group, normal_quantile
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import MISSING_TEXT, Mixed, Sample
from counterproof.metrics.shared.column_histograms import column_panel
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.workbench import Workbench

_SHAPES = "0.10 is what a reader sees at a glance in two histograms; fresh rows of 1,000 stay below 0.05 beyond chance"
_INVENTED = 0.01
_CHANCE = 1e-3  # that a fresh release of this size has any value which counts as invented
# Shares of fresh rows with a number that the reference has not, up to which one that many release rows have is
# invented, and up to which any that is new counts as unseen: above it the long tail hides what a release adds.
_CODES, _SETTLED = 0.05, 0.005


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
    algo=3,
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
    quantities={
        "value": Quantity(
            name="Distribution of {column}",
            measure="distance {} (0 is the same, 1 is apart)",
            finding="The distribution of {column} differs from that of real data",
            means="Counts and averages of this column come out wrong.",
            remedy="Compare the two histograms of {column}, and look at how the generator encodes it.",
            telling="column",
            remarked=True,
        ),
        "missing": Quantity(
            name="Missing values of {column}",
            shown_as="points",
            measure="{} more or fewer than in real data",
            finding="Column {column} has another share of missing values than real data",
            means="Missing values tell something about the rows, and that is lost.",
            remedy="Let the generator model missing values of {column}.",
            telling="column",
        ),
        "invented": Quantity(
            name="Values of {column} that real data never have",
            shown_as="percent",
            measure="{} of release rows",
            finding="Column {column} holds values that do not exist in real data",
            means="Code that reads real data may break on them.",
            remedy="Restrict {column} to the values of the real column; the evidence names those that are new.",
            telling="column",
        ),
        "unseen": Quantity(
            name="Values of {column} that the reference rows do not have",
            shown_as="percent",
            measure="{} of release rows",
            finding="Column {column} holds more new values than fresh real rows would bring",
            means="Some of them are probably no real values.",
            remedy="Check the new values of {column}, which the evidence names.",
            telling="column",
        ),
        "lost": Quantity(
            name="Values of {column} that the release never has",
            shown_as="percent",
            measure="{} of real rows carry one",
            finding="The release lacks values of {column} that real rows have",
            means="Who works with these rare values finds none.",
            remedy="If rare values were left out on purpose, say so to the users; else let the generator keep them.",
        ),
    },
)
def marginals(bench: Workbench) -> Iterator[Value]:
    """How far the distribution of each column lies from the real one.

    Numbers and dates are compared by the Kolmogorov–Smirnov distance, categories by total variation, where
    missing is a value of its own. Four further fields look at values that real data do not have, and at values
    that the release does not have.

    A value counts as invented only if chance does not explain it. A category or a code, numbers above (below)
    all real ones, or fractions where all real ones are whole, in ``k`` of ``n`` candidate rows and in none of
    ``m`` real ones, have the probability given below if rows are alike. The value counts if that times the
    number of values tried (those that ``k`` rows of both have) is below 0.001.

    Numbers are taken as codes (or counts, ages, grades) where real rows share them: where no more than 5 % of
    fresh rows would bring one that the reference does not have (0.5 % for ``unseen``). Of other numbers only
    range and fractions are looked at.

    Formula:
        KS = max over t of |F_real(t) − F_synthetic(t)|; TV = ½ Σ |p_real(v) − p_synthetic(v)|
        P(a value in k of n rows, and in none of m) = C(n, k) / C(n + m, k)

    How to read it:
        0 is equal, 1 is disjoint. Finite samples of one distribution never reach 0: read the excess over the
        floor. The evidence names only values that no real row has.

    Limits:
        It looks at one column at a time: columns may all agree while every relation between them is lost. The
        Fréchet and kernel distances and detectability see that.

    Yields:
        value: Distance of each column (``[column=age]``); the worst column without a group.
        missing: Difference of the rates of missing values.
        invented: Share of rows with a value that no real row has and that chance does not explain.
        unseen: Share of rows with another category or code that the reference does not have. In a long tail
            fresh rows bring such values too; only the excess over that is judged. Its interval holds the error
            of the floor's level.
        lost: Share of real rows with a category that the release does not have, however rare.

    Source:
        Kolmogorov–Smirnov and total variation distance; SDMetrics' KSComplement and TVComplement are 1 minus
        these, but drop missing values.
    """
    mixed = bench.corpus.mixed
    assert mixed is not None
    found = {name: column_difference(mixed, name, bench.reference, bench.candidate) for name in mixed.columns}
    worst = max(found, key=lambda name: found[name].value)
    numeric = set(mixed.columns[: mixed.numeric.shape[1]])
    for name, difference in found.items():
        method = "Kolmogorov–Smirnov, normal" if name in numeric else "total variation, normal"
        estimate = difference.estimate(bench.level, method)
        yield Value(group=(("column", name),), estimate=estimate, reason=_constant(bench, mixed, name))
    panels = () if bench.is_null else (column_panel(bench, {n: d.value for n, d in found.items()}),)
    yield Value(estimate=found[worst].estimate(bench.level, "worst column"), panels=panels, reason=_worst(bench, worst))
    yield from missing_rates(bench, mixed)
    yield from categories(bench, mixed)


def _constant(bench: Workbench, mixed: Mixed, name: str) -> str:
    """That a column of the release has one value alone; empty where it has more, or real rows have one too."""
    if bench.is_null:
        return ""
    at, p = mixed.columns.index(name), mixed.numeric.shape[1]
    column = mixed.numeric[:, at] if at < p else mixed.codes[:, at - p]
    real, made = (np.unique(column[rows]) for rows in (bench.reference.rows, bench.candidate.rows))
    return "it has one value in all release rows" if len(made) == 1 < len(real) else ""


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


@dataclass(frozen=True, eq=False)
class _Column:
    """One column's values as codes, equal where values are equal.

    Attributes:
        name: Of the column.
        at: Its place among the mixed columns.
        codes: ``(n,)`` by row of the corpus; -1 is a missing number, which ``missing`` judges.
        alone: Of fresh rows that have not the commonest value, the share that would bring one which the reference
            has not; 0 for categories, which are always looked at. Many zeros make codes of no amounts.
        error: Standard error of the level of ``unseen``.
    """

    name: str
    at: int
    codes: NDArray[np.int32]
    alone: float
    error: float

    def of(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Rows by value."""
        codes = self.codes[rows]
        return np.bincount(codes[codes >= 0], minlength=int(self.codes.max(initial=-1)) + 1)

    def new(self, rows: NDArray[np.intp], known: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of some rows hold a value that none of the known ones has."""
        codes = self.codes[rows]
        fresh: NDArray[np.bool_] = (codes >= 0) & (self.of(known) == 0)[codes]
        return fresh


_COLUMNS: Work[list[_Column]] = Work("values of columns by row")


def _columns(bench: Workbench, mixed: Mixed) -> list[_Column]:
    """The columns with their values as codes, and whether real rows share them; the same in all views."""
    seen = len(bench.measured.reference) / max(len(bench.real), 1)

    def compute() -> list[_Column]:
        p = mixed.numeric.shape[1]
        found = []
        for at, name in enumerate(mixed.columns):
            codes = _number_codes(bench, name, mixed.numeric[:, at]) if at < p else mixed.codes[:, at - p]
            real = codes[bench.real.rows]
            counts = np.bincount(real[real >= 0])
            carried = np.sort(counts[counts > 0].astype(np.float64))[:-1]
            alone = (carried * (1 - seen) ** (carried - 1)).sum() / max(carried.sum(), 1.0)
            found.append(_Column(name, at, codes, float(alone) if at < p else 0.0, level_error(counts, seen)))
        return found

    return bench.shared(_COLUMNS.about(bench.real, bench.release, reference=len(bench.measured.reference)), compute)


def _number_codes(bench: Workbench, name: str, ranks: NDArray[np.float32]) -> NDArray[np.int32]:
    """Numbers or dates by their own values: ranks in single precision may be equal where numbers are not."""
    frame = bench.corpus.frame
    values = ranks if frame is None else frame[name].to_numpy()
    codes, _ = pd.factorize(values, use_na_sentinel=True)
    return codes.astype(np.int32)


def categories(bench: Workbench, mixed: Mixed) -> Iterator[Value]:
    """Values that the candidate invented, brought or lost, as shares of rows: by column, and in any column."""
    p = mixed.numeric.shape[1]
    columns = _columns(bench, mixed)
    invented = _invented(bench, mixed, columns)
    coded, named = [column for column in columns if column.alone <= _SETTLED], columns[p:]
    rows, real = bench.candidate.rows, bench.reference.rows
    unseen = _stacked([column.new(rows, real) & ~invented[:, column.at] for column in coded], len(rows))
    lost = _stacked([column.new(real, rows) for column in named], len(real))
    if not bench.is_null:
        expected = _nothing_expected(bench)
        told = _outside(invented, mixed, bench)
        yield from _shares(bench, "invented", invented, mixed.columns, told, expected=expected)
    for field, flags, some, table, what in (
        ("unseen", unseen, coded, _unseen, "no column holds categories or codes"),
        ("lost", lost, named, _lost, "no column holds categories"),
    ):
        if not some:
            yield Value(field=field, status="not_applicable", reason=what)
            continue
        names = tuple(column.name for column in some)
        if bench.is_null:
            yield from _shares(bench, field, flags, names)
            continue
        errors = [column.error for column in some]
        if field == "lost":
            errors = [level_error(column.of(bench.real.rows), len(rows) / len(bench.real)) for column in some]
        yield from _shares(bench, field, flags, names, table(bench, mixed, some), errors)


def _stacked(flags: list[NDArray[np.bool_]], rows: int) -> NDArray[np.bool_]:
    """``(rows, columns)``."""
    return np.array(flags, dtype=bool).reshape(len(flags), rows).T


def _shares(
    bench: Workbench,
    field: str,
    flags: NDArray[np.bool_],
    names: tuple[str, ...],
    evidence: tuple[Evidence, ...] = (),
    errors: Sequence[float] = (),
    *,
    expected: Expected | None = None,
) -> Iterator[Value]:
    """The share of flagged rows, in any column and in each; ``errors`` are those of the floors' own level."""
    k, n = int(flags.any(1).sum()), len(flags)
    reason = f"most of them in {names[int(flags.sum(0).argmax())]}" if k and not bench.is_null else ""
    total = clopper_pearson(k, n, bench.level)
    yield Value(field=field, estimate=total, unit="share of rows", reason=reason, evidence=evidence, expected=expected)
    for name, column, error in zip(names, flags.T, errors or [0.0] * len(names), strict=True):
        estimate = _wider(clopper_pearson(int(column.sum()), n, bench.level), error)
        group: Group = (("column", name),)
        yield Value(field=field, group=group, estimate=estimate, unit="share of rows", expected=expected)


def _nothing_expected(bench: Workbench) -> Expected:
    """A faithful release of as many rows as the generator learned from: not one row, and an interval all the same."""
    rows = len(bench.train) if bench.train is not None else len(bench.real)
    error = clopper_pearson(0, rows, bench.level).high / normal_quantile(0.5 + bench.level / 2)
    return Expected(value=0.0, spread=0.0, error=error)


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


def _invented(bench: Workbench, mixed: Mixed, columns: Sequence[_Column]) -> NDArray[np.bool_]:
    """``(n, p + q)`` candidate cells with a value that no real row has and that chance does not explain."""
    p, rows = mixed.numeric.shape[1], bench.candidate.rows
    found = np.zeros((len(rows), len(mixed.columns)), dtype=bool)
    if bench.is_null:
        return found
    clusters = bench.corpus.clusters
    units = rows if clusters is None else clusters[rows]  # rows of one source bring a value together
    real = len(bench.real) if clusters is None else len(np.unique(clusters[bench.real.rows]))
    coded = [column for column in columns if column.alone <= _CODES]
    least = _least(len(np.unique(units)), real, 3 * p, [c.of(bench.real.rows) + c.of(rows) for c in coded])
    for at, column in enumerate(mixed.numeric.T):
        known = column[bench.real.rows][~np.isnan(column[bench.real.rows])]
        sides = (column[rows] > known.max(), column[rows] < known.min()) if len(known) else ()
        for outside in (*sides, *_fractions(bench, mixed.columns[at])):
            if len(np.unique(units[outside])) >= least:
                found[:, at] |= outside
    for coding in coded:
        made = coding.of(rows)
        for value in np.flatnonzero((made >= least) & (coding.of(bench.real.rows) == 0)):
            alike = coding.codes[rows] == value
            if len(np.unique(units[alike])) >= least:
                found[:, coding.at] |= alike
    return found


def _fractions(bench: Workbench, name: str) -> Iterator[NDArray[np.bool_]]:
    """Which candidate rows hold a fraction, where all real numbers are whole."""
    frame = bench.corpus.frame
    if frame is None or bench.corpus.kinds.get(name) != "number":
        return
    values = frame[name].to_numpy(dtype=float)
    broken = ~np.isnan(values) & (values != np.floor(values))
    if not broken[bench.real.rows].any():
        yield broken[bench.candidate.rows]


def _least(n: int, real: int, sides: int, counts: Sequence[NDArray[np.intp]]) -> int:
    """In how many units of a release a value must stand before chance does not explain that no real unit has it.

    All values are tried that so many rows of both have: which those are does not depend on who has them.
    """
    held = np.sort(np.concatenate(counts)) if counts else np.zeros(0, dtype=np.intp)
    for k in range(1, n + 1):
        tried = sides + len(held) - int(np.searchsorted(held, k))
        if _log_chance(k, n, real) < math.log(_CHANCE / max(tried, 1)):
            return k
    return n + 1


def _log_chance(k: int, n: int, real: int) -> float:
    """Logarithm of the probability that the ``k`` units with a value are all among ``n`` of ``n + real`` alike."""
    log = math.lgamma
    return log(n + 1) - log(n - k + 1) - log(n + real + 1) + log(n + real - k + 1)


def _outside(invented: NDArray[np.bool_], mixed: Mixed, bench: Workbench) -> tuple[Evidence, ...]:
    """Where invented values stand; categories and codes are named beside ``unseen``."""
    rows = [(mixed.columns[at], _what(bench, mixed, at, invented[:, at]), int(k)) for at, k in _some(invented.sum(0))]
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


def _some(counts: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Places and counts, where there are any."""
    return ((at, int(k)) for at, k in enumerate(counts) if k)


def _what(bench: Workbench, mixed: Mixed, at: int, flags: NDArray[np.bool_]) -> str:
    if at >= mixed.numeric.shape[1]:
        return "categories that no real row has"
    known, made = mixed.numeric[bench.real.rows, at], mixed.numeric[bench.candidate.rows, at][flags]
    inside = (made >= np.nanmin(known)) & (made <= np.nanmax(known))
    return "numbers that no real row has" if inside.any() else "outside the range of real values"


def _unseen(bench: Workbench, mixed: Mixed, columns: Sequence[_Column]) -> tuple[Evidence, ...]:
    rows = []
    for name, values, real, made in _counts(bench, columns, mixed):
        for at in np.flatnonzero((real == 0) & (made > 0)):
            rows.append((name, values[at], int(made[at])))
    rows.sort(key=lambda row: (-row[2], row[0], row[1]))
    if not rows:
        return ()
    what = "categories" if all(column.at >= mixed.numeric.shape[1] for column in columns) else "values"
    title = f"{len(rows)} {what} that no real row has"
    return (Evidence(title=title, columns=("column", "category", "release rows"), rows=tuple(rows[:200])),)


def _lost(bench: Workbench, mixed: Mixed, columns: Sequence[_Column]) -> tuple[Evidence, ...]:
    rows: list[tuple[str, str, int]] = []
    rare: dict[str, int] = {}
    for name, values, real, made in _counts(bench, columns, mixed):
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
    bench: Workbench, columns: Sequence[_Column], mixed: Mixed
) -> Iterator[tuple[str, NDArray[np.str_], NDArray[np.intp], NDArray[np.intp]]]:
    """Per column: the values by code, and rows per code among real rows and the release."""
    frame = bench.corpus.frame
    assert frame is not None
    for coding in columns:
        codes = coding.codes
        size = int(codes.max(initial=-1)) + 1
        first = np.full(size, -1)
        rows = np.flatnonzero(codes >= 0)[::-1]
        first[codes[rows]] = rows
        column = frame[coding.name]
        gone = column.isna().to_numpy()[first] | (first < 0)
        held = column.to_numpy()[first]
        values = np.array([MISSING_TEXT if out else _shown(value) for out, value in zip(gone, held, strict=True)])
        yield coding.name, values, coding.of(bench.real.rows), coding.of(bench.release.rows)


def _shown(value: Any) -> str:
    """A value as readers write it; whole numbers without a point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
