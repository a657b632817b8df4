"""The share of synthetic rows that lie nearer to training rows than to holdout rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from counterproof.metrics.engine.pairwise_pass import TIE
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.leakage._distances.known_neighbours import (
    SHOWN,
    Flags,
    Proximity,
    blind_reason,
    dealt,
    members_of,
    proximity_of,
    role_sizes,
    too_few,
)
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.sample import Floats
from counterproof.metrics.statistics.exact_tests import p_in_words
from counterproof.metrics.statistics.proportions import wilson
from counterproof.metrics.workbench import Workbench

DEALS = 400


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

    Ties count one half. Of the larger side as many rows count as the smaller has, averaged over every way to
    draw them, in closed form. Distances are Gower's for tables, else Euclidean on features. Interval and
    p-value come from permuting membership: one real row may be nearest to many release rows, and a binomial
    test alarms on clean data (on real images z = 3.6 where permutation gives p = 0.06).

    Formula:
        value = share of release rows with d(nearest training row) < d(nearest holdout row), ties one half

    How to read it:
        0.5 where the generator favours neither side, 1 for a copy of the training data.

    Limits:
        It describes and has no gate: as an average it is blind to few copies (at 500 rows it saw 1 % and 2 % of
        exact copies in 8 % and 17 % of releases). By a binomial test, as it is published, it alarmed on 35 % of
        collapsed releases that leak nothing (5 % of them against this floor). leakage.copies decides. See
        arXiv:2505.01524 on what such distances cannot see.

    Yields:
        value: The share.

    Source:
        The same share is dcr_share of mostlyai-qa; its weaknesses: arXiv:2505.01524.
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
        n=role_sizes(bench, near),
        reason=f"{p_in_words(p, 2)} by dealing membership anew {DEALS} times; {blind_reason(near)}",
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
