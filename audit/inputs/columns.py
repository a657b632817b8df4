"""The kind of a column, decided once on real data: by nearly all of its values, not by each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from counterproof.inputs.date_texts import ORDERS, look_like_epochs
from counterproof.inputs.forms import Form
from counterproof.inputs.number_texts import MARKS, are_codes

Kind = Literal["number", "category", "boolean", "datetime", "identifier", "text"]
KINDS: tuple[str, ...] = get_args(Kind)
MANY = 20  # rows below which distinct values are no evidence of an identifier
UNREADABLE = 0.05  # share of real values that may be none of the kind that all others are
WORDS = 3  # so many words may stand for "no number" more often than that, in a column of many numbers
QUANTITY = 50  # distinct numbers that no column of categories has
NAMED_LIKE_ID = re.compile(
    r"(?i:^$|^unnamed: \d+$|^id(?:$|[_\W])|(?:^|[_\W])(?:id|uuid|guid|key|index|idx|rowid)$)|I[dD]$"
)
NAMED_LIKE_TIME = re.compile(
    r"(?i:(?:^|[_\W])(?:date|datetime|time|timestamp|ts|epoch|unixtime|at)$)|[a-z](?:Time|At|Date)$"
)
TRUTHS = {
    **dict.fromkeys(("true", "yes", "y", "t", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "n", "f", "0", "0.0"), False),
}
PAIRS = (("yes", "no"), ("y", "n"), ("t", "f"))


@dataclass(frozen=True)
class Fit:
    """How well values can be read as one kind.

    Attributes:
        lost: Values that cannot.
        total: All values that are not missing.
        odd: The texts that cannot, the first few.
        distinct: Different values that can.
    """

    lost: int
    total: int
    odd: frozenset[str] = frozenset()
    distinct: int = 0

    def __add__(self, other: Fit) -> Fit:
        return Fit(
            self.lost + other.lost, self.total + other.total, self.odd | other.odd, max(self.distinct, other.distinct)
        )

    def holds(self, limit: float) -> bool:
        """Whether the values are of this kind: nearly all are, or all but a few words among many numbers."""
        if not self.total or self.lost == self.total:
            return False
        worded = len(self.odd) <= WORDS and self.distinct > QUANTITY and 2 * self.lost <= self.total
        return self.lost <= limit * self.total or worded


def kind_of(name: str, parts: Sequence[Form], *, typed: bool = True, limit: float = UNREADABLE) -> Kind:
    """What a column is, from its real parts.

    Args:
        name: Of the column; numeric identifiers and epochs are recognised by it.
        parts: The column in each real role; values are unique or not within each.
        typed: False for CSV, where numbers and truth values are text too.
        limit: Share of values that may be of no kind.
    """
    parts = [part for part in parts if part.total] or list(parts)
    sorts = {part.sort for part in parts}
    if sorts == {"number"}:
        return _kind_of_numbers(name, [part.present.to_numpy(dtype=float) for part in parts], parts)
    if sorts == {"boolean"}:
        return "boolean"
    if sorts == {"datetime"}:
        return "datetime"
    if _are_truths(parts, limit):
        return "boolean"
    if not any(part.named for part in parts):
        if _total(date_fit(part) for part in parts).holds(limit):
            return "datetime"
        if _total(number_fit(part) for part in parts).holds(limit) and not _are_names(parts, typed, limit):
            return _kind_of_numbers(name, [_numbers(part) for part in parts], parts)
    return _kind_of_texts(name, parts)


def _total(fits: Iterable[Fit]) -> Fit:
    return sum(fits, Fit(0, 0))


def number_fit(form: Form) -> Fit:
    """How well a column can be read as numbers, in the better of two ways."""
    if form.sort == "number":
        return Fit(0, form.count, distinct=form.present.nunique())
    if form.sort != "text":
        return Fit(form.count, form.count)
    return _fit(form, np.isnan(form.numbers.by(best_mark(form))))


def date_fit(form: Form) -> Fit:
    """How well a column can be read as dates, in the better of two orders."""
    if form.sort == "datetime":
        return Fit(0, form.count)
    if form.sort != "text":
        return Fit(form.count, form.count)
    return _fit(form, np.isnat(form.dates.by(best_order(form))))


def best_mark(form: Form) -> str:
    """The mark before decimals that reads most texts."""
    return min(MARKS, key=lambda mark: form.numbers.lost(mark, form.counts))


def best_order(form: Form) -> str:
    """The order of day and month that reads most texts."""
    return min(ORDERS, key=lambda order: form.dates.lost(order, form.counts))


def _fit(form: Form, lost: NDArray[np.bool_]) -> Fit:
    lost = lost & (form.counts > 0)
    odd = frozenset(form.texts.filter(pa.array(lost)).slice(0, WORDS + 1).to_pylist())
    return Fit(int(form.counts[lost].sum()), int(form.counts.sum()), odd, int((~lost).sum()))


def _numbers(form: Form) -> NDArray[np.float64]:
    """Values, one for each row, that are numbers."""
    if form.sort == "number":
        return form.present.to_numpy(dtype=float)
    values = form.numbers.by(best_mark(form))
    known = ~np.isnan(values)
    return np.repeat(values[known], form.counts[known])


def _are_names(parts: Sequence[Form], typed: bool, limit: float) -> bool:
    """Whether texts that can be read as numbers are codes: by leading zeros, or since the format says text."""
    texts = [part for part in parts if part.sort == "text"]
    if any(are_codes(part.texts, part.counts, limit) for part in texts):
        return True
    if not typed or len(texts) < len(parts):
        return False
    # whole numbers that are stored as text were meant as text; anything else in them forced it
    return all(pc.all(pc.match_substring_regex(part.texts, r"^\d+$")).as_py() for part in texts)


def truth_of(text: str) -> bool | None:
    """Whether a word means true, means false, or neither.

    >>> truth_of("Yes"), truth_of("0"), truth_of("perhaps")
    (True, False, None)
    """
    return TRUTHS.get(text.lower())


def _are_truths(parts: Sequence[Form], limit: float) -> bool:
    lost, total, words = 0, 0, set()
    for part in parts:
        if len(part.texts) > QUANTITY:
            return False
        for text, count in zip(part.levels.texts, part.counts, strict=True):
            total += int(count)
            lost += int(count) if truth_of(text) is None else 0
            words.add(text.lower())
    if not total or lost > limit * total:
        return False
    return bool(words & {"true", "false"}) or any(words >= set(pair) for pair in PAIRS)


def _kind_of_numbers(name: str, values: Sequence[NDArray[np.float64]], parts: Sequence[Form]) -> Kind:
    whole = all(bool((part == np.floor(part)).all()) for part in values)
    if whole and NAMED_LIKE_ID.search(name) and _many_unique(parts):
        return "identifier"
    if whole and NAMED_LIKE_TIME.search(name) and look_like_epochs(values):
        return "datetime"
    zero_one = bool(values) and all(bool(((part == 0) | (part == 1)).all()) for part in values)
    return "category" if zero_one and len(np.unique(np.concatenate(values))) == 2 else "number"


def _kind_of_texts(name: str, parts: Sequence[Form]) -> Kind:
    rows = sum(part.count for part in parts)
    if rows < MANY:
        return "category"
    if NAMED_LIKE_ID.search(name) and _many_unique(parts):
        return "identifier"
    share = len(pc.unique(pa.chunked_array([part.texts for part in parts]))) / rows
    if share <= 0.3:
        return "category"
    spaces = [pc.sum(pc.count_substring_regex(part.texts, r"\s+")).as_py() or 0 for part in parts]
    words = sum(spaces) / max(sum(len(part.texts) for part in parts), 1) + 1
    if share > 0.9:
        return "text" if words >= 2 else "identifier"
    return "text" if words >= 4 else "category"


def _many_unique(parts: Sequence[Form]) -> bool:
    return sum(part.count for part in parts) >= MANY and all(part.are_unique for part in parts)
