"""Precision: the share of synthetic rows that lie where real rows lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from counterproof.metrics.estimate import Evidence
from counterproof.metrics.metric import Count, Quantity, Value, metric
from counterproof.metrics.prdc.balls import Ties
from counterproof.metrics.prdc.evidence import stray_rows
from counterproof.metrics.prdc.scores import NEEDS, Manifold, quantity_value, within_tolerance
from counterproof.metrics.shared.principal_axes import map_panel
from counterproof.metrics.workbench import Workbench


@metric(
    id="fidelity.precision",
    family="fidelity",
    better="higher",
    unit="share of synthetic rows",
    needs=NEEDS,
    tolerances=within_tolerance(0.10, "a tenth of the rows may be less realistic than fresh real rows are"),
    quantities={
        "value": Quantity(
            name="Precision (release rows that look real)",
            shown_as="percent",
            measure="{} of release rows",
            finding="Too few release rows look real (precision)",
            means="Some rows have combinations of values that real data do not show.",
            remedy="Look at the least realistic rows; train the generator longer, or filter such rows out.",
        ),
    },
)
def precision(bench: Workbench, *, k: Count = 5, ties: Ties = "le") -> Iterator[Value]:
    """Share of synthetic rows that lie where real rows lie.

    A synthetic row counts if it is within the neighbourhood of at least one real row, which reaches to that
    row's ``k``-th real neighbour.

    Formula:
        value = mean over synthetic rows y of [there is a real x with |y − x| ≤ r_k(x)]

    How to read it:
        Higher is better. Fresh real rows do not reach 1: read the excess over the floor. Low precision means
        unrealistic rows; the evidence names them.

    Limits:
        The wide neighbourhood of a single real outlier can hold many bad rows; clipped density does not have
        that fault. It does not see missing modes: read it with recall and coverage.

    Args:
        bench: The samples.
        k: Which real neighbour sets the size of a neighbourhood.
        ties: Whether a row at exactly the radius lies inside (le) or outside (lt).

    Yields:
        value: Share of synthetic rows in a real neighbourhood.

    Source:
        Kynkäänniemi et al. (2019), Improved precision and recall, arXiv:1904.06991.
    """
    value = quantity_value(bench, "precision", k, _stray_rows, ties=ties)
    drawn = value.estimate is not None and not bench.is_null
    yield replace(value, panels=(map_panel(bench),)) if drawn else value


def _stray_rows(bench: Workbench, made: Manifold) -> Evidence:
    return stray_rows(bench, made.graph, made.balls)
