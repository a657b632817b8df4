"""The gate grammar: one line of text to one :class:`Gate` and back.

::

    gate     = name [ "[" selector { "," selector } "]" ] operator limit [ "fail" number ]
    selector = "*" | column [ "=" ( value | "*" ) ]
    operator = "<=" | "<" | ">=" | ">"
    limit    = number | number "*" "floor" | ("floor" | "baseline") [ ("+" | "-") number ]

Columns and values that hold more than letters, digits and ``_`` are quoted. Nothing is evaluated.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from counterproof.judging.tokens import GateError, Token, error_at, tokens_of
from counterproof.metrics.metric import installed
from counterproof.reports.judgement import Operator
from counterproof.reports.model import quoted

Level = Literal["fail", "warn"]
Source = Literal["policy", "config"]
Kind = Literal["number", "times floor", "floor", "baseline"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)
KEYWORDS = ("floor", "baseline", "fail")


@dataclass(frozen=True, kw_only=True)
class Selector:
    """Which groups of one column: a value, every value, or (neither) the column as a whole."""

    column: str
    value: str | None = None
    every: bool = False

    def __str__(self) -> str:
        if self.every:
            return f"{quoted(self.column)}=*"
        return quoted(self.column) if self.value is None else f"{quoted(self.column)}={quoted(self.value)}"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a value is held against: ``value``, or in terms of the floor or a baseline."""

    value: float
    kind: Kind = "number"

    def __str__(self) -> str:
        if self.kind == "number":
            return repr(self.value)
        if self.kind == "times floor":
            return f"{self.value!r} * floor"
        return f"{self.kind} {'-' if self.value < 0 else '+'} {abs(self.value)!r}"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One requirement on one measured quantity.

    Attributes:
        metric: Metric id; the whole dotted name as long as no known id begins it.
        field: Field; empty for the metric's headline field.
        selectors: Groups by column; empty for the data set as a whole.
        cells: ``[*]``, every cell of the field.
        operator: How the value must stand to the limit.
        limit: The limit to pass.
        fail: The limit to fail, where it is another.
        level: ``warn`` gates never change a verdict.
        source: Who set it: the policy that metrics declare, or the configuration.
        tolerance_reason: Why this much.
        widest: How far the policy may widen the limit; twice the tolerance without it.
        expression: The gate as it was written.
    """

    metric: str
    field: str = ""
    selectors: tuple[Selector, ...] = ()
    cells: bool = False
    operator: Operator
    limit: Limit
    fail: float | None = None
    level: Level = "fail"
    source: Source = "config"
    tolerance_reason: str = ""
    widest: float | None = None
    expression: str = dataclasses.field(default="", compare=False)

    @property
    def name(self) -> str:
        """Metric and field as they are written."""
        return f"{self.metric}.{self.field}" if self.field else self.metric

    @property
    def where(self) -> str:
        """The selectors as they are written."""
        inside = "*" if self.cells else ", ".join(map(str, self.selectors))
        return f"[{inside}]" if inside else ""

    @property
    def many(self) -> bool:
        """Whether it is about every group of some kind."""
        return self.cells or any(selector.every for selector in self.selectors)

    def __str__(self) -> str:
        more = "" if self.fail is None else f" fail {self.fail!r}"
        return f"{self.name}{self.where} {self.operator} {self.limit}{more}"


def parse_gate(
    text: str,
    *,
    level: Level = "fail",
    source: Source = "config",
    tolerance_reason: str = "",
    known: Collection[str] | None = None,
) -> Gate:
    """Read one gate.

    Args:
        text: The gate, such as ``coverage.representation[sex=*] >= 0.8``.
        level: ``warn`` gates never change a verdict.
        source: Who set it.
        tolerance_reason: Why this much.
        known: Metric ids that tell a metric from a field; the installed ones by default.

    Raises:
        GateError: It is not a gate; the message gives line and column.

    >>> gate = parse_gate('coverage.representation[income=">50K"] >= 0.8 fail 0.5')
    >>> gate.metric, str(gate.selectors[0]), gate.limit.value, gate.fail
    ('coverage.representation', 'income=">50K"', 0.8, 0.5)
    """
    gate = Parser(text).gate(installed() if known is None else known)
    return dataclasses.replace(gate, level=level, source=source, tolerance_reason=tolerance_reason)


def split_name(name: str, known: Collection[str]) -> tuple[str, str]:
    """Metric and field of a dotted name, by the longest known id that begins it.

    >>> split_name("utility.tstr.gap", {"utility.tstr"})
    ('utility.tstr', 'gap')
    """
    for end in [len(name), *(m.start() for m in reversed(list(re.finditer(r"\.", name))))]:
        if name[:end] in known:
            return name[:end], name[end + 1 :]
    return name, ""


class Parser:
    """Reads one gate from left to right, one method per rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens = tokens_of(text)

    def gate(self, known: Collection[str]) -> Gate:
        """The whole line."""
        name = self._take("word", "a metric, as in 'family.name <= 0.1'")
        metric, part = split_name(name.text, known)
        cells, selectors = self._selectors() if self._skip("[") else (False, ())
        operator = self._operator()
        limit = self._limit()
        fail = self._number("the limit to fail") if self._skip("fail") else None
        if self._next().kind != "end":
            raise self._expected("nothing more" if fail is not None else "'fail' and a number, or nothing more")
        self._check(operator, limit, fail)
        return Gate(
            metric=metric,
            field=part,
            selectors=selectors,
            cells=cells,
            operator=operator,
            limit=limit,
            fail=fail,
            expression=self.text.strip(),
        )

    def _selectors(self) -> tuple[bool, tuple[Selector, ...]]:
        if self._skip("*"):
            self._take("]", "']' after '*'")
            return True, ()
        found: dict[str, Selector] = {}
        while True:
            begins = self._next()
            one = self._selector()
            if one.column in found:
                raise error_at(self.text, begins.start, f"the column {quoted(one.column)} stands twice")
            found[one.column] = one
            if not self._skip(","):
                self._take("]", "',' or ']'")
                return False, tuple(found.values())

    def _selector(self) -> Selector:
        column = self._name("a group column")
        if not self._skip("="):
            return Selector(column=column)
        if self._skip("*"):
            return Selector(column=column, every=True)
        return Selector(column=column, value=self._name("a group value or *"))

    def _name(self, what: str) -> str:
        token = self._next()
        if token.kind == "string":
            self.at += 1
            return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
        if token.kind not in ("word", "number"):
            raise self._expected(what)
        if "." in token.text:
            raise error_at(self.text, token.start, "put names that hold more than letters, digits and _ in quotes")
        self.at += 1
        return token.text

    def _operator(self) -> Operator:
        text = self._next().text
        for operator in OPERATORS:
            if text == operator:
                self.at += 1
                return operator
        raise self._expected("one of <=, <, >= and >")

    def _limit(self) -> Limit:
        for kind in ("floor", "baseline"):
            if self._skip(kind):
                return Limit(value=self._offset(), kind="floor" if kind == "floor" else "baseline")
        value = self._number("a number, 'floor' or 'baseline'")
        if self._skip("*"):
            self._take("floor", "'floor' after '*'")
            return Limit(value=value, kind="times floor")
        return Limit(value=value)

    def _offset(self) -> float:
        sign = -1.0 if self._skip("-") else 1.0 if self._skip("+") else 0.0
        return sign * self._number("a number") if sign else 0.0

    def _number(self, what: str) -> float:
        sign = -1.0 if self._skip("-") else 1.0
        token = self._take("number", what)
        value = float(token.text)
        if not math.isfinite(value):
            raise error_at(self.text, token.start, "the number is too large")
        return sign * value

    def _check(self, operator: Operator, limit: Limit, fail: float | None) -> None:
        if fail is None or limit.kind != "number":
            return
        stricter = fail < limit.value if operator in ("<=", "<") else fail > limit.value
        if stricter:
            raise error_at(self.text, self.tokens[-2].start, "the limit to fail is stricter than the limit to pass")

    # -- tokens ---------------------------------------------------------------------------------

    def _next(self) -> Token:
        return self.tokens[self.at]

    def _is(self, what: str) -> bool:
        token = self._next()
        return token.kind == what or (what in KEYWORDS and token.kind == "word" and token.text == what)

    def _skip(self, what: str) -> bool:
        found = self._is(what)
        self.at += found
        return found

    def _take(self, what: str, meaning: str) -> Token:
        if not self._is(what):
            raise self._expected(meaning)
        self.at += 1
        return self.tokens[self.at - 1]

    def _expected(self, what: str) -> GateError:
        token = self._next()
        found = "the end" if token.kind == "end" else repr(token.text)
        return error_at(self.text, token.start, f"expected {what}, not {found}")
