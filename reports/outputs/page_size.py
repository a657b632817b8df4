"""How much of a record stands on the page: limits from all to least, and what a figure weighs."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from counterproof.reports.figures.draw import Figure


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
    gates: int = 100
    cells: int = 12
    readings: int = 1500
    columns: int = 144


LEVELS = (
    Limits(),
    Limits(figure_bytes=150_000, figure_rows=40, tables=10, table_rows=8, gates=50, cells=6, readings=600, columns=48),
    Limits(figure_bytes=0, figure_rows=0, tables=0, table_rows=0, gates=20, cells=3, readings=200, columns=0),
)
"""From all to least: the page takes the first that keeps it within its size."""


def fitted(figure: Figure, limits: Limits) -> Figure:
    """A figure whose table has as many rows as the page has room for."""
    rows = figure.rows[: limits.figure_rows]
    return replace(figure, rows=rows, left_out=figure.left_out + len(figure.rows) - len(rows))


def weight_of(figure: Figure) -> int:
    """About what a figure adds to the page."""
    table = sum(len(entry) + 9 for row in figure.rows for entry in row)
    return len(figure.drawing) + len(json.dumps(figure.plot)) + table
