"""The drawing of a curve panel, held against its numbers."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from counterproof.reports.figures.draw import draw
from counterproof.reports.model import PanelReading

X = [0.0, 0.25, 0.5, 0.75, 1.0]
DATA: dict[str, Any] = {
    "x_title": "share <of> real rows",
    "y_title": "share of synthetic rows",
    "x": X,
    "release": [0.0, 0.1, 0.3, 0.6, 0.9],
    "low": [0.0, 0.2, 0.45, 0.7, 0.97],
    "high": [0.0, 0.3, 0.55, 0.8, 1.0],
}


def figure_of(**changes: Any) -> Any:
    return draw(PanelReading(kind="curves", title="t", data={**DATA, **changes}))


def points(markup: str, kind: str) -> list[tuple[float, float]]:
    tree = ET.fromstring(f"<all>{markup}</all>")
    (found,) = (e for e in tree.iter() if kind in e.attrib.get("class", "").split() and "points" in e.attrib)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found.attrib["points"].split())]


def test_points_stand_where_the_numbers_say() -> None:
    line = points(figure_of().drawing, "curve")
    (x0, y0), (x1, y1) = line[0], line[-1]
    for (x, y), across, up in zip(line, X, DATA["release"], strict=True):
        assert x == pytest.approx(x0 + across * (x1 - x0), abs=0.11)
        assert y == pytest.approx(y0 + up / 0.9 * (y1 - y0), abs=0.11)
    assert y1 < y0  # upwards on the page


def test_the_band_runs_along_the_high_side_and_back_along_the_low() -> None:
    drawn = figure_of()
    band, line = points(drawn.drawing, "band"), points(drawn.drawing, "curve")
    assert len(band) == 2 * len(X)
    assert [x for x, _ in band[:5]] == [x for x, _ in line]
    assert [x for x, _ in band[5:]] == [x for x, _ in line][::-1]
    assert all(high <= low for (_, high), (_, low) in zip(band[:5], band[5:][::-1], strict=True))
    assert all(y > low for (_, y), (_, low) in zip(line[1:], band[5:][::-1][1:], strict=True))  # below the band


def test_titles_are_escaped_and_the_image_says_where_the_release_leaves_the_floor() -> None:
    drawn = figure_of()
    assert "<of>" not in drawn.drawing
    assert "&lt;of&gt;" in drawn.drawing
    assert "leaves the floor at 4 of 5 places" in drawn.drawing
    assert drawn.legend == ("synthetic", "floor")


def test_the_table_holds_every_number() -> None:
    drawn = figure_of()
    assert len(drawn.rows) == len(X)
    assert drawn.rows[1] == ("0.25", "0.1", "0.2", "0.3")
    assert drawn.columns[:2] == ("share <of> real rows", "share of synthetic rows")


@pytest.mark.parametrize("changes", [{"x": None}, {"release": [0.1]}, {"low": ["a"] * 5}, {"high": []}])
def test_a_panel_of_another_shape_becomes_a_sentence(changes: dict[str, Any]) -> None:
    assert "This figure cannot be drawn" in figure_of(**changes).drawing


def test_empty_and_far_curves_draw() -> None:
    none: dict[str, Any] = {key: [] for key in ("x", "release", "low", "high")}
    assert "cannot be drawn" not in figure_of(**none).drawing
    far = points(figure_of(release=[-1.0, 0.1, 0.3, 0.6, 3.0]).drawing, "curve")
    assert all(0 <= y <= 400 for _, y in far)
