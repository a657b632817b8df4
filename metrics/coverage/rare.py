"""Is what is rare in real data there: rare categories and classes, tails of numbers, sparse regions?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import compress
from typing import Annotated

import numpy as np
import pydantic

from counterproof.metrics.coverage._lost_values import lost_value
from counterproof.metrics.coverage._rare_kinds import Field, Kind, rare_kinds
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence, Expected, Group
from counterproof.metrics.metric import Count, Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Sample
from counterproof.metrics.statistics.decidability import expected_ratio, largest_decidable_set
from counterproof.metrics.statistics.missing_mass import unseen_mass
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.statistics.ratios import EMPTY, ShareRatio, count_rows
from counterproof.metrics.workbench import Workbench

LIMIT = 0.33
SPARSE = 0.05  # share of real rows, those with the farthest neighbours, that make the sparse regions
SPARSE_DRAWS = 5  # re-splits that look for sparse regions: each searches for neighbours of all rows
SHOWN = 40
FIELDS: tuple[Field, ...] = ("tails", "categories")
FAITHFUL: Work[FaithfulKinds] = Work("what a faithful release shows of rare kinds")


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """One kind of rows, counted on both sides of a view."""

    kind: Kind
    ratio: ShareRatio

    @property
    def name(self) -> str:
        """The kind in words."""
        return self.kind.words


Share = Annotated[float, pydantic.Field(gt=0, lt=0.5)]


@metric(
    id="coverage.rare",
    family="coverage",
    title="rare values, tails and sparse regions",
    algo=2,
    better="higher",
    unit="ratio of shares",
    needs=Needs(smallest_n=2),
    reads=("columns",),
    tolerances=(
        Tolerance(
            "lost",
            "<=",
            0.0,
            "a value that a faithful release surely has: fresh rows lack one in fewer than 1 of 1,000 audits, by an "
            "exact test over all values",
        ),
        Tolerance(
            "tails",
            ">=",
            LIMIT,
            "two thirds of the extremes may be gone, as generators that guard extremes leave out half; tails of 1 % on "
            "either side decide from about 2,000 rows on, and one that the release empties beyond chance always fails",
            cells=True,
            widest=LIMIT,
        ),
        Tolerance(
            "categories",
            ">=",
            LIMIT,
            "as for tails; thinning rare categories may be deliberate protection, so this warns",
            cells=True,
            widest=LIMIT,
            level="warn",
        ),
    ),
    quantities={
        "value": Quantity(
            name="Rare rows, the kind kept least",
            measure="{} times their share in real data",
        ),
        "lost": Quantity(
            name="Values that the release has lost for sure",
            measure="{} values",
            finding="Values that real rows have are missing from the release",
            means="Nobody can study these rows in the release.",
            remedy="Make the generator produce the missing values: sample it by group, or weight them in training.",
            telling="missing",
        ),
        "tails": Quantity(
            name="Tail of {column} ({cell})",
            measure="{} times their share in real data",
            finding="The {cell} tail of {column} is thin or missing",
            means="The rare extremes, which often matter most, are clipped.",
            remedy="Check whether the generator clips or smooths {column}, and sample its extremes.",
            telling="detail",
        ),
        "categories": Quantity(
            name="Rare values of {column} ({cell})",
            measure="{} times their share in real data",
            finding="The rare value {column} = {cell} is thin or missing",
            means="Who works with this value finds too few rows.",
            remedy="Let the generator keep rare values, or tell those who use the release that they were left out.",
        ),
    },
)
def rare(bench: Workbench, *, rare: Share = 0.05, tail: Share = 0.01, k: Count = 5) -> Iterator[Value]:
    """Share of each rare kind of rows in the release, over its share in real data.

    Rare kinds are categories of few rows, and the tails of number columns. The kind that is kept least decides.
    Intervals are exact for two rare counts. ``lost`` looks for values, rare or common, that the release does
    not have although so many real rows carry them that a faithful release surely has one. Values of every
    categorical, boolean and text column are looked at (without a table: of label and groups); the chance is
    exact and adjusted for all of them.

    Formula:
        ratio = (share in the release) / (share in real data)

    How to read it:
        1 is faithful, 0.5 is half as many as there should be, 0 is none. One lost value fails. A tail that the
        release leaves out beyond chance is an alarm. A kind of too few rows to be decided at this size is
        measured and listed as "too few rows".

    Limits:
        At 1,000 rows only a missing tail can fail. Nothing is printed about kinds of fewer than ``small_cell``
        real rows.

    Args:
        bench: The samples.
        rare: Share of real rows up to which a category is rare.
        tail: Share of real rows on either side of a number column that is its tail.
        k: Which real neighbour's distance says how sparse a region is.

    Yields:
        value: The lowest ratio of tails and categories.
        tails: Ratio for each number column, both sides and each alone (``[column=age]``,
            ``[column=age,cell=low]``).
        categories: Ratio for each rare value (``[column=race,cell=Other]``), of table columns or of label and
            groups.
        lost: How many values are lost for sure.
        sparse: Ratio for rows farther from their k-th real neighbour than 95 % of real rows are.
        missed: Share of real rows of rare kinds of which the release has none.
        unseen: The share that even the real data have not seen, for whole rows and each category column.

    Raises:
        MetricError: A share is not between 0 and 0.5, or ``k`` is no neighbour.

    Source:
        Exact conditional intervals of a ratio of two Poisson counts (Przyborowski and Wilenski 1940,
        doi:10.1093/biomet/31.3-4.313); the unseen mass by Good (1953), doi:10.1093/biomet/40.3-4.237.
    """
    if not (0 < rare < 0.5 and 0 < tail < 0.5):
        raise MetricError(f"options rare = {rare} and tail = {tail}: give shares above 0 and below 0.5")
    if k < 1:
        raise MetricError(f"coverage.rare: k = {k} is no neighbour: give 1 or more")
    kinds = rare_kinds(bench, rare=rare, tail=tail)
    found = readings(bench, kinds)
    faithful = bench.shared(FAITHFUL.about(bench.real, rare=rare, tail=tail), lambda: faithful_kinds(bench, kinds))
    yield _lowest(bench, found, faithful.decidable)
    for field in FIELDS:
        some = [reading for reading in found if reading.kind.field == field]
        yield from (_kind_value(bench, reading, len(found), faithful) for reading in some)
        if not some:
            yield Value(field=field, status="not_applicable", reason=f"real data have no rare {field} to look for")
    yield _missed(bench, found)
    if not bench.is_null:
        yield lost_value(bench)
    if bench.draw is None or bench.draw < SPARSE_DRAWS:
        yield _sparse(bench, k)
    if not bench.is_null:
        yield from _unseen(bench)


def _sides(bench: Workbench) -> tuple[Sample, Sample]:
    return (bench.reference, bench.candidate) if bench.is_null else (bench.real, bench.release)


def readings(bench: Workbench, kinds: list[Kind]) -> list[Reading]:
    """Every kind that the real side of the view has, counted on both sides."""
    real, made = _sides(bench)
    counted = (
        Reading(
            kind=kind,
            ratio=ShareRatio(
                real=count_rows(kind.inside(real.rows), real), made=count_rows(kind.inside(made.rows), made)
            ),
        )
        for kind in kinds
    )
    return [reading for reading in counted if reading.ratio.real.hits]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaithfulKinds:
    """What a faithful release of as many rows as the generator learned from shows of kinds, by real counts alone.

    Attributes:
        errors: Standard deviation of the log ratio, by kind.
        decidable: The kinds that it passes, all those of one gate together.
    """

    errors: Mapping[Group, float]
    decidable: frozenset[Group]

    def expected(self, group: Group) -> Expected | None:
        """For the gates."""
        return expected_ratio(self.errors[group], LIMIT) if group in self.errors else None


def faithful_kinds(bench: Workbench, kinds: list[Kind]) -> FaithfulKinds:
    """What a faithful release shows of every kind that may be told of."""
    n = len(bench.real) if bench.train is None else len(bench.train)
    errors: dict[Group, float] = {}
    decidable: list[Group] = []
    for field in FIELDS:
        some = [kind for kind in kinds if kind.field == field and not kind.hidden]
        counts = [count_rows(kind.inside(bench.real.rows), bench.real) for kind in some]
        ratios = [ShareRatio(real=real, made=real) for real in counts]
        errors |= {kind.group: one.faithful_error(n) for kind, one in zip(some, ratios, strict=True)}
        miss = [1 - ratio.pass_probability(n, LIMIT, bench.level) for ratio in ratios]
        decidable += [kind.group for kind in compress(some, largest_decidable_set(miss))]
    return FaithfulKinds(errors=errors, decidable=frozenset(decidable))


def _kind_value(bench: Workbench, reading: Reading, looks: int, faithful: FaithfulKinds) -> Value:
    field, group, ratio = reading.kind.field, reading.kind.group, reading.ratio
    if reading.kind.hidden:
        reason = f"too few rows: fewer than {bench.small_cell} real rows"
        return Value(field=field, group=group, status="not_assessable", reason=reason, decidable=False)
    decidable = group in faithful.decidable
    return Value(
        field=field,
        group=group,
        estimate=ratio.estimate(bench.level),
        n={"real": ratio.real.hits, "release": ratio.made.rows},
        decidable=decidable,
        expected=faithful.expected(group),
        reason="" if decidable else "too few rows at this size",
        alarm="" if bench.is_null or field == "categories" else empty_alarm(reading, looks),
    )


def empty_alarm(reading: Reading, looks: int) -> str:
    """The tail that is left out beyond chance, one of so many kinds that were looked at; else nothing."""
    ratio = reading.ratio
    if ratio.made.hits or ratio.empty_by_chance() > EMPTY / looks:
        return ""
    expected = ratio.made.rows * ratio.real.share
    made = f"a faithful release of {ratio.made.rows:,} rows"
    return f"No row with {reading.name}; {made} would have about {expected:,.0f}"


def _lowest(bench: Workbench, found: list[Reading], decidable: frozenset[Group]) -> Value:
    """The lowest ratio: of decidable kinds, or of all where none is."""
    told = [reading for reading in found if not reading.kind.hidden]
    some = [reading for reading in told if reading.kind.group in decidable] or told
    if not some:
        why = "too few rows: real data hold no kind of rare rows often enough" if found else "no column has any"
        return Value(status="not_assessable" if found else "not_applicable", reason=why, decidable=False)
    lowest = min(some, key=lambda reading: (reading.ratio.value, reading.name))
    # Each kind's own lower end bounds the lowest where it is the lowest; the upper end is a choice among all.
    plain = [reading.ratio.estimate(bench.level) for reading in some]
    surely = [reading.ratio.estimate(bench.level ** (1 / len(some))) for reading in some]
    estimate = Estimate(
        value=lowest.ratio.value,
        low=min(e.low for e in plain),
        high=min(e.high for e in surely),
        level=bench.level,
        method=f"lowest of {len(some)}: high end Šidák, low end plain",
        scale="log",
    )
    real, made = _sides(bench)
    return Value(
        estimate=estimate,
        n={"real": len(real), "release": len(made)},
        decidable=lowest.kind.group in decidable,
        reason=f"lowest: {lowest.name}",
        evidence=() if bench.is_null else (_listed(bench, told),),
    )


def _listed(bench: Workbench, told: list[Reading]) -> Evidence:
    """The kinds that are kept least; those of too few real rows are not among them."""
    rows: list[tuple[str, str, int, int, float, float, float]] = []
    ordered = sorted(told, key=lambda reading: (reading.ratio.estimate(bench.level).high, reading.name))
    for reading in ordered[:SHOWN]:
        e = reading.ratio.estimate(bench.level)
        values = dict(reading.kind.group)
        what = values.get("cell") or "both ends"
        what = f"{what} end" if reading.kind.field == "tails" and "cell" in values else what
        real, made = reading.ratio.real.hits, reading.ratio.made.hits
        rows.append((values["column"] or "", what, real, made, e.value, e.low, e.high))
    return Evidence(
        title="Rare kinds of rows that the release keeps least",
        columns=("column", "rare rows", "real rows", "release rows", "ratio of shares", "low", "high"),
        rows=tuple(rows),
        note=f"{len(told)} kinds were looked at; those that are surely thin stand first.",
    )


def _missed(bench: Workbench, found: list[Reading]) -> Value:
    """Real rows of rare kinds that have none of their kind in the release, of all real rows of rare kinds."""
    real, _ = _sides(bench)
    concerned, missed = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for reading in found:
        inside = reading.kind.inside(real.rows)
        concerned |= inside
        if not reading.ratio.made.hits:
            missed |= inside
    if not concerned.any():
        return Value(field="missed", status="not_applicable", reason="real data have no rare rows to look for")
    swell = count_rows(missed, real).swell
    hits, rows = int(missed.sum()), int(concerned.sum())
    exact = clopper_pearson(round(hits / swell), max(1, round(rows / swell)), bench.level)
    estimate = replace(exact, value=hits / rows, low=min(exact.low, hits / rows), high=max(exact.high, hits / rows))
    return Value(
        field="missed", estimate=estimate, better="lower", unit="share of real rows of rare kinds", n={"real": rows}
    )


def _sparse(bench: Workbench, k: int) -> Value:
    """Rows that lie where real rows are sparse: as far from their ``k``-th real neighbour as few real rows are."""
    reference, candidate = bench.reference, bench.candidate
    if len(reference) < max(k + 1, 2 / SPARSE):
        reason = f"{max(k + 1, round(2 / SPARSE))} real rows are needed to tell sparse regions"
        return Value(field="sparse", status="not_assessable", reason=reason, decidable=False)
    own = bench.neighbours(reference, reference, k).distance[:, -1]
    far = bench.neighbours(candidate, reference, k).distance[:, -1]
    edge = np.sort(own)[len(own) - 1 - round(SPARSE * len(own))]
    ratio = ShareRatio(real=count_rows(own > edge, reference), made=count_rows(far > edge, candidate))
    if ratio.real.hits < 2:
        reason = "so many real rows are equally far from their neighbours that none are sparse"
        return Value(field="sparse", status="not_assessable", reason=reason, decidable=False)
    reason = f"about {SPARSE:.0%} of real rows lie there"
    return Value(field="sparse", estimate=ratio.estimate(bench.level), n=bench.sizes, reason=reason)


def _unseen(bench: Workbench) -> Iterator[Value]:
    """What real data have not seen, so that a release cannot be asked for it."""
    mixed, rows = bench.corpus.mixed, bench.real.rows
    unit = "share of the next real rows"
    columns: dict[Group, np.ndarray[tuple[int, ...], np.dtype[np.intp]]] = {
        (): np.unique(bench.real.digests, return_counts=True)[1]
    }
    for at, name in enumerate(() if mixed is None else mixed.columns[mixed.numeric.shape[1] :]):
        assert mixed is not None
        columns[(("column", name),)] = np.bincount(mixed.codes[rows, at]).astype(np.intp)
    for group, counts in columns.items():
        reason = "" if group else "whole rows: a share of 1 says that no two real rows are equal"
        estimate = unseen_mass(counts, bench.level)
        yield Value(
            field="unseen",
            group=group,
            estimate=estimate,
            better="lower",
            unit=unit,
            n={"real": len(rows)},
            reason=reason,
        )
