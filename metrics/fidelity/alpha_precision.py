"""α-precision: whether synthetic rows are as typical of real data as real rows are."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.metrics.metric import Value, metric
from counterproof.metrics.prdc.alpha_beta import (
    alpha_curve,
    alpha_spread,
    curve_value,
    outermost_rows,
    too_few_reason,
)
from counterproof.metrics.prdc.scores import NEEDS
from counterproof.metrics.workbench import Workbench


@metric(
    id="fidelity.alpha_precision",
    family="fidelity",
    better="higher",
    title="α-precision",
    unit="agreement with the diagonal",
    needs=NEEDS,
)
def alpha_precision(bench: Workbench) -> Iterator[Value]:
    """Whether synthetic rows are as typical of real data as real rows are (integrated α-precision).

    For each share α, the ball around the real mean that holds α of the real rows should hold α of
    the synthetic rows; the value is 1 less the mean distance of that curve from the diagonal, scaled
    so that the worst curve has 0. The curve tells how it fails: above the diagonal the release is
    too typical, below it too far out. It sees distances from the mean alone: rows may agree there
    and be wrong otherwise. Read it with precision.

    The numbers are those of synthcity's ``delta_precision_alpha_naive`` on the same features: 30
    levels, no one-class network (which is trained anew at each seed, so its numbers do not compare).
    Source: Alaa et al. (2022), arXiv:2102.08921.
    """
    reason = too_few_reason(bench, "α-precision", 1)
    if reason:
        yield Value(status="not_assessable", reason=reason, n=bench.sizes)
        return
    curve, error = alpha_curve(bench), 0.0 if bench.is_null else alpha_spread(bench)
    yield curve_value(bench, curve, error, alpha_curve, "α-precision", 1, outermost_rows)
