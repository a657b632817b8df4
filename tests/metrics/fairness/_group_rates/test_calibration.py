"""Calibration in the large against pandas, its errors against their spread, the binned error against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from helpers.staged_models import staged
from simulations.simulate_gap_coverage import stratum_of

from counterproof.metrics.fairness._group_rates.assessment import Question, Ready, assess
from counterproof.metrics.fairness._group_rates.calibration import (
    CALIBRATION,
    binned_error,
    calibration_errors,
    residual_table,
    scores_of,
)
from counterproof.metrics.workbench import Workbench


def scored(n: int = 3000, copies: int = 1) -> tuple[Workbench, pd.DataFrame]:
    rng = np.random.default_rng(4)
    right = rng.beta(2, 3, n)
    rows = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "truth": rng.random(n) < right, "real": right})
    rows["synthetic"] = np.clip(right + np.where(rows["sex"] == "F", 0.1, 0.0) + rng.normal(0, 0.02, n), 0, 1)
    rows = pd.concat([rows] * copies, ignore_index=True)
    models = {m: np.column_stack([1 - rows[m], rows[m]]) for m in ("real", "synthetic")}
    bench = staged(
        np.where(rows["truth"], "yes", "no"),
        **models,
        groups={"sex": rows["sex"].to_numpy(dtype=np.str_)},
        clusters=np.tile(np.arange(n), copies) if copies > 1 else None,
    )
    return bench, rows


def ready(bench: Workbench) -> Ready:
    question = Question(rates=(CALIBRATION,), limit=0.1, gated=False)
    answer = assess(bench, question, models=("linear",), positive="yes")
    assert isinstance(answer, Ready)
    return answer


def test_residuals_are_outcome_minus_score() -> None:
    bench, rows = scored()
    table = ready(bench).blocks[0].table
    for side in ("real", "synthetic"):
        off = (rows["truth"] - rows[side]).groupby(rows["sex"])
        assert table.rates[side].values == pytest.approx(off.mean().to_numpy())  # type: ignore[index]
        assert table.rates[side].errors == pytest.approx(off.sem().to_numpy(), rel=0.01)  # type: ignore[index]
    moved = (rows["real"] - rows["synthetic"]).groupby(rows["sex"])
    assert table.change == pytest.approx(moved.mean().to_numpy())
    assert table.error == pytest.approx(moved.sem().to_numpy(), rel=0.02)
    assert table.rest["real"].values == pytest.approx(table.rates["real"].values[::-1])


def test_scores_are_those_of_the_positive_class() -> None:
    bench, rows = scored()
    scores = scores_of(bench, "linear", "no")
    assert scores.real == pytest.approx(1 - rows["real"].to_numpy())
    assert (scores.truth == ~rows["truth"]).all()


def test_copies_of_one_source_add_no_certainty() -> None:
    bench, rows = scored(1500, copies=4)
    block = ready(bench).blocks[0]
    moved = (rows["real"] - rows["synthetic"])[:1500].groupby(rows["sex"][:1500])
    assert block.table.errors(block.cells)[0] == pytest.approx(np.hypot(*moved.sem()), rel=0.002)


def test_a_few_rows_that_agree_do_not_claim_certainty() -> None:
    table = residual_table(stratum_of(2), np.array([[3.0, 0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0, 0]]), level=0.95)
    assert table.rates["real"].errors is not None
    assert table.rates["real"].errors[0] > 0.2
    assert table.error[0] > 0.05
    assert np.isinf(table.error[1])
    assert np.isnan(table.change[1])


def test_the_binned_error_of_a_constant_score_is_its_distance_from_the_share() -> None:
    truth = np.tile([True, False, False, False], 250)
    error, by_luck = binned_error(np.full(1000, 0.6), truth)
    assert error == pytest.approx(0.35)
    assert by_luck == pytest.approx(10 * math.sqrt(100 * 0.24 * 2 / math.pi) / 1000)


def test_the_binned_error_of_right_scores_is_what_luck_explains() -> None:
    rng = np.random.default_rng(5)
    score = rng.random(2000)
    pairs = [binned_error(score, rng.random(2000) < score) for _ in range(200)]
    assert np.mean([error for error, _ in pairs]) == pytest.approx(pairs[0][1], rel=0.05)


def test_evidence_holds_every_group_of_both_models() -> None:
    bench, rows = scored()
    (evidence,) = calibration_errors(ready(bench))
    assert [row[:4] for row in evidence.rows] == [
        ("sex", sex, "linear", int((rows["sex"] == sex).sum())) for sex in ("F", "M")
    ]
    women = evidence.rows[0]
    assert women[6] > 0.08 > women[4]
