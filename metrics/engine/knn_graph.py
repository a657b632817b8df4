"""Neighbour lists: for every row all rows up to its ``depth``-th neighbour, exact and bounded in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.pairwise_pass import MEMORY, TIE, PairwiseResult, pairwise_pass
from counterproof.metrics.engine.shortlist import NeighbourQuery
from counterproof.metrics.engine.tiles import Part
from counterproof.metrics.sample import Floats, Rows

SHALLOWEST = 8


@dataclass(frozen=True, eq=False)
class Graph:
    """Neighbour lists among the distinct rows ("nodes") of each side.

    The list of a node holds every node (itself included) up to the distance of its ``depth``-th
    other node of its own side, nearest first.

    Attributes:
        node: ``(n,)`` node of each row.
        indptr: ``(m + 1,)`` where the list of each node starts.
        index: Nodes of the lists.
        distance: Their distances.
        depth: How many neighbours of its own side a list reaches.
        remark: What a reader should know about how it was computed.
    """

    node: Rows
    indptr: Rows
    index: Rows
    distance: Floats
    depth: int
    remark: str = ""

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def runs(self) -> Rows:
        """Where runs of equal distances end, ascending positions in the lists."""
        last = np.ones(len(self.index), dtype=bool)
        last[:-1] = self.distance[1:] > self.distance[:-1] * (1 + TIE)
        last[self.indptr[1:] - 1] = True
        return np.flatnonzero(last) + 1


class TooDense(ValueError):
    """So many rows are at equal distances that neighbour lists would not fit in memory."""


def neighbour_graph(
    features: Floats,
    sides: NDArray[np.int8] | None,
    *,
    depth: int,
    memory: int = MEMORY,
    device: str = "cpu",
) -> Graph:
    """Neighbour lists among all rows, each as far as the ``depth``-th neighbour of its own side.

    Args:
        features: ``(n, d)``.
        sides: ``(n,)`` side of each row; None when all are on one.
        depth: How many neighbours of its own side a list reaches. Lowered, with a remark, when
            ties would make the lists longer than the memory allows.
        memory: Budget in bytes for a block, and for the lists.
        device: Where the matrix products run.

    Raises:
        TooDense: Even shallow lists do not fit.
        ValueError: The features are not finite.
    """
    sides = np.zeros(len(features), dtype=np.int8) if sides is None else sides
    rows = [np.flatnonzero(sides == side) for side in np.unique(sides)]
    parts = [Part(features, each) for each in rows]
    made = graph_among(parts, depth=depth, memory=memory, device=device)
    node = np.empty(len(features), dtype=np.intp)
    node[np.concatenate(rows)] = made.node
    return replace(made, node=node)


def graph_among(
    parts: Sequence[Part],
    *,
    depth: int,
    memory: int = MEMORY,
    device: str = "cpu",
) -> Graph:
    """The same among parts that are a side each, whose rows stand one after the other.

    Raises:
        TooDense: Even shallow lists do not fit.
        ValueError: The features are not finite.
    """
    asked = depth
    while True:
        queries = side_queries(range(len(parts)), depth)
        found = pairwise_pass(parts, lists=queries, memory=memory, device=device)
        if found.lists:
            made = graph_of(found, range(len(queries)), np.concatenate(found.nodes.of_row))
            cut = "" if depth == asked else f"neighbour lists cut from {asked} to {depth}: many rows are tied"
            return replace(made, remark="; ".join(filter(None, (made.remark, cut))))
        if depth <= SHALLOWEST:
            raise TooDense("so many rows are equally far apart that their neighbours cannot be told from the rest")
        depth = max(SHALLOWEST, depth // 2)


def side_queries(parts: Sequence[int], depth: int) -> list[NeighbourQuery]:
    """A graph among parts that are a side each: lists of all, as far as the ``depth``-th other of the own side."""
    base = frozenset(parts)
    return [
        NeighbourQuery(rows=frozenset({part}), base=base, count_within=frozenset({part}), k=depth + 1) for part in parts
    ]


def graph_of(found: PairwiseResult, queries: Sequence[int], node: Rows) -> Graph:
    """The lists of queries that share their base and depth, as one graph over the nodes of the base.

    Args:
        found: What one pass found.
        queries: Which of its queries.
        node: ``(n,)`` node of each row of the graph.
    """
    chosen = [found.lists[at] for at in queries]
    parts = sorted(chosen[0].query.base)
    low, high = found.nodes.bounds[:-1], found.nodes.bounds[1:]
    kept = np.concatenate([np.arange(low[part], high[part]) for part in parts])
    place = np.zeros(len(found.nodes), dtype=np.intp)
    place[kept] = np.arange(len(kept))
    index, distance, count = [], [], [np.zeros(1, dtype=np.intp)]
    for part in parts:
        lists = next(each for each in chosen if part in each.query.rows)
        start, end = lists.start[low[part]], lists.start[high[part]]
        index.append(place[lists.node[start:end]])
        distance.append(lists.distance[start:end])
        count.append(np.diff(lists.start[low[part] : high[part] + 1]))
    return Graph(
        node=place[node],
        indptr=np.cumsum(np.concatenate(count)),
        index=np.concatenate(index),
        distance=np.concatenate(distance),
        depth=chosen[0].query.k - 1,
        remark=found.remark,
    )
