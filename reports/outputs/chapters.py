"""Chapters of the report: one per question, with what carries its finding apart from what folds away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from counterproof.reports import gate_lines, wording
from counterproof.reports.figures.draw import Figure, draw
from counterproof.reports.figures.markup import Markup
from counterproof.reports.gate_lines import Line, State
from counterproof.reports.model import EvidenceReading, GateReading, PanelReading, Reading, RecordData
from counterproof.reports.outputs.page_size import Limits, fitted, weight_of
from counterproof.reports.outputs.side_by_side import column_panel, parts_of, row_panel, veiled
from counterproof.reports.sentences import Places, places_of

FINDINGS, FINDINGS_OF_A_PASS = 3, 2
OPEN_GATES, OPEN_PASSES = 10, 5
WIDE = ("forest", "pairs", "marginals")
"""Kinds of figures that need the whole width of the page."""
ENTRIES_OPEN = 12
STILL: frozenset[State] = frozenset({"pass", "undecided", "not_applicable", "not_assessed"})
Panels = Sequence[tuple[Reading, PanelReading]]


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


def tally(lines: Sequence[Line]) -> str:
    """How many gates have which verdict, worst first.

    >>> tally([])
    'no gate'
    """
    states = [line.state for line in lines]
    counted = {state: states.count(state) for state in gate_lines.LOOKS if state in states}
    return ", ".join(f"{n} {gate_lines.LOOKS[state].word.lower()}" for state, n in counted.items()) or "no gate"


def chapters_of(record: RecordData, limits: Limits | None = None) -> list[Chapter]:
    """Every question; its figures and tables too where ``limits`` are given."""
    return list(_chapters(record, limits))


def _chapters(record: RecordData, limits: Limits | None) -> Iterator[Chapter]:
    apart = [found[1] for found in (column_panel(record), row_panel(record)) if found]
    places = places_of(record.measurements)
    for family in gate_lines.families(record):
        readings = [reading for reading in record.measurements if reading.family == family]
        found = record.families.get(family)
        rows = _gate_rows(record, family, limits, places)
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


def _gate_rows(record: RecordData, family: str, limits: Limits | None, places: Places) -> list[GateRow]:
    """The gates of a question, worst first; the first of them with their cells."""
    gates = [gate for gate in record.gates if gate_lines.family_of(gate) == family]
    lines = [gate_lines.line_of(record, gate, places) for gate in gates]
    gate_of = {id(line): gate for line, gate in zip(lines, gates, strict=True)}
    ordered = gate_lines.line_order(record, lines)
    if limits is None:
        return [GateRow(line=line) for line in ordered]
    detailed = ordered[: limits.gates]
    rows = [_detailed(record, line, gate_of[id(line)], limits.cells, places) for line in detailed]
    return rows + [GateRow(line=line) for line in ordered[limits.gates :]]


def _detailed(record: RecordData, line: Line, gate: GateReading, most: int, places: Places) -> GateRow:
    return GateRow(
        line=line,
        detailed=True,
        cells=gate_lines.cell_lines(record, gate, gate.cells[:most], places),
        cells_left=max(0, len(gate.cells) - most),
        too_few=gate_lines.cell_lines(record, gate, gate.too_few[:most], places),
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
        figure = fitted(_drawn(record, reading, panel), limits)
        figure = replace(figure, drawing=Markup("")) if figure.plot else figure
        spent += weight_of(figure)
        if spent > limits.figure_bytes:
            break
        figures.append(figure)
    tables = [(gate_lines.subject_of(reading), table) for reading in readings for table in reading.evidence]
    return replace(
        chapter,
        findings=[replace(one, figure=fitted(one.figure, limits)) for one in findings],
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
        telling = [(r, p) for r, p in rest if r.metric in metrics and p.title not in titles and not veiled(record, p)]
        about = [*_worst_columns(line), line.gate.field.removesuffix("_gap").replace("_", " ")]
        own = max(telling, key=lambda one: sum(name in one[1].title for name in about), default=None)
        if own is not None:
            rest = [one for one in rest if one[1] is not own[1]]
            sentence = line.gate.why or line.title
            found.append(Finding(sentence=sentence, state=line.state, figure=_shortened(record, *own)))
    return found, rest


def _shortened(record: RecordData, reading: Reading, panel: PanelReading) -> Figure:
    """A figure of at most a dozen entries; its table has them all."""
    figure, entries = _drawn(record, reading, panel), parts_of(panel, "entries")
    if panel.kind != "forest" or len(entries) <= ENTRIES_OPEN:
        return figure
    short = draw(panel.model_copy(update={"data": {**panel.data, "entries": entries[:ENTRIES_OPEN]}}))
    note = f"{figure.note} · The first {ENTRIES_OPEN} of {len(entries)} entries; the table has all."
    return replace(figure, drawing=short.drawing, plot=short.plot, note=note)


def _worst_columns(line: Line) -> list[str]:
    """The columns of the group that decides a gate: the figure that shows them proves it best."""
    deciding = [cell.group for cell in line.gate.cells if cell.verdict == line.gate.verdict]
    return list(line.gate.group or (deciding[0] if deciding else {}))


def _drawn(record: RecordData, reading: Reading, panel: PanelReading) -> Figure:
    """A figure whose note names its measurement, as every table of evidence does."""
    figure = draw(panel, shows_real=record.manifest.shows_real)
    return replace(figure, note=" · ".join(part for part in (gate_lines.subject_of(reading), figure.note) if part))
