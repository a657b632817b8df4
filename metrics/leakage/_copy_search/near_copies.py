"""Near copies: training records that come nearer to the release than any holdout record."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.leakage._copy_search.matching import Flags, Matches, rows_used, units_of
from counterproof.metrics.leakage._copy_search.relative_distance import LOCAL, Run, followers, number_of_near, run_of
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Rows
from counterproof.metrics.shared.closest_pairs import Pair, listed, pairs_by_record
from counterproof.metrics.statistics.exact_tests import ALARM, fewest
from counterproof.metrics.workbench import Workbench

SHOWN = 20
DIGEST_CODES: Work[Rows] = Work("rows by record")


@dataclass(frozen=True, eq=False, kw_only=True)
class NearCopies:
    """What was found, and the pairs behind it, nearest first."""

    value: Value
    pairs: list[Pair]


def near_copies(bench: Workbench, found: Matches, member: Flags) -> NearCopies:
    """Training records nearer to the release than every holdout record, in any of the spaces."""
    runs = near_runs(bench, found, member)
    if not runs or not all(runs[0].sizes):
        reason = "no record or no release row is left in which to look for near copies"
        return NearCopies(value=Value(field="near", status="not_assessable", reason=reason), pairs=[])
    e, share = number_of_near(runs, bench.level), 1 / len(bench.release)
    estimate = replace(e, value=e.value * share, low=e.low * share, high=e.high * share)
    if bench.is_null:
        return NearCopies(value=Value(field="near", estimate=estimate), pairs=[])
    least = fewest(runs[0].sizes, ALARM / len(runs))
    if least is None:
        return NearCopies(
            value=Value(field="near", status="not_assessable", reason=power(None, "near copies")), pairs=[]
        )
    run = min(runs, key=lambda one: one.p)
    pairs = near_pairs(bench, found, member, run)
    title = f"Training records by the release rows that come nearer to them than any to a holdout record ({run.space})"
    value = Value(
        field="near",
        estimate=estimate,
        n=rows_used(bench),
        alarm=near_alarm(runs, run),
        reason=told(bench, runs, least),
        evidence=(
            *listed(bench, pairs, "Release rows nearest to training rows"),
            *pairs_by_record(bench, followers(bench, run, pairs), title),
        ),
    )
    return NearCopies(value=value, pairs=pairs)


def near_runs(bench: Workbench, found: Matches, member: Flags) -> list[Run]:
    """The run of training records at the near end of each space."""
    kept = np.flatnonzero(~(found.matched | found.alike))
    if not len(kept):
        return []
    unit = units_of(bench, bench.real, found)[kept]
    release = bench.shared(
        DIGEST_CODES.about(bench.real, bench.release), lambda: np.unique(bench.corpus.digests, return_inverse=True)[1]
    )
    return [run_of(space.take(kept), member=member[kept], unit=unit, release=release) for space in found.spaces]


def near_p(runs: list[Run]) -> float:
    """The chance of the longest run in any space, by Bonferroni's inequality."""
    return min(1.0, len(runs) * min(run.p for run in runs))


def near_alarm(runs: list[Run], run: Run) -> str:
    """The sentence that fails a release, if chance does not explain the run."""
    p = near_p(runs)
    if p >= ALARM:
        return ""
    return (
        f"{run.count} training records stand nearer to release rows, on the scale of their own neighbourhood, "
        f"than any holdout record (p = {p:.1g} by {run.space})"
    )


def told(bench: Workbench, runs: list[Run], least: int) -> str:
    """How it was found, what it could have found, and what the release's side says."""
    counts = ", ".join(f"{one.count} by {one.space}" for one in runs)
    return (
        f"p = {near_p(runs):.2g} by the member-side tail test on rows that do not match exactly: records of train "
        f"nearer than any of the holdout: {counts}; {power(least, 'such records')}; {seen_from_the_release(bench)}"
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


def near_pairs(bench: Workbench, found: Matches, member: Flags, run: Run) -> list[Pair]:
    """The training records nearest to the release in the space that tells most, nearest first."""
    near = next(space for space in found.spaces if space.space == run.space)
    order = np.argsort(np.where(member, near.score, np.inf), kind="stable")[:SHOWN]
    return [
        Pair(
            made=int(near.nearest[at]),
            real=int(bench.real.rows[found.rows[at]]),
            distance=float(near.distance[at]),
            exact=False,
            local=float(near.local[at]),
        )
        for at in order
        if math.isfinite(near.score[at])
    ]
