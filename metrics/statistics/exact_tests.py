"""Exact tests of train against holdout: matched records, and rankings that begin with training records only."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import fisher_exact

from counterproof.metrics.sample import Floats

ALARM = 0.002  # an exact test at 0.05 would raise a false alarm on one honest release in twenty


def p_in_words(p: float, digits: int = 1) -> str:
    """A p-value as it reads; what is smaller than numbers can be is told as a bound.

    >>> p_in_words(0.00321), p_in_words(0.0)
    ('p = 0.003', 'p < 1e-300')
    """
    return f"p = {p:.{digits}g}" if p >= 1e-300 else "p < 1e-300"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Matches of train against matches of the holdout, over records or sources that count."""

    hits: tuple[int, int]
    sizes: tuple[int, int]

    @property
    def p(self) -> float:
        """Fisher's exact test that train is matched more often."""
        table = np.array([[k, n - k] for k, n in zip(self.hits, self.sizes, strict=True)])
        return float(fisher_exact(table, alternative="greater").pvalue)


def fewest_hits(found: Tally, alarm: float) -> int | None:
    """The fewest matches of train that Fisher's test finds significant beside the holdout's; None if no number is.

    >>> fewest_hits(Tally(hits=(0, 0), sizes=(1000, 1000)), 0.002)
    9
    >>> fewest_hits(Tally(hits=(0, 12), sizes=(1000, 1000)), 0.002)
    32
    """
    every = range(1, found.sizes[0] + 1)
    at = bisect_left(every, True, key=lambda k: replace(found, hits=(k, found.hits[1])).p < alarm)
    return every[at] if at < len(every) else None


def tail_p(count: int, members: int, others: int) -> float:
    """Chance that the ``count`` most extreme of all records are all members.

    >>> round(tail_p(5, 500, 500), 3)
    0.031
    """
    return float(tails(count, members, others)[-1]) if count else 1.0


def tails(most: int, members: int, others: int) -> Floats:
    """The same for every count from 1 to ``most``."""
    steps = np.arange(most)
    logs = np.log(np.maximum(members - steps, 1e-300)) - np.log(members + others - steps)
    return np.asarray(np.exp(np.cumsum(logs)))


def fewest(sizes: tuple[int, int] | list[int], alarm: float) -> int | None:
    """The fewest leading records, all of them members, that are significant; None if no number is.

    >>> fewest([5000, 5000], 0.002), fewest([4000, 1000], 0.002)
    (9, 28)
    """
    p = 1.0
    members, others = sizes
    for count in range(1, members + 1):
        p *= (members - count + 1) / (members + others - count + 1)
        if p < alarm:
            return count
    return None
