"""Curves of α-precision and β-recall: the supports of most typical rows, one inside the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.graph import Graph
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.survey import TIE

STEPS = 30
LEVELS = np.linspace(0.0, 1.0, STEPS)
"""The shares of mass at which both curves are taken, as in the authors' code."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve that runs along the diagonal for equal distributions.

    Attributes:
        share: ``(STEPS,)`` share of rows at each of ``LEVELS``.
        level: ``(n,)`` for each row the smallest level whose support holds it, infinite for rows
            that no support holds.
    """

    share: Floats
    level: Floats

    @property
    def integrated(self) -> float:
        """One less the distance from the diagonal: 1 on it, 0 as far from it as can be."""
        return 1.0 - float(np.abs(LEVELS - self.share).sum() / LEVELS.sum())


def alpha_precision_curve(reference: Floats, candidate: Floats) -> Curve:
    """The share of candidate rows within the ball that holds a share α of the reference rows.

    The balls are centred at the reference mean; their radii are quantiles of the reference rows'
    distances from it. Equal to synthcity's ``delta_precision_alpha_naive`` on the same features.

    Args:
        reference: ``(n,)`` distances of the reference rows from their mean.
        candidate: ``(m,)`` distances of the candidate rows from the same point.

    Source: Alaa et al. (2022), arXiv:2102.08921.

    >>> far = np.arange(1.0, 31.0)
    >>> alpha_precision_curve(far, far).integrated > 0.95, alpha_precision_curve(far, far + 99).integrated
    (True, 0.0)
    """
    radii = np.quantile(reference, LEVELS)
    order = np.sort(candidate)
    share = np.searchsorted(order, radii * (1 + TIE), side="right") / len(candidate)
    return Curve(np.asarray(share), _levels(radii * (1 + TIE), candidate))


def beta_recall_curve(typical: Floats, reached: NDArray[np.bool_]) -> Curve:
    """The share of reference rows reached by candidate rows, from the most typical of these outwards.

    Level β takes the reference rows whose nearest candidate row is among the share β nearest to the
    candidate mean; of them count those that it reaches. Equal to synthcity's ``delta_coverage_beta_naive``
    for ``k = 1`` on the same features.

    Args:
        typical: ``(n,)`` for each reference row the distance of its nearest candidate row from the candidate
            mean; NaN where that row is not known, which is then not ranked.
        reached: ``(n,)`` whether that row lies no farther than the ``k``-th other reference row.

    Source: Alaa et al. (2022), arXiv:2102.08921, and its authors' code.

    >>> beta_recall_curve(np.arange(30.0), np.ones(30, dtype=bool)).integrated > 0.95
    True
    """
    known = typical[~np.isnan(typical)]
    if not len(known):
        return Curve(np.zeros(STEPS), np.full(len(typical), np.inf))
    radii = np.quantile(known, LEVELS) * (1 + TIE)
    level = _levels(radii, np.where(reached & ~np.isnan(typical), typical, np.inf))
    return Curve(np.array([(level <= at).mean() for at in LEVELS]), level)


def _levels(radii: Floats, distance: Floats) -> Floats:
    """The smallest of ``LEVELS`` whose radius holds each distance, infinite where none does."""
    at = np.searchsorted(radii, distance, side="left")
    return np.where(at < STEPS, LEVELS[np.minimum(at, STEPS - 1)], np.inf)


def first_listed(graph: Graph, nodes: Rows, chosen: NDArray[np.bool_]) -> tuple[Rows, Floats]:
    """The nearest chosen node in the list of each of some nodes, and its distance.

    Args:
        graph: Neighbour lists.
        nodes: Whose lists.
        chosen: ``(m,)`` nodes to look for.

    Returns:
        Node ``-1`` at an infinite distance where the list holds none.
    """
    places = np.flatnonzero(chosen[graph.index])
    at = np.searchsorted(places, graph.indptr[nodes])
    place = np.append(places, len(graph.index))[at]
    found = place < graph.indptr[nodes + 1]
    place = np.where(found, place, 0)
    return np.where(found, graph.index[place], -1), np.where(found, graph.distance[place], np.inf)
