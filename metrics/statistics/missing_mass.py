"""Missing mass: the probability that the next row has a value that no row had before."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from counterproof.metrics.estimate import Estimate, normal_quantile


def unseen_mass(counts: NDArray[np.intp], level: float = 0.95) -> Estimate:
    """Good and Turing's estimate of the mass of all values that no row has yet: singletons over rows.

    Singletons, and the mass estimated from them, vary by ``f1 + 2 f2`` rows (``f1`` values have one row,
    ``f2`` two): the lower end is normal, the upper end that of a Poisson count as variable, which is
    the rule of three where no value stands alone. It held the mass itself in 94 to 100 of 100 draws
    (``tests/simulations/simulate_unseen_mass.py``).

    Sources: Good 1953, doi:10.1093/biomet/40.3-4.237; the variance after Esty 1983,
    doi:10.1214/aos/1176346256.

    Args:
        counts: ``(values,)`` rows of each value; zeros are ignored.
        level: Confidence of the two-sided interval.

    Raises:
        ValueError: There is no row.

    >>> e = unseen_mass(np.array([1, 1, 2, 6]))
    >>> round(e.value, 2), round(unseen_mass(np.array([2995])).bound("high", 0.95), 4)
    (0.2, 0.001)
    """
    n = int(counts.sum())
    if n < 1:
        raise ValueError("the mass of unseen values needs a row at least")
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    value = once / n
    swell = (once + 2 * twice) / once if once else 1.0 + 2 * twice
    low = (once - normal_quantile(0.5 + level / 2) * math.sqrt(once + 2 * twice)) / n
    high = float(chi2.ppf(0.5 + level / 2, 2 * (once / swell + 1))) / 2 * swell / n
    return Estimate(
        value=value,
        low=max(low, 0.0),
        high=min(1.0, max(high, value)),
        level=level,
        method="Good–Turing, by singletons and pairs",
    )
