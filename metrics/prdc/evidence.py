"""Rows behind precision, recall, density and coverage: synthetic rows far from real ones, real rows left uncovered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.knn_graph import Graph
from counterproof.metrics.estimate import Evidence
from counterproof.metrics.prdc.balls import Balls
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.workbench import Workbench

SHOWN = 10


def stray_rows(bench: Workbench, graph: Graph, found: Balls) -> Evidence:
    """The least realistic synthetic rows: farthest from real rows, in radii of the nearest real row."""
    n = len(bench.reference)
    near = bench.neighbours(bench.candidate, bench.reference, 1)
    radius = found.radius[graph.node[near.index[:, 0]]]
    ratio = _ratio(near.distance[:, 0], radius)
    stray = np.flatnonzero(~found.realistic[graph.node[n:]])
    worst = stray[np.argsort(-ratio[stray], kind="stable")][:SHOWN]
    names = bench.candidate.names
    return Evidence(
        title="Least realistic synthetic rows",
        columns=("synthetic row", "distance to the nearest real row", "radius of that row's neighbourhood", "times"),
        rows=tuple((str(names[i]), float(near.distance[i, 0]), float(radius[i]), float(ratio[i])) for i in worst),
        note=f"{len(stray)} of {len(bench.candidate)} synthetic rows lie in no real row's neighbourhood.",
    )


def uncovered_rows(
    bench: Workbench, graph: Graph, found: Balls, covered_nodes: NDArray[np.bool_], words: str
) -> Evidence:
    """How many real rows are not covered, and where the most isolated of them are.

    Rows are named by their ids alone: contents of real records are not shown.

    Args:
        bench: The measurement.
        graph: Its neighbour lists.
        found: Its balls.
        covered_nodes: ``(m,)`` nodes that are covered.
        words: What the rows lack, in words.
    """
    n = len(bench.reference)
    near = bench.neighbours(bench.reference, bench.candidate, 1)
    node = graph.node[:n]
    ratio = _ratio(near.distance[:, 0], found.radius[node])
    uncovered = np.flatnonzero(~covered_nodes[node])
    uncovered = uncovered[np.argsort(-ratio[uncovered], kind="stable")]
    names = bench.reference.names
    rows = [(str(names[i]), size, float(ratio[i])) for i, size in _regions(graph, node, uncovered)]
    return Evidence(
        title=f"Real rows {words}",
        columns=("real row", "such rows around it", "distance to the nearest synthetic row, in radii"),
        rows=tuple(rows),
        note=f"{len(uncovered)} of {n} real rows; the most isolated first, one row for each region.",
    )


def _regions(graph: Graph, node: Rows, uncovered: Rows) -> list[tuple[int, int]]:
    """Rows in the given order, each with the number of uncovered rows in its list, which it represents."""
    left = np.bincount(node[uncovered], minlength=len(graph))
    made: list[tuple[int, int]] = []
    for row in uncovered:
        if len(made) == SHOWN:
            break
        if left[node[row]]:
            start, end = graph.indptr[node[row]], graph.indptr[node[row] + 1]
            around = graph.index[start:end]
            made.append((int(row), int(left[around].sum())))
            left[around] = 0
    return made


def _ratio(distance: Floats, radius: Floats) -> Floats:
    """Distance in radii; radius 0 (twins) counts as the smallest radius there is."""
    positive = radius[radius > 0]
    return np.asarray(distance / np.maximum(radius, positive.min() if len(positive) else 1.0))
