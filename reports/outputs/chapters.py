"""Chapters of the report: one per question, with what carries its finding apart from what folds away."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from counterproof.reports import wording
from counterproof.reports.figures.draw import Figure, draw
from counterproof.reports.figures.markup import Markup
from counterproof.reports.model import EvidenceReading, GateReading, PanelReading, Reading, RecordData
from counterproof.reports.wording import Line, State

FINDINGS, FINDINGS_OF_A_PASS = 3, 2
OPEN_GATES, OPEN_PASSES = 10, 5
WIDE = ("forest", "pairs", "marginals")
"""Kinds of figures that need the whole width of the page."""
COLUMNS_OPEN, ROWS_OPEN, IMAGES_OPEN, A_FIGURE = 6, 3, 6, 24
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
        columns: Folded columns, and folded rows or images, that stand side by side.
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
class GateRow:
    """One gate of a table.

    Attributes:
        line: The gate as all outputs show it.
        detailed: Whether the page has room for what is behind it.
        cells: Its cells, worst first.
        cells_left: How many more only the record has.
        too_few: Cells with too few rows.
        too_few_left: How many more of them only the record has.
    """

    line: Line
    detailed: bool = False
    cells: list[Line] = field(default_factory=list)
    cells_left: int = 0
    too_few: list[Line] = field(default_factory=list)
    too_few_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One question of the report.

    Attributes:
        family: Its name.
        question: Its words.
        state: Its verdict.
        answer: The answer in plain language.
        because: Sentences behind it that no gate says.
        gates: Its gates, worst first.
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
    gates: list[GateRow]
    aside: list[GateRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    figures_left: int = 0
    evidence: list[tuple[str, EvidenceReading]] = field(default_factory=list)
    evidence_left: int = 0
    readings: int = 0

    @property
    def lines(self) -> list[Line]:
        """All of its gates, as all outputs show them."""
        return [row.line for row in (*self.gates, *self.aside)]

    @property
    def tally(self) -> str:
        """How many gates have which verdict: ``1 fail, 4 pass``."""
        return tally(self.lines)

    @property
    def open_gates(self) -> list[GateRow]:
        """Gates that stand on the page: those that did not pass first, then a handful of the others."""
        loud = [row for row in self.gates if row.line.state not in STILL]
        room = max(0, min(OPEN_PASSES, OPEN_GATES - len(loud)))
        return [*loud[:OPEN_GATES], *[row for row in self.gates if row.line.state in STILL][:room]]

    @property
    def folded_gates(self) -> list[GateRow]:
        """The other gates."""
        shown = {id(row) for row in self.open_gates}
        return [row for row in self.gates if id(row) not in shown]

    @property
    def folded_tally(self) -> str:
        """The other gates in words: ``22 more gates passed``."""
        folded = [row.line for row in self.folded_gates]
        gates = f"{len(folded)} more gate{'s' * (len(folded) > 1)}"
        return f"{gates} passed" if all(line.state == "pass" for line in folded) else f"{gates}: {tally(folded)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is seen side by side, real and release: columns, or rows and images.

    Attributes:
        sentence: What the gate of the column distributions found; empty where no gate judges it.
        state: Its verdict, None where no gate judges it.
        open: The worst of them.
        folded: The others, by the two dozen.
        n_folded: How many these are.
        left_out: How many more only the record has.
    """

    sentence: str
    state: State | None
    open: Figure
    folded: tuple[Figure, ...]
    n_folded: int
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
    apart = [found[1] for found in (column_panel(record), row_panel(record)) if found]
    for family in wording.families(record):
        readings = [reading for reading in record.measurements if reading.family == family]
        found = record.families.get(family)
        rows = _gate_rows(record, family, limits)
        chapter = Chapter(
            family=family,
            question=wording.question(family) or family,
            state=wording.family_state(record, family),
            answer=wording.answer(record, family),
            because=_unsaid(found.because if found else [], [row.line for row in rows]),
            gates=[row for row in rows if not _aside(row.line)],
            aside=[row for row in rows if _aside(row.line)],
            readings=len(readings),
        )
        yield chapter if limits is None else _illustrated(record, chapter, readings, apart, limits)


def _gate_rows(record: RecordData, family: str, limits: Limits | None) -> list[GateRow]:
    """The gates of a question, worst first; the first of them with their cells."""
    gates = [gate for gate in record.gates if wording.family_of(gate) == family]
    lines = [wording.line_of(record, gate) for gate in gates]
    gate_of = {id(line): gate for line, gate in zip(lines, gates, strict=True)}
    ordered = wording.line_order(record, lines)
    if limits is None:
        return [GateRow(line=line) for line in ordered]
    detailed = ordered[: limits.gates]
    rows = [_detailed(record, line, gate_of[id(line)], limits.cells) for line in detailed]
    return rows + [GateRow(line=line) for line in ordered[limits.gates :]]


def _detailed(record: RecordData, line: Line, gate: GateReading, most: int) -> GateRow:
    return GateRow(
        line=line,
        detailed=True,
        cells=wording.cell_lines(record, gate, gate.cells[:most]),
        cells_left=max(0, len(gate.cells) - most),
        too_few=wording.cell_lines(record, gate, gate.too_few[:most]),
        too_few_left=max(0, len(gate.too_few) - most),
    )


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
    apart: Sequence[PanelReading],
    limits: Limits,
) -> Chapter:
    """With figures and tables, as many as the limits admit; ``apart`` are those with a section of their own."""
    panels = [(r, panel) for r in readings for panel in r.panels if not any(panel is one for one in apart)]
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
    loud = [row.line for row in chapter.gates if row.line.state not in STILL]
    asked = [*loud, *(row.line for row in chapter.gates if row.line.state == "pass" and (passed or not loud))]
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
    if panel.kind != "pairs" or record.manifest.shows_real or panel.shows_real:
        return False
    return not any(isinstance(pair, dict) and pair.get("synthetic_shown") for pair in _parts(panel, "pairs"))


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


def column_panel(record: RecordData) -> tuple[Reading, PanelReading] | None:
    """The panel of the column distributions, if there is one that can be drawn column by column."""
    return next((one for one in _panels(record) if one[1].kind == "marginals" and _parts(one[1], "columns")), None)


def row_panel(record: RecordData) -> tuple[Reading, PanelReading] | None:
    """The panel of single rows or images whose contents may be shown, of the first metric that has one."""
    return next((one for one in _panels(record) if one[1].kind == "pairs" and not _veiled(record, one[1])), None)


def _panels(record: RecordData) -> Iterator[tuple[Reading, PanelReading]]:
    return ((reading, panel) for reading in record.measurements for panel in reading.panels)


def _parts(panel: PanelReading, name: str) -> list[object]:
    found = panel.data.get(name)
    return found if isinstance(found, list) else []


def columns_of(record: RecordData, limits: Limits) -> Side | None:
    """Column by column, real and release: the columns that differ most, and the others."""
    found = column_panel(record)
    if found is None:
        return None
    reading, panel = found
    lines = [wording.line_of(record, gate) for gate in record.gates if gate.metric == reading.metric]
    judged = [line for line in wording.line_order(record, lines) if line.state != "not_applicable"]
    side = _side(record, panel, "columns", COLUMNS_OPEN, limits)
    return replace(side, sentence=judged[0].gate.why, state=judged[0].state) if judged else side


def rows_of(record: RecordData, limits: Limits) -> Side | None:
    """Single rows or images of the release beside real ones, as far as their contents may be shown."""
    found = row_panel(record)
    if found is None:
        return None
    images = found[1].data.get("modality") == "image"
    return _side(record, found[1], "pairs", IMAGES_OPEN if images else ROWS_OPEN, limits)


def _side(record: RecordData, panel: PanelReading, name: str, most: int, limits: Limits) -> Side:
    """The first few parts of a panel, and the others by the two dozen."""
    parts = _parts(panel, name)
    rest = parts[most : most + limits.columns]
    groups = [parts[:most], *(rest[at : at + A_FIGURE] for at in range(0, len(rest), A_FIGURE))]
    shown = record.manifest.shows_real
    drawn = [draw(panel.model_copy(update={"data": {**panel.data, name: part}}), shows_real=shown) for part in groups]
    first, *others = [_fitted(replace(figure, plot=None), limits) for figure in drawn]
    left_out = len(parts) - len(groups[0]) - len(rest)
    return Side(sentence="", state=None, open=first, folded=tuple(others), n_folded=len(rest), left_out=left_out)
