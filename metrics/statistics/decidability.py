"""Whether a gate can be decided at this size: how probably a faithful release would pass it.

A release of fresh real rows differs from the real rows by chance. Where chance alone would often carry
its bound across the limit, a gate says nothing of the release, and is *undecidable here*. All this is
computed from the real data, never from the release: a release must not choose what it is judged by.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from counterproof.metrics.estimate import Expected
from counterproof.metrics.sample import Floats

DECIDABLE = 0.9  # a gate on one quantity: a faithful release passes it so often, or it says nothing
MISSES = 0.03  # of the cells of one gate together: all must pass, and each brings its own chance to miss
WIDEST = 2.0  # times a tolerance of the policy, up to which it is widened to what real rows differ by
CONFIDENCE = 0.95  # of the one-sided bound that must lie inside


def pass_probability(
    limit: ArrayLike,
    sigma: ArrayLike,
    confidence: float = CONFIDENCE,
    *,
    error: ArrayLike | None = None,
    freedom: ArrayLike = math.inf,
    sides: Literal[1, 2] = 1,
) -> Floats:
    r"""Probability that a faithful release passes: its one-sided bound lies inside the limit.

    Its estimate is normal about the value that real rows reach, with standard deviation ``sigma``, and the
    bound lies ``z`` standard errors beyond: :math:`\Phi(limit / sigma - z)`. With ``sides`` 2 the estimate is
    judged on both sides of that value. A ``sigma`` of 0 decides where the limit leaves any room.

    Args:
        limit: Distance from what real rows reach to the limit, in the metric's unit; negative is beyond it.
        sigma: Standard deviation of the estimate of a faithful release, in the same unit.
        confidence: Of the one-sided bound.
        error: Standard error of the interval, where it is another than ``sigma``.
        freedom: Degrees of freedom of the standard error where few draws tell it: the bound is Student's.
        sides: Whether a change to either side fails.

    >>> round(float(pass_probability(0.02, 0.006)), 3)  # 1.645 errors of the bound and 1.69 of luck
    0.954
    >>> [round(float(p), 3) for p in pass_probability([0.02, 0.02, -0.01], [0.02, 0.0, 0.0])]
    [0.26, 1.0, 0.0]
    """
    from scipy.stats import norm  # judging a record again needs no SciPy
    from scipy.stats import t as student

    room, spread = np.asarray(limit, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    z = student.ppf(confidence, np.asarray(freedom, dtype=np.float64))
    if error is not None:
        z, room = 0.0, room - z * np.asarray(error, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(spread == 0, np.where(room >= 0, np.inf, -np.inf), room / spread)
    inside = norm.cdf(ratio - z)
    found = inside if sides == 1 else np.maximum(2 * inside - 1, 0.0)
    return np.asarray(np.where(np.isnan(ratio), 0.0, found))


def largest_decidable_set(miss: ArrayLike, total: float = MISSES) -> NDArray[np.bool_]:
    """The most cells that a faithful release passes all together, with probability ``1 - total`` or more.

    The chance that any of some cells is missed is at most the sum of their chances, however they depend on
    one another (Boole). So the most reliable cells are taken first, as long as the sum allows.

    Args:
        miss: ``(m,)`` probability that a faithful release does not pass the cell.
        total: What the cells may miss together.

    Returns:
        ``(m,)`` which cells are decidable; of cells that are equally reliable, the first.

    >>> largest_decidable_set([0.02, 0.001, 0.5, 0.012]).tolist()
    [False, True, False, True]
    """
    chances = np.asarray(miss, dtype=np.float64)
    order = np.argsort(chances, kind="stable")
    kept = np.zeros(len(chances), dtype=bool)
    kept[order] = np.cumsum(chances[order]) <= total
    return kept


def rows_to_decide(
    limit: float, sigma: float, rows: int, *, probability: float = DECIDABLE, confidence: float = CONFIDENCE
) -> int | None:
    """Rows at which a faithful release would pass so often, where the error falls with the root of the rows.

    Args:
        limit: Distance from what real rows reach to the limit.
        sigma: Standard deviation of the estimate of a faithful release at ``rows`` rows.
        rows: Rows now.
        probability: With which it should pass.
        confidence: Of the one-sided bound.

    Returns:
        The rows; None where the limit leaves no room, so that more rows would not help.

    >>> rows_to_decide(0.02, 0.02, 1000), rows_to_decide(0.0, 0.02, 1000)
    (8564, None)
    """
    if limit <= 0 or not math.isfinite(sigma):
        return None
    errors = NormalDist().inv_cdf(confidence) + NormalDist().inv_cdf(probability)
    return math.ceil(rows * max((errors * sigma / limit) ** 2, 1 / max(rows, 1)))


def expected_ratio(error: float, limit: float) -> Expected:
    """What a faithful release shows of a ratio of shares: 1, with the scatter of its logarithm.

    Gates reckon on the plain scale, ratios scatter on the logarithmic one: the scatter is drawn out so that the
    limit lies as many standard deviations below 1 as its logarithm lies below 0.

    Args:
        error: Standard deviation of the logarithm.
        limit: Of the gate, below 1.

    >>> round(expected_ratio(0.1, 0.8).spread, 4)
    0.0896
    """
    reach = error * (1 - limit) / -math.log(limit)
    return Expected(value=1.0, spread=reach, error=reach)
