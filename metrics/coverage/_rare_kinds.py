"""Kinds of rows that real data hold few of: rare categories and classes, and the tails of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Group
from counterproof.metrics.sample import MISSING_TEXT, Mixed, Rows
from counterproof.metrics.shared.partitions import CROWD, partitions
from counterproof.metrics.workbench import Workbench

ATOM = 5  # a tail that holds more than so many times its share is no tail: one value that many rows have
COMPARISONS = {  # by end, and whether the edge itself is left out
    (True, False): np.greater_equal,
    (True, True): np.greater,
    (False, False): np.less_equal,
    (False, True): np.less,
}
Flags = NDArray[np.bool_]
Field = Literal["tails", "categories"]
KINDS: Work[list[Kind]] = Work("rare kinds of rows")


@dataclass(frozen=True, eq=False, kw_only=True)
class Kind:
    """One kind of rows.

    Attributes:
        field: What it is.
        group: Its name: ``(("column", "age"), ("cell", "low"))``.
        words: Its name for readers: ``age ≥ 74``, ``race = Other``.
        inside: Which of some rows of the corpus are of the kind.
        hidden: Whether so few real rows are that nothing may be told of them.
    """

    field: Field
    group: Group
    words: str
    inside: Callable[[Rows], Flags]
    hidden: bool = False


def rare_kinds(bench: Workbench, *, rare: float, tail: float) -> list[Kind]:
    """All kinds, as real data define them: the same for every view.

    Args:
        bench: The samples.
        rare: Share of real rows up to which a category is rare.
        tail: Share of real rows on each side that is a tail.
    """
    return bench.shared(
        KINDS.about(bench.real, rare=rare, tail=tail), lambda: [*_tails(bench, tail), *_categories(bench, rare)]
    )


def _tails(bench: Workbench, tail: float) -> Iterator[Kind]:
    mixed = bench.corpus.mixed
    if mixed is None:
        return
    few = 0 if bench.show_real else bench.small_cell
    for at in range(mixed.numeric.shape[1]):
        column = mixed.numeric[:, at]
        real = np.sort(column[bench.real.rows])
        real = real[~np.isnan(real)]
        name = mixed.columns[at]
        sides = {end: _side(column, real, tail, end == "high") for end in ("low", "high")} if len(real) else {}
        found = {end: side for end, side in sides.items() if side is not None}
        ends = {end: (_in_words(bench, column, name, side, end, tail), side.inside) for end, side in found.items()}
        if len(found) == 2:
            both = f"{name} among its lowest or highest {tail:.0%}"
            ends = {"": (both, _either(*(side.inside for side in found.values()))), **ends}
        for end, (words, inside) in ends.items():
            group: Group = (("column", name), *([("cell", end)] if end else []))
            hidden = int(inside(bench.real.rows).sum()) < max(few, 1)
            yield Kind(field="tails", group=group, words=words, inside=inside, hidden=hidden)


@dataclass(frozen=True, eq=False, kw_only=True)
class Side:
    """One end of a number column: the rows at or beyond ``edge``, or only those ``beyond`` it."""

    edge: float
    beyond: bool
    inside: Callable[[Rows], Flags]


def _in_words(bench: Workbench, column: NDArray[np.float32], name: str, side: Side, end: str, tail: float) -> str:
    """``age ≥ 74``: the columns compared are scaled, so the edge is told as it stands in the table; dates by share."""
    frame, kind = bench.corpus.frame, bench.corpus.kinds.get(name)
    if frame is None or kind == "datetime":
        far = {"high": "latest", "low": "earliest"} if kind == "datetime" else {"high": "highest", "low": "lowest"}
        return f"{name} among its {far[end]} {tail:.0%}"
    rows = bench.real.rows
    edge = float(frame[name].iloc[int(rows[np.flatnonzero(column[rows] == np.float32(side.edge))[0]])])
    signs = {"high": ("≥", ">"), "low": ("≤", "<")}
    told = f"{edge:.4g}"  # four digits: the edge is a value of a real row
    return f"{name} {signs[end][side.beyond]} {f'{float(told):,.0f}' if abs(edge) >= 1000 else told}"


def _side(column: NDArray[np.float32], real: NDArray[np.float32], tail: float, high: bool) -> Side | None:
    """Rows at or beyond the outermost real ``tail``; strictly beyond where many rows tie there; None where none are."""
    n = len(real)
    rank = max(1, math.ceil(tail * n))
    edge = real[n - rank] if high else real[rank - 1]
    held = int((real >= edge).sum() if high else (real <= edge).sum())
    beyond = int((real > edge).sum() if high else (real < edge).sum())
    past = held > ATOM * tail * n
    if past and not beyond:
        return None
    compare = COMPARISONS[high, past]
    return Side(edge=float(edge), beyond=past, inside=lambda rows: np.asarray(compare(column[rows], edge)))


def _either(one: Callable[[Rows], Flags], other: Callable[[Rows], Flags]) -> Callable[[Rows], Flags]:
    return lambda rows: one(rows) | other(rows)


def _categories(bench: Workbench, rare: float) -> Iterator[Kind]:
    """Of a table, its category columns; of other data, label and groups."""
    mixed = bench.corpus.mixed
    if mixed is None:
        for part in partitions(bench, order=1, label=True):
            yield from _of_column(bench, part.columns[0], part.codes, part.names.__getitem__, rare)
        return
    for at, name in enumerate(mixed.columns[mixed.numeric.shape[1] :]):
        codes = mixed.codes[:, at].astype(np.intp)
        yield from _of_column(bench, name, codes, _names(bench, mixed, at), rare)


def _names(bench: Workbench, mixed: Mixed, at: int) -> Callable[[int], str]:
    frame = bench.corpus.frame
    column = mixed.columns[mixed.numeric.shape[1] + at]

    def name(code: int) -> str:
        row = int(np.flatnonzero(mixed.codes[:, at] == code)[0])
        if frame is None:
            return f"category {code}"
        value = frame[column].iloc[row]
        return MISSING_TEXT if frame[column].isna().iloc[row] else str(value)

    return name


def _of_column(
    bench: Workbench, column: str, codes: NDArray[np.intp], name: Callable[[int], str], rare: float
) -> Iterator[Kind]:
    real = np.bincount(codes[bench.real.rows], minlength=int(codes.max(initial=0)) + 1)
    few = 1 if bench.show_real else bench.small_cell
    found = np.flatnonzero((real >= few) & (real <= rare * len(bench.real)))
    if len(found) > CROWD:
        told = f"{len(found)} rare values together"
        yield Kind(
            field="categories",
            group=(("column", column), ("cell", told)),
            words=f"one of {len(found)} rare values of {column}",
            inside=_among(codes, found),
        )
        return
    for code in found:
        value = name(int(code))
        group: Group = (("column", column), ("cell", value))
        yield Kind(field="categories", group=group, words=f"{column} = {value}", inside=_among(codes, np.array([code])))


def _among(codes: NDArray[np.intp], kept: NDArray[np.intp]) -> Callable[[Rows], Flags]:
    if len(kept) == 1:
        return lambda rows: np.asarray(codes[rows] == kept[0])
    return lambda rows: np.isin(codes[rows], kept)
