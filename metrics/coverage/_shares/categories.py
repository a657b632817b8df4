"""Columns as categories: groups and label as they are, columns of the table pooled or cut into fifths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.errors import MetricError
from counterproof.metrics.sample import MISSING_TEXT, RARE_TEXT
from counterproof.metrics.shared.partitions import CROWD, partition_by
from counterproof.metrics.workbench import Workbench
from counterproof.refusal import did_you_mean

if TYPE_CHECKING:
    import pandas as pd


FEW = 12  # numbers of more distinct real values are cut into fifths


@dataclass(frozen=True, eq=False, kw_only=True)
class Category:
    """A column by the values that real rows hold.

    Attributes:
        name: The column.
        values: Its real values, as readers see them.
        codes: ``(n,)`` value of each row of the corpus; ``len(values)`` is a value that no real row holds.
    """

    name: str
    values: tuple[str, ...]
    codes: NDArray[np.intp]


def categories(bench: Workbench, names: Sequence[str] | None) -> tuple[tuple[Category, ...], dict[str, int]]:
    """The columns that patterns are made of, and those of too many values, with their number.

    Columns of one value are left out: they tell nothing apart.

    Args:
        bench: The view.
        names: Columns to use; the groups and the label by default.

    Raises:
        MetricError: No such column, or one that is no category.
    """
    chosen = default_columns(bench) if names is None else tuple(dict.fromkeys(names))
    found, crowded = [], {}
    for name in chosen:
        category = _category(bench, name)
        if len(category.values) > CROWD:
            crowded[name] = len(category.values)
        elif len(category.values) > 1:
            found.append(category)
    return tuple(found), crowded


def default_columns(bench: Workbench) -> tuple[str, ...]:
    """Groups, and the label as the last."""
    corpus = bench.corpus
    label = () if corpus.labels is None else (corpus.label,)
    return tuple(dict.fromkeys((*corpus.groups, *label)))


def _category(bench: Workbench, name: str) -> Category:
    if name in default_columns(bench):
        part = partition_by(bench, (name,))
        return _of_real_values(bench, name, [str(value) or MISSING_TEXT for (value,) in part.values], part.codes)
    values, codes = _coded(bench, _column(bench, name), name)
    return _of_real_values(bench, name, values, codes)


def _of_real_values(bench: Workbench, name: str, values: Sequence[str], codes: NDArray[np.intp]) -> Category:
    """The category without the values that no real row holds."""
    there = np.bincount(codes[bench.real.rows], minlength=len(values)) > 0
    place = np.where(there, np.cumsum(there) - 1, there.sum())
    return Category(name=name, values=tuple(v for v, t in zip(values, there, strict=True) if t), codes=place[codes])


def _column(bench: Workbench, name: str) -> pd.Series[Any]:
    frame, kinds = bench.corpus.frame, bench.corpus.kinds
    known = [*default_columns(bench), *(() if frame is None else map(str, frame.columns))]
    if frame is None or name not in frame.columns:
        raise MetricError(f"option columns: there is no column {name!r}{did_you_mean(name, known)}")
    if kinds.get(name) not in ("category", "boolean", "number"):
        kind = kinds.get(name, "kind unknown")
        raise MetricError(f"option columns: {name!r} ({kind}) is no category and no number; give it as a group")
    return frame[name]


def _coded(bench: Workbench, column: pd.Series[Any], name: str) -> tuple[list[str], NDArray[np.intp]]:
    real = bench.real.rows
    if bench.corpus.kinds.get(name) == "number":
        numbers = column.to_numpy(dtype=np.float64)
        if len(np.unique(numbers[real][~np.isnan(numbers[real])])) > FEW:
            return _fifths(numbers, real)
        texts = np.array(["" if np.isnan(x) else f"{x:.12g}" for x in numbers], dtype=np.str_)
    else:
        texts = np.array(column.astype(object).where(column.notna(), "").astype(str), dtype=np.str_)
    values, codes = np.unique(texts, return_inverse=True)
    names = [str(value) or MISSING_TEXT for value in values]
    return _pooled(names, codes.astype(np.intp), real, 1 if bench.show_real else bench.small_cell)


def _pooled(
    names: list[str], codes: NDArray[np.intp], real: NDArray[np.intp], least: int
) -> tuple[list[str], NDArray[np.intp]]:
    """Values of few real rows under one name, so that none of them is told."""
    counts = np.bincount(codes[real], minlength=len(names))
    rare = (counts > 0) & (counts < least) & (np.array(names) != MISSING_TEXT)
    return [*names, RARE_TEXT], np.where(rare[codes], len(names), codes)


def _fifths(numbers: NDArray[np.float64], real: NDArray[np.intp]) -> tuple[list[str], NDArray[np.intp]]:
    """Fifths of the real rows; the outer ones are open, so that every synthetic number has a place."""
    gone = np.isnan(numbers)
    known = numbers[real][~gone[real]]
    edges = np.unique(np.quantile(known, [0.2, 0.4, 0.6, 0.8]))
    edges = edges[edges < known.max()]
    if not len(edges):
        edges = np.array([known[known < known.max()].max()])
    ends = [f"{edge:g}" for edge in edges]
    if len(set(ends)) < len(ends):
        ends = [repr(float(edge)) for edge in edges]
    names = [f"≤ {ends[0]}", *(f"({a}, {b}]" for a, b in pairwise(ends)), f"> {ends[-1]}", MISSING_TEXT]
    place = np.searchsorted(edges, numbers, side="left")
    return names, np.where(gone, len(names) - 1, place).astype(np.intp)


__all__ = ["Category", "categories", "default_columns"]
