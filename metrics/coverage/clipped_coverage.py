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

    For each real row, the synthetic rows nearer than its ``k``-th real neighbour, at most ``k``,
    over ``k``; the mean over real rows, turned by its exact expectation under fresh real rows into
    the share of the release that does good work: half bad rows give a half. Cut at 1. Tables full
    of twins break the expectation (ties hold more than ``k`` rows): read it against its floor.

    Source: Salvy, Talbot and Thirion (2025), arXiv:2507.01761, and their code, whose ``<`` at the
    radius is ``<=`` here; between two counts of rows the calibration is interpolated.
    """
    yield cut_at_one(quantity_value(bench, "clipped coverage", k))
