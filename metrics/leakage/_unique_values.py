"""Values, alone and combined, that one real record alone holds, and whether a release holds them too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from counterproof.metrics.leakage._parts_of_texts import SEPARATORS, unique_parts
from counterproof.metrics.sample import Flags, Rows
from counterproof.metrics.statistics.coincidence import joint_code
from counterproof.metrics.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd


Columns = tuple[str, ...]
MISSING = -1
LARGEST = 4  # columns combined at most
OFTEN = 0.5  # a column whose values are mostly unique tells as much alone as in company


@dataclass(frozen=True, eq=False, kw_only=True)
class Uniques:
    """What stands once among real sources, and again in the release, by set of columns.

    Attributes:
        sets: The columns of each set.
        held: ``(units, sets)`` whether a source alone holds its value there.
        hit: ``(units, sets)`` whether such a value stands in the release.
        first: ``(units,)`` position among the real rows of each source's first row.
        left_out: Columns that number the rows.
        parts: What of its column's texts a set holds, ``parts`` or ``words``; empty for a set of values.
    """

    sets: tuple[Columns, ...]
    held: Flags
    hit: Flags
    first: Rows
    left_out: Columns
    parts: tuple[str, ...]

    def of(self, units: Flags) -> Uniques:
        """Some of the sources."""
        return replace(self, held=self.held[units], hit=self.hit[units], first=self.first[units])

    @property
    def single(self) -> Flags:
        """Which sets are the values of one column."""
        return np.array([len(columns) == 1 for columns in self.sets], dtype=bool) & ~self.partial

    @property
    def combined(self) -> Flags:
        """Which sets are combinations of columns."""
        return ~self.single & ~self.partial

    @property
    def partial(self) -> Flags:
        """Which sets are parts of one column's texts."""
        return np.array([bool(what) for what in self.parts], dtype=bool)

    def label(self, at: int, between: str) -> str:
        """A set in words."""
        return (f"{self.parts[at]} of " if self.parts[at] else "") + between.join(self.sets[at])


def uniques_of(bench: Workbench, *, most: int) -> Uniques:
    """Every column alone, up to ``most`` combinations of each size from two to four, and the parts of texts."""
    codes, left_out = column_values(bench)
    real = bench.real.rows
    unit = bench.real.units
    alone = {name: _unique_in(column, unit, len(real)) for name, column in codes.items()}
    joined = [name for name, (held, _) in alone.items() if held.mean() <= OFTEN]
    parts = {place: found for name in codes for place, found in _parts(bench, name, unit)}
    chosen = [(name,) for name in codes] + drawn(joined, most, bench.generator("combinations"))
    units = int(unit.max()) + 1
    held, hit = (np.zeros((units, len(chosen) + len(parts)), dtype=bool) for _ in range(2))
    for at, columns in enumerate(chosen):
        if len(columns) == 1:
            own, found = alone[columns[0]]
        else:
            own, found = _unique_in(_together([codes[name] for name in columns]), unit, len(real))
            common = ~np.any([alone[name][0] for name in columns], axis=0)  # a unique part is told of alone
            own, found = own & common, found & common
        held[unit[own], at], hit[unit[found], at] = True, True
    for at, (holds, leaks) in enumerate(parts.values(), start=len(chosen)):
        held[unit[holds], at], hit[unit[leaks], at] = True, True
    return Uniques(
        sets=(*chosen, *((name,) for name, _ in parts)),
        held=held,
        hit=hit,
        first=np.unique(unit, return_index=True)[1],
        left_out=left_out,
        parts=(*[""] * len(chosen), *(what for _, what in parts)),
    )


def _parts(bench: Workbench, name: str, unit: Rows) -> Iterator[tuple[tuple[str, str], tuple[Flags, Flags]]]:
    """The same for the parts and the words of a column of texts."""
    frame = bench.corpus.frame
    if frame is None or name not in bench.corpus.texts:
        return
    texts = frame[name].take(np.concatenate([bench.real.rows, bench.release.rows]))
    for what, separator in SEPARATORS.items():
        found = unique_parts(texts, unit, len(bench.real), separator)
        if found is not None:
            yield (name, what), found


def column_values(bench: Workbench) -> tuple[dict[str, Rows], Columns]:
    """A number per value of each column, for all real rows and then the release; -1 is missing.

    What merely counts the rows of the release is left out: such numbers meet those of any table. Identifiers
    stay: one of a training record in the release gives it away as nothing else does.
    """
    import pandas as pd

    frame = bench.corpus.frame
    assert frame is not None
    rows = np.concatenate([bench.real.rows, bench.release.rows])
    found, left_out = {}, []
    for name in frame.columns:
        column = frame[name]
        step = None if bench.corpus.kinds.get(name) == "identifier" else 1
        if numbers_rows(column.take(bench.release.rows), step=step):
            left_out.append(str(name))
            continue
        found[str(name)] = pd.factorize(column.take(rows), use_na_sentinel=True)[0].astype(np.intp)
    return found, tuple(left_out)


def numbers_rows(column: pd.Series[Any], *, step: int | None = 1) -> bool:
    """Whether a column holds whole numbers in a row, each once, or such numbers between the same letters.

    ``step`` is the distance from one to the next; None takes any that is the same throughout.

    >>> import pandas as pd
    >>> numbers_rows(pd.Series([3, 1, 2])), numbers_rows(pd.Series([3, 1, 1]))
    (True, False)
    >>> numbers_rows(pd.Series(["P-03", "P-01", "P-02"])), numbers_rows(pd.Series(["P-03", "Q-01", "P-02"]))
    (True, False)
    """
    if column.dtype.kind not in "iuf" and len(column) > 1 and not column.isna().any():
        parts = column.astype(str).str.extract(r"^(\D*)(\d{1,15})(\D*)$")
        if parts[1].isna().any() or parts[0].nunique() > 1 or parts[2].nunique() > 1:
            return False
        column = parts[1].astype(np.int64)
    if column.dtype.kind not in "iuf" or len(column) < 2 or column.isna().any():
        return False
    values = np.sort(column.to_numpy(dtype=np.float64))
    steps = np.diff(values)
    return bool(steps[0] >= 1 and (steps == (step or steps[0])).all())


def drawn(columns: list[str], most: int, rng: np.random.Generator) -> list[Columns]:
    """Combinations of two to four columns: all of a size, or ``most`` of them at random.

    >>> drawn(["a", "b", "c"], 2, np.random.default_rng(0))[-1]
    ('a', 'b', 'c')
    """
    made: list[Columns] = []
    for size in range(2, min(LARGEST, len(columns)) + 1):
        if comb(len(columns), size) <= most:
            made += list(combinations(columns, size))
            continue
        chosen: dict[Columns, None] = {}
        while len(chosen) < most:
            at = np.sort(rng.choice(len(columns), size, replace=False))
            chosen[tuple(columns[i] for i in at)] = None
        made += list(chosen)
    return made


def _together(columns: list[Rows]) -> Rows:
    missing = np.any([column == MISSING for column in columns], axis=0)
    return np.where(missing, MISSING, joint_code([column + 1 for column in columns]))


def _unique_in(values: Rows, unit: Rows, n: int) -> tuple[Flags, Flags]:
    """Real rows whose value no other source holds, and those of them whose value the release holds."""
    real, made = values[:n], values[n:]
    size = int(values.max(initial=0)) + 1
    known = real != MISSING
    lowest, highest = np.full(size, len(unit)), np.full(size, -1)
    np.minimum.at(lowest, real[known], unit[known])
    np.maximum.at(highest, real[known], unit[known])
    there = np.zeros(size, dtype=bool)
    there[made[made != MISSING]] = True
    own = known & (lowest[real] == highest[real])
    return own, own & there[real]
