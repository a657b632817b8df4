"""Design effects: how many independent rows carry as much information as rows that come in clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterproof.metrics.estimate import Estimate, normal_quantile
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.statistics.variance import jackknife_error


def effective_rows(n: float, size: float, correlation: float) -> float:
    """Independent rows that carry as much information as ``n`` rows in clusters of ``size`` with this correlation.

    Source: Kish 1965, Survey Sampling, section 8.2, with clusters of unequal sizes counted by the
    rows that are in them (the mean of squared sizes over the mean size).

    >>> round(effective_rows(100_000, 100, 0.5))
    1980
    """
    return n / (1 + (size - 1) * correlation)


@dataclass(frozen=True, eq=False, kw_only=True)
class Clusters:
    """Sums over each cluster from which cluster size and intraclass correlation follow.

    Attributes:
        size: ``(c,)`` rows.
        between: ``(c,)`` rows times the squared distance of the cluster's mean from the mean of all.
        within: ``(c,)`` squared distances of its rows from its mean.
    """

    size: Floats
    between: Floats
    within: Floats

    @property
    def correlation(self) -> float:
        """Intraclass correlation, in [0, 1]."""
        return float(_correlation(self._terms.sum(1), len(self.size)))

    @property
    def _terms(self) -> Floats:
        """``(4, c)`` sizes, squared sizes, between, within."""
        return np.stack([self.size, self.size**2, self.between, self.within])

    def share(self, *, scale: float = 1.0) -> tuple[float, float]:
        """Effective rows over rows, and its standard error by leaving out each cluster in turn.

        Args:
            scale: Factor on the number of other rows in a row's cluster: above 1 where the sums
                are over a part of the rows only.
        """
        count, terms = len(self.size), self._terms
        value = float(_share(terms.sum(1), count, scale))
        if count < 3:
            return value, float("inf")
        left = _share(terms.sum(1)[:, None] - terms, count - 1, scale)
        return value, jackknife_error(left)


def clusters_of(features: Floats, label: Rows) -> Clusters:
    """Sums of ``(n, d)`` rows by cluster; every feature counts by its variance.

    Args:
        features: The rows.
        label: ``(n,)`` cluster of each, numbered from 0 without gaps.
    """
    size = np.bincount(label).astype(np.float64)
    order = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(size[:-1])]).astype(np.intp)
    centred = features[order] - features.mean(0)
    means = np.add.reduceat(centred, starts, axis=0) / size[:, None]
    between = size * np.einsum("ij,ij->i", means, means)
    total = np.add.reduceat(np.einsum("ij,ij->i", centred, centred), starts)
    return Clusters(size=size, between=between, within=np.maximum(total - between, 0.0))


def clusters_of_equal_rows(label: Rows) -> Clusters:
    """Clusters whose rows are all the same: their correlation is 1."""
    size = np.bincount(label).astype(np.float64)
    return Clusters(size=size, between=np.ones(len(size)), within=np.zeros(len(size)))


def _correlation(terms: Floats, count: int) -> Floats:
    """One-way analysis of variance; 1 where rows of a cluster are equal, 0 where nothing varies."""
    rows, squares, between, within = terms
    typical = (rows - squares / rows) / max(1, count - 1)
    inner = within / np.maximum(rows - count, 1)
    outer = between / max(1, count - 1)
    total = np.asarray(outer + (typical - 1) * inner)
    made = np.divide(outer - inner, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(np.clip(made, 0.0, 1.0))


def _share(terms: Floats, count: int, scale: float) -> Floats:
    rows, squares = terms[:2]
    return np.asarray(1 / (1 + (squares / rows - 1) * scale * _correlation(terms, count)))


def share_estimate(value: float, error: float, level: float, method: str) -> Estimate:
    """A share that may be tiny: normal on the log scale, never above 1.

    Args:
        value: The share, above 0.
        error: Its standard error.
        level: Confidence.
        method: In words.
    """
    e = Estimate.normal(value, min(error / value, 50 / normal_quantile(0.975)), level=level, scale="log")
    return Estimate(value=value, low=e.low, high=min(1.0, e.high), level=level, method=method, scale="log")
