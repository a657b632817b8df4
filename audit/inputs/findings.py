"""Findings: what did not fit, in a sentence, with its weight."""

from __future__ import annotations

from collections.abc import Iterable

UNWEIGHED = 0.5  # a plain sentence: something did not fit, nobody said how much


class Finding(str):
    """A sentence on the data and how much of them it concerns.

    Attributes:
        weight: 1 where a column or a role is not audited, the share of rows or cells where that is known; 0 for a
            remark that asks nothing of the reader, such as how a column was treated.
    """

    weight: float

    def __new__(cls, text: str, weight: float = UNWEIGHED) -> Finding:
        """The sentence, as text."""
        made = super().__new__(cls, text)
        made.weight = weight
        return made


def remark(text: str) -> Finding:
    """A finding that asks nothing of the reader.

    >>> remark("column 'id' is an identifier").weight
    0.0
    """
    return Finding(text, 0.0)


def notable(findings: Iterable[str]) -> list[str]:
    """The findings that readers should see first, worst first; remarks are not among them.

    >>> notable([remark("a"), "b", Finding("c", 1.0)])
    ['c', 'b']
    """
    weighed = [(getattr(text, "weight", UNWEIGHED), str(text)) for text in findings]
    return [text for weight, text in sorted(weighed, key=lambda one: -one[0]) if weight > 0]
