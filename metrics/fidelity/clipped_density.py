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

    For each synthetic row it counts the real neighbourhoods that the row lies in, ``k`` at most. A
    neighbourhood reaches to the ``k``-th real neighbour, but is never wider than the median one. A row at
    exactly the radius lies inside; the interval is as wide as that of the uncut score.

    Formula:
        s(y) = min(k, number of real neighbourhoods that hold y) / k
        value = min(1, mean s over synthetic rows / mean s over real rows among themselves)

    How to read it:
        1 is best. The value falls in a straight line with the share of bad rows: half bad rows give a half. It
        is cut at 1, so fresh real rows stay a little below. Neither the wide neighbourhood of a real outlier
        nor synthetic rows that crowd on one mode raise it.

    Limits:
        It does not see modes that are missing; read it with clipped coverage.

    Args:
        bench: The samples.
        k: Which real neighbour sets the size of a neighbourhood.

    Yields:
        value: The equivalent share of good synthetic rows.

    Source:
        Salvy, Talbot and Thirion (2025), arXiv:2507.01761, and their code.
    """
    yield cut_at_one(quantity_value(bench, "clipped density", k))
