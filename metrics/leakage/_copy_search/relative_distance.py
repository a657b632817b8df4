"""Nearness: real records that come nearer to a release than their own neighbourhood explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.nearest_neighbours import Neighbours
from counterproof.metrics.leakage._copy_search.augmented_pixels import Candidates, nearest_pixels
from counterproof.metrics.leakage._copy_search.perceptual_hash import (
    alike,
    difference_hash,
    frequency_hash,
    pictures,
    smoothed,
)
from counterproof.metrics.sample import Floats, Mixed, Rows, Sample
from counterproof.metrics.shared.closest_pairs import Pair
from counterproof.metrics.workbench import Workbench

LOCAL = 5
FOLLOWED = 50
REACHED = 6  # the pass over all pairs that metrics share tells as many
Flags = NDArray[np.bool_]
Space = Literal[
    "Gower distance",
    "distance of features",
    "distance of numbers among rows of equal categories",
    "pixels under shifts, flips and crops",
]


@dataclass(frozen=True, eq=False, kw_only=True)
class Nearness:
    """How near real records come to a release in one space.

    Attributes:
        space: The distance.
        score: ``(n,)`` distance to the nearest release row that is no exact copy, over ``local``;
            infinite where there is none.
        distance: ``(n,)`` the distance itself.
        nearest: ``(n,)`` corpus row of that release row.
        local: ``(n,)`` mean distance to the nearest other real rows; 1 where the distance itself counts.
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
        if bench.varying.numeric.shape[1]:
            made.append(_by_numbers(bench, bench.varying, known, copied))
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


def _by_numbers(bench: Workbench, mixed: Mixed, known: Sample, copied: Flags) -> Nearness:
    """The rows of equal categories and equally missing numbers, by their numbers alone.

    A copy whose numbers were moved a little keeps its categories, and in a table of many columns
    that alone is rare. They are looked for among the rows nearest by Gower's distance, where a near
    copy always stands. Numbers are taken as they are, not as ranks, which leap where many rows share
    a value; and nothing is divided by the neighbourhood: one rule for crowded and lonely records
    beside two that are relative.
    """
    found = bench.neighbours(known, bench.release, min(REACHED, len(bench.release)), gower=True)
    between = number_distance(bench, mixed, known.rows, bench.release.rows[found.index])
    between[copied[found.index]] = np.inf
    at = between.argmin(1)[:, None]
    distance = np.take_along_axis(between, at, axis=1)[:, 0]
    return Nearness(
        space="distance of numbers among rows of equal categories",
        score=distance,
        distance=distance,
        nearest=bench.release.rows[np.take_along_axis(found.index, at, axis=1)[:, 0]],
        local=np.ones(len(known)),
    )


def number_distance(bench: Workbench, mixed: Mixed, rows: Rows, others: Rows) -> Floats:
    """``(n, k)`` Euclidean distance of numbers in standard deviations of real rows; infinite where categories differ.

    Args:
        bench: The samples.
        mixed: The columns.
        rows: ``(n,)`` rows.
        others: ``(n, k)`` the rows that each is held against.
    """
    squares = np.zeros(others.shape)
    for column in _numbers(bench, mixed):
        here, there = column[rows][:, None], column[others]
        missing, other_missing = np.isnan(here), np.isnan(there)
        with np.errstate(over="ignore"):  # what no float holds is infinitely far
            gap = np.where(missing | other_missing, 0.0, here - there) / (_spread(column[bench.real.rows]) or 1.0)
            squares += np.where(missing ^ other_missing, np.inf, gap**2)
    for codes in mixed.codes.T:
        squares[codes[rows][:, None] != codes[others]] = np.inf
    return np.asarray(np.sqrt(squares))


def _spread(known: Floats) -> float:
    """The standard deviation without missing values, in units of the largest, whose square may be no float."""
    known = known[np.isfinite(known)]
    largest = float(np.abs(known).max(initial=0.0))
    return largest * float((known / largest).std()) if largest else 0.0


def _numbers(bench: Workbench, mixed: Mixed) -> Iterator[Floats]:
    """Number columns as they were given, dates in seconds; what was read from text, as the encoder ranks it."""
    frame = bench.corpus.frame
    for at, ranks in enumerate(mixed.numeric.T):
        column = None if frame is None else frame[mixed.columns[at]]
        if column is not None and column.dtype.kind == "M":
            yield np.asarray((column - column.min()).dt.total_seconds(), dtype=np.float64)
        elif column is not None and column.dtype.kind in "iufb":
            given = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
            yield np.where(np.isfinite(given), given, np.nan)
        else:
            yield np.asarray(ranks, dtype=np.float64)


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


def followers(bench: Workbench, space: Space, limit: float, pairs: Sequence[Pair]) -> list[Pair]:
    """All release rows that come as near to the records up to a score as the score says."""
    ahead = [pair for pair in pairs if pair.distance <= limit * pair.local]
    if not ahead:
        return []
    records = Sample("records ahead", np.array([pair.real for pair in ahead]), bench.corpus)
    near, distance = _reached(bench, space, records)
    made = []
    for pair, places, far in zip(ahead, near, distance, strict=True):
        reach = min(limit, 1.0) * pair.local
        for place, d in zip(places, far, strict=True):
            row = int(bench.release.rows[place])
            if d <= reach or row == pair.made:
                made.append(replace(pair, made=row, distance=float(d)))
    return made


def _reached(bench: Workbench, space: Space, records: Sample) -> tuple[Rows, Floats]:
    """Places of the release rows near to some records in one space, and their distances."""
    reached = min(FOLLOWED, len(bench.release))
    numbers = space == "distance of numbers among rows of equal categories"
    found = bench.neighbours(records, bench.release, reached, gower=numbers or space == "Gower distance")
    if numbers and bench.varying is not None:
        others = bench.release.rows[found.index]
        return found.index, number_distance(bench, bench.varying, records.rows, others)
    if space == "pixels under shifts, flips and crops":
        distance, near = _pixels_between(bench, records, found.index)
        return near, distance
    return found.index, found.distance


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
