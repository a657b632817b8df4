"""Controls: leaks are planted in a copy of the release, and every metric that claims to find them must.

A metric that misses what it claims to find is *blind* on these data. Its numbers stay, but nothing
passes by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from counterproof.measuring.planted_leaks import planted
from counterproof.metrics.estimate import Control, Estimate
from counterproof.metrics.metric import Metric, Plant, Value
from counterproof.metrics.statistics.exact_tests import ALARM, fewest
from counterproof.metrics.workbench import Workbench

AGAIN = 4  # times as many are planted once more, to tell a dull metric from a blind one
LADDER = (0.005, 0.01, 0.02, 0.05, 0.1)  # noise of near copies, in standard deviations
SPACES = 2  # searches that a metric may have to pay for
MARGIN = 1e-12
NAMES: Mapping[Plant, str] = {
    "copies": "copies",
    "near_copies": "near copies",
    "rare_values": "rare values",
    "filtered": "gaps (release rows nearest to training rows taken out)",
}


def try_controls(
    metric: Metric, bench: Workbench, params: Mapping[str, Any], values: Sequence[Value]
) -> dict[str, tuple[Control, ...]]:
    """Plant what the metric claims to find, and see whether it does.

    Found means: an alarm that the release itself does not set off, or an estimate beyond the
    release's interval on the bad side.

    Args:
        metric: What is tried.
        bench: The measurement.
        params: The metric's parameters.
        values: What it said of the release itself.

    Returns:
        The controls of every field that has some.
    """
    made: dict[str, list[Control]] = {}
    for kind, field in metric.controls.items():
        before = _of_field(values, field)
        if before is not None and before.status == "measured":
            made.setdefault(field, []).append(_tried(metric, bench, params, kind, before))
    return {field: tuple(controls) for field, controls in made.items()}


def _of_field(values: Sequence[Value], field: str) -> Value | None:
    return next((value for value in values if value.field == field and not value.group), None)


def _tried(metric: Metric, bench: Workbench, params: Mapping[str, Any], kind: Plant, before: Value) -> Control:
    named = NAMES[kind]
    if before.alarm:
        return Control(
            kind=kind, planted=0, found=None, told=f"no {named} planted: the release itself sets off the alarm"
        )
    least = before.claims.get(kind) or least_number(bench)
    if least is None:
        return Control(kind=kind, planted=0, found=None, told=f"no {named} planted: these sizes can show none")
    missed: list[int] = []
    for k in (least, AGAIN * least):
        view = planted(bench, kind, k)
        if view is None:
            break
        try:
            found = _seen(metric, view, params, before)
        except Exception as error:
            told = f"broke down on {k} planted {named} ({type(error).__name__})"
            return Control(kind=kind, planted=k, found=False, told=told)
        if found:
            told = f"{_missed(missed)}detected {k} planted {named}"
            if kind == "near_copies":
                told += farthest_found(metric, bench, params, before, AGAIN * least)
            return Control(kind=kind, planted=k, found=True, told=told)
        missed.append(k)
    if not missed:
        told = f"no {named} planted: the data do not hold {least} that could be"
        return Control(kind=kind, planted=0, found=None, told=told)
    return Control(
        kind=kind,
        planted=missed[-1],
        found=False,
        told=f"missed {' and '.join(map(str, missed))} planted {named}",
    )


def _seen(metric: Metric, view: Workbench, params: Mapping[str, Any], before: Value) -> bool:
    """Whether the metric says more of a planted view than of the release itself."""
    after = _of_field(list(metric.values(view, params)), before.field)
    return after is not None and shows(metric, before, after)


def farthest_found(metric: Metric, bench: Workbench, params: Mapping[str, Any], before: Value, k: int) -> str:
    """Down to which likeness near copies of rows drawn at random would be found, in words.

    The farther a copy lies from its source, the harder it is to tell: the ladder of noise is searched by halving.
    """
    if bench.corpus.pixels is not None:  # near copies of pictures are shifted pictures: they have no noise
        return ""
    told = ""
    for many in (k, AGAIN * k):
        at = _last_rung(metric, bench, params, before, many)
        if at is None:
            break
        share = many / (len(bench.release) + many)
        of = f"; near copies of {many} rows drawn at random ({share:.1%} of the release) with noise of"
        if at >= 0:
            beyond = f", missed with {LADDER[at + 1]:.1%}" if at + 1 < len(LADDER) else ""
            return f"{of} {LADDER[at]:.1%} of a standard deviation detected{beyond}"
        told = f"{of} {LADDER[0]:.1%} of a standard deviation missed"
    return told


def _last_rung(metric: Metric, bench: Workbench, params: Mapping[str, Any], before: Value, k: int) -> int | None:
    """The last place of the ladder at which ``k`` plants are found, -1 where none is; None where none can be had."""
    found, low, high = -1, 0, len(LADDER) - 1
    while low <= high:
        at = (low + high) // 2
        view = planted(bench, "near_copies", k, noise=LADDER[at])
        if view is None:
            return None
        if _seen(metric, view, params, before):
            found, low = at, at + 1
        else:
            high = at - 1
    return found


def _missed(missed: Sequence[int]) -> str:
    return "".join(f"missed {k}, " for k in missed)


def least_number(bench: Workbench) -> int | None:
    """The fewest records, all of them members, that any search of records could tell from chance.

    Counted over records that stand once in the real data, or over their sources.
    """
    if bench.train is None or bench.holdout is None:
        return None
    digests, counts = np.unique(bench.real.digests, return_counts=True)
    single = digests[counts == 1]
    sides = [
        side.take(np.flatnonzero(np.isin(side.digests, single)), "single") for side in (bench.train, bench.holdout)
    ]
    sizes = [side.sources for side in sides]
    return fewest(sizes, ALARM / SPACES) if all(sizes) else None


def shows(metric: Metric, before: Value, after: Value) -> bool:
    """Whether a metric says more of the planted release than of the release itself."""
    if after.alarm and not before.alarm:
        return True
    old, new = before.estimate, after.estimate
    if old is None or new is None:
        return False
    better = after.better or metric.better
    return _beyond(old, new, better)


def _beyond(old: Estimate, new: Estimate, better: str) -> bool:
    worse = new.value > old.high + MARGIN, new.value < old.low - MARGIN
    if better == "zero":
        return any(worse)
    return worse[better == "higher"]
