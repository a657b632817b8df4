"""Hook of mkdocs: one reference page for each metric, from the same text as ``counterproof metrics show``.

The pages exist in the built site alone. What the demo gave, in numbers and figures, stands in ``demo.json``; after a
change of the demo write that file anew:

    counterproof demo --out /tmp/demo && python docs/hooks/reference_pages.py /tmp/demo/release_*/record.json
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from counterproof.cli.metric_catalogue import find
from counterproof.cli.metric_page import Entry, MetricPage
from counterproof.metrics.metric import FAMILIES, installed
from counterproof.reports.figures.draw import draw
from counterproof.reports.model import QUESTIONS, PanelReading
from counterproof.reports.record import Record
from counterproof.reports.text import interval

STORED = Path(__file__).with_name("demo.json")
HATCH = (
    '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs><pattern id="hatch" width="6" '
    'height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatching" d="M0 0v6"/>'
    "</pattern></defs></svg>"
)
LEFT_OUT = ("pairs",)  # kinds of panels that are lists of rows, not figures
LEGEND = {
    "real": "real data",
    "synthetic": "release",
    "hidden": "hidden: few real rows",
    "floor": "real against real",
    "under": "too few",
    "over": "too many",
    "change": "change",
}
REFERENCE = re.compile(r"(doi:10\.\S+?|arXiv:(?:[a-z-]+/\d{7}|\d{4}\.\d{4,5}))(?=[.,;)]*(?:\s|$))")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> None:
    """List the pages of the metrics in the navigation."""
    pages = [{family.capitalize(): [f"metrics/{name}.md" for name in of(family)]} for family in FAMILIES]
    for item in config.nav or []:
        if "Metrics" in item:
            item["Metrics"] = [{"All metrics": "metrics/index.md"}, *pages]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the metrics."""
    files.append(File.generated(config, "metrics/index.md", content="\n".join(index())))
    for family in FAMILIES:
        for name in of(family):
            files.append(File.generated(config, f"metrics/{name}.md", content="\n".join(page_text(find(name)))))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Name files of the repository that are no pages, and list the default gates under the policy."""
    if page.file.src_uri == "policy.md":
        markdown += "\n" + "\n".join(gate_table())

    def inside(found: re.Match[str]) -> str:
        target = (Path(config.docs_dir) / page.file.src_uri).parent / found[2]
        if target.resolve().is_relative_to(Path(config.docs_dir).resolve()):
            return found[0]
        path = found[2].removeprefix("../")
        return f"`{path}`" if found[1].strip("`") == path else f"{found[1]} (`{path}`)"

    markdown = LINK.sub(inside, markdown)
    return markdown if page.file.src_uri.startswith("metrics/") else with_links(markdown, page.file.src_uri.count("/"))


def with_links(markdown: str, depth: int) -> str:
    """Ids of metrics in code, with or without a field, become links, outside of fenced blocks and headings."""
    code = re.compile(rf"(?<!\[)`({'|'.join(map(re.escape, ids()))})((?:\.[a-z_]+)?)`")
    lines, fenced = [], False
    for line in markdown.split("\n"):
        fenced ^= line.startswith("```")
        link = rf"[`\1\2`]({'../' * depth}metrics/\1.md)"
        lines.append(line if fenced or line.startswith("#") else code.sub(link, line))
    return "\n".join(lines)


@cache
def of(family: str) -> tuple[str, ...]:
    """The ids of a family that ship with counterproof."""
    return tuple(sorted(name for name in installed() if name.startswith(f"{family}.")))


# -- pages ------------------------------------------------------------------------------------------


def index() -> Iterator[str]:
    """The list of all metrics, by question."""
    yield "# Metrics"
    yield ""
    yield "What each metric measures, how to read it, and what it cannot see. `counterproof metrics list` and"
    yield "`counterproof metrics show ID` print the same text."
    for family in FAMILIES:
        yield from ("", f"## {QUESTIONS[family]} ({family})", "", "| metric | what it measures |", "|---|---|")
        for name in of(family):
            yield f"| [`{name}`]({name}.md) | {cell(prose(find(name).summary))} |"


def page_text(page: MetricPage) -> Iterator[str]:
    """The page of a metric, as Markdown."""
    yield f"# {page.id}"
    yield ""
    yield f"**{prose(page.title)}**, version {page.version}. Question: {page.family}. {QUESTIONS[page.family]}"
    yield from section("What it measures", (page.summary, *page.measures))
    if page.formula:
        yield from ("", "## Formula", "", "```text", *page.formula, "```")
    yield from section("How to read it", (f"Headline `{page.headline}`, in {page.scale}.", *page.reading))
    yield from demo(page.id)
    yield from section("What it cannot see", page.limits)
    yield from ("", "## Default gates", "")
    for gate in page.gates:
        yield from ("", f"`{gate.expression}`{' (only warns)' if gate.level == 'warn' else ''}", "")
        yield f"* Why this much: {prose(gate.reason)}."
        if gate.failed:
            yield f"* If it fails: {prose(gate.failed)}"
    if not page.gates:
        yield "None: it is measured and shown, and no default gate looks at it. See [Gates](../gates.md) for your own."
    yield from ("", "## Fields", "", "| field | meaning |", "|---|---|")
    for field in page.fields:
        yield f"| `{field.name}` | {cell(prose(field.text))} |"
    if page.options:
        yield from options(page.id, page.options)
    yield from section("Needs", (page.needs[0].upper() + page.needs[1:] + ".",))
    yield from section("Floor", (page.floor[0].upper() + page.floor[1:] + ".",))
    yield from section("Source", page.source)


def section(title: str, paragraphs: tuple[str, ...]) -> Iterator[str]:
    """A heading and its paragraphs."""
    if paragraphs:
        yield from ("", f"## {title}")
        for paragraph in paragraphs:
            yield from ("", prose(paragraph))


def options(name: str, entries: tuple[Entry, ...]) -> Iterator[str]:
    """The options of a metric, and where they are set."""
    yield from (
        "",
        "## Options",
        "",
        f'Set them in `audit.toml` under `[metrics."{name}"]`, or by `options=` in Python.',
    )
    yield from ("", "| option | type | default | meaning |", "|---|---|---|---|")
    for one in entries:
        yield f"| `{one.name}` | {cell(one.kind)} | {cell(one.default)} | {cell(prose(one.text))} |"


def demo(name: str) -> Iterator[str]:
    """What the demo measured of this metric, and what the report draws of it."""
    found = stored().get(name, {})
    if not found:
        return
    yield from ("", "## On the demo", "", "| release | headline | real against real |", "|---|---|---|")
    for release, numbers in found["headlines"].items():
        yield f"| `{release}` | {numbers['release']} | {numbers['floor']} |"
    if "panel" in found:
        drawn = draw(PanelReading.model_validate(found["panel"]))
        yield from ("", f"{prose(drawn.title)}, of `{found['drawn']}`. {prose(drawn.note)}", "")
        keys = "".join(f'<span class="key {key}">{LEGEND[key]}</span>' for key in drawn.legend if key in LEGEND)
        legend = f'<p class="legend">{keys}</p>' if keys else ""
        yield f'<div class="demo-figure">{HATCH}{str(drawn.drawing).replace(chr(10), " ")}{legend}</div>'


def gate_table() -> Iterator[str]:
    """Every gate of the default policy, by question."""
    for family in FAMILIES:
        yield from ("", f"### {family.capitalize()}", "", "| gate | why this much |", "|---|---|")
        for page in map(find, of(family)):
            for gate in page.gates:
                warns = " (only warns)" if gate.level == "warn" else ""
                shown = gate.expression.replace(page.id, f"[{page.id}](metrics/{page.id}.md)", 1)
                yield f"| {cell(shown)}{warns} | {cell(prose(gate.reason, 'metrics/'))} |"


# -- text -------------------------------------------------------------------------------------------


def prose(text: str, folder: str = "") -> str:
    """Plain text as Markdown: names as code, metrics, DOIs and arXiv ids as links."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else linked(part, folder) for part in parts)


def linked(text: str, folder: str) -> str:
    """Outside of code: what could be read as markup is escaped, and references become links."""
    pieces = []
    for at, piece in enumerate(REFERENCE.split(text)):
        if at % 2:
            home = "https://doi.org/" if piece.startswith("doi:") else "https://arxiv.org/abs/"
            pieces.append(f"[{escape(piece, quote=False)}]({home}{quote(piece.partition(':')[2])})")
        else:
            plain = escape(piece, quote=False).replace("*", r"\*")
            pieces.append(known_names().sub(lambda m: f"[{m[0]}]({folder}{m[0]}.md)", plain))
    return "".join(pieces)


@cache
def known_names() -> re.Pattern[str]:
    """Ids of metrics in a sentence."""
    return re.compile(rf"\b({'|'.join(map(re.escape, ids()))})\b(?!\.\w)")


@cache
def ids() -> tuple[str, ...]:
    """All metrics that ship with counterproof, long ids before those that begin them."""
    return tuple(sorted((name for family in FAMILIES for name in of(family)), key=len, reverse=True))


def cell(text: str) -> str:
    """Text in a table."""
    return text.replace("|", r"\|")


# -- figures of the demo ----------------------------------------------------------------------------


@cache
def stored() -> dict[str, Any]:
    """Numbers of the demo by metric, and a panel where it has one."""
    found: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return found


def keep(paths: list[Path]) -> None:
    """Write ``demo.json`` from records of the demo; the first record that has a panel gives it."""
    kept: dict[str, Any] = {}
    for path in paths:
        release = path.parent.name
        for reading in Record.read(path).measurements:
            found = kept.setdefault(reading.metric, {"headlines": {}})
            if reading.headline and reading.value is not None:
                floor = reading.floor
                found["headlines"][release] = {
                    "release": interval(reading.value, reading.low, reading.high),
                    "floor": "none" if floor is None else interval(floor.value, floor.low, floor.high),
                }
            for panel in reading.panels:
                if panel.kind not in LEFT_OUT and "panel" not in found:
                    found |= {"drawn": release, "panel": panel.model_dump(mode="json")}
    kept = {name: found for name, found in kept.items() if found["headlines"]}
    lines = [f"{json.dumps(name)}: {json.dumps(found, ensure_ascii=False)}" for name, found in sorted(kept.items())]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    keep([Path(name) for name in sys.argv[1:]])
