"""Names that a record answers to, and the one line that each of its parts prints."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.sample_tables import cells_panel, census_record, evidence_of, gate_of, manifest_of, reading_of, record_of

from counterproof.reports.model import CellReading, FamilyReading, FloorReading


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (reading_of(), "<fidelity.kernel_distance 0.08 [0.05, 0.11], floor 0.02>"),
        (
            reading_of(field="excess", headline=False, group={"sex": "F"}, floor=None),
            "<fidelity.kernel_distance.excess[sex=F] 0.08 [0.05, 0.11]>",
        ),
        (
            reading_of(value=None, low=None, high=None, status="not_assessable", reason="too few rows"),
            "<fidelity.kernel_distance not assessable: too few rows>",
        ),
        (reading_of(alarm="12 copies", floor=None), "<fidelity.kernel_distance 0.08 [0.05, 0.11], ALARM: 12 copies>"),
        (gate_of(), "<gate fidelity.kernel_distance <= 0.15 PASS: 0.08 [0.05, 0.11]>"),
        (
            gate_of(verdict="fail", level="warn", value=None),
            "<gate fidelity.kernel_distance <= 0.15 FAIL (warns only)>",
        ),
        (gate_of(name="both at once", waiver="by ana"), "<gate both at once PASS, waived: 0.08 [0.05, 0.11]>"),
        (CellReading(group={"sex": "F"}, verdict="fail"), "<cell sex=F FAIL: –>"),
        (FamilyReading(verdict="not_assessed"), "<NOT ASSESSED>"),
        (FamilyReading(verdict="fail", because=["too far", "too few"]), "<FAIL: too far and 1 more>"),
        (cells_panel(), "<panel cells 'sex by race: share in the release over share in real data'>"),
        (evidence_of(), "<table 'Release rows that equal a training row': 14 rows, 4 columns>"),
        (manifest_of(), "<manifest: train 16000 rows, holdout 8000 rows, synthetic 16000 rows, seed 0>"),
    ],
)
def test_each_part_prints_on_one_line(part: Any, line: str) -> None:
    assert repr(part) == str(part) == line


def test_no_part_prints_at_length_or_in_control_characters() -> None:
    long = "\x1b[31m" + "a long text\n" * 200
    floor = FloorReading(value=0.0, low=0.0, high=0.0, spread=0.0, draws=1)
    for part in (
        reading_of(group={long: long}, alarm=long, floor=floor),
        gate_of(expression=long),
        FamilyReading(verdict="fail", because=[long]),
        CellReading(group={long: long}, verdict="pass"),
        evidence_of().model_copy(update={"title": long}),
        cells_panel().model_copy(update={"title": long}),
    ):
        assert len(repr(part)) < 320
        assert not set(repr(part)) & {"\n", "\x1b"}


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("marginals", "fidelity.marginals"),
        ("kernel", "fidelity.kernel_distance"),
        ("fidelity.marginal", "fidelity.marginals"),
        ("leakage.copys", "leakage.copies"),
        ("coverage.representation.vale", "coverage.representation.value"),
        ("fairness.equal_opportunity_difference", "fairness.equal_opportunity_difference[sex]"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(KeyError) as refused:
        census_record()[asked]
    message = refused.value.args[0]
    assert message.startswith(f"the record has no '{asked}'; did you mean {nearest}")
    assert message.endswith("?")


def test_a_name_like_no_other_is_told_where_all_names_stand() -> None:
    with pytest.raises(KeyError, match=r"such as fidelity.kernel_distance, .*; record.keys\(\) lists every name"):
        census_record()["zzz"]
    with pytest.raises(KeyError, match="it has no measurements"):
        record_of()["zzz"]
