"""Parts of texts that one real record alone holds: a user name in an address, a surname in a remark."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from counterproof.metrics.sample import Flags, Rows

if TYPE_CHECKING:
    import pandas as pd


SEPARATORS = {  # a text is cut at some signs, so that first.last stays whole, and at all
    "parts": re.compile(r"[\s,;:|@/\\<>()\[\]{}\"']+"),
    "words": re.compile(r"[\W_]+"),
}
SHORTEST = 4  # characters of a part that tells a person
DIGITS = 6  # of a part that is a number
CLOSE = 2.0  # apart on average: running numbers, which meet those of any table


def parts_of(text: str, separator: re.Pattern[str]) -> set[str]:
    """The parts of a text that could name somebody, in small letters.

    Numbers of few digits and parts of few letters are none, nor is the text as a whole.

    >>> sorted(parts_of("Anna.Berg@post.example", SEPARATORS["parts"]))
    ['anna.berg', 'post.example']
    >>> sorted(parts_of("call 0301234567, room 12", SEPARATORS["words"]))
    ['0301234567', 'call', 'room']
    """
    whole = text.casefold().strip()
    found = set(separator.split(whole))
    return {part for part in found if part != whole and len(part) >= (DIGITS if part.isdigit() else SHORTEST)}


def unique_parts(texts: pd.Series[Any], unit: Rows, n: int, separator: re.Pattern[str]) -> tuple[Flags, Flags] | None:
    """Real rows with a part that no other source holds, and those of them with such a part in the release.

    Running numbers are left out, in the release as everywhere. None where no text has parts.

    Args:
        texts: Of all real rows and then the release; None is missing.
        unit: ``(n,)`` source of each real row.
        n: Real rows.
        separator: Where texts are cut.
    """
    import pandas as pd

    value, distinct = pd.factorize(texts, use_na_sentinel=True)
    parts = [sorted(parts_of(str(text), separator)) for text in distinct]
    counts = np.array([*map(len, parts), 0])
    part, names = pd.factorize(np.array(list(chain.from_iterable(parts)), dtype=object))
    if not len(names):
        return None
    start = np.cumsum([0, *counts[:-1]])
    held = counts[value]
    row = np.repeat(np.arange(len(value)), held)
    within = np.arange(len(row)) - np.repeat(np.cumsum(held) - held, held)
    token = part[start[value][row] + within]
    real = row < n
    lowest, highest = np.full(len(names), len(unit)), np.full(len(names), -1)
    np.minimum.at(lowest, token[real], unit[row[real]])
    np.maximum.at(highest, token[real], unit[row[real]])
    there = np.zeros(len(names), dtype=bool)
    there[token[~real]] = True
    own = (lowest == highest) & ~_running(names, there)
    flags = []
    for wanted in (own, own & there):
        flag = np.zeros(n, dtype=bool)
        flag[row[real][wanted[token[real]]]] = True
        flags.append(flag)
    return flags[0], flags[1]


def _running(names: Any, there: Flags) -> Flags:
    """Which parts are numbers, where those of the release follow each other."""
    digits = np.array([name.isdigit() for name in names], dtype=bool)
    numbers = np.unique([float(name) for name in names[digits & there]])
    close = len(numbers) > 1 and np.median(np.diff(numbers)) <= CLOSE
    return digits if close else np.zeros(len(names), dtype=bool)
