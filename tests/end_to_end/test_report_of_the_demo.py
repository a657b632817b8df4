"""The reports of the demo's releases: an answer on the first screen, all of it on twelve, no trouble in the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from counterproof import Record
from counterproof.reports.outputs.html import render

CHROMIUM = Path("/usr/bin/chromium")
SCREENS, SCREEN = 12, 1000
MOST_BYTES = 2_000_000


@pytest.mark.parametrize("release", ["release_argn", "release_tvae3", "release_gan"])
def test_the_page_stays_under_two_megabytes(release: str, audited: Callable[[str], Record]) -> None:
    assert len(render(audited(release)).encode()) < MOST_BYTES


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
@pytest.mark.parametrize("release", ["release_argn", "release_tvae3", "release_gan"])
def test_the_answer_stands_on_the_first_screen_and_everything_on_twelve(
    release: str, audited: Callable[[str], Record], tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "report.html"
    file.write_text(render(audited(release)), encoding="utf-8")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": SCREEN})
        page.set_default_timeout(60_000)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text))
        page.goto(file.as_uri())
        for part in (".hero", ".cards", ".next", ".audited"):
            box = page.locator(part).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= SCREEN, part
        for at in range(0, SCREENS * SCREEN, SCREEN):  # what is seen draws itself, and must not grow
            page.evaluate(f"window.scrollTo({{ top: {at}, behavior: 'instant' }})")
            page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollHeight") <= SCREENS * SCREEN
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        browser.close()
    assert troubles == []
