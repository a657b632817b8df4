"""Interactive figures: numbers, colours and texts of every plot, in the report and as plotly figures."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from helpers.readings import floor, reading
from helpers.sample_tables import (
    bars_panel,
    cells_panel,
    curves_panel,
    forest_panel,
    gate_of,
    map_panel,
    marginals_panel,
    mosaic_panel,
    pairs_panel,
    png,
    reading_of,
    record_of,
)

from counterproof.reports.figures.draw import draw
from counterproof.reports.figures.plots.build import plot_of_panel
from counterproof.reports.figures.plots.theme import PAGE, TRACES, VARIABLES, Palette, brief, palette_of, words
from counterproof.reports.model import PanelReading
from counterproof.reports.outputs.html import BUNDLE
from counterproof.reports.record import Record

LIGHT, DARK = palette_of("light"), palette_of("dark")
CHROMIUM = Path("/usr/bin/chromium")
TEMPLATES = resources.files("counterproof.reports").joinpath("templates")
PANELS = {
    "marginals": marginals_panel(),
    "map": map_panel(),
    "cells": cells_panel(),
    "forest": forest_panel(),
    "bars": bars_panel(),
    "curves": curves_panel(),
    "mosaic": mosaic_panel(),
    "pairs": pairs_panel(),
    "pairs of rows": pairs_panel(redacted=False, shows_real=True),
    "pairs of images": pairs_panel(redacted=False, modality="image", shows_real=True),
}
HOSTILE = '</script><b>x</b><a href="javascript:alert(1)">y</a><br>%{x} $\\alpha$ &amp;'


def plot(name: str, palette: Palette = LIGHT) -> dict[str, Any]:
    return plot_of_panel(PANELS[name], palette, shows_real=False)


def traces(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [trace for trace in found["data"] if trace.get("name") == kind]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for child in value.values():
            yield from strings(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from strings(child)
    elif isinstance(value, str):
        yield value


def hostile(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {"state", "modality", "statistic", "synthetic_image", "real_image"}
        records = {"synthetic_record", "real_record"}
        return {
            key: child if key in kept else {HOSTILE: HOSTILE} if key in records and child else hostile(child)
            for key, child in value.items()
        }
    if isinstance(value, list):
        return [hostile(child) for child in value]
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize("name", PANELS)
def test_plotly_accepts_every_property_and_the_bundle_has_every_trace(name: str) -> None:
    bundle = gzip.decompress(TEMPLATES.joinpath(BUNDLE).read_bytes()).decode()
    there = set(re.findall(r'moduleType:"trace",name:"([a-z0-9]+)"', bundle))
    found = plot(name)
    assert {trace["type"] for trace in found["data"]} <= set(TRACES) <= there
    assert len(go.Figure(found).data) == len(found["data"])
    json.dumps(found, allow_nan=False)


def test_palettes_are_colours_of_the_style_sheet_and_differ() -> None:
    light, dark = asdict(LIGHT), asdict(DARK)
    style = TEMPLATES.joinpath("style.css").read_text()
    for name, variable in VARIABLES.items():
        assert f"{variable}: {light[name]};" in style
        assert f"{variable}: {dark[name]};" in style
        assert light[name] != dark[name]


@pytest.mark.parametrize("name", PANELS)
def test_the_page_puts_in_every_colour_and_the_paper_stays_its_own(name: str) -> None:
    found = plot(name, PAGE)
    assert not [text for text in strings(found) if re.fullmatch("#[0-9a-f]{6}", text)]
    asked = {text for text in strings(found) if text.startswith("var(")}
    assert asked <= {f"var({variable})" for variable in VARIABLES.values()}
    assert found["layout"]["template"]["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"


@pytest.mark.parametrize("name", PANELS)
def test_texts_of_the_data_are_neither_markup_nor_links_nor_formulas(name: str) -> None:
    panel = PANELS[name].model_copy(update={"data": hostile(PANELS[name].data)})
    texts = [text.replace("<br>", "") for text in strings(plot_of_panel(panel, LIGHT, shows_real=False))]
    assert any("&lt;" in text for text in texts)
    for text in texts:
        if "&lt;" in text:
            left = re.sub(r"</?b>", "", text)  # the house's own
            assert not re.search(r"[<>\"$]", left), text
    templates = [text for text in texts if "%{" in text and "extra" in text]
    assert not [text for text in templates if "script" in text], "no text of the data is a template"


def test_words_are_cut_and_printable() -> None:
    assert words("<b>\x1b[31m") == "&lt;b&gt;[31m"
    assert words("a" * 99, 20) == "a" * 19 + "…"
    assert brief(float("inf")) is None
    assert brief(0.123456789) == 0.1235


def test_bars_of_columns_hold_their_shares_and_hidden_ones_have_one_size() -> None:
    columns = [
        {"column": "age", "statistic": "KS", "value": 0.2, "floor": 0.1, "labels": ["a", "b", "c"],
         "real": [0.5, 0.25, None], "synthetic": [0.25, 0.5, 0.25]},
        {"column": "job", "statistic": "TV", "labels": [f"k{k}" for k in range(12)], "real": [0.1] * 12,
         "synthetic": [0.05] * 12},
    ]  # fmt: skip
    panel = PanelReading(kind="marginals", title="t", data={"columns": columns})
    found = plot_of_panel(panel, LIGHT, shows_real=False)
    (real, jobs), (synthetic, _), (hidden,) = (traces(found, name) for name in ("real", "synthetic", "too few rows"))
    assert real["y"] == [0.5, 0.25, None]
    assert synthetic["y"] == [0.25, 0.5, 0.25]
    assert (hidden["x"], hidden["y"]) == ([2], [pytest.approx(0.04)])
    assert "hidden" in hidden["hovertemplate"]
    assert jobs["x"] == [0.1] * 8
    assert jobs["orientation"] == "h"
    texts = list(strings(found))
    assert "4 more categories in the table" in texts
    assert any("KS 0.2, floor 0.1" in text for text in texts)


def test_every_small_chart_has_a_place_of_its_own() -> None:
    layout = plot_of_panel(marginals_panel(30), LIGHT, shows_real=False)["layout"]
    places = [(tuple(layout[f"xaxis{k}"]["domain"]), tuple(layout[f"yaxis{k}"]["domain"])) for k in ("", *range(2, 25))]
    assert len(set(places)) == 24
    assert "xaxis25" not in layout
    assert any("6 more columns" in text for text in strings(layout["annotations"]))
    for (left, right), (low, high) in places:
        assert 0 <= left < right <= 1
        assert 0 <= low < high <= 1
    rows = sorted({y for _, y in places})
    assert all(below[1] < above[0] for below, above in itertools.pairwise(rows))


def test_a_map_holds_counts_hidden_cells_and_at_most_four_thousand_short_points() -> None:
    found = plot_of_panel(map_panel(5000), LIGHT, shows_real=False)
    hidden, shown, points = found["data"]
    real = map_panel(5000).data["real"]
    assert hidden["z"] == [[1 if count is None else None for count in row] for row in real]
    assert shown["z"] == [[count or None for count in row] for row in real]
    assert len(points["x"]) == len(points["y"]) == 4000
    assert max(len(str(x)) for x in points["x"]) <= 10
    assert len(json.dumps(found)) < 80_000


def test_only_missing_and_thin_cells_have_the_colour_of_loss() -> None:
    (heat,) = plot("cells")["data"]
    states = {(c["row"], c["column"]): c["state"] for c in cells_panel().data["cells"]}
    for (row, column), state in states.items():
        z = heat["z"][row][column]
        assert (z < 0) == (state in ("thin", "empty")), state
        assert (z == 0) >= (state == "too few")
        assert ("too few" in heat["text"][row][column]) == (state == "too few")


def test_a_forest_shows_both_models_and_the_change_inside_its_limits() -> None:
    found = plot("forest")
    real, synthetic, change = (traces(found, name)[0] for name in
                               ("trained on real data", "trained on the release", "change"))  # fmt: skip
    assert real["x"][0] == 0.08
    assert synthetic["x"][0] - synthetic["error_x"]["arrayminus"][0] == pytest.approx(0.165)
    assert change["xaxis"] == "x2"
    (zone,) = (shape for shape in found["layout"]["shapes"] if shape["type"] == "rect")
    assert (zone["x0"], zone["x1"]) == (-0.1, 0.1)
    low, high = found["layout"]["xaxis2"]["range"]
    assert low < -0.1 < 0.14 < high


def test_a_limit_below_zero_is_the_least_change_and_its_zone_ends_with_the_scale() -> None:
    found = plot_of_panel(forest_panel(limit=-0.02), LIGHT, shows_real=False)
    (zone,) = (shape for shape in found["layout"]["shapes"] if shape["type"] == "rect")
    assert zone["x0"] == -0.02
    assert zone["x1"] == pytest.approx(found["layout"]["xaxis2"]["range"][1])


def test_a_curve_stands_in_its_band_beside_the_diagonal() -> None:
    band, diagonal, release = plot("curves")["data"]
    data = curves_panel().data
    assert release["y"] == data["release"]
    assert band["y"] == [*data["high"], *data["low"][::-1]]
    assert (diagonal["x"], diagonal["y"]) == ([0, 1], [0, 1])


def test_areas_of_a_mosaic_are_shares() -> None:
    found = plot("mosaic")
    group = mosaic_panel().data["groups"][0]
    first = found["data"][0]
    assert first["width"][0] == pytest.approx(group["real"] - 0.004)
    assert first["y"][0] == pytest.approx(group["real_labels"][0], rel=1e-3)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("redacted", [True, False])
@pytest.mark.parametrize("modality", ["table", "image"])
def test_contents_of_pairs_are_drawn_only_where_the_audit_shows_real_rows(
    declared: bool, redacted: bool, modality: str
) -> None:
    data = pairs_panel(redacted=False, modality=modality).data
    for pair in data["pairs"]:
        pair["real_record"] = {"name": "SECRET"}
        pair["real_image"] = png(3, 7)
    panel = PanelReading(kind="pairs", title="t", data={**data, "redacted": redacted}, shows_real=declared)
    text = json.dumps(plot_of_panel(panel, LIGHT, shows_real=False))
    shown = declared and not redacted
    assert ("SECRET" in text) == (shown and modality == "table")
    assert ("data:image" in text) == (shown and modality == "image")
    assert "row 412" in text


@pytest.mark.parametrize("modality", ["table", "image"])
def test_synthetic_contents_that_copy_no_real_row_are_shown_and_the_real_side_is_not(modality: str) -> None:
    data = pairs_panel(redacted=False, modality=modality).data
    for k, pair in enumerate(data["pairs"]):
        pair["synthetic_shown"] = k >= 2
        pair["synthetic_record"], pair["real_record"] = {"name": f"MADE{k}"}, {"name": "SECRET"}
        pair["synthetic_image"], pair["real_image"] = png(3, k), png(5, k)
    panel = PanelReading(kind="pairs", title="t", data={**data, "redacted": True})
    text = json.dumps(plot_of_panel(panel, LIGHT, shows_real=False))
    assert "SECRET" not in text
    assert not any(png(5, k) in text for k in range(6))
    shown = [(f"MADE{k}" if modality == "table" else png(3, k)) in text for k in range(6)]
    assert shown == [False, False, True, True, True, True]


def test_only_png_becomes_an_image_of_a_plot() -> None:
    pair = {"synthetic": "a", "real": "b", "distance": 0.1, "synthetic_image": "PHN2Zz48L3N2Zz4=", "real_image": None}
    data = {"modality": "image", "redacted": False, "pairs": [pair]}
    panel = PanelReading(kind="pairs", title="t", data=data, shows_real=True)
    assert plot_of_panel(panel, LIGHT, shows_real=False)["layout"]["images"] == []


@pytest.mark.parametrize("name", [name for name in PANELS if not name.startswith("pairs")])
def test_the_report_embeds_the_same_plot_in_its_own_colours(name: str) -> None:
    drawn, alone = draw(PANELS[name]), plot(name, PAGE)
    assert drawn.plot is not None
    assert drawn.plot["data"] == alone["data"]
    assert drawn.plot["layout"]["template"] == alone["layout"]["template"]
    assert not (drawn.plot["layout"].get("showlegend") and len(drawn.legend) > 1), "one legend, not two"
    assert draw(pairs_panel()).plot is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("bars", {"labels": [], "values": []}),
        ("bars", {"labels": ["a"], "values": [float("inf")]}),
        ("marginals", {"columns": []}),
        ("cells", {"rows": [], "columns": [], "cells": []}),
        ("forest", {"entries": []}),
        ("pairs", {"pairs": []}),
        ("curves", {"x": [], "release": [], "low": [], "high": []}),
        ("mosaic", {"labels": [], "groups": []}),
        ("map", {"axes": ["a", "b"], "x_edges": [0, 0], "y_edges": [0, 0], "real": [[3]], "x": [0.0], "y": [0.0]}),
    ],
)
def test_empty_and_constant_panels_make_a_plot(kind: Any, data: dict[str, Any]) -> None:
    go.Figure(plot_of_panel(PanelReading(kind=kind, title="t", data=data), LIGHT, shows_real=False))


def measured() -> Record:
    """Two metrics with panels, one without, one that was not measured."""
    by_sex = [
        reading("coverage.recall", 0.9 + 0.01 * k, group={"sex": sex}, headline=False, floor=floor(0.92, 0.01))
        for k, sex in enumerate(("<F>", "M"))
    ]
    return record_of(
        "pass",
        [
            gate_of("coverage.recall", field="excess", limit=0.1, fail_limit=0.2, group={}),
            gate_of("fairness.slices", field="change", limit=0.05, fail_limit=0.05, group=None),
        ],
        [
            reading_of(panels=[map_panel(50), bars_panel()]),
            reading_of(field="excess", headline=False),
            reading("coverage.recall", 0.9, floor=floor(0.92, 0.01), title="recall"),
            reading("coverage.recall", 0.03, field="excess"),
            *by_sex,
            reading("fairness.slices", -0.02, field="change", better="zero", headline=True),
            reading("utility.tstr", None, status="not_assessable", reason="no label"),
        ],
    )


def test_a_record_gives_the_figures_of_a_metric_by_number_and_by_title() -> None:
    record = measured()
    assert isinstance(record.figure("fidelity.kernel_distance"), go.Figure)
    assert [trace.type for trace in record.figure("fidelity.kernel_distance").data] == ["heatmap", "heatmap", "scatter"]
    for chosen in (1, -1, "What gives the release away"):
        shown = record.figure("fidelity.kernel_distance", chosen)
        assert [trace.type for trace in shown.data] == ["bar"]
        assert "What gives the release away" in shown.layout.title.text
    assert record.figures() == {
        "fidelity.kernel_distance": [map_panel(50).title, "What gives the release away"],
    }


def test_a_theme_changes_the_paper_and_an_unknown_one_is_refused() -> None:
    record = measured()
    for theme, palette in (("light", LIGHT), ("dark", DARK)):
        shown = record.figure("coverage.recall", theme=theme)  # type: ignore[arg-type]
        assert shown.layout.template.layout.paper_bgcolor == palette.paper
    with pytest.raises(ValueError, match="light and dark"):
        record.figure("coverage.recall", theme="neon")  # type: ignore[arg-type]


def test_a_metric_without_a_panel_is_drawn_as_intervals_with_floor_and_limits() -> None:
    shown = measured().figure("coverage.recall")
    floors, values, excess = shown.data
    assert [len(trace.x) for trace in (floors, values, excess)] == [3, 3, 1]
    assert values.x[0] == 0.9
    assert floors.x[0] == 0.92
    assert values.error_x.array[0] == pytest.approx(0.0196, rel=1e-2)
    assert excess.xaxis == "x2"
    names = list(shown.layout.yaxis.ticktext)
    assert names == ["all rows", "sex = &lt;F&gt;", "sex = M"]
    lines = {(shape.x0, shape.line.dash) for shape in shown.layout.shapes if shape.type == "line"}
    assert {(0.1, "solid"), (0.2, "dot"), (0.0, "solid")} <= lines
    assert "Recall" in shown.layout.title.text


def test_a_field_has_all_its_groups_and_a_group_stands_alone() -> None:
    record = measured()
    assert len(record.figure("coverage.recall.value").layout.yaxis.ticktext) == 3
    assert list(record.figure("coverage.recall.value[sex=M]").layout.yaxis.ticktext) == ["sex = M"]


def test_a_signed_change_has_its_limit_on_both_sides() -> None:
    (zone,) = (s for s in measured().figure("fairness.slices").layout.shapes if s.type == "rect")
    assert (zone.x0, zone.x1) == (-0.05, 0.05)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("fidelity.kernel_distance", 7), "has no panel 7; it has 0 'The release over .*; 1 'What gives"),
        (("fidelity.kernel_distance", "nope"), "has no panel 'nope'; it has 0"),
        (("fidelity.kernel_distance.excess", 0), "fidelity.kernel_distance has 2"),
        (("coverage.recall", 0), "no panel of its own; these have: fidelity.kernel_distance; figure"),
        (("kernel",), "did you mean fidelity.kernel_distance"),
    ],
)
def test_an_unknown_figure_is_answered_with_those_that_there_are(asked: Any, told: str) -> None:
    with pytest.raises(KeyError, match=told):
        measured().figure(*asked)


def test_what_was_not_measured_says_why_it_has_no_figure() -> None:
    with pytest.raises(ValueError, match=r"utility\.tstr has nothing to draw, it is not assessable: no label"):
        measured().figure("utility.tstr")


def test_a_panel_of_another_shape_is_refused_in_one_sentence() -> None:
    broken = PanelReading(kind="bars", title="t", data={"labels": ["a"], "values": []})
    with pytest.raises(ValueError, match="its data have another shape: not as many values as labels"):
        record_of("pass", [], [reading_of(panels=[broken])]).figure("fidelity.kernel_distance")


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
def test_in_a_browser_labels_stand_as_they_are_and_nothing_of_them_runs(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    label = """<a href="javascript:x">x</a>'$y$&lt;"""
    panel = PanelReading(kind="bars", title=label, data={"labels": [label], "values": [1.0], "value_title": label})
    shown = record_of("pass", [], [reading_of(panels=[panel])]).figure("fidelity.kernel_distance")
    bundle = gzip.decompress(TEMPLATES.joinpath(BUNDLE).read_bytes()).decode()
    code = f"const f = {shown.to_json()}; Plotly.newPlot('p', f.data, f.layout)".replace("</", "<\\/")
    page_text = f"<!doctype html><meta charset=utf-8><div id=p></div><script>{bundle}</script><script>{code}</script>"
    (tmp_path / "page.html").write_text(page_text, encoding="utf-8")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_selector(".ytick text", timeout=20_000)
        assert page.locator("#p svg a").count() == 0
        for place in (".ytick text", ".xtitle", ".gtitle"):
            told = page.locator(f"#p {place}").first.text_content()
            assert told in (label, label[:33] + "…"), place
        browser.close()
