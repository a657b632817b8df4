"""Recall: the share of real rows that lie where synthetic rows lie."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.metrics.estimate import Evidence
from counterproof.metrics.metric import Count, Quantity, Value, metric
from counterproof.metrics.prdc.balls import Ties
from counterproof.metrics.prdc.evidence import uncovered_rows
from counterproof.metrics.prdc.scores import NEEDS, Manifold, quantity_value, within_tolerance
from counterproof.metrics.workbench import Workbench


@metric(
    id="coverage.recall",
    family="coverage",
    better="higher",
    unit="share of real rows",
    needs=NEEDS,
    tolerances=within_tolerance(0.10, "a tenth more of the real rows may lie outside the release's reach"),
    quantities={
        "value": Quantity(
            name="Recall (real rows within reach of the release)",
            shown_as="percent",
            measure="{} of real rows",
            finding="Real rows lie outside what the release covers (recall)",
            means="The release is less varied than real data.",
            remedy="Check the generator for mode collapse; train it on more varied data, or sample more widely.",
        ),
    },
)
def recall(bench: Workbench, *, k: Count = 5, ties: Ties = "le") -> Iterator[Value]:
    """Share of real rows that lie where synthetic rows lie.

    A row does when it is within the distance of some synthetic row to that row's ``k``-th
    synthetic neighbour. Scattered synthetic rows have wide neighbourhoods and raise it: read it
    with precision. Source: Kynkäänniemi et al. (2019), arXiv:1904.06991.
    """
    yield quantity_value(bench, "recall", k, _unreached_rows, ties=ties)


def _unreached_rows(bench: Workbench, made: Manifold) -> Evidence:
    return uncovered_rows(
        bench, made.graph, made.balls, made.balls.recalled, "that no synthetic row's neighbours reach"
    )
