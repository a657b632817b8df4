"""Chapters of the report: one per question, with what carries its finding apart from what folds away."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from counterproof.reports import wording
from counterproof.reports.figures.draw import Figure, draw
from counterproof.reports.figures.markup import Markup
from counterproof.reports.model import EvidenceReading, PanelReading, Reading, RecordData
from counterproof.reports.wording import Line, State

FINDINGS, FINDINGS_OF_A_PASS = 3, 2
OPEN_GATES, OPEN_PASSES = 10, 5
WIDE = ("forest", "pairs", "marginals")
"""Kinds of figures that need the whole width of the page."""
COLUMNS_OPEN, COLUMNS_A_FIGURE = 6, 24
STILL: frozenset[State] = frozenset({"pass", "undecided", "not_applicable", "not_assessed"})
Panels = Sequence[tuple[Reading, PanelReading]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a record stands on the page; record.json has the rest, and the page says so.

    Attributes:
        figure_bytes: Bytes of all folded figures of one question.
        figure_rows: Rows of a figure's table.
        tables: Evidence tables of one question.
        table_rows: Rows of one of them.
        gates: Gates of one question with their details; others have one line.
        cells: Cells of one gate.
        readings: Measurements of all questions together.
        columns: Folded columns of the overlay.
    """

    figure_bytes: int = 500_000
    figure_rows: int = 120
    tables: int = 40
    table_rows: int = 20
    gates: int = 250
    cells: int = 12
    readings: int = 1500
    columns: int = 144


LEVELS = (
    Limits(),
    Limits(figure_bytes=150_000, figure_rows=40, tables=10, table_rows=8, gates=100, cells=6, readings=600, columns=48),
    Limits(figure_bytes=0, figure_rows=0, tables=0, table_rows=0, gates=20, cells=3, readings=200, columns=0),
)
"""From all to least: the page takes the first that keeps it within its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A figure and the sentence that it proves.

    Attributes:
        sentence: What its gate found.
        state: The verdict of that gate.
        figure: The drawn panel.
    """

    sentence: str
    state: State
    figure: Figure

    @property
    def wide(self) -> bool:
        """Whether it takes the whole width of the page."""
        return self.figure.kind in WIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One question of the report.

    Attributes:
        family: Its name.
        question: Its words.
        state: Its verdict.
        answer: The answer in plain language.
        because: Sentences behind it that no gate says.
        lines: Its gates, worst first; those of the policy that do not apply are ``aside``.
        aside: Gates of the policy that do not apply to these data.
        findings: At most three figures that carry the finding.
        figures: All others.
        figures_left: How many more only the record has.
        evidence: Tables with the name of their measurement.
        evidence_left: How many more only the record has.
        readings: How many measurements it has.
    """

    family: str
    question: str
    state: State
    answer: str
    because: list[str]
    lines: list[Line]
    aside: list[Line] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    figures_left: int = 0
    evidence: list[tuple[str, EvidenceReading]] = field(default_factory=list)
    evidence_left: int = 0
    readings: int = 0

    @property
    def tally(self) -> str:
        """How many gates have which verdict: ``1 fail, 4 pass``."""
        return tally([*self.lines, *self.aside])

    @property
    def open_lines(self) -> list[Line]:
        """Gates that stand on the page: those that did not pass first, then a handful of the others."""
        loud = [line for line in self.lines if line.state not in STILL]
        return [*loud[:OPEN_GATES], *[line for line in self.lines if line.state in STILL][: self._room(len(loud))]]

    @property
    def folded_lines(self) -> list[Line]:
        """The other gates."""
        shown = {id(line) for line in self.open_lines}
        return [line for line in self.lines if id(line) not in shown]

    @property
    def folded_tally(self) -> str:
        """The other gates in words: ``22 more gates passed``."""
        folded = self.folded_lines
        gates = f"{len(folded)} more gate{'s' * (len(folded) > 1)}"
        return f"{gates} passed" if all(line.state == "pass" for line in folded) else f"{gates}: {tally(folded)}"

    @staticmethod
    def _room(loud: int) -> int:
        return max(0, min(OPEN_PASSES, OPEN_GATES - loud))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Column by column, real and release over each other.

    Attributes:
        sentence: What the gate of the column distributions found.
        state: Its verdict, None where no gate judges them.
        note: How to read the figure.
        worst: The columns that differ most.
        rest: The others.
        folded: How many columns ``rest`` has.
        left_out: How many more only the record has.
    """

    sentence: str
    state: State | None
    note: str
    worst: Figure
    rest: tuple[Figure, ...]
    folded: int
    left_out: int


def tally(lines: Sequence[Line]) -> str:
    """How many gates have which verdict, worst first.

    >>> tally([])
    'no gate'
    """
    states = [line.state for line in lines]
    counted = {state: states.count(state) for state in wording.LOOKS if state in states}
    return ", ".join(f"{n} {wording.LOOKS[state].word.lower()}" for state, n in counted.items()) or "no gate"


def chapters_of(record: RecordData, limits: Limits | None = None) -> list[Chapter]:
    """Every question; its figures and tables too where ``limits`` are given."""
    return list(_chapters(record, limits))


def _chapters(record: RecordData, limits: Limits | None) -> Iterator[Chapter]:
    overlaid = overlay_panel(record)
    for family, lines in wording.gates_by_family(record).items():
        readings = [reading for reading in record.measurements if reading.family == family]
        found = record.families.get(family)
        chapter = Chapter(
            family=family,
            question=wording.question(family) or family,
            state=wording.family_state(record, family),
            answer=wording.answer(record, family),
            because=_unsaid(found.because if found else [], lines),
            lines=[line for line in lines if not _aside(line)],
            aside=[line for line in lines if _aside(line)],
            readings=len(readings),
        )
        yield chapter if limits is None else _illustrated(record, chapter, readings, overlaid, limits)


def _aside(line: Line) -> bool:
    return line.state == "not_applicable" and line.gate.source == "policy"


def _unsaid(because: Sequence[str], lines: Sequence[Line]) -> list[str]:
    """Sentences of a verdict that no gate of it says."""
    said = [line.gate.why for line in lines if line.gate.why]
    return [text for text in because if not any(why in text for why in said)]


def _illustrated(
    record: RecordData,
    chapter: Chapter,
    readings: Sequence[Reading],
    overlaid: tuple[Reading, PanelReading] | None,
    limits: Limits,
) -> Chapter:
    """With figures and tables, as many as the limits admit."""
    apart = overlaid[1] if overlaid else None
    panels = [(reading, panel) for reading in readings for panel in reading.panels if panel is not apart]
    findings, rest = _findings(record, chapter, panels)
    figures, spent = [], 0
    for reading, panel in rest:
        figure = _fitted(_drawn(record, reading, panel), limits)
        figure = replace(figure, drawing=Markup("")) if figure.plot else figure
        spent += _bytes(figure)
        if spent > limits.figure_bytes:
            break
        figures.append(figure)
    tables = [(wording.subject_of(reading), table) for reading in readings for table in reading.evidence]
    return replace(
        chapter,
        findings=[replace(one, figure=_fitted(one.figure, limits)) for one in findings],
        figures=figures,
        figures_left=len(rest) - len(figures),
        evidence=tables[: limits.tables],
        evidence_left=max(0, len(tables) - limits.tables),
    )


def _findings(record: RecordData, chapter: Chapter, panels: Panels) -> tuple[list[Finding], Panels]:
    """The figures of the worst gates; where all passed, those of the first."""
    passed = chapter.state == "pass"
    loud = [line for line in chapter.lines if line.state not in STILL]
    asked = [*loud, *(line for line in chapter.lines if line.state == "pass" and (passed or not loud))]
    rest, found = list(panels), list[Finding]()
    for line in asked:
        if len(found) == (FINDINGS_OF_A_PASS if passed else FINDINGS):
            break
        metrics = {line.gate.metric, *(member.gate.metric for member in line.members)}
        titles = {finding.figure.title for finding in found}
        telling = ((r, p) for r, p in rest if r.metric in metrics and p.title not in titles and not _veiled(record, p))
        own = next(telling, None)
        if own is not None:
            rest = [one for one in rest if one[1] is not own[1]]
            sentence = line.gate.why or line.title
            found.append(Finding(sentence=sentence, state=line.state, figure=_drawn(record, *own)))
    return found, rest


def _veiled(record: RecordData, panel: PanelReading) -> bool:
    """Whether a panel shows nothing but names, its contents being hidden."""
    return panel.kind == "pairs" and not (record.manifest.shows_real or panel.shows_real)


def _drawn(record: RecordData, reading: Reading, panel: PanelReading) -> Figure:
    """A figure whose note names its measurement, as every table of evidence does."""
    figure = draw(panel, shows_real=record.manifest.shows_real)
    return replace(figure, note=" · ".join(part for part in (wording.subject_of(reading), figure.note) if part))


def _fitted(figure: Figure, limits: Limits) -> Figure:
    rows = figure.rows[: limits.figure_rows]
    return replace(figure, rows=rows, left_out=figure.left_out + len(figure.rows) - len(rows))


def _bytes(figure: Figure) -> int:
    """About what a figure adds to the page."""
    table = sum(len(entry) + 9 for row in figure.rows for entry in row)
    return len(figure.drawing) + len(json.dumps(figure.plot)) + table


def overlay_panel(record: RecordData) -> tuple[Reading, PanelReading] | None:
    """The panel of the column distributions, if there is one that can be drawn column by column."""
    return next(
        (
            (reading, panel)
            for reading in record.measurements
            for panel in reading.panels
            if panel.kind == "marginals" and _columns(panel.data)
        ),
        None,
    )


def _columns(data: Mapping[str, object]) -> list[object]:
    columns = data.get("columns")
    return columns if isinstance(columns, list) else []


def overlay_of(record: RecordData, limits: Limits) -> Overlay | None:
    """The columns that differ most, and the others by the two dozen; None where the record has no such panel."""
    found = overlay_panel(record)
    if found is None:
        return None
    reading, panel = found
    columns = _columns(panel.data)
    parts = [columns[:COLUMNS_OPEN]]
    rest = columns[COLUMNS_OPEN : COLUMNS_OPEN + limits.columns]
    parts += [rest[at : at + COLUMNS_A_FIGURE] for at in range(0, len(rest), COLUMNS_A_FIGURE)]
    drawn = [
        _fitted(replace(draw(panel.model_copy(update={"data": {"columns": part}})), plot=None), limits)
        for part in parts
    ]
    judged = wording.gates_by_family(record).get(reading.family, [])
    line = next((one for one in judged if one.gate.metric == reading.metric and one.state != "not_applicable"), None)
    return Overlay(
        sentence=line.gate.why or line.title if line else "",
        state=line.state if line else None,
        note=panel.note,
        worst=drawn[0],
        rest=tuple(drawn[1:]),
        folded=len(rest),
        left_out=len(columns) - len(parts[0]) - len(rest),
    )
