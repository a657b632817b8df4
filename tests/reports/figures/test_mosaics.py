"""The drawing of a mosaic panel, held against its numbers."""

from __future__ import annotations

import itertools
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from counterproof.reports.figures.draw import Figure, draw
from counterproof.reports.figures.mosaics import SIDE, TALL
from counterproof.reports.model import PanelReading


def group(name: str, real: float | None, synthetic: float, heights: list[float | None], **changes: Any) -> Any:
    made = {"name": name, "real": real, "synthetic": synthetic, "n_real": 100, "n_synthetic": 100}
    return made | {"real_labels": heights, "synthetic_labels": [0.5, 0.5]} | changes


GROUPS = [group("<F>", 0.7, 0.9, [0.8, 0.2]), group("M", 0.3, 0.1, [0.4, 0.6])]


def figure_of(groups: list[Any], **changes: Any) -> Figure:
    data = {"group_title": "sex", "label_title": "income", "labels": ["low", "high"], "groups": groups} | changes
    return draw(PanelReading(kind="mosaic", title="t", data=data))


def tiles(drawn: Figure, kind: str) -> list[dict[str, float]]:
    """Rectangles of the mosaic, without the legend's, by their tips."""
    found = []
    for rect in ET.fromstring(f"<all>{drawn.drawing}</all>").iter("rect"):
        if rect.attrib["class"] == kind and rect.find("title") is not None:
            found.append({name: float(rect.attrib[name]) for name in ("x", "y", "width", "height")})
    return found


def test_widths_are_shares_of_groups_and_heights_shares_of_labels() -> None:
    drawn = figure_of(GROUPS)
    real, made = tiles(drawn, "real"), tiles(drawn, "synthetic")
    assert [t["width"] for t in real] == pytest.approx([0.7 * SIDE, 0.7 * SIDE, 0.3 * SIDE, 0.3 * SIDE], abs=2.1)
    assert [t["height"] for t in real] == pytest.approx([h * TALL for h in (0.8, 0.2, 0.4, 0.6)], abs=2.1)
    assert [t["width"] for t in made] == pytest.approx([0.9 * SIDE, 0.9 * SIDE, 0.1 * SIDE, 0.1 * SIDE], abs=2.1)
    assert max(t["x"] + t["width"] for t in real) < min(t["x"] for t in made)  # real left, the release right
    assert real[0]["y"] > real[1]["y"]  # the first label at the foot
    assert real[0]["y"] + real[0]["height"] == pytest.approx(real[2]["y"] + real[2]["height"], abs=2.1)


def test_hidden_cells_are_hatched_at_a_size_that_says_nothing() -> None:
    for share in (0.0001, 0.05):
        hidden = [group("M", None, share, [None, None]), group("F", 0.9, 1 - share, [0.99, None])]
        drawn = figure_of(hidden)
        whole, cell = tiles(drawn, "hidden")
        assert (whole["width"], whole["height"]) == pytest.approx((10.0, TALL))
        assert cell["height"] == pytest.approx(10.0)
        assert ("M", "all, of all rows", "hidden", f"{share:.3g}") in drawn.rows
        assert ("F", "high", "hidden", "0.5") in drawn.rows


def test_names_of_narrow_columns_keep_their_distance() -> None:
    many = [group(f"a long name {k}", 0.9 if k == 0 else 0.01, 1 / 11, [0.5, 0.5]) for k in range(11)]
    drawn = figure_of(many)
    places = [
        float(text.attrib["transform"].split("(")[1].split()[0])
        for text in ET.fromstring(f"<all>{drawn.drawing}</all>").iter("text")
        if "rotate" in text.attrib.get("transform", "")
    ]
    assert len(places) == 22
    assert min(b - a for a, b in itertools.pairwise(places[:11])) > 17.8
    assert max(places[:11]) < min(places[11:])


def test_data_are_escaped_and_another_shape_is_a_sentence() -> None:
    drawn = figure_of(GROUPS)
    assert "<F>" not in drawn.drawing
    assert "&lt;F&gt;" in drawn.drawing
    assert drawn.legend == ("hidden",)
    broken = figure_of([group("F", 1.0, 1.0, [1.0])])
    assert "cannot be drawn" in broken.drawing
    assert "as many shares as there are labels" in broken.drawing
    assert "<svg" in figure_of([]).drawing
