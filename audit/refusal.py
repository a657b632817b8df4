"""What stops an audit before it starts, and how its sentences name things."""

from __future__ import annotations

from collections.abc import Iterable


class Refusal(ValueError):
    """The audit cannot start: one clear sentence that names what to mend (exit code 2)."""


def listed(values: Iterable[object], limit: int = 5) -> str:
    """The first few values, quoted, and how many more there are.

    Quoting escapes line breaks and control characters of hostile names.

    >>> listed(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    every = [repr(_short(str(value))) for value in values]
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
