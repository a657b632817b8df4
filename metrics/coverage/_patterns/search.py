"""The search for patterns that a release leaves uncovered, and which of them chance explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, hypergeom

from counterproof.metrics.coverage._patterns.lattice import OPEN, Cells, Counts, Flags, Uncovered, uncovered_patterns
from counterproof.metrics.coverage._shares.categories import Category, categories
from counterproof.metrics.coverage._shares.shares import independent
from counterproof.metrics.sample import Sample
from counterproof.metrics.workbench import Workbench

BOUNDS = ("≤ ", "> ")  # what the names of the outer fifths of a number begin with


@dataclass(frozen=True, eq=False, kw_only=True)
class Space:
    """The distinct rows of an audit over some columns.

    Attributes:
        columns: The columns.
        crowded: Columns of too many values, with their number.
        cells: Their distinct rows.
        of_row: ``(n,)`` the distinct row of each row of the corpus.
    """

    columns: tuple[Category, ...]
    crowded: dict[str, int]
    cells: Cells
    of_row: NDArray[np.intp]

    @property
    def remark(self) -> str:
        """Which columns were left out."""
        return "; ".join(f"{name} has {n} values and was left out: join some" for name, n in self.crowded.items())

    def counts(self, sample: Sample) -> Counts:
        """``(u,)`` rows of a sample by distinct row."""
        return np.bincount(self.of_row[sample.rows], minlength=len(self.cells.codes)).astype(np.int64)

    def text(self, pattern: Sequence[int]) -> str:
        """A pattern as readers see it."""
        given = [
            f"{column.name} {'' if column.values[at].startswith(BOUNDS) else '= '}{column.values[at]}"
            for column, at in zip(self.columns, pattern, strict=True)
            if at != OPEN
        ]
        return ", ".join(given) or "any kind"


def space_of(bench: Workbench, names: tuple[str, ...] | None) -> Space:
    """The distinct rows over the columns that were asked for."""
    columns, crowded = categories(bench, names)
    of_row = np.zeros(len(bench.corpus.names), dtype=np.intp)
    for column in columns:  # numbered anew at each column: the number of a row's values never overflows
        both = of_row * (len(column.values) + 1) + column.codes
        of_row = np.unique(both, return_inverse=True)[1].astype(np.intp)
    first = np.unique(of_row, return_index=True)[1]
    codes = np.array([column.codes[first] for column in columns], dtype=np.intp).reshape(len(columns), len(first)).T
    cells = Cells(codes=codes, sizes=tuple(len(column.values) for column in columns))
    return Space(columns=columns, crowded=crowded, cells=cells, of_row=of_row)


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
