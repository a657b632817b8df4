"""Remedies: the fewest rows to collect so that no pattern is left uncovered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterproof.metrics.coverage._patterns.lattice import OPEN, Codes, Counts, Flags, matches, narrowest

EXACT = 100_000  # patterns times requests up to which the fewest rows are searched exactly
WEIGHED = 2 * 10**7  # the same up to which patterns are weighed against one another at all
NODES = 2000  # of the exact search; a count, so that the same data give the same answer on every machine


@dataclass(frozen=True, eq=False, kw_only=True)
class Remedy:
    """What to collect.

    Attributes:
        requests: ``(q, d)`` the patterns to ask for rows of.
        rows: ``(q,)`` rows of each, at least 1.
        least: Rows that no remedy does without.
    """

    requests: Codes
    rows: Counts
    least: int

    @property
    def total(self) -> int:
        """Rows in all."""
        return int(self.rows.sum())

    @property
    def exact(self) -> bool:
        """Whether no remedy is smaller."""
        return self.total == self.least


def remedy(patterns: Codes, lacking: Counts, offers: Codes) -> Remedy:
    """The fewest rows that give every pattern what it lacks.

    One row serves every pattern that it matches. Rows are asked for by one of the patterns or one
    of the offers, and are counted for the patterns that they match for certain. Up to
    ``EXACT`` pairs of a pattern and a request the fewest are found by an integer programme, up to
    ``WEIGHED`` greedily; beyond, each pattern is served on its own (``least`` is in both cases what
    the neediest pattern lacks).

    Args:
        patterns: ``(p, d)`` the uncovered patterns, all between two of them among them.
        lacking: ``(p,)`` rows that each lacks, at least 1.
        offers: ``(q, d)`` rows that exist: patterns that leave no column open, or some.

    >>> found = remedy(np.array([[0, OPEN], [OPEN, 1]]), np.array([5, 3]), np.array([[0, 1], [1, 1]]))
    >>> found.requests.tolist(), found.rows.tolist(), found.exact
    ([[0, 1]], [5], True)
    """
    if not len(patterns):
        return Remedy(requests=patterns, rows=np.zeros(0, np.int64), least=0)
    # Within a pattern that holds another, as many rows are lacking there, and they serve both.
    needy = narrowest(patterns)
    patterns, lacking = patterns[needy], lacking[needy]
    requests = np.concatenate([patterns, offers])
    if len(patterns) * len(requests) > WEIGHED:
        return Remedy(requests=patterns, rows=lacking, least=int(lacking.max()))
    served = matches(patterns, requests)
    useful = _useful(served)
    requests, served = requests[useful], served[:, useful]
    rows = greedy(served, lacking)
    least = int(lacking.max())
    if served.size <= EXACT and rows.sum() > least:
        rows, least = _fewest(served, lacking, rows, least)
    asked = rows > 0
    return Remedy(requests=_widened(requests[asked], patterns, served[:, asked]), rows=rows[asked], least=least)


def _useful(served: Flags) -> Codes:
    """One request of each kind, without those that serve nothing that another does not serve as well."""
    kinds = np.packbits(served, axis=0).T
    first = np.sort(np.unique(kinds, axis=0, return_index=True)[1])
    if len(first) ** 2 * len(served) > 10**8:
        return first
    each = served[:, first].astype(np.float32)
    beaten = (each.T @ each >= each.sum(0)[:, None]).sum(1) > 1
    kept: Codes = first[~beaten]
    return kept


def _widened(requests: Codes, patterns: Codes, served: Flags) -> Codes:
    """The requests without the columns that none of the patterns they serve asks for."""
    asks = served.T.astype(np.intp) @ (patterns != OPEN).astype(np.intp)
    return np.where(asks > 0, requests, OPEN)


def greedy(served: Flags, lacking: Counts) -> Counts:
    """Rows of each request: again and again those that serve most patterns, until one of these has enough."""
    left, rows = lacking.astype(np.int64).copy(), np.zeros(served.shape[1], dtype=np.int64)
    serves = served.sum(0)
    while (left > 0).any():
        best = int(serves.argmax())
        helped = served[:, best] & (left > 0)
        step = int(left[helped].min())
        rows[best] += step
        left[helped] -= step
        serves = serves - served[helped & (left == 0)].sum(0)
    return rows


def _fewest(served: Flags, lacking: Counts, rows: Counts, least: int) -> tuple[Counts, int]:
    from scipy.optimize import Bounds, LinearConstraint, milp

    found = milp(
        np.ones(served.shape[1]),
        constraints=LinearConstraint(served.astype(float), lb=lacking.astype(float)),
        bounds=Bounds(0, float(lacking.max())),
        integrality=np.ones(served.shape[1], dtype=np.int64),
        options={"node_limit": NODES},
    )
    if found.mip_dual_bound is not None and np.isfinite(found.mip_dual_bound):
        least = max(least, int(np.ceil(found.mip_dual_bound - 1e-6)))
    if found.x is None:
        return rows, least
    made = np.rint(found.x).astype(np.int64)
    holds = bool((served @ made >= lacking).all())
    return (made, least) if holds and made.sum() < rows.sum() else (rows, least)
