"""The words of a gate, and errors that point at one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from counterproof.refusal import Refusal

TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?!\w))
      | (?P<word>\w+(?:\.\w+)*)
      | (?P<sign><=|>=|[<>=*+,\[\]≤≥−×-])
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""",
    re.VERBOSE | re.DOTALL,
)
LIKENESSES = {"≤": "<=", "≥": ">=", "−": "-", "×": "*"}


class GateError(Refusal):
    """A gate cannot be read or judged; the message says where and what to write instead."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a gate and where it begins."""

    kind: str
    text: str
    start: int


def tokens_of(text: str) -> list[Token]:
    """The words of a text and its end. A sign's kind is the sign itself.

    Raises:
        GateError: A letter begins no word.

    >>> [token.text for token in tokens_of("a.b[x='y z'] ≤ .1")]
    ['a.b', '[', 'x', '=', "'y z'", ']', '<=', '.1', '']
    """
    tokens, start = [], 0
    while start < len(text):
        found = TOKEN.match(text, start)
        if found is None or found.lastgroup is None:
            cause = "the quote is never closed" if text[start] in "\"'" else "this has no meaning in a gate"
            raise error_at(text, start, cause)
        if found.lastgroup != "space":
            plain = LIKENESSES.get(found.group(), found.group())
            tokens.append(Token(plain if found.lastgroup == "sign" else found.lastgroup, plain, start))
        start = found.end()
    return [*tokens, Token("end", "", len(text.rstrip()))]


def error_at(text: str, start: int, told: str) -> GateError:
    """An error with line, column and a caret under the place."""
    before = text[:start]
    line, column = before.count("\n") + 1, start - before.rfind("\n")
    shown = "".join(c if c.isprintable() else " " for c in text.split("\n")[line - 1])
    pointer = f"\n  {shown}\n  {' ' * (column - 1)}^" if shown.strip() else ""
    return GateError(f"gate, line {line}, column {column}: {told}{pointer}")
