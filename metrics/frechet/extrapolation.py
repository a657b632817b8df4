"""FD∞: the Fréchet distance of infinitely many rows, extrapolated by a line in 1/n."""

from __future__ import annotations

import math

import numpy as np

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.frechet.influence import Influence
from counterproof.metrics.frechet.moments import frechet_of_moments, moments_of
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.statistics.variance import parts_error

SIZES = 15
SMALLEST = 5000
METHOD = "line in 1/n over 15 sizes of both sides, influence of rows, normal"


def shares_of(n: int, d: int) -> Floats:
    """``(15,)`` shares of the rows, from 5,000 rows or a tenth, whichever is less, to all.

    As in dgm-eval, but never fewer rows than dimensions: below that the distance leaves its line.

    >>> shares_of(1000, 64)[[0, -1]].tolist()
    [0.1, 1.0]
    """
    lowest = min(n, max(min(SMALLEST, n // 10), d, 2))
    return np.linspace(lowest, n, SIZES) / n


def frechet_infinity(
    left: Floats,
    right: Floats,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    rows: Influence | None = None,
    clusters: tuple[Rows | None, Rows | None] = (None, None),
) -> Estimate:
    """Fréchet distance of infinitely many rows like these.

    The plain distance of random subsets is extrapolated by least squares on 1/n. Both sides shrink
    alike: with one side kept whole, as published, the distance keeps that side's bias and leaves the
    line. In the interval each row's influence is weighted by the subsets that contained it.

    Source: Chong and Forsyth, arXiv:1911.07023; the sizes are those of dgm-eval (Stein et al.,
    arXiv:2306.04675).

    Args:
        left: ``(n, d)``.
        right: ``(m, d)``.
        rng: Draws the subsets.
        level: Confidence of the interval.
        rows: Influences of the rows; None gives a value without an interval.
        clusters: Source record of each row of the two sides.
    """
    sides = (left, right)
    fewest = min(len(s) if c is None else len(np.unique(c)) for s, c in zip(sides, clusters, strict=True))
    shares = shares_of(fewest, left.shape[1])
    weights = _weights_at_zero(1 / shares)
    found, held = np.empty(SIZES), [np.zeros(len(side)) for side in sides]
    for place, (share, weight) in enumerate(zip(shares, weights, strict=True)):
        chosen = [_random_subset(len(side), share, rng, source) for side, source in zip(sides, clusters, strict=True)]
        one, other = (moments_of(side[subset]) for side, subset in zip(sides, chosen, strict=True))
        found[place] = frechet_of_moments(one, other)
        for total, subset in zip(held, chosen, strict=True):
            total[subset] += weight / len(subset)
    value = float(weights @ found)
    if rows is None:
        return Estimate.point(value, level=level)
    parts = (held[0] * rows.left, held[1] * rows.right)
    errors = [parts_error(part - part.mean(), source) for part, source in zip(parts, clusters, strict=True)]
    return Estimate.normal(value, math.hypot(*errors, _scatter(1 / shares, found)), level=level, method=METHOD)


def _scatter(x: Floats, y: Floats) -> float:
    """Standard error of the intercept of the least-squares line, by its residuals."""
    line = np.polynomial.Polynomial.fit(x, y, 1)
    residuals = y - line(x)
    weights = _weights_at_zero(x)
    return float(np.sqrt(residuals @ residuals / max(1, len(x) - 2) * (weights @ weights)))


def _random_subset(n: int, share: float, rng: np.random.Generator, clusters: Rows | None) -> Rows:
    """A random share of the rows; with sources, the rows of a random share of them."""
    if clusters is None:
        return np.sort(rng.permutation(n)[: round(share * n)])
    sources, inverse = np.unique(clusters, return_inverse=True)
    kept = np.zeros(len(sources), dtype=bool)
    kept[rng.permutation(len(sources))[: round(share * len(sources))]] = True
    return np.flatnonzero(kept[inverse])


def _weights_at_zero(x: Floats) -> Floats:
    """Weight of each point in the intercept of the least-squares line.

    >>> bool(abs(_weights_at_zero(np.array([1.0, 2.0])) - [2, -1]).max() < 1e-12)
    True
    """
    centred = x - x.mean()
    spread = float(centred @ centred)
    return np.asarray(1 / len(x) - x.mean() * centred / spread) if spread else np.full(len(x), 1 / len(x))
