"""Clipped density: the share of good synthetic rows, which outliers cannot bend."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.metrics.metric import Count, Value, metric
from counterproof.metrics.prdc.clipped import cut_at_one
from counterproof.metrics.prdc.scores import NEEDS, quantity_value
from counterproof.metrics.workbench import Workbench


@metric(
    id="fidelity.clipped_density",
    family="fidelity",
    better="higher",
    unit="equivalent share of good synthetic rows",
    needs=NEEDS,
)
def clipped_density(bench: Workbench, *, k: Count = 5) -> Iterator[Value]:
    """Share of good synthetic rows that would be as crowded around real rows.

    For each synthetic row, the real neighbourhoods (to the ``k``-th real neighbour, none wider than
    the median one) that it lies in, at most ``k``, over ``k``; the mean over synthetic rows, over
    the same mean of the real rows among themselves. Neither a real outlier's wide neighbourhood nor
    synthetic rows heaped on one mode raise it, so it falls in a straight line with the share of bad
    rows. Cut at 1, so fresh real rows stay a little below.

    Source: Salvy, Talbot and Thirion (2025), arXiv:2507.01761, and their code. A row at exactly the
    radius lies in the ball; the interval is as wide as that of the uncut score.
    """
    yield cut_at_one(quantity_value(bench, "clipped density", k))
