"""A column as it is stored: numbers, dates, truth values, or texts by their distinct levels.

Canonical forms: numbers are float64 with NaN; date-times are naive UTC ``datetime64[us]``; truth values and
texts are objects with None for missing, texts without the spaces at their ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from counterproof.inputs.date_texts import DateTexts, plain_dates, read_dates
from counterproof.inputs.number_texts import NumberTexts, plain_numbers, read_numbers

Sort = Literal["number", "boolean", "datetime", "text"]
Objects = NDArray[np.object_]
Flags = NDArray[np.bool_]
NUMERIC = ("integer", "floating", "decimal", "mixed-integer-float")
# Words that mean missing wherever they stand. A CSV's reader already leaves these out.
MISSING = ("", "#N/A", "#NA", "<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "-NaN", "-nan", "n/a", "nan", "null", "Null")
# Words that mean missing among numbers, dates and truth values; a class or a group may be called so.
MISSING_HERE = ("?", "None", "none", "NONE", "-", "--", ".", "…")


@dataclass(frozen=True, eq=False)
class Levels:
    """Texts by their distinct values.

    Attributes:
        codes: ``(n,)`` position among the words; -1 is missing.
        words: The distinct texts, for Arrow's functions.
    """

    codes: NDArray[np.int32]
    words: pa.Array

    @classmethod
    def of(cls, codes: NDArray[Any], texts: Iterable[str]) -> Levels:
        """From codes and texts; what is no UTF-8 is escaped."""
        return cls(codes.astype(np.int32), pa.array([_text(text) for text in texts], pa.large_string()))

    @cached_property
    def texts(self) -> Objects:
        """The distinct texts as objects."""
        return np.array([*self.words.to_pylist(), None], dtype=object)[:-1]

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """Rows of each text."""
        return np.bincount(self.codes + 1, minlength=len(self.words) + 1)[1:]

    def each(self, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        """``(n,)`` of values given by text."""
        spread: NDArray[Any] = np.append(values, np.array([missing], dtype=values.dtype))[self.codes]
        return spread

    def without(self, words: Iterable[str]) -> Levels:
        """The same with some words as missing."""
        gone = are_among(self.words, words)
        return self.only(~gone) if gone.any() else self

    def only(self, kept: Flags) -> Levels:
        """The same with some texts as missing."""
        places = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        return Levels(np.append(places, np.int32(-1))[self.codes], self.words.filter(pa.array(kept)))

    def joined(self, change: Callable[[str], str]) -> Levels:
        """The texts changed; those that become equal are one."""
        changed = [change(text) for text in self.texts]
        if changed == self.texts.tolist():
            return self
        codes, texts = pd.factorize(pd.Series(changed, dtype=object))
        return Levels.of(np.append(codes, -1)[self.codes], texts)


def are_among(words: pa.Array, some: Iterable[str]) -> Flags:
    """Which texts are some words."""
    flags: Flags = pc.is_in(words, value_set=pa.array(list(some), words.type)).to_numpy(zero_copy_only=False)
    return flags


@dataclass(frozen=True, eq=False)
class Form:
    """A column as its storage shows it: of one of four sorts, values canonical but not yet of a kind.

    Attributes:
        sort: What is stored.
        stored: The values; texts and truth values by their levels.
        spaced: ``(n,)`` whether a text has spaces at its ends, where any has.
        named: Whether the storage says that the values are names, as pandas' categories do.
    """

    sort: Sort
    stored: pd.Series[Any] | Levels
    spaced: Flags | None = None
    named: bool = False

    def __len__(self) -> int:
        return len(self.stored.codes) if isinstance(self.stored, Levels) else len(self.stored)

    @cached_property
    def values(self) -> pd.Series[Any]:
        """The values in canonical form."""
        if isinstance(self.stored, Levels):
            return pd.Series(self.stored.each(self.stored.texts, None), dtype=object)
        return self.stored

    @cached_property
    def held(self) -> Flags:
        """``(n,)`` which values are not missing."""
        if isinstance(self.stored, Levels):
            return self.stored.codes >= 0
        return self.stored.notna().to_numpy()

    @property
    def present(self) -> pd.Series[Any]:
        """The values that are not missing."""
        return self.values[self.held]

    @cached_property
    def count(self) -> int:
        """How many values are not missing."""
        return int(self.held.sum())

    @cached_property
    def are_whole(self) -> bool:
        """Whether all numbers are whole."""
        values = self.present.to_numpy(dtype=float)
        return bool(np.all(values == np.floor(values)))

    @cached_property
    def are_unique(self) -> bool:
        """Whether no value stands in two rows."""
        if isinstance(self.stored, Levels):
            return len(self.stored.words) == self.count
        return bool(self.present.is_unique)

    @cached_property
    def levels(self) -> Levels:
        """The values of any sort as texts, by their distinct values."""
        if isinstance(self.stored, Levels):
            return self.stored
        codes, distinct = self._factorized()
        if self.sort == "text":
            return Levels.of(codes, distinct)
        if self.sort == "datetime":
            return Levels.of(codes, [pd.Timestamp(value).isoformat() for value in distinct])
        numbers = np.asarray(distinct, dtype=float)
        if self.are_whole and np.abs(numbers).max(initial=0) < 2.0**63:
            words = pc.cast(pa.array(numbers.astype(np.int64)), pa.large_string())
            return Levels(codes.astype(np.int32), words)
        return Levels.of(codes, [number_text(value) for value in numbers])

    def _factorized(self) -> tuple[NDArray[Any], Any]:
        assert not isinstance(self.stored, Levels)
        if self.are_unique and self.held.all():
            return np.arange(len(self)), self.stored.to_numpy()
        return pd.factorize(self.stored, use_na_sentinel=True)

    @property
    def texts(self) -> pa.Array:
        """The levels, for Arrow's functions."""
        return self.levels.words

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """Rows of each level that is no word for missing."""
        return np.where(are_among(self.texts, MISSING_HERE), 0, self.levels.counts)

    @property
    def total(self) -> int:
        """How many values are no word for missing."""
        return int(self.counts.sum()) if self.sort == "text" else self.count

    @cached_property
    def numbers(self) -> NumberTexts:
        """The levels read as numbers."""
        if not self._starts(r"^\D{0,5}\d|^[+-]?[Ii]nf"):
            nothing = np.full(len(self.texts), np.nan)
            return NumberTexts(nothing, nothing, "", self.texts)
        return read_numbers(self.texts, self.counts)

    @cached_property
    def dates(self) -> DateTexts:
        """The levels read as dates."""
        if not self._starts(r"^\D{0,14}\d"):
            nothing = np.full(len(self.texts), np.datetime64("NaT", "us"))
            return DateTexts(nothing, nothing)
        return read_dates(self.texts)

    def _starts(self, pattern: str) -> bool:
        """Whether half of the first thousand levels can be numbers or dates at all."""
        head = self.texts.slice(0, 1000)
        return bool(2 * (pc.sum(pc.match_substring_regex(head, pattern)).as_py() or 0) >= len(head) > 0)


def number_text(value: float) -> str:
    """A number as text; whole ones without a point.

    >>> number_text(3.0), number_text(0.1)
    ('3', '0.1')
    """
    return str(int(value)) if value.is_integer() else repr(float(value))


def form_of(column: pd.Series[Any], *, typed: bool = True, missing: tuple[str, ...] = ()) -> Form:
    """How a column is stored.

    Args:
        column: As it was read.
        typed: False for CSV, where plain numbers are texts.
        missing: Further words that mean missing.

    >>> form_of(pd.Series([1, None, 3])).sort, form_of(pd.Series(["a", None])).sort
    ('number', 'text')
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _form_of_categories(column)
    if pd.api.types.is_bool_dtype(dtype):
        return _booleans(column)
    if pd.api.types.is_timedelta64_dtype(dtype):
        return Form("number", column.dt.total_seconds())
    if isinstance(dtype, pd.PeriodDtype):
        return Form("datetime", column.dt.to_timestamp().astype("datetime64[us]"))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _dates(column)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return Form("number", column.astype("float64"))
    if isinstance(dtype, (pd.StringDtype, pd.ArrowDtype)) and (texts := _arrow_texts(column)) is not None:
        form = _form_of_texts(texts, typed=typed)
    else:
        form = _form_of_objects(column.astype(object))
    if missing and isinstance(form.stored, Levels):
        return replace(form, stored=form.stored.without(missing))
    return form


def _form_of_categories(column: pd.Series[Any]) -> Form:
    """Categories by their codes: numbers among them are texts, because the type says that they are names."""
    kinds = column.cat.categories
    levels = form_of(pd.Series(kinds if column.notna().all() else kinds.astype(object))).levels
    codes = np.append(levels.codes, np.int32(-1))[column.cat.codes.to_numpy()]
    return Form("text", _used(Levels(codes.astype(np.int32), levels.words)), named=True)


def _used(levels: Levels) -> Levels:
    """Only the texts that rows have."""
    return levels.only(levels.counts > 0)


def _form_of_objects(column: pd.Series[Any]) -> Form:
    sort = pd.api.types.infer_dtype(column, skipna=True)
    if sort == "boolean":
        return _booleans(column)
    if sort in NUMERIC:
        return Form("number", column.where(column.notna(), np.nan).astype("float64"))
    if sort in ("datetime", "datetime64", "date"):
        return _dates(column)
    if sort != "string":
        # values of several types are converted one by one, so that True is not taken for 1
        missing = column.isna().to_numpy()
        texts = [None if gone else _text(value) for gone, value in zip(missing, column, strict=True)]
        column = pd.Series(texts, dtype=object)
    return _trimmed(Levels.of(*pd.factorize(column, use_na_sentinel=True)))


def _arrow_texts(column: pd.Series[Any]) -> pa.Array | None:
    """The column as Arrow's strings, None where it holds something else."""
    array = pa.array(column)
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return None
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) and array.num_chunks else array


def _form_of_texts(texts: pa.Array, *, typed: bool) -> Form:
    if not typed and (numbers := plain_numbers(texts)) is not None:
        return Form("number", pd.Series(numbers))
    if (dates := plain_dates(texts)) is not None:
        return Form("datetime", pd.Series(dates))
    encoded = texts.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return _trimmed(Levels(codes.astype(np.int32), encoded.dictionary.cast(pa.large_string())))


def _trimmed(levels: Levels) -> Form:
    """Texts without the spaces at their ends, and without the words that mean missing."""
    ends = pc.not_equal(levels.words, pc.utf8_trim_whitespace(levels.words)).to_numpy(zero_copy_only=False)
    spaced = levels.each(ends, False) if ends.any() else None
    trimmed = levels.joined(str.strip) if ends.any() else levels
    return Form("text", trimmed.without(MISSING), spaced)


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = str(value)
    # lone surrogates cannot be written to any report
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _booleans(column: pd.Series[Any]) -> Form:
    gone = column.isna().to_numpy()
    truth = column.where(~gone, False).astype(bool).to_numpy()
    codes = np.where(gone, -1, truth.astype(np.int32)).astype(np.int32)
    return Form("boolean", _used(Levels.of(codes, ["False", "True"])))


def _dates(column: pd.Series[Any]) -> Form:
    dates = pd.to_datetime(column, utc=True, errors="coerce")
    return Form("datetime", dates.dt.tz_localize(None).astype("datetime64[us]"))


def text_of(form: Form) -> pd.Series[Any]:
    """The values of any sort as text, None for missing."""
    return pd.Series(form.levels.each(form.levels.texts, None), dtype=object)
