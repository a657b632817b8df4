"""What is behind the four quantities: synthetic rows far from all real ones, real rows left alone."""

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
    """The least realistic synthetic rows: farthest from real rows for the crowding there."""
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


def bare_regions(bench: Workbench, graph: Graph, found: Balls, fine: NDArray[np.bool_], words: str) -> Evidence:
    """How many real rows are left out, and where the most isolated of them stand.

    Rows are named by their ids alone: contents of real records are not shown.

    Args:
        bench: The measurement.
        graph: Its neighbour lists.
        found: Its balls.
        fine: ``(m,)`` nodes that are not left out.
        words: What the rows are left without.
    """
    n = len(bench.reference)
    near = bench.neighbours(bench.reference, bench.candidate, 1)
    node = graph.node[:n]
    ratio = _ratio(near.distance[:, 0], found.radius[node])
    bare = np.flatnonzero(~fine[node])
    bare = bare[np.argsort(-ratio[bare], kind="stable")]
    names = bench.reference.names
    rows = [(str(names[i]), size, float(ratio[i])) for i, size in _regions(graph, node, bare)]
    return Evidence(
        title=f"Real rows {words}",
        columns=("real row", "such rows around it", "distance to the nearest synthetic row, in radii"),
        rows=tuple(rows),
        note=f"{len(bare)} of {n} real rows; the most isolated first, one row for each region.",
    )


def _regions(graph: Graph, node: Rows, bare: Rows) -> list[tuple[int, int]]:
    """Rows in the given order, each with the number of left-out rows in its list, which it stands for."""
    left = np.bincount(node[bare], minlength=len(graph))
    made: list[tuple[int, int]] = []
    for row in bare:
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
