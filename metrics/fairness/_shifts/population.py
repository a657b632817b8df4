"""A population that the user states: rows weighted so that their groups have given shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.errors import MetricError
from counterproof.metrics.sample import MISSING_TEXT, Floats
from counterproof.metrics.statistics.cvar import Risk

Population = Mapping[str, Mapping[str, float]]
ROUNDS = 2000
CLOSE = 1e-9
NAMED = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class Mix:
    """Rows weighted to a stated mix.

    Attributes:
        weight: ``(n,)``, summing to 1.
        margins: ``(n, m)`` indicators of the groups whose shares are stated.
    """

    weight: Floats
    margins: Floats

    @property
    def effective(self) -> float:
        """How many equally weighted rows would say as much: ``(Σw)² / Σw²``.

        Source: Kish 1965, Survey Sampling.
        """
        return 1.0 / float(self.weight @ self.weight)

    def value(self, losses: Floats) -> float:
        """The weighted mean."""
        return float(self.weight @ losses)

    def risk(self, losses: Floats) -> Risk:
        """The same with what its error is made of.

        The shares of the groups are stated, not estimated, so only what they leave unexplained is luck
        (calibration: Deville and Särndal 1992, doi:10.1080/01621459.1992.10475217).
        """
        weighted = self.margins * self.weight[:, None]
        slopes, *_ = np.linalg.lstsq(weighted.T @ self.margins, weighted.T @ losses, rcond=None)
        return Risk(value=self.value(losses), parts=(self.weight * (losses - self.margins @ slopes),))


def mix_of(
    population: Population, groups: Mapping[str, NDArray[np.str_]], known: Mapping[str, NDArray[np.str_]]
) -> Mix:
    """Weigh rows by raking: each column's shares in turn, until all of them hold.

    Values that are not named share what is left, in their own proportions.

    Source: Deming and Stephan 1940, doi:10.1214/aoms/1177731829.

    Args:
        population: Shares by value, by column.
        groups: ``(n,)`` values of the rows by column; missing is the empty string.
        known: Every value of each column in the audit.

    Raises:
        MetricError: A column or value is unknown, shares are no shares, a group has no row, or no weights
            meet all shares.
    """
    if not population:
        raise MetricError("option population is empty: give shares by column, such as {sex = {F = 0.5}}")
    codes, targets = {}, {}
    for column, shares in population.items():
        if column not in groups:
            raise MetricError(f"population: {column!r} is no group column; there are {', '.join(groups)}")
        values, codes[column] = np.unique(groups[column], return_inverse=True)
        by_name = {MISSING_TEXT if value == "" else str(value): value for value in np.unique(known[column])}
        targets[column] = _targets(column, shares, values, np.bincount(codes[column]), by_name)
    weight = _raked(codes, targets)
    margins = [np.eye(len(targets[column]))[codes[column]] for column in codes]
    return Mix(weight=weight, margins=np.hstack(margins))


def _targets(
    column: str,
    shares: Mapping[str, float],
    values: NDArray[np.str_],
    counts: NDArray[np.intp],
    by_name: Mapping[str, str],
) -> Floats:
    """The share of each value that the rows have."""
    target = np.full(len(values), np.nan)
    for name, share in shares.items():
        if name not in by_name:
            raise MetricError(f"population.{column}: no row has {column} = {name!r}; there are {_some(by_name)}")
        if not 0 <= share <= 1:
            raise MetricError(f"population.{column}: the share of {name!r} is {share}: give a number from 0 to 1")
        at = np.flatnonzero(values == by_name[name])
        if len(at):
            target[at] = share
        elif share > 0:
            raise MetricError(
                f"population.{column}: no real test row has {column} = {name!r}, so it cannot be weighted"
            )
    left = 1 - sum(shares.values())
    rest = np.isnan(target)
    if left < -1e-6 or (left > 1e-6 and not rest.any()):
        more = "" if left < 0 else ", and no other value is there to take the rest"
        raise MetricError(f"population.{column}: the shares sum to {1 - left:.6g} instead of 1{more}")
    target[rest] = max(left, 0.0) * counts[rest] / max(int(counts[rest].sum()), 1)
    total: Floats = target / target.sum()
    return total


def _some(by_name: Mapping[str, str]) -> str:
    names = list(by_name)
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _raked(codes: Mapping[str, NDArray[np.intp]], targets: Mapping[str, Floats]) -> Floats:
    n = len(next(iter(codes.values())))
    weight = np.full(n, 1 / n)
    for _ in range(ROUNDS):
        off = 0.0
        for column, target in targets.items():
            now = np.bincount(codes[column], weights=weight, minlength=len(target))
            off = max(off, float(np.abs(now - target).max()))
            factor = np.divide(target, now, out=np.zeros_like(target), where=now > 0)
            weight = weight * factor[codes[column]]
        if off < CLOSE:
            normalised: Floats = weight / weight.sum()
            return normalised
    raise MetricError("population: no weights of the real test rows meet all stated shares at once")
