"""The evidence matrix: what was judged, what was only measured, and what was not assessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from counterproof.reports import gate_lines, wording
from counterproof.reports.gate_lines import RANK, State
from counterproof.reports.group_view.group_keys import readings_by_group
from counterproof.reports.model import RecordData

BY_GROUP = "by group"  # metrics of any family that were measured for single groups
ARTICLE_10_2: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("a", "the relevant design choices", ()),
    ("b", "data collection processes and the origin of data", ()),
    ("c", "data-preparation processing operations, such as annotation, labelling and cleaning", ()),
    ("d", "the formulation of assumptions about what the data measure and represent", ()),
    ("e", "an assessment of the availability, quantity and suitability of the data sets", ("fidelity.", "utility.")),
    ("f", "examination in view of possible biases", ("fairness.", BY_GROUP)),
    ("g", "measures to detect, prevent and mitigate biases (this audit can only detect)", ("fairness.",)),
    ("h", "the identification of data gaps or shortcomings", ("coverage.",)),
)
"""Regulation (EU) 2024/1689, Article 10(2), shortened, and the families whose numbers are evidence for each item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRow:
    """One question of the matrix.

    Attributes:
        family: Its name.
        state: Its verdict.
        judged: Metrics that a gate judged, with the worst verdict of each.
        measured: Metrics that were measured and that no gate judged.
        missing: Metrics that were not assessed.
    """

    family: str
    state: State
    judged: tuple[tuple[str, State], ...]
    measured: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseRow:
    """One item of Article 10(2): its letter, its words, and the metrics that gave evidence; none: not assessed."""

    letter: str
    words: str
    metrics: tuple[str, ...]


def question_rows(record: RecordData) -> list[QuestionRow]:
    """Every question, with each of its metrics in one place."""
    return [_question_row(record, family) for family in gate_lines.families(record) if _metrics(record, family)]


def _question_row(record: RecordData, family: str) -> QuestionRow:
    judged: dict[str, State] = {}
    for gate in record.gates:
        if gate_lines.family_of(gate) == family and gate.verdict not in ("not_applicable", "undecided"):
            state = gate_lines.state_of(gate)
            judged[gate.metric] = min(state, judged.get(gate.metric, state), key=RANK.__getitem__)
    measured = measured_metrics(record)
    own = _metrics(record, family)
    return QuestionRow(
        family=family,
        state=wording.family_state(record, family),
        judged=tuple(judged.items()),
        measured=tuple(name for name in own if name in measured and name not in judged),
        missing=tuple(name for name in own if name not in measured and name not in judged),
    )


def _metrics(record: RecordData, family: str) -> list[str]:
    """All metrics of a family that the record speaks of."""
    named = [reading.metric for reading in record.measurements if reading.family == family]
    named += [gate.metric for gate in record.gates if gate_lines.family_of(gate) == family]
    named += [part.metric for part in record.not_assessed if part.metric.partition(".")[0] == family]
    return list(dict.fromkeys(named))


def measured_metrics(record: RecordData) -> list[str]:
    """Metrics with a number."""
    return list(dict.fromkeys(reading.metric for reading in record.measurements if reading.status == "measured"))


def clause_rows(record: RecordData) -> list[ClauseRow]:
    """Article 10(2), item by item: which metrics gave evidence."""
    measured = measured_metrics(record)
    grouped = {one.reading.metric for one in readings_by_group(record)}
    return [
        ClauseRow(
            letter=letter,
            words=words,
            metrics=tuple(n for n in measured if n.startswith(parts) or (BY_GROUP in parts and n in grouped)),
        )
        for letter, words, parts in ARTICLE_10_2
    ]


def missing_by_reason(record: RecordData) -> Mapping[str, list[str]]:
    """What was not assessed: metrics by reason, each once."""
    found: dict[str, list[str]] = {}
    for part in wording.not_assessed(record):
        names = found.setdefault(part.reason, [])
        if part.metric not in names:
            names.append(part.metric)
    return found
