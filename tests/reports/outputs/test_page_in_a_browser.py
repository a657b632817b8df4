"""The page as people meet it: keyboard, screen reader, print, no scripts, narrow and dark screens."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from helpers.sample_tables import (
    cells_panel,
    census_record,
    gate_of,
    manifest_of,
    reading_of,
    record_of,
    wide_record,
)

from counterproof.reports.model import CellReading, RoleReading
from counterproof.reports.outputs.html import render
from counterproof.reports.record import Record

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]


def grouped_record() -> Record:
    """Groups with and without a gate, long names, and sources deep in a file system."""
    places = [{"sex": sex} for sex in ("F", "M", "not stated in the questionnaire of the second wave")]
    judged = [reading_of("coverage.representation", group=group, headline=False) for group in places]
    free = [reading_of(f"fidelity.m{k}", group=group, value=0.9, headline=False) for group in places for k in range(8)]
    verdicts = ("fail", "inconclusive", "pass")
    cells = [CellReading(group=group, verdict=v) for group, v in zip(places, verdicts, strict=True)]  # type: ignore[arg-type]
    gates = [gate_of("coverage.representation", "fail", group=None, cells=cells), gate_of("leakage.copies")]
    deep = "/very/deep/" + "folder_without_any_break" * 12 + "/release.parquet"
    roles = [RoleReading(role="synthetic", source=deep, rows=10, digest="sha256:" + "ab" * 32)]
    manifest = manifest_of(roles=roles, config={"data": {"groups": ["sex"]}}, command=f"counterproof run {deep}")
    readings = [*judged, *free, reading_of(panels=[cells_panel()])]
    return record_of("fail", gates, readings, manifest=manifest, because="word" * 90)


RECORDS = {"census": census_record, "wide": wide_record, "groups": grouped_record, "empty": record_of}
SCREENS = [
    ("census", 1280, "light"), ("census", 1280, "dark"), ("census", 390, "light"), ("census", 390, "dark"),
    ("groups", 1280, "dark"), ("groups", 390, "light"), ("wide", 390, "light"), ("empty", 1280, "light"),
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        launched = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


def opened(browser: Any, folder: Path, record: Record, *, width: int = 1280, **options: Any) -> Any:
    file = folder / "report.html"
    file.write_text(render(record), encoding="utf-8")
    page = browser.new_context(viewport={"width": width, "height": 1000}, **options).new_page()
    page.set_default_timeout(60_000)
    page.goto(file.as_uri())
    return page


@pytest.mark.skipif(find_spec("axe_playwright_python") is None, reason="axe-core is not installed")
@pytest.mark.parametrize(("name", "width", "scheme"), SCREENS)
def test_axe_finds_no_violation_and_nothing_is_wider_than_the_screen(
    name: str, width: int, scheme: str, browser: Any, tmp_path: Path
) -> None:
    import axe_playwright_python

    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    page = opened(browser, tmp_path, RECORDS[name](), width=width, color_scheme=scheme, bypass_csp=True)
    page.evaluate(axe)
    for folded in (True, False) if (name, width, scheme) == ("census", 1280, "dark") else (True,):
        if not folded:
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            page.locator("figure.map").scroll_into_view_if_needed()
            page.wait_for_selector("figure.map.live .plot .scatterlayer .point", state="attached")
        found = page.evaluate("axe.run({ exclude: ['.plot svg'] })")["violations"]  # the points of a plot are thousands
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_the_contents_follow_the_reader(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, census_record(), reduced_motion="reduce")
    current = page.locator(".contents a[aria-current]")
    assert current.get_attribute("href") == "#top"
    for target in ("#q2", "#q5", "#glossary"):
        page.locator(f".contents a[href='{target}']").click()
        page.wait_for_selector(f".contents a[href='{target}'][aria-current]")
        assert current.count() == 1
    page.context.close()


def test_a_term_is_explained_to_the_keyboard_and_put_away_by_escape(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, census_record())
    term = page.locator(".term").first
    shown = "(e) => getComputedStyle(e, '::after').display"
    assert term.evaluate(shown) == "none"
    for _ in range(60):
        page.keyboard.press("Tab")
        if term.evaluate("(e) => e === document.activeElement"):
            break
    assert term.evaluate(shown) == "block"
    page.keyboard.press("Escape")
    assert term.evaluate(shown) == "none"
    means = page.locator(f"[id='{term.get_attribute('aria-describedby')}']")
    assert means.text_content() == term.get_attribute("data-tip")
    page.context.close()


def test_search_and_question_sift_the_measurements(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, census_record())
    page.locator("#q3 .jump").click()  # all measurements of leakage
    rows = page.locator("#measured tr")
    page.wait_for_function("document.getElementById('measurements').getBoundingClientRect().top >= 0")
    assert rows.locator("visible=true").count() == 1
    page.locator("[data-filter=measured] select").select_option("")
    page.locator("[data-filter=measured] input").fill("kernel EXCESS")
    assert rows.locator("visible=true").count() == 1
    assert page.locator("[data-filter=measured] output").text_content() == f"1 of {rows.count()}"
    page.locator("[data-filter=measured] input").fill("")
    assert rows.locator("visible=true").count() == rows.count()
    page.context.close()


def test_without_scripts_everything_is_there_and_nothing_that_needs_them(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, census_record(), java_script_enabled=False)
    assert page.locator(".search:visible").count() == 0
    assert page.locator(".plot:visible").count() == 0
    page.locator(".gate summary").first.click()
    assert page.locator(".gate .behind").first.is_visible()
    page.locator("#all-measurements > summary").click()
    assert page.locator("#measured tr").first.is_visible()
    page.context.close()


def test_print_unfolds_what_is_folded(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, census_record())
    assert not page.locator(".gate .behind").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator(".gate .behind").first.is_visible()
    assert not page.locator(".contents").is_visible()
    assert page.pdf().startswith(b"%PDF")
    page.context.close()


def test_what_no_gate_judges_has_no_colour_of_a_verdict(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, grouped_record())
    hue = """(e) => { const c = getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number);
        return Math.max(c[0], c[1], c[2]) - Math.min(c[0], c[1], c[2]); }"""
    beyond = page.locator(".square.beyond")
    assert beyond.count() == 24
    assert all(one.evaluate(hue) <= 6 for one in beyond.all())
    assert page.locator(".square.fail").first.evaluate(hue) != 0
    assert "no gate judges it" in str(page.locator("#groups .legend").text_content())
    page.context.close()
