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

    For each share α, the ball around the mean of the real rows that holds α of them should hold α of the
    synthetic rows too. The curve of these shares lies on the diagonal for a faithful release. The numbers are
    those of synthcity's ``delta_precision_alpha_naive`` on the same features: 30 levels and no one-class
    network, which is trained anew at each seed, so that its numbers do not compare.

    Formula:
        P(α) = share of synthetic rows within the ball that holds the share α of real rows
        value = 1 − 2 ∫ |P(α) − α| dα

    How to read it:
        1 is best, 0 is the worst curve. Fresh real rows stay a little below 1: compare with the floor. A curve
        above the diagonal means that the release is too typical, below it that rows lie too far out.

    Limits:
        It sees distances from the mean alone. Rows may agree there and be wrong otherwise: read it with
        precision.

    Yields:
        value: Agreement of the curve with the diagonal.

    Source:
        Alaa et al. (2022), How faithful is your synthetic data?, arXiv:2102.08921.
    """
    reason = too_few_reason(bench, "α-precision", 1)
    if reason:
        yield Value(status="not_assessable", reason=reason, n=bench.sizes)
        return
    curve, error = alpha_curve(bench), 0.0 if bench.is_null else alpha_spread(bench)
    yield curve_value(bench, curve, error, alpha_curve, "α-precision", 1, outermost_rows)
