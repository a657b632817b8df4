"""Which part of the real rows has nothing of the release near it, and whose rows these are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from counterproof.metrics.engine.knn_graph import TooDense
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence, Group, normal_quantile
from counterproof.metrics.metric import Count, Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.prdc.balls import covered_rows
from counterproof.metrics.prdc.scores import HALVES, Manifold, halves_reach, manifold
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.partitions import Partition, partitions
from counterproof.metrics.statistics.decidability import largest_decidable_set
from counterproof.metrics.statistics.proportions import wilson, wilson_ends
from counterproof.metrics.workbench import Workbench

LIMIT = 0.20
SHOWN = 40
LISTED = 200  # groups and crossings; of more, crossings too small to decide are counted and not listed
METHOD = f"Wilson, effective rows by {HALVES} half-samples"
Flags = NDArray[np.bool_]
DECIDABLE: Work[frozenset[Group]] = Work("groups whose cover a faithful release passes together")
HALVES_COVERED: Work[NDArray[np.int8]] = Work("which halves cover a row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """Real rows of one group, and how many of them are uncovered.

    Attributes:
        group: Which; ``()`` for all rows.
        rows: Real rows of the group on this side.
        share: Share of them that is uncovered.
        effective: Independent rows that would know the share as well.
        decidable: Whether a faithful release passes it, and all such groups together.
        hidden: Whether nothing of them may be told.
    """

    group: Group
    rows: int
    share: float
    effective: float
    decidable: bool
    hidden: bool

    def estimate(self, level: float) -> Estimate:
        """The share with Wilson's interval at the effective number of rows."""
        n = max(1, round(self.effective))
        found = wilson(self.share * n, n, level)
        return Estimate(value=self.share, low=found.low, high=found.high, level=level, method=METHOD)


@metric(
    id="coverage.uncovered_mass",
    family="coverage",
    title="real mass that the release leaves uncovered",
    algo=2,
    better="lower",
    unit="share of real rows",
    needs=Needs(smallest_n=500),
    tolerances=(
        Tolerance(
            "worst_excess",
            "<=",
            LIMIT,
            "a fifth of a group may have nothing near it beyond what fresh real rows leave bare; only groups large "
            "enough that fresh rows pass are compared; 7 of 8 draws of fresh law rows passed, so this warns",
            level="warn",
        ),
    ),
    quantities={
        "worst": Quantity(
            name="Real rows without a release row near them, worst group",
            shown_as="percent",
            measure="{} of the group",
            finding="A group has many real rows with nothing near them in the release",
            means="The release shows only a part of this group.",
            remedy="See which group it is in the table by group, and generate more varied rows of it.",
            remarked=True,
        ),
        "value": Quantity(
            name="Real rows without a release row near them",
            shown_as="percent",
            measure="{} of real rows",
        ),
    },
)
def uncovered_mass(bench: Workbench, *, k: Count = 5) -> Iterator[Value]:
    """Share of real rows with no synthetic row nearer than their ``k``-th real neighbour, for each group.

    This is 1 less coverage. Every row of the group is held against all rows, so groups of any size compare.

    Formula:
        value = 1 − coverage, within the group
        expected for a faithful release of m rows and n real rows: ∏ (n − j) / (n + m − j), j = 1…k

    How to read it:
        Lower is better, and 0 is not expected: 3.1 % of 1,000 against 1,000 rows at k = 5, whatever the
        distribution and the group. Ties make it less; the floor has them. ``worst`` names the group that is
        worst off.

    Limits:
        One synthetic row near a real row is enough. Groups too small for fresh rows to pass are listed and not
        compared.

    Args:
        bench: The samples.
        k: Which real neighbour sets the radius.

    Yields:
        value: Share for all rows and for each group (``[sex=F]``).
        worst: The group that is worst off; the interval holds for all groups large enough to decide.

    Raises:
        MetricError: ``k`` is no neighbour.

    Source:
        Naeem et al. (2020), arXiv:2002.09797, for the share and its expectation at equal sizes; Asudeh et al.
        (2021), doi:10.1145/3448016.3457315, for uncovered regions of continuous data.
    """
    if k < 1:
        raise MetricError(f"uncovered mass: k = {k} is no neighbour: give 1 or more")
    try:
        found = lacking(bench, k)
    except TooDense as error:
        yield Value(status="not_assessable", reason=str(error), n=bench.sizes)
        return
    if not found:
        reason = f"k = {k} needs {2 * (k + 1)} rows on each side, so that halves have {k} neighbours"
        yield Value(status="not_assessable", reason=reason, n=bench.sizes)
        return
    whole, groups = found[0], found[1:]
    evidence = () if bench.is_null or not groups else (_by_group(bench, whole, groups, k),)
    expected = faithful_share(len(bench.reference), len(bench.candidate), k)
    told = f"a faithful release leaves {expected:.3g}, fewer where rows are tied"
    yield Value(estimate=whole.estimate(bench.level), n=bench.sizes, reason=told, evidence=evidence)
    listed = groups if len(groups) <= LISTED else [one for one in groups if one.decidable or len(one.group) == 1]
    yield from (_group_value(bench, one) for one in listed)
    yield _worst(bench, groups, len(groups) - len(listed))


def faithful_share(n: int, m: int, k: int) -> float:
    """Share of ``n`` real rows that ``m`` fresh real rows leave uncovered on average, without ties, exactly.

    A row is uncovered when its ``k`` nearest among all others are real ones, and any are as likely.

    >>> round(1 - faithful_share(1000, 1000, 5), 5), round(1 - faithful_share(1000, 500, 5), 5)
    (0.96898, 0.86897)
    """
    return float(np.prod([(n - j) / (n + m - j) for j in range(1, k + 1)]))


def lacking(bench: Workbench, k: int) -> list[Lacking]:
    """The share of all rows, then of every group; empty where there are too few rows for neighbours.

    Raises:
        TooDense: The rows are so tied that neighbours cannot be told apart.
    """
    if not halves_reach(bench, k):
        return []
    made = manifold(bench, k)
    bare = _bare(bench, k)
    halves = (
        None
        if bench.is_null
        else bench.shared(HALVES_COVERED.about(bench.reference, bench.candidate, k=k), lambda: _halves(bench, made, k))
    )
    everyone = np.zeros(len(bare), dtype=np.intp)
    shares, effective = _shares(bare, halves, everyone, 1, 1.0)
    n = len(bare)
    factor = n / effective[0]
    found = [Lacking(group=(), rows=n, share=float(shares[0]), effective=effective[0], decidable=True, hidden=False)]
    decided = bench.shared(DECIDABLE.about(bench.real, k=k), lambda: decidable_groups(bench, k))
    for part in partitions(bench):
        found += _of_partition(bench, part, bare, halves, float(factor), decided)
    return found


def decidable_groups(bench: Workbench, k: int) -> frozenset[Group]:
    """The groups that a faithful release passes all together; from one re-split of real rows alone.

    The re-split tells how many rows fresh rows leave bare, and by half-samples how many rows are worth one
    independent row.
    """
    view = bench.resplit(0)
    bare, made = _bare(view, k), manifold(view, k)
    everyone = np.zeros(len(bare), dtype=np.intp)
    _, effective = _shares(bare, _halves(view, made, k), everyone, 1, 1.0)
    share, factor = float(bare.mean()), len(bare) / float(effective[0])
    fraction = len(bench.reference) / len(bench.real)
    parts = partitions(bench)
    names = [group for part in parts for group in part.groups]
    real = [part.counts(bench.real) * ~part.hidden(bench) for part in parts]
    rows = np.floor(np.concatenate([np.zeros(0), *real]) * fraction / factor).astype(np.intp)
    sizes, of_size = np.unique(rows, return_inverse=True)
    miss = np.array([1 - _pass_probability(int(n), share, bench.level) for n in sizes])
    return frozenset(compress(names, largest_decidable_set(miss[of_size])))


def _pass_probability(n: int, share: float, confidence: float) -> float:
    """How probably ``n`` independent rows, of which fresh rows leave a share bare, stay within the limit."""
    if not n:
        return 0.0
    hits = np.arange(n + 1)
    _, high = wilson_ends(hits, np.array([n]), normal_quantile(confidence))
    return float(binom.cdf(np.count_nonzero(high <= share + LIMIT) - 1, n, share))


def _bare(bench: Workbench, k: int) -> Flags:
    """``(n,)`` reference rows that are uncovered."""
    made = manifold(bench, k)
    found: Flags = ~made.balls.covered[made.graph.node[made.sides == 1]]
    return found


def _of_partition(
    bench: Workbench,
    part: Partition,
    bare: Flags,
    halves: NDArray[np.int8] | None,
    factor: float,
    decided: frozenset[Group],
) -> Iterator[Lacking]:
    codes = part.codes[bench.reference.rows]
    shares, effective = _shares(bare, halves, codes, len(part), factor)
    rows, real, hidden = part.counts(bench.reference), part.counts(bench.real), part.hidden(bench)
    if not (bench.is_null or bench.show_real):
        hidden |= (rows > 0) & (rows < bench.small_cell)
    for at in np.flatnonzero(rows if bench.is_null else real):
        yield Lacking(
            group=part.groups[at],
            rows=int(rows[at]),
            share=float(shares[at]),
            effective=float(effective[at]),
            decidable=bool(rows[at]) and part.groups[at] in decided,
            hidden=bool(hidden[at]),
        )


def _halves(bench: Workbench, made: Manifold, k: int) -> NDArray[np.int8]:
    """``(HALVES, n)``: 1 for reference rows that are uncovered in a half of both sides, 0 if not, -1 if not in it.

    Halves are drawn without replacement: twins of a bootstrap would shrink radii to 0.
    """
    rng = bench.generator("uncovered halves")
    graph, n = made.graph, len(bench.reference)
    told = np.full((HALVES, n), -1, dtype=np.int8)
    for half in range(HALVES):
        rows = bench.reference.half(rng)
        reference = np.bincount(graph.node[rows], minlength=len(graph)).astype(np.int32)
        others = np.bincount(graph.node[n + bench.candidate.half(rng)], minlength=len(graph)).astype(np.int32)
        covered = covered_rows(graph, reference, others, k, cut=True)
        told[half, rows] = ~covered[graph.node[rows]]
    return told


def _shares(
    bare: Flags, halves: NDArray[np.int8] | None, codes: NDArray[np.intp], groups: int, factor: float
) -> tuple[Floats, Floats]:
    """``(groups,)`` uncovered shares, and the independent rows that each is worth.

    Neighbouring rows are covered together: over half-samples the shares spread as those of a half
    to a third of the rows would. A group that no half-sample tells of takes the factor of all rows.
    """
    rows = np.bincount(codes, minlength=groups).astype(np.float64)
    shares = np.bincount(codes, weights=bare, minlength=groups) / np.maximum(rows, 1)
    if halves is None:
        return shares, rows / factor
    drawn = np.full((len(halves), groups), np.nan)
    for half, told in enumerate(halves):
        inside = np.flatnonzero(told >= 0)
        size = np.bincount(codes[inside], minlength=groups)
        hits = np.bincount(codes[inside], weights=told[inside], minlength=groups)
        np.divide(hits, size, out=drawn[half], where=size > 0)
    known = np.isfinite(drawn)
    seen = np.maximum(known.sum(0), 2)
    mean = np.where(known, drawn, 0.0).sum(0) / seen
    variance = (np.where(known, drawn - mean, 0.0) ** 2).sum(0) / (seen - 1)
    binomial = mean * (1 - mean) / np.maximum(rows, 1)
    swell = np.divide(variance, binomial, out=np.full(groups, factor), where=binomial > 0)
    return shares, rows / np.maximum(swell, 1.0)


def _group_value(bench: Workbench, one: Lacking) -> Value:
    if one.hidden or not one.rows:
        few = f"fewer than {bench.small_cell} real rows" if one.hidden else "no real row on this side"
        reason = f"too few rows: {few}"
        return Value(group=one.group, status="not_assessable", reason=reason, decidable=False)
    small = "too few rows: fresh real rows would often be beyond the limit"
    return Value(
        group=one.group,
        estimate=one.estimate(bench.level),
        n={"reference": one.rows, "candidate": len(bench.candidate)},
        decidable=one.decidable,
        reason="" if one.decidable else small,
    )


def _worst(bench: Workbench, groups: list[Lacking], unlisted: int) -> Value:
    decidable = [one for one in groups if one.decidable and not one.hidden]
    if not groups:
        return Value(field="worst", status="not_applicable", reason="no groups were given")
    if not decidable:
        reason = "too few rows: no group has real rows enough to be held against the release"
        return Value(field="worst", status="not_assessable", reason=reason, decidable=False)
    # Each group's own upper end bounds the worst where it is the worst; the lower end is a choice among all.
    several = [one.estimate(bench.level) for one in decidable]
    surely = [one.estimate(bench.level ** (1 / len(decidable))) for one in decidable]
    worst = max(range(len(several)), key=lambda at: several[at].value)
    return Value(
        field="worst",
        estimate=Estimate(
            value=several[worst].value,
            low=max(e.low for e in surely),
            high=max(e.high for e in several),
            level=bench.level,
            method=f"worst of {len(several)}: low end Šidák, high end plain",
        ),
        n=bench.sizes,
        reason=f"worst: {_text(decidable[worst].group)}"
        + (f"; {unlisted} smaller crossings: too few rows" if unlisted else ""),
    )


def _text(group: Group) -> str:
    return ", ".join(f"{column}={value}" for column, value in group)


def _by_group(bench: Workbench, whole: Lacking, groups: list[Lacking], k: int) -> Evidence:
    """Shares only: of no row is told where it lies."""
    told = sorted((one for one in groups if one.rows and not one.hidden), key=lambda one: -one.share)
    rows: list[tuple[str, int | None, float | None, float | None, float | None]] = []
    for one in told[:SHOWN]:
        e = one.estimate(bench.level)
        rows.append((_text(one.group), one.rows, e.value, e.low, e.high))
    hidden = [one for one in groups if one.hidden or not one.rows]
    rows += [(f"{_text(one.group)}: too few rows", None, None, None, None) for one in hidden[:SHOWN]]
    expected = faithful_share(len(bench.reference), len(bench.candidate), k)
    left = len(told) - SHOWN
    return Evidence(
        title="Real rows without a synthetic row near them, by group",
        columns=("group", "real rows", "share uncovered", "low", "high"),
        rows=tuple(rows),
        note=f"All rows: {whole.share:.3g}; a faithful release leaves {expected:.3g} in every group."
        + (f" {left} more groups have less." if left > 0 else ""),
    )
