"""Precision, recall, density and coverage, with their floors, from one set of neighbour lists.

The clipped variants and realism are measured in the same passes; their metrics stand in ``clipped.py``
and ``realism.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.balls import Balls, Counts, Ties, TooShort, balls, counts
from counterproof.metrics.clipping import clipped
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.graph import Graph, TooDense, neighbour_graph
from counterproof.metrics.metric import MetricError, Needs, Tolerance, Value, metric
from counterproof.metrics.projection import map_panel
from counterproof.metrics.sample import Floats
from counterproof.metrics.strays import bare_regions, stray_rows
from counterproof.metrics.workbench import Workbench

HALVES = 60
Quantity = Literal["precision", "recall", "density", "coverage", "clipped density", "clipped coverage", "realism"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
DENSITY = QUANTITIES.index("density")
NEEDS = Needs(smallest_n=500)


def _within(limit: float, lost: str) -> tuple[Tolerance]:
    reason = (
        f"{lost}; fresh real rows of a census table stayed within {limit:g} of the floor in 34 of 34 audits "
        "at 1,000 and 5,000 rows"
    )
    return (Tolerance(field="excess", operator="<=", limit=limit, reason=reason),)


@dataclass(frozen=True, eq=False)
class Manifold:
    """The quantities of one view, and the spread of each over half-samples.

    Attributes:
        graph: Neighbour lists.
        sides: Side of each row of the lists: 1 reference, 2 candidate, 0 neither.
        balls: Who lies within whose k-th neighbour distance.
        values: In the order of ``QUANTITIES``.
        spread: Standard deviation over half-samples, in the order of ``QUANTITIES``.
    """

    graph: Graph
    sides: NDArray[np.int8]
    balls: Balls
    values: tuple[float, ...]
    spread: Floats


def manifold(bench: Workbench, k: int, ties: Ties = "le") -> Manifold:
    """All quantities of a view, made once.

    ``ties`` moves precision, recall, density and coverage; the clipped quantities count rows at the radius.

    Raises:
        TooDense: The rows are so tied that neighbours cannot be told apart.
    """
    key = ("manifold", bench.reference.name, bench.candidate.name, k, ties)
    return bench.shared(key, lambda: _manifold(bench, k, ties))


def _manifold(bench: Workbench, k: int, ties: Ties) -> Manifold:
    graph, sides = bench.graph(k)
    try:
        found, values = _quantities(graph, counts(graph, sides == 1), counts(graph, sides == 2), k, ties)
    except TooShort:  # rare: of a long list a re-split kept fewer than k, or ties made lists short
        graph, sides = _own_graph(bench, k)
        found, values = _quantities(graph, counts(graph, sides == 1), counts(graph, sides == 2), k, ties)
    spread = np.zeros(len(QUANTITIES)) if bench.is_null else _half_sample_spread(bench, graph, k, ties)
    return Manifold(graph, sides, found, values, spread)


def _quantities(
    graph: Graph, reference: Counts, candidate: Counts, k: int, ties: Ties, *, cut: bool = False
) -> tuple[Balls, tuple[float, ...]]:
    found = balls(graph, reference, candidate, k, cut=cut, ties=ties)
    return found, (*found.values, *clipped(graph, found, reference, candidate, k).values)


def _own_graph(bench: Workbench, k: int) -> tuple[Graph, NDArray[np.int8]]:
    sides = np.repeat(np.array([1, 2], dtype=np.int8), [len(bench.reference), len(bench.candidate)])
    features = np.concatenate([bench.reference.features, bench.candidate.features])
    return neighbour_graph(features, sides, depth=k, memory=bench.memory), sides


def _half_sample_spread(bench: Workbench, graph: Graph, k: int, ties: Ties) -> Floats:
    """Standard deviation over halves of both sides, drawn without replacement.

    The variance of a half given the rows is about the variance of the whole: n/2 rows vary twice
    as much, of which the finite-population correction takes half. Duplicates of a bootstrap would
    sit at distance 0 and bias all of them.

    Density follows ``k`` over the rows, so its halves have half the neighbours, rounded up: at the
    same ``k`` they spread 15 % too little for a shifted release in 64 dimensions, and intervals held
    89 % (now 94 %; ``tests/simulations/intervals_of_neighbour_scores.py``). The others hold at ``k``.
    """
    rng = bench.generator("half-samples")
    n = len(bench.reference)
    drawn = np.empty((HALVES, len(QUANTITIES)))
    for half in range(HALVES):
        reference = np.bincount(graph.node[bench.reference.half(rng)], minlength=len(graph))
        candidate = np.bincount(graph.node[n + bench.candidate.half(rng)], minlength=len(graph))
        rows = reference.astype(np.int32), candidate.astype(np.int32)
        _, drawn[half] = _quantities(graph, *rows, k, ties, cut=True)
        drawn[half, DENSITY] = balls(graph, *rows, (k + 1) // 2, cut=True, ties=ties).density
    return np.asarray(drawn.std(axis=0, ddof=1))


def quantity_value(
    bench: Workbench,
    quantity: Quantity,
    k: int,
    shown: Callable[[Workbench, Manifold], Evidence] | None = None,
    ties: Ties = "le",
) -> Value:
    """One of the quantities, with its interval and evidence on the measurement.

    Raises:
        MetricError: ``k`` is no neighbour.
    """
    if k < 1:
        raise MetricError(f"{quantity}: k = {k} is no neighbour: give 1 or more")
    if min(len(bench.reference), len(bench.candidate)) < 2 * (k + 1):
        reason = f"{quantity} at k = {k} needs {2 * (k + 1)} rows on each side, so that halves have {k} neighbours"
        return Value(status="not_assessable", reason=reason, n=bench.sizes)
    try:
        made = manifold(bench, k, ties)
    except TooDense as error:
        return Value(status="not_assessable", reason=str(error), n=bench.sizes)
    at = QUANTITIES.index(quantity)
    method = f"normal, spread of {HALVES} half-samples"
    if quantity == "density":
        method += f" at k = {(k + 1) // 2}"
    estimate = Estimate.normal(made.values[at], float(made.spread[at]), level=bench.level, method=method)
    evidence = (shown(bench, made),) if shown is not None and not bench.is_null else ()
    return Value(estimate=estimate, n=bench.sizes, reason=made.graph.remark, evidence=evidence)


@metric(
    id="fidelity.precision",
    family="fidelity",
    better="higher",
    unit="share of synthetic rows",
    needs=NEEDS,
    tolerances=_within(0.10, "a tenth of the rows may be less realistic than fresh real rows are"),
)
def precision(bench: Workbench, *, k: int = 5, ties: Ties = "le") -> Iterator[Value]:
    """Share of synthetic rows that lie where real rows lie.

    A row does when it is within the distance of some real row to that row's ``k``-th real
    neighbour. Fresh real rows do not reach 1: read it against its floor. Source: Kynkäänniemi et
    al. (2019), arXiv:1904.06991.
    """
    value = quantity_value(bench, "precision", k, _stray_rows, ties=ties)
    drawn = value.estimate is not None and not bench.is_null
    yield replace(value, panels=(map_panel(bench),)) if drawn else value


@metric(
    id="fidelity.density",
    family="fidelity",
    better="higher",
    unit="synthetic rows in real neighbourhoods, 1 expected",
    needs=NEEDS,
    tolerances=_within(0.20, "a fifth less crowded than fresh real rows around real rows"),
)
def density(bench: Workbench, *, k: int = 5, ties: Ties = "le") -> Iterator[Value]:
    """How many real neighbourhoods a synthetic row lies in, over ``k``.

    About 1 for fresh real rows and not bounded by it: rows crowded around modes exceed 1. Source:
    Naeem et al. (2020), arXiv:2002.09797.
    """
    yield quantity_value(bench, "density", k, ties=ties)


@metric(
    id="coverage.recall",
    family="coverage",
    better="higher",
    unit="share of real rows",
    needs=NEEDS,
    tolerances=_within(0.10, "a tenth more of the real rows may lie outside the release's reach"),
)
def recall(bench: Workbench, *, k: int = 5, ties: Ties = "le") -> Iterator[Value]:
    """Share of real rows that lie where synthetic rows lie.

    A row does when it is within the distance of some synthetic row to that row's ``k``-th
    synthetic neighbour. Scattered synthetic rows have wide neighbourhoods and raise it: read it
    with precision. Source: Kynkäänniemi et al. (2019), arXiv:1904.06991.
    """
    yield quantity_value(bench, "recall", k, _unreached_rows, ties=ties)


@metric(
    id="coverage.coverage",
    family="coverage",
    better="higher",
    unit="share of real rows",
    needs=NEEDS,
    tolerances=_within(0.10, "a tenth more of the real rows may have no synthetic row near them"),
)
def coverage(bench: Workbench, *, k: int = 5, ties: Ties = "le") -> Iterator[Value]:
    """Share of real rows that have a synthetic row nearer than their ``k``-th real neighbour.

    Source: Naeem et al. (2020), arXiv:2002.09797.
    """
    yield quantity_value(bench, "coverage", k, _uncovered_rows, ties=ties)


def _stray_rows(bench: Workbench, made: Manifold) -> Evidence:
    return stray_rows(bench, made.graph, made.balls)


def _unreached_rows(bench: Workbench, made: Manifold) -> Evidence:
    return bare_regions(bench, made.graph, made.balls, made.balls.recalled, "that no synthetic row's neighbours reach")


def _uncovered_rows(bench: Workbench, made: Manifold) -> Evidence:
    return bare_regions(bench, made.graph, made.balls, made.balls.covered, "without a synthetic row near them")
