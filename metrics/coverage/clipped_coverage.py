"""Clipped coverage: the share of fresh real rows that would cover as well, which outliers cannot bend."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.metrics.metric import Count, Value, metric
from counterproof.metrics.prdc.clipped import cut_at_one
from counterproof.metrics.prdc.scores import NEEDS, quantity_value
from counterproof.metrics.workbench import Workbench


@metric(
    id="coverage.clipped_coverage",
    family="coverage",
    better="higher",
    unit="equivalent share of good synthetic rows",
    needs=NEEDS,
)
def clipped_coverage(bench: Workbench, *, k: Count = 5) -> Iterator[Value]:
    """Share of fresh real rows that would cover real rows as well as the release does.

    For each real row it counts the synthetic rows nearer than the ``k``-th real neighbour, ``k`` at most. The
    exact expectation of this count under fresh real rows turns the mean into a share of good rows. Between two
    numbers of rows the calibration is interpolated.

    Formula:
        c(x) = min(k, number of synthetic rows within r_k(x)) / k
        value = the share s of good rows for which fresh real rows would give the mean of c; at most 1

    How to read it:
        1 is best. The value is the share of the release that does good work: half bad rows give a half.

    Limits:
        Many identical rows break the expectation, because ties hold more than k rows: read it against its
        floor. It does not see unrealistic rows; read it with clipped density.

    Args:
        bench: The samples.
        k: Which real neighbour sets the size of a neighbourhood.

    Yields:
        value: The equivalent share of good synthetic rows.

    Source:
        Salvy, Talbot and Thirion (2025), arXiv:2507.01761, and their code, whose < at the radius is ≤ here.
    """
    yield cut_at_one(quantity_value(bench, "clipped coverage", k))
