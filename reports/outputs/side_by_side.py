"""Side by side: columns of real data and of the release, and rows or images of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from counterproof.reports import gate_lines
from counterproof.reports.figures.draw import Figure, draw
from counterproof.reports.gate_lines import State
from counterproof.reports.model import PanelReading, Reading, RecordData
from counterproof.reports.outputs.page_size import Limits, fitted
from counterproof.reports.sentences import places_of

COLUMNS_OPEN, ROWS_OPEN, A_FIGURE = 6, 6, 24


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
        family: The question that they belong to.
    """

    sentence: str
    state: State | None
    family: str
    open: Figure
    folded: tuple[Figure, ...]
    n_folded: int
    left_out: int


def column_panel(record: RecordData) -> tuple[Reading, PanelReading] | None:
    """The panel of the column distributions, if there is one that can be drawn column by column."""
    return next((one for one in _panels(record) if one[1].kind == "marginals" and parts_of(one[1], "columns")), None)


def row_panel(record: RecordData) -> tuple[Reading, PanelReading] | None:
    """The panel of single rows or images whose contents may be shown, of the first metric that has one."""
    return next((one for one in _panels(record) if one[1].kind == "pairs" and not veiled(record, one[1])), None)


def _panels(record: RecordData) -> Iterator[tuple[Reading, PanelReading]]:
    return ((reading, panel) for reading in record.measurements for panel in reading.panels)


def parts_of(panel: PanelReading, name: str) -> list[object]:
    """The list of that name in a panel's data; none where a plugin's has another shape."""
    found = panel.data.get(name)
    return found if isinstance(found, list) else []


def columns_of(record: RecordData, limits: Limits) -> Side | None:
    """Column by column, real and release: the columns that differ most, and the others."""
    found = column_panel(record)
    if found is None:
        return None
    reading = found[0]
    places = places_of(record.measurements)
    lines = [gate_lines.line_of(record, gate, places) for gate in record.gates if gate.metric == reading.metric]
    judged = [line for line in gate_lines.line_order(record, lines) if line.state != "not_applicable"]
    side = _side(record, found, "columns", COLUMNS_OPEN, limits)
    return replace(side, sentence=judged[0].gate.why, state=judged[0].state) if judged else side


def rows_of(record: RecordData, limits: Limits) -> Side | None:
    """Single rows or images of the release beside real ones, as far as their contents may be shown."""
    found = row_panel(record)
    if found is None:
        return None
    return _side(record, found, "pairs", ROWS_OPEN, limits)


def _side(record: RecordData, found: tuple[Reading, PanelReading], name: str, most: int, limits: Limits) -> Side:
    """The first few parts of a panel, and the others by the two dozen."""
    reading, panel = found
    parts = parts_of(panel, name)
    rest = parts[most : most + limits.columns]
    groups = [parts[:most], *(rest[at : at + A_FIGURE] for at in range(0, len(rest), A_FIGURE))]
    shown = record.manifest.shows_real
    drawn = [draw(panel.model_copy(update={"data": {**panel.data, name: part}}), shows_real=shown) for part in groups]
    first, *others = [fitted(replace(figure, plot=None), limits) for figure in drawn]
    left_out = len(parts) - len(groups[0]) - len(rest)
    return Side(
        sentence="",
        state=None,
        family=reading.family,
        open=first,
        folded=tuple(others),
        n_folded=len(rest),
        left_out=left_out,
    )


def veiled(record: RecordData, panel: PanelReading) -> bool:
    """Whether a panel shows nothing but names, its contents being hidden."""
    if panel.kind != "pairs" or record.manifest.shows_real or panel.shows_real:
        return False
    return not any(isinstance(pair, dict) and pair.get("synthetic_shown") for pair in parts_of(panel, "pairs"))
