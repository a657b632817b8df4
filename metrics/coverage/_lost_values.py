"""Values that a faithful release of this size surely has, and those of them that the release has not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import MISSING_TEXT
from counterproof.metrics.shared.partitions import partitions
from counterproof.metrics.statistics.decidability import largest_decidable_set
from counterproof.metrics.statistics.ratios import EMPTY, empty_chance, swell_of
from counterproof.metrics.workbench import Workbench

COUNTED = ("category", "boolean", "text")  # kinds of table columns whose values are counted
SURE = 1e-4  # chance that a faithful release lacks one value, below which its absence is a fact
SHOWN, NAMED = 40, 80  # values that are listed; characters of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One value that real rows carry.

    Attributes:
        column: Where.
        value: As readers see it.
        real: Real rows.
        expected: Rows that a faithful release of this size has on average.
        made: Rows of the release.
        chance: Probability that such a release has none, given how many rows have the value in all.
    """

    column: str
    value: str
    real: int
    expected: float
    made: int
    chance: float

    def __str__(self) -> str:
        value = self.value if len(self.value) <= NAMED else f"{self.value[:NAMED]}…"
        return f"{self.column} = {value}"


def held_values(bench: Workbench) -> list[Held]:
    """Every value that at least ``small_cell`` real rows carry (fewer with ``show_real``)."""
    return [held for column, texts in _columns(bench) for held in _of_column(bench, column, texts)]


def sure_values(values: list[Held]) -> list[Held]:
    """The values of which a faithful release surely has a row: all of them, but in 1 of 1,000 audits.

    Given how many real and release rows together carry a value, the chance that the release has none of
    them is hypergeometric, whatever the share. A value too rare to be missed beyond chance cannot raise a
    false alarm, so the chances of the others alone are added up (after Tarone 1990, doi:10.2307/2531456).
    """
    chances = np.array([held.chance for held in values])
    return list(compress(values, largest_decidable_set(chances, EMPTY) & (chances <= SURE)))


def lost_value(bench: Workbench) -> Value:
    """How many of the values that a faithful release surely has are not in the release."""
    unit = "values"
    held = held_values(bench)
    if not held:
        reason = "no column holds values that are counted"
        return Value(field="lost", status="not_applicable", better="lower", unit=unit, reason=reason)
    sure = sure_values(held)
    if not sure:
        # Whether this can be decided is told by the real rows: a small release does not get away with it.
        n = len(bench.real) if bench.train is None else len(bench.train)
        decidable = any(empty_chance(one.real, len(bench.real), n) <= SURE for one in held)
        reason = f"a faithful release of {len(bench.release):,} rows may lack any value by chance"
        return Value(
            field="lost", status="not_assessable", better="lower", unit=unit, reason=reason, decidable=decidable
        )
    lost = sorted((one for one in sure if not one.made), key=lambda one: (-one.expected, str(one)))
    return Value(
        field="lost",
        estimate=Estimate.point(len(lost), level=bench.level, method="values counted, none by chance"),
        better="lower",
        unit=unit,
        n={"real": len(bench.real), "release": len(bench.release)},
        reason=f"of {len(sure)} values that a faithful release of this size surely has",
        alarm=_alarm(lost, len(bench.release), bench.noun),
        evidence=(_listed(lost),) if lost else (),
    )


def _alarm(lost: list[Held], rows: int, noun: str) -> str:
    if not lost:
        return ""
    first, others = lost[0], len(lost) - 1
    more = f"; {others} more {'value is' if others == 1 else 'values are'} missing" if others else ""
    made = f"a faithful release of {rows:,} {noun}s"
    return f"No {noun} with {first}; {made} would have about {first.expected:,.0f}{more}."


def _listed(lost: list[Held]) -> Evidence:
    return Evidence(
        title=f"{len(lost)} values of real rows that the release never has, beyond chance",
        columns=("column", "value", "real rows", "rows of a faithful release"),
        rows=tuple((one.column, one.value, one.real, round(one.expected, 1)) for one in lost[:SHOWN]),
        note=f"Those that are missed most stand first; {len(lost) - SHOWN} more." if len(lost) > SHOWN else "",
    )


def _columns(bench: Workbench) -> Iterator[tuple[str, NDArray[np.object_]]]:
    """The values of each counted column as readers see them: of a table's columns, else of label and groups."""
    frame = bench.corpus.frame
    if frame is None:
        for part in partitions(bench, order=1, label=True):
            yield part.columns[0], np.array(part.names, dtype=object)[part.codes]
        return
    for name, kind in bench.corpus.kinds.items():
        if kind in COUNTED and name in frame:
            column = frame[name].astype(object)
            yield name, column.where(column.notna(), MISSING_TEXT).astype(str).to_numpy(dtype=object)


def _of_column(bench: Workbench, column: str, texts: NDArray[np.object_]) -> Iterator[Held]:
    codes, values = pd.factorize(texts)
    real, made = (np.bincount(codes[side.rows], minlength=len(values)) for side in (bench.real, bench.release))
    least = 1 if bench.show_real else max(1, bench.small_cell)
    for code in np.flatnonzero(real >= least):
        # As if the real rows had them all: rows of one source are not independent, so they are spread as there.
        swell = swell_of(codes[bench.real.rows] == code, bench.real)
        yield Held(
            column=column,
            value=str(values[code]),
            real=int(real[code]),
            expected=len(bench.release) * real[code] / len(bench.real),
            made=int(made[code]),
            chance=empty_chance(int(real[code] + made[code]), len(bench.real), len(bench.release), swell),
        )
