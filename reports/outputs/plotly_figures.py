"""Figures of a record as plotly figures: those of its panels, and intervals of whatever has no panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from counterproof.reports.figures.plots.build import plot_of_panel, plot_of_readings, titled
from counterproof.reports.figures.plots.theme import Palette, Plot, Theme, palette_of
from counterproof.reports.gate_lines import subject
from counterproof.reports.model import GateReading, PanelReading, Reading, RecordData

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def figure_of(record: RecordData, name: str, panel: int | str | None, theme: Theme) -> Figure:
    """One figure of a record; see :meth:`counterproof.reports.record.Record.figure`."""
    palette = palette_of(theme)
    readings = _readings(record, name)
    panels = [one for reading in readings for one in reading.panels]
    if panel is None and not panels:
        return _intervals(record, name, readings, palette)
    chosen = _chosen(record, name, panels, 0 if panel is None else panel)
    plot = plot_of_panel(chosen, palette, shows_real=record.manifest.shows_real)
    return _figure(titled(plot, chosen.title))


def panel_titles(record: RecordData) -> dict[str, list[str]]:
    """The titles of all panels, by the name that ``figure`` answers to."""
    found: dict[str, list[str]] = {}
    for reading in record.measurements:
        if reading.panels:
            found.setdefault(reading.metric, []).extend(panel.title for panel in reading.panels)
    return found


def _readings(record: RecordData, name: str) -> list[Reading]:
    """All readings of a metric, or the one of that name.

    Raises:
        KeyError: There is none; the message names the nearest.
    """
    return [reading for reading in record.measurements if reading.metric == name] or [record[name]]


def _chosen(record: RecordData, name: str, panels: Sequence[PanelReading], panel: int | str) -> PanelReading:
    if isinstance(panel, int) and -len(panels) <= panel < len(panels):
        return panels[panel]
    for one in panels:
        if one.title == panel:
            return one
    if panels:
        told = "; ".join(f"{k} {one.title!r}" for k, one in enumerate(panels))
        raise KeyError(f"{name} has no panel {panel!r}; it has {told}")
    own = panel_titles(record)
    metric = _readings(record, name)[0].metric
    others = f"{metric} has {len(own[metric])}" if metric in own else f"these have: {', '.join(own) or 'none'}"
    raise KeyError(f"{name} has no panel of its own; {others}; figure({name!r}) alone draws its intervals")


def _intervals(record: RecordData, name: str, readings: Sequence[Reading], palette: Palette) -> Figure:
    """Measurements without a panel: of a metric, its headline and what gates judge; of a field, all groups."""
    first = next((reading for reading in readings if reading.headline), readings[0])
    same = [reading for reading in record.measurements if reading.metric == first.metric]
    gates = [gate for gate in _every_gate(record) if gate.metric == first.metric]
    if name == first.metric:
        judged = [gate.field for gate in gates]
        fields = dict.fromkeys([first.field, *(field for field in judged if any(r.field == field for r in same))])
        shown = [reading for field in fields for reading in same if reading.field == field]
    elif first.group:
        shown = [first]
    else:
        shown = [reading for reading in same if reading.field == first.field]
    measured = [reading for reading in shown if reading.estimate is not None]
    if not measured:
        why = f": {first.reason}" if first.reason else ""
        raise ValueError(f"{name} has nothing to draw, it is {first.status.replace('_', ' ')}{why}")
    title = subject(first.title, first.metric, first.field if name != first.metric else "", {})
    return _figure(titled(plot_of_readings(measured, gates, palette), title))


def _every_gate(record: RecordData) -> list[GateReading]:
    return [one for gate in record.gates for one in gate.single]


def _figure(plot: Plot) -> Figure:
    from plotly.graph_objects import Figure

    return Figure(plot)
