"""Gates judged on the readings of a record, and on nothing else.

A gate passes when every cell that can be decided passes, each at the plain confidence: an
intersection of tests needs no correction. It fails when one cell fails at the confidence adjusted
for the number of gates and cells: a union of tests does. Gates that must hold together are one more
intersection, see :mod:`counterproof.judging.joint_gates`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, Literal

from counterproof.judging.cells import Cell, Terms, judge_cell, place
from counterproof.judging.decidability import decidable_together
from counterproof.judging.grammar import Gate, split_name
from counterproof.judging.joint_gates import AllOf, Requirement, joined, leaves
from counterproof.judging.tokens import GateError
from counterproof.metrics.metric import FAMILIES, installed
from counterproof.refusal import nearest_names
from counterproof.reports.judgement import Verdict
from counterproof.reports.model import GateReading, GroupKey, QuantityReading, Reading
from counterproof.reports.record import Record
from counterproof.reports.sentences import Places, Words, base_of, filled, places_of, quantity_of
from counterproof.reports.text import counted


def judge_gates(
    gates: Sequence[Requirement],
    measurements: Sequence[Reading],
    *,
    confidence: float = 0.95,
    undecided: Literal["allow", "block"] = "allow",
    without_holdout: Literal["refuse", "allow"] = "refuse",
    baseline: Record | None = None,
    words: Words | None = None,
) -> list[GateReading]:
    """Judge every gate.

    Args:
        gates: What is required.
        measurements: What was measured.
        confidence: Of the one-sided bound that decides.
        undecided: Whether gates and cells that cannot be decided at this size block a PASS.
        without_holdout: ``allow`` lets leakage that cannot be assessed pass by; only ever give it
            for an audit that has no holdout.
        baseline: An earlier record, for limits relative to it.
        words: What each field is about, for the sentences.

    Raises:
        GateError: A gate of the configuration names what does not exist, or its limit cannot be
            made. (A gate of the policy becomes an error of its own, never an exception.)
    """
    by_metric: dict[str, list[Reading]] = {}
    by_field: dict[tuple[str, str], list[Reading]] = {}
    for reading in measurements:
        by_metric.setdefault(reading.metric, []).append(reading)
        by_field.setdefault((reading.metric, reading.field), []).append(reading)
        if reading.headline:
            by_field.setdefault((reading.metric, ""), []).append(reading)
    judge = GateJudge(
        measurements=measurements,
        by_metric=by_metric,
        by_field=by_field,
        rows=max((reading.rows for reading in measurements), default=0),
        places=places_of(measurements),
        known={reading.metric for reading in measurements} | set(installed()),
        strict=max(1, sum(gate.level == "fail" for gate in leaves(gates))),
        confidence=confidence,
        undecided=undecided,
        without_holdout=without_holdout,
        baseline=baseline,
        words=words or {},
    )
    return [
        joined(one.name, [judge.judge(gate) for gate in one.gates]) if isinstance(one, AllOf) else judge.judge(one)
        for one in gates
    ]


def resolve_gate(gate: Gate, known: Collection[str]) -> Gate:
    """The gate with metric and field told apart.

    Raises:
        GateError: No known metric is called that; the message names the nearest.
    """
    metric, part = split_name(gate.name, known)
    if metric not in known:
        raise GateError(f"gate {gate.expression or gate}: no metric is called {gate.name}{_nearest(gate.name, known)}")
    return replace(gate, metric=metric, field=part)


def refuse_unknown_columns(gates: Sequence[Requirement], known: Collection[str], groups: Collection[str]) -> None:
    """Refuse gates on columns that the data do not have.

    Args:
        gates: Of the configuration.
        known: Columns of the data, and names by which metrics file their own cells.
        groups: Group columns, the nearest of which is named.

    Raises:
        GateError: A gate selects such a column.
    """
    for gate in leaves(gates):
        for selector in gate.selectors:
            if selector.column not in known and gate.metric.partition(".")[0] in FAMILIES:
                meant = _nearest(selector.column, {*known, *groups})
                there = f"; group columns are {', '.join(groups)}" if groups else "; no group columns were given"
                raise GateError(
                    f"gate {gate.expression or gate}: there is no group column {selector.column}{meant or there}"
                )


@dataclass(frozen=True, kw_only=True)
class GateJudge:
    """Where gates are judged: the readings and the rules of one record.

    Gates judge ``measurements``, where a place that was read twice counts twice and the worst
    decides; ``places`` finds what a reading is the excess of.
    """

    measurements: Sequence[Reading]
    by_metric: Mapping[str, Sequence[Reading]]
    by_field: Mapping[tuple[str, str], Sequence[Reading]]
    rows: int
    places: Places
    known: Collection[str]
    strict: int
    confidence: float
    undecided: Literal["allow", "block"]
    without_holdout: Literal["refuse", "allow"]
    baseline: Record | None
    words: Words

    def judge(self, gate: Gate) -> GateReading:
        """Judge one gate; what the policy gets wrong is an error of that gate alone."""
        try:
            gate = resolve_gate(gate, self.known)
            picked = pick(gate, self.by_metric.get(gate.metric, []), self.by_field.get((gate.metric, gate.field), []))
            adjusted = self.strict * max(1, len(picked))
            terms = Terms(
                confidence=self.confidence,
                fail_confidence=1 - (1 - self.confidence) / adjusted,
                without_holdout=self.without_holdout,
                widen=self.undecided == "allow",
                rows=self.rows,
                places=self.places,
                baseline=self.baseline,
                adjusted_for=adjusted,
                words=self.words,
            )
            cells = sorted((judge_cell(gate, reading, terms) for reading in picked), key=lambda cell: cell.order)
        except GateError as error:
            if gate.source == "config":
                raise
            return self._missing(gate, str(error).removeprefix(f"gate {gate.expression or gate}: "))
        if not cells:
            return self._missing(gate, self._why_missing(gate))
        return _reading(gate, cells, terms, self.undecided)

    def _why_missing(self, gate: Gate) -> str:
        places = [r.where for r in self.by_metric.get(gate.metric, []) if r.group]
        if gate.metric not in self.by_metric:
            return f"{gate.metric} was not measured in this audit"
        near = _nearest(gate.where.strip("[]"), places)
        return f"{gate.name} was not measured at {gate.where or 'the data set as a whole'}{near}"

    def _missing(self, gate: Gate, why: str) -> GateReading:
        """A gate with nothing to judge: it fails closed."""
        family = next((r.family for r in self.measurements if r.metric == gate.metric), "")
        prefix = gate.metric.partition(".")[0]
        return GateReading(
            **_declared(gate),
            field=gate.field,
            group=_group(gate),
            family=family or (prefix if prefix in FAMILIES else ""),
            verdict="error",
            why=why,
        )


def pick(gate: Gate, readings: Sequence[Reading], of_field: Sequence[Reading]) -> list[Reading]:
    """The readings of its metric that a gate is about, of which some are of the field that it names.

    A gate on every cell is also about what could not be measured, so that a column that cannot be
    assessed does not drop out of sight. Where nothing was measured, the metric's state stands in.

    Raises:
        GateError: The metric has no such field; the message names the nearest.
    """
    picked = _at(gate, of_field)
    if picked and not gate.cells:
        return picked
    states = _states(gate, readings, stand_in=not of_field)
    if readings and not of_field and not states:
        near = _nearest(gate.name, {f"{r.metric}.{r.field}" for r in readings})
        raise GateError(f"gate {gate.expression or gate}: {gate.metric} has no field {gate.field or 'value'}{near}")
    if gate.cells:
        seen = {place(r) for r in picked}
        picked += [r for r in states if r.status != "not_applicable" and place(r) not in seen]
    return picked or [r for r in states if not r.group] or (states if not of_field else [])


def _at(gate: Gate, readings: Sequence[Reading]) -> list[Reading]:
    """The readings at the place, or places, that a gate names."""
    if gate.cells or any(selector.every for selector in gate.selectors):
        return [r for r in readings if matches(gate, r.group)]
    there: GroupKey = {selector.column: selector.value for selector in gate.selectors}
    return [r for r in readings if r.group == there]


def _states(gate: Gate, readings: Sequence[Reading], *, stand_in: bool) -> list[Reading]:
    """Readings without a value of the gate's field, or else of the metric as a whole."""
    unmeasured = [r for r in readings if r.status != "measured"]
    own = {gate.field, gate.field.removesuffix("_excess")}
    headline = [r for r in unmeasured if r.headline]
    if gate.field in ("", "excess"):
        return headline
    return [r for r in unmeasured if r.field in own] or (headline if stand_in else [])


def matches(gate: Gate, group: GroupKey) -> bool:
    """Whether a gate is about this group."""
    if gate.cells:
        return bool(group) and None not in group.values()
    wanted = {s.column: s for s in gate.selectors}
    if wanted.keys() != group.keys():
        return False
    return all(value is not None if (s := wanted[c]).every else value == s.value for c, value in group.items())


def _reading(gate: Gate, cells: list[Cell], terms: Terms, undecided: str) -> GateReading:
    # Who names one group asks about it, however small; only the policy and lists of cells set small ones aside.
    aside = gate.many or gate.source == "policy"
    deciding = _deciding(cells, set_aside=undecided == "allow")
    shown = [decides or c.verdict == "fail" or not aside for c, decides in zip(cells, deciding, strict=True)]
    listed, too_few = list(compress(cells, shown)), [c for c, kept in zip(cells, shown, strict=True) if not kept]
    verdict = _verdict(listed, too_few, undecided)
    leading = next((c for c in [*listed, *too_few] if c.verdict == verdict), cells[0])
    first = leading.reading
    about = quantity_of(terms.words, base_of(first, terms.places) or first, gate.field)
    return GateReading(
        **_declared(gate),
        field=gate.field or first.field,
        group=_group(gate),
        family=first.family,
        verdict=verdict,
        limit=leading.limit,
        fail_limit=leading.fail_limit,
        value=first.value,
        low=first.low,
        high=first.high,
        bound=leading.bound,
        floor=first.floor.value if first.floor else 0.0 if first.field.endswith("excess") else None,
        margin=leading.margin,
        n_needed=_needed(verdict, leading, listed, too_few),
        why=_why(gate, verdict, leading, listed, too_few, about),
        means=filled(about.means, first.group, rest=False),
        remedy=filled(about.remedy, first.group, rest=False),
        cells=[c.entry() for c in listed] if gate.many else [],
        too_few=[c.entry() for c in too_few],
        loss=leading.loss,
        adjusted_for=terms.adjusted_for,
    )


def _needed(verdict: Verdict, leading: Cell, listed: list[Cell], too_few: list[Cell]) -> int | None:
    """Rows that would decide an open gate."""
    if verdict == "undecided":
        return min((c.rows_to_decide for c in too_few if c.rows_to_decide), default=None)
    if verdict == "inconclusive" and leading.n_needed is None:
        return None  # what decides stands so near its limit that no number of rows settles it
    return max(c.n_needed or 0 for c in [*listed, leading]) or None


def _deciding(cells: list[Cell], *, set_aside: bool) -> list[bool]:
    """Which cells can be decided at this size: a faithful release would pass all of them at once.

    A search that missed what was planted can decide nothing: it may fail, and passes nobody.
    """
    if not set_aside:
        return [c.reading.decidable for c in cells]
    known = [c for c in cells if c.reading.decidable and c.probability is not None]
    together = decidable_together([c.probability or 0.0 for c in known])
    hopeless = {id(c) for c, kept in zip(known, together, strict=True) if not kept}
    return [c.reading.decidable and not c.blind and id(c) not in hopeless for c in cells]


def _verdict(listed: list[Cell], too_few: list[Cell], undecided: str) -> Verdict:
    found = {cell.verdict for cell in listed}
    crashed = any(cell.verdict == "error" for cell in too_few)
    blocked = undecided == "block" and any(cell.verdict != "pass" for cell in too_few)
    if "fail" in found:
        return "fail"
    if "error" in found or crashed:
        return "error"
    if "inconclusive" in found or blocked:
        return "inconclusive"
    if "pass" in found:
        return "pass"
    return "undecided" if any(cell.verdict != "not_applicable" for cell in too_few) else "not_applicable"


KINDS: Mapping[frozenset[str], str] = {
    frozenset({"column"}): "column",
    frozenset({"learner"}): "learner",
    frozenset({"column", "cell"}): "rare kind",
    frozenset({"column", "form"}): "form",
}
"""What the cells of a gate are, by the parts of their groups."""


def _why(
    gate: Gate,
    verdict: Verdict,
    leading: Cell,
    listed: list[Cell],
    too_few: list[Cell],
    about: QuantityReading,
) -> str:
    what = KINDS.get(frozenset(leading.reading.group), "group")
    if verdict == "undecided":
        return _too_few(gate, leading, too_few, about, what)
    few = f"; {counted(len(too_few), what)} with too few rows" if too_few and gate.many else ""
    if not gate.many or len(listed) <= 1:
        return leading.why if verdict == "fail" else leading.why + few
    same = sum(cell.verdict == verdict for cell in listed)
    if verdict == "pass":
        return f"all {counted(same, what)} pass, the nearest to its limit: {leading.why}{few}"
    others = f"; the same for {same - 1} more of {counted(len(listed), what)}" if same > 1 else ""
    return f"{leading.why.removesuffix('.')}{others}{few if verdict != 'fail' else ''}"


def _too_few(gate: Gate, leading: Cell, too_few: list[Cell], about: QuantityReading, what: str) -> str:
    """What cannot be decided at this size, and what would settle it."""
    if leading.blind:
        return leading.why
    rows = [cell.rows_to_decide for cell in too_few if cell.rows_to_decide]
    first = "the first of them" if len(too_few) > 1 else "it"
    more = f"; about {min(rows):,} rows a side would decide {first}" if rows else ""
    name = filled(about.name, None if gate.many else leading.reading.group)
    several = f", at {counted(len(too_few), what)}" if gate.many and len(too_few) > 1 else ""
    reason = "" if rows or not leading.reading.reason else f" ({leading.reading.reason})"
    return f"too few rows to judge: {name}{several}{reason}{more}"


def _declared(gate: Gate) -> dict[str, Any]:
    return {
        "expression": gate.expression or str(gate),
        "metric": gate.metric,
        "source": gate.source,
        "level": gate.level,
        "operator": gate.operator,
        "tolerance_reason": gate.tolerance_reason,
        "widest": gate.widest,
    }


def _group(gate: Gate) -> GroupKey | None:
    return None if gate.many else {s.column: s.value for s in gate.selectors}


def _nearest(name: str, among: Collection[str]) -> str:
    near = nearest_names(name, sorted(among), most=3, cutoff=0.4)
    return f"; did you mean {' or '.join(near)}?" if near else ""
