"""How much nearer the nearest real record is than the second nearest, for train and for holdout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from counterproof.metrics.estimate import Evidence
from counterproof.metrics.leakage._distances.effective_rows import place_of, source_of, too_crowded
from counterproof.metrics.leakage._distances.known_neighbours import (
    SHOWN,
    Flags,
    Proximity,
    blind_reason,
    first,
    members_of,
    proximity_of,
    role_sizes,
    too_few,
)
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.statistics.proportions import difference
from counterproof.metrics.statistics.variance import quantile_of
from counterproof.metrics.workbench import Workbench

QUANTILES = {"value": 0.05, "median": 0.5}


# -- the ratio --------------------------------------------------------------------------------------


@metric(
    id="leakage.nearest_neighbour_ratio",
    family="leakage",
    title="nearest-neighbour distance ratio",
    unit="ratio below the holdout's",
    algo=2,
    null="membership",
    needs=Needs(holdout=True, smallest_n=500),
)
def nearest_neighbour_ratio(bench: Workbench) -> Iterator[Value]:
    """How much nearer release rows stand to a single training row than holdout rows do.

    A row's ratio is its distance to the nearest training row over that to the second: 0 for a copy of one
    record, near 1 where none stands out (1 where both are 0). In the floor membership is permuted; where more
    than a tenth of the release are copies, half of them are copies in any permutation, so that the floor rises with
    the value. Distances are Gower's for tables, else Euclidean on features.

    Formula:
        ratio = d1 / d2; value = 5 % quantile over holdout rows − 5 % quantile over release rows

    How to read it:
        Above 0 the release stands nearer to single records than holdout rows do, below 0 it stays away from
        them.

    Limits:
        It describes and has no gate: copies of under 5 % of the release hardly move a quantile (at 500 rows it
        saw 1 % and 2 % of exact copies in 13 % and 28 % of releases). leakage.copies decides. Rows that share
        their nearest training row count as one in the interval; fewer than 20 such places are not assessable.
        Intervals are wide by construction where about 5 % are copies, and below 72 places. See arXiv:2505.01524
        on what such distances cannot see.

    Yields:
        value: Difference of the 5 % quantiles.
        median: Difference of the medians.
        q05: The release's 5 % quantile.
        q50: The release's median.

    Source:
        A published average (NNDR); its weaknesses: arXiv:2505.01524.
    """
    reason = too_few(bench, "a ratio of distances")
    if reason:
        yield Value(status="not_assessable", reason=reason)
        return
    lists = proximity_of(bench, "release", gower=True), proximity_of(bench, "known", gower=True)
    member = members_of(bench)
    counted = ~member_rows(lists[1], member)
    if counted.sum() < 2:
        yield Value(status="not_assessable", reason="too few holdout rows were asked to compare with")
        return
    made, units = ratio(bench, lists[0], member), _units(bench, lists[0], member)
    others, other_units = ratio(bench, lists[1], member)[counted], _units(bench, lists[1], member)[:, counted]
    crowded = "" if bench.is_null else too_crowded(units[0], "a ratio of distances")
    if crowded:
        yield Value(status="not_assessable", reason=crowded)
        return
    own = {name: quantile_of(made, q, *units, level=bench.level) for name, q in QUANTILES.items()}
    for name, q in QUANTILES.items():
        theirs = quantile_of(others, q, *other_units, level=bench.level)
        headline = name == "value" and not bench.is_null
        yield Value(
            field=name,
            estimate=difference(theirs, own[name]),
            n={**role_sizes(bench, lists[0]), "holdout": len(others)},
            reason=blind_reason(*lists) if headline else "",
            evidence=(_lowest_ratio_rows(bench, lists[0], made, member),) if headline else (),
        )
    for name, field in (("value", "q05"), ("median", "q50")):
        yield Value(field=field, estimate=own[name], better="higher", unit="d1 / d2")


def ratio(bench: Workbench, near: Proximity, member: Flags) -> Floats:
    """``(n,)`` distance to the nearest training record over that to the second."""
    return _ratio_of(first(bench, near, member, 2)[0])


def _ratio_of(distance: Floats) -> Floats:
    one, two = distance[:, 0], distance[:, 1]
    return np.divide(one, two, out=np.ones(len(one)), where=two > 0)


def member_rows(near: Proximity, member: Flags) -> Flags:
    """Which of the known records that were asked are training records."""
    return np.isin(near.asked.rows, near.pool.rows[member])


def _units(bench: Workbench, near: Proximity, member: Flags) -> Rows:
    """``(2, n)`` the place of each row, and its own source."""
    return np.stack([place_of(near, first(bench, near, member)[1][:, 0]), source_of(near.asked)])


def _lowest_ratio_rows(bench: Workbench, near: Proximity, made: Floats, member: Flags) -> Evidence:
    distance, index = first(bench, near, member)
    lowest = np.argsort(made, kind="stable")[:SHOWN]
    return Evidence(
        title="Release rows with the lowest ratio d1 / d2",
        columns=("release row", "training row", "d1 / d2", "distance"),
        rows=tuple(
            (str(near.asked.names[i]), str(near.pool.names[index[i, 0]]), float(made[i]), float(distance[i, 0]))
            for i in lowest
        ),
        note="A low ratio alone is no leak: the lowest of many rows are low in any release.",
    )
