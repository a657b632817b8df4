"""Pairs of a release row and a real row: named and counted, and never shown unless the auditor says so."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.workbenches import bench

from counterproof.metrics.shared.closest_pairs import LISTED, NAMED, Pair, listed, own_rows, pair_panel, pairs_by_record
from counterproof.metrics.workbench import Workbench
from counterproof.reports.figures.closest_pairs import draw_pairs
from counterproof.reports.figures.panels import Pairs

TABLE = pd.DataFrame(
    {
        "age": [30.0, 41.0, np.nan, 30.0, 41.0, np.nan],
        "town": ["Ulm", "Bonn", None, "Ulm", "Kiel", None],
        "job": ["baker", "nurse", "smith", "baker", "nurse", "judge"],
    }
)


def view(**corpus: Any) -> Workbench:
    """Rows 0 and 1 train, 2 and 3 holdout, 4 and 5 the release."""
    x = np.arange(12.0).reshape(6, 2)
    return bench(x[:2], x[2:4], x[4:], **corpus)


def pair(made: int, real: int, distance: float = 0.5) -> Pair:
    return Pair(made=made, real=real, distance=distance, exact=distance == 0)


def test_contents_are_hidden_unless_asked_for() -> None:
    pairs = [pair(4, 1), pair(5, 2, 0.0)]
    hidden = pair_panel(view(frame=TABLE, modality="table"), pairs)
    assert hidden.data["redacted"] is True
    assert not hidden.shows_real
    assert "nurse" not in str(hidden.data)
    assert "hidden" in hidden.note
    shown = pair_panel(view(frame=TABLE, modality="table", show_real=True), pairs)
    assert shown.shows_real
    assert shown.data["redacted"] is False
    assert shown.data["pairs"][0]["real_record"] == {"age": "41.0", "town": "Bonn", "job": "nurse"}
    assert shown.data["pairs"][0]["synthetic_record"] == {"age": "41.0", "town": "Kiel", "job": "nurse"}
    assert not pair_panel(view(frame=TABLE, modality="table", show_real=True), []).shows_real


def test_rows_that_copy_no_real_record_show_their_own_contents_and_never_texts_or_the_real_row() -> None:
    kinds = {"age": "number", "town": "text", "job": "category"}
    pairs = [replace(pair(4, 1), own=True), pair(5, 2)]
    panel = pair_panel(view(frame=TABLE, modality="table", kinds=kinds), pairs)
    own, other = panel.data["pairs"]
    assert (own["synthetic_shown"], other["synthetic_shown"]) == (True, False)
    assert own["synthetic_record"] == {"age": "41.0", "job": "nurse"}
    assert (own["real_record"], other["synthetic_record"], other["real_record"]) == (None, None, None)
    drawn = str(draw_pairs(Pairs.model_validate(panel.data), reveal=False))
    assert "nurse" in drawn
    assert "judge" not in drawn
    assert "Bonn" not in drawn


@pytest.mark.parametrize("twins", [1, 4])
def test_a_near_copy_is_not_a_row_of_its_own_even_of_a_record_with_twins(twins: int) -> None:
    rng = np.random.default_rng(0)
    train, holdout = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
    train[:twins] = train[0]
    far = np.full((1, 4), 6.0)
    at = bench(train, holdout, np.vstack([train[:1], train[:1] + 0.01, far, rng.normal(size=(20, 4))]))
    assert own_rows(at, at.release.rows[:3]).tolist() == [False, False, True]


@pytest.mark.parametrize(("made", "real", "agree"), [(4, 1, 2), (3, 0, 3), (5, 2, 2), (4, 2, 0)])
def test_columns_that_agree_are_counted_and_missing_equals_missing(made: int, real: int, agree: int) -> None:
    (drawn,) = pair_panel(view(frame=TABLE, modality="table"), [pair(made, real)]).data["pairs"]
    assert (drawn["agree"], drawn["of"]) == (agree, 3)


def test_pictures_are_png_in_base64_and_features_have_neither_picture_nor_columns() -> None:
    picture = view(modality="image", thumbnail=lambda at: bytes([at]), show_real=True)
    panel = pair_panel(picture, [pair(4, 1)])
    assert panel.data["modality"] == "image"
    assert base64.b64decode(panel.data["pairs"][0]["real_image"]) == b"\x01"
    assert base64.b64decode(panel.data["pairs"][0]["synthetic_image"]) == b"\x04"
    (plain,) = pair_panel(view(show_real=True), [pair(4, 1)]).data["pairs"]
    assert {plain[key] for key in ("agree", "of", "real_image", "real_record", "synthetic_record")} == {None}


def test_pairs_are_listed_by_name_up_to_a_limit() -> None:
    (few,) = listed(view(), [pair(4, 1, 0.25), pair(5, 0, 0.0)], "Near copies")
    assert few.title == "Near copies: 2"
    assert few.rows == (("4", "1", 0.25), ("5", "0", 0.0))
    assert few.note == ""
    (many,) = listed(view(), [pair(4, 1)] * (LISTED + 1), "Near copies")
    assert len(many.rows) == LISTED
    assert many.note == f"The first {LISTED} of {LISTED + 1}."
    assert listed(view(), [], "Near copies") == ()


def test_the_record_with_the_most_release_rows_comes_first() -> None:
    pairs = [pair(4, 0), *[pair(5, 1)] * (NAMED + 2), pair(5, 0), pair(4, 2)]
    (found,) = pairs_by_record(view(), pairs, "Training records with copies")
    assert found.title == "Training records with copies: 3"
    assert found.rows == (("1", NAMED + 2, ", ".join("5" * NAMED)), ("0", 2, "4, 5"), ("2", 1, "4"))
    assert pairs_by_record(view(), [], "none") == ()
