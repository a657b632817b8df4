"""Values of the release that no real row has: by column, in sentences that quote no value.

Outside of the real range, later than any real date, negative where real values never are, fractions among whole
numbers, codes and categories never seen, and those that differ from real ones only by how they are written; a key
that is no key any more, and columns that became constant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.inputs.findings import Finding, remark
from counterproof.inputs.forms import Flags, Form

CHANCE = 1e-3  # that as many rows of a faithful release lie beyond all real ones
FEW = 0.02  # share of real rows whose number no other real row has, below which numbers are codes or counts
MANY = 20  # real rows below which distinct values are no evidence of a key
ROW = "counted from 0"
CHANCE = 0.001  # that a faithful release would look so
PLURAL = {"number": "numbers", "boolean": "truth values", "datetime": "dates"}
SIDES = {"number": ("below the least", "above the greatest"), "datetime": ("before the first", "after the last")}


def domain_findings(name: str, kind: str, values: Mapping[str, pd.Series[Any]]) -> list[str]:
    """What the release's values of one column have that real ones do not.

    Args:
        name: Of the column.
        kind: Of the column.
        values: By role, in canonical form.
    """
    real = pd.concat([column for role, column in values.items() if role != "synthetic"], ignore_index=True).dropna()
    made = values["synthetic"]
    if not len(real) or not made.notna().any():
        return []
    found: list[str] = []
    if kind in SIDES:
        found += _range(name, kind, real, made)
    if kind == "number":
        found += _numbers(name, real.to_numpy(dtype=float), made.to_numpy(dtype=float))
    if kind in ("category", "boolean"):
        found += _unseen(name, real, made)
    return found + _constant(name, real, made) + _none_missing(name, values)


def _none_missing(name: str, values: Mapping[str, pd.Series[Any]]) -> list[str]:
    """A release that fills every cell of a column that real rows leave empty, beyond chance."""
    sides = [column.isna() for role, column in values.items() if role != "synthetic"]
    empty, total = sum(int(side.sum()) for side in sides), sum(len(side) for side in sides)
    made = values["synthetic"]
    if not empty or empty == total or made.isna().any() or (1 - empty / total) ** len(made) > CHANCE:
        return []
    return [
        Finding(f"column {name!r} misses {empty / total:.1%} of its values in real data and none in synthetic", 1.0)
    ]


def _found(sentence: str, flags: Flags, total: int) -> Finding:
    """So many rows, their share, and where the first is."""
    count = int(flags.sum())
    rows = f"in {count:,} {'rows' if count > 1 else 'row'}, {count / total:.2%}"
    return Finding(f"{sentence}{rows} (first in row {flags.argmax()}, {ROW})", count / total)


def _constant(name: str, real: pd.Series[Any], made: pd.Series[Any]) -> list[str]:
    held = made.dropna()
    if len(held) < 2 or held.nunique() > 1 or real.nunique() == 1:
        return []
    sentence = f"column {name!r} has one value in all {len(held):,} synthetic rows and {real.nunique():,} in real data"
    return [Finding(sentence, 1.0)]


def _range(name: str, kind: str, real: pd.Series[Any], made: pd.Series[Any]) -> list[str]:
    """Beyond the real range, where chance does not explain how many, or how far."""
    low, high = real.min(), real.max()
    found: list[str] = []
    total = int(made.notna().sum())
    for side, out, gap in (
        (SIDES[kind][0], made < low, low - made.min()),
        (SIDES[kind][1], made > high, made.max() - high),
    ):
        flags = out.to_numpy()
        if not flags.any():
            continue
        negative = kind == "number" and side == SIDES[kind][0] and low >= 0 > made.min()
        far = gap > high - low
        if negative or far or flags.sum() * math.log1p(len(real) / total) > -math.log(CHANCE):
            what = f"values {side} real value"
            if negative:
                flags, what = (made < 0).to_numpy(), "negative values, which real data never have,"
            found.append(_found(f"column {name!r}: synthetic holds {what} ", flags, total))
    return found


def _numbers(name: str, real: NDArray[np.float64], made: NDArray[np.float64]) -> list[str]:
    """Fractions among whole numbers, and numbers between real ones that no real row has."""
    total = int((~np.isnan(made)).sum())
    if np.all(real == np.floor(real)):
        broken = ~np.isnan(made) & (made != np.floor(made))
        if broken.any():
            return [_found(f"column {name!r}: whole numbers in real data, fractions in the release, ", broken, total)]
    levels, counts = np.unique(real, return_counts=True)
    alone = float((counts == 1).sum()) / len(real)  # of fresh rows about as many bring a number that nobody has
    if len(real) < MANY or alone > FEW:
        return []
    odd = ~np.isnan(made) & ~np.isin(made, levels) & (made > levels[0]) & (made < levels[-1])
    if odd.sum() <= total * alone + 3 * math.sqrt(total * alone):
        return []
    count = len(np.unique(made[odd]))
    what = "a number" if count == 1 else f"{count:,} numbers"
    return [_found(f"column {name!r}: synthetic holds {what} never seen in real data, ", odd, total)]


# -- categories ---------------------------------------------------------------------------------------


def _without_spaces(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _number(text: str) -> str:
    """A number by its value, whatever zeros it is written with."""
    try:
        return repr(float(text))
    except ValueError:
        return text


ALIKE: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("for spaces", _without_spaces),
    ("for case", str.casefold),
    ("for how the number is written", _number),
    ("for case and punctuation", lambda text: re.sub(r"[\W_]+", "", text.casefold()) or text),
)


def _unseen(name: str, real: pd.Series[Any], made: pd.Series[Any]) -> list[str]:
    """Categories in the release alone, and those of them that only look new."""
    known = set(real.unique())
    odd = (made.notna() & ~made.isin(list(known))).to_numpy()
    if not odd.any():
        return []
    new = sorted(set(made[odd]))
    what = "a category" if len(new) == 1 else f"{len(new):,} categories"
    begin = f"column {name!r}: synthetic holds {what} never seen in real data, "
    sentence = _found(begin, odd, int(made.notna().sum()))
    told = []
    for difference, plain in ALIKE:
        like = {plain(text) for text in known}
        same = [text for text in new if plain(text) in like]
        if same:
            told.append(f"{len(same):,} of them equal real ones but {difference}")
            new = [text for text in new if text not in same]
    return [Finding("; ".join([sentence, *told]), sentence.weight)]


# -- keys ---------------------------------------------------------------------------------------------


def key_findings(name: str, kind: str, forms: Mapping[str, Form]) -> list[str]:
    """A column that is unique in every real role and not in the release, or counts up without gaps and does not."""
    real = [form for role, form in forms.items() if role != "synthetic" and form.count]
    made = forms["synthetic"]
    if made.count < 2 or sum(form.count for form in real) < MANY or not all(_is_key(kind, form) for form in real):
        return []
    levels = made.levels
    repeated = int(levels.counts[levels.counts > 1].sum())
    if repeated:
        what = f"{repeated:,} of {made.count:,} synthetic rows share their value with another"
        if len(levels.words) == 1:
            what = f"all {made.count:,} synthetic rows have the same value"
        return [Finding(f"column {name!r} is a key: unique in real data, but {what}", repeated / made.count)]
    gaps = _gaps(made)
    if gaps and all(_gaps(form) == 0 for form in real):
        return [f"column {name!r} counts up without gaps in real data, and skips {gaps:,} numbers in the release"]
    return []


def _is_key(kind: str, form: Form) -> bool:
    """Unique, complete, and not a measured quantity, which may well be unique."""
    if form.count < len(form) or not form.are_unique:
        return False
    if kind in ("identifier", "text"):
        return True
    if kind != "number" or form.sort != "number":
        return False
    return _gaps(form) == 0


def _gaps(form: Form) -> int:
    """Whole numbers between the least and the greatest that no row has; -1 where values are no whole numbers."""
    numbers = pd.to_numeric(form.present, errors="coerce").to_numpy(dtype=float)
    if not len(numbers) or np.isnan(numbers).any() or np.any(numbers != np.floor(numbers)):
        return -1
    return int(numbers.max() - numbers.min()) + 1 - len(np.unique(numbers))


def spelling_findings(name: str, forms: Mapping[str, Form]) -> list[str]:
    """Spaces at the ends of texts that only some roles have."""
    counts = {role: int(form.spaced.sum()) if form.spaced is not None else 0 for role, form in forms.items()}
    if not counts["synthetic"] or any(count for role, count in counts.items() if role != "synthetic"):
        return []
    flags = forms["synthetic"].spaced
    assert flags is not None
    sentence = f"column {name!r}: synthetic values have spaces at their ends, which real ones have not, "
    return [remark(f"{_found(sentence, flags, len(flags))}: read without them")]


def reading_findings(
    name: str, ways: Mapping[str, str], units: Mapping[str, str], sorts: Mapping[str, str]
) -> list[str]:
    """Roles whose texts were read in another way than the others', or carry another unit; a release of texts first.

    Args:
        name: Of the column.
        ways: By role, how texts were read.
        units: By role, what all numbers carry.
        sorts: By role, what is stored.
    """
    real = {sort for role, sort in sorts.items() if role != "synthetic"}
    if sorts.get("synthetic") == "text" and real and "text" not in real:
        carried = f" with {units['synthetic']!r}" if units.get("synthetic") else ""
        stored = " or ".join(sorted(PLURAL.get(sort, sort) for sort in real))
        sentence = f"column {name!r} is stored as text{carried} in synthetic and as {stored} in real data"
        return [Finding(f"{sentence}: what reads the real data may not read it", 1.0)]
    told = []
    for said, say in ((ways, str), (units, _carrying)):
        by: dict[str, list[str]] = {}
        for role, way in said.items():
            by.setdefault(say(way), []).append(role)
        if len(by) > 1:
            told += [f"{way} in {', '.join(roles)}" for way, roles in by.items()]
    return [remark(f"column {name!r} is not written alike: {'; '.join(told)}")] if told else []


def _carrying(unit: str) -> str:
    return f"numbers carry {unit!r}" if unit else "numbers stand alone"
