"""The data-copying test: cell by cell, does the release lie nearer to train than the holdout does."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.stats import rankdata

from counterproof.metrics.engine.distances import distinct
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence, Group
from counterproof.metrics.leakage._distances.effective_rows import place_of, source_of, too_crowded
from counterproof.metrics.leakage._distances.known_neighbours import (
    Flags,
    Proximity,
    among,
    asked_remark,
    first,
    members_of,
    pool_of,
    proximity_of,
    too_few,
)
from counterproof.metrics.metric import Count, Needs, Value, metric
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.shared.principal_axes import on_pooled_axes
from counterproof.metrics.statistics.auc import auc_parts
from counterproof.metrics.statistics.variance import clustered_error, effective_sample_size, student_estimate
from counterproof.metrics.workbench import Workbench

AXES = 64
"""Principal axes on which cells are found, where there are more features."""
FEWEST = 20
"""Release rows below which a cell does not count: the published threshold is 20 of the release."""
PLACES = 5
"""Evenly filled places of a cell below which its interval does not hold."""

CELLS: Work[tuple[Rows, Rows]] = Work("cells of the data-copying test")


@dataclass(frozen=True, eq=False, kw_only=True)
class Side:
    """Release or holdout rows.

    Attributes:
        cell: ``(n,)`` cell of each row.
        distance: ``(n,)`` distance to the nearest training row of the same cell.
        place: ``(n,)`` which row that is, by its source.
        source: ``(n,)`` the row's own source.
    """

    cell: Rows
    distance: Floats
    place: Rows
    source: Rows

    def take(self, kept: Flags) -> Side:
        """Some of the rows."""
        return Side(
            cell=self.cell[kept], distance=self.distance[kept], place=self.place[kept], source=self.source[kept]
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """One test per cell.

    Attributes:
        z: ``(cells,)`` Mann-Whitney z, below 0 where release rows are nearer; NaN where it cannot be told.
        slope: ``(cells,)`` what one unit of the area under the curve adds to it.
        train: Training rows of each cell; ``holdout`` and ``release`` likewise.
    """

    z: Floats
    slope: Floats
    train: Rows
    holdout: Rows
    release: Rows

    def counted(self, least: int) -> Flags:
        """Cells that take part: rows of all three, and enough of the release."""
        return np.isfinite(self.z) & (self.release > least)


@metric(
    id="leakage.copying_test",
    family="leakage",
    title="data-copying test",
    unit="standard deviations",
    better="higher",
    algo=2,
    null="membership",
    needs=Needs(holdout=True, smallest_n=500),
)
def copying_test(bench: Workbench, *, cells: Count = 3, tau: Annotated[int, Field(ge=0)] = FEWEST) -> Iterator[Value]:
    """Whether release rows lie nearer to training rows than holdout rows do, cell by cell (C_T).

    Cells are made by k-means on train and holdout rows together. In each cell a Mann–Whitney test compares the
    distances of release rows and of holdout rows to the nearest training row of the cell. Cells with at most
    ``tau`` release rows, or without training or holdout rows, are listed and do not count.

    Formula:
        value = Σ over cells of (holdout rows in the cell / all) · z of the Mann–Whitney test

    How to read it:
        Far below 0 the release copies the training data, far above 0 it stays away from them (it underfits).
        Read it against its floor, in which membership is permuted: a bad generator that leaks nothing is far
        from 0 too.

    Limits:
        It describes and has no gate: at 500 rows it saw 1 % and 2 % of exact copies in 7 % and 18 % of
        releases, and on its published scale it alarmed on 30 % of collapsed and of shrunken releases that leak
        nothing (4 % and 5 % of them against this floor). leakage.copies decides. Rows that share their nearest
        training row count as one in the interval; fewer than 20 such places are not assessable.

    Args:
        bench: The samples.
        cells: How many cells are made.
        tau: Release rows that a cell must exceed to count.

    Yields:
        value: The weighted mean of z, and z of each cell.

    Raises:
        MetricError: ``cells`` or ``tau`` is out of range.

    Source:
        Meehan, Chaudhuri and Dasgupta (2020), arXiv:2004.05675. The numbers are those of their code on the same
        cells; tau is a count there times the release's rows.
    """
    if cells < 1 or tau < 0:
        raise MetricError(f"leakage.copying_test: cells = {cells}, tau = {tau}: give at least 1 cell and a tau of 0")
    reason = too_few(bench, "the data-copying test")
    if reason:
        yield Value(status="not_assessable", reason=reason)
        return
    release, holdout = sides_of(bench, cells)
    tests = cells_tested(bench, release, holdout, cells)
    counted = tests.counted(tau)
    if not counted.any():
        reason = f"no cell holds training rows, holdout rows and more than {tau} release rows: take fewer cells"
        yield Value(status="not_assessable", reason=reason)
        return
    weight = np.where(counted, tests.holdout, 0) / tests.holdout[counted].sum()
    value = float(weight[counted] @ tests.z[counted])
    if bench.is_null:
        yield Value(estimate=Estimate.point(value, level=bench.level))
        for cell in map(int, np.flatnonzero(counted)):
            yield Value(group=_group(cell), estimate=Estimate.point(float(tests.z[cell]), level=bench.level))
        return
    crowded = too_crowded(release.place, "the data-copying test", int(counted.sum()))
    if crowded:
        yield Value(status="not_assessable", reason=crowded)
        return
    parts, of_row = parts_of(tests, release, holdout), np.concatenate([release.cell, holdout.cell])
    yield Value(
        estimate=_estimate(bench, value, parts * weight[of_row], (release, holdout), int(counted.sum())),
        n={"train": len(bench.train or ()), "holdout": len(holdout.cell), "release": len(release.cell)},
        reason=_reason(bench, tests, counted, tau),
        evidence=(_by_cell(tests, counted),),
    )
    for cell in range(cells):
        sides = release.take(release.cell == cell), holdout.take(holdout.cell == cell)
        yield _cell_value(bench, tests, cell, sides, parts[of_row == cell], tau)


# -- cells ------------------------------------------------------------------------------------------


def cells_of(bench: Workbench, count: int) -> tuple[Rows, Rows]:
    """``(asked,), (pool,)`` cell of each release row that is asked and of each known record."""

    def partition() -> tuple[Rows, Rows]:
        from sklearn.cluster import KMeans

        pool, made = pool_of(bench), proximity_of(bench, "release", gower=False).asked
        if bench.corpus.features.shape[1] > AXES:
            known, asked = on_pooled_axes(bench, pool, AXES), on_pooled_axes(bench, made, AXES)
        else:
            known, asked = pool.features, made.features
        seed = zlib.crc32(f"{bench.seed} cells".encode()) % 2**31
        found = KMeans(n_clusters=min(count, len(distinct(known)[0])), n_init=3, random_state=seed).fit(known)
        return found.predict(asked).astype(np.intp), found.predict(known).astype(np.intp)

    return bench.shared(CELLS.about(bench.real, bench.release, count=count), partition)


def sides_of(bench: Workbench, cells: int) -> tuple[Side, Side]:
    """Release rows and holdout rows of this view, with their distances within cells."""
    member = members_of(bench)
    of_release, of_pool = cells_of(bench, cells)
    release = _side(bench, proximity_of(bench, "release", gower=False), of_release, of_pool, member)
    known = _side(bench, proximity_of(bench, "known", gower=False, all_known=True), of_pool, of_pool, member)
    return release, known.take(~member)


def _side(bench: Workbench, near: Proximity, cell: Rows, of_pool: Rows, member: Flags) -> Side:
    """The nearest training row of the same cell: from the lists, and where they have none by a search."""
    found, index = first(bench, near, member[near.index] & (of_pool[near.index] == cell[:, None]))
    for at in np.unique(cell[np.isinf(found[:, 0])]):
        rows = np.flatnonzero((cell == at) & np.isinf(found[:, 0]))
        found[rows], index[rows] = among(bench, near, rows, np.flatnonzero(member & (of_pool == at)), 1)
    return Side(cell=cell, distance=found[:, 0], place=place_of(near, index[:, 0]), source=source_of(near.asked))


# -- tests ------------------------------------------------------------------------------------------


def cells_tested(bench: Workbench, release: Side, holdout: Side, count: int) -> Cells:
    """The test of every cell."""
    of_pool = cells_of(bench, count)[1]
    m, n = (np.bincount(side.cell, minlength=count) for side in (release, holdout))
    train = np.bincount(of_pool[members_of(bench)], minlength=count)
    z, slope = np.full(count, np.nan), np.zeros(count)
    for cell in np.flatnonzero((m > 0) & (n > 0) & (train > 0)):
        made, others = (side.distance[side.cell == cell] for side in (release, holdout))
        z[cell] = mann_whitney_z(made, others)
        slope[cell] = m[cell] * n[cell] / math.sqrt(m[cell] * n[cell] * (m[cell] + n[cell] + 1) / 12)
    return Cells(z=z, slope=slope, train=train, holdout=n, release=m)


def area(made: Floats, others: Floats) -> float:
    """Share of pairs in which the first is larger, ties one half."""
    ranks = rankdata(np.concatenate([made, others]))[: len(made)]
    return float((ranks.sum() - len(made) * (len(made) + 1) / 2) / (len(made) * len(others)))


def mann_whitney_z(made: Floats, others: Floats) -> float:
    """Z of the Mann-Whitney test, below 0 where the first sample is smaller; as published, no correction for ties.

    >>> round(mann_whitney_z(np.array([1.0, 2.0]), np.array([3.0, 4.0])), 3)
    -1.162
    """
    m, n = len(made), len(others)
    u = area(made, others) * m * n
    return (u - (m * n / 2 - 0.5)) / math.sqrt(m * n * (m + n + 1) / 12)


def parts_of(tests: Cells, release: Side, holdout: Side) -> Floats:
    """``(release + holdout,)`` what each row adds to the sampling error of the z of its cell."""
    cell = np.concatenate([release.cell, holdout.cell])
    distance = np.concatenate([release.distance, holdout.distance])
    made = np.arange(len(cell)) < len(release.cell)
    parts = np.zeros(len(cell))
    for at in np.flatnonzero(np.isfinite(tests.z)):
        here = cell == at
        parts[here] = tests.slope[at] * auc_parts(distance[here], made[here])[1]
    return parts


# -- words ------------------------------------------------------------------------------------------


def _estimate(bench: Workbench, value: float, parts: Floats, sides: tuple[Side, Side], means: int) -> Estimate:
    """An interval by places; every cell that counts takes a mean of its own, and with it one place."""
    place, source = (np.concatenate([getattr(side, name) for side in sides]) for name in ("place", "source"))
    places = effective_sample_size(sides[0].place)
    error = clustered_error(parts, place, source) * math.sqrt(places / (places - means))
    method = "rows that share their nearest training row count as one"
    return student_estimate(value, error, places - means, level=bench.level, method=method)


def _group(cell: int) -> Group:
    return (("cell", str(cell + 1)),)


def _cell_value(bench: Workbench, tests: Cells, cell: int, sides: tuple[Side, Side], parts: Floats, tau: int) -> Value:
    group = _group(cell)
    n = {"train": int(tests.train[cell]), "holdout": int(tests.holdout[cell]), "release": int(tests.release[cell])}
    lacking = [role for role, count in n.items() if not count]
    reason = f"the cell has no {' and no '.join(lacking)} rows" if lacking else ""
    if not reason and tests.release[cell] <= tau:
        reason = f"too few rows: {tests.release[cell]} release rows, and more than {tau} are needed"
    if not reason and effective_sample_size(sides[0].place) < PLACES:
        reason = f"too few rows: its release rows stand at fewer than {PLACES} places"
    if reason:
        return Value(group=group, status="not_assessable", reason=reason, n=n, decidable=False)
    return Value(group=group, estimate=_estimate(bench, float(tests.z[cell]), parts, sides, 1), n=n)


def _reason(bench: Workbench, tests: Cells, counted: Flags, tau: int) -> str:
    told = "blind to 1-2 % of copies, and without its floor alarmed by mode collapse, so not gated: see leakage.copies"
    left = int((~counted).sum())
    if left:
        told += f"; {left} of {len(counted)} cells lack rows of train or holdout, or have {tau} release rows or fewer"
    remark = asked_remark(proximity_of(bench, "release", gower=False))
    return f"{told}; {remark}" if remark else told


def _by_cell(tests: Cells, counted: Flags) -> Evidence:
    order = np.argsort(np.nan_to_num(tests.z, nan=np.inf), kind="stable")
    return Evidence(
        title="Cells of the data-copying test, most copied first",
        columns=("cell", "z", "training rows", "holdout rows", "release rows", "counts"),
        rows=tuple(
            (
                str(i + 1),
                float(tests.z[i]) if np.isfinite(tests.z[i]) else None,
                int(tests.train[i]),
                int(tests.holdout[i]),
                int(tests.release[i]),
                "yes" if counted[i] else "no",
            )
            for i in order
        ),
    )
