"""Labels, columns, groups and file names that attack the reader of a report."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from helpers.sample_tables import (
    bars_panel,
    cells_panel,
    evidence_of,
    forest_panel,
    gate_of,
    manifest_of,
    map_panel,
    marginals_panel,
    pairs_panel,
    reading_of,
)
from rich.console import Console

from counterproof.reports.model import CellReading, FamilyReading, NotAssessed, PanelReading, RoleReading
from counterproof.reports.outputs.html import render, render_summary
from counterproof.reports.outputs.junit import junit
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.outputs.terminal import VerdictTable, plain_lines, rows
from counterproof.reports.record import Record

CHROMIUM = Path("/usr/bin/chromium")
MARK = "xyzzy"
ATTACKS = {
    "script": f"</script><script>window.{MARK}=1;alert(1)</script>",
    "image": f'<img src=x onerror="window.{MARK}=1">',
    "attribute": f'" onmouseover="window.{MARK}=1" x="\' onfocus=\'{MARK}',
    "svg": f"</title></svg><svg onload=window.{MARK}=1>",
    "comment": f"--><script>window.{MARK}=1</script><!--",
    "cdata": f"]]><script>{MARK}</script>&{MARK};",
    "ansi": f"\x1b[31m{MARK}\x1b]8;;http://evil.example\x07\x9b2J\r\x00\x08",
    "pipes": f"a | b `{MARK}` \\| c\n# {MARK}\n| x |",
    "link": f"[{MARK}](javascript:alert(1)) ![x](http://evil.example/x.png) http://evil.example @someone #12",
    "rich": f"[bold red]{MARK}[/bold red] [link=http://evil.example]x[/link] [/]",
    "template": f"{{{{ 7*7 }}}} {{% raw %}} {MARK} ${{7*7}}",
    "bidi": f"a\u202e{MARK}\u2066\u2028\u2029\ufeff",
    "surrogate": f"\udcff{MARK}\ud800",
    "style": f"</style><style>body{{display:none}}</style>url(http://evil.example/{MARK})",
}


def poisoned(value: Any, text: str) -> Any:
    """Panel data with every word replaced."""
    if isinstance(value, dict):
        kept = {"state", "modality", "statistic", "kind"}
        records = {"synthetic_record", "real_record"}
        return {
            (text if False else key): child
            if key in kept
            else {text: text}
            if key in records
            else poisoned(child, text)
            for key, child in value.items()
        }
    if isinstance(value, list):
        return [poisoned(child, text) for child in value]
    return text if isinstance(value, str) else value


def hostile_record(text: str) -> Record:
    """A record where every string that data can reach is the attack."""
    made = [map_panel(300), marginals_panel(3), cells_panel(), forest_panel(), bars_panel(), pairs_panel()]
    made += [
        pairs_panel(redacted=False, shows_real=True),
        pairs_panel(redacted=False, modality="image", shows_real=True),
    ]
    panels = [
        PanelReading(kind=p.kind, title=text, data=poisoned(p.data, text), note=text, shows_real=p.shows_real)
        for p in made
    ]
    broken = PanelReading(kind="bars", title=text, data={text: text, "labels": text})
    table = evidence_of(20).model_copy(
        update={"title": text, "columns": [text], "rows": [[text, None, {text: text}]] * 20}
    )
    reading = reading_of(
        title=text, unit=text, reason=text, alarm=text, method=text, protocol=text, group={text: text, "b": None},
        n={text: 3}, panels=[*panels, broken], evidence=[table], params={text: text},
    )  # fmt: skip
    cell = CellReading(group={text: text}, verdict="fail", value=0.1, low=0.0, high=0.2, why=text)
    common = {"group": {text: text}, "expression": text, "why": text, "tolerance_reason": text}
    gates = [
        gate_of(verdict="fail", cells=[cell], too_few=[cell], **common),
        gate_of(verdict="fail", waiver=text, **common),
        gate_of(verdict="inconclusive", level="warn", **common),
        gate_of(metric=text, verdict="error", family="fidelity", **common),
    ]
    return Record(
        verdict="fail",
        because=text,
        warnings=[text],
        families={"fidelity": FamilyReading(verdict="fail", because=[text])},
        measurements=[reading],
        gates=gates,
        manifest=manifest_of(
            roles=[RoleReading(role="synthetic", source=text, rows=1, digest=text, notes=[text])],
            config={text: {text: [text]}}, packages={text: text}, columns={text: text}, command=text,
            encoder=text, encoder_digest=text, device=text, findings=[text], modality=text, started=text,
        ),
        not_assessed=[NotAssessed(metric=text, reason=text)],
    )  # fmt: skip


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.links |= {str(value) for name, value in attrs if name in ("src", "href")}


@pytest.fixture(scope="module")
def harmless() -> Elements:
    return Elements(render(hostile_record("plain")))


@pytest.mark.parametrize("attack", ATTACKS)
def test_data_cannot_add_an_element_or_an_attribute_to_the_page(attack: str, harmless: Elements) -> None:
    page = render(hostile_record(ATTACKS[attack]))
    found = Elements(page)
    assert found.tags == harmless.tags
    assert found.names == harmless.names
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in found.links)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    page.encode("utf-8")


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for child in value.values():
            yield from texts_of(child)
    elif isinstance(value, list):
        for child in value:
            yield from texts_of(child)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("attack", ATTACKS)
def test_data_cannot_leave_the_embedded_json(attack: str) -> None:
    page = render(hostile_record(ATTACKS[attack]))
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert len(blocks) > 3
    for block in blocks:
        assert not set(block) & set("<>&\u2028\u2029")
        for text in texts_of(json.loads(block)):
            assert not set(re.sub(r"</?b>|<br>|<extra>[a-z ]*</extra>", "", text)) & set("<>"), text


@pytest.mark.parametrize("attack", ATTACKS)
def test_data_cannot_add_an_element_to_the_notebook_summary(attack: str) -> None:
    found = Elements(render_summary(hostile_record(ATTACKS[attack])))
    assert found.tags == Elements(render_summary(hostile_record("plain"))).tags
    assert found.names == {"style"}


@pytest.mark.parametrize("attack", ATTACKS)
def test_junit_stays_xml_with_the_same_elements(attack: str) -> None:
    def outline(text: str) -> list[str]:
        return [element.tag for element in ET.fromstring(junit(hostile_record(text)).encode("utf-8")).iter()]

    assert outline(ATTACKS[attack]) == outline("plain")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", junit(hostile_record(ATTACKS[attack])))


@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_keeps_its_lines_and_columns(attack: str) -> None:
    text, plain = markdown(hostile_record(ATTACKS[attack])), markdown(hostile_record("plain"))
    lines, expected = text.splitlines(), plain.splitlines()
    assert len(lines) == len(expected)
    for line, other in zip(lines, expected, strict=True):
        assert line.count("|") == other.count("|")
        assert not re.search(r"<(?![= ])", line.replace("<br>", ""))
        assert "](" not in line
        assert not set(line) & set("@\\")
        assert "://" not in line


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_terminal_prints_no_control_characters_and_reads_no_markup(attack: str) -> None:
    record = hostile_record(ATTACKS[attack])
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=False, color_system=None).print(VerdictTable(record))
    for text in (out.getvalue(), "\n".join(plain_lines(record))):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        text.encode("utf-8")
    assert max(len(line) for line in out.getvalue().splitlines()) <= 100
    if attack == "rich":
        assert "[bold red]xyzzy[/bold red]" in "\n".join(plain_lines(record))
        assert "[bold red]xyzzy[/bold red]" in out.getvalue()
    assert [row.mark for row in rows(record)] == [row.mark for row in rows(hostile_record("plain"))]


def test_contents_of_records_stay_hidden_unless_the_audit_says_otherwise() -> None:
    secret = "SECRET-RECORD"
    panel = pairs_panel(redacted=False)
    data = poisoned(panel.data, secret)
    for pair in data["pairs"]:
        pair["synthetic"] = pair["real"] = "row 1"
    for redacted, declared, shown in [(True, True, False), (False, False, False), (False, True, True)]:
        made = PanelReading(kind="pairs", title="t", data={**data, "redacted": redacted}, shows_real=declared)
        page = render(hostile_record("plain").model_copy(update={"measurements": [reading_of(panels=[made])]}))
        assert (secret in page) == shown
        assert ("<span>hidden</span>" in page) == (not shown)


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
def test_in_a_browser_nothing_of_the_data_runs_and_the_map_draws(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    chosen = {name: ATTACKS[name] for name in ("script", "image", "style")} | {"all": " ".join(ATTACKS.values())}
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=str(CHROMIUM), args=[*options, "--disable-sync", "--no-first-run"]
        )
        page = browser.new_page()
        requests: list[str] = []
        troubles: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text))
        for name, text in chosen.items():
            file = tmp_path / f"{name}.html"
            file.write_text(render(hostile_record(text)), encoding="utf-8")
            page.goto(file.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            page.locator("figure.map").scroll_into_view_if_needed()
            page.wait_for_selector(".live .plot .scatterlayer .point", state="attached", timeout=20_000)
            assert page.evaluate(f"typeof window.{MARK}") == "undefined", name
            assert page.title() == "counterproof: Fail"
        browser.close()
    assert troubles == []
    assert all(url.startswith(("file://", "blob:", "data:")) for url in requests)
    assert len([url for url in requests if url.startswith("file://")]) == len(chosen)
