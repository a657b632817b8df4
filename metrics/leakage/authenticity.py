"""Authenticity: release rows that are no nearer to a training row than another training row is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.leakage._distances.effective_rows import place_of, too_crowded
from counterproof.metrics.leakage._distances.known_neighbours import (
    HALVES,
    Proximity,
    asked_remark,
    below,
    first,
    half_rows,
    members_of,
    proximity_of,
    too_few,
)
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.statistics.variance import clustered_error, effective_sample_size, student_estimate
from counterproof.metrics.workbench import Workbench

SHOWN = 20


@metric(
    id="leakage.authenticity",
    family="leakage",
    title="authenticity",
    unit="share of the release",
    better="higher",
    algo=2,
    null="membership",
    needs=Needs(holdout=True, smallest_n=500),
)
def authenticity(bench: Workbench) -> Iterator[Value]:
    """Share of release rows that do not crowd around their nearest training row (AuthPct).

    A row is authentic if its nearest training row has another training row still nearer; ties count one half.
    Distances are Euclidean on features.

    Formula:
        value = share of release rows y with d(y, x) > d(x, x′), where x is the training row nearest to y
        and x′ is the training row nearest to x

    How to read it:
        A copy is never authentic, yet the share has no scale of its own: a perfect generator has 61 to 62 %,
        not 100, and a blurry one more. Read it against its floor, the share of this very release where
        membership of train and holdout rows is permuted at random. Below the floor, the release crowds around training
        rows; a fresh release does by chance 5.3 % of the time where 5 % is asked (1,000 runs).

    Limits:
        It describes and has no gate: at 500 rows it saw 1 % and 2 % of exact copies in 7 % and 13 % of
        releases. Against the holdout's share it alarmed on 28 % of collapsed releases that leak nothing (4 % of
        them against this floor). leakage.copies decides. The interval holds about 98 % where 95 is asked. A
        release that stands at fewer than 20 places (nearest training rows) is not assessable.

    Yields:
        value: The share.

    Source:
        Alaa et al. (2022), How faithful is your synthetic data?, arXiv:2102.08921.
    """
    reason = too_few(bench, "authenticity")
    if reason:
        yield Value(status="not_assessable", reason=reason)
        return
    near = proximity_of(bench, "release", gower=False)
    distance, index = first(bench, near, members_of(bench))
    among = own_neighbours(bench)
    authentic = below(among[index[:, 0]], distance[:, 0])
    share = float(authentic.mean())
    if bench.is_null:
        yield Value(estimate=Estimate.point(share, level=bench.level))
        return
    place = place_of(near, index[:, 0])
    crowded = too_crowded(place, "authenticity")
    if crowded:
        yield Value(status="not_assessable", reason=crowded)
        return
    error = max(spread(bench, near), clustered_error((authentic - share) / len(authentic), place))
    method = f"spread of {HALVES} half-samples of train and release, or of the places release rows share"
    estimate = student_estimate(share, error, effective_sample_size(place) - 1, level=bench.level, method=method)
    remark = asked_remark(near)
    told = "read it against its floor, not 1; blind to 1-2 % of copies, so not gated: see leakage.copies"
    yield Value(
        estimate=replace(estimate, low=max(0.0, estimate.low), high=min(1.0, estimate.high)),
        n={"train": len(bench.train or ()), "release": len(near.asked)},
        reason=told + (f"; {remark}" if remark else ""),
        evidence=_closest(near, index[:, 0], distance[:, 0], among),
    )


def own_neighbours(bench: Workbench) -> Floats:
    """``(len(pool),)`` distance of each record to the nearest other training record."""
    near = proximity_of(bench, "known", gower=False, all_known=True)
    return first(bench, near, members_of(bench))[0][:, 0]


def spread(bench: Workbench, near: Proximity) -> float:
    """Spread of the share over halves of both sides, as far as the lists tell.

    Training rows are halved too: a row of a crowded place stands in the way of many release rows.
    """
    rng, member = bench.generator("authenticity"), members_of(bench)
    around = proximity_of(bench, "known", gower=False, all_known=True)
    made = []
    for _ in range(HALVES):
        half = member & half_rows(near.pool, rng)
        asked = near.take(np.flatnonzero(half_rows(near.asked, rng)))
        distance, index = first(bench, asked, half[asked.index])
        own, where = np.unique(index[:, 0], return_inverse=True)
        listed = around.take(own)
        among = first(bench, listed, half[listed.index])[0][where, 0]
        told = np.isfinite(distance[:, 0])
        if told.any():
            made.append(below(among[told], distance[told, 0]).mean())
    return float(np.std(made, ddof=1)) if len(made) > 1 else 1.0


def _closest(near: Proximity, index: Rows, distance: Floats, among: Floats) -> tuple[Evidence, ...]:
    """The release rows that stand nearest to a training row, for how far the next training row is."""
    scale = among[index]
    relative = np.divide(distance, scale, out=np.where(distance > 0, np.inf, 1.0), where=scale > 0)
    order = np.argsort(relative, kind="stable")
    lowest = order[relative[order] < 1][:SHOWN]
    rows = tuple(
        (str(near.asked.names[i]), str(near.pool.names[index[i]]), float(distance[i]), float(scale[i])) for i in lowest
    )
    if not rows:
        return ()
    return (
        Evidence(
            title="Release rows nearest to a training row for its surroundings",
            columns=("release row", "training row", "distance", "its distance to the next training row"),
            rows=rows,
            note="More than a third of the rows of a perfect generator are like this; only excess tells.",
        ),
    )
