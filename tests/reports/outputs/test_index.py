"""The index over many records: every release in a row, and trends that join only what can be compared."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from helpers.hostile import ATTACKS, MARK, Page, hostile_audit
from helpers.sample_tables import census_record, gate_of, manifest_of, reading_of, record_of

from counterproof.reports.figures.trends import Point, trend
from counterproof.reports.gate_lines import Line
from counterproof.reports.model import FloorReading, RoleReading
from counterproof.reports.outputs.index import Entry, in_order, named_apart, render_index, trends_of
from counterproof.reports.outputs.page import release_name
from counterproof.reports.record import Record


def audit(value: float, started: str = "", *, algo: int = 1, source: str = "release.csv", **changes: Any) -> Record:
    roles = [RoleReading(role="synthetic", source=source, rows=10, digest="a")]
    gate = gate_of(value=value, low=value - 0.02, high=value + 0.02, **changes)
    floor = FloorReading(value=0.02, low=0.0, high=0.04, spread=0.01, draws=20)
    return record_of(
        "pass", [gate], [reading_of(algo=algo, floor=floor)], manifest=manifest_of(roles=roles, started=started)
    )


def entries(*records: Record) -> list[Entry]:
    return [Entry(record=record, name=f"r{k}", link=f"r{k}/report.html") for k, record in enumerate(records)]


def test_audits_stand_in_the_order_of_their_time() -> None:
    made = entries(audit(0.1, "2026-03-01"), audit(0.1, "2026-01-01"), audit(0.1, "2026-02-01"))
    assert [entry.name for entry in in_order(made)] == ["r1", "r2", "r0"]
    untimed = entries(audit(0.1), audit(0.2))
    assert [entry.name for entry in in_order(untimed)] == ["r0", "r1"]


def test_every_release_is_a_row_with_its_verdicts_and_its_report() -> None:
    page = render_index(entries(audit(0.1, "2026-01-01T10:00:00Z"), audit(0.2, "2026-02-01T10:00:00Z")))
    found = Page(page)
    assert not found.open
    assert found.links == ["r1/report.html", "r0/report.html"], "the latest first"
    assert "2 audits: 2 pass." in found.text
    assert "2026-01-01 10:00" in found.text
    assert "script" not in found.tags


def test_releases_of_one_name_are_told_apart_by_their_folder() -> None:
    records = [audit(0.1, source="a/release.csv"), audit(0.1, source="b/release.csv"), audit(0.1, source="x.csv")]
    assert [release_name(record) for record in records] == ["release.csv", "release.csv", "x.csv"]
    names = named_apart(list(zip(records, ("may", "june", "july"), strict=True)))
    assert names == ["release.csv, may", "release.csv, june", "x.csv"]
    assert release_name(record_of()) == "the release"


def test_a_trend_joins_releases_but_not_across_another_version() -> None:
    ((one,), _) = trends_of(entries(audit(0.1), audit(0.12), audit(0.4, algo=2), audit(0.41, algo=2)))
    assert [point.apart for point in one.points] == ["", "", "another version of the metric (1, now 2)", ""]
    assert one.breaks == ["r2: another version of the metric (1, now 2)"]
    tree = ET.fromstring(one.drawing)
    assert len([e for e in tree.iter("line") if e.attrib.get("class") == "joint"]) == 2
    assert "Not comparable with the release before: r1" in render_index(entries(audit(0.1), audit(0.4, algo=2)))


def test_points_stand_at_their_values_over_floor_and_limit() -> None:
    ((one,), _) = trends_of(entries(audit(0.05), audit(0.1), audit(0.2)))
    tree = ET.fromstring(one.drawing)
    dots = [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in tree.iter("circle")]
    assert [x for x, _ in dots] == sorted(x for x, _ in dots)
    (y0, y1, y2) = (y for _, y in dots)
    assert (y0 - y1) / (y0 - y2) == pytest.approx((0.1 - 0.05) / (0.2 - 0.05), abs=0.01)
    limits = {float(e.attrib["y1"]) for e in tree.iter("line") if e.attrib.get("class") == "limit"}
    floors = {float(e.attrib["y1"]) for e in tree.iter("line") if e.attrib.get("class") == "floor-line"}
    assert len(limits) == len(floors) == 1
    assert y2 < limits.pop() < y1, "0.15 lies between the last two"
    assert floors.pop() > y0, "the floor lies below the least value"
    bars = [e.attrib for e in tree.iter("line") if e.attrib.get("class", "").startswith("interval")]
    assert len(bars) == 3
    assert all(float(bar["y1"]) > float(bar["y2"]) for bar in bars)


@pytest.mark.parametrize(("operator", "inside"), [("<=", "below"), (">=", "above")])
def test_the_zone_lies_on_the_side_that_passes(operator: str, inside: str) -> None:
    line = Line(gate=gate_of(operator=operator), state="pass", title="t")
    tree = ET.fromstring(trend([Point(release="a", line=line)]))
    (zone,), (limit,) = list(tree.iter("rect")), [e for e in tree.iter("line") if e.attrib.get("class") == "limit"]
    top, tall, edge = float(zone.attrib["y"]), float(zone.attrib["height"]), float(limit.attrib["y1"])
    assert (top if inside == "below" else top + tall) == pytest.approx(edge, abs=0.11)


def test_a_release_without_the_gate_leaves_a_gap() -> None:
    ((one, other), _) = trends_of(entries(audit(0.1), audit(0.3, metric="coverage.recall"), audit(0.1)))
    assert [point.line is None for point in one.points] == [False, True, False]
    assert [point.line is None for point in other.points] == [True, False, True]
    assert other.last.gate.metric == "coverage.recall"
    assert "joint" not in one.drawing


def test_a_gate_that_was_never_measured_has_no_trend() -> None:
    record = audit(0.1).model_copy(update={"gates": [gate_of(value=None)]})
    assert trends_of(entries(record)) == ([], 0)
    assert "No gate has a number to draw." in render_index(entries(record_of()))


def test_many_releases_stay_one_page_and_what_is_left_out_is_said() -> None:
    many = [audit(0.1 + k / 1e4, f"2026-01-01T{k:05d}") for k in range(600)]
    page = render_index(entries(*many))
    assert len(page.encode()) < 2_000_000
    assert "100 earlier audits are not listed." in page
    assert "the 560 earliest are left out" in page


def test_trends_stand_by_question_and_those_that_are_not_drawn_are_counted() -> None:
    names = ["leakage.copies", "coverage.recall", "fidelity.density", "acme.own"]
    record = record_of("pass", [gate_of(name) for name in names], [reading_of(name) for name in names])
    trends, left = trends_of(entries(record))
    assert [one.family for one in trends] == ["fidelity", "coverage", "leakage", "acme"]
    assert left == 0
    trends, left = trends_of(entries(record), most=3)
    assert ([one.family for one in trends], left) == (["fidelity", "coverage", "leakage"], 1)


def test_a_real_record_makes_trends_of_every_question() -> None:
    page = render_index([Entry(record=census_record(), name=f"r{k}") for k in range(3)])
    found = Page(page)
    assert found.tags.count("figure") == len(trends_of([Entry(record=census_record(), name="r")])[0])
    for words in ("Does it look like real data?", "Is everything there?", "Does it give real records away?"):
        assert words in found.text


@pytest.mark.parametrize("attack", ATTACKS)
def test_data_cannot_add_an_element_or_an_attribute(attack: str) -> None:
    def page(text: str) -> str:
        made = [hostile_audit(text, version=k + 1, value=0.1 + k / 10) for k in range(3)]
        return render_index([Entry(record=record, name=text, link="r/report.html") for record in made])

    text = page(ATTACKS[attack])
    found, harmless = Page(text), Page(page("plain"))
    assert found.tags == harmless.tags
    assert found.names == harmless.names
    assert set(found.links) == {"r/report.html"}
    assert MARK in found.text
