"""Clipped density and clipped coverage: shares of good rows that outliers cannot bend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from counterproof.metrics.manifold import NEEDS, quantity_value
from counterproof.metrics.metric import Value, metric
from counterproof.metrics.workbench import Workbench


@metric(
    id="fidelity.clipped_density",
    family="fidelity",
    better="higher",
    unit="equivalent share of good synthetic rows",
    needs=NEEDS,
)
def clipped_density(bench: Workbench, *, k: int = 5) -> Iterator[Value]:
    """Share of good synthetic rows that would be as crowded around real rows.

    For each synthetic row, the real neighbourhoods (to the ``k``-th real neighbour, none wider than
    the median one) that it lies in, at most ``k``, over ``k``; the mean over synthetic rows, over
    the same mean of the real rows among themselves. Neither a real outlier's wide neighbourhood nor
    synthetic rows heaped on one mode raise it, so it falls in a straight line with the share of bad
    rows. Cut at 1, so fresh real rows stay a little below.

    Source: Salvy, Talbot and Thirion (2025), arXiv:2507.01761, and their code. A row at exactly the
    radius lies in the ball; the interval is as wide as that of the uncut score.
    """
    yield _cut(quantity_value(bench, "clipped density", k))


@metric(
    id="coverage.clipped_coverage",
    family="coverage",
    better="higher",
    unit="equivalent share of good synthetic rows",
    needs=NEEDS,
)
def clipped_coverage(bench: Workbench, *, k: int = 5) -> Iterator[Value]:
    """Share of fresh real rows that would cover real rows as well as the release does.

    For each real row, the synthetic rows nearer than its ``k``-th real neighbour, at most ``k``,
    over ``k``; the mean over real rows, turned by its exact expectation under fresh real rows into
    the share of the release that does good work: half bad rows give a half. Cut at 1. Tables full
    of twins break the expectation (ties hold more than ``k`` rows): read it against its floor.

    Source: Salvy, Talbot and Thirion (2025), arXiv:2507.01761, and their code, whose ``<`` at the
    radius is ``<=`` here; between two counts of rows the calibration is interpolated.
    """
    yield _cut(quantity_value(bench, "clipped coverage", k))


def _cut(value: Value) -> Value:
    """The same on [0, 1]: the interval reaches down from the cut value as far as it did from the value."""
    e = value.estimate
    if e is None:
        return value
    cut = min(1.0, e.value)
    low, high = max(0.0, cut - (e.value - e.low)), min(1.0, e.high)
    return replace(value, estimate=replace(e, value=cut, low=low, high=high, method=f"{e.method}, cut to [0, 1]"))
