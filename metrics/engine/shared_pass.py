"""One pass over all pairs of rows for everything that the metrics of an audit need of them.

The rows stand in disjoint parts: reference, candidate, the other real rows, the rest of the
release. Every block of pairs is then visited once, whichever metric asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.kernel_sums import KernelSums, side_means
from counterproof.metrics.engine.kernel_tiles import KernelSumQuery
from counterproof.metrics.engine.knn_graph import Graph, graph_among, graph_of, side_queries
from counterproof.metrics.engine.nearest_neighbours import Neighbours, neighbours_from_lists
from counterproof.metrics.engine.pairwise_pass import PairwiseResult, pairwise_pass
from counterproof.metrics.engine.shortlist import NeighbourQuery
from counterproof.metrics.engine.tiles import Part
from counterproof.metrics.sample import Rows, Sample

REFERENCE, CANDIDATE, OTHERS, REST = range(4)
CLOSEST = 6
PAIR = frozenset({REFERENCE, CANDIDATE})
REAL = frozenset({REFERENCE, OTHERS})


@dataclass(frozen=True, eq=False, kw_only=True)
class PassPlan:
    """What one pass over a view has to compute.

    Attributes:
        reference: Real rows.
        candidate: Rows under test.
        real: All real rows, if lists and sums among them are needed.
        release: All synthetic rows, if neighbours between them and the real rows are needed.
        depth: How far lists of the two sides reach; 0 for none.
        real_depth: The same among all real rows.
        splits: ``(draws, 2, len(real))`` splits of the real rows into two sides, to sum kernels over.
        within: Whether kernels among the reference are needed.
        memory: Budget in bytes.
        device: Where the products run.
    """

    reference: Sample
    candidate: Sample
    real: Sample | None = None
    release: Sample | None = None
    depth: int = 0
    real_depth: int = 0
    splits: NDArray[np.bool_] | None = None
    within: bool = True
    memory: int
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class SharedPass:
    """What one pass over a view found.

    Attributes:
        plan: What was to be computed.
        parts: Corpus rows of each part.
        result: What was found.
    """

    plan: PassPlan
    parts: tuple[Rows, ...]
    result: PairwiseResult

    @classmethod
    def of(cls, plan: PassPlan) -> SharedPass:
        """Make the one pass."""
        samples = plan.reference, plan.candidate
        parts = [Part(sample.source, sample.places) for sample in samples]
        rows = [sample.rows for sample in samples]
        for sample, known in ((plan.real, REFERENCE), (plan.release, CANDIDATE)):
            others = np.empty(0, dtype=np.intp) if sample is None else np.setdiff1d(sample.rows, rows[known])
            parts.append(Part(plan.reference.corpus.features, others))
            rows.append(others)
        found = pairwise_pass(parts, lists=_lists(plan), sums=_sums(plan, rows), memory=plan.memory, device=plan.device)
        return cls(plan, tuple(rows), found)

    def pair(self) -> tuple[Graph, NDArray[np.int8]]:
        """Lists among reference and candidate, and the side of each row.

        Raises:
            TooDense: Lists do not fit in memory.
        """
        plan = self.plan
        sides = np.repeat(np.array([1, 2], dtype=np.int8), [len(plan.reference), len(plan.candidate)])
        if self.result.lists:
            node = np.concatenate([self.result.nodes.of_row[part] for part in (REFERENCE, CANDIDATE)])
            return graph_of(self.result, range(2), node), sides
        parts = [Part(sample.source, sample.places) for sample in (plan.reference, plan.candidate)]
        return graph_among(parts, depth=plan.depth, memory=plan.memory, device=plan.device), sides

    def among_real(self) -> Graph:
        """Lists among all real rows.

        Raises:
            TooDense: Lists do not fit in memory.
        """
        plan = self.plan
        assert plan.real is not None
        if self.result.lists:
            return graph_of(self.result, [2], self._nodes(plan.real, REAL))
        parts = [Part(plan.real.source, plan.real.places)]
        return graph_among(parts, depth=plan.real_depth, memory=plan.memory, device=plan.device)

    def neighbours(self, query: Sample, base: Sample, k: int) -> tuple[Neighbours, Rows] | None:
        """The nearest base rows of each query row, and queries for which they are not known; None if no list helps."""
        own = np.arange(len(base)) if query.content == base.content else None
        for lists in sorted(self.result.lists, key=lambda lists: lists.query.k):
            asked, there = self._nodes(query, lists.query.rows), self._nodes(base, lists.query.base)
            if lists.query.k > k and min(asked.min(initial=0), there.min(initial=0)) >= 0:
                return neighbours_from_lists(lists, asked, there, k, own=own)
        return None

    def _nodes(self, sample: Sample, parts: frozenset[int]) -> Rows:
        """Node of each row; -1 for rows that are in none of the parts."""
        made = np.full(len(sample), -1, dtype=np.intp)
        for part in parts:
            role = self.plan.candidate if part == CANDIDATE else self.plan.reference
            if role.source is sample.source and len(self.parts[part]):
                order = np.argsort(self.parts[part], kind="stable")
                ranked = self.parts[part][order]
                at = np.minimum(np.searchsorted(ranked, sample.rows), len(ranked) - 1)
                here = ranked[at] == sample.rows
                made[here] = self.result.nodes.of_row[part][order[at[here]]]
        return made

    def sums(self) -> KernelSums:
        """Mean kernels of the rows of the two sides."""
        to_reference, to_candidate = self.result.sums[:2]
        n, m = len(self.plan.reference), len(self.plan.candidate)
        return KernelSums(
            to_reference[REFERENCE][:, 0] / max(1, n - 1) if self.plan.within else np.empty(0),
            to_candidate[REFERENCE][:, 0] / m,
            to_candidate[CANDIDATE][:, 0] / max(1, m - 1),
            to_reference[CANDIDATE][:, 0] / n,
        )

    def split_sums(self) -> list[KernelSums]:
        """The same for every split of the real rows."""
        plan = self.plan
        assert plan.real is not None
        assert plan.splits is not None
        found = self.result.sums[2]
        sums = np.empty((len(plan.real), 2 * len(plan.splits)))
        for part in REAL:
            at, here = _among(plan.real.rows, self.parts[part])
            sums[at] = found[part][here]
        return side_means(sums, plan.splits)


def _lists(plan: PassPlan) -> list[NeighbourQuery]:
    """The graph of the two sides first, then that of the real rows, then the closest rows of each other."""
    if not plan.depth:
        return []
    queries = side_queries((REFERENCE, CANDIDATE), plan.depth)
    if plan.real is not None and plan.real_depth:
        queries.append(NeighbourQuery(rows=REAL, base=REAL, count_within=REAL, k=plan.real_depth + 1))
    left = REAL if plan.release is not None and plan.real is not None else frozenset({REFERENCE})
    right = frozenset({CANDIDATE, REST}) if plan.release is not None else frozenset({CANDIDATE})
    for one, other in ((left, right), (right, left)):
        queries.append(NeighbourQuery(rows=one, base=other, count_within=other, k=CLOSEST + 1))
    return queries


def _sums(plan: PassPlan, rows: Sequence[Rows]) -> list[KernelSumQuery]:
    """Sums over the reference, over the candidate, and over both sides of every split."""
    made = [
        KernelSumQuery(
            rows=PAIR if plan.within or side == CANDIDATE else frozenset({CANDIDATE}),
            weights={side: np.ones((len(rows[side]), 1), dtype=bool)},
        )
        for side in (REFERENCE, CANDIDATE)
    ]
    if plan.splits is not None and plan.real is not None:
        masks = plan.splits.reshape(2 * len(plan.splits), -1).T
        weights = {}
        for part in REAL:
            at, here = _among(plan.real.rows, rows[part])
            weights[part] = np.zeros((len(rows[part]), masks.shape[1]), dtype=bool)
            weights[part][here] = masks[at]
        made.append(KernelSumQuery(rows=REAL, weights=weights))
    return made


def _among(rows: Rows, some: Rows) -> tuple[Rows, Rows]:
    """Where rows of a set stand in the set and in ``some`` of it."""
    _, at, here = np.intersect1d(rows, some, assume_unique=True, return_indices=True)
    return at, here
