"""Precision, recall, density and coverage of small samples, from one matrix of distances that half-samples share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterproof.metrics.engine.distances import squared_distances
from counterproof.metrics.sample import Floats, Rows

SAME = 1e-10  # squared distances closer than this share of the largest squared norm are one


@dataclass(frozen=True, eq=False, kw_only=True)
class Distances:
    """Squared distances of some hundred rows a side.

    Attributes:
        real: ``(n, n)`` among real rows; a row is nearest to itself.
        made: ``(m, m)`` among synthetic rows.
        across: ``(n, m)``.
        same: Differences that are rounding.
    """

    real: Floats
    made: Floats
    across: Floats
    same: float

    @classmethod
    def between(cls, real: Floats, made: Floats) -> Distances:
        """All distances of two sides ``(n, d)`` and ``(m, d)``."""
        centre = real.mean(axis=0)
        real, made = real - centre, made - centre
        within = squared_distances(real, real), squared_distances(made, made)
        for square in within:
            np.fill_diagonal(square, -np.inf)
        largest = max(float((rows**2).sum(1).max()) for rows in (real, made))
        return cls(real=within[0], made=within[1], across=squared_distances(real, made), same=SAME * largest)

    def of(self, real: Rows, made: Rows) -> Distances:
        """The distances of some of the rows."""
        return Distances(
            real=self.real[np.ix_(real, real)],
            made=self.made[np.ix_(made, made)],
            across=self.across[np.ix_(real, made)],
            same=self.same,
        )

    def prdc(self, k: int) -> tuple[float, float, float, float]:
        """Precision, recall, density and coverage, rows at exactly the radius included.

        >>> x = np.arange(20.0)[:, None]
        >>> Distances.between(x, x + 0.25).prdc(1)
        (1.0, 1.0, 1.95, 1.0)
        """
        held = self.across <= self._radius(self.real, k)[:, None]
        recalled = self.across <= self._radius(self.made, k)[None, :]
        precision, coverage = held.any(axis=0).mean(), held.any(axis=1).mean()
        return float(precision), float(recalled.any(axis=1).mean()), self._density(held, k), float(coverage)

    def density(self, k: int) -> float:
        """The density alone."""
        return self._density(self.across <= self._radius(self.real, k)[:, None], k)

    def _radius(self, within: Floats, k: int) -> Floats:
        """Squared distance to the ``k``-th neighbour."""
        return np.asarray(np.partition(within, k, axis=1)[:, k] + self.same)

    def _density(self, held: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], k: int) -> float:
        return float(held.sum() / (k * held.shape[1]))
