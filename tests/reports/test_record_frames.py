"""A record as pandas frames: every measurement and gate is a row, and numbers stay what they are."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from helpers.sample_tables import census_record, gate_of, reading_of, record_of

from counterproof.reports.outputs.frames import GATES, MEASUREMENTS


def test_every_measurement_is_a_row_with_its_interval_and_floor() -> None:
    record = census_record()
    frame = record.to_frame()
    assert list(frame.columns) == list(MEASUREMENTS)
    assert len(frame) == len(record.measurements)
    for row, reading in zip(frame.itertuples(), record.measurements, strict=True):
        assert (row.metric, row.field, row.status) == (reading.metric, reading.field, reading.status)
        if reading.value is None:
            assert pd.isna(row.value)
            assert pd.isna(row.low)
        else:
            assert (row.value, row.low, row.high) == (reading.value, reading.low, reading.high)
    first = frame.iloc[0]
    assert (first["floor"], first["floor_low"], first["floor_high"]) == (0.02, 0.01, 0.03)
    assert first["n"] == 4000
    assert first["n_by_sample"] == "reference 4000, candidate 4000"


def test_groups_are_in_words_and_numbers_have_their_type_where_nothing_was_measured() -> None:
    readings = [
        reading_of(group={"sex": "F", "race": None}),
        reading_of(value=None, low=None, high=None, floor=None, status="error", reason="crashed", n={}),
    ]
    found = record_of("pass", [], readings).to_frame()
    assert list(found["group"]) == ["sex = F, race", ""]
    assert found["n"].isna().tolist() == [False, True]
    for frame in (found, record_of().to_frame(), record_of().to_frame("gates")):
        columns = MEASUREMENTS if "unit" in frame.columns else GATES
        assert {name: pd.api.types.is_numeric_dtype(frame[name]) for name, kind in columns.items()} == {
            name: kind != "str" for name, kind in columns.items()
        }


def test_every_gate_is_a_row_and_those_that_it_asks_for_follow_it() -> None:
    members = [gate_of(), gate_of("coverage.recall", "fail", value=0.2)]
    both = gate_of(verdict="fail", name="both at once", members=members, waiver="by ana")
    record = census_record().model_copy(update={"gates": [*census_record().gates, both]})
    frame = record.to_frame("gates")
    assert list(frame.columns) == list(GATES)
    assert list(frame["part_of"][-3:]) == ["", "both at once", "both at once"]
    assert len(frame) == len(record.gates) + 2
    by_group = frame[frame["metric"] == "coverage.representation"].iloc[0]
    assert (by_group["cells"], by_group["cells_failed"]) == (4, 1)
    assert all(frame["title"].str.len() > 0)
    assert frame["waiver"].iloc[-3] == "by ana"
    crashed = frame[frame["metric"] == "utility.tstr"].iloc[0]
    assert pd.isna(crashed["limit"])
    assert crashed["verdict"] == "error"
    assert frame["n_needed"].dropna().tolist() == [9600]


@pytest.mark.parametrize("what", ["measurements", "gates"])
def test_a_frame_survives_a_csv_file(what: str) -> None:
    frame = census_record().to_frame(what)  # type: ignore[arg-type]
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)), keep_default_na=True)
    assert list(again.columns) == list(frame.columns)
    pd.testing.assert_series_equal(again["value"], frame["value"])


def test_frames_of_several_records_stand_below_each_other() -> None:
    frames = {name: census_record().to_frame("gates") for name in ("may", "june")}
    both = pd.concat(frames, names=["release"]).reset_index("release")
    assert both["release"].tolist() == ["may"] * 7 + ["june"] * 7
    assert both.groupby(["release", "verdict"]).size()["may", "fail"] == 3


def test_an_unknown_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="no frame of 'cells'; there are measurements and gates"):
        census_record().to_frame("cells")  # type: ignore[arg-type]
