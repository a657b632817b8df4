"""One reading held against one gate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from counterproof.judging.decidability import pass_probability, rows_to_decide, widened
from counterproof.judging.grammar import Gate
from counterproof.judging.tokens import GateError
from counterproof.metrics.estimate import Estimate
from counterproof.reports.judgement import Verdict, distance, holds, judge, rows_needed, worst
from counterproof.reports.model import CellReading, Reading
from counterproof.reports.record import Record
from counterproof.reports.sentences import (
    Openness,
    Places,
    Shown,
    Words,
    base_of,
    on_own_scale,
    quantity_of,
    sentence,
    subject,
)

RANK: Mapping[Verdict, int] = {"fail": 0, "error": 1, "inconclusive": 2, "pass": 3, "undecided": 4, "not_applicable": 5}
FARTHEST = 20  # times the rows there are, beyond which nobody should go and collect them
Place = tuple[str, str, frozenset[tuple[str, str | None]]]


def place(reading: Reading, name: str = "") -> Place:
    """Where a reading stands: metric, field and group."""
    return reading.metric, name or reading.field, frozenset(reading.group.items())


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is the same for every cell of a gate.

    Attributes:
        confidence: Of the one-sided bound that a PASS needs inside.
        fail_confidence: The same for a FAIL, adjusted for the number of gates and cells.
        without_holdout: Whether leakage that cannot be assessed is let pass by.
        places: Every reading of the record, by metric and group.
        baseline: An earlier record to compare with.
        widen: Whether the policy's tolerances widen to what real data of this size differ by.
        rows: Rows a side of the whole audit.
        adjusted_for: Comparisons that ``fail_confidence`` is adjusted for.
        words: What each field is about.
    """

    confidence: float
    fail_confidence: float
    widen: bool = True
    rows: int = 0
    without_holdout: Literal["refuse", "allow"] = "refuse"
    places: Places = field(default_factory=dict)
    baseline: Record | None = None
    adjusted_for: int = 1
    words: Words = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A judged reading, with the limits after floor and baseline were put in.

    ``probability`` is that of a faithful release to pass here, known from real rows alone; ``rows_to_decide``
    about how many rows would make it nine in ten. ``blind``: planted leaks were missed, so that nothing can pass.
    """

    reading: Reading
    verdict: Verdict
    why: str
    limit: float | None = None
    fail_limit: float | None = None
    bound: float | None = None
    margin: float | None = None
    n_needed: int | None = None
    probability: float | None = None
    rows_to_decide: int | None = None
    blind: bool = False

    @property
    def loss(self) -> float | None:
        """How many times its tolerance the value is off what a faithful release shows; None where that is not known."""
        if self.reading.value is None or self.limit is None or self.margin is None:
            return None
        faithful = _faithful(self.reading)
        tolerance = abs(self.limit - faithful)
        loss = abs(self.reading.value - faithful) / tolerance if tolerance > 0 else math.inf
        return loss if math.isfinite(loss) else None

    @property
    def order(self) -> tuple[int, bool, float]:
        """Worst first: failing, facts before estimates, then by what is left to the limit."""
        slack = float("-inf") if self.margin is None else self.margin
        return RANK[self.verdict], not self.reading.alarm, slack

    def entry(self) -> CellReading:
        """As the record lists it."""
        r = self.reading
        return CellReading(
            group=r.group,
            verdict=self.verdict,
            value=r.value,
            low=r.low,
            high=r.high,
            limit=self.limit,
            why=self.why,
        )


def _faithful(reading: Reading) -> float:
    """What a faithful release shows here: by the real rows where they tell it, else no excess, no change, no share."""
    if reading.expected is not None:
        return reading.expected.value
    return 0.0 if reading.floor is None or reading.field.endswith("excess") else reading.floor.value


def judge_cell(gate: Gate, reading: Reading, terms: Terms) -> Cell:
    """Judge one reading.

    Raises:
        GateError: The limit needs a floor or a baseline that is not there or cannot be compared.
    """
    base = base_of(reading, terms.places)
    alarm = reading.alarm or (base.alarm if base is not None else "")
    if alarm:
        stated = gate.limit.value if gate.limit.kind == "number" else None
        return Cell(reading=reading, verdict="fail", why=alarm, limit=stated)
    estimate = reading.estimate
    if estimate is None:
        return Cell(reading=reading, verdict=_state(reading, terms), why=_reason(reading, terms.words))
    stated = resolved_limit(gate, reading, terms.baseline)
    limit = _tolerated(gate, reading, stated, terms)
    fail_limit = limit if gate.fail is None else gate.fail
    if limit != stated and gate.fail is not None and holds(gate.fail, gate.operator, limit):
        fail_limit = limit
    if fail_limit != limit and not holds(limit, gate.operator, fail_limit):
        raise GateError(f"gate {gate.expression or gate}: the limit to fail is stricter than the limit to pass")
    return _judged(gate, reading, base, estimate, limit, fail_limit, terms)


def _judged(
    gate: Gate,
    reading: Reading,
    base: Reading | None,
    estimate: Estimate,
    limit: float,
    fail_limit: float,
    terms: Terms,
) -> Cell:
    better, operator = reading.better, gate.operator
    verdict = judge(
        estimate,
        operator,
        limit,
        fail_limit,
        better=better,
        confidence=terms.confidence,
        fail_confidence=terms.fail_confidence,
    )
    if verdict == "pass" and reading.too_few:
        verdict = "inconclusive"
    if verdict == "pass" and reading.missed_controls:
        why = f"{subject(terms.words, reading)} is blind on these data: it {reading.missed_controls}"
        return Cell(reading=reading, verdict="inconclusive", why=why, limit=limit, fail_limit=fail_limit, blind=True)
    bound = worst(estimate, operator, better=better, confidence=terms.confidence)
    margin = distance(estimate, operator, limit, better=better)
    needed = _rows(gate, reading, estimate, limit, fail_limit, terms) if verdict == "inconclusive" else None
    probability, rows = _decides(gate, reading, limit, terms)
    shown = Shown(
        quantity=quantity_of(terms.words, base or reading),
        unit=(base or reading).unit,
        operator=operator,
        better=better,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        floor=None if reading.floor is None else reading.floor.value,
        limit=limit,
        fail_limit=fail_limit,
        stated=gate.limit.value if gate.limit.kind == "number" else None,
        bound=bound,
        least=reading.least,
    )
    why = sentence(
        on_own_scale(shown, reading, base),
        reading.group,
        verdict,
        reason=reading.reason if shown.quantity.remarked else "",
        opened=Openness(
            n=reading.rows,
            n_needed=needed,
            too_small=reading.smallest_n if reading.too_few else 0,
            adjusted_for=terms.adjusted_for,
        ),
    )
    return Cell(
        reading=reading,
        verdict=verdict,
        why=why,
        limit=limit,
        fail_limit=fail_limit,
        bound=bound,
        margin=margin,
        n_needed=needed,
        probability=probability,
        rows_to_decide=rows,
    )


def _tolerated(gate: Gate, reading: Reading, stated: float, terms: Terms) -> float:
    """The limit, widened where it is the policy's and real data of this size differ by more."""
    if not terms.widen or gate.source != "policy" or gate.limit.kind != "number" or reading.expected is None:
        return stated
    return widened(
        stated,
        reading.expected,
        operator=gate.operator,
        better=reading.better,
        confidence=terms.confidence,
        widest=gate.widest,
    )


def _decides(gate: Gate, reading: Reading, limit: float, terms: Terms) -> tuple[float | None, int | None]:
    """With which probability a faithful release passes, and the rows that would make it nine in ten."""
    if reading.expected is None:
        return None, None
    probability = pass_probability(
        reading.expected, operator=gate.operator, limit=limit, better=reading.better, confidence=terms.confidence
    )
    rows = rows_to_decide(
        reading.expected,
        operator=gate.operator,
        limit=limit,
        better=reading.better,
        confidence=terms.confidence,
        rows=max(terms.rows, reading.rows),
    )
    return probability, rows


def _rows(
    gate: Gate, reading: Reading, estimate: Estimate, limit: float, fail_limit: float, terms: Terms
) -> int | None:
    """Rows that would decide an open cell; None where no number of them would."""
    inside = distance(estimate, gate.operator, limit, better=reading.better) > 0
    outside = distance(estimate, gate.operator, fail_limit, better=reading.better) < 0
    if not inside and not outside:
        return None
    line, confidence = (limit, terms.confidence) if inside else (fail_limit, terms.fail_confidence)
    needed = rows_needed(estimate, line, reading.rows, confidence, reading.better)
    if needed is not None and needed > FARTHEST * reading.rows:
        return None  # the value stands at its limit: more rows would not move it away
    return max(reading.smallest_n if reading.too_few else 0, needed or 0) or None


def resolved_limit(gate: Gate, reading: Reading, baseline: Record | None) -> float:
    """The limit as a number, for this reading.

    Raises:
        GateError: There is no such floor or baseline, or it cannot be compared.
    """
    limit, gated = gate.limit, gate.expression or str(gate)
    if limit.kind == "number":
        return limit.value
    if limit.kind == "baseline":
        return _baseline(gated, reading, baseline) + limit.value
    if reading.floor is None:
        raise GateError(f"gate {gated}: {reading.metric}.{reading.field} has no floor; write a number instead")
    if limit.kind == "floor":
        return reading.floor.value + limit.value
    if abs(reading.floor.value) <= reading.floor.spread:
        told = f"the floor of {reading.metric}.{reading.field} lies about 0, so a multiple of it is a toss of a coin"
        raise GateError(f"gate {gated}: {told}; gate {reading.metric}.excess instead")
    return limit.value * reading.floor.value


def _baseline(gated: str, reading: Reading, baseline: Record | None) -> float:
    if baseline is None:
        raise GateError(f"gate {gated}: no baseline record was given to compare with")
    old = next((r for r in baseline.measurements if place(r) == place(reading)), None)
    if old is None or old.value is None:
        where = f"[{reading.where}]" if reading.where else ""
        raise GateError(f"gate {gated}: the baseline record has no value of {reading.metric}.{reading.field}{where}")
    if unlike := reading.unlike(old):
        raise GateError(f"gate {gated}: the baseline has {unlike}; audit it again")
    return old.value


def _state(reading: Reading, terms: Terms) -> Verdict:
    if reading.status == "not_applicable":
        return "not_applicable"
    if reading.status == "not_assessable":
        excused = reading.family == "leakage" and terms.without_holdout == "allow"
        return "not_applicable" if excused else "inconclusive"
    return "error"


def _reason(reading: Reading, words: Words) -> str:
    told = {
        "not_applicable": "does not apply here",
        "not_assessable": "cannot be assessed on these data",
    }.get(reading.status, "could not be measured")
    return f"{subject(words, reading)} {told}: {reading.reason or 'the metric gives no reason'}"
