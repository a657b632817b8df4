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

    Formula:
        value = mean over real rows x of [there is a synthetic y with |y − x| ≤ r_k(x)]

    How to read it:
        Higher is better. A faithful release of as many rows covers 1 − 2⁻ᵏ of them, about 0.97 at k = 5: read
        the excess over the floor. Low coverage means that parts of the real data are missing.

    Limits:
        One synthetic row near a real row is enough, however many there should be: shares of modes are not seen.
        It does not see unrealistic rows.

    Args:
        bench: The samples.
        k: Which real neighbour sets the radius.
        ties: Whether a row at exactly the radius counts (le) or not (lt).

    Yields:
        value: Share of real rows that are covered.

    Source:
        Naeem et al. (2020), Reliable fidelity and diversity metrics, arXiv:2002.09797.
    """
    yield quantity_value(bench, "coverage", k, _uncovered_rows, ties=ties)


def _uncovered_rows(bench: Workbench, made: Manifold) -> Evidence:
    return uncovered_rows(bench, made.graph, made.balls, made.balls.covered, "without a synthetic row near them")
