"""Coverage: the share of real rows that have a synthetic row near them."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.metrics.estimate import Evidence
from counterproof.metrics.metric import Count, Quantity, Value, metric
from counterproof.metrics.prdc.balls import Ties
from counterproof.metrics.prdc.evidence import uncovered_rows
from counterproof.metrics.prdc.scores import NEEDS, Manifold, quantity_value, within_tolerance
from counterproof.metrics.workbench import Workbench


@metric(
    id="coverage.coverage",
    family="coverage",
    better="higher",
    unit="share of real rows",
    needs=NEEDS,
    tolerances=within_tolerance(0.10, "a tenth more of the real rows may have no synthetic row near them"),
    quantities={
        "value": Quantity(
            name="Coverage (real rows with a release row near them)",
            shown_as="percent",
            measure="{} of real rows",
            finding="Real rows have no release row near them (coverage)",
            means="Parts of the real data are missing or thin in the release.",
            remedy="See which groups or regions are bare, and make the generator produce them.",
        ),
    },
)
def coverage(bench: Workbench, *, k: Count = 5, ties: Ties = "le") -> Iterator[Value]:
    """Share of real rows that have a synthetic row nearer than their ``k``-th real neighbour.

    Source: Naeem et al. (2020), arXiv:2002.09797.
    """
    yield quantity_value(bench, "coverage", k, _uncovered_rows, ties=ties)


def _uncovered_rows(bench: Workbench, made: Manifold) -> Evidence:
    return uncovered_rows(bench, made.graph, made.balls, made.balls.covered, "without a synthetic row near them")
