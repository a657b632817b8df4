"""Histograms of each column, real beside candidate, without disclosing rare real values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.metrics.estimate import Panel
from counterproof.metrics.sample import MISSING_TEXT
from counterproof.metrics.workbench import Workbench

BINS = 16
CATEGORIES = 12


def column_panel(bench: Workbench, distances: Mapping[str, float], *, most: int = 24) -> Panel:
    """The panel ``marginals``: worst column first, bars carried by few real rows hidden."""
    worst = sorted(distances, key=lambda name: (-distances[name], name))[:most]
    mixed = bench.corpus.mixed
    assert mixed is not None
    numbers = set(mixed.columns[: mixed.numeric.shape[1]])
    columns = [
        {
            "column": name,
            "kind": bench.corpus.kinds.get(name, ""),
            "statistic": "KS" if name in numbers else "TV",
            "value": distances[name],
            "floor": None,
            **(number_bars(bench, name) if name in numbers else category_bars(bench, name)),
        }
        for name in worst
    ]
    hidden = (
        f"Bars that fewer than {bench.small_cell} real rows carry are hidden, "
        "and where the others would tell them, the next smallest too."
    )
    return Panel(kind="marginals", title="Columns, worst first", data={"columns": columns}, note=hidden)


def number_bars(bench: Workbench, name: str) -> dict[str, Any]:
    """Shares per bin; the outer bins are open so that no real extreme is shown.

    With few real rows even inner edges would disclose values: they share one bin.
    """
    real, made = numbers_of(bench.reference.frame[name]), numbers_of(bench.candidate.frame[name])
    known = real[~np.isnan(real)]
    edges = np.zeros(0)
    if len(known) >= 4 * bench.small_cell:
        edges = np.unique(np.linspace(*_outer_edges(known, bench.small_cell), BINS - 1))
    labels = [bin_name(edges, at, is_date=_is_date(bench, name)) for at in range(len(edges) + 1)]
    bars = [np.bincount(np.digitize(v[~np.isnan(v)], edges), minlength=len(labels)) for v in (real, made)]
    if np.isnan(real).any() or np.isnan(made).any():
        labels.append("missing")
        bars = [np.append(bar, np.isnan(v).sum()) for bar, v in zip(bars, (real, made), strict=True)]
    return _shares(bench, labels, bars[0], bars[1])


def _outer_edges(known: NDArray[np.float64], small_cell: int) -> tuple[float, float]:
    """Where the open bins begin: 1 % of the rows lie beyond, and never so few that the edge discloses an extreme."""
    tail = max(0.01, small_cell / len(known))
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def category_bars(bench: Workbench, name: str) -> dict[str, Any]:
    """Shares of the commonest categories; the rest together."""
    real, made = (s.frame[name].astype(object) for s in (bench.reference, bench.candidate))
    real, made = (v.where(v.notna(), MISSING_TEXT).astype(str) for v in (real, made))
    counts = real.value_counts()
    shown = [str(value) for value in counts.index[:CATEGORIES] if counts[value] >= bench.small_cell]
    bars = [np.array([*((v == value).sum() for value in shown), (~v.isin(shown)).sum()]) for v in (real, made)]
    return _shares(bench, [*shown, "all others"], bars[0], bars[1])


def _shares(bench: Workbench, labels: list[str], real: Any, made: Any) -> dict[str, Any]:
    hidden = _hidden(real, bench.small_cell)
    return {
        "labels": labels,
        "real": [None if gone else float(k / max(real.sum(), 1)) for k, gone in zip(real, hidden, strict=True)],
        "synthetic": [float(k / max(made.sum(), 1)) for k in made],
    }


def _hidden(counts: NDArray[np.intp], small_cell: int) -> NDArray[np.bool_]:
    """Bars of few real rows; they must not follow from the shown ones, which sum to 1, either.

    So the smallest of the others is hidden too where one bar is hidden, or where all hidden ones
    together hold few rows.
    """
    hidden = (counts > 0) & (counts < small_cell)
    if hidden.any() and (hidden.sum() == 1 or counts[hidden].sum() < small_cell):
        shown = np.flatnonzero((counts > 0) & ~hidden)
        hidden[shown[counts[shown].argsort(kind="stable")[:1]]] = True
    return hidden


def numbers_of(column: pd.Series[Any]) -> NDArray[np.float64]:
    """A number or date column as float64, dates in seconds; NaN for missing."""
    if pd.api.types.is_datetime64_any_dtype(column):
        seconds = column.astype("datetime64[s]").astype("int64").to_numpy(dtype=np.float64)
        return np.where(column.isna(), np.nan, seconds)
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _is_date(bench: Workbench, name: str) -> bool:
    return bench.corpus.kinds.get(name) == "datetime"


def bin_name(edges: NDArray[np.float64], at: int, *, is_date: bool) -> str:
    """The bin before the ``at``-th edge, in words."""

    def text(value: float) -> str:
        # numpy's dates reach the year 9999, which stands for "never" in many tables; pandas' nanoseconds do not
        if is_date:
            return str(np.datetime64(math.floor(value), "s").astype("datetime64[D]"))
        return f"{float(f'{value:.4g}'):,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"

    if not len(edges):
        return "all values"
    if at == 0:
        return f"< {text(edges[0])}"
    return f"≥ {text(edges[-1])}" if at == len(edges) else f"{text(edges[at - 1])} to {text(edges[at])}"
