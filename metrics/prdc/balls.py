"""Balls around rows, with the distance to the k-th neighbour as radius: which rows lie in which balls.

One set of neighbour lists serves any choice of reference and candidate rows: the choice is a
count of rows per node, and a running sum along the lists gives the position of the k-th neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.blocked_search import spread
from counterproof.metrics.engine.knn_graph import Graph, graph_among
from counterproof.metrics.engine.pairwise_pass import MEMORY
from counterproof.metrics.engine.tiles import Part
from counterproof.metrics.sample import Floats, Rows

Counts = NDArray[np.int32]
Ties = Literal["le", "lt"]


class TooShort(ValueError):
    """A neighbour list ends before the k-th neighbour."""


@dataclass(frozen=True, eq=False)
class Balls:
    """Each ball reaches from a row to its k-th neighbour on its own side, ties included.

    Attributes:
        precision: Share of candidate rows in at least one reference ball.
        recall: Share of reference rows in at least one candidate ball.
        density: Candidate rows in reference balls, over ``k`` times the candidate rows.
        coverage: Share of reference balls that hold a candidate row.
        radius: ``(m,)`` radius of the ball of each reference node; NaN for other nodes.
        realistic: ``(m,)`` nodes that lie in a reference ball.
        recalled: ``(m,)`` nodes that lie in a candidate ball.
        covered: ``(m,)`` nodes whose reference ball holds a candidate row.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    radius: Floats
    realistic: NDArray[np.bool_]
    recalled: NDArray[np.bool_]
    covered: NDArray[np.bool_]

    @property
    def values(self) -> tuple[float, float, float, float]:
        """Precision, recall, density, coverage."""
        return self.precision, self.recall, self.density, self.coverage


def balls(graph: Graph, reference: Counts, candidate: Counts, k: int, *, cut: bool = False, ties: Ties = "le") -> Balls:
    """Precision, recall, density and coverage of one choice of rows.

    Sources: Kynkäänniemi et al., arXiv:1904.06991; Naeem et al., arXiv:2002.09797. A row at exactly
    the radius lies in the ball, as in Kynkäänniemi's own code; Naeem's leaves it out (``ties="lt"``).

    Args:
        graph: Neighbour lists.
        reference: ``(m,)`` reference rows at each node.
        candidate: ``(m,)`` candidate rows at each node.
        k: Which neighbour gives the radius.
        cut: Let a ball end with its list where that holds fewer than ``k`` neighbours.
        ties: Whether rows at exactly the radius are in the ball (``le``) or not (``lt``).

    Raises:
        TooShort: A list ends before the k-th neighbour, and ``cut`` is not set.
    """
    real, fake = _cumulative_counts(graph, reference), _cumulative_counts(graph, candidate)
    nodes, kth, end = _ball_ends(graph, real, reference, k, cut, ties)
    held = fake[end] - fake[graph.indptr[nodes]]
    realistic = _nodes_in_balls(graph, nodes[held > 0], end[held > 0])
    others, _, reach = _ball_ends(graph, fake, candidate, k, cut, ties)
    useful = real[reach] > real[graph.indptr[others]]
    recalled = _nodes_in_balls(graph, others[useful], reach[useful])
    radius, covered = np.full(len(graph), np.nan), np.zeros(len(graph), dtype=bool)
    radius[nodes], covered[nodes] = graph.distance[kth], held > 0
    n, m = int(reference.sum()), int(candidate.sum())
    return Balls(
        precision=float(candidate[realistic].sum() / m),
        recall=float(reference[recalled].sum() / n),
        density=float((reference[nodes] * held.astype(np.int64)).sum() / (k * m)),
        coverage=float(reference[covered].sum() / n),
        radius=radius,
        realistic=realistic,
        recalled=recalled,
        covered=covered,
    )


def covered_rows(graph: Graph, reference: Counts, candidate: Counts, k: int, *, cut: bool = False) -> NDArray[np.bool_]:
    """``(m,)`` nodes whose reference ball holds a candidate row: the ``covered`` of :func:`balls` alone, at lower cost.

    Args:
        graph: Neighbour lists.
        reference: ``(m,)`` reference rows at each node.
        candidate: ``(m,)`` candidate rows at each node.
        k: Which neighbour gives the radius.
        cut: Let a ball end with its list where that holds fewer than ``k`` neighbours.

    Raises:
        TooShort: A list ends before the k-th neighbour, and ``cut`` is not set.
    """
    real, fake = _cumulative_counts(graph, reference), _cumulative_counts(graph, candidate)
    nodes, _, end = _ball_ends(graph, real, reference, k, cut, "le")
    covered = np.zeros(len(graph), dtype=bool)
    covered[nodes] = fake[end] > fake[graph.indptr[nodes]]
    return covered


def balls_between(
    reference: Floats, candidate: Floats, k: int = 5, *, ties: Ties = "le", memory: int = MEMORY, device: str = "cpu"
) -> Balls:
    """Precision, recall, density and coverage of two arrays of rows.

    Args:
        reference: ``(n, d)``.
        candidate: ``(m, d)``.
        k: Which neighbour gives the radius.
        ties: Whether rows at exactly the radius are in the ball (``le``) or not (``lt``, as in prdc).
        memory: Budget in bytes for one block.
        device: Where the matrix products run.

    Raises:
        ValueError: A side has no more than ``k`` rows, or features are not finite.

    >>> x = np.arange(20.0)[:, None]
    >>> balls_between(x, x + 0.25, 1).values
    (1.0, 1.0, 1.95, 1.0)
    """
    refuse_too_few(reference, candidate, k)
    parts = [Part(side, np.arange(len(side))) for side in (reference, candidate)]
    graph = graph_among(parts, depth=k, memory=memory, device=device)
    first = np.arange(len(graph.node)) < len(reference)
    return balls(graph, counts(graph, first), counts(graph, ~first), k, ties=ties)


def refuse_too_few(reference: Floats, candidate: Floats, k: int) -> None:
    """Refuse sides without a ``k``-th neighbour.

    Raises:
        ValueError: A side has no more than ``k`` rows, or ``k`` is below 1.
    """
    if min(len(reference), len(candidate)) <= k or k < 1:
        raise ValueError(
            f"k = {k} neighbours need {k + 1} rows on each side, not {len(reference)} and {len(candidate)}"
        )


def counts(graph: Graph, chosen: NDArray[np.bool_]) -> Counts:
    """``(m,)`` how many of the chosen rows stand at each node."""
    return np.bincount(graph.node[chosen], minlength=len(graph)).astype(np.int32)


def _cumulative_counts(graph: Graph, rows: Counts) -> Counts:
    """Rows before each position of the lists."""
    made = np.zeros(len(graph.index) + 1, dtype=np.int32)
    np.cumsum(np.take(rows, graph.index, mode="clip"), out=made[1:])
    return made


def _ball_ends(graph: Graph, running: Counts, rows: Counts, k: int, cut: bool, ties: Ties) -> tuple[Rows, Rows, Rows]:
    """Nodes that hold rows, and the positions in the lists of the k-th neighbour and where the ball ends."""
    nodes = np.flatnonzero(rows)
    # A row is in its own list: its k-th neighbour is the (k + 1)-th row there.
    kth = np.searchsorted(running, running[graph.indptr[nodes]] + (k + 1), side="left") - 1
    stop = graph.indptr[nodes + 1]
    if not cut and (kth >= stop).any():
        raise TooShort(f"some lists hold fewer than {k} neighbours")
    kth = np.minimum(kth, stop - 1)
    run = np.searchsorted(graph.runs, kth, side="right")
    if ties == "le":
        return nodes, kth, graph.runs[run]
    before = np.where(run > 0, graph.runs[run - 1], 0)
    return nodes, kth, np.maximum(before, graph.indptr[nodes])


def _nodes_in_balls(graph: Graph, nodes: Rows, end: Rows) -> NDArray[np.bool_]:
    """Nodes that lie in at least one of these balls."""
    start = graph.indptr[nodes]
    in_balls = np.zeros(len(graph), dtype=bool)
    in_balls[graph.index[spread(start, end - start)]] = True
    return in_balls
