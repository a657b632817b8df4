"""The mean loss of the worst part of a population: conditional value at risk over groups.

A population may change its mix of groups. If no group may come to weigh more than ``1 / (1 - alpha)`` times
what it weighs now, the worst that can happen to the mean loss is its mean over the worst ``1 - alpha`` of the
rows, groups taken whole (Subbaswamy, Adams and Saria 2021, arXiv:2010.15100).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.sample import Floats
from counterproof.metrics.statistics.variance import parts_error

FOLDS = 5
DOUBT, STRETCH = 0.75, 1.15  # simulated, see Tail
PRIOR = 10.0  # rows of the mean that each group is given: shrinks tiny groups, which would be the worst by chance


def worst_weights(means: Floats, mass: Floats, alpha: float) -> tuple[Floats, Floats]:
    """How much of each group belongs to the worst ``1 - alpha`` of the rows, and the mean at its edge.

    Args:
        means: ``(..., g)`` mean loss of each group.
        mass: ``(..., g)`` share of each group; 0 for groups without rows.
        alpha: Share of the rows that is left out, in [0, 1).

    Returns:
        ``(..., g)`` parts in [0, 1] and ``(...)`` the loss of the last group taken.

    >>> parts, edge = worst_weights(np.array([0.1, 0.3, 0.2]), np.array([0.5, 0.1, 0.4]), 0.75)
    >>> parts.round(3).tolist(), float(edge)
    ([0.0, 1.0, 0.375], 0.2)
    """
    order = np.argsort(-means, axis=-1, kind="stable")
    sorted_mass = np.take_along_axis(mass, order, -1)
    before = np.cumsum(sorted_mass, axis=-1) - sorted_mass
    room = np.clip(1 - alpha - before, 0.0, None)
    taken = np.minimum(np.divide(room, sorted_mass, out=np.zeros_like(room), where=sorted_mass > 0), 1.0)
    parts = np.empty_like(taken)
    np.put_along_axis(parts, order, taken, -1)
    last = np.where(taken > 0, np.take_along_axis(means, order, -1), np.inf).min(-1)
    return parts, last


@dataclass(frozen=True, eq=False, kw_only=True)
class Risk:
    """The mean loss of a part of the rows, or the difference of two.

    Attributes:
        value: The mean.
        parts: ``(n,)`` what each row adds to its sampling error, which sums to zero; once for each way it was measured.
        doubt: Difference between two estimates, which shows how much depends on the choice of the worst groups.
    """

    value: float
    parts: tuple[Floats, ...]
    doubt: float = 0.0

    def less(self, other: Risk) -> Risk:
        """The paired difference on the same rows."""
        parts = tuple(mine - theirs for mine, theirs in zip(self.parts, other.parts, strict=True))
        return Risk(value=self.value - other.value, parts=parts, doubt=self.doubt - other.doubt)

    def error(self, clusters: NDArray[np.intp] | None) -> float:
        """Standard error, plus a share of ``doubt`` (see :class:`Tail`)."""
        return max(parts_error(parts, clusters) for parts in self.parts) + DOUBT * abs(self.doubt)


@dataclass(frozen=True, eq=False, kw_only=True)
class Tail:
    """The worst ``1 - alpha`` of some rows by group.

    The groups that look worst do so partly by chance, so their mean on the same rows is biased upwards. Measured on
    other rows than they were chosen by (folds: the debiased estimator of Subbaswamy et al.), it is right where the
    worst groups stand out and too low where they hardly do, and varies more than its standard error. So the estimate is
    the middle of both, and its error the larger of theirs, stretched by 15 %, and three quarters of what they differ
    by: normal intervals then cover 93-100 % with 2 to 10 groups that are equal, spread evenly, or of which one stands
    out, and with a group of 5, at 1,000 and 5,000 rows (tests/simulations/simulate_worst_shift.py). Those of the
    debiased estimator alone cover 70-95 % there.

    Attributes:
        codes: ``(n,)`` group of each row.
        groups: How many groups.
        folds: ``(n,)`` fold of each row; rows of one source share it.
        alpha: Share of the rows that is left out.
    """

    codes: NDArray[np.intp]
    groups: int
    folds: NDArray[np.intp]
    alpha: float

    @cached_property
    def _place(self) -> NDArray[np.intp]:
        return self.folds * self.groups + self.codes

    @cached_property
    def _rows(self) -> Floats:
        return self.table(None)

    def table(self, weights: Floats | None) -> Floats:
        """``(folds, g)`` sums of weights by fold and group; rows without weights."""
        found = np.bincount(self._place, weights=weights, minlength=FOLDS * self.groups)
        return found.reshape(FOLDS, self.groups).astype(np.float64)

    @property
    def effective(self) -> float:
        """How many rows it is measured on."""
        return (1 - self.alpha) * len(self.codes)

    def weights(self, losses: Floats) -> Floats:
        """``(g,)`` how much of each group belongs to the worst rows."""
        return self._worst(self.table(losses))[0]

    def value(self, losses: Floats) -> float:
        """The mean loss of the worst rows."""
        return self.middle(self.table(losses))

    def middle(self, sums: Floats) -> float:
        """The same from a table of the losses."""
        return sum(self._both(sums)) / 2

    def risk(self, losses: Floats) -> Risk:
        """The same with what its error is made of."""
        sums = self.table(losses)
        same, other = self._both(sums)
        parts, edge = self._worst(sums)
        own = edge + parts[self.codes] * (losses - edge) / (1 - self.alpha)
        parts, edges = self._elsewhere(sums)
        held = edges[self.folds] + parts[self.folds, self.codes] * (losses - edges[self.folds]) / (1 - self.alpha)
        scores = tuple(STRETCH * (score - score.mean()) / len(score) for score in (own, held))
        return Risk(value=(same + other) / 2, parts=scores, doubt=same - other)

    def _both(self, sums: Floats) -> tuple[float, float]:
        """Measured on the rows that the groups were chosen by, and on others."""
        parts, edge = self._worst(sums)
        same = self._measured(sums.sum(0)[None], self._rows.sum(0)[None], parts[None], edge[None])
        return same, self._measured(sums, self._rows, *self._elsewhere(sums))

    def _worst(self, sums: Floats) -> tuple[Floats, Floats]:
        return _worst_groups(sums.sum(0), self._rows.sum(0), self.alpha)

    def _elsewhere(self, sums: Floats) -> tuple[Floats, Floats]:
        """Of each fold, the worst groups of the others."""
        return _worst_groups(sums.sum(0) - sums, self._rows.sum(0) - self._rows, self.alpha)

    def _measured(self, sums: Floats, rows: Floats, parts: Floats, edges: Floats) -> float:
        """The loss at the edge plus by how much the worst groups lie above it (Rockafellar and Uryasev's form)."""
        above = parts * (sums - rows * edges[:, None]) / (1 - self.alpha)
        return float(above.sum() + (rows.sum(1) * edges).sum()) / len(self.codes)


def _worst_groups(sums: Floats, rows: Floats, alpha: float) -> tuple[Floats, Floats]:
    """The worst groups by these sums of losses, and the loss at their edge."""
    return worst_weights(_shrunk(sums, rows), rows / np.maximum(rows.sum(-1, keepdims=True), 1), alpha)


def _shrunk(sums: Floats, rows: Floats) -> Floats:
    mean = sums.sum(-1, keepdims=True) / np.maximum(rows.sum(-1, keepdims=True), 1)
    found: Floats = (sums + PRIOR * mean) / (rows + PRIOR)
    return found


def folds_of(units: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """``(n,)`` folds of equal numbers of sources.

    Args:
        units: ``(n,)`` number of the source of each row.
        rng: Assigns sources to folds.
    """
    sources, inverse = np.unique(units, return_inverse=True)
    return (rng.permutation(len(sources)) % FOLDS).astype(np.intp)[inverse]
