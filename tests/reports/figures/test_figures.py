"""Positions, lengths and colours in the drawings, held against the numbers of the panels."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from helpers.sample_tables import (
    cells_panel,
    forest_panel,
    gate_of,
    map_panel,
    marginals_panel,
    pairs_panel,
    reading_of,
)
from hypothesis import given
from hypothesis import strategies as st

from counterproof.reports.figures.axes import Axis, axis_over
from counterproof.reports.figures.draw import draw
from counterproof.reports.figures.gate_scale import cell_scale, gate_scale
from counterproof.reports.figures.markup import element
from counterproof.reports.gate_lines import Line, line_of
from counterproof.reports.model import CellReading, PanelReading
from counterproof.reports.text import printable, sentence

finite = st.floats(-1e9, 1e9, allow_subnormal=False)


def tree_of(markup: str) -> ET.Element:
    return ET.fromstring(f"<all>{markup}</all>")


def parts(markup: str, tag: str, kind: str) -> list[dict[str, str]]:
    return [e.attrib for e in tree_of(markup).iter(tag) if kind in e.attrib.get("class", "").split()]


def figure_of(kind: Any, data: dict[str, Any], **more: Any) -> Any:
    return draw(PanelReading(kind=kind, title="t", data=data, **more))


def line_for(**changes: Any) -> Line:
    better = changes.pop("better", "lower")
    scale = changes.pop("scale", "linear")
    return Line(gate=gate_of(**changes), state="pass", title="t", better=better, scale=scale)


@given(st.lists(finite, min_size=1, max_size=6), st.booleans())
def test_an_axis_keeps_the_order_of_numbers_and_holds_them_all(values: list[float], log: bool) -> None:
    axis = axis_over(values, 10.0, 250.0, log=log)
    assert all(axis.holds(value) for value in values)
    places = [axis(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(10.0 <= place <= 250.0 for place in places)


@given(finite, st.floats(1e-6, 1e9))
def test_ticks_are_round_inside_and_few(low: float, span: float) -> None:
    axis = Axis(low=low, high=low + span, start=0.0, end=1.0)
    ticks = axis.ticks(5)
    assert len(ticks) <= 7
    assert all(low - 1e-6 * max(span, abs(low)) <= tick <= low + span + 1e-6 * max(span, abs(low)) for tick in ticks)


def test_a_logarithmic_axis_puts_a_half_and_a_double_at_equal_distance() -> None:
    axis = Axis(low=0.25, high=4.0, start=0.0, end=100.0, log=True)
    assert axis(1.0) == pytest.approx(50.0)
    assert axis(2.0) - axis(1.0) == pytest.approx(axis(1.0) - axis(0.5))
    assert axis(-1.0) == 0.0


@given(st.floats(-5, 5), st.floats(0.01, 3), st.floats(-5, 5))
def test_a_rung_shows_the_interval_on_the_side_of_the_limit_where_it_is(
    value: float, half: float, limit: float
) -> None:
    drawn = gate_scale(
        line_for(value=value, low=value - half, high=value + half, limit=limit, fail_limit=limit, bound=value)
    )
    (line,), (mark,) = parts(drawn, "line", "interval"), parts(drawn, "line", "limit")
    left, right, at = float(line["x1"]), float(line["x2"]), float(mark["x1"])
    (dot,) = parts(drawn, "circle", "value")
    assert left <= float(dot["cx"]) <= right
    slack = 0.15  # coordinates have one decimal
    assert (right <= at + slack) if value + half <= limit else (right >= at - slack)
    assert (left <= at + slack) if value - half <= limit else (left >= at - slack)


@pytest.mark.parametrize(("operator", "side"), [("<=", "left"), (">=", "right")])
def test_the_zone_lies_on_the_side_that_passes(operator: str, side: str) -> None:
    drawn = gate_scale(line_for(operator=operator, limit=0.15, value=0.3, low=0.2, high=0.4, floor=None))
    (zone,), (mark,) = parts(drawn, "rect", "zone"), parts(drawn, "line", "limit")
    edge = float(zone["x"]) + (float(zone["width"]) if side == "left" else 0.0)
    assert edge == pytest.approx(float(mark["x1"]), abs=0.11)


def test_a_signed_change_has_its_limit_on_both_sides_and_the_bound_on_its_own() -> None:
    line = line_for(better="zero", value=-0.2, low=-0.3, high=-0.1, bound=0.28, limit=0.1, fail_limit=0.1, floor=None)
    drawn = gate_scale(line)
    low, high = (float(mark["x1"]) for mark in parts(drawn, "line", "limit"))
    (zone,) = parts(drawn, "rect", "zone")
    assert float(zone["x"]) == pytest.approx(low)
    assert float(zone["width"]) == pytest.approx(high - low, abs=0.11)
    (bound,) = parts(drawn, "line", "bound")
    assert float(bound["x1"]) < low


def test_the_floor_and_both_limits_stand_where_they_are() -> None:
    drawn = gate_scale(line_for(limit=0.1, fail_limit=0.3, value=0.2, low=0.1, high=0.3, floor=0.05))
    passes, fails = parts(drawn, "line", "limit")
    assert fails["class"] == "limit fails"
    (floor,) = parts(drawn, "path", "floor")
    tip = float(re.findall(r"M([\d.]+) ", floor["d"])[0]) + 4
    assert tip < float(passes["x1"]) < float(fails["x1"])


def test_a_very_wide_interval_is_cut_with_arrows() -> None:
    drawn = gate_scale(line_for(value=0.1, low=-1000.0, high=1000.0, limit=0.15))
    assert len(parts(drawn, "path", "arrow")) == 2
    assert parts(gate_scale(line_for()), "path", "arrow") == []


def test_what_was_not_measured_has_no_scale() -> None:
    assert gate_scale(line_for(value=None, low=None, high=None)) == ""
    assert gate_scale(line_for(limit=None)) == ""


def test_cells_share_the_scale_of_their_gate() -> None:
    cells = [CellReading(group={"s": k}, verdict="pass", value=v, low=v, high=v) for k, v in [("a", 0.5), ("b", 0.9)]]
    line = line_for(cells=cells, value=0.5, low=0.4, high=0.6, limit=0.8, operator=">=", floor=None)
    places = [float(parts(cell_scale(line, cell), "circle", "value")[0]["cx"]) for cell in cells]
    mark = float(parts(gate_scale(line), "line", "limit")[0]["x1"])
    assert places[0] < mark < places[1]
    assert places[0] == pytest.approx(float(parts(gate_scale(line), "circle", "value")[0]["cx"]))


def test_heights_of_bars_are_their_shares_and_hidden_ones_are_hatched() -> None:
    column = {"column": "age", "statistic": "KS", "value": 0.2, "labels": ["a", "b", "c"],
              "real": [0.5, 0.25, None], "synthetic": [0.25, 0.5, 0.25]}  # fmt: skip
    drawn = figure_of("marginals", {"columns": [column]}).drawing
    real = [float(bar["height"]) for bar in parts(drawn, "rect", "real")]
    synthetic = [float(bar["height"]) for bar in parts(drawn, "rect", "synthetic")]
    assert real[0] == pytest.approx(2 * real[1])
    assert synthetic == [real[1], real[0], real[1]]
    assert len(parts(drawn, "rect", "hidden")) == 1


def test_lengths_of_category_bars_are_their_shares() -> None:
    column = {"column": "job", "statistic": "TV", "labels": ["a", "b"], "real": [0.8, 0.2], "synthetic": [0.4, 0.6]}
    drawn = figure_of("marginals", {"columns": [column]}).drawing
    widths = [float(bar["width"]) for kind in ("real", "synthetic") for bar in parts(drawn, "rect", kind)]
    assert [w / widths[0] for w in widths] == pytest.approx([1, 0.25, 0.5, 0.75], abs=0.01)


def test_a_share_that_is_hidden_is_hidden_in_the_table_too() -> None:
    column = {"column": "job", "statistic": "TV", "labels": ["a"], "real": [None], "synthetic": [0.4]}
    assert figure_of("marginals", {"columns": [column]}).rows == (("job", "TV –", "–", "a", "hidden", "0.4"),)


def test_columns_beyond_the_drawn_ones_are_counted() -> None:
    drawn = draw(marginals_panel(30))
    assert len(parts(drawn.drawing, "figure", "multiple")) == 24
    assert "6 more columns stand in record.json." in drawn.drawing


def test_bars_below_zero_grow_to_the_other_side() -> None:
    data = {"labels": ["up", "down"], "values": [2.0, -1.0], "value_title": "loss"}
    up, down = parts(figure_of("bars", data).drawing, "rect", "synthetic")
    assert float(up["width"]) == pytest.approx(2 * float(down["width"]), abs=0.2)
    assert float(down["x"]) + float(down["width"]) == pytest.approx(float(up["x"]), abs=0.11)


def test_a_ratio_and_its_inverse_are_equally_strong_and_only_thin_cells_have_the_colour_of_loss() -> None:
    def cell(value: float | None, state: str = "ok") -> dict[str, Any]:
        return {"row": 0, "column": 0, "value": value, "low": 0.1, "high": 9, "n_real": 20, "state": state}

    def colour(**made: Any) -> tuple[str, str]:
        drawn = figure_of("cells", {"rows": ["r"], "columns": ["c"], "cells": [cell(**made)]}).drawing
        found = [e.attrib for e in tree_of(drawn).iter("rect") if e.attrib["class"] != "cell"]
        return found[0]["class"], found[0].get("fill-opacity", "")

    assert colour(value=2.0) == ("real", "0.25")
    assert colour(value=0.5) == ("real", "0.25")
    assert colour(value=0.5, state="thin") == ("under", "0.25")
    assert colour(value=100.0) == ("real", "0.50")
    assert colour(value=1.0)[1] == "0.00"
    assert colour(value=0.0, state="empty") == ("under", "0.5")
    assert colour(value=0.3, state="too few") == ("hidden", "0.4")


def test_cells_are_told_in_the_table() -> None:
    rows = draw(cells_panel()).rows
    assert ("Male", "Black", "0.55 [0.503, 0.602]", "300", "165", "thin") in rows
    assert ("Male", "Other", "0 [0, 0]", "24", "0", "empty") in rows


def test_a_map_puts_points_into_the_cells_that_they_fall_into() -> None:
    data = {"axes": ["a", "b"], "x_edges": [0, 1, 2], "y_edges": [0, 1, 2], "real": [[0, 5], [None, 20]],
            "x": [1.5, 0.5], "y": [0.5, 1.5]}  # fmt: skip
    made = figure_of("map", data)
    (low, high), (hidden,) = parts(made.drawing, "rect", "real"), parts(made.drawing, "rect", "hidden")
    (dots,) = parts(made.drawing, "path", "dots")
    first, second = ([float(v) for v in pair] for pair in re.findall(r"M([\d.]+) ([\d.]+)h0", dots["d"]))
    for point, box in [(first, low), (second, hidden)]:
        assert float(box["x"]) < point[0] < float(box["x"]) + float(box["width"])
        assert float(box["y"]) < point[1] < float(box["y"]) + float(box["height"])
    shades = [float(box["fill-opacity"]) - 0.08 for box in (low, high)]
    assert shades[1] == pytest.approx(2 * shades[0], abs=0.02)  # area of shade goes with the root
    assert made.plot is not None
    assert made.plot["data"][0]["z"] == [[None, None], [1, None]]
    assert made.plot["data"][1]["z"] == [[None, 5], [None, 20]]


def test_a_map_draws_at_most_four_thousand_points() -> None:
    (dots,) = parts(draw(map_panel(5000)).drawing, "path", "dots")
    assert dots["d"].count("M") == 4000


def test_a_forest_of_one_colour_stands_against_zero_and_needs_no_legend() -> None:
    reach = {"value": 0.5, "low": 0.4, "high": 0.6}
    data = {"titles": ["real rows", "the release"], "entries": [{"label": "a long name " * 9, "synthetic": reach}]}
    drawn = figure_of("forest", data)
    (zero,) = parts(drawn.drawing, "line", "zero")
    assert float(zero["x1"]) < min(float(line["x1"]) for line in parts(drawn.drawing, "line", "synthetic"))
    assert drawn.legend == ()
    assert drawn.columns == ("entry", "real rows", "the release", "change")
    assert "the release: 0.5 [0.4, 0.6]" in drawn.drawing
    lines = [e.text or "" for e in tree_of(drawn.drawing).iter() if e.attrib.get("class") == "label"]
    assert all(len(line) <= 36 for line in lines)
    assert draw(forest_panel()).legend == ("real", "synthetic", "change")


def test_a_forest_without_entries_says_so() -> None:
    assert "No entry has rows enough" in figure_of("forest", {"entries": []}).drawing


def test_a_forest_shows_both_models_and_the_change_at_its_limits() -> None:
    drawn = draw(forest_panel(limit=0.1)).drawing
    real, synthetic, change = (parts(drawn, "circle", kind) for kind in ("real", "synthetic", "change"))
    assert len(real) == len(synthetic) == len(change) == 6
    low, high = (float(mark["x1"]) for mark in parts(drawn, "line", "limit"))
    inside = [low <= float(dot["cx"]) <= high for dot in change]
    assert inside == [False, False, True, True, True, True]  # sex changes by 0.11
    assert float(synthetic[0]["cx"]) > float(real[0]["cx"])


def test_a_limit_below_zero_is_the_least_that_is_tolerated() -> None:
    drawn = draw(forest_panel(limit=-0.02)).drawing
    (mark,), (zone,) = parts(drawn, "line", "limit"), parts(drawn, "rect", "zone")
    assert float(zone["x"]) == pytest.approx(float(mark["x1"]))
    assert len(parts(draw(forest_panel(limit=None)).drawing, "rect", "zone")) == 0


@pytest.mark.parametrize("image", ["not base64!", "R0lGODlhAQABAAAAACw=", "PHN2Zz48L3N2Zz4="])
def test_only_png_becomes_an_image(image: str) -> None:
    pair = {"synthetic": "a", "real": "b", "distance": 0.1, "synthetic_image": image, "real_image": None}
    made = figure_of("pairs", {"modality": "image", "redacted": False, "pairs": [pair]}, shows_real=True)
    assert list(tree_of(made.drawing).iter("img")) == []
    assert "no image" in made.drawing
    shown = draw(pairs_panel(redacted=False, modality="image", shows_real=True))
    assert len(list(tree_of(shown.drawing).iter("img"))) == 12


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("bars", {}),
        ("bars", {"labels": ["a"], "values": []}),
        ("marginals", {"columns": [{"column": "a"}]}),
        ("map", {**map_panel(5).data, "x_edges": [0.0, 1.0]}),
        ("map", {"axes": ["a", "b"], "x_edges": [], "y_edges": [], "real": [], "x": [], "y": []}),
        ("cells", {"rows": ["a"], "columns": ["b"], "cells": [{"row": 3, "column": 0}]}),
        ("forest", {"entries": [{"label": "a", "real": {"value": 1}}]}),
        ("pairs", {"pairs": 3}),
    ],
)
def test_a_panel_of_another_shape_becomes_a_sentence(kind: str, data: dict[str, Any]) -> None:
    made = figure_of(kind, data)
    assert made.drawing.startswith('<p class="note">This figure cannot be drawn, its data have another shape')
    assert made.rows == ()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("bars", {"labels": [], "values": []}),
        ("bars", {"labels": ["a"], "values": [0.0]}),
        ("marginals", {"columns": []}),
        ("cells", {"rows": [], "columns": [], "cells": []}),
        ("forest", {"entries": []}),
        ("pairs", {"pairs": []}),
        ("map", {"axes": ["a", "b"], "x_edges": [0, 0], "y_edges": [0, 0], "real": [[3]], "x": [0.0], "y": [0.0]}),
    ],
)
def test_empty_and_constant_panels_draw(kind: str, data: dict[str, Any]) -> None:
    assert "cannot be drawn" not in figure_of(kind, data).drawing


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_element_always_parses_back_to_its_text(text: str, attribute: str) -> None:
    made = ET.fromstring(element("text", text, data_name=attribute))
    assert (made.text or "") == printable(text)
    assert made.attrib["data-name"] == printable(attribute)


def test_a_sentence_begins_with_a_capital_but_a_name_stays() -> None:
    assert sentence("too far, by 2") == "Too far, by 2"
    assert sentence("leakage.copies crashed") == "leakage.copies crashed"
    assert sentence("") == ""


def test_a_gate_is_told_in_words_with_its_group() -> None:
    from helpers.sample_tables import record_of

    gates = [
        gate_of(field="excess", group={"sex": "F", "race": None}),
        gate_of("acme.odd_name", group={}, field="p_value"),
        gate_of(group=None, cells=[CellReading(group={"sex": "F"}, verdict="pass")] * 3),
    ]
    record = record_of("pass", gates, [reading_of(field="excess")])
    assert [line_of(record, gate).title for gate in gates] == [
        "Kernel distance, for sex = F, race",
        "Odd name: p value",
        "Kernel distance",
    ]


def test_no_number_is_shown_as_infinite() -> None:
    data = {"labels": ["a"], "values": [math.inf]}
    assert ">–</text>" in figure_of("bars", data).drawing
    assert "inf" not in figure_of("bars", data).drawing
