"""How far apart the groups stand under one model: differences and ratios, Fairlearn's way.

Names and conventions are Fairlearn's (https://fairlearn.org, ``MetricFrame.difference`` and
``.ratio``): between the highest and the lowest group, or from each group to all rows. All
intervals are simultaneous over what is compared; they hold the trial rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.fairness._group_rates.rates import Cells, Rates, Side, Table
from counterproof.metrics.sample import Floats
from counterproof.metrics.statistics.proportions import difference_ends
from counterproof.metrics.statistics.ratios import mover_ratio

Method = Literal["between_groups", "to_overall"]
Aggregate = Literal["worst_case", "mean"]
Ends = tuple[float, float, float]
"""Value, low, high."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How groups are compared.

    Attributes:
        method: Between groups, or each with all rows.
        aggregate: Of several rates: the worst of their gaps, or their mean.
    """

    method: Method = "between_groups"
    aggregate: Aggregate = "worst_case"


def gap_difference(
    tables: Sequence[Table], side: Side, level: float, how: Comparison, *, shared_by: int = 1
) -> Estimate | None:
    """The largest difference between groups, or of a group from all rows; of several rates at once.

    Fairlearn's ``demographic_parity_difference`` and ``equal_opportunity_difference`` for one
    rate, ``equalized_odds_difference`` for two. The interval is Newcombe's of every difference at
    the Šidák level of all of them.

    Args:
        tables: One per rate, of the same stratum.
        side: Which model.
        level: Confidence of the two-sided interval.
        how: How groups are compared.
        shared_by: How many such gaps are looked at, where these are a part of them.

    Returns:
        None with fewer than two groups to compare.
    """
    return _gap(tables, side, level, how, shared_by, _widest, _farthest)


def gap_ratio(
    tables: Sequence[Table], side: Side, level: float, how: Comparison, *, shared_by: int = 1
) -> Estimate | None:
    """The smallest ratio between groups, or of a group and all rows, put so that it is 1 at most.

    Fairlearn's ``demographic_parity_ratio``, ``equal_opportunity_ratio`` and
    ``equalized_odds_ratio``. The interval is MOVER-R of every ratio (Newcombe 2016,
    doi:10.1177/0962280213502144) of Wilson's ends, at the Šidák level of all of them.

    Args:
        tables: One per rate, of the same stratum; shares only.
        side: Which model.
        level: Confidence of the two-sided interval.
        how: How groups are compared.
        shared_by: How many such gaps are looked at, where these are a part of them.

    Returns:
        None with fewer than two groups to compare, and where the rate is 0 in every group: 0/0.
    """
    found = _gap(tables, side, level, how, shared_by, _least_ratio, _least_ratio_to_overall)
    if found is None:
        return None
    method = found.method.replace("Newcombe", "MOVER-R")
    return Estimate(value=found.value, low=found.low, high=found.high, level=found.level, method=method, scale="log")


Between = Callable[[Rates, float], Ends | None]
ToOverall = Callable[[Rates, Rates, Floats, float], Ends | None]


def _gap(
    tables: Sequence[Table],
    side: Side,
    level: float,
    how: Comparison,
    shared_by: int,
    between: Between,
    to_overall: ToOverall,
) -> Estimate | None:
    kept = [np.flatnonzero((table.rates(side).rows > 0) & ~table.stratum.hidden) for table in tables]
    if any(len(groups) < 2 for groups in kept):
        return None
    pairwise = how.method == "between_groups"
    comparisons = sum(len(groups) * (len(groups) - 1) // 2 if pairwise else len(groups) for groups in kept)
    sure = level ** (1 / (comparisons * shared_by))
    found = [
        between(table.rates(side).take(groups), sure)
        if pairwise
        else to_overall(
            table.rates(side).take(groups), table.rest(side).take(groups), table.other_share(side)[groups], sure
        )
        for table, groups in zip(tables, kept, strict=True)
    ]
    defined = [ends for ends in found if ends is not None]
    if not defined:
        return None
    value, low, high = (_put_together(part, how, between is _least_ratio) for part in zip(*defined, strict=True))
    what = "pairs" if pairwise else "groups"
    return Estimate(
        value=value, low=low, high=high, level=level, method=f"Newcombe, Šidák over {comparisons * shared_by} {what}"
    )


def _put_together(parts: Sequence[float], how: Comparison, least: bool) -> float:
    if how.aggregate == "mean":
        return float(np.mean(parts))
    return float(min(parts) if least else max(parts))


# -- differences --------------------------------------------------------------------------------


def _widest(rates: Rates, level: float) -> Ends:
    value, (low, high) = rates.values, rates.ends(level)
    gaps = value[:, None] - value[None, :]
    down, up = difference_ends(value[:, None], low[:, None], high[:, None], value[None], low[None], high[None])
    np.fill_diagonal(down, -1.0)
    np.fill_diagonal(up, -1.0)
    return float(gaps.max()), float(max(0.0, down.max())), float(min(1.0, up.max()))


def _farthest(rates: Rates, rest: Rates, share: Floats, level: float) -> Ends:
    gaps, down, up = _apart(rates, rest, share, level)
    least = np.maximum(np.maximum(down, -up), 0.0)
    return float(np.abs(gaps).max()), float(least.max()), float(min(1.0, np.maximum(up, -down).max()))


def _apart(first: Rates, second: Rates, scale: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Newcombe's interval of each difference, times a factor."""
    (low, high), (other_low, other_high) = first.ends(level), second.ends(level)
    gaps = first.values - second.values
    down, up = difference_ends(first.values, low, high, second.values, other_low, other_high)
    return scale * gaps, scale * down, scale * up


def level_at(table: Table, cells: Cells, i: int, side: Side, level: float) -> Estimate:
    """The rate of a group, or one signed difference, of one model; trial rows alone."""
    rates, first = table.rates(side), cells.first[i : i + 1]
    if cells.kind == "group":
        low, high = rates.ends(level)
        ends = rates.values[first], low[first], high[first]
    else:
        other = rates.take(cells.second[i : i + 1]) if cells.kind == "pair" else table.rest(side).take(first)
        scale = np.ones(1) if cells.kind == "pair" else table.other_share(side)[first]
        ends = _apart(rates.take(first), other, scale, level)
    value, low_end, high_end = (float(end[0]) for end in ends)
    method = "Wilson score" if cells.kind == "group" else "Newcombe"
    return Estimate(value=value, low=low_end, high=high_end, level=level, method=method)


def least_rate(table: Table, side: Side, level: float) -> Estimate | None:
    """The lowest rate of any group, simultaneous over the groups; None without rows."""
    rates = table.rates(side)
    groups = np.flatnonzero((rates.rows > 0) & ~table.stratum.hidden)
    if not len(groups):
        return None
    low, high = rates.take(groups).ends(level ** (1 / len(groups)))
    return Estimate(
        value=float(rates.values[groups].min()),
        low=float(low.min()),
        high=float(high.min()),
        level=level,
        method=f"Wilson, Šidák over {len(groups)} groups",
    )


# -- ratios -------------------------------------------------------------------------------------


def _least_ratio(rates: Rates, level: float) -> Ends | None:
    value, (low, high) = rates.values, rates.ends(level)
    if value.max() == 0:
        return None
    down, up = mover_ratio(value[:, None], low[:, None], high[:, None], value[None], low[None], high[None])
    np.fill_diagonal(down, 1.0)
    np.fill_diagonal(up, 1.0)
    return float(value.min() / value.max()), float(down.min()), float(up.min())


def _least_ratio_to_overall(rates: Rates, rest: Rates, share: Floats, level: float) -> Ends | None:
    overall = (1 - share) * rates.values + share * rest.values
    if overall.max() == 0:
        return None
    ends = mover_ratio(rates.values, *rates.ends(level), rest.values, *rest.ends(level))
    down, up = (_to_overall(end, share) for end in ends)
    value = rates.values / overall
    with np.errstate(divide="ignore"):
        low = np.minimum(down, 1 / up)
        high = np.where((down <= 1) & (up >= 1), 1.0, np.where(up < 1, up, 1 / down))
        folded = np.where(value > 1, 1 / value, value)
    return float(folded.min()), float(low.min()), float(high.min())


def _to_overall(ratio: Floats, share: Floats) -> Floats:
    """Ratio of a group to all rows, from that to the rest, which has this share of them."""
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(np.isinf(ratio), 1 / (1 - share), ratio / ((1 - share) * ratio + share))
    return found
