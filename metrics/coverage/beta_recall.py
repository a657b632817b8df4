"""β-recall: whether typical and untypical synthetic rows alike reach real rows."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.metrics.engine.knn_graph import TooDense
from counterproof.metrics.metric import Count, Value, metric
from counterproof.metrics.prdc.alpha_beta import (
    beta_curve,
    beta_spread,
    curve_value,
    too_few_reason,
    unreached_rows,
)
from counterproof.metrics.prdc.scores import NEEDS
from counterproof.metrics.workbench import Workbench


@metric(
    id="coverage.beta_recall",
    family="coverage",
    better="higher",
    title="β-recall",
    unit="agreement with the diagonal",
    needs=NEEDS,
)
def beta_recall(bench: Workbench, *, k: Count = 1) -> Iterator[Value]:
    """Whether typical and untypical synthetic rows alike reach real rows (integrated β-recall).

    A synthetic row reaches a real row if it is the nearest synthetic one, and no farther than the real row's
    ``k``-th real neighbour. Real rows are taken in order of how typical of the release (near its mean) their
    nearest synthetic row is. The curve is the share reached among the first β of them.

    The numbers are those of synthcity's ``delta_coverage_beta_naive`` on the same features, and of the authors'
    code except for their step of the integral. The paper's text ranks among all synthetic rows and takes any
    within the ball. By that definition fresh real rows scored 0.25 in 16 dimensions (k = 5) and a release with
    half its rows far off 0.79, so the code's definition is kept.

    Formula:
        R(β) = share of real rows reached, among the first β of them
        value = 1 − (mean |R(β) − β|) / (the same for a release that reaches none)

    How to read it:
        1 is best; reaching no real row gives 0. Of fresh real rows about a half are reached at k = 1 and nearly
        all at k = 5, so read value and curve against the floor, and note where the curve turns flat.

    Limits:
        The order is by distance from the mean alone. It does not see unrealistic rows; read it with
        α-precision.

    Args:
        bench: The samples.
        k: Which real neighbour sets the radius within which a row counts as reached.

    Yields:
        value: Agreement of the curve with the diagonal.

    Source:
        Alaa et al. (2022), How faithful is your synthetic data?, arXiv:2102.08921.
    """
    reason, curve = too_few_reason(bench, "β-recall", k), None
    if not reason:
        try:
            curve = beta_curve(bench, k)
        except TooDense as dense:
            reason = str(dense)
    if curve is None:
        yield Value(status="not_assessable", reason=reason, n=bench.sizes)
        return
    error = 0.0 if bench.is_null else beta_spread(bench, k)
    yield curve_value(
        bench,
        curve,
        error,
        lambda view: beta_curve(view, k),
        "β-recall",
        k,
        lambda at, made: unreached_rows(at, made, k),
    )
