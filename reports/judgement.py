"""Judging one interval against limits: pass, fail or inconclusive, by different bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from counterproof.metrics.estimate import Better, Estimate

Verdict = Literal["pass", "fail", "inconclusive", "undecided", "error", "not_applicable"]
"""``undecided``: too few rows for this gate to decide, known from the real rows alone; it blocks no PASS."""
Operator = Literal["<=", "<", ">=", ">"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with its sentence.

    Its truth is True for PASS and False for FAIL; anything else raises, so that ``not (...)``
    cannot turn it into a pass.
    """

    verdict: Verdict
    sentence: str
    margin: float = 0.0
    n_needed: int | None = None

    def __bool__(self) -> bool:
        if self.verdict in ("pass", "fail"):
            return self.verdict == "pass"
        raise AssertionError(self.sentence)

    def __repr__(self) -> str:
        return self.sentence

    __str__ = __repr__


def compare(
    estimate: Estimate,
    operator: Operator,
    limit: float,
    *,
    better: Better,
    confidence: float,
    n: int,
    smallest_n: int = 0,
) -> Judgement:
    """One comparison by its one-sided bounds, both limits the same and nothing to adjust for.

    With fewer than ``smallest_n`` rows a side nothing passes, as in a gate.
    """
    verdict = judge(estimate, operator, limit, limit, better=better, confidence=confidence, fail_confidence=confidence)
    few = 0 < n < smallest_n and verdict != "fail"
    if few and verdict == "pass":
        verdict = "inconclusive"
    needed = rows_needed(estimate, limit, n, confidence, better) if verdict == "inconclusive" else None
    if few:
        needed = max(needed or 0, smallest_n)
        more = f", {too_small(n, smallest_n)}"
    else:
        more = f" (n={n}{f', about {needed} needed' if needed else ''})" if n else ""
    sentence = (
        f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}] "
        f"{operator} {number(limit)}: {verdict.upper()}{more}"
    )
    margin = distance(estimate, operator, limit, better=better)
    return Judgement(verdict=verdict, sentence=sentence, margin=margin, n_needed=needed)


def too_small(n: int, smallest_n: int) -> str:
    """That there are too few rows to pass."""
    return f"a pass needs at least {smallest_n} rows a side, and there are {n}"


def judge(
    estimate: Estimate,
    operator: Operator,
    limit: float,
    fail_limit: float,
    *,
    better: Better,
    confidence: float,
    fail_confidence: float,
) -> Verdict:
    """PASS when the one-sided bound lies inside ``limit``, FAIL when the other lies outside ``fail_limit``.

    Signed changes (``better="zero"``) with an upper limit are judged on both sides. PASS uses the
    plain confidence; FAIL the one adjusted for the number of gates and cells.
    """
    inside = worst(estimate, operator, better=better, confidence=confidence)
    outside = best(estimate, operator, better=better, confidence=fail_confidence)
    return _decide(holds(inside, operator, limit), not holds(outside, operator, fail_limit))


def worst(estimate: Estimate, operator: Operator, *, better: Better, confidence: float) -> float:
    """The bound that a PASS needs inside its limit: the worst value that the data allow."""
    low, high = estimate.bound("low", confidence), estimate.bound("high", confidence)
    if operator in (">=", ">"):
        return low
    return max(high, -low) if better == "zero" else high


def best(estimate: Estimate, operator: Operator, *, better: Better, confidence: float) -> float:
    """The bound that a FAIL needs outside its limit: the best value that the data allow."""
    low, high = estimate.bound("low", confidence), estimate.bound("high", confidence)
    if operator in (">=", ">"):
        return high
    return max(low, -high) if better == "zero" else low


def _decide(passes: bool, fails: bool) -> Verdict:
    if fails:
        return "fail"
    return "pass" if passes else "inconclusive"


def holds(value: float, operator: Operator, limit: float) -> bool:
    """Whether a number satisfies a comparison.

    >>> holds(0.2, "<=", 0.2), holds(0.2, "<", 0.2)
    (True, False)
    """
    if operator == "<=":
        return value <= limit
    if operator == "<":
        return value < limit
    return value >= limit if operator == ">=" else value > limit


def distance(estimate: Estimate, operator: Operator, limit: float, *, better: Better = "lower") -> float:
    """How far the value lies inside the limit (negative: outside)."""
    if operator in (">=", ">"):
        return estimate.value - limit
    return limit - (abs(estimate.value) if better == "zero" else estimate.value)


def rows_needed(estimate: Estimate, limit: float, n: int, confidence: float, better: Better) -> int | None:
    """About how many rows would bring the bound to the limit, widths shrinking as 1/sqrt(n).

    None where more rows of this kind would not decide it (the value equals the limit).
    """
    mirrored = better == "zero" and estimate.value < 0
    value = abs(estimate.value) if mirrored else estimate.value
    gap = abs(limit - value)
    side: Literal["low", "high"] = "high" if (value < limit) != mirrored else "low"
    reach = abs(estimate.bound(side, confidence) - estimate.value)
    if not n or gap <= 0 or reach <= 0:
        return None
    ratio = reach / gap
    needed = n * ratio * ratio  # a power would raise OverflowError where a product is infinite
    if not math.isfinite(needed) or needed > 1e9:
        return None
    digits = max(0, len(str(int(needed))) - 2)
    return max(n + 1, int(math.ceil(needed / 10**digits) * 10**digits))


def number(value: float | None) -> str:
    """A number as readers see it, everywhere the same.

    >>> number(0.018734), number(1234.5), number(-0.0), number(None)
    ('0.0187', '1230', '0', '–')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e+" in text and abs(value) < 1e9 else text
