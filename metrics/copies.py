"""Does the release hold training rows, or rows too near to them?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact, poisson

from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.intervals import newcombe
from counterproof.metrics.metric import Needs, Tolerance, Value, metric
from counterproof.metrics.pairs import Pair, pair_panel
from counterproof.metrics.sample import Floats, Sample
from counterproof.metrics.workbench import Workbench

ALARM = 0.002  # an exact test at 0.05 alarms on one honest release in twenty
NEAR_ALARM = 0.001
LOCAL = 5
LISTED = 1000


@dataclass(frozen=True, eq=False)
class Matches:
    """Distinct known records against the release.

    Attributes:
        rows: Position in the known rows (train, then holdout) of each distinct record that stands
            there once: a record with twins in the real data identifies nobody.
        matched: Whether the release holds the same record.
        score: Nearness of each record to the release's other rows, relative to its real
            neighbourhood; small is near. Infinite where matched.
        nearest: Release row (position) that is nearest to each record.
        distance: How far that is.
        twins: Real rows that were left out because they have twins.
    """

    rows: NDArray[np.intp]
    matched: NDArray[np.bool_]
    score: Floats
    nearest: NDArray[np.intp]
    distance: Floats
    twins: int


@metric(
    id="leakage.copies",
    family="leakage",
    title="copies of training rows",
    unit="share of the release",
    null="membership",
    needs=Needs(smallest_n=1000),
    tolerances=(
        Tolerance(
            "value",
            "<=",
            0.01,
            "0 can never be passed by an upper bound; 1 % is the least that 1,000 rows can certify. "
            "Copies beyond chance fail whatever their share",
        ),
    ),
)
def copies(bench: Workbench) -> Iterator[Value]:
    """Release rows that equal training rows, in excess of those that equal holdout rows.

    An honest generator of low-cardinality rows matches real records by chance, and matches the
    holdout as often; so the excess counts, over *distinct* records that stand once in the real
    data. 0.01 means that one release row in a hundred is a copy. Fisher's exact test on the
    matches, and a tail test for near copies on the rest (a training record nearer to the release,
    on the scale of its own neighbourhood, than every holdout record), fail a release whatever its
    share. Never read a pass as more than: no copies found by these searches at this power.

    Source: notes on exchangeability of train and holdout; Carlini et al. 2023, arXiv:2301.13188,
    for distances relative to the neighbourhood; Newcombe 1998, for the interval.

    Yields:
        ``value`` the excess copy rate, ``near`` the number of near copies.
    """
    if bench.train is None:
        yield Value(status="not_assessable", reason="no training rows were given, so copies cannot be looked for")
        return
    if bench.holdout is None:
        yield without_holdout(bench, bench.train)
        return
    known = _known(bench)
    found = bench.shared(("copies",), lambda: find_matches(bench, known))
    member = np.isin(known.rows[found.rows], bench.train.rows)
    yield exact_copies(bench, known, found, member)
    yield near_copies(bench, known, found, member)


def _known(bench: Workbench) -> Sample:
    """Train and holdout together, in one order whatever the deal."""
    return Sample("known", bench.real.rows, bench.corpus)


def find_matches(bench: Workbench, known: Sample) -> Matches:
    """Match every distinct real record with the release, exactly and nearly."""
    _, first, counts = np.unique(known.digests, return_index=True, return_counts=True)
    once = np.sort(first[counts == 1])
    matched = np.isin(known.digests[once], bench.release.digests)
    rest = known.take(once[~matched], "records not matched")
    others = bench.release.take(np.flatnonzero(~np.isin(bench.release.digests, known.digests)), "rows not copied")
    score, distance = np.full(len(once), np.inf), np.full(len(once), np.inf)
    nearest = np.zeros(len(once), dtype=np.intp)
    if len(rest) > LOCAL and len(others):
        to_release = bench.neighbours(rest, others, 1, gower=True)
        local = bench.neighbours(rest, rest, LOCAL, gower=True).distance.mean(1)
        d = to_release.distance[:, 0]
        score[~matched] = np.divide(d, local, out=np.full(len(d), np.inf), where=local > 0)
        distance[~matched] = d
        nearest[~matched] = others.rows[to_release.index[:, 0]]
    return Matches(once, matched, score, nearest, distance, int(len(known) - len(once)))


def exact_copies(bench: Workbench, known: Sample, found: Matches, member: NDArray[np.bool_]) -> Value:
    """The excess copy rate, and the alarm where chance does not explain it."""
    hits = [int((found.matched & side).sum()) for side in (member, ~member)]
    sizes = [int(member.sum()), int((~member).sum())]
    estimate = excess_rate(hits, sizes, len(bench.release), bench.level)
    if bench.is_null:
        return Value(estimate=estimate)
    p = exact_p(hits, sizes)
    alarm = ""
    if p < ALARM:
        alarm = (
            f"{hits[0]} distinct training records stand in the release against {hits[1]} of the holdout "
            f"(p = {p:.1g} by Fisher's test)"
        )
    least = smallest_detectable(sizes)
    told = f"{hits[0]} distinct training records stand in the release against {hits[1]} of the holdout, p = {p:.2g}"
    power = f"at this size {least} copies or more would be found" if least else "these sizes can show no copies"
    pairs = exact_pairs(bench, known, found.rows[found.matched & member])
    return Value(
        estimate=estimate,
        n={"train": len(bench.train or ()), "holdout": len(bench.holdout or ()), "release": len(bench.release)},
        alarm=alarm,
        reason=f"{told}; {power}" + (f"; {found.twins} real rows have twins and tell nothing" if found.twins else ""),
        evidence=_listed(bench, pairs, "Release rows that equal a training row"),
        panels=(pair_panel(bench, [*pairs[:12], *near_pairs(bench, known, found, member)[:12]]),),
    )


def excess_rate(hits: list[int], sizes: list[int], n: int, level: float) -> Estimate:
    """(share of train matched − share of holdout matched), in rows of the release."""
    e = newcombe(hits[0], max(sizes[0], 1), hits[1], max(sizes[1], 1), level)
    scale = sizes[0] / n
    return Estimate(value=e.value * scale, low=e.low * scale, high=e.high * scale, level=level, method=e.method)


def exact_p(hits: list[int], sizes: list[int]) -> float:
    """Fisher's test that train is matched more often than the holdout."""
    table = np.array([[hits[0], sizes[0] - hits[0]], [hits[1], sizes[1] - hits[1]]])
    return float(fisher_exact(table, alternative="greater").pvalue)


def smallest_detectable(sizes: list[int]) -> int | None:
    """The fewest copies that Fisher's test can see when the holdout has no match.

    >>> smallest_detectable([5000, 5000]), smallest_detectable([4000, 1000])
    (9, 28)
    """
    return next((k for k in range(1, sizes[0] + 1) if tail_p(k, *sizes) < ALARM), None)


def tail_p(count: int, members: int, others: int) -> float:
    """Chance that the ``count`` most extreme of all records are all members.

    >>> round(tail_p(5, 500, 500), 3)
    0.031
    """
    steps = np.arange(count)
    return float(np.exp(np.sum(np.log(np.maximum(members - steps, 1e-300)) - np.log(members + others - steps))))


def near_copies(bench: Workbench, known: Sample, found: Matches, member: NDArray[np.bool_]) -> Value:
    """Training records nearer to the release than every holdout record."""
    flagged = near_flags(found, member)
    count, sizes = int(flagged.sum()), (int((member & ~found.matched).sum()), int((~member & ~found.matched).sum()))
    estimate = Estimate(value=count, low=count, high=count, level=bench.level, method="count")
    if bench.is_null:
        return Value(field="near", estimate=estimate, unit="records")
    p = tail_p(count, *sizes)
    alarm = ""
    if p < NEAR_ALARM:
        alarm = (
            f"{count} training records stand nearer to release rows, on the scale of their own neighbourhood, "
            f"than any holdout record (p = {p:.1g})"
        )
    pairs = near_pairs(bench, known, found, member)
    return Value(
        field="near",
        estimate=estimate,
        unit="records",
        alarm=alarm,
        reason=f"p = {p:.2g} by the member-side tail test on rows that do not match exactly",
        evidence=_listed(bench, pairs, "Release rows nearest to training rows"),
    )


def near_flags(found: Matches, member: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Members whose score lies below every non-member's."""
    outside = found.score[~member & ~found.matched]
    flags: NDArray[np.bool_] = member & ~found.matched & (found.score < outside.min(initial=np.inf))
    return flags


def without_holdout(bench: Workbench, train: Sample) -> Value:
    """Exact copies beyond train's own twins are facts; anything finer needs a holdout."""
    digests, counts = np.unique(train.digests, return_counts=True)
    hits = int(np.isin(digests, np.unique(bench.release.digests)).sum())
    twins = int(counts[counts > 1].sum())
    expected = twins * len(bench.release) / max(len(train) - 1, 1)
    alarm = ""
    if hits and poisson.sf(hits - 1, max(expected, 1e-3)) < ALARM:
        alarm = (
            f"{hits} distinct training records stand in the release; the training rows' own twins explain "
            f"about {expected:.0f} (a holdout would tell copies from coincidences)"
        )
    pairs = exact_pairs(bench, train, np.arange(len(train)))
    return Value(
        status="not_assessable",
        reason="without holdout rows, copies cannot be told from likeness",
        alarm=alarm,
        evidence=_listed(bench, pairs, "Release rows that equal a training row"),
    )


def exact_pairs(bench: Workbench, known: Sample, at: NDArray[np.intp]) -> list[Pair]:
    """One pair per release row that equals one of the known records at these positions."""
    where = {bytes(digest): int(place) for place, digest in zip(at, known.digests[at], strict=True)}
    pairs = []
    for row, digest in zip(bench.release.rows, bench.release.digests, strict=True):
        place = where.get(bytes(digest))
        if place is not None:
            pairs.append(Pair(made=int(row), real=int(known.rows[place]), distance=0.0, exact=True))
    return pairs


def near_pairs(bench: Workbench, known: Sample, found: Matches, member: NDArray[np.bool_]) -> list[Pair]:
    """The training records nearest to the release, nearest first."""
    order = np.argsort(np.where(member & ~found.matched, found.score, np.inf), kind="stable")[:20]
    return [
        Pair(
            made=int(found.nearest[at]),
            real=int(known.rows[found.rows[at]]),
            distance=float(found.distance[at]),
            exact=False,
        )
        for at in order
        if math.isfinite(found.score[at])
    ]


def _listed(bench: Workbench, pairs: list[Pair], title: str) -> tuple[Evidence, ...]:
    if not pairs:
        return ()
    names = bench.corpus.names
    rows: tuple[tuple[Any, ...], ...] = tuple(
        (str(names[pair.made]), str(names[pair.real]), pair.distance) for pair in pairs[:LISTED]
    )
    note = f"The first {LISTED} of {len(pairs)}." if len(pairs) > LISTED else ""
    columns = ("release row", "training row", "distance")
    return (Evidence(title=f"{title}: {len(pairs)}", columns=columns, rows=rows, note=note),)
