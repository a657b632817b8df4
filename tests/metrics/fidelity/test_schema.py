"""A schema that does not match: a fact, said first wherever a verdict is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, three

import counterproof as cp
from counterproof.metrics.fidelity.kernel_distance import kernel_distance
from counterproof.metrics.fidelity.marginals import marginals
from counterproof.metrics.fidelity.schema import schema
from counterproof.metrics.metric import Value
from counterproof.metrics.utility.tstr import tstr
from counterproof.reports.outputs.html import render
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.outputs.terminal import plain_lines
from counterproof.reports.record import Record

Frames = dict[str, pd.DataFrame]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def customers(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    tenure = rng.integers(1, 72, n)
    return pd.DataFrame(
        {
            "tenure": tenure,
            "charges": np.round(20 + tenure + rng.normal(0, 10, n), 2),
            "plan": rng.choice(["month", "year"], n),
            "left": (rng.random(n) < 1 / (1 + tenure / 12)).astype(int),
        }
    )


def values(frames: Frames) -> dict[str, Value]:
    return {value.field: value for value in schema.values(desk(sources=frames), {})}


def count(value: Value) -> float:
    assert value.estimate is not None
    assert value.estimate.low == value.estimate.high
    return value.estimate.value


def audited(frames: Frames, **options: Any) -> Record:
    return cp.audit(**frames, metrics=[schema, marginals, kernel_distance, tstr], **options)


def test_equal_schemas_have_no_mismatch() -> None:
    found = values(three(customers, 60, 1))
    assert [(count(value), value.alarm, value.evidence) for value in found.values()] == [(0, "", ()), (0, "", ())]


def test_a_renamed_column_is_missing_and_its_new_name_is_named() -> None:
    frames = three(customers, 60, 1)
    frames["synthetic"] = frames["synthetic"].rename(columns={"tenure": "tenures"})
    found = values(frames)["mismatches"]
    assert count(found) == 1
    assert found.alarm == (
        "column 'tenure' is missing from the release; 'tenures' looks like it; all else was computed without it"
    )
    assert found.evidence[0].rows[0][0] == "tenure"


def test_missing_and_other_types_fail_and_extras_warn() -> None:
    frames = three(customers, 60, 1)
    frames["synthetic"] = frames["synthetic"].drop(columns="plan").assign(tenure="long", note=1, colour="red")
    found = values(frames)
    assert (count(found["mismatches"]), count(found["extra"])) == (2, 2)
    assert "'plan' is missing" in found["mismatches"].alarm
    assert "'tenure' is a number in real data and text in the release" in found["mismatches"].alarm
    assert found["mismatches"].alarm.endswith("all else was computed without these 2 columns")
    assert [row[0] for row in found["extra"].evidence[0].rows] == ["note", "colour"]


def test_many_mismatches_make_one_sentence() -> None:
    frames = {
        role: frame.assign(**{f"c{at}": frame["charges"] for at in range(6)})
        for role, frame in three(customers, 60, 1).items()
    }
    frames["synthetic"] = frames["synthetic"][["tenure", "charges", "plan", "left"]]
    found = values(frames)["mismatches"]
    assert count(found) == 6
    assert "; 3 more; all else was computed without these 6 columns" in found.alarm
    assert len(found.evidence[0].rows) == 6


def test_the_schema_is_the_headline_and_the_rest_is_computed_without_the_column() -> None:
    frames = three(customers, 700, 2)
    frames["synthetic"] = frames["synthetic"].rename(columns={"tenure": "tenures"})
    frames["synthetic"]["charges"] += 100  # another flaw, which is not said first
    record = audited(frames, label="left", gates=["fidelity.kernel_distance <= 0.0001"])
    sentence = "column 'tenure' is missing from the release; 'tenures' looks like it; all else was computed without it"
    assert record.verdict == "fail"
    assert record.because.startswith(f"{sentence[:1].upper()}{sentence[1:]}. ")
    assert record.families["fidelity"].because[0].startswith(sentence)
    lines = plain_lines(record)
    assert " ".join(line.strip() for line in lines).startswith(f"VERDICT FAIL: {record.because}")
    first = next(line for line in lines if line.startswith("  ✗ "))
    assert first.startswith("  ✗ Columns missing or of another type: column 'tenure' is missing from the release; ")
    told = markdown(record)
    assert told.index("is missing from the release") < told.index("##")
    page = render(record)
    assert page.index("is missing from the release") < page.index('id="columns"')
    columns = {r.group["column"] for r in record.measurements if r.metric == "fidelity.marginals" and r.group}
    assert columns == {"charges", "plan", "left"}
    assert record["utility.tstr"].status == "measured"


def test_an_extra_column_warns_and_passes() -> None:
    frames = three(customers, 700, 2)
    frames["synthetic"] = frames["synthetic"].assign(note="x")
    record = cp.audit(**frames, metrics=[schema])
    assert record.verdict == "pass"
    assert record.warnings == [
        "Column 'note' is only in the release: left out of the audit (fidelity.schema; only warns)"
    ]


def test_a_label_returned_as_a_quantity_costs_no_model_and_is_said() -> None:
    frames = three(customers, 700, 2)
    frames["synthetic"]["left"] = np.random.default_rng(0).random(700)
    record = audited(frames, label="left")
    assert "label 'left' has 2 classes in real data and 700 other values in the release" in record.because
    found = record["utility.tstr"]
    assert found.status == "not_applicable"
    assert found.reason == "label 'left' has 2 classes in real data and 700 other values in the release"


def test_a_label_that_is_a_number_is_said_to_be_one() -> None:
    record = audited(three(customers, 700, 2), label="charges")
    assert record["utility.tstr"].reason == "'charges' is a number"
    assert "utility and fairness were not judged: 'charges' is a number" in record.manifest.findings
