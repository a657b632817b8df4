"""The heat map of two columns: shares in a release over shares in real data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from counterproof.metrics.estimate import Panel
from counterproof.metrics.shares import THIN, Cell
from counterproof.metrics.workbench import Workbench


def cell_panels(bench: Workbench, cells: list[Cell], decidable: list[Cell]) -> Iterator[Panel]:
    """A heat map of each pair of columns that ends in the label, else of the first pair."""
    pairs = sorted({tuple(column for column, _ in cell.group) for cell in cells if len(cell.group) == 2})
    with_label = [pair for pair in pairs if bench.corpus.label in pair]
    for first, second in with_label or pairs[:3]:
        inside = [cell for cell in cells if tuple(column for column, _ in cell.group) == (first, second)]
        rows = sorted({cell.group[0][1] or "" for cell in inside})
        across = sorted({cell.group[1][1] or "" for cell in inside})
        yield Panel(
            kind="cells",
            title=f"{first} by {second}: share in the release over share in real data",
            data={
                "row_title": first,
                "column_title": second,
                "rows": rows,
                "columns": across,
                "cells": [_drawn(bench, cell, cell in decidable, rows, across) for cell in inside],
            },
        )


def _drawn(bench: Workbench, cell: Cell, decidable: bool, rows: list[str], across: list[str]) -> dict[str, Any]:
    e = cell.estimate(bench.level)
    few = cell.real < bench.small_cell
    adjusted = e.bound("high", 1 - (1 - bench.level) / 20) if cell.made else e.high
    thin = adjusted < THIN
    state = "empty" if cell.made == 0 and not few else "thin" if thin else "ok" if decidable else "too few"
    return {
        "row": rows.index(cell.group[0][1] or ""),
        "column": across.index(cell.group[1][1] or ""),
        "value": None if few else e.value,
        "low": None if few else e.low,
        "high": None if few else e.high,
        "n_real": None if few else cell.real,
        "n_synthetic": cell.made,
        "state": "too few" if few else state,
    }
