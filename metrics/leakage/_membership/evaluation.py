"""Sample splitting: one half of the attacked records chooses the attack, the other half scores it.

The best of several attacks looks better than it is on the records it was chosen on. So one half
chooses attack, direction and threshold, and only the other half counts.

An attack tells members from others in either direction. Training records that lie *farther* from
the release than others give themselves away too: the release was filtered by its distance to them.
So every attack stands here twice, as it is and reversed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from counterproof.metrics.leakage._membership.attacked_records import Targets
from counterproof.metrics.sample import Flags, Floats, Rows
from counterproof.metrics.statistics.auc import auc_parts
from counterproof.metrics.workbench import Workbench

REVERSED = ", reversed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """How many were called members, of members and of non-members."""

    right: int
    members: int
    wrong: int
    others: int


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitScores:
    """Scores of the attacked records, which of them are members, and the half that attacks are chosen on.

    Attributes:
        member: ``(units,)`` membership; dealt anew on a null view.
        choosing: ``(units,)`` the half that chooses.
        scores: ``(units,)`` by attack, as it is (high for members) and reversed.
        rank: The same as ranks from 0, ties in random order: by position, members would stand first.
    """

    member: Flags
    choosing: Flags
    scores: Mapping[str, Floats]
    rank: Mapping[str, Rows]

    @property
    def attacks(self) -> list[str]:
        """The attacks as they are, without the reversed ones."""
        return [attack for attack in self.scores if not attack.endswith(REVERSED)]

    @property
    def sizes(self) -> tuple[int, int]:
        """Members and others."""
        return int(self.member.sum()), int((~self.member).sum())

    def area(self, attack: str, where: Flags) -> float:
        """Area under the ROC curve among some units, ties counting one half."""
        return auc_parts(self.scores[attack][where], self.member[where])[0]

    def chosen(self) -> str:
        """The attack of the largest area on the choosing half."""
        return max(self.scores, key=lambda attack: self.area(attack, self.choosing))

    def threshold(self, attack: str, share: float) -> int:
        """The rank above which at most this share of the choosing half's non-members stand."""
        others = np.sort(self.rank[attack][self.choosing & ~self.member])[::-1]
        return int(others[math.floor(share * len(others) + 1e-9)])

    def guesses(self, attack: str, threshold: int, where: Flags) -> Guesses:
        """Units above a threshold."""
        called, member = self.rank[attack][where] > threshold, self.member[where]
        return Guesses(
            right=int((called & member).sum()),
            members=int(member.sum()),
            wrong=int((called & ~member).sum()),
            others=int((~member).sum()),
        )

    def sharpest(self, share: float) -> tuple[str, int]:
        """The attack that finds most members at this rate of false alarms on the choosing half."""
        thresholds = {attack: self.threshold(attack, share) for attack in self.scores}

        def found(attack: str) -> int:
            return self.guesses(attack, thresholds[attack], self.choosing).right

        best = max(self.scores, key=lambda attack: (found(attack), self.area(attack, self.choosing)))
        return best, thresholds[best]


def split_and_score(bench: Workbench, targets: Targets, scores: Mapping[str, Floats]) -> SplitScores:
    """Halve the attacked records; on a null view deal membership among them anew as well."""
    member = targets.member
    if bench.is_null:
        member = bench.generator("membership dealt anew").permutation(member)
    rng = bench.generator("membership halves")
    choosing = np.zeros(len(member), dtype=bool)
    for side in (member, ~member):
        at = rng.permutation(np.flatnonzero(side))
        choosing[at[: len(at) // 2]] = True
    tie = rng.random(len(member))
    both = {**scores, **{attack + REVERSED: -score for attack, score in scores.items()}}
    return SplitScores(
        member=member,
        choosing=choosing,
        scores=both,
        rank={attack: broken_ranks(score, tie) for attack, score in both.items()},
    )


def broken_ranks(score: Floats, tie: Floats) -> Rows:
    """Ranks from 0; equal scores stand in the order of ``tie``.

    >>> broken_ranks(np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.5, 0.1])).tolist()
    [2, 0, 1]
    """
    rank = np.empty(len(score), dtype=np.intp)
    rank[np.lexsort((tie, score))] = np.arange(len(score))
    return rank
