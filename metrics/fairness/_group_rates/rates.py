"""Rates by group, and how far two models of one learner differ in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import normal_quantile
from counterproof.metrics.fairness._group_rates.strata import Counts, Stratum
from counterproof.metrics.sample import Floats
from counterproof.metrics.statistics.proportions import wilson_ends

Side = Literal["real", "synthetic"]
SIDES: tuple[Side, Side] = ("real", "synthetic")


@dataclass(frozen=True, eq=False, kw_only=True)
class Rates:
    """One rate of one model, by group: a share of rows, or a mean with its standard error.

    Attributes:
        rows: ``(g,)`` rows that are counted.
        values: ``(g,)``; NaN without rows.
        hits: ``(g,)`` hits among them, where the rate is a share.
        errors: ``(g,)`` standard errors, where it is none.
    """

    rows: Counts
    values: Floats
    hits: Counts | None = None
    errors: Floats | None = None

    @classmethod
    def shares(cls, hits: Counts, rows: Counts) -> Rates:
        """Of counts."""
        return cls(rows=rows, values=quotient(hits, rows), hits=hits)

    def ends(self, level: float) -> tuple[Floats, Floats]:
        """Both ends of each group's interval: Wilson's for shares, normal for means."""
        z = normal_quantile(0.5 + level / 2)
        if self.hits is not None:
            safe = np.maximum(self.rows, 1)
            low, high = wilson_ends(np.where(self.rows > 0, self.hits, 0), safe, z)
            return np.where(self.rows > 0, low, np.nan), np.where(self.rows > 0, high, np.nan)
        assert self.errors is not None
        return self.values - z * self.errors, self.values + z * self.errors

    def take(self, groups: NDArray[np.intp]) -> Rates:
        """Of some groups."""
        return Rates(
            rows=self.rows[groups],
            values=self.values[groups],
            hits=None if self.hits is None else self.hits[groups],
            errors=None if self.errors is None else self.errors[groups],
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """What is looked at: groups, pairs of groups, or groups against all rows.

    Attributes:
        kind: Which of the three.
        first: ``(m,)`` position of the group.
        second: ``(m,)`` position of the other group of a pair.
        decidable: ``(m,)`` whether there are rows enough that a faithful release would pass.
        unlisted: Groups too small to say anything of that are only counted.
    """

    kind: Literal["group", "pair", "overall"]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    decidable: NDArray[np.bool_]
    unlisted: int = 0

    def __len__(self) -> int:
        return len(self.first)

    def groups(self, i: int) -> list[int]:
        """Positions of the groups of one cell."""
        return [int(self.first[i]), *([int(self.second[i])] if self.kind == "pair" else [])]


@dataclass(frozen=True, eq=False, kw_only=True)
class Ties:
    """What rows of one source have in common: they count as one.

    Attributes:
        sources: ``(n,)`` source of each counted row.
        members: ``(n,)`` its group.
        own: ``(n,)`` what it adds to the error of its group's change.
        everyone: ``(n,)`` what it adds to the error of the change over all rows.
    """

    sources: NDArray[np.intp]
    members: NDArray[np.intp]
    own: Floats
    everyone: Floats

    def errors(self, cells: Cells, groups: int) -> Floats:
        """``(m,)`` standard errors of the changes of cells."""
        from scipy.sparse import csr_array

        names, codes = np.unique(self.sources, return_inverse=True)
        n = len(names)
        if n < 2:
            return np.full(len(cells), np.inf)
        summed = csr_array((self.own, (codes, self.members)), shape=(n, groups))
        squares: Floats = np.asarray(summed.multiply(summed).sum(axis=0), dtype=np.float64).ravel()
        variance = squares[cells.first]
        if cells.kind == "overall":
            whole = np.bincount(codes, weights=self.everyone, minlength=n)
            variance = variance + whole @ whole - 2 * (summed.T @ whole)[cells.first]
        elif cells.kind == "pair":
            shared = (summed.T @ summed).tocsr()
            common = np.array([shared[a, b] for a, b in zip(cells.first, cells.second, strict=True)])
            variance = variance + squares[cells.second] - 2 * common
        found: Floats = np.sqrt(np.maximum(variance, 0.0) * n / (n - 1))
        return found


class Table(ABC):
    """One rate of two models of one learner, by the groups of a stratum.

    A group is compared with another, or with all rows: ``rest`` are the rows that are not its own,
    for the difference from all rows is that from the rest, times the share of the rest.
    """

    stratum: Stratum

    @property
    @abstractmethod
    def rows(self) -> Counts:
        """``(g,)`` rows by which a group is large enough: those of the model trained on real rows."""

    @abstractmethod
    def rates(self, side: Side) -> Rates:
        """Of one of the two models."""

    @abstractmethod
    def rest(self, side: Side) -> Rates:
        """The same over all rows but the group's own."""

    @property
    @abstractmethod
    def change(self) -> Floats:
        """``(g,)`` rate of the candidate's model minus that of the real one; NaN without rows."""

    @property
    @abstractmethod
    def error(self) -> Floats:
        """``(g,)`` standard error of each change by its paired trial rows."""

    @property
    @abstractmethod
    def overall_error(self) -> Floats:
        """``(g,)`` the same of the change of the difference from all rows."""

    @property
    @abstractmethod
    def ties(self) -> Ties | None:
        """What rows of one source have in common, where sources are known."""

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """``(g,)`` whether both models have rows to count."""
        found: NDArray[np.bool_] = (self.rates("real").rows > 0) & (self.rates("synthetic").rows > 0)
        return found

    def other_share(self, side: Side) -> Floats:
        """``(g,)`` share of the counted rows that are not the group's own."""
        return quotient(self.rest(side).rows, self.rates(side).rows + self.rest(side).rows)

    def from_overall(self, side: Side) -> Floats:
        """``(g,)`` rate of a group minus that of all rows."""
        found: Floats = self.other_share(side) * (self.rates(side).values - self.rest(side).values)
        return found

    def has(self, cells: Cells) -> NDArray[np.bool_]:
        """``(m,)`` whether every group of a cell has rows to count."""
        if cells.kind == "pair":
            return self.filled[cells.first] & self.filled[cells.second]
        if cells.kind == "overall":
            rest = (self.rest("real").rows > 0) & (self.rest("synthetic").rows > 0)
            return self.filled[cells.first] & rest[cells.first]
        return self.filled[cells.first]

    def told(self, cells: Cells) -> NDArray[np.bool_]:
        """``(m,)`` whether something may be told of every group of a cell."""
        hidden = self.stratum.hidden
        found = ~hidden[cells.first]
        return found & ~hidden[cells.second] if cells.kind == "pair" else found

    def changes(self, cells: Cells) -> Floats:
        """``(m,)`` change of a group's rate, or of the gap between two groups, or to all rows."""
        if cells.kind == "overall":
            return (self.from_overall("synthetic") - self.from_overall("real"))[cells.first]
        found = self.change[cells.first]
        return found - self.change[cells.second] if cells.kind == "pair" else found

    def errors(self, cells: Cells) -> Floats:
        """``(m,)`` their standard errors by the trial rows; rows of one source count as one."""
        if cells.kind == "overall":
            found = self.overall_error[cells.first]
        else:
            found = self.error[cells.first]
            found = np.hypot(found, self.error[cells.second]) if cells.kind == "pair" else found
        ties = self.ties
        return found if ties is None else np.fmax(found, ties.errors(cells, len(self.stratum)))

    def named(self, cells: Cells, i: int) -> str:
        """A cell as readers and gates name it."""
        names = [self.stratum.groups[g] for g in cells.groups(i)]
        return " – ".join([*names, "overall"] if cells.kind == "overall" else names)


def quotient(hits: NDArray[np.generic], rows: NDArray[np.generic]) -> Floats:
    """Shares; NaN without rows.

    >>> quotient(np.array([1, 0]), np.array([4, 0])).tolist()
    [0.25, nan]
    """
    found = np.full(len(rows), np.nan)
    np.divide(hits.astype(np.float64), rows.astype(np.float64), out=found, where=np.asarray(rows) > np.zeros(1))
    return found
