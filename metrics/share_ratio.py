"""The share of rows of one kind in the release, over its share in real data, for kinds that are rare."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.sample import Sample

SURE = 5.2  # 1.645 standard errors of the bound and 3.5 of luck: one faithful cell in 5,000 misses its limit
EMPTY = 0.001  # chance that a faithful release leaves any kind out, over all kinds that are looked at

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Rows of one kind among the rows of one side.

    Attributes:
        hits: Rows of the kind.
        rows: All rows.
        swell: Rows that say as much as one independent row does; above 1 where rows share sources.
    """

    hits: int
    rows: int
    swell: float = 1.0

    @property
    def share(self) -> float:
        """Share of the rows."""
        return self.hits / self.rows


def count_rows(inside: Flags, sample: Sample) -> Count:
    """Count the rows of a sample that are of a kind; rows of one source are not independent.

    Args:
        inside: ``(n,)`` which rows of the sample are.
        sample: The rows.
    """
    hits, rows = int(inside.sum()), len(inside)
    if sample.corpus.clusters is None or not 0 < hits < rows:
        return Count(hits=hits, rows=rows)
    share, units = hits / rows, sample.units
    beyond = np.bincount(units, weights=inside - share)
    return Count(hits=hits, rows=rows, swell=max(1.0, float(beyond @ beyond) / (rows * share * (1 - share))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRatio:
    """One kind of rows in real data and in the release.

    >>> ratio = ShareRatio(real=Count(hits=9, rows=16_660), made=Count(hits=2, rows=17_877))
    >>> e = ratio.estimate(0.95)
    >>> round(e.value, 4), round(e.low, 4), round(e.high, 4)
    (0.2071, 0.0218, 1.0005)
    """

    real: Count
    made: Count

    @property
    def value(self) -> float:
        """Share in the release over share in real data."""
        return self.made.share / self.real.share

    def estimate(self, level: float) -> Estimate:
        """The ratio with the exact interval for rare kinds: given both counts, one is binomial.

        Source: the conditional test of two Poisson rates, as in R's ``rateratio.test``. Kinds that are
        not rare get an interval that is too wide, never one that is too narrow.

        Args:
            level: Confidence of the two-sided interval.
        """
        swell = self.made.swell if self.made.hits else max(self.made.swell, self.real.swell)
        made, real = self.made.hits / swell, self.real.hits / self.real.swell
        tail = (1 - level) / 2
        scale = (self.real.rows / self.real.swell) / (self.made.rows / swell)
        low = float(beta.ppf(tail, made, real + 1)) if made else 0.0
        high = float(beta.ppf(1 - tail, made + 1, real))
        ends = [scale * p / (1 - p) for p in (low, high)]
        method = "exact, of two rare counts"
        # Rounding must not put an end on the wrong side of the value.
        return Estimate(
            value=self.value,
            low=min(ends[0], self.value),
            high=max(ends[1], self.value),
            level=level,
            method=method,
            scale="log",
        )

    def decidable(self, n: int, limit: float) -> bool:
        """Whether a faithful release of ``n`` rows would surely keep its lower bound above the limit.

        Args:
            n: Rows of the release that is thought of: never of the one at hand.
            limit: A ratio below 1.
        """
        real = self.real.hits / self.real.swell
        expected = n * self.real.share / self.real.swell
        return expected > 0 and SURE * math.sqrt(1 / real + 1 / expected) <= -math.log(limit)

    def empty_by_chance(self) -> float:
        """Probability that a faithful release has no row of the kind: as if all rows were dealt at random."""
        swell = self.real.swell
        n, m, hits = self.real.rows / swell, self.made.rows / swell, math.floor(self.real.hits / swell)
        steps = np.arange(hits)
        return float(np.exp(np.sum(np.log(n - steps) - np.log(n + m - steps))))
