"""The installed metrics, as ``counterproof metrics`` lists and shows them at a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from counterproof.cli.metric_page import Entry, MetricPage, page_of
from counterproof.metrics.errors import MetricError
from counterproof.metrics.metric import FAMILIES, installed, load
from counterproof.refusal import nearest_names
from counterproof.reports.model import QUESTIONS

WIDTH = 100


def lines() -> Iterator[str]:
    """The metrics by question: id and what is measured."""
    pages: list[MetricPage] = []
    broken: list[str] = []
    for name in installed():
        try:
            pages.append(page_of(load(name)))
        except MetricError as error:
            broken += _wrapped(f"{name} cannot be loaded: {error}", "  ", "    ")
    width = max((len(page.id) for page in pages), default=0) + 2
    for family in FAMILIES:
        asked = [page for page in pages if page.family == family]
        if asked:
            yield f"{family}: {QUESTIONS[family]}"
            for page in sorted(asked, key=lambda page: page.id):
                yield from _wrapped(page.summary, f"  {page.id:<{width}}", " " * (width + 2))
            yield ""
    yield from broken
    yield "counterproof metrics show ID says how to read one of them, its options, gates and limits."


def find(identifier: str) -> MetricPage:
    """The page of an installed metric.

    Raises:
        MetricError: There is none of that id; the message names the nearest.
    """
    known = installed()
    if identifier not in known:
        near = nearest_names(identifier, known, most=3)
        told = f"nearest: {', '.join(near)}" if near else "`counterproof metrics list` lists them all"
        raise MetricError(f"no metric is called {identifier!r}; {told}")
    return page_of(load(identifier))


def page(identifier: str) -> str:
    """What ``counterproof metrics show`` prints.

    Raises:
        MetricError: There is no metric of that id.
    """
    return "\n".join(terminal_lines(find(identifier)))


def terminal_lines(page: MetricPage) -> Iterator[str]:
    """The page of a metric, in lines of 100 columns at most."""
    yield from _wrapped(f"{page.id}: {page.title} (version {page.version})")
    yield f"Question: {page.family}. {QUESTIONS[page.family]}"
    yield from _section("What it measures", (page.summary, *page.measures))
    if page.formula:
        yield from ("", "Formula")
        for line in page.formula:
            yield from _wrapped(line.rstrip(), "  ", "    ")
    yield from _section("How to read it", (f"Headline {page.headline}, in {page.scale}.", *page.reading))
    yield from _section("What it cannot see", page.limits)
    yield from ("", "Default gates")
    for gate in page.gates:
        yield from _wrapped(f"{gate.expression}{' (only warns)' if gate.level == 'warn' else ''}", "  ", "    ")
        yield from _wrapped(f"Why this much: {gate.reason}.", "    ", "    ")
        if gate.failed:
            yield from _wrapped(f"If it fails: {gate.failed}", "    ", "    ")
    if not page.gates:
        yield "  None: it is measured and shown, and no default gate looks at it."
    if page.fields:
        yield from ("", "Fields")
        yield from _table(page.fields)
    yield from ("", "Options")
    if page.options:
        yield from _wrapped(f'Set them in audit.toml under [metrics."{page.id}"].', "  ", "  ")
    yield from _table(page.options)
    if not page.options:
        yield "  None."
    yield from _section("Needs", (page.needs,))
    yield from _section("Floor", (page.floor,))
    yield from _section("Source", page.source)


def _section(title: str, paragraphs: tuple[str, ...]) -> Iterator[str]:
    if not paragraphs:
        return
    yield from ("", title)
    for at, paragraph in enumerate(paragraphs):
        if at:
            yield ""
        yield from _wrapped(paragraph, "  ", "  ")


def _table(entries: tuple[Entry, ...]) -> Iterator[str]:
    width = max((len(entry.name) for entry in entries), default=0) + 2
    for entry in entries:
        first = f"{entry.kind}; default: {entry.default}. " if entry.kind else ""
        yield from _wrapped(first + entry.text, f"  {entry.name:<{width}}", " " * (width + 2))


def _wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    """Lines of 100 columns at most; names lose their backquotes."""
    text = text.replace("`", "")
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False) or [first]
