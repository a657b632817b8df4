"""What a user needs to know of one metric, as typed parts: from its declaration and its docstring.

The docstring is in Google style. Its sections are ``Formula``, ``How to read it``, ``Limits``, ``Args``, ``Yields``
and ``Source``; what stands above the first section says what is measured. Terminal and documentation site write
the same :class:`MetricPage`.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from counterproof.metrics.metric import Metric

SECTIONS = (
    "Formula",
    "How to read it",
    "Limits",
    "Args",
    "Yields",
    "Raises",
    "Source",
    "Sources",
    "Returns",
    "Example",
)
FLOORS = {
    "resplit": "real rows against real rows, at the same sizes, {draws} re-splits",
    "membership": "the same release, with membership of train and holdout permuted at random, {draws} times",
    "halves": "models of halves of the real training rows, {draws} draws",
    "none": "none",
}
BETTER = {
    "lower": "lower is better",
    "higher": "higher is better",
    "zero": "0 is best",
}
MODALITIES = {"table": "tables", "image": "images", "features": "arrays of features"}
EXCESS = "How far the headline is beyond its floor, which is what real data reach at the same sizes."
SHARE_OF_ANCHOR = "How far the headline is beyond its floor, as a share of what destroying all joint structure costs."
OTHER_EXCESS = "The same for each other field that has a floor, as in `{field}_excess`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name and what it means.

    Attributes:
        name: As it is written in gates or in ``audit.toml``.
        text: What it means.
        kind: Its type in words; empty for a field.
        default: Its default in words; empty for a field.
    """

    name: str
    text: str
    kind: str = ""
    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultGate:
    """A gate of the default policy.

    Attributes:
        expression: As it is written.
        level: ``fail``, or ``warn`` for gates that never change a verdict.
        reason: Why this much.
        failed: What a failure means and what to do about it.
    """

    expression: str
    level: str
    reason: str
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPage:
    """All that is said of a metric to its users; texts are plain, names in them stand in backquotes.

    Attributes:
        id: Metric id.
        family: Which of the five questions it answers.
        title: The name in prose.
        version: Version of the algorithm.
        summary: One sentence: what is measured.
        measures: How it is measured, by paragraph.
        formula: The formula, line by line.
        reading: How to read it, by paragraph.
        limits: What it cannot see, by paragraph.
        options: Its options.
        needs: What it cannot do without, in words.
        headline: The field that a gate without a field means.
        scale: Unit and direction of that field.
        fields: What can be gated.
        floor: What its values are held against.
        gates: Its gates in the default policy.
        source: Papers and libraries, by paragraph.
    """

    id: str
    family: str
    title: str
    version: int
    summary: str
    measures: tuple[str, ...]
    formula: tuple[str, ...]
    reading: tuple[str, ...]
    limits: tuple[str, ...]
    options: tuple[Entry, ...]
    needs: str
    headline: str
    scale: str
    fields: tuple[Entry, ...]
    floor: str
    gates: tuple[DefaultGate, ...]
    source: tuple[str, ...]


def page_of(metric: Metric) -> MetricPage:
    """The page of a metric; parts that a plugin's docstring lacks are empty."""
    above, sections = split_docstring(inspect.getdoc(metric.function) or "")
    paragraphs = paragraphs_of(above)
    described = {entry.name: entry.text for entry in entries_of(sections.get("Args", ()))}
    return MetricPage(
        id=metric.id,
        family=metric.family,
        title=metric.title,
        version=metric.algo,
        summary=paragraphs[0] if paragraphs else f"{metric.title}.",
        measures=paragraphs[1:],
        formula=tuple(plain(line) for line in sections.get("Formula", ()) if line.strip()),
        reading=paragraphs_of(sections.get("How to read it", ())),
        limits=paragraphs_of(sections.get("Limits", ())),
        options=tuple(
            Entry(name=name, text=described.get(name, ""), kind=in_words(p.annotation), default=default_in_words(p))
            for name, p in metric.parameters().items()
        ),
        needs=_needs(metric),
        headline=metric.headline,
        scale=f"{metric.unit or 'no unit'}, {BETTER[metric.better]}",
        fields=_fields(metric, sections.get("Yields", ())),
        floor=FLOORS[metric.null].format(draws=metric.draws),
        gates=tuple(
            DefaultGate(
                expression=f"{metric.id}.{t.field}{'[*]' if t.cells else ''} {t.operator} {t.limit:g}",
                level=t.level,
                reason=t.reason,
                failed=_failed(metric, t.field),
            )
            for t in metric.tolerances
        ),
        source=paragraphs_of(sections.get("Source", ())),
    )


def _needs(metric: Metric) -> str:
    needs = metric.needs
    kinds = [words for kind, words in MODALITIES.items() if kind in needs.modalities]
    asked = {"holdout": "a holdout", "label": "a label", "groups": "group columns"}
    parts = [", ".join(kinds), *(words for name, words in asked.items() if getattr(needs, name))]
    return "; ".join([*parts, f"{needs.smallest_n} rows a side before a gate can pass"])


def _failed(metric: Metric, field: str) -> str:
    """What a failure of this field means and what to do; names of places become words: the column, the group."""
    said = metric.quantities.get(metric.headline if field == "excess" else field.removesuffix("_excess"))
    told = "" if said is None else f"{said.means} {said.remedy}".strip()
    return re.sub(r"\{(\w+)\}", r"the \1", told)


def _fields(metric: Metric, yields: Sequence[str]) -> tuple[Entry, ...]:
    """The fields that the docstring describes, then those that the engine makes from value and floor."""
    own = entries_of(yields)
    if metric.null != "resplit" or any(entry.name == "excess" for entry in own):
        return own
    other = next((entry.name for entry in own if entry.name != metric.headline), None)
    more = [Entry(name="…_excess", text=OTHER_EXCESS.format(field=other))] if other else []
    return (*own, Entry(name="excess", text=SHARE_OF_ANCHOR if metric.anchored else EXCESS), *more)


# -- docstrings -------------------------------------------------------------------------------------


def split_docstring(text: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The lines above the first section, and those of each section without their indentation.

    >>> lines = ("One.", "", "Limits:", "    None.", "Args:", "    k: A number", "        of rows.")
    >>> split_docstring(chr(10).join(lines))[1]
    {'Limits': ('None.',), 'Args': ('k: A number', '    of rows.')}
    """
    above: list[str] = []
    sections: dict[str, list[str]] = {}
    into = above
    for line in text.split("\n"):
        name = line.removesuffix(":")
        if line.endswith(":") and name in SECTIONS:
            into = sections.setdefault(name, [])
        else:
            into.append(line.removeprefix("    ") if into is not above else line)
    return tuple(above), {name: tuple(lines) for name, lines in sections.items()}


def paragraphs_of(lines: Sequence[str]) -> tuple[str, ...]:
    """Paragraphs, each as one line.

    >>> paragraphs_of(["One", "sentence.", "", "Another."])
    ('One sentence.', 'Another.')
    """
    blocks = "\n".join(lines).strip().split("\n\n")
    return tuple(plain(" ".join(block.split())) for block in blocks if block.strip())


def entries_of(lines: Sequence[str]) -> tuple[Entry, ...]:
    """The entries ``name: text`` of a section.

    >>> entries_of(["k: A number", "    of rows.", "q: Another."])[0].text
    'A number of rows.'
    """
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        start = re.match(r"(\w+): (.*)", line)
        if start:
            name = start[1]
            found[name] = [start[2]]
        elif name and line.strip():
            found[name].append(line.strip())
    return tuple(Entry(name=name, text=plain(" ".join(parts))) for name, parts in found.items())


def plain(text: str) -> str:
    """Without the roles and double quotes of reST.

    >>> plain("see :func:`~counterproof.metrics.fidelity.marginals.marginals`, ``k`` of :class:`Value` s")
    'see `marginals`, `k` of `Value`s'
    """
    text = re.sub(r":\w+:`~(?:\w+\.)*(\w+)`", r"`\1`", text)
    text = re.sub(r":\w+:`([^`]+)`(?: (?=s\b))?", r"`\1`", text)
    return text.replace("``", "`")


# -- types in words ---------------------------------------------------------------------------------


def in_words(annotation: Any) -> str:
    """The type of an option in words.

    >>> in_words(tuple[Literal["linear", "boosting"], ...]), in_words(int | None)
    ('list of linear or boosting', 'whole number, or nothing')
    """
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = " and ".join(_bounds(inside[1:]))
        return f"{in_words(inside[0])}{', ' + limits if limits else ''}"
    if origin is Literal:
        *most, last = map(str, inside)
        return f"{', '.join(most)} or {last}" if most else last
    if origin in (Union, types.UnionType):
        kinds = [in_words(one) for one in inside if one is not type(None)]
        return " or ".join(kinds) + (", or nothing" if type(None) in inside else "")
    if origin in (tuple, list):
        return f"list of {_plural(in_words(inside[0]))}"
    if origin in (dict, Mapping):
        nested = get_origin(inside[1]) in (dict, Mapping)
        return f"{in_words(get_args(inside[1])[1])} by column and value" if nested else f"{in_words(inside[1])} by name"
    names = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _plural(words: str) -> str:
    """A list holds numbers, not number.

    >>> _plural("whole number, 2 or more"), _plural("list of texts"), _plural("text")
    ('whole numbers, 2 or more', 'lists of texts', 'texts')
    """
    return re.sub(r"^(whole number|number|text|list|table)\b", r"\1s", words)


def _bounds(metadata: Sequence[Any]) -> Iterator[str]:
    """Limits that pydantic holds a number to."""
    for part in metadata:
        for one in _constraints(part):
            for name, words in _LIMITS.items():
                limit = getattr(one, name, None)
                if limit is not None:
                    yield words.format(limit)


def _constraints(part: Any) -> Sequence[Any]:
    return getattr(part, "metadata", None) or [part]


_LIMITS = {"ge": "{:g} or more", "gt": "above {:g}", "le": "{:g} or less", "lt": "below {:g}"}


def default_in_words(parameter: inspect.Parameter) -> str:
    """The default of an option; one that is None or empty is decided by the metric."""
    given = parameter.default
    if given is None or given in ("", ()):
        return "none"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, tuple):
        return ", ".join(map(str, given))
    return f"{given:g}" if isinstance(given, float) else str(given)
