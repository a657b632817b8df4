"""The kind of a column, decided once on real data, and its values in one canonical form.

Canonical forms: numbers are float64 with NaN; date-times are naive UTC ``datetime64[us]``; every
other kind is text (``1`` and ``1.0`` are the same category) with None for missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Kind = Literal["number", "category", "boolean", "datetime", "identifier", "text"]
KINDS: tuple[str, ...] = get_args(Kind)
NUMERIC = ("integer", "floating", "decimal", "mixed-integer-float")
MANY = 20  # rows below which distinct values are no evidence of an identifier
NAMED_LIKE_ID = re.compile(
    r"(?i:^$|^unnamed: \d+$|^id(?:$|[_\W])|(?:^|[_\W])(?:id|uuid|guid|key|index|idx|rowid)$)|I[dD]$"
)
LEADING_ZERO = re.compile(r"[+-]?0\d")
TRUTHS = {"true": "True", "1": "True", "1.0": "True", "false": "False", "0": "False", "0.0": "False"}
WHOLE = re.compile(r"([+-]?\d+)\.0+")
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?")


@dataclass(frozen=True, eq=False)
class Form:
    """A column as its storage shows it: of one of four sorts, values canonical but not yet of a kind."""

    sort: Literal["number", "boolean", "datetime", "text"]
    values: pd.Series[Any]

    @property
    def present(self) -> pd.Series[Any]:
        """The values that are not missing."""
        return self.values[self.values.notna()]


def form_of(column: pd.Series[Any]) -> Form:
    """How a column is stored.

    >>> form_of(pd.Series([1, None, 3])).sort, form_of(pd.Series(["a", None])).sort
    ('number', 'text')
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Form("text", text_of(form_of(column.astype(dtype.categories.dtype if column.notna().all() else object))))
    if pd.api.types.is_bool_dtype(dtype):
        return Form("boolean", _booleans(column))
    if pd.api.types.is_timedelta64_dtype(dtype):
        return Form("number", column.dt.total_seconds())
    if isinstance(dtype, pd.PeriodDtype):
        return Form("datetime", column.dt.to_timestamp().astype("datetime64[us]"))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return Form("datetime", _dates(column))
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return Form("number", column.astype("float64"))
    return _form_of_objects(column.astype(object))


def _form_of_objects(column: pd.Series[Any]) -> Form:
    sort = pd.api.types.infer_dtype(column, skipna=True)
    if sort == "boolean":
        return Form("boolean", _booleans(column))
    if sort in NUMERIC:
        return Form("number", column.where(column.notna(), np.nan).astype("float64"))
    if sort in ("datetime", "datetime64", "date"):
        return Form("datetime", _dates(column))
    if sort == "string":
        return Form("text", _mapped(column, _text))
    # values of several types are converted one by one, so that True is not taken for 1
    missing = column.isna().to_numpy()
    texts = [None if gone else _text(value) for gone, value in zip(missing, column, strict=True)]
    return Form("text", pd.Series(texts, dtype=object))


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = str(value)
    # lone surrogates cannot be written to any report
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _booleans(column: pd.Series[Any]) -> pd.Series[Any]:
    gone = column.isna().to_numpy()
    return pd.Series([None if g else str(bool(v)) for g, v in zip(gone, column, strict=True)], dtype=object)


def _dates(column: pd.Series[Any]) -> pd.Series[Any]:
    dates = pd.to_datetime(column, utc=True, errors="coerce")
    return dates.dt.tz_localize(None).astype("datetime64[us]")


def text_of(form: Form) -> pd.Series[Any]:
    """The values of any sort as text, None for missing."""
    if form.sort == "number":
        found = [None if np.isnan(v) else _number(v) for v in form.values.to_numpy(dtype=float)]
    elif form.sort == "datetime":
        found = [None if v is pd.NaT else v.isoformat() for v in form.values]
    else:
        return form.values
    return pd.Series(found, dtype=object)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(float(value))


# -- deciding ---------------------------------------------------------------------------------------


def kind_of(name: str, parts: Sequence[Form], *, typed: bool = True) -> Kind:
    """What a column is, from its real parts.

    Args:
        name: Of the column; numeric identifiers are recognised by it.
        parts: The column in each real role; values are unique or not within each.
        typed: False for CSV, where numbers and truth values are text too.
    """
    parts = [part for part in parts if len(part.present)] or list(parts)
    sorts = {part.sort for part in parts}
    if sorts == {"number"}:
        return _kind_of_numbers(name, [part.present.to_numpy(dtype=float) for part in parts])
    if sorts == {"boolean"}:
        return "boolean"
    if sorts == {"datetime"}:
        return "datetime"
    texts = [text_of(part).dropna() for part in parts]
    values = pd.concat(texts)
    distinct = pd.Series(values.unique(), dtype=object)
    truths = distinct.str.strip().str.lower()
    if truths.isin(TRUTHS).all() and truths.isin(["true", "false"]).any():
        return "boolean"
    if not typed and len(distinct) and _are_numbers(distinct):
        return _kind_of_numbers(name, [pd.to_numeric(text).to_numpy(dtype=float) for text in texts])
    if len(distinct) and distinct.str.fullmatch(ISO_DATE).all() and _parse_dates(distinct).notna().all():
        return "datetime"
    return _kind_of_texts(name, texts, distinct)


def _are_numbers(distinct: pd.Series[Any]) -> bool:
    if not pd.to_numeric(distinct, errors="coerce").notna().all():
        return False
    codes = distinct.str.match(LEADING_ZERO).any() and not distinct.str.contains(".", regex=False).any()
    return not codes  # such as 02139


def _kind_of_numbers(name: str, parts: Sequence[NDArray[np.float64]]) -> Kind:
    whole = all(bool((part == np.floor(part)).all()) for part in parts)
    if whole and NAMED_LIKE_ID.search(name) and _all_unique([pd.Series(part) for part in parts]):
        return "identifier"
    distinct = np.unique(np.concatenate(parts)) if parts else np.zeros(0)
    return "category" if np.array_equal(distinct, [0.0, 1.0]) else "number"


def _kind_of_texts(name: str, parts: Sequence[pd.Series[Any]], distinct: pd.Series[Any]) -> Kind:
    rows = sum(len(part) for part in parts)
    if rows < MANY:
        return "category"
    words = float(distinct.str.count(r"\s+").mean()) + 1
    share = len(distinct) / rows
    if NAMED_LIKE_ID.search(name) and _all_unique(parts):
        return "identifier"
    if share > 0.9:
        return "text" if words >= 2 else "identifier"
    return "text" if share > 0.3 and words >= 4 else "category"


def _all_unique(parts: Sequence[pd.Series[Any]]) -> bool:
    return sum(len(part) for part in parts) >= MANY and all(part.is_unique for part in parts)


# -- parsing ----------------------------------------------------------------------------------------


def parse(form: Form, kind: str) -> pd.Series[Any]:
    """The column as that kind; values that cannot be read as it become missing.

    >>> parse(form_of(pd.Series(["1", "x"])), "number").tolist()
    [1.0, nan]
    """
    if kind == "number":
        return _as_numbers(form)
    if kind == "datetime":
        return form.values if form.sort == "datetime" else _parse_dates(text_of(form))
    texts = text_of(form)
    if kind == "boolean":
        return _mapped(texts, _truth)
    return _mapped(texts, lambda text: whole[1] if (whole := WHOLE.fullmatch(text)) else text)


def agreeing(form: Form, made: pd.Series[Any], known: Sequence[pd.Series[Any]]) -> pd.Series[Any]:
    """Categories of the release as real data write them, where real data hold numbers.

    True and false are 1 and 0 where these are the categories; numbers in single precision are those
    that they round.

    >>> agreeing(form_of(pd.Series([True, False])), pd.Series(["True", "False"]), [pd.Series(["0", "1"])]).tolist()
    ['1', '0']
    """
    levels = list(dict.fromkeys(value for column in known for value in column.dropna().unique()))
    if levels and set(levels) <= {"0", "1"}:
        return _mapped(made, lambda text: {"True": "1", "False": "0"}.get(_truth(text), text))
    numbers = pd.to_numeric(pd.Series(levels, dtype=object), errors="coerce").astype("float64")
    if form.sort != "number" or numbers.isna().any():
        return made
    with np.errstate(over="ignore"):
        rounded = {np.float32(number): level for number, level in zip(numbers, levels, strict=True)}
        return _mapped(made, lambda text: rounded.get(np.float32(float(text)), text))


def _mapped(texts: pd.Series[Any], change: Callable[[str], str]) -> pd.Series[Any]:
    """Each distinct text changed once."""
    codes, distinct = pd.factorize(texts, use_na_sentinel=True)
    changed = np.array([change(text) for text in distinct] + [None], dtype=object)
    return pd.Series(changed[codes], dtype=object)


def _truth(text: str) -> str:
    return TRUTHS.get(text.strip().lower(), text)


def _as_numbers(form: Form) -> pd.Series[Any]:
    if form.sort == "number":
        return form.values
    if form.sort == "datetime":
        return pd.Series(np.full(len(form.values), np.nan))
    texts = form.values.replace({"True": "1", "False": "0"}) if form.sort == "boolean" else form.values
    return pd.to_numeric(texts, errors="coerce").astype("float64")


def _parse_dates(texts: pd.Series[Any]) -> pd.Series[Any]:
    dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    if texts.notna().any() and not dates.notna().any():
        dates = pd.to_datetime(texts, format="mixed", utc=True, errors="coerce")
    return dates.dt.tz_localize(None).astype("datetime64[us]")
