"""What all outputs say of a record as a whole: answers, what to do, warnings, what was judged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from counterproof.reports.gate_lines import (
    LOOKS,
    State,
    subject_of,
)
from counterproof.reports.judgement import Verdict
from counterproof.reports.model import (
    QUESTIONS,
    TOGETHER,
    ColumnExtent,
    ControlReading,
    GateReading,
    NotAssessed,
    Reading,
    RecordData,
)
from counterproof.reports.sentences import (
    most_telling,
)
from counterproof.reports.text import counted, printable, sentence

REAL = "Contains real records: made with --show-real, handle it like the real data."
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
        return f"Not judged: {_reason(because)}." if because else OTHERWISE[state]
    return f"{OTHERWISE[state]} {told}." if told else OTHERWISE[state]


def _reason(because: str) -> str:
    """Why something could not be judged, of a sentence that names it first."""
    told = _in_short(because)
    reason = re.split(r" (?:does not apply here|cannot be assessed on these data): ", told)[-1]
    return f"{reason[:1].lower()}{reason[1:]}"


def _too_few(record: RecordData, family: str) -> int:
    """Gates and cells of a question that these data cannot decide."""
    single = [member for gate in record.gates for member in gate.single if member.family == family]
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
    strict = [member for gate in record.gates if gate.level == "fail" for member in gate.single]
    if verdict == "fail":
        told = [gate.remedy for gate in most_telling("fail", strict, record.about) if gate.remedy] or [UNKNOWN_REMEDY]
    elif verdict == "error":
        told = ["Run the audit again; if the metric crashes again, report it as a defect."]
    elif verdict == "pass":
        told = ["Nothing here stands against the release; keep record.json with it."]
        unasked = [family for family in QUESTIONS if family_state(record, family) == "not_assessed"]
        if unasked:
            told.append(f"Not judged: {' and '.join(filter(None, [', '.join(unasked[:-1]), unasked[-1]]))}.")
    else:
        told = list(_to_decide(record, strict))
    if verdict in ("pass", "inconclusive") and (columns := _unjudged_columns(record)):
        told.append(f"Look at {columns} yourself: no gate judged it.")
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


def shows_real(record: RecordData) -> bool:
    """Whether any part of the record may hold contents of real records."""
    return record.manifest.shows_real or any(
        any(table.shows_real for table in reading.evidence) or any(panel.shows_real for panel in reading.panels)
        for reading in record.measurements
    )
