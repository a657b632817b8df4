"""Wording of verdicts, gates and numbers, the same in every output."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from counterproof.metrics.estimate import Better, Scale
from counterproof.reports.judgement import Verdict
from counterproof.reports.model import (
    QUESTIONS,
    TOGETHER,
    CellReading,
    ColumnExtent,
    ControlReading,
    GateReading,
    GroupKey,
    NotAssessed,
    QuantityReading,
    Reading,
    RecordData,
)
from counterproof.reports.sentences import (
    Shown,
    amount,
    amount_within,
    filled,
    group_in_words,
    most_telling,
    on_own_scale,
    place_in_words,
    quantity_of,
    telling_order,
)
from counterproof.reports.text import counted, printable, sentence

State = Literal[
    "fail", "error", "inconclusive", "warn", "waived", "pass", "undecided", "not_applicable", "not_assessed"
]


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: a word and an icon, never a colour alone."""

    word: str
    icon: str


LOOKS: Mapping[State, Look] = {  # worst first: the order of every list
    "fail": Look("Fail", "✗"),
    "error": Look("Error", "!"),
    "inconclusive": Look("Inconclusive", "?"),
    "warn": Look("Warning", "▲"),
    "waived": Look("Waived", "~"),
    "pass": Look("Pass", "✓"),
    "undecided": Look("Too few rows", "·"),
    "not_applicable": Look("Not applicable", "–"),
    "not_assessed": Look("Not assessed", "–"),
}
RANK: Mapping[State, int] = {state: rank for rank, state in enumerate(LOOKS)}
OPERATORS: Mapping[str, str] = {"<=": "≤", ">=": "≥", "<": "<", ">": ">"}
OPPOSITES: Mapping[str, str] = {"<=": ">", ">=": "<", "<": "≥", ">": "≤"}
REAL = "Contains real records: made with --show-real, handle it like the real data."
EXCESS = "excess over real against real"
FINDINGS_SHOWN = 3  # beside the verdict; the report has them all
UNJUDGED_SHOWN = 3  # columns that no gate judged, in the sentence; the table has them all
PASSES: Mapping[str, str] = {
    "fidelity": "Yes: within every limit, what was measured looks like fresh real data.",
    "coverage": "Yes: within every limit, what fresh real data hold is there.",
    "leakage": "No leak found by these attacks at this power. Other attacks, or more rows, could find one.",
    "fairness": "Yes: within every limit, groups fare as they do with real data.",
    "utility": "Yes: within every limit, it does the job that was tried as real data do.",
}
FAILS: Mapping[str, str] = {"leakage": "Yes"}  # bad news is a no, but to the third question
OTHERWISE: Mapping[str, str] = {
    "inconclusive": "The data at hand cannot tell.",
    "error": "Unknown: a metric of this question crashed.",
    "not_assessed": "Not judged: no gate that could fail looks at this question.",
}
MOST_TO_DO = 3
UNKNOWN_REMEDY = "Look at the gates that fail, change the generator or its data, and audit the new release."
PLAIN = QuantityReading(name="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A gate as all outputs show it.

    Attributes:
        gate: The gate as judged, its numbers on the scale that readers know: an excess over the floor is told on the
            metric's own.
        state: Its verdict; ``warn`` where a warn-level gate failed, ``waived`` where a waiver
            covers a verdict that is no pass.
        title: What it judges, in plain words.
        named: The same at the group or column that decides.
        where: That group or column; empty for the data set as a whole.
        quantity: What its numbers are.
        better: Direction of these numbers.
        scale: Scale of the interval.
        least: The least that the true value can be.
        members: The gates of one that asks for several at once.
    """

    gate: GateReading
    state: State
    title: str
    named: str = ""
    where: str = ""
    quantity: QuantityReading = PLAIN
    better: Better = "lower"
    scale: Scale = "linear"
    least: float | None = None
    members: tuple[Line, ...] = ()

    @property
    def look(self) -> Look:
        """Word and icon."""
        return LOOKS[self.state]

    @property
    def fact(self) -> bool:
        """Whether it fails by a fact (copies beyond chance, an empty cell), whatever the value beside the limit."""
        return self.gate.verdict == "fail" and self.gate.margin is None

    @property
    def value(self) -> str:
        """Value and interval; none where a fact decides."""
        if self.fact:
            return "a fact"
        gate = self.gate
        return amount_within(gate.value, gate.low, gate.high, self.quantity.shown_as, self.least)

    @property
    def limit(self) -> str:
        """The number to pass and, where it differs, the number to fail."""
        gate = self.gate
        if gate.limit is None or self.fact:
            return "–"
        passes, fails = OPERATORS[gate.operator] + " ", OPPOSITES[gate.operator] + " "
        if self.two_sided:
            passes, fails = "within ±", "beyond ±"
        text = f"{passes}{amount(gate.limit, self.quantity.shown_as)}"
        if gate.fail_limit is None or gate.fail_limit == gate.limit:
            return text
        return f"{text}, fail {fails}{amount(gate.fail_limit, self.quantity.shown_as)}"

    @property
    def floor(self) -> str:
        """What real data give against real data; empty where that is not known."""
        return "" if self.gate.floor is None else amount(self.gate.floor, self.quantity.shown_as)

    @property
    def bound(self) -> str:
        """The bound that a pass was decided by; empty for any other verdict."""
        if self.state != "pass" or self.gate.bound is None:
            return ""
        return f"bound {amount(self.gate.bound, self.quantity.shown_as)}"

    @property
    def two_sided(self) -> bool:
        """Whether the limit holds on both sides of zero."""
        return self.better == "zero" and self.gate.operator in ("<=", "<")


def state_of(gate: GateReading) -> State:
    """The state of a gate for readers."""
    if gate.waiver is not None and gate.verdict not in ("pass", "undecided", "not_applicable"):
        return "waived"
    return "warn" if gate.level == "warn" and gate.verdict == "fail" else gate.verdict


def subject(title: str, metric: str, field: str, group: GroupKey | None) -> str:
    """The measured quantity in words: ``Kernel distance: excess over real against real, for sex = F``."""
    name = printable(title) or printable(metric.rpartition(".")[2].replace("_", " "))
    told = "" if field in ("", "value") else field.replace("_", " ")
    if field == "excess" or field.endswith("_excess"):
        told = ", ".join(filter(None, [told.removesuffix("excess").strip(), EXCESS]))
    where = group_in_words(group)
    text = (name[:1].upper() if name[:1].isascii() else name[:1]) + name[1:]  # β stays β
    text += f": {printable(told)}" if told and told.casefold() != name.casefold() else ""
    return f"{text}, for {where}" if where else text


def subject_of(reading: Reading) -> str:
    """The quantity of a reading, in words."""
    return subject(reading.title, reading.metric, reading.field, reading.group)


def question(family: str) -> str:
    """What a family asks; nothing for families beside the five questions and the joint one."""
    return "Does it hold all at once?" if family == TOGETHER else QUESTIONS.get(family, "")


def multiplicity(gate: GateReading) -> str:
    """How many comparisons a verdict is adjusted for, in one sentence."""
    several = f"{gate.adjusted_for} comparisons" if gate.adjusted_for > 1 else "one comparison"
    failing = f"a fail is adjusted for {several}: every gate that can fail, times its cells"
    if gate.members:
        passing = f"It passes when each of its {len(gate.members)} requirements passes at its own plain confidence"
        return f"{passing}, an intersection-union test that needs no correction; {failing}."
    return f"A pass is not adjusted, because every cell must pass; {failing}."


def family_of(gate: GateReading) -> str:
    """The family of a gate; one whose metric is unknown has none."""
    return gate.family or "other"


Places = Mapping[tuple[str, frozenset[tuple[str, str | None]]], Sequence[Reading]]
"""The readings of each metric and group."""


def places_of(record: RecordData) -> Places:
    """Where readings stand, so that many gates find theirs in one step each."""
    places: dict[tuple[str, frozenset[tuple[str, str | None]]], list[Reading]] = {}
    for reading in record.measurements:
        places.setdefault((reading.metric, frozenset(reading.group.items())), []).append(reading)
    return places


def line_of(record: RecordData, gate: GateReading, places: Places | None = None) -> Line:
    """A gate as outputs show it; ``places`` of the record where many gates are asked for."""
    places = places_of(record) if places is None else places
    if gate.members:
        members = tuple(line_of(record, member, places) for member in gate.members)
        deciding = (gate.metric, gate.field, gate.value, gate.limit)
        told = ((m.gate.metric, m.gate.field, m.gate.value, m.gate.limit) for m in members)
        leading = next((m for m, key in zip(members, told, strict=True) if key == deciding), members[0])
        name = printable(gate.name)
        return replace(leading, gate=gate, state=state_of(gate), title=name, named=name, where="", members=members)
    found = _judged_reading(record, gate, places)
    if found is None:
        return Line(gate=gate, state=state_of(gate), title=subject("", gate.metric, gate.field, gate.group))
    return _shown(record, gate, found, places)


def cell_lines(
    record: RecordData, gate: GateReading, cells: Sequence[CellReading], places: Places | None = None
) -> list[Line]:
    """The cells of a gate, each as a line of its own."""
    places = places_of(record) if places is None else places
    lines = []
    for cell in cells:
        alone = gate.model_copy(
            update={
                "group": cell.group,
                "verdict": cell.verdict,
                "value": cell.value,
                "low": cell.low,
                "high": cell.high,
                "limit": gate.limit if cell.limit is None else cell.limit,
                "fail_limit": None,
                "bound": None,
                "floor": None,
                "margin": 0.0,
                "why": cell.why,
                "level": "fail",
                "waiver": None,
            }
        )
        found = _judged_reading(record, alone, places)
        lines.append(
            Line(gate=alone, state=cell.verdict, title=group_in_words(cell.group))
            if found is None
            else _shown(record, alone, found, places)
        )
    return lines


def _judged_reading(record: RecordData, gate: GateReading, places: Places) -> Reading | None:
    """The reading that a gate's numbers are of: for one of many cells the cell that decides."""
    group = gate.group
    if group is None:
        cells = [*gate.cells, *gate.too_few]
        group = next((c.group for c in cells if c.verdict == gate.verdict), next((c.group for c in cells), {}))
    here = places.get((gate.metric, frozenset(group.items())), ())
    exact = [r for r in here if r.field == gate.field or (not gate.field and r.headline)]
    if exact:
        return exact[0]
    known = [reading for reading in record.measurements if reading.metric == gate.metric]
    same = [r for r in known if r.field == gate.field or (not gate.field and r.headline)] or known
    return next((r for r in same if r.group == group), same[0] if same else None)


def _shown(record: RecordData, gate: GateReading, found: Reading, places: Places) -> Line:
    """A gate whose numbers are those of a reading, on the scale that readers know."""
    base = _base(found, places) if found.field.endswith("excess") else None
    quantity = record.about.get(f"{gate.metric}.{gate.field}") or quantity_of(record.about, base or found)
    shown = on_own_scale(
        Shown(
            quantity=quantity,
            operator=gate.operator,
            better=found.better,
            value=gate.value,
            low=gate.low,
            high=gate.high,
            floor=None if found.floor is None else found.floor.value,
            limit=gate.limit,
            fail_limit=gate.fail_limit,
            bound=gate.bound,
            least=found.least,
        ),
        found,
        base,
    )
    names = ("operator", "value", "low", "high", "floor", "limit", "fail_limit", "bound")
    return Line(
        gate=gate.model_copy(update={name: getattr(shown, name) for name in names}),
        state=state_of(gate),
        title=filled(quantity.name, gate.group),
        named=filled(quantity.name, found.group),
        where="" if gate.group is not None else place_in_words(found.group),
        quantity=shown.quantity,
        better=shown.better,
        scale=found.scale,
        least=shown.least,
    )


def _base(reading: Reading, places: Places) -> Reading | None:
    """The reading that an excess over the floor is the excess of."""
    of_group = places.get((reading.metric, frozenset(reading.group.items())), ())
    if reading.field != "excess":
        return next((r for r in of_group if r.field == reading.field.removesuffix("_excess")), None)
    return next((r for r in of_group if r.headline), None)


def gates_by_family(record: RecordData) -> dict[str, list[Line]]:
    """Every gate by family, worst first inside it, facts before estimates; families in the order of the questions."""
    rungs: dict[str, list[Line]] = {family: [] for family in families(record)}
    places = places_of(record)
    for gate in record.gates:
        rungs[family_of(gate)].append(line_of(record, gate, places))
    for lines in rungs.values():
        lines.sort(key=lambda line: (RANK[line.state], line.gate.margin is not None))
    return rungs


def applicable(record: RecordData) -> dict[str, list[Line]]:
    """The same without the policy's gates that do not apply to these data; gates from the configuration stay."""
    return {
        family: [line for line in lines if line.state != "not_applicable" or line.gate.source == "config"]
        for family, lines in gates_by_family(record).items()
    }


def not_applicable_gates(record: RecordData) -> str:
    """The policy's gates that do not apply, by reason, in one line; empty where all apply."""
    reasons = {(r.metric, r.field): r.reason for r in record.measurements if r.status == "not_applicable"}
    aside: dict[str, list[str]] = {}
    for gate in record.gates:
        if gate.verdict == "not_applicable" and gate.source == "policy":
            reason = reasons.get((gate.metric, gate.field)) or gate.why or "no reason was given"
            whole = gate.field in ("", "value", "excess", "change", "gap")
            aside.setdefault(printable(reason), []).append(gate.metric if whole else f"{gate.metric}.{gate.field}")
    told = (f"{', '.join(map(printable, dict.fromkeys(names)))} ({reason})" for reason, names in aside.items())
    return f"not applicable: {'; '.join(told)}" if aside else ""


def families(record: RecordData) -> list[str]:
    """All families of a record: the five questions, then any others."""
    named = [*record.families, *map(family_of, record.gates), *(m.family for m in record.measurements)]
    return list(dict.fromkeys([*QUESTIONS, *named]))


def family_state(record: RecordData, family: str) -> State:
    """The verdict of one question."""
    found = record.families.get(family)
    return found.verdict if found else "not_assessed"


def answer(record: RecordData, family: str) -> str:
    """The answer to one question, in one line: a failure by its most telling sentence."""
    state = family_state(record, family)
    if state == "not_assessed" and any(g.family == family and g.verdict == "pass" for g in record.gates):
        return "Not assessed: the data cannot tell. Only facts were looked for, and none was found."
    if state == "pass":
        few = _too_few(record, family)
        lacking = f" {counted(few, 'place')} {'has' if few == 1 else 'have'} too few rows to judge." if few else ""
        return PASSES.get(family, "Within every limit.") + lacking
    found = record.families.get(family)
    because = found.because[0] if found is not None and found.because else ""
    told = sentence(_in_short(because))
    if state == "fail":
        return f"{FAILS.get(family, 'No')}. {told}." if told else f"{FAILS.get(family, 'No')}."
    if state == "not_assessed":
        return f"Not judged: {because[:1].lower()}{because[1:]}." if because else OTHERWISE[state]
    return f"{OTHERWISE[state]} {told}." if told else OTHERWISE[state]


def _too_few(record: RecordData, family: str) -> int:
    """Gates and cells of a question that these data cannot decide."""
    single = [member for gate in record.gates for member in gate.members or [gate] if member.family == family]
    return sum(len(gate.too_few) or gate.verdict == "undecided" for gate in single)


def _in_short(told: str) -> str:
    """What was found and the limit, of a sentence that says more."""
    first, *others = re.sub(r" \([\w.]+\)$", "", told).split("; ")
    limit = next((one for one in others if one.startswith(("the limit is", "at least"))), "")
    return "; ".join(filter(None, [first, limit.partition(" (")[0]])).removesuffix(".")


def overall(record: RecordData) -> tuple[Verdict, str]:
    """Verdict and reason of the whole; a record that judged nothing has passed nothing."""
    judged = any(gate.verdict not in ("undecided", "not_applicable") for gate in record.gates)
    if record.verdict == "pass" and not judged:
        return "inconclusive", "No gate was judged, so nothing has passed."
    return record.verdict, printable(record.because)


def headline(record: RecordData) -> str:
    """The verdict in a few words: a PASS says what it does not cover.

    ``Pass, leakage not assessed, 1 column not judged``.
    """
    verdict, _ = overall(record)
    unjudged = len(record.extent.unjudged) if record.extent is not None else 0
    parts = [LOOKS[verdict].word]
    if verdict == "pass":
        if family_state(record, "leakage") == "not_assessed" and any(g.family == "leakage" for g in record.gates):
            parts.append("leakage not assessed")
        if unjudged:
            parts.append(f"{counted(unjudged, 'column')} not judged")
    return ", ".join(parts)


def extent_told(record: RecordData) -> list[str]:
    """How much of the release was judged, in sentences: its columns, by which questions, and its rows."""
    extent = record.extent
    if extent is None:
        return []
    told = []
    if extent.columns:
        unjudged, n = extent.unjudged, len(extent.columns)
        by = {family: sum(family in one.judged_by for one in extent.columns) for family in QUESTIONS}
        if not any(by.values()):
            return [f"no gate judged any of the {counted(n, 'column')}"]
        judged = f"all {n} columns" if n > 1 and not unjudged else f"{n - len(unjudged)} of {counted(n, 'column')}"
        told.append(f"{judged} judged ({', '.join(f'{family} {k}' for family, k in by.items() if k)})")
        some = [printable(who_looks_at(one)) for one in unjudged[:UNJUDGED_SHOWN]]
        more = len(unjudged) - len(some)
        told[0] = "; ".join([told[0], *some, *([f"{more} more"] if more else [])])
    if 0 < extent.compared < extent.rows:
        some_rows = f"{extent.compared:,} of {counted(extent.rows, extent.unit)} of the release, drawn at random,"
        told.append(f"{some_rows} were held against the real ones; leakage looks at all")
    elif extent.compared:
        told.append(f"all {counted(extent.rows, extent.unit)} of the release judged")
    return told


def who_looks_at(one: ColumnExtent) -> str:
    """An unjudged column: what it was read as, and what looks at it.

    >>> who_looks_at(ColumnExtent(column="patient", kind="identifier", seen_by=["leakage"]))
    "'patient': identifier, only leakage looks at it"
    >>> who_looks_at(ColumnExtent(column="note"))
    "'note': left out of the audit"
    """
    if not one.kind:
        return f"'{one.column}': left out of the audit"
    kind = "free text" if one.kind == "text" else one.kind
    if not one.seen_by:
        return f"'{one.column}': {kind}, nothing looks at it"
    return f"'{one.column}': {kind}, only {' and '.join(one.seen_by)} look{'s' * (len(one.seen_by) == 1)} at it"


def warned(record: RecordData) -> list[str]:
    """What readers should see first beside the verdict: all warnings, the worst findings and a count of the rest."""
    told = " ".join([*record.warnings, *(gate.why for gate in record.gates)])
    findings = [text for text in record.manifest.notable if text not in told]
    more = len(findings) - FINDINGS_SHOWN
    rest = [f"{counted(more, 'more finding')} about the data, listed at the end of the report"] if more > 0 else []
    return [*record.warnings, *findings[:FINDINGS_SHOWN], *rest]


def warnings_by_question(record: RecordData) -> dict[str, list[str]]:
    """The warnings by the family they are about, those of no family under an empty name; the worst first."""
    told: dict[str, list[str]] = {}
    for text in warned(record):
        metric = re.search(r"\((\w+)\.[\w.]+;[^()]*\)$", text)
        family = metric[1] if metric else ""
        told.setdefault(family if family in QUESTIONS else "", []).append(text)
    return {family: told[family] for family in ("", *QUESTIONS) if family in told}


def to_do(record: RecordData) -> list[str]:
    """What to do next, the most pressing first: three sentences at most."""
    verdict, _ = overall(record)
    strict = [member for gate in record.gates if gate.level == "fail" for member in gate.members or [gate]]
    if verdict == "fail":
        told = [gate.remedy for gate in most_telling("fail", strict, record.about) if gate.remedy] or [UNKNOWN_REMEDY]
    elif verdict == "error":
        told = ["Run the audit again; if the metric crashes again, report it as a defect."]
    elif verdict == "pass":
        told = ["Nothing here stands against the release; keep record.json with it."]
    else:
        told = list(_to_decide(record, strict))
    if verdict in ("pass", "inconclusive"):
        told += (
            [f"Look at {_unjudged_columns(record)} yourself: no gate judged it."] if _unjudged_columns(record) else []
        )
    return [printable(text) for text in dict.fromkeys(told) if text][:MOST_TO_DO]


def _unjudged_columns(record: RecordData) -> str:
    names = [one.column for one in record.extent.unjudged] if record.extent is not None else []
    more = f" and {counted(len(names) - UNJUDGED_SHOWN, 'more column')}" if len(names) > UNJUDGED_SHOWN else ""
    return ", ".join(map(repr, names[:UNJUDGED_SHOWN])) + more


def _to_decide(record: RecordData, strict: Sequence[GateReading]) -> Iterator[str]:
    """What would settle an audit that could not tell."""
    roles = {role.role for role in record.manifest.roles}
    if family_state(record, "leakage") in ("inconclusive", "not_assessed") and "holdout" not in roles:
        yield "Give real rows that the generator never saw, with --holdout: without them leakage cannot be judged."
    if record.manifest.no_labels:
        yield "Name another label with --label: this one tells no classes apart."
    open_ones = most_telling("inconclusive", strict, record.about)
    needed = max((gate.n_needed or 0 for gate in open_ones), default=0)
    if needed:
        yield f"Audit about {needed:,} rows a side: that would decide what is open."
    few = [gate.n_needed for gate in strict if gate.verdict == "undecided" and gate.n_needed]
    if not needed and few and any(family_state(record, family) == "inconclusive" for family in QUESTIONS):
        yield f"Audit about {max(few):,} rows a side: that would decide what has too few rows."
    yield from (gate.remedy for gate in open_ones if not gate.n_needed)


def not_assessed(record: RecordData) -> list[NotAssessed]:
    """What was not assessed, each reason once."""
    said = {(part.metric, part.reason): part for part in record.not_assessed}
    return list(said.values())


def planted_controls(readings: Sequence[Reading]) -> list[tuple[str, ControlReading]]:
    """Planted controls, once for each metric and kind; missed ones first."""
    found = {
        (reading.metric, control.kind): (f"{reading.metric}.{reading.field}", control)
        for reading in readings
        for control in reading.controls
    }
    return sorted(found.values(), key=lambda one: one[1].found is not False)


def blind_searches(record: RecordData) -> list[str]:
    """Searches that missed what was planted and whose gate does not say so, in sentences."""
    told = " ".join([*record.warnings, *(gate.why for gate in record.gates)])
    missed = {
        f"{subject_of(reading)} is blind on these data: it {reading.missed_controls}"
        for reading in record.measurements
        if reading.missed_controls and reading.missed_controls not in told
    }
    return sorted(missed)


def line_order(record: RecordData, lines: Sequence[Line]) -> list[Line]:
    """Gates that did not pass, worst verdict first, of each the most telling first."""
    return sorted(lines, key=lambda line: (RANK[line.state], telling_order(line.gate, record.about)))


def shows_real(record: RecordData) -> bool:
    """Whether any part of the record may hold contents of real records."""
    return record.manifest.shows_real or any(
        any(table.shows_real for table in reading.evidence) or any(panel.shows_real for panel in reading.panels)
        for reading in record.measurements
    )
