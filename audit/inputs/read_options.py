"""How files and texts are to be read, where the user says so: ``[data.read]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from counterproof.inputs.columns import UNREADABLE

Choice = str | Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the user said about files and texts; ``auto`` leaves it to the data.

    Attributes:
        encoding: Of text files.
        separator: Of fields.
        header: Whether the first line holds the names of the columns.
        decimal: The mark before decimals, for all columns or by column.
        dates: ``day-first`` or ``month-first``, for all columns or by column.
        missing: Further words that mean missing.
        unreadable: Share of real values of a column that may be none of the kind that all others are.
    """

    encoding: str = "auto"
    separator: str = "auto"
    header: bool | Literal["auto"] = "auto"
    decimal: Choice = "auto"
    dates: Choice = "auto"
    missing: tuple[str, ...] = ()
    unreadable: float = UNREADABLE


DEFAULT = ReadOptions()


def chosen(option: Choice, column: str) -> str:
    """What is said for one column, empty where nothing is.

    >>> chosen({"pay": ","}, "pay"), chosen("auto", "pay")
    (',', '')
    """
    said = option if isinstance(option, str) else option.get(column, "auto")
    return "" if said == "auto" else said
