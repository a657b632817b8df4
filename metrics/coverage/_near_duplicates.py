"""Release rows that stand for one row: nearer to each other than real rows are, and linked through one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.workbench import Workbench

CLOSEST = 0.01  # of real rows: those that are nearest to another real row
LINKS = 5
CAP = 10_000
CLUMPS: Work[Clumps] = Work("clumps of near duplicates")


@dataclass(frozen=True, eq=False, kw_only=True)
class Clumps:
    """Rows of one sample, linked where they are nearer than real rows are.

    Attributes:
        sample: The rows that were looked at: all, or ``CAP`` drawn at random.
        of: How many rows there are in all.
        label: ``(n,)`` clump of each row; most are alone in theirs.
        edge: The distance below which rows are linked.
        chance: Share of rows that a faithful release of this size has linked.
        draws: Real rows behind the edge.
    """

    sample: Sample
    of: int
    label: Rows
    edge: float
    chance: float
    draws: int

    @cached_property
    def sizes(self) -> Rows:
        """Rows of each clump."""
        return np.bincount(self.label)


def clumps_of(bench: Workbench, sample: Sample) -> Clumps:
    """The clumps of a sample; of more than ``CAP`` rows a random part is looked at, the same at each call.

    The edge is the 1 % point of the distances between nearest real rows. A release of more rows lies
    closer by its number alone: it gets the point that leaves 1 % of *its* rows linked by chance.
    Where more than that share of the real rows have twins, the edge is 0 and nothing is linked:
    such rows repeat by nature.
    """
    return bench.shared(CLUMPS.about(sample, bench.reference), lambda: _clumps(bench, sample))


def _clumps(bench: Workbench, sample: Sample) -> Clumps:
    looked = sample
    if len(sample) > CAP:
        rng = bench.generator(f"clumps {sample.name}")
        looked = sample.take(np.sort(rng.permutation(len(sample))[:CAP]), f"{CAP} of {sample.name}")
    chance = CLOSEST * min(1.0, (len(bench.reference) - 1) / (len(looked) - 1))
    edge = _edge(bench, chance)
    return Clumps(
        sample=looked,
        of=len(sample),
        label=linked(bench, looked, edge),
        edge=edge,
        chance=CLOSEST,
        draws=round(chance * len(bench.reference)),
    )


def _edge(bench: Workbench, share: float) -> float:
    """Distance that this share of the reference rows stays below, to the nearest other one."""
    gaps = np.sort(bench.neighbours(bench.reference, bench.reference, 1).distance[:, 0])
    return float(gaps[int(share * len(gaps))])


def linked(bench: Workbench, sample: Sample, edge: float) -> Rows:
    """``(n,)`` number of the clump of each row; with an edge of 0, every row is its own.

    Each row is linked to those of its ``LINKS`` nearest that are nearer than the edge.
    """
    if edge <= 0 or len(sample) < 2:
        return np.arange(len(sample))
    near = bench.neighbours(sample, sample, min(LINKS, len(sample) - 1))
    return joined(near.distance, near.index, edge)


def joined(distance: Floats, index: Rows, edge: float) -> Rows:
    """``(n,)`` component of each row in the graph of neighbours below the edge.

    >>> joined(np.array([[0.1], [0.1], [2.0]]), np.array([[1], [0], [0]]), 1.0).tolist()
    [0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row, rank = np.nonzero(distance < edge)
    n = len(distance)
    links = coo_array((np.ones(len(row), dtype=bool), (row, index[row, rank])), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.intp)
