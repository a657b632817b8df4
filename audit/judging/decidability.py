"""Whether a gate can decide at this size: how likely would a faithful release pass it?

That follows from the real rows alone. What a faithful release would show (its mean, how far it
scatters, how wide its interval is) comes with each reading as ``expected``; a gate passes where the
one-sided bound lies inside the limit, so that with a standard normal ``Z``

    P(pass) = P(value + spread Z + z(confidence) error <= limit).

Tolerances of the policy are stated as the loss that a user would care about. On small or hardly
learnable tasks real rows against real rows differ by more; there a tolerance is widened to what they
reach, to twice its size at most. What a faithful release would still miss in one audit of ten is
undecided: it may fail, and blocks no PASS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from counterproof.metrics.estimate import Better, normal_quantile
from counterproof.metrics.statistics.decidability import DECIDABLE, WIDEST, largest_decidable_set
from counterproof.reports.judgement import Operator
from counterproof.reports.model import ExpectedReading

NEARLY_SURE = 0.9998  # what a widened tolerance aims at: gates of many cells pass where all of them do
_NORMAL = NormalDist()


def pass_probability(
    expected: ExpectedReading, *, operator: Operator, limit: float, better: Better, confidence: float
) -> float:
    """The probability that a faithful release passes, by the normal law.

    >>> sure = ExpectedReading(value=0.0, spread=0.01, error=0.01)
    >>> round(pass_probability(sure, operator="<=", limit=0.03, better="lower", confidence=0.95), 3)
    0.912
    """
    reach = normal_quantile(confidence) * expected.error
    if operator in (">=", ">"):
        return _below(reach + limit, expected, upwards=True)
    inside = _below(limit - reach, expected)
    return max(0.0, inside - _below(reach - limit, expected)) if better == "zero" else inside


def _below(line: float, expected: ExpectedReading, *, upwards: bool = False) -> float:
    """P(estimate <= line), or P(estimate >= line)."""
    room = expected.value - line if upwards else line - expected.value
    if expected.spread <= 0:
        return float(room >= 0)
    return _NORMAL.cdf(room / expected.spread)


def widened(
    limit: float,
    expected: ExpectedReading,
    *,
    operator: Operator,
    better: Better,
    confidence: float,
    widest: float | None = None,
) -> float:
    """The limit, moved out to what a faithful release nearly surely meets; by default to twice the tolerance at most.

    It does not depend on what other cells a gate looks at: gates that read the same cell judge it alike.

    Args:
        limit: As stated.
        expected: What a faithful release would show.
        operator: Of the gate.
        better: Of the reading; ``zero`` is judged on both sides.
        confidence: Of the bound that a PASS needs inside.
        widest: How far it may be moved.
    """
    tails = 2 if better == "zero" else 1
    reach = normal_quantile(confidence) * expected.error
    reach += _NORMAL.inv_cdf(1 - (1 - NEARLY_SURE) / tails) * expected.spread
    sign = -1 if operator in (">=", ">") else 1
    tolerance = sign * (limit - expected.value)
    if tolerance <= 0:
        return limit
    most = WIDEST * tolerance if widest is None else sign * (widest - expected.value)
    room = min(reach, most)
    return expected.value + sign * room if room > tolerance * (1 + 1e-9) else limit


def decidable_together(probabilities: Sequence[float]) -> list[bool]:
    """The cells that decide: as many as a faithful release passes all at once, the most reliable first.

    >>> decidable_together([0.999, 0.5, 0.98])
    [True, False, True]
    """
    if len(probabilities) == 1:  # a gate on the data set as a whole, or one cell: it decides by itself
        return [probabilities[0] >= DECIDABLE]
    kept: list[bool] = largest_decidable_set([1 - p for p in probabilities]).tolist()
    return kept


def rows_to_decide(
    expected: ExpectedReading, *, operator: Operator, limit: float, better: Better, confidence: float, rows: int
) -> int | None:
    """About how many rows a side would let a faithful release pass with probability 0.9; None where none would."""
    z = normal_quantile(confidence) * expected.error
    z += normal_quantile(1 - (1 - DECIDABLE) / (2 if better == "zero" else 1)) * expected.spread
    room = expected.value - limit if operator in (">=", ">") else limit - expected.value
    if room <= 0 or not rows or not math.isfinite(z / room):
        return None
    needed = rows * max(1.0, z / room) ** 2
    digits = max(0, len(str(int(needed))) - 2)
    return int(math.ceil(needed / 10**digits) * 10**digits)
