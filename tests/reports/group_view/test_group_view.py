"""The table of groups by questions: what stands in it, how it looks, what is left to the record."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers.sample_tables import gate_of, manifest_of, reading_of, record_of

from counterproof.reports.group_view.cells import GroupCell
from counterproof.reports.group_view.table import ASKED, MOST, GroupTable, group_table
from counterproof.reports.model import CellReading, FloorReading
from counterproof.reports.outputs.html import render
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.record import Record

FLOOR = FloorReading(value=0.02, low=0.0, high=0.04, spread=0.01, draws=20)


def record(readings: list[Any], gates: list[Any] | None = None, groups: Any = ("sex", "race"), **data: Any) -> Record:
    config = {"data": {"groups": groups, "label": "income"} | data}
    return record_of("pass", gates or [], readings, manifest=manifest_of(config=config))


def at(metric: str = "acme.look", value: float | None = 0.03, /, group: Any = None, **changes: Any) -> Any:
    plain = {"headline": False, "field": "share", "title": metric.partition(".")[2], "floor": FLOOR}
    reach = {"value": value, "low": None if value is None else value - 0.01}
    reach["high"] = None if value is None else value + 0.01
    return reading_of(metric, **plain | reach | {"group": group or {"sex": "F"}} | changes)


def table_of(readings: list[Any], gates: list[Any] | None = None, **options: Any) -> GroupTable:
    found = group_table(record(readings, gates, **options))
    assert found is not None
    return found


def row_cell(table: GroupTable, row: str, question: int = 0) -> GroupCell:
    (found,) = (r.cells[question] for block in table.blocks for r in block.rows if r.name == row)
    assert found is not None
    return found


def test_questions_stand_in_the_order_of_the_families_and_groups_in_that_of_the_columns() -> None:
    readings = [
        at("utility.z", group={"race": "Black"}),
        at("fidelity.x", group={"race": "Black", "sex": "F"}),
        at("coverage.y", group={"sex": "F"}),
        at("coverage.y", group={"sex": "M"}),
    ]
    table = table_of(readings)
    assert [q.metric for q in table.questions] == ["fidelity.x", "coverage.y", "utility.z"]
    assert [block.title for block in table.blocks] == ["sex", "race", "race × sex"]
    assert [row.name for row in table.blocks[0].rows] == ["F", "M"]
    assert table.blocks[2].rows[0].name == "Black, F"
    assert table.families([0, 1, 2]) == [("fidelity", 1), ("coverage", 1), ("utility", 1)]
    assert table.families([2]) == [("utility", 1)]


def test_only_readings_of_single_groups_have_squares() -> None:
    others = [{"sex": None}, {"column": "age"}, {"sex": "F", "income": ">50K"}, {"income": ">50K"}]
    outside = [at("fidelity.x", group=group) for group in others] + [reading_of("fidelity.x")]
    assert group_table(record(outside)) is None
    assert group_table(record([at()], groups=[])) is None
    assert group_table(record([at()], groups=7)) is None
    assert group_table(record_of()) is None
    assert len(table_of([*outside, at("fidelity.x")]).cells) == 1


def test_the_field_that_a_gate_judges_over_cells_is_the_question() -> None:
    cell = CellReading(group={"sex": "F"}, verdict="fail", value=0.5)
    gate = gate_of("acme.look", "fail", field="change", group=None, cells=[cell])
    readings = [at(field="first"), at(field="change"), at(field="last", headline=True)]
    assert table_of(readings, [gate]).questions[0].field == "change"
    assert row_cell(table_of(readings, [gate]), "F").look == "fail"
    assert table_of(readings).questions[0].field == "first"


@pytest.mark.parametrize(
    ("value", "better", "changes", "look"),
    [
        (0.049, "lower", {}, "within"),  # 2.9 spreads above the floor
        (0.051, "lower", {}, "beyond"),
        (-0.5, "lower", {}, "within"),
        (-0.011, "higher", {}, "beyond"),
        (0.5, "higher", {}, "within"),
        (-0.011, "zero", {}, "beyond"),
        (0.051, "zero", {}, "beyond"),
        (0.9, "lower", {"floor": None}, "within"),
        (0.9, "lower", {"floor": FLOOR.model_copy(update={"spread": 0.0})}, "beyond"),
        (0.02, "lower", {"floor": FLOOR.model_copy(update={"spread": 0.0})}, "within"),
        (0.9, "lower", {"decidable": False}, "few"),
        (None, "lower", {"status": "not_assessable", "decidable": False, "reason": "too few rows: 3 rows"}, "few"),
        (None, "lower", {"status": "not_assessable", "reason": "no holdout"}, "open"),
        (None, "lower", {"status": "error", "reason": "ValueError"}, "error"),
        (0.02, "lower", {"alarm": "empty"}, "beyond"),
    ],
)
def test_without_a_gate_the_floor_says_what_is_far(
    value: float | None, better: str, changes: dict[str, Any], look: str
) -> None:
    assert row_cell(table_of([at("acme.look", value, better=better, **changes)]), "F").look == look


@pytest.mark.parametrize(
    ("verdict", "level", "look"), [("pass", "fail", "pass"), ("fail", "warn", "warn"), ("fail", "fail", "fail")]
)
def test_with_a_gate_its_verdict_of_the_cell_stands(verdict: Any, level: Any, look: str) -> None:
    cells = [CellReading(group={"sex": "F"}, verdict=verdict), CellReading(group={"sex": "M"}, verdict="pass")]
    few = [CellReading(group={"sex": "X"}, verdict="inconclusive")]
    gate = gate_of("acme.look", verdict, level=level, field="share", group=None, cells=cells, too_few=few)
    table = table_of([at(group={"sex": sex}) for sex in ("F", "M", "X")], [gate])
    assert [row_cell(table, sex).look for sex in ("F", "M", "X")] == [look, "pass", "few"]
    assert table.questions[0].judged
    single = gate_of("acme.look", verdict, level=level, field="share", group={"sex": "F"})
    assert row_cell(table_of([at()], [single]), "F").look == look


def test_of_several_learners_the_worst_stands_and_is_named() -> None:
    group = {"sex": "F"}
    for better, worst in (("lower", 0.9), ("higher", -0.7), ("zero", 0.9)):
        several = [at("acme.look", v, group=group | {"learner": f"m{v}"}, better=better) for v in (0.1, 0.9, -0.7)]
        found = row_cell(table_of(several), "F")
        assert found.reading.value == worst
        assert f"learner m{worst}" in found.tooltip


def test_a_change_between_two_groups_belongs_to_the_first() -> None:
    whole = [at(group={"race": race}) for race in ("Black", "White", "a – b")]
    crossed = [at(group={"sex": "F", "race": race}) for race in ("Black", "White")]
    pairs = [
        at("fairness.gap", 0.1, group={"race": "Black – White", "learner": "linear"}, better="zero"),
        at("fairness.gap", 0.2, group={"race": "a – b – White"}, better="zero"),
        at("fairness.gap", 0.3, group={"sex, race": "F, Black – F, White"}, better="zero"),
        at("fairness.gap", 0.4, group={"race": "Unknown – White"}, better="zero"),
    ]
    table = table_of([*whole, *crossed, *pairs])
    gap = [q.metric for q in table.questions].index("fairness.gap")
    assert (row_cell(table, "Black", gap).reading.value, row_cell(table, "Black", gap).against) == (0.1, "White")
    assert (row_cell(table, "a – b", gap).reading.value, row_cell(table, "a – b", gap).against) == (0.2, "White")
    assert (row_cell(table, "F, Black", gap).reading.value, row_cell(table, "F, Black", gap).against) == (
        0.3,
        "F, White",
    )
    assert row_cell(table, "Unknown – White", gap).against == ""  # a row of its own, never dropped
    assert "linear" in row_cell(table, "Black", gap).tooltip


def test_sizes_are_rows_of_the_group_or_the_remark_where_all_are_alike() -> None:
    apart = [at(group={"sex": s}, n={"real": n, "release": 5000}) for s, n in (("F", 300), ("M", 7000))]
    assert row_cell(table_of(apart), "M").size == "n 7000"
    alike = [at(group={"sex": s}, n={"trial": 10000}, reason=f"{n} trial rows") for s, n in (("F", 300), ("M", 7000))]
    assert row_cell(table_of(alike), "F").size == "n 300"
    for reason, size in {
        "fewer than 10 and 1840 positive trial rows": "n <10 / 1840",
        "19 and 2196 positive trial rows; more": "n 19 / 2196",
        "mean over 8 draws of 136 rows a side": "",
        "3 forests": "",
    }.items():
        assert row_cell(table_of([at(n={"trial": 9}, reason=reason)]), "F").size == size


def test_the_group_that_others_are_held_against_is_called_the_reference() -> None:
    whole = [at(group={"race": race}) for race in ("Black", "White")]
    made = record([*whole, at("fairness.gap", 0.1, group={"race": "Black – White"}, better="zero")])
    assert group_table(made).blocks[0].references == [{"White"}, {""}]  # type: ignore[union-attr]
    assert render(made).count(">reference<") == 1


def test_groups_of_which_little_was_asked_are_folded_away_not_dropped() -> None:
    readings = [at(f"fidelity.m{k}", group={"sex": "F"}) for k in range(3)]
    made = record([*readings, at("fidelity.m1", 0.0123, group={"sex": "F", "race": "Black"})])
    table = group_table(made)
    assert table is not None
    assert [(block.title, block.asked, block.thin) for block in table.blocks] == [
        ("sex", [0, 1, 2], False),
        ("sex × race", [1], True),
    ]
    page = render(made)
    folded = page[page.index("By sex × race: 1 group, 1 question<") :]
    assert "0.0123" in folded[: folded.index("</details>")]
    assert "0.0123" not in page[: page.index("By sex × race: 1 group")]


def test_small_cells_are_said_in_every_output_and_nothing_real_with_them() -> None:
    few = {"status": "not_assessable", "decidable": False, "reason": "too few rows: fewer than 10 real rows"}
    made = record([at(), at("acme.look", None, group={"sex": "X"}, **few)])
    for text in (render(made), markdown(made)):
        after = text[text.index("By group") :]
        assert "too few rows" in after[after.index("X") :][:600]
    assert group_table(made).tally == "2 groups by 1 question: 1 too few rows"  # type: ignore[union-attr]


def test_the_page_stays_small_and_the_worst_crossings_stay_on_it() -> None:
    groups = [{"sex": s, "race": f"r{k}"} for k in range(200) for s in ("F", "M")]
    readings = [at("acme.look", 0.9 if k == 300 else 0.02, group=group) for k, group in enumerate(groups)]
    readings += [at("acme.look", 0.02, group={"sex": s}) for s in ("F", "M")]
    table = table_of(readings)
    assert len(table.cells) == MOST
    assert [len(block.rows) for block in table.blocks] == [2, MOST - 2]
    assert row_cell(table, "F, r150").look == "beyond"
    assert table.left_out == f"{402 - MOST} more groups stand in record.json."
    assert f"{402 - MOST} more groups stand in record.json." in render(record(readings))
    assert "more groups stand in the report." in markdown(record(readings))
    many = table_of([at(f"acme.m{k:02}", group={"sex": s}) for k in range(20) for s in ("F", "M")])
    assert len(many.questions) == ASKED
    assert many.left_out == "5 more questions stand in record.json."


def test_hostile_names_stay_text() -> None:
    evil = '"><script>alert(1)</script>|\n# x'
    made = record([at(group={evil: evil}, title=evil, reason=evil)], groups=[evil])
    page, summary = render(made), markdown(made)
    assert "<script>alert" not in page
    assert "<script>" not in summary
    lines = summary.splitlines()
    (line,) = (line for line in lines if line.startswith("|") and "0.03" in line)
    assert line.count("|") == 3
    assert not re.search(r"^# x", summary, re.MULTILINE)
