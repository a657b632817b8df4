"""Clipped density and clipped coverage: neighbourhoods cut at the median radius, against outliers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from counterproof.metrics.engine.knn_graph import Graph, neighbour_graph
from counterproof.metrics.engine.pairwise_pass import MEMORY, TIE
from counterproof.metrics.metric import Value
from counterproof.metrics.prdc.balls import Balls, Counts, balls, counts, refuse_too_few
from counterproof.metrics.sample import Floats


def cut_at_one(value: Value) -> Value:
    """The same cut to [0, 1]: the lower end is as far below the cut value as it was below the value."""
    e = value.estimate
    if e is None:
        return value
    cut = min(1.0, e.value)
    low, high = max(0.0, cut - (e.value - e.low)), min(1.0, e.high)
    return replace(value, estimate=replace(e, value=cut, low=low, high=high, method=f"{e.method}, cut to [0, 1]"))


@dataclass(frozen=True, eq=False)
class Clipped:
    """Three shares of good rows, from balls no wider than the median one.

    The first two are about 1 for fresh real rows and may exceed it by chance; the metrics report
    them cut at 1.

    Attributes:
        density: Clipped density, calibrated.
        coverage: Clipped coverage, calibrated.
        realism: Share of candidate rows within a reference ball that is no wider than the median
            ball: the rows of realism 1 or more.
    """

    density: float
    coverage: float
    realism: float

    @property
    def values(self) -> tuple[float, float, float]:
        """Clipped density, clipped coverage, share of realistic rows."""
        return self.density, self.coverage, self.realism


def clipped(graph: Graph, found: Balls, reference: Counts, candidate: Counts, k: int) -> Clipped:
    """The clipped quantities of one choice of rows.

    Args:
        graph: Neighbour lists.
        found: Balls of these rows.
        reference: ``(m,)`` reference rows at each node.
        candidate: ``(m,)`` candidate rows at each node.
        k: Which neighbour gave the radius.
    """
    nodes = np.flatnonzero(reference)
    median = float(np.median(np.repeat(found.radius[nodes], reference[nodes])))
    radius = np.repeat(found.radius, np.diff(graph.indptr))
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.indptr))
    within = graph.distance <= radius * (1 + TIE)  # NaN radii hold nothing
    owner, other, gap, radius = owner[within], graph.index[within], graph.distance[within], radius[within]
    held = np.bincount(owner, weights=candidate[other], minlength=len(graph))
    near = gap <= median * (1 + TIE)
    weight = reference[owner[near]]
    hits = np.bincount(other[near], weights=weight, minlength=len(graph))
    kept = radius[near] <= median * (1 + TIE)
    in_balls = np.bincount(other[near][kept], weights=weight[kept], minlength=len(graph)) > 0
    n, m = int(reference.sum()), int(candidate.sum())
    ideal = float(reference @ np.minimum(np.maximum(hits - 1, 0), k))  # a row is no neighbour of its own
    density = float(candidate @ np.minimum(hits, k)) / m / (ideal / n)
    coverage = equivalent_share(float(reference @ np.minimum(held, k)) / (k * n), n, m, k)
    return Clipped(density, coverage, float(candidate[in_balls].sum() / m))


def equivalent_share(covered: float, n: int, m: int, k: int) -> float:
    """The share of good rows among ``m`` at which fresh real rows would cover this much.

    Source: the calibration of arXiv:2507.01761; 1 where all rows are good, and above 1 (up to 2) where
    more is covered than fresh real rows do.

    Args:
        covered: Mean over reference rows of candidate rows in their ball, at most ``k``, over ``k``.
        n: Reference rows.
        m: Candidate rows.
        k: Which neighbour gave the radius.

    >>> round(equivalent_share(expected_cover(100, 50, 5)[25], 100, 50, 5), 6)
    0.5
    """
    return float(np.interp(covered, expected_cover(n, m, k), np.arange(2 * m + 1) / m))


@lru_cache(maxsize=64)
def expected_cover(n: int, m: int, k: int) -> Floats:
    """``(2 m + 1,)`` expected cover by 0, 1, …, 2 m fresh rows of the reference's own distribution.

    The ``k``-th of ``n - 1`` neighbours holds a Beta(k, n - k) share of the distribution, so fresh
    rows in the ball are beta-binomial: ``E[min(X, k)] = k - Σ_{j<k} (k - j) P(X = j)``. This is the
    authors' sum over all counts with its ``k`` terms that matter.

    >>> expected_cover(10, 5, 1)[:3].round(4).tolist()
    [0.0, 0.1, 0.1818]
    """
    fresh = np.arange(2 * m + 1, dtype=np.float64)
    missing = np.zeros_like(fresh)
    for j in range(k):
        rest = np.maximum(fresh - j, 0)
        log = gammaln(fresh + 1) - gammaln(j + 1) - gammaln(rest + 1) + betaln(k + j, n - k + rest) - betaln(k, n - k)
        missing += np.where(fresh >= j, (k - j) * np.exp(log), 0.0)
    made = np.maximum.accumulate(1 - missing / k)  # rounding must not break the order
    made[0] = 0.0
    made.flags.writeable = False
    return made


def clipped_between(reference: Floats, candidate: Floats, k: int = 5, *, memory: int = MEMORY) -> Clipped:
    """Clipped density, clipped coverage and the share of realistic rows of two arrays.

    Args:
        reference: ``(n, d)``.
        candidate: ``(m, d)``.
        k: Which neighbour gives the radius.
        memory: Budget in bytes for one block.

    Raises:
        ValueError: A side has no more than ``k`` rows, or features are not finite.

    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> found = clipped_between(x[:100], np.concatenate([x[100:150], x[150:] + 9]))
    >>> 0.3 < found.density < 0.7, 0.3 < found.coverage < 0.7
    (True, True)
    """
    refuse_too_few(reference, candidate, k)
    sides: NDArray[np.int8] = np.repeat(np.array([1, 2], dtype=np.int8), [len(reference), len(candidate)])
    graph = neighbour_graph(np.concatenate([reference, candidate]), sides, depth=k, memory=memory)
    rows = counts(graph, sides == 1), counts(graph, sides == 2)
    return clipped(graph, balls(graph, *rows, k), *rows, k)
