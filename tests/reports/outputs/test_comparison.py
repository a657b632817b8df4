"""Two audits side by side: what changed, by how much, and what cannot be compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from helpers.hostile import ATTACKS, MARK, Page, hostile_audit
from helpers.sample_tables import census_record, gate_of, manifest_of, reading_of, record_of

from counterproof.reports.figures.dumbbells import dumbbell
from counterproof.reports.gate_lines import Line
from counterproof.reports.model import GateReading, RoleReading
from counterproof.reports.outputs.comparison import changes_of, differences, other_data, render_comparison, tally
from counterproof.reports.record import Record

CHROMIUM = Path("/usr/bin/chromium")


def audit(*gates: GateReading, **changes: Any) -> Record:
    readings = [
        reading_of(gate.metric, field=gate.field, better="higher" if gate.operator == ">=" else "lower")
        for gate in gates
    ]
    return record_of("pass", gates, readings, **changes)


def moved(value: float, **changes: Any) -> GateReading:
    return gate_of(value=value, low=value - 0.03, high=value + 0.03, **changes)


@pytest.mark.parametrize(
    ("then", "now", "changes", "direction"),
    [
        (0.05, 0.2, {}, "worse"),
        (0.2, 0.05, {}, "better"),
        (0.05, 0.09, {}, "same"),
        (0.05, 0.2, {"operator": ">="}, "better"),
        (0.2, 0.05, {"operator": ">="}, "worse"),
    ],
)
def test_a_change_is_clear_only_where_the_intervals_do_not_meet(
    then: float, now: float, changes: dict[str, Any], direction: str
) -> None:
    (change,) = changes_of(audit(moved(then, **changes)), audit(moved(now, **changes)))
    assert change.direction == direction
    assert change.drawing


@pytest.mark.parametrize(("then", "now", "direction"), [(0.01, -0.2, "worse"), (-0.2, 0.01, "better")])
def test_a_signed_change_is_worse_away_from_zero(then: float, now: float, direction: str) -> None:
    records = [record_of("pass", [moved(value)], [reading_of(better="zero")]) for value in (then, now)]
    (change,) = changes_of(*records)
    assert change.direction == direction


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"algo": 2}, "another version of the metric (1, now 2)"),
        ({"params": {"k": 5}}, "another parameters ({}, now {'k': 5})"),
        ({"protocol": "b"}, "another protocol ('', now 'b')"),
    ],
)
def test_numbers_made_otherwise_are_shown_and_not_compared(changes: dict[str, Any], why: str) -> None:
    earlier = record_of("pass", [moved(0.05)], [reading_of()])
    later = record_of("pass", [moved(0.9)], [reading_of(**changes)])
    (change,) = changes_of(earlier, later)
    assert (change.direction, change.apart, change.drawing) == ("apart", why, "")
    text = Page(render_comparison(earlier, later)).text
    assert f"not comparable: {why}" in text
    assert "0.9" in text, "the number itself is shown"


def test_gates_are_paired_by_what_they_judge_and_not_by_their_limit() -> None:
    earlier = audit(moved(0.05, limit=0.1, expression="a <= 0.1"), gate_of("coverage.recall"))
    later = audit(moved(0.05, limit=0.2, expression="a <= 0.2"), gate_of("leakage.copies"))
    changes = changes_of(earlier, later)
    assert sorted(change.direction for change in changes) == ["gone", "new", "same"]
    (same,) = (change for change in changes if change.direction == "same")
    assert len(same.limits) == 2
    assert "0.1" in same.limits[0]
    assert "0.2" in same.limits[1]
    assert tally(changes) == (
        "Of 3 gates, no verdict changed; 1 not clearly different, 1 only in the later audit, "
        "1 only in the earlier audit"
    )


def test_verdicts_that_changed_come_first_the_worst_of_them_first() -> None:
    earlier = audit(moved(0.05), gate_of("coverage.recall"), gate_of("leakage.copies", "fail"))
    later = audit(moved(0.3, verdict="fail"), gate_of("coverage.recall"), gate_of("leakage.copies"))
    changes = changes_of(earlier, later)
    assert [change.turned for change in changes] == [True, True, False]
    assert [change.shown.state for change in changes[:2]] == ["fail", "pass"]
    assert "2 verdicts changed" in tally(changes)


def test_a_fact_is_no_number_that_got_better() -> None:
    copies = gate_of("leakage.copies", "fail", margin=None, value=0.4, low=0.39, high=0.41)
    (change,) = changes_of(audit(copies), audit(gate_of("leakage.copies")))
    assert change.direction == "fact"
    assert change.drawing == ""


def test_other_real_data_are_named_and_another_release_is_expected() -> None:
    roles = [RoleReading(role=role, source=role, rows=3, digest="a") for role in ("train", "holdout", "synthetic")]
    earlier = record_of(manifest=manifest_of(roles=roles))
    others = [role.model_copy(update={"digest": "b"}) for role in roles]
    later = record_of(manifest=manifest_of(roles=[others[0], roles[1], others[2]]))
    assert other_data(earlier, later) == ["train"]
    assert other_data(earlier, earlier) == []
    assert "The real data are not the same in both audits (train)" in Page(render_comparison(earlier, later)).text
    assert "The real data are not the same" not in render_comparison(earlier, earlier)


def test_what_differs_between_the_audits_is_listed_and_nothing_else() -> None:
    earlier, later = (
        record_of(manifest=manifest_of(config={"run": {"seed": seed, "device": "cpu"}}, packages={"numpy": version}))
        for seed, version in ((0, "2.4"), (1, "2.5"))
    )
    assert list(differences(earlier, later)) == [("run.seed", "0", "1"), ("numpy", "2.4", "2.5")]
    assert "With the same inputs, configuration and packages." in render_comparison(earlier, earlier)


def test_a_dumbbell_puts_both_values_and_the_limit_on_one_scale() -> None:
    lines = [Line(gate=moved(value), state="pass", title="t") for value in (0.05, 0.3)]
    tree = ET.fromstring(dumbbell(*lines))
    then, now = [float(e.attrib["cx"]) for e in tree.iter("circle")]
    (limit,) = [float(e.attrib["x1"]) for e in tree.iter("line") if e.attrib.get("class") == "limit"]
    (zone,) = [e.attrib for e in tree.iter("rect")]
    assert then < limit < now
    assert (limit - then) / (now - then) == pytest.approx((0.15 - 0.05) / (0.3 - 0.05), abs=0.01)
    assert float(zone["x"]) + float(zone["width"]) == pytest.approx(limit, abs=0.11)
    bars = [e.attrib for e in tree.iter("line") if e.attrib.get("class", "").startswith("interval")]
    assert [bar["class"] for bar in bars] == ["interval earlier", "interval pass"]
    assert "before 0.05" in tree.attrib["aria-label"]


def test_what_was_not_measured_has_no_dumbbell_and_a_wide_interval_stays_inside() -> None:
    empty = Line(gate=gate_of(value=None), state="error", title="t")
    line = Line(gate=moved(0.05), state="pass", title="t")
    assert dumbbell(empty, line) == dumbbell(line, empty) == ""
    wide = Line(gate=gate_of(low=-1e6, high=1e6), state="pass", title="t")
    for e in ET.fromstring(dumbbell(wide, line)).iter("line"):
        assert 0 <= float(e.attrib["x1"]) <= 260


def test_the_page_is_well_formed_shows_both_audits_and_runs_nothing() -> None:
    earlier = census_record()
    later = census_record("inconclusive")
    page = render_comparison(earlier, later, links=("a/report.html", ""))
    found = Page(page)
    assert not found.open
    assert "script" not in found.tags
    assert "script-src ;" in page
    assert set(found.links) == {"a/report.html"}
    assert not any(name.startswith("on") for name in found.names)
    for words in ("Fail", "Inconclusive", "Does it look like real data?", "until 2027-01-31"):
        assert (words in found.text) == (words != "until 2027-01-31")
    assert render_comparison(earlier, later, links=("a/report.html", "")) == page


def test_a_thousand_gates_stay_one_page() -> None:
    gates = [moved(0.05, metric="fidelity.density", group={"cell": str(k)}) for k in range(1000)]
    readings = [reading_of("fidelity.density", group={"cell": str(k)}) for k in range(1000)]
    record = record_of("pass", gates, readings)
    page = render_comparison(record, record)
    assert len(page.encode()) < 2_000_000
    assert "600 more gates stand in the two records." in page


@pytest.mark.parametrize("attack", ATTACKS)
def test_data_cannot_add_an_element_or_an_attribute(attack: str) -> None:
    text = ATTACKS[attack]
    page = render_comparison(hostile_audit(text), hostile_audit(text, version=2, value=0.9))
    harmless = Page(render_comparison(hostile_audit("plain"), hostile_audit("plain", version=2, value=0.9)))
    found = Page(page)
    assert found.tags == harmless.tags
    assert found.names == harmless.names
    assert found.links == []
    assert MARK in found.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    page.encode("utf-8")
    assert len(page) < 400_000


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
def test_in_a_browser_both_pages_run_nothing_ask_for_nothing_and_fit(tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    from counterproof.reports.outputs.index import Entry, render_index

    hostile = [hostile_audit(" ".join(ATTACKS.values()), version=k + 1, value=0.2 + k) for k in range(2)]
    audits = [census_record(), census_record("inconclusive")]
    pages = {
        "comparison": render_comparison(*audits),
        "index": render_index([Entry(record=one, name=f"release {k}") for k, one in enumerate(audits)]),
        "hostile comparison": render_comparison(*hostile),
        "hostile index": render_index([Entry(record=one, name=ATTACKS["script"]) for one in hostile]),
    }
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        troubles: list[str] = []
        requests: list[str] = []
        for name, text in pages.items():
            (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
            for scheme, width in (("light", 1280), ("dark", 390)):
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
                page.on("request", lambda request: requests.append(request.url))
                page.on("dialog", lambda dialog: troubles.append(dialog.message))
                page.on("pageerror", lambda error: troubles.append(str(error)))
                page.on("console", lambda message: troubles.append(message.text))
                page.goto((tmp_path / f"{name}.html").as_uri())
                assert page.evaluate(f"typeof window.{MARK}") == "undefined"
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
                if not name.startswith("hostile"):
                    found = Axe().run(page).response["violations"]
                    assert [one["id"] for one in found] == [], (name, scheme, found)
                page.close()
        browser.close()
    assert troubles == []
    assert all(url.startswith("file://") for url in requests)
    assert len(requests) == 2 * len(pages)
