"""The page is one small file that needs no network, no server and no scripts to be read."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import plotly.offline
import pytest
from helpers.sample_tables import (
    bars_panel,
    cells_panel,
    census_record,
    evidence_of,
    forest_panel,
    gate_of,
    manifest_of,
    map_panel,
    marginals_panel,
    pairs_panel,
    png,
    reading_of,
    record_of,
)

from counterproof.reports.model import PanelReading, Reading
from counterproof.reports.outputs.html import BUNDLE, render, render_summary
from counterproof.reports.record import Record

TEMPLATES = resources.files("counterproof.reports").joinpath("templates")
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Outline(HTMLParser):
    """Elements with their attributes, and whether they nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)


def bundle() -> str:
    return gzip.decompress(TEMPLATES.joinpath(BUNDLE).read_bytes()).decode()


def policy_of(outline: Outline) -> str:
    return next(str(a["content"]) for tag, a in outline.elements if a.get("http-equiv") == "Content-Security-Policy")


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def full_record() -> Record:
    """As large as audits get: 24 columns, 4000 points, 24 pairs of thumbnails, 300 readings."""
    pairs: dict[str, Any] = pairs_panel(redacted=False, modality="image", shows_real=True).data
    many = {**pairs, "pairs": [dict(pairs["pairs"][k % 6], synthetic_image=png(64, k)) for k in range(24)]}
    shown = PanelReading(kind="pairs", title="Closest pairs", data=many, shows_real=True)
    panels = [map_panel(), marginals_panel(60), cells_panel(), forest_panel(), bars_panel(), shown]
    groups = [reading_of("coverage.representation", group={"sex": f"group {k}"}) for k in range(300)]
    record = census_record()
    first = reading_of(panels=panels, evidence=[evidence_of(500)])
    return record.model_copy(update={"measurements": [first, *groups], "gates": [gate_of() for _ in range(60)]})


def test_the_page_stays_under_two_megabytes() -> None:
    assert len(render(full_record()).encode()) < 2_000_000


def test_the_same_record_gives_the_same_bytes() -> None:
    assert render(census_record()) == render(census_record())


def test_a_record_read_back_gives_the_same_page() -> None:
    record = census_record()
    assert render(Record.model_validate_json(record.to_json())) == render(record)


@pytest.mark.parametrize("make", [census_record, full_record, record_of])
def test_the_page_is_well_formed_and_loads_nothing(make: Any) -> None:
    page = render(make())
    outline = Outline(page)
    assert not outline.open
    ids = [a["id"] for _, a in outline.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in outline.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert str(attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    assert "@import" not in page
    assert not re.search(r"url\((?!#hatch)", page)


@pytest.mark.parametrize("plotted", [True, False])
def test_only_scripts_of_known_hash_may_run(plotted: bool) -> None:
    record = census_record() if plotted else record_of("pass", [gate_of()], [reading_of(panels=[pairs_panel()])])
    outline = Outline(render(record))
    running = [text for attributes, text in outline.scripts if "type" not in attributes]
    assert len(running) == 1
    wanted = [digest(running[0])] + ([digest(bundle())] if plotted else [])
    policy = policy_of(outline)
    assert policy.startswith("default-src 'none'; ")
    assert re.findall(r"'sha256-([^']+)'", policy) == wanted
    assert "unsafe-eval" not in policy
    assert policy.count("unsafe-inline") == 1
    assert "style-src 'unsafe-inline'" in policy
    packed = [text for a, text in outline.scripts if a.get("id") == "plotly"]
    assert len(packed) == int(plotted)
    assert not packed or gzip.decompress(base64.b64decode(packed[0])).decode() == bundle()


def test_the_vendored_plotly_is_that_of_the_installed_package() -> None:
    stated = re.search(r"plotly\.js \(cartesian - minified\) v([\d.]+)", bundle()[:400])
    assert stated is not None
    assert stated[1] == plotly.offline.get_plotlyjs_version()
    assert "Licensed under the MIT license" in bundle()[:400]
    assert "Permission is hereby granted" in TEMPLATES.joinpath("plotly.LICENSE.txt").read_text()


def test_every_figure_is_there_without_scripts() -> None:
    """As a drawing with its table; folded away, where a plot takes its place, as a table that stands open."""
    record = census_record()
    page = render(record)
    panels = [panel for reading in record.measurements for panel in reading.panels]
    overlaid = [panel for panel in panels if panel.kind == "marginals"]
    figures = re.findall(r'<figure class="panel .*?</figure>(?=\n)', page, re.DOTALL)
    assert len(figures) == len(panels) - len(overlaid)
    for panel in panels:
        if panel not in overlaid:
            (figure,) = (one for one in figures if f">{panel.title}</h3>" in one)
            assert "<summary>As a table</summary>" in figure
            assert 'class="still"' in figure or "open data-spare><summary>As a table" in figure
    for column in overlaid[0].data["columns"]:
        assert f">{column['column']}</span>" in page
    drawn = [a for tag, a in Outline(page).elements if tag == "svg" and a.get("role") == "img"]
    assert len(drawn) > 20
    assert all(a.get("aria-label") for a in drawn)


def test_sections_stand_in_their_order() -> None:
    page = render(census_record())
    marks = ['id="verdict"', 'class="cards"', 'id="next"', 'id="audited"', 'id="warnings"', 'id="columns"']
    marks += [*(f'<section class="chapter" id="q{k}"' for k in range(1, 6)), 'id="audit"', 'id="evidence"']
    marks += ['id="manifest"', "0123456789abcdef" * 4 + "</code>", 'id="measurements"', 'id="glossary"', "<footer>"]
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)


def test_levels_of_headings_are_not_skipped() -> None:
    levels = [int(tag[1]) for tag, _ in Outline(render(census_record())).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1


def test_the_templates_promise_nothing_and_never_turn_escaping_off() -> None:
    for part in TEMPLATES.iterdir():
        if part.name.endswith((".j2", ".js", ".css")):
            text = part.read_text()
            assert not re.search(r"\b(anonymous|private|safe)\b", text, re.IGNORECASE), part.name
            assert "autoescape" not in text


@pytest.mark.parametrize("where", ["manifest", "panel", "evidence", "nowhere"])
def test_a_badge_says_that_real_records_are_shown(where: str) -> None:
    reading: Reading = reading_of(
        panels=[pairs_panel(redacted=False, shows_real=where == "panel")],
        evidence=[evidence_of().model_copy(update={"shows_real": where == "evidence"})],
    )
    record = record_of("pass", [gate_of()], [reading], manifest=manifest_of(shows_real=where == "manifest"))
    assert ("Contains real records." in render(record)) == (where != "nowhere")
    assert ("contains real records" in markdown_of(record).lower()) == (where != "nowhere")


def markdown_of(record: Record) -> str:
    from counterproof.reports.outputs.markdown import markdown

    return markdown(record).replace("contain real records", "contains real records")


def test_the_notebook_summary_has_no_scripts_no_styles_and_no_classes() -> None:
    outline = Outline(render_summary(census_record()))
    assert not outline.open
    for tag, attributes in outline.elements:
        assert tag not in {"script", "style", "link", "img", "svg"}
        assert set(attributes) <= {"style"}
    assert len(render_summary(full_record())) < 100_000


def test_colours_of_words_have_contrast_in_both_themes() -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 for text."""
    style = TEMPLATES.joinpath("style.css").read_text()
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        for name in ("ink", "quiet", "accent", "pass", "fail", "inconclusive", "error", "warn", "muted"):
            assert contrast(colours[name], colours["paper"]) >= 4.5, name
            assert contrast(colours[name], mixed(colours[name], colours["paper"], 0.12)) >= 4.5, name


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(one: str, other: str, share: float) -> str:
    pairs = ((int(one[k : k + 2], 16), int(other[k : k + 2], 16)) for k in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)
