"""What can be asked of a column of texts, identifiers or dates without reading a word of it.

Each question turns a row into a number or a code; two samples differ by the Kolmogorov–Smirnov distance of the
numbers, by the total variation of the codes, or by a difference of shares. All lie in [0, 1].
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from counterproof.metrics.fidelity.marginals import Difference, kolmogorov_smirnov, total_variation
from counterproof.metrics.sample import Flags, Floats, Rows

if TYPE_CHECKING:
    import pandas as pd


Codes = NDArray[np.int32]
UPPER, LOWER, DIGIT, SPACE, SYMBOL, LETTER = range(6)  # LETTER: of a script without case
SIGNS = np.array([ord(sign) for sign in "Aa0 _x"])  # how a shape writes each kind
SHARES = {"capital letters": UPPER, "small letters": LOWER, "digits": DIGIT, "spaces": SPACE, "symbols": SYMBOL}
MASKS = 50  # shapes with a code of their own; all others share one
BINS = 4096  # of neighbouring characters and of words
SEVERAL = 1.5  # words in a text on average, from which on it is asked which words they are
CLASSES, FEWEST = 10, 200  # labels within which texts are compared at most, and real rows that have one
START, END = 2, 3
BETWEEN = re.compile(r"[\w\s]+")
CLOSE = 2  # apart on average, running numbers of which some are missing
WORD = re.compile(r"[^\W\d_]+")
NUMBERED = re.compile(r"(\D*)\d+(\D*)")


@dataclass(frozen=True, eq=False, kw_only=True)
class TextColumn:
    """A column of texts, row by row, as numbers and codes.

    Attributes:
        value: ``(n,)`` number of the value; -1 is missing.
        numbers: Numbers by question; NaN where the value is missing.
        shapes: Codes of a row's shape by question: which kinds of characters follow each other.
        counts: ``(n, BINS)`` counts of neighbouring characters and of words by question; none of running numbers.
        labels: Labels that enough real rows with a text have; nothing is asked within the others.
        enough: Whether enough real rows have a text for anything but missing values to be asked.
    """

    value: Rows
    numbers: dict[str, Floats]
    shapes: dict[str, Codes]
    counts: dict[str, csr_array]
    labels: tuple[str, ...] = ()
    enough: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class DateColumn:
    """Parts of dates, row by row, as codes; missing has a code of its own."""

    parts: dict[str, Codes]


# -- from values to numbers and codes ---------------------------------------------------------------


def text_column(
    column: pd.Series[Any], real: Flags, *, drawn: float = 1.0, labels: NDArray[np.str_] | None = None
) -> TextColumn:
    """The column as numbers and codes.

    Identifiers that are numbered (``A-1``, ``A-2``, …) may have other numbers in every sample of one source. What
    their digits say is not asked, and their length only where all real ones are of one length and no
    running numbers.

    Args:
        column: Texts; None is missing.
        real: Which rows are real.
        drawn: Which share of the real rows these are.
        labels: ``(n,)`` labels of the rows.
    """
    import pandas as pd

    value, distinct = pd.factorize(column, use_na_sentinel=True)
    value = value.astype(np.intp)
    texts = [str(text) for text in distinct]
    known = [texts[at] for at in np.unique(value[real & (value >= 0)])]
    numbered = _numbered(known)
    characters = _Characters.of(texts)
    length = characters.lengths.astype(np.float64)
    numbers: dict[str, Floats] = {}
    if not numbered or (len({len(text) for text in known}) == 1 and not _running(known, drawn)):
        numbers["length"] = length
    if not numbered:
        numbers["words"] = np.array([len(text.split()) for text in texts], dtype=np.float64)
        numbers |= {f"share of {name}": characters.share(kind) for name, kind in SHARES.items()}
    shapes = {"shape": _codes(characters.shapes())}
    if not numbered:
        shapes["punctuation"] = _codes([_coarse(text) for text in texts])
    return TextColumn(
        value=value,
        numbers={name: _by_row(values, value, np.nan) for name, values in numbers.items()},
        shapes={name: _by_row(codes, value, -1) for name, codes in shapes.items()},
        counts={} if numbered else {"neighbouring characters": characters.pairs()[value], **_words(texts, value)},
        labels=() if labels is None else _common(labels[real & (value >= 0)]),
        enough=int((real & (value >= 0)).sum()) >= FEWEST,
    )


def _numbered(texts: list[str]) -> bool:
    """Whether texts differ in one number alone.

    >>> _numbered(["A-1", "A-12"]), _numbered(["A-1", "B-1"])
    (True, False)
    """
    found = [NUMBERED.fullmatch(text) for text in texts]
    return bool(texts) and len({one.groups() if one else text for one, text in zip(found, texts, strict=True)}) == 1


def _common(labels: NDArray[np.str_]) -> tuple[str, ...]:
    """The commonest labels that enough rows have; the empty one is missing."""
    found, sizes = np.unique(labels[labels != ""], return_counts=True)
    order = np.argsort(-sizes, kind="stable")[:CLASSES]
    return tuple(str(label) for label in found[order[sizes[order] >= FEWEST]])


def _running(texts: list[str], drawn: float) -> bool:
    """Whether the numbers in texts follow each other, as far as a share of them shows.

    >>> _running(["A-101", "A-103", "A-102"], 1.0), _running(["A-101", "A-750", "A-330"], 1.0)
    (True, False)
    """
    numbers = np.unique([float(re.sub(r"\D", "", text)) for text in texts])
    return len(numbers) < 2 or bool(np.median(np.diff(numbers)) * drawn <= CLOSE)


def date_column(column: pd.Series[Any]) -> DateColumn:
    """Month, weekday, hour, and down to which unit the dates go."""
    gone = column.isna().to_numpy()
    since = column.to_numpy().astype("datetime64[us]").astype(np.int64)
    second = 1_000_000
    units = (24 * 3600 * second, 3600 * second, 60 * second, second, 1)
    finest = np.argmax([since % unit == 0 for unit in units], axis=0)
    hands = {"months": column.dt.month, "weekdays": column.dt.day_of_week, "hours": column.dt.hour}
    parts = {name: np.where(gone, -1, hand.fillna(-1).to_numpy()) for name, hand in hands.items()}
    parts["finest unit"] = np.where(gone, -1, finest)
    return DateColumn(parts={name: (codes + 1).astype(np.int32) for name, codes in parts.items()})


@dataclass(frozen=True, eq=False, kw_only=True)
class _Characters:
    """All characters of some texts in a row, digits as one character."""

    code: NDArray[np.int64]
    kind: NDArray[np.int8]
    text: Rows
    lengths: Rows

    @classmethod
    def of(cls, texts: list[str]) -> _Characters:
        lengths = np.array([len(text) for text in texts], dtype=np.intp)
        code = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
        found, inverse = np.unique(code, return_inverse=True)
        kind = np.array([_kind(chr(one)) for one in found], dtype=np.int8)[inverse]
        return cls(
            code=np.where(kind == DIGIT, ord("0"), code),
            kind=kind,
            text=np.repeat(np.arange(len(texts)), lengths),
            lengths=lengths,
        )

    def share(self, kind: int) -> Floats:
        """The share of characters of a kind in each text."""
        held: Floats = np.bincount(self.text[self.kind == kind], minlength=len(self.lengths)).astype(np.float64)
        return held / np.maximum(self.lengths, 1)

    def shapes(self) -> list[str]:
        """The kinds of characters of each text in their order, each run as one, symbols as they are.

        >>> _Characters.of(["Ab-12 cd", "2021-07-04", ""]).shapes()
        ['Aa-0 a', '0-0-0', '']
        """
        signs = np.where(self.kind == SYMBOL, self.code, SIGNS[self.kind])
        kept = np.ones(len(signs), dtype=bool)
        kept[1:] = (signs[1:] != signs[:-1]) | (self.text[1:] != self.text[:-1])
        whole = signs[kept].astype(np.uint32).tobytes().decode("utf-32-le", "surrogatepass")
        ends = np.cumsum(np.bincount(self.text[kept], minlength=len(self.lengths)))
        return [whole[start:end] for start, end in pairwise([0, *ends.tolist()])]

    def pairs(self) -> csr_array:
        """``(texts + 1, BINS)`` counts of neighbours, ends of the text among them; the last row, missing, has none."""
        n = len(self.lengths)
        ends = np.arange(n)
        place = np.concatenate([np.ones(len(self.text)), np.zeros(n), np.full(n, 2)])
        order = np.lexsort((place, np.concatenate([self.text, ends, ends])))
        code = np.concatenate([self.code, np.full(n, START), np.full(n, END)])[order]
        text = np.concatenate([self.text, ends, ends])[order]
        inside = text[1:] == text[:-1]
        pair = (code[:-1] * 1_000_003 + code[1:])[inside] % BINS
        where = text[1:][inside]
        return csr_array((np.ones(len(pair)), (where, pair)), shape=(n + 1, BINS))


def _kind(character: str) -> int:
    if character.isdigit():
        return DIGIT
    if character.isspace():
        return SPACE
    if character.isupper():
        return UPPER
    if character.islower():
        return LOWER
    return LETTER if character.isalpha() else SYMBOL


def _coarse(text: str) -> str:
    """The symbols in their order, runs of letters, digits and spaces between them as one.

    >>> _coarse("Ab-12 cd@ef.gh")
    'x-x@x.x'
    """
    return BETWEEN.sub("x", text)


def _codes(masks: list[str]) -> Codes:
    import pandas as pd

    return pd.factorize(np.array(masks, dtype=object))[0].astype(np.int32)


def _words(texts: list[str], value: Rows) -> dict[str, csr_array]:
    """Counts of words by their digests, of texts that have several."""
    words = [WORD.findall(text.casefold()) for text in texts]
    sizes = np.array([*map(len, words), 0])
    if len(texts) == 0 or sizes.sum() < SEVERAL * len(texts):
        return {}
    place = np.array([crc32(word.encode("utf-8", "surrogatepass")) % BINS for some in words for word in some])
    held = csr_array((np.ones(len(place)), (np.repeat(np.arange(len(sizes)), sizes), place)), shape=(len(sizes), BINS))
    return {"words used": held[value]}


def _by_row(values: NDArray[Any], value: Rows, missing: float) -> Any:
    """Of the distinct values, those of the rows."""
    return np.append(values, np.array([missing], dtype=values.dtype))[value]


# -- from two samples to distances ------------------------------------------------------------------


def differences(
    column: TextColumn | DateColumn, left: Rows, right: Rows, labels: NDArray[np.str_] | None = None
) -> Iterator[tuple[str, Difference]]:
    """Every question's distance between the rows of two samples; words and their characters also within labels.

    Args:
        column: The rows of both samples.
        left: Positions of the rows of one.
        right: And of the other.
        labels: ``(n,)`` labels of all rows.
    """
    if isinstance(column, DateColumn):
        for name, codes in column.parts.items():
            yield name, total_variation(codes[left], codes[right])
        return
    gone = column.value < 0
    yield "missing values", share_difference(gone[left], gone[right])
    if not column.enough or gone[left].all() or gone[right].all():
        return
    yield "repeated values", share_difference(*_repeated(column.value, left, right))
    left, right = left[~gone[left]], right[~gone[right]]
    for name, numbers in column.numbers.items():
        yield name, kolmogorov_smirnov(numbers[left], numbers[right])
    for name, codes in column.shapes.items():
        yield name, total_variation(*_pooled(codes[left], codes[right]))
    for name, counts in column.counts.items():
        yield name, count_difference(counts[left], counts[right])
    if labels is None or "words used" not in column.counts:
        return
    for name, counts in column.counts.items():
        if (within := _within_labels(counts, left, right, labels, column.labels)) is not None:
            yield f"{name} within each label", within


def _within_labels(
    counts: csr_array, left: Rows, right: Rows, labels: NDArray[np.str_], common: tuple[str, ...]
) -> Difference | None:
    """The mean distance between rows of one label: texts that were dealt to other rows differ there alone."""
    value = variance = total = 0.0
    for label in common:
        ours, theirs = left[labels[left] == label], right[labels[right] == label]
        if not len(ours) or not len(theirs):
            continue
        one = count_difference(counts[ours], counts[theirs])
        value += len(ours) * one.value
        variance += (len(ours) * one.error) ** 2
        total += len(ours)
    return Difference(value / total, math.sqrt(variance) / total) if total else None


def share_difference(left: Flags, right: Flags) -> Difference:
    """The difference of two shares of rows; one row more or less keeps its error positive.

    >>> share_difference(np.array([True, False]), np.array([True, True])).value
    0.5
    """
    p, q = float(left.mean()), float(right.mean())
    variance = 0.0
    for share, n in ((p, len(left)), (q, len(right))):
        near = (share * n + 0.5) / (n + 1)
        variance += near * (1 - near) / n
    return Difference(abs(p - q), math.sqrt(variance))


def count_difference(left: csr_array, right: csr_array) -> Difference:
    """The total variation of two samples' characters or words; rows are the units of its error."""
    p, q = (np.asarray(side.sum(0)).ravel() for side in (left, right))
    if not p.sum() or not q.sum():
        return Difference(float(bool(p.sum()) != bool(q.sum())), 0.0)
    apart = p / p.sum() - q / q.sum()
    above = (apart > 0).astype(np.float64)
    variance = sum(_ratio_variance(side, above) for side in (left, right))
    return Difference(float(np.abs(apart).sum() / 2), math.sqrt(variance))


def _ratio_variance(side: csr_array, above: Floats) -> float:
    """The variance of the share of a sample's counts that stand in a set, a ratio of two sums over its rows."""
    held, total = np.asarray(side @ above), np.asarray(side.sum(1)).ravel()
    ratio = held.sum() / total.sum()
    return float(((held - ratio * total) ** 2).sum() / total.sum() ** 2)


def _repeated(value: Rows, left: Rows, right: Rows) -> tuple[Flags, Flags]:
    """Rows whose value another row of the same sample has, in as many rows of each sample."""
    n = min(len(left), len(right))
    return _twins(value[_spread(left, n)]), _twins(value[_spread(right, n)])


def _spread(rows: Rows, n: int) -> Rows:
    """As many rows, from the whole of the sample: a file may be sorted."""
    return rows[np.linspace(0, len(rows) - 1, n).round().astype(np.intp)]


def _twins(value: Rows) -> Flags:
    _, inverse, counts = np.unique(value, return_inverse=True, return_counts=True)
    return np.asarray((counts[inverse] > 1) & (value >= 0))


def _pooled(left: Codes, right: Codes) -> tuple[Codes, Codes]:
    """The commonest codes of both samples together; all others as one."""
    both = np.concatenate([left, right])
    counts = np.bincount(both)
    common = np.argsort(-counts, kind="stable")[:MASKS]
    places = np.zeros(len(counts), dtype=np.int32)
    places[common] = 1 + np.arange(len(common))
    return places[left], places[right]
