"""Near copies: training records that come nearer to the release than membership dealt at random explains."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.leakage._copy_search.matching import Flags, Matches, Places, rows_used, units_of
from counterproof.metrics.leakage._copy_search.relative_distance import LOCAL, Nearness, Space, followers
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.shared.closest_pairs import Pair, listed, pairs_by_record
from counterproof.metrics.statistics.exact_tests import fewest, p_in_words
from counterproof.metrics.statistics.ranking_scan import (
    Ranking,
    Threshold,
    certifying_depth,
    excess_bounds,
    joint_run_p,
    most_extreme,
)
from counterproof.metrics.workbench import Workbench

SHOWN = 20
CERTIFIED = 0.01
"""Share of the release that the bound of an honest release is to stay below: the tolerance of the gate."""
DEEPEST = 0.1
"""Share of the ranking in which near copies are looked for; beyond it nearness is a matter of averages."""
RUN_SHARE = 0.75
"""Of the level, for the records that lead the ranking; the rest is for the scan over all thresholds."""
DIGEST_CODES: Work[Rows] = Work("rows by record")


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranked:
    """Records in the order in which they come near to the release in one space.

    Attributes:
        nearness: Of these records.
        at: ``(n,)`` their positions among the records that were matched.
        unit: ``(n,)`` their sources; without clusters, themselves.
        ranking: Members along the order.
        sizes: Members and others of all records, also of those that a nearer one stands for.
    """

    nearness: Nearness
    at: Places
    unit: Places
    ranking: Ranking
    sizes: tuple[int, int]

    @property
    def space(self) -> Space:
        """The distance."""
        return self.nearness.space

    def head(self, count: int) -> Places:
        """The sources of the first so many, and of those that tie with the last of them."""
        end = self.ranking.ends[np.searchsorted(self.ranking.ends, min(count, len(self.at)))]
        return self.unit[self.ranking.order[: int(end)]]

    def score_at(self, depth: int) -> float:
        """The score of the record at this depth; 0 for none."""
        return float(self.nearness.score[self.ranking.order[depth - 1]]) if depth else 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class NearTest:
    """What decides whether training records come too near.

    Attributes:
        p: Of all spaces and both tests together.
        by: Whether the leading records or the scan over thresholds tell more.
        ranked: The space that tells most.
        threshold: How deep its ranking tells of training records.
    """

    p: float
    by: Literal["lead", "scan"]
    ranked: Ranked
    threshold: Threshold

    @property
    def reach(self) -> float:
        """The score of the last record that tells of training records."""
        return self.ranked.score_at(self.threshold.depth)


@dataclass(frozen=True, eq=False, kw_only=True)
class NearCopies:
    """What was found, and the pairs behind it, nearest first."""

    value: Value
    pairs: list[Pair]


def near_copies(bench: Workbench, found: Matches, member: Flags, level: float) -> NearCopies:
    """Training records nearer to the release than chance explains, in any of the spaces.

    Args:
        bench: The samples.
        found: The records.
        member: ``(n,)`` whether the generator learned from each.
        level: An alarm is given below it.
    """
    spaces = rank_spaces(bench, found, member)
    if not spaces or not min(spaces[0].sizes):
        reason = "no record or no release row is left in which to look for near copies"
        return NearCopies(value=Value(field="near", status="not_assessable", reason=reason), pairs=[])
    estimate = share_of_near(bench, spaces)
    if bench.is_null:
        return NearCopies(value=Value(field="near", estimate=estimate), pairs=[])
    least = fewest_leading(spaces, level)
    if least is None:
        return NearCopies(
            value=Value(field="near", status="not_assessable", reason=power(None, "near copies")), pairs=[]
        )
    test = near_test(spaces)
    alarm = near_alarm(bench, test) if test.p < level else ""
    if alarm:  # counted as deep as the alarm tells of training records
        estimate = share_at(bench, test.ranked, test.threshold.depth)
    pairs = near_pairs(bench, found, member, test, all_of_them=bool(alarm))
    title = f"Training records by the release rows that come as near to them ({test.ranked.space})"
    value = Value(
        field="near",
        estimate=estimate,
        n=rows_used(bench),
        alarm=alarm,
        reason=described(bench, spaces, test, least),
        evidence=(
            *listed(bench, pairs, "Release rows nearest to training rows"),
            *pairs_by_record(bench, followers(bench, test.ranked.space, test.reach, pairs), title),
        ),
        claims={"near_copies": least},
    )
    return NearCopies(value=value, pairs=pairs)


# -- the test ---------------------------------------------------------------------------------------


def rank_spaces(bench: Workbench, found: Matches, member: Flags) -> list[Ranked]:
    """The records that the release does not hold, by their nearness to it, in each space."""
    kept = np.flatnonzero(~(found.matched | found.alike))
    unit = units_of(bench, bench.real, found)
    kept = kept[~_on_both_sides(unit[kept], member[kept])]
    if not len(kept):
        return []
    inside = len(np.unique(unit[kept][member[kept]]))
    sizes = (inside, len(np.unique(unit[kept])) - inside)
    release = bench.shared(
        DIGEST_CODES.about(bench.real, bench.release), lambda: np.unique(bench.corpus.digests, return_inverse=True)[1]
    )
    tie = np.random.default_rng([bench.seed, zlib.crc32(b"ties of near copies")]).random(len(member))
    made = []
    for space in found.spaces:
        at = kept[_nearest_of_each(space.take(kept), unit[kept], release, tie[kept])]
        near = space.take(at)
        made.append(
            Ranked(nearness=near, at=at, unit=unit[at], ranking=Ranking.of(near.score, member[at]), sizes=sizes)
        )
    return made


def _on_both_sides(unit: Places, member: Flags) -> Flags:
    """Records whose source stands in train and in holdout: it is neither member nor other."""
    spanning = np.intersect1d(unit[member], unit[~member])
    return np.asarray(np.isin(unit, spanning), dtype=np.bool_)


def _nearest_of_each(near: Nearness, unit: Places, release: Places, tie: Floats) -> Places:
    """Positions of the nearest record of each source, and of these of the nearest to each distinct release row.

    So a row that the release repeats, or that several records come near to, counts once. Which of
    several equally near ones stays is left to chance: by position, training records would.
    """
    at = np.arange(len(unit))
    for group in (unit, release[near.nearest]):
        order = at[np.lexsort((tie[at], near.score[at], group[at]))]
        at = order[np.unique(group[order], return_index=True)[1]]
    return np.sort(at)


def near_test(spaces: Sequence[Ranked]) -> NearTest:
    """The test that decides on a release, and on the copies that are planted in it.

    Two looks share the level: how many training records stand before the first holdout record in
    any space (exact over all spaces together), and the threshold in the nearest tenth of a ranking
    at which training records exceed their share most (exact in each space, Bonferroni's inequality
    over the spaces). The first finds few copies that stand out, the second many that stand among
    natural neighbours.
    """
    longest = max(one.ranking.run for one in spaces)
    lead = joint_run_p([one.head(longest) for one in spaces], spaces[0].sizes) if longest else 1.0
    scans = [most_extreme(one.ranking, deepest=math.ceil(DEEPEST * len(one.at)), others=len(one.at)) for one in spaces]
    best = min(range(len(spaces)), key=lambda at: scans[at].p)
    ps = {"lead": lead / RUN_SHARE, "scan": len(spaces) * scans[best].p / (1 - RUN_SHARE)}
    if ps["lead"] <= ps["scan"]:
        ranked = max(spaces, key=lambda one: one.ranking.run)
        found = Threshold(depth=longest, members=longest, tail=lead, p=lead)
        return NearTest(p=min(1.0, ps["lead"]), by="lead", ranked=ranked, threshold=found)
    return NearTest(p=min(1.0, ps["scan"]), by="scan", ranked=spaces[best], threshold=scans[best])


def fewest_leading(spaces: Sequence[Ranked], level: float) -> int | None:
    """The fewest training records ahead of every other in one space that :func:`near_test` tells from chance."""
    return fewest(spaces[0].sizes, level * RUN_SHARE / len(spaces))


# -- how many ---------------------------------------------------------------------------------------


def share_of_near(bench: Workbench, spaces: Sequence[Ranked]) -> Estimate:
    """The share of the release that is near copies, in the space that allows most of them.

    Counted among so many of the nearest records that a release without copies is certified to have
    less than 1 % nearly always: a depth that the sizes alone decide. The interval inverts the
    exact test at that depth, at the level shared among the spaces.
    """
    assert bench.train is not None
    assert bench.holdout is not None
    sizes = (bench.train.sources, bench.holdout.sources)
    depth = certifying_depth(sizes, CERTIFIED * len(bench.release), (1 - bench.level) / 2 / len(spaces))
    made = [share_at(bench, one, depth, spaces=len(spaces)) for one in spaces]
    return max(made, key=lambda e: (e.high, e.value))


def share_at(bench: Workbench, one: Ranked, depth: int, *, spaces: int = 1) -> Estimate:
    """The excess of training records among those up to a depth, in rows of the release."""
    ranking = one.ranking
    at = max(0, int(np.searchsorted(ranking.ends, depth, side="right")) - 1)
    up_to, members = int(ranking.ends[at]), int(ranking.members[at])
    if not math.isfinite(one.score_at(up_to)):  # all are infinitely far
        up_to, members = 0, 0
    low, value, high = excess_bounds(up_to, members, ranking.sizes, (1 - bench.level) / 2 / spaces)
    rows = len(bench.release)
    return Estimate(
        value=value / rows, low=low / rows, high=high / rows, level=bench.level, method="inverted hypergeometric test"
    )


# -- words ------------------------------------------------------------------------------------------


def near_alarm(bench: Workbench, test: NearTest) -> str:
    """The sentence that fails a release."""
    depth, members = test.threshold.depth, test.threshold.members
    if test.by == "lead":
        return (
            f"{members} training records stand nearer to release rows than any holdout record "
            f"({p_in_words(test.p)} by {test.ranked.space})"
        )
    share = share_at(bench, test.ranked, depth).value
    return (
        f"of the {depth} real records nearest to release rows {members} are training records against "
        f"{depth - members} of the holdout ({p_in_words(test.p)} by {test.ranked.space}): about {share:.1%} of the "
        f"release are near copies"
    )


def described(bench: Workbench, spaces: Sequence[Ranked], test: NearTest, least: int) -> str:
    """How it was found, what it could have found, and what the release's side says."""
    counts = ", ".join(f"{one.ranking.run} by {one.space}" for one in spaces)
    threshold = test.threshold
    scan = (
        f"; most telling among the {threshold.depth} nearest by {test.ranked.space}: {threshold.members} of train "
        f"against {threshold.depth - threshold.members} of the holdout"
        if test.by == "scan"
        else ""
    )
    return (
        f"{p_in_words(test.p, 2)} by exact tests on the records that do not match exactly, ranked by nearness to the "
        f"release: records of train before any of the holdout: {counts}{scan}; {power(least, 'such records')}; "
        f"{seen_from_the_release(bench)}"
    )


def power(least: int | None, what: str) -> str:
    """The smallest number that a test can see, in words."""
    if least is None:
        return f"these sizes can show no {what}"
    return f"at this size {least} {what} or more would be found, fewer cannot be told"


def seen_from_the_release(bench: Workbench) -> str:
    """Of the release rows nearest to real ones, how many have a training row nearest.

    A remark that decides nothing: in files without duplicates the holdout never meets train, and an
    honest release does.
    """
    assert bench.train is not None
    near = bench.neighbours(bench.release, bench.real, min(LOCAL + 1, len(bench.real)))
    first = np.unique(bench.release.digests, return_index=True)[1]
    distance = near.distance[first]
    scale = distance[:, 1:].mean(1) if distance.shape[1] > 1 else np.ones(len(first))
    ratio = np.divide(distance[:, 0], scale, out=np.ones(len(first)), where=scale > 0)
    closest = first[np.argsort(ratio, kind="stable")[:SHOWN]]
    inside = int(np.isin(bench.real.rows[near.index[closest, 0]], bench.train.rows).sum())
    share = len(bench.train) / len(bench.real)
    return (
        f"seen from the release, {inside} of its {len(closest)} rows nearest to real ones are nearest to train "
        f"({share:.0%} by chance)"
    )


def near_pairs(bench: Workbench, found: Matches, member: Flags, test: NearTest, *, all_of_them: bool) -> list[Pair]:
    """The training records nearest to the release in the space that tells most, nearest first.

    Where they fail a release these are all of them up to the threshold, else the first few.
    """
    near, at = test.ranked.nearness, test.ranked.at
    order = test.ranked.ranking.order
    count = max(SHOWN, test.threshold.members) if all_of_them else SHOWN
    order = order[np.asarray(member[at[order]])][:count]
    return [
        Pair(
            made=int(near.nearest[i]),
            real=int(bench.real.rows[found.rows[at[i]]]),
            distance=float(near.distance[i]),
            exact=False,
            local=float(near.local[i]),
        )
        for i in order
        if math.isfinite(near.score[i])
    ]
