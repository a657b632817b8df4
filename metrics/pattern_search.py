"""The search for patterns that a release leaves uncovered, and which of them chance explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, hypergeom

from counterproof.metrics.pattern_space import Space
from counterproof.metrics.patterns import Flags, Uncovered, uncovered_patterns
from counterproof.metrics.shares import independent
from counterproof.metrics.workbench import Workbench


@dataclass(frozen=True, eq=False, kw_only=True)
class Search:
    """Uncovered patterns of one view.

    Attributes:
        found: The patterns: all maximal ones, and all that real rows may cover.
        threshold: Rows of the candidate that cover a pattern.
        covering: Real rows that answer to them.
        perhaps: Real rows that may answer to them, for all that their number tells.
        n_real: Real rows.
        n_made: Rows of the candidate.
        weights: Independent rows in a real row and in a row of the candidate.
    """

    found: Uncovered
    threshold: float
    covering: float
    perhaps: float
    n_real: int
    n_made: int
    weights: tuple[float, float]

    @property
    def sizes(self) -> dict[str, int]:
        """Rows compared."""
        return {"real": self.n_real, "release": self.n_made}

    @property
    def lost(self) -> Uncovered:
        """Maximal uncovered patterns that real rows cover."""
        return self.found.some(self.found.maximal & (self.found.real >= self.covering))

    def shortage(self, of: Uncovered) -> NDArray[np.float64]:
        """``(m,)`` chance that a faithful release matches a pattern as seldom, given what both hold."""
        real, made = self.weights
        n_made, n_real = round(self.n_made * made), round(self.n_real * real)
        # The counts repeat themselves, and the test is slow.
        counts, at = np.unique(np.stack([of.made, of.real]), axis=1, return_inverse=True)
        few = np.minimum(np.ceil(counts[0] * made), n_made)
        many = np.minimum(np.floor(counts[1] * real), n_real)
        return np.asarray(hypergeom.cdf(few, n_made + n_real, few + many, n_made), dtype=np.float64)[at]

    def beyond(self, of: Uncovered, chance: float) -> Flags:
        """Patterns that real rows cover and whose shortage is beyond chance, over all that they cover."""
        found = of.real >= self.covering
        found[found] = self.shortage(of.some(found)) <= chance / max(1, of.covered)
        return found

    def expected(self, of: Uncovered) -> NDArray[np.float64]:
        """Rows that a faithful release would have."""
        return of.real.astype(np.float64) * (self.n_made / self.n_real)

    def worst_first(self, of: Uncovered) -> Uncovered:
        """Patterns by how little chance explains them."""
        return of.some(np.lexsort((of.made, self.shortage(of))))


def search_patterns(bench: Workbench, space: Space, *, threshold: int, order: int) -> Search:
    """The uncovered patterns of a view.

    Args:
        bench: The release, or real rows on a re-split.
        space: The columns.
        threshold: Rows that cover a pattern in the release. A re-split has fewer rows, and its
            threshold is the same share of them.
        order: Columns that a pattern may combine.
    """
    real, made = (bench.reference, bench.candidate) if bench.is_null else (bench.real, bench.release)
    least = threshold * len(made) / len(bench.release)
    covering = least * len(real) / len(made)
    weights = (1.0, 1.0) if bench.is_null else (independent(real), independent(made))
    perhaps = covering if bench.is_null else may_cover(covering, weights[0], bench.level)
    found = uncovered_patterns(
        space.cells,
        space.counts(made),
        space.counts(real),
        threshold=least,
        covering=covering,
        asked=perhaps,
        order=order,
    )
    return Search(
        found=found,
        threshold=least,
        covering=covering,
        perhaps=perhaps,
        n_real=len(real),
        n_made=len(made),
        weights=weights,
    )


def may_cover(covering: float, weight: float, level: float) -> float:
    """The fewest real rows whose Poisson bound reaches those that cover a pattern.

    >>> may_cover(30.0, 1.0, 0.95)
    20.0
    """
    counts = np.arange(int(np.ceil(covering)) + 1)
    bounds = chi2.ppf(0.5 + level / 2, 2 * (counts * weight + 1)) / 2 / weight
    return float(np.flatnonzero(bounds >= covering)[0])
