"""Is the release nearer to the rows it was learned from than to rows it never saw?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.intervals import wilson
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.places import difference, place_of, quantile_of, source_of, too_crowded
from counterproof.metrics.proximity import (
    Flags,
    Proximity,
    asked_remark,
    dealt,
    first,
    members_of,
    proximity_of,
    too_few,
)
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.survey import TIE
from counterproof.metrics.workbench import Workbench

DEALS = 400
SHOWN = 20
QUANTILES = {"value": 0.05, "median": 0.5}


@metric(
    id="leakage.closer_to_train",
    family="leakage",
    title="closer to train than to holdout",
    unit="share of the release",
    null="membership",
    needs=Needs(holdout=True, smallest_n=500),
)
def closer_to_train(bench: Workbench) -> Iterator[Value]:
    """Share of release rows whose nearest real row is a training row, not a holdout row.

    0.5 where the generator favours neither, 1 for a copy of train. Ties count one half. Of the
    larger side as many rows count as the smaller has, averaged over every way to draw them, in closed
    form. Distances are Gower's for tables, else Euclidean on features. Interval and p come from
    dealing membership anew: one real row may be nearest to many release rows, and a binomial alarms
    on clean data (on real images z = 3.6 where dealing says p = .06).

    It describes and is not gated: as an average it is blind to few copies (at 500 rows it saw 1 % and
    2 % of exact copies in 8 % and 17 % of releases), and by a binomial, as it is published, it alarmed
    on 35 % of collapsed releases that leak nothing (5 % of them against this floor).
    ``leakage.copies`` decides.

    The same share is ``dcr_share`` of mostlyai-qa; what such distances cannot see: arXiv:2505.01524.

    Yields:
        ``value`` the share.
    """
    reason = too_few(bench, "the share closer to train")
    if reason:
        yield Value(status="not_assessable", reason=reason)
        return
    near = proximity_of(bench, "release", gower=True)
    member = members_of(bench)
    found = credit(near, member)
    share = float(found.mean())
    if bench.is_null:
        yield Value(estimate=Estimate.point(share, level=bench.level))
        return
    if (found == 0.5).all():
        reason = "every release row is equally far from train and from holdout rows: nothing can be told"
        yield Value(status="not_assessable", reason=reason)
        return
    deals = np.array([credit(near, deal).mean() for deal in dealt(bench, "closer to train", DEALS)])
    p = (1 + int((deals >= share - 1e-12).sum())) / (DEALS + 1)
    yield Value(
        estimate=share_estimate(share, deals, len(near.asked), bench.level),
        n=_sizes(bench, near),
        reason=f"p = {p:.2g} by dealing membership anew {DEALS} times; {_blind(near)}",
        evidence=_crowded(near, member),
    )


def credit(near: Proximity, member: Flags) -> Floats:
    """Chance that the nearest of equally many train and holdout records is a training record.

    Of the larger side a random part counts, as large as the smaller side. With ``a`` records of the
    larger side nearer than the nearest of the smaller and ``b`` as near, none of the first ``j`` is
    drawn with chance ``q(j)``, so the larger side wins with ``1 - q(a)`` and ties with
    ``q(a) - q(a + b)``.
    """
    train = int(member.sum())
    large = train >= len(member) - train
    big = member[near.index] == large
    limit = np.where(~big, near.distance, np.inf).min(1)[:, None]
    nearer = (big & (near.distance < limit * (1 - TIE))).sum(1)
    up_to = (big & (near.distance <= limit * (1 + TIE))).sum(1)
    q = missed(max(train, len(member) - train), min(train, len(member) - train), near.index.shape[1])
    made = 1 - (q[nearer] + q[up_to]) / 2
    return np.asarray(made if large else 1 - made)


def missed(size: int, drawn: int, most: int) -> Floats:
    """Chance that none of the first ``j`` of ``size`` records is among ``drawn`` ones, for each ``j`` up to ``most``.

    >>> missed(4, 2, 3).round(3).tolist()
    [1.0, 0.5, 0.167, 0.0]
    """
    steps = np.arange(most)
    kept = np.maximum(size - drawn - steps, 0) / np.maximum(size - steps, 1)
    return np.concatenate([[1.0], np.cumprod(kept)])


def share_estimate(share: float, deals: Floats, most: int, level: float) -> Estimate:
    """Wilson's interval at as many independent rows, up to ``most``, as the spread over deals tells of."""
    rows = max(1, min(most, math.floor(0.25 / max(float(deals.var(ddof=1)), 1e-12))))
    e = wilson(share * rows, rows, level)
    return replace(e, value=share, method="Wilson at the number of independent rows that dealt membership tells of")


def _sizes(bench: Workbench, near: Proximity) -> dict[str, int]:
    return {"train": len(bench.train or ()), "holdout": len(bench.holdout or ()), "release": len(near.asked)}


def _blind(*lists: Proximity) -> str:
    told = "blind to 1-2 % of copies, and without its floor alarmed by mode collapse, so not gated: see leakage.copies"
    remark = asked_remark(*lists)
    return f"{told}; {remark}" if remark else told


def _crowded(near: Proximity, member: Flags) -> tuple[Evidence, ...]:
    """The training records that are nearest to most release rows."""
    nearest = near.index[:, 0]
    records, counts = np.unique(nearest[member[nearest]], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:SHOWN]
    rows = tuple((str(near.pool.names[records[i]]), int(counts[i])) for i in most if counts[i] > 1)
    if not rows:
        return ()
    columns = ("training record", "release rows it is nearest to")
    return (Evidence(title="Training records that most release rows are nearest to", columns=columns, rows=rows),)


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
    """How much nearer release rows hug one training row than holdout rows do, by d1 / d2.

    A row's ratio is its distance to the nearest training row over that to the second: 0 for a copy of
    one record, near 1 where none stands out (1 where both are 0). The value is the 5 % quantile over
    holdout rows less that over release rows: above 0 the release hugs single records more, below 0 it
    stays away from them. In the floor membership is dealt anew; where more than a tenth of the
    release are copies, half of them are copies in any deal, so that the floor rises with the value.
    Distances as for ``leakage.closer_to_train``.

    It describes and is not gated: copies of under 5 % of the release hardly move a quantile (at 500
    rows it saw 1 % and 2 % of exact copies in 13 % and 28 % of releases). ``leakage.copies`` decides.

    Rows that share their nearest training row count as one in the interval, and fewer than 20 such
    places are not assessable. Intervals of the 5 % quantile are wide by construction where about 5 % are
    copies, at a jump, and below 72 places, of which none need be that low. What such distances
    cannot see: arXiv:2505.01524.

    Yields:
        ``value`` and ``median`` the differences of the quantiles, ``q05`` and ``q50`` the release's
        own.
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
            n={**_sizes(bench, lists[0]), "holdout": len(others)},
            reason=_blind(*lists) if headline else "",
            evidence=(_huggers(bench, lists[0], made, member),) if headline else (),
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


def _huggers(bench: Workbench, near: Proximity, made: Floats, member: Flags) -> Evidence:
    distance, index = first(bench, near, member)
    lowest = np.argsort(made, kind="stable")[:SHOWN]
    return Evidence(
        title="Release rows that hug one training row most",
        columns=("release row", "training row", "d1 / d2", "distance"),
        rows=tuple(
            (str(near.asked.names[i]), str(near.pool.names[index[i, 0]]), float(made[i]), float(distance[i, 0]))
            for i in lowest
        ),
        note="A low ratio alone is no leak: the lowest of many rows are low in any release.",
    )
