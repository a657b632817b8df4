"""Matches real records with a release: which stand in it, and which it comes nearest to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.leakage._copy_search.relative_distance import Nearness, nearness_of
from counterproof.metrics.sample import Corpus, Mixed, Sample
from counterproof.metrics.statistics.coincidence import COARSE, joint_code
from counterproof.metrics.statistics.exact_tests import Tally
from counterproof.metrics.workbench import Workbench

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
COLUMN_CODES: Work[Places] = Work("rows by what distances see")


@dataclass(frozen=True, eq=False, kw_only=True)
class Matches:
    """Known records against the release.

    Attributes:
        rows: Position in the known rows (train, then holdout) of each record that stands there
            once: a record with twins in the real data identifies nobody.
        matched: Whether the release holds the same record.
        alike: Whether it holds one that is equal in every column that distances see (copies whose
            free text or constant columns were rewritten).
        single: Whether no other record is equal in those columns.
        spaces: How near each record comes to the release's other rows, in one or more spaces;
            infinitely far where matched or alike.
        twins: Real rows that were left out because they have twins.
    """

    rows: Places
    matched: Flags
    alike: Flags
    single: Flags
    spaces: tuple[Nearness, ...]
    twins: int


def rows_used(bench: Workbench) -> dict[str, int]:
    """The rows of each side, with clusters its sources: rows of one source are not independent.

    Records with twins are among them, which tell nothing: a table with a few of them is no smaller
    for it, and its estimates count what is left.
    """
    assert bench.train is not None
    assert bench.holdout is not None
    return {"train": bench.train.sources, "holdout": bench.holdout.sources, "release": len(bench.release)}


def find_matches(bench: Workbench) -> Matches:
    """Match every distinct real record with the release, exactly and nearly."""
    known = known_records(bench)
    once = singles(known.digests)
    matched = np.isin(known.digests[once], bench.release.digests)
    columns = bench.shared(
        COLUMN_CODES.about(bench.real, bench.release), lambda: column_codes(bench.varying, bench.corpus)
    )
    alike = np.isin(columns[known.rows[once]], columns[bench.release.rows])
    single = np.isin(once, singles(columns[known.rows]))
    found = matched | alike
    copied = np.isin(columns[bench.release.rows], columns[known.rows])
    return Matches(
        rows=np.searchsorted(bench.real.rows, known.rows[once]),  # roles stand one after the other
        matched=matched,
        alike=alike,
        single=single,
        spaces=tuple(_of_records(space, once, found) for space in nearness_of(bench, known, copied)),
        twins=int(len(bench.real) - len(once)),
    )


def _of_records(space: Nearness, once: Places, found: Flags) -> Nearness:
    """The nearness of the records that count, infinitely far for those that the release holds."""
    of_records = space.take(once)
    return replace(
        of_records,
        score=np.where(found, np.inf, of_records.score),
        distance=np.where(found, np.inf, of_records.distance),
    )


def known_records(bench: Workbench) -> Sample:
    """Train and holdout rows; where train alone repeats its records, each of them once.

    Natural twins arise in train and holdout alike and identify nobody. A train table that was
    oversampled repeats every record, and would hide all of them.
    """
    assert bench.train is not None
    assert bench.holdout is not None
    repeated = [1 - len(np.unique(side.digests)) / len(side) for side in (bench.train, bench.holdout)]
    if repeated[0] <= 2 * repeated[1] + COARSE:
        return bench.real
    first = np.sort(np.unique(bench.train.digests, return_index=True)[1])
    return bench.train.take(first, "train once").join(bench.holdout, "known once")


def singles(identity: NDArray[Any]) -> Places:
    """Positions of what stands there once, ascending.

    >>> singles(np.array([7, 3, 7, 1])).tolist()
    [1, 3]
    """
    _, first, counts = np.unique(identity, return_index=True, return_counts=True)
    return np.asarray(np.sort(first[counts == 1]))


def column_codes(mixed: Mixed | None, corpus: Corpus) -> Places:
    """A number per row, the same for rows that are equal in every column that distances see."""
    if mixed is None or not len(mixed.columns):
        return np.unique(corpus.digests, return_inverse=True)[1]
    return joint_code([np.unique(column, return_inverse=True)[1] for column in (*mixed.numeric.T, *mixed.codes.T)])


def tally(bench: Workbench, known: Sample, found: Matches, member: Flags, matched: Flags, counted: Flags) -> Tally:
    """Matches of each side; with clusters, sources with a match, since their rows are not independent."""
    units = units_of(bench, known, found)[counted]
    sides = member[counted], ~member[counted]
    hit = matched[counted]
    hits = tuple(len(np.unique(units[side & hit])) for side in sides)
    sizes = tuple(len(np.unique(units[side])) for side in sides)
    return Tally(hits=(hits[0], hits[1]), sizes=(sizes[0], sizes[1]))


def units_of(bench: Workbench, known: Sample, found: Matches) -> Places:
    """The record, or with clusters the source, of each record that counts."""
    if bench.corpus.clusters is None:
        return np.arange(len(found.rows))
    return bench.corpus.clusters[known.rows[found.rows]]
