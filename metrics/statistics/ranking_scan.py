"""Does one side head a ranking: exact tests over all thresholds at once.

Records of two sides, members and others, are ranked by a score that knows nothing of the sides. If
the sides are a random split, every way to deal membership along the ranking is as likely as any
other, whatever the scores are. So the chance of any count of members at any place is known exactly,
and so is the chance that *some* place looks as extreme as the most extreme one that was seen.

Sources: Berk and Jones 1979, doi:10.1007/BF00533250 (the smallest tail probability over all
thresholds as a statistic); Donoho and Jin 2004, arXiv:math/0410072 (few signals among many).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from counterproof.metrics.statistics.exact_tests import tail_p

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
DEEP_ENOUGH = 1000  # records beyond which looking deeper costs more than it tells
NEARLY_SURE = 0.99  # chance that a faithful release is to be certified with, in each of several spaces
NOTHING = 1e-6  # of a probability that is sought
SLACK = 1e-9  # relative: probabilities that rounding alone tells apart count as equal


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranking:
    """Members along a ranking, read only where ties end: the order within a tie means nothing.

    Attributes:
        order: ``(n,)`` positions of the records, first to last.
        ends: ``(m,)`` how many records stand up to the end of each tie, ascending.
        members: ``(m,)`` how many of these are members.
        sizes: Members and others in all.
    """

    order: Places
    ends: Places
    members: Places
    sizes: tuple[int, int]

    @classmethod
    def of(cls, score: Floats, member: Flags) -> Ranking:
        """Records by ascending score.

        >>> Ranking.of(np.array([0.1, 0.3, 0.1, 0.2]), np.array([True, True, True, False])).members.tolist()
        [2, 2, 3]
        """
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        ends = np.append(np.flatnonzero(ranked[1:] > ranked[:-1]), len(order) - 1) + 1 if len(order) else order
        members = np.append(0, np.cumsum(member[order]))[ends]
        return cls(order=order, ends=ends, members=members, sizes=(int(member.sum()), int((~member).sum())))

    @property
    def run(self) -> int:
        """How many members stand before every other record."""
        leading = self.ends[self.members == self.ends]
        return int(leading[-1]) if len(leading) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The place of a ranking at which members exceed their share most surely.

    Attributes:
        depth: Records up to it.
        members: Members among them.
        tail: The chance of so many members or more at this very place.
        p: The chance that any place looks as extreme, if membership was dealt at random.
    """

    depth: int
    members: int
    tail: float
    p: float


def most_extreme(ranking: Ranking, *, deepest: int, others: int) -> Threshold:
    """The threshold with the smallest hypergeometric tail, and the exact chance of one as small.

    Args:
        ranking: The records.
        deepest: Records up to which thresholds are looked at.
        others: Others above a threshold up to which it is looked at. The first tie is always looked
            at: records at distance 0, of which chance may put many there.

    >>> rank = Ranking.of(np.arange(20.0), np.arange(20) < 10)
    >>> most_extreme(rank, deepest=20, others=20).members
    10
    """
    return most_extreme_of([ranking], deepest=deepest, others=others)[1]


def most_extreme_of(rankings: Sequence[Ranking], *, deepest: int, others: int) -> tuple[int, Threshold]:
    """The ranking with the smallest tail of several, and its threshold: the exact chance is found for one alone.

    The chance is that of this ranking; over all of them multiply it by their number.

    Args:
        rankings: The records in several orders.
        deepest: As for :func:`most_extreme`.
        others: As for :func:`most_extreme`.
    """
    best, found = 0, Threshold(depth=0, members=0, tail=1.0, p=1.0)
    for at, ranking in enumerate(rankings):
        seen = (ranking.ends <= deepest) & (ranking.ends - ranking.members <= others)
        seen[:1] = ranking.ends[:1] <= deepest
        ends, members = ranking.ends[seen], ranking.members[seen]
        tails = tail_probabilities(ends, members, ranking.sizes)
        if len(tails) and tails.min() < found.tail:
            place = int(np.argmin(tails))
            best = at
            found = Threshold(depth=int(ends[place]), members=int(members[place]), tail=float(tails[place]), p=1.0)
    if not found.depth:
        return best, found
    places = rankings[best].ends[rankings[best].ends <= deepest]
    return best, replace(found, p=crossing_probability(places, found.tail, rankings[best].sizes, others=others))


def excess_bounds(depth: int, members: int, sizes: tuple[int, int], tail: float) -> tuple[float, float, float]:
    """How many of the first records are members for another reason than chance: bounds and estimate.

    If ``c`` of them are, the others among the first ``depth`` are those of ``depth - c`` records drawn
    from the rest. Each bound holds but for a chance of ``tail``, exactly.

    Args:
        depth: Records looked at.
        members: Members among them.
        sizes: Members and others in all.
        tail: Chance of error on each side.

    >>> excess_bounds(12, 12, (1000, 1000), 0.025)
    (7.0, 12.0, 12.0)
    """
    others = depth - members

    def chance(count: int, *, at_least: bool) -> float:
        """Of so many others or more (so many or fewer) if ``count`` stand there for another reason."""
        left = depth - count
        if left <= 0:
            return 1.0
        rest = (sizes[1], sizes[0] - count)
        lowest = max(0, left - rest[1])
        mass = _mass(left, rest)
        return float(mass[max(0, others - lowest) :].sum() if at_least else mass[: max(0, others - lowest + 1)].sum())

    every = range(members + 1)
    low = bisect_left(every, True, key=lambda count: chance(count, at_least=False) > tail)
    high = bisect_left(every, True, key=lambda count: chance(count, at_least=True) <= tail) - 1
    value = members - others * sizes[0] / max(1, sizes[1])
    value = min(float(members), max(0.0, value))
    return float(min(low, members)), value, float(max(high, math.ceil(value)))


@cache
def certifying_depth(sizes: tuple[int, int], most: float, tail: float) -> int:
    """How deep to look so that with no leak the upper bound stays within ``most`` in all but one of 100 audits.

    It follows from the sizes alone. The deeper, the less hidden is a copy; the wider the bound.

    Args:
        sizes: Members and others.
        most: Members that the bound is to allow at most.
        tail: As for :func:`excess_bounds`.
    """

    def holds(depth: int) -> bool:
        every = range(min(depth, sizes[0]) + 1)
        fitting = bisect_left(every, True, key=lambda h: excess_bounds(depth, h, sizes, tail)[2] > most)
        low = max(0, depth - sizes[1])
        return float(_mass(depth, sizes)[: max(0, fitting - low)].sum()) >= NEARLY_SURE

    least = max(1, min(math.floor(most), sum(sizes)))
    deeper = range(least + 1, min(DEEP_ENOUGH, sum(sizes) // 10) + 1)
    return least + bisect_left(deeper, True, key=lambda depth: not holds(depth))


def tail_probabilities(depth: Places, members: Places, sizes: tuple[int, int]) -> Floats:
    """``(m,)`` chance of so many members or more among so many records drawn.

    >>> round(float(tail_probabilities(np.array([3]), np.array([3]), (5, 5))[0]), 4)
    0.0833
    """
    made = np.empty(len(depth))
    for at, (k, h) in enumerate(zip(depth.tolist(), members.tolist(), strict=True)):
        made[at] = _mass(k, sizes)[h - max(0, k - sizes[1]) :].sum()
    return np.minimum(made, 1.0)


def crossing_probability(places: Places, tail: float, sizes: tuple[int, int], *, others: int) -> float:
    """The chance that at any of these places the tail probability is ``tail`` or less.

    Membership is dealt along the ranking one record after the other; the paths that have not crossed
    are counted by their number of members.

    Args:
        places: ``(m,)`` depths that are looked at, ascending.
        tail: The tail probability.
        sizes: Members and others.
        others: Others above a place up to which it is looked at.
    """
    members, rest = sizes
    total, deepest = members + rest, int(places[-1])
    looked = np.zeros(deepest + 1, dtype=bool)
    looked[places] = True
    inside = np.zeros(min(deepest, members) + 2)  # chance of each number of members without a crossing
    inside[0] = 1.0
    counts = np.arange(len(inside))
    limit, crossed = tail * (1 + SLACK), 0.0
    for depth in range(1, deepest + 1):
        drawn = depth - 1
        left = total - drawn
        gained = inside * np.clip(members - counts, 0, None) / left
        inside *= np.clip(rest - drawn + counts, 0, left) / left
        inside[1:] += gained[:-1]
        if depth > places[0] and inside[max(0, depth - others) :].sum() <= NOTHING * limit:
            break  # no path is left with so few others
        if not looked[depth]:
            continue
        low = max(0, depth - rest)
        mass = _mass(depth, sizes)
        small = np.flatnonzero(np.cumsum(mass[::-1])[::-1] <= limit)
        if not len(small):
            continue
        first = low + int(small[0])
        if depth != places[0]:
            first = max(first, depth - others)
        crossed += float(inside[first:].sum())
        inside[first:] = 0.0
    return min(1.0, crossed)


def fewest_ahead(sizes: tuple[int, int], level: float, *, deepest: int, others: int) -> int | None:
    """The fewest members ahead of all others that :func:`most_extreme` tells from chance; None if no number is.

    >>> fewest_ahead((1000, 1000), 0.001, deepest=200, others=10)
    12
    """
    places = np.arange(1, min(deepest, sum(sizes)) + 1)
    every = range(1, min(deepest, sizes[0]) + 1)
    at = bisect_left(
        every, True, key=lambda k: crossing_probability(places, tail_p(k, *sizes), sizes, others=others) < level
    )
    return every[at] if at < len(every) else None


def _mass(depth: int, sizes: tuple[int, int]) -> Floats:
    """Chance of each possible number of members among so many records drawn, the fewest first."""
    members, rest = sizes
    low, high = max(0, depth - rest), min(depth, members)
    log = _log_factorials(members + rest)
    whole = log[members] + log[rest] + log[depth] + log[members + rest - depth] - log[members + rest]
    parts = (
        log[low : high + 1]
        + log[members - high : members - low + 1][::-1]
        + log[depth - high : depth - low + 1][::-1]
        + log[rest - depth + low : rest - depth + high + 1]
    )
    return np.asarray(np.exp(whole - parts))


@lru_cache(maxsize=64)
def _log_factorials(most: int) -> Floats:
    return np.asarray(gammaln(np.arange(most + 1) + 1.0))


def joint_run_p(heads: Sequence[Places], sizes: tuple[int, int]) -> float:
    """The chance that the records of at least one of several sets are all members, by inclusion and exclusion.

    >>> joint_run_p([np.array([1, 2]), np.array([2, 1])], (5, 5)) == joint_run_p([np.array([1, 2])], (5, 5))
    True
    """
    p = 0.0
    for count in range(1, len(heads) + 1):
        for some in combinations(heads, count):
            together = len(np.unique(np.concatenate(some)))
            p -= (-1) ** count * (tail_p(together, *sizes) if together <= sizes[0] else 0.0)
    return min(1.0, max(p, math.ulp(0.0)))
