"""Density: how crowded synthetic rows lie around real rows."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.metrics.metric import Count, Quantity, Value, metric
from counterproof.metrics.prdc.balls import Ties
from counterproof.metrics.prdc.scores import NEEDS, quantity_value, within_tolerance
from counterproof.metrics.workbench import Workbench


@metric(
    id="fidelity.density",
    family="fidelity",
    better="higher",
    unit="synthetic rows in real neighbourhoods, 1 expected",
    needs=NEEDS,
    tolerances=within_tolerance(0.20, "a fifth less crowded than fresh real rows around real rows"),
    quantities={
        "value": Quantity(
            name="Density",
            measure="{} (1 is expected)",
            finding="Release rows lie where few real rows are (density)",
            means="A part of the release is less realistic than real rows are.",
            remedy="Look at the least realistic rows; train the generator longer, or filter such rows out.",
        ),
    },
)
def density(bench: Workbench, *, k: Count = 5, ties: Ties = "le") -> Iterator[Value]:
    """How many real neighbourhoods a synthetic row lies in, over ``k``.

    About 1 for fresh real rows and not bounded by it: rows crowded around modes exceed 1. Source:
    Naeem et al. (2020), arXiv:2002.09797.
    """
    yield quantity_value(bench, "density", k, ties=ties)
