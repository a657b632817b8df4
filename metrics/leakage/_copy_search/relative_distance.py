"""Nearness: real records that come nearer to a release than their own neighbourhood explains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.nearest_neighbours import Neighbours
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.leakage._copy_search.augmented_pixels import Candidates, nearest_pixels
from counterproof.metrics.leakage._copy_search.perceptual_hash import (
    alike,
    difference_hash,
    frequency_hash,
    pictures,
    smoothed,
)
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.shared.closest_pairs import Pair
from counterproof.metrics.statistics.exact_tests import tail_p, tails
from counterproof.metrics.workbench import Workbench

LOCAL = 5
FOLLOWED = 50
REACHED = 6  # the pass over all pairs that metrics share tells as many
Flags = NDArray[np.bool_]
Space = Literal["Gower distance", "distance of features", "pixels under shifts, flips and crops"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Nearness:
    """How near real records come to a release in one space.

    Attributes:
        space: The distance.
        score: ``(n,)`` distance to the nearest release row that is no exact copy, over the mean
            distance to the nearest other real rows; infinite where there is none.
        distance: ``(n,)`` the distance itself.
        nearest: ``(n,)`` corpus row of that release row.
        local: ``(n,)`` mean distance to the nearest other real rows.
    """

    space: Space
    score: Floats
    distance: Floats
    nearest: Rows
    local: Floats

    def take(self, at: Rows) -> Nearness:
        """Some of the records."""
        return replace(
            self,
            score=self.score[at],
            distance=self.distance[at],
            nearest=self.nearest[at],
            local=self.local[at],
        )


def nearness_of(bench: Workbench, known: Sample, copied: Flags) -> list[Nearness]:
    """Every known record's nearness to the release, in every space that these data have.

    Args:
        bench: The samples.
        known: Real records of train and holdout; nothing here looks at which is which.
        copied: Release rows that equal a known record: they are counted elsewhere.
    """
    if len(known) <= LOCAL or copied.all():
        return []
    made = [_by_rows(bench, known, copied, "distance of features", gower=False)]
    if bench.varying is not None and bench.varying.columns:
        made.insert(0, _by_rows(bench, known, copied, "Gower distance", gower=True))
    if bench.corpus.modality == "image" and bench.corpus.pixels is not None:
        made.insert(0, _by_pixels(bench, known, copied))
    return made


def _by_rows(bench: Workbench, known: Sample, copied: Flags, space: Space, *, gower: bool) -> Nearness:
    reached = min(REACHED, len(bench.release))
    found = bench.neighbours(known, bench.release, reached, gower=gower)
    distance, nearest = first_not(copied, found)
    local = bench.neighbours(known, known, LOCAL, gower=gower).distance.mean(1)
    return Nearness(
        space=space,
        score=_relative(distance, local),
        distance=distance,
        nearest=bench.release.rows[nearest],
        local=local,
    )


def first_not(copied: Flags, found: Neighbours) -> tuple[Floats, Rows]:
    """The nearest row that is no copy; infinitely far where all that were found are copies."""
    others = ~copied[found.index]
    at = others.argmax(1)[:, None]
    distance = np.take_along_axis(found.distance, at, axis=1)[:, 0]
    return np.where(others.any(1), distance, np.inf), np.take_along_axis(found.index, at, axis=1)[:, 0]


def _relative(distance: Floats, local: Floats) -> Floats:
    made: Floats = np.divide(distance, local, out=np.full(len(distance), np.inf), where=local > 0)
    return made


def _by_pixels(bench: Workbench, known: Sample, copied: Flags) -> Nearness:
    """Features and hashes name candidates, smoothed pixels decide; the same search for members and others."""
    read = bench.corpus.pixels
    assert read is not None
    both = smoothed(pictures(read, np.concatenate([known.rows, bench.release.rows])))
    real, made = both[: len(known)], both[len(known) :]
    pairs = _candidates(bench, known, real, made, copied)
    found, there = nearest_pixels(real, made, pairs, 1)
    distance, nearest = found[:, 0], there[:, 0]
    around = bench.neighbours(known, known, min(2 * LOCAL, len(known) - 1)).index
    own = Candidates.of(len(known), np.repeat(np.arange(len(known)), around.shape[1]), around.ravel())
    local = nearest_pixels(real, real, own, LOCAL)[0].mean(1)
    return Nearness(
        space="pixels under shifts, flips and crops",
        score=_relative(distance, local),
        distance=distance,
        nearest=bench.release.rows[nearest],
        local=local,
    )


def _candidates(
    bench: Workbench, known: Sample, real: NDArray[np.float32], made: NDArray[np.float32], copied: Flags
) -> Candidates:
    """The nearest by features from either side, and the nearest by each hash, as it is and mirrored."""
    reached = min(REACHED, len(bench.release))
    there = bench.neighbours(known, bench.release, reached).index
    back = bench.neighbours(bench.release, known, min(REACHED, len(known))).index
    hashes = (difference_hash, frequency_hash)
    looks = [alike(of(turned), of(made)) for of in hashes for turned in (real, real[:, :, ::-1])]
    every = np.arange(len(known))
    query = np.concatenate([np.repeat(every, there.shape[1]), back.ravel(), *[every] * len(looks)])
    base = np.concatenate([there.ravel(), np.repeat(np.arange(len(made)), back.shape[1]), *looks])
    kept = ~copied[base]
    return Candidates.of(len(known), query[kept], base[kept])


def followers(bench: Workbench, run: Run, pairs: list[Pair]) -> list[Pair]:
    """All release rows that come as near to the records ahead of a run as no row does to a holdout record."""
    ahead = [pair for pair in pairs if pair.distance < run.limit * pair.local]
    if not ahead:
        return []
    records = Sample("records ahead", np.array([pair.real for pair in ahead]), bench.corpus)
    reached = min(FOLLOWED, len(bench.release))
    gower = run.space == "Gower distance"
    index = bench.neighbours(records, bench.release, reached, gower=gower)
    near, distance = index.index, index.distance
    if run.space == "pixels under shifts, flips and crops":
        distance, near = _pixels_between(bench, records, near)
    made = []
    for pair, places, far in zip(ahead, near, distance, strict=True):
        reach = min(run.limit, 1.0) * pair.local
        for place, d in zip(places, far, strict=True):
            row = int(bench.release.rows[place])
            if d < reach or row == pair.made:
                made.append(replace(pair, made=row, distance=float(d)))
    return made


def _pixels_between(bench: Workbench, records: Sample, near: Rows) -> tuple[Floats, Rows]:
    """Distances of pixels between records and the release rows that features name."""
    read = bench.corpus.pixels
    assert read is not None
    places, base = np.unique(near, return_inverse=True)
    both = smoothed(pictures(read, np.concatenate([records.rows, bench.release.rows[places]])))
    query = np.repeat(np.arange(len(records)), near.shape[1])
    pairs = Candidates.of(len(records), query, base.ravel())
    distance, index = nearest_pixels(both[: len(records)], both[len(records) :], pairs, near.shape[1])
    return distance, places[index]


# -- the test ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """Members that come nearer to the release than every non-member, in one space.

    Attributes:
        space: Where.
        count: How many, each with a release row of its own: a row that the release repeats, or
            that several records come near to, counts once.
        sizes: Members and non-members (sources, with clusters) that took part.
        limit: The score of the nearest non-member.
    """

    space: Space
    count: int
    sizes: tuple[int, int]
    limit: float

    @property
    def p(self) -> float:
        """The chance of it, or of more, if membership were dealt at random."""
        return tail_p(self.count, *self.sizes)


def run_of(nearness: Nearness, *, member: Flags, unit: Rows, release: Rows) -> Run:
    """The run of members at the near end.

    Args:
        nearness: Of the records.
        member: ``(n,)`` whether the generator learned from them.
        unit: ``(n,)`` number of the source of each: rows of one source are not independent.
        release: A number per corpus row, the same for equal rows.
    """
    names, inverse = np.unique(unit, return_inverse=True)
    order = np.lexsort((nearness.score, inverse))
    first = order[np.unique(inverse[order], return_index=True)[1]]  # the nearest record of each source
    inside = np.zeros(len(names), dtype=bool)
    np.logical_or.at(inside, inverse, member)
    limit = float(nearness.score[first][~inside].min(initial=np.inf))
    ahead = first[inside & (nearness.score[first] < limit)]
    count = len(np.unique(release[nearness.nearest[ahead]]))
    return Run(space=nearness.space, count=count, sizes=(int(inside.sum()), int((~inside).sum())), limit=limit)


def number_of_near(runs: list[Run], level: float) -> Estimate:
    """How many near copies the runs tell of, with an exact interval.

    Copies that this search can see head a run, and chance lengthens it: the number of copies is no
    more than the run, and less by no more than chance would add. The interval inverts the tail
    test, at the level shared among the spaces; the value leaves out what chance adds on average.
    """
    longest = max(runs, key=lambda run: run.count)
    tail = (1 - level) / 2 / len(runs)
    chance = tails(min(2000, longest.sizes[0]), *longest.sizes)
    added = int((chance > tail).sum())
    value = max(0.0, longest.count - float(chance.sum()))
    return Estimate(
        value=value,
        low=float(max(0, longest.count - added)),
        high=float(longest.count),
        level=level,
        method="inverted tail test",
    )
