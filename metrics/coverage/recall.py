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

    A real row counts if it is within the neighbourhood of at least one synthetic row, which reaches to that
    row's ``k``-th synthetic neighbour.

    Formula:
        value = mean over real rows x of [there is a synthetic y with |x − y| ≤ r_k(y)]

    How to read it:
        Higher is better. Fresh real rows do not reach 1: read the excess over the floor.

    Limits:
        Scattered synthetic rows have wide neighbourhoods and raise it: read it with precision. Coverage does
        not have that fault.

    Args:
        bench: The samples.
        k: Which synthetic neighbour sets the size of a neighbourhood.
        ties: Whether a row at exactly the radius lies inside (le) or outside (lt).

    Yields:
        value: Share of real rows in a synthetic neighbourhood.

    Source:
        Kynkäänniemi et al. (2019), Improved precision and recall, arXiv:1904.06991.
    """
    yield quantity_value(bench, "recall", k, _unreached_rows, ties=ties)


def _unreached_rows(bench: Workbench, made: Manifold) -> Evidence:
    return uncovered_rows(
        bench, made.graph, made.balls, made.balls.recalled, "that no synthetic row's neighbours reach"
    )
