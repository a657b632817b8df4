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

    The neighbourhood of a real row is the ball that reaches to its ``k``-th real neighbour.

    Formula:
        value = mean over synthetic rows y of #{real x: |y − x| ≤ r_k(x)} / k

    How to read it:
        About 1 for fresh real rows. Below 1, synthetic rows lie where real rows are sparse. Above 1, they crowd
        around the modes. Read the excess over the floor.

    Limits:
        It is not bounded by 1, and crowding around modes hides bad rows elsewhere: clipped density does not
        have that fault. It does not see missing modes; coverage does.

    Args:
        bench: The samples.
        k: Which real neighbour sets the size of a neighbourhood.
        ties: Whether a row at exactly the radius lies inside (le) or outside (lt).

    Yields:
        value: Real neighbourhoods for each synthetic row, over ``k``.

    Source:
        Naeem et al. (2020), Reliable fidelity and diversity metrics, arXiv:2002.09797.
    """
    yield quantity_value(bench, "density", k, ties=ties)
