"""The metric frame of a record: every group of every crossing, both models, small cells without numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import counterproof as cp
from counterproof.metrics.statistics.proportions import wilson
from counterproof.reports.record import Record


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sex, race = rng.choice(["F", "M"], n), rng.choice(["a", "b", None], n, p=[0.7, 0.29, 0.01])
    x = rng.normal(size=n) + 0.4 * (sex == "F")
    bought = np.where(x + rng.normal(size=n) > 0.3, "yes", "no")
    return pd.DataFrame({"x": x, "sex": sex, "race": race, "bought": bought})


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    frames = {role: people(900, seed) for seed, role in enumerate(("train", "holdout", "synthetic"))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERPROOF_CACHE", str(tmp_path_factory.mktemp("cache")))
        return cp.audit(
            **frames,
            label="bought",
            groups=["sex", "race"],
            metrics=["fairness.worst_group_accuracy", "fairness.demographic_parity_difference"],
            intersections=2,
        )


def test_rows_are_the_groups_and_their_crossings(record: Record) -> None:
    frame = cp.metric_frame(record, learner="linear")
    assert frame.index.names == ["column", "group"]
    assert list(frame.index.get_level_values("column").unique()) == ["sex", "race", "sex, race"]
    holdout = people(900, 1).fillna("(missing)")
    counts = holdout.groupby("sex").size()
    assert frame.loc["sex"]["rows", "n"].to_dict() == counts.to_dict()
    positives = holdout[holdout["bought"] == "yes"].groupby(["sex", "race"]).size()
    found = frame.loc["sex, race"]["rows", "positives"].dropna()
    assert len(found) >= 4
    assert all(positives[tuple(name.split(", "))] == n for name, n in found.items())


def test_rates_are_those_of_the_gaps(record: Record) -> None:
    for learner in ("linear", "boosting"):
        frame = cp.metric_frame(record, learner=learner)
        for model in ("real", "synthetic"):
            rates = frame.loc["sex"][model, "selection_rate"]
            gap = record[f"fairness.demographic_parity_difference.{model}[sex,learner={learner}]"]
            assert gap.value == pytest.approx(rates.max() - rates.min(), abs=1e-9)
            worst = record[f"fairness.worst_group_accuracy.{model}[sex,learner={learner}]"]
            assert worst.value == pytest.approx(frame.loc["sex"][model, "accuracy"].min(), abs=1e-9)


def test_small_cells_are_there_without_numbers(record: Record) -> None:
    frame = cp.metric_frame(record, learner="linear")
    few = frame.loc["sex, race"].loc["F, (missing)"]
    holdout = people(900, 1)
    assert 0 < ((holdout["sex"] == "F") & holdout["race"].isna()).sum() < 10
    assert few.isna().all()
    missing = frame.loc["race"].loc["(missing)"]
    hidden = missing[("rows", "positives")], missing[("rows", "negatives")]
    assert np.isnan(hidden).all() or min(hidden) >= 10


def test_intervals_are_wilsons(record: Record) -> None:
    frame = cp.metric_frame(record, learner="linear", intervals=True)
    row = frame.loc["sex"].loc["F"]
    n, positives = int(row["rows", "n"]), int(row["rows", "positives"])
    for rate, over in (("selection_rate", n), ("accuracy", n), ("true_positive_rate", positives)):
        e = wilson(round(row["real", rate] * over), over)
        assert (row["real", f"{rate}_low"], row["real", f"{rate}_high"]) == pytest.approx((e.low, e.high), abs=1e-8)
    e = wilson(
        round(row["real", "precision"] * round(row["real", "selection_rate"] * n)),
        round(row["real", "selection_rate"] * n),
    )
    assert row["real", "precision_low"] == pytest.approx(e.low, abs=1e-8)
    assert frame.loc["sex, race"].loc["F, (missing)"].isna().all()


def test_without_a_learner_all_stand_below_each_other(record: Record) -> None:
    frame = cp.metric_frame(record)
    assert frame.index.names == ["column", "group", "learner"]
    assert set(frame.index.get_level_values("learner")) == {"linear", "boosting"}
    linear = cp.metric_frame(record, learner="linear")
    pd.testing.assert_frame_equal(frame.xs("linear", level="learner"), linear, check_dtype=False)


def test_a_record_survives_its_file(record: Record, tmp_path: Any) -> None:
    record.write(tmp_path / "record.json")
    pd.testing.assert_frame_equal(cp.metric_frame(Record.read(tmp_path / "record.json")), cp.metric_frame(record))


def test_what_is_not_there_is_said(record: Record) -> None:
    with pytest.raises(cp.Refusal, match="no models of 'forest' were tried in this audit; there are linear, boosting"):
        cp.metric_frame(record, learner="forest")
    bare = record.model_copy(update={"measurements": []})
    with pytest.raises(cp.Refusal, match="no metric frame: audit the metrics of fairness, with a label and groups"):
        cp.metric_frame(bare)
