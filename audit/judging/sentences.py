"""Why a reading passes or fails, in one plain sentence."""

from __future__ import annotations

from counterproof.judging.grammar import Gate
from counterproof.metrics.estimate import Estimate
from counterproof.reports.judgement import Verdict, holds, number, too_small
from counterproof.reports.model import Reading
from counterproof.reports.text import interval as in_words

TOLERATED = {
    "<=": "at most {} is tolerated",
    "<": "less than {} is tolerated",
    ">=": "at least {} is required",
    ">": "more than {} is required",
}


def sentence(
    gate: Gate,
    reading: Reading,
    base: Reading | None,
    *,
    verdict: Verdict,
    limit: float,
    fail_limit: float,
    bound: float,
    n_needed: int | None,
) -> str:
    """What was measured, what is tolerated and, where that leaves it open, what would decide.

    Args:
        gate: The gate.
        reading: What it looks at.
        base: For an excess over the floor, the reading that it is the excess of.
        verdict: How it was judged.
        limit: The limit to pass.
        fail_limit: The limit to fail.
        bound: What a PASS was decided by.
        n_needed: Rows that would decide it; None where more rows would not.
    """
    told = f"{_measured(reading, base)}; {_tolerated(gate, reading, limit, fail_limit)}"
    if reading.reason and not reading.group:
        told = f"{told}; {reading.reason}"
    if verdict != "inconclusive":
        return told
    if reading.too_few:
        return f"{told}, but {too_small(reading.rows, reading.smallest_n)}"
    if reading.estimate is not None and holds(reading.estimate.value, gate.operator, limit):
        told = f"{told}, but these data leave {number(bound)} possible"
    else:
        told = f"{told}, and within its error it still may be met"
    if n_needed:
        return f"{told} (n = {reading.rows}, about {n_needed} needed)"
    return f"{told}; more rows would not change this" if reading.rows else told


def subject(reading: Reading, *, group: bool = True) -> str:
    """What the numbers are about: title, field where it is not the headline, group."""
    name = reading.title or reading.metric.rpartition(".")[2].replace("_", " ")
    if not reading.headline and reading.field not in ("excess", "change"):
        name = f"{name}, {reading.field.replace('_', ' ')}"
    return f"{name} ({reading.where})" if reading.group and group else name


def interval(e: Estimate, least: float | None = None) -> str:
    """A value with its interval; see :func:`counterproof.reports.text.interval`.

    >>> interval(Estimate(value=0.5, low=0.25, high=0.75))
    '0.5 [0.25, 0.75]'
    """
    return in_words(e.value, e.low, e.high, least)


def _measured(reading: Reading, base: Reading | None) -> str:
    e = reading.estimate
    if e is None:
        return f"{subject(reading)} has no value"
    if base is not None and base.estimate is not None:
        return f"{subject(base)} {interval(base.estimate, base.least)} {_beyond(reading, base, e.value)}"
    if reading.better == "zero" or reading.field == "change":
        return f"{subject(reading)} changes by {interval(e)}"
    return f"{subject(reading)} is {interval(e, reading.least)}"


def _beyond(reading: Reading, base: Reading, excess: float) -> str:
    """How an excess over the floor reads."""
    if base.anchor is not None:
        far = f"is {number(excess)} times as far off as real columns shuffled independently"
        return far if excess > 0 else "is no further off than real data are"
    if excess <= 0:
        return "is no worse than what real data reach"
    return f"is {number(excess)} {'below' if base.better == 'higher' else 'above'} what real data reach"


def _tolerated(gate: Gate, reading: Reading, limit: float, fail_limit: float) -> str:
    shown = number(limit) if gate.limit.kind == "number" else f"{number(limit)} ({gate.limit})"
    if gate.limit.kind == "number" and limit != gate.limit.value:
        shown = f"{number(limit)} (by policy {number(gate.limit.value)}; real data of this size differ by as much)"
    told = TOLERATED[gate.operator].format(shown)
    if reading.better == "zero" and gate.operator in ("<=", "<"):
        told = told.replace(" is tolerated", " either way is tolerated")
    return told if fail_limit == limit else f"{told} and {number(fail_limit)} fails"
