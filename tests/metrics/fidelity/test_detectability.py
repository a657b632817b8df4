"""Detectability against scikit-learn, numpy.linalg and its own null; planted flaws and what gives them away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, normal_rows, three
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

import counterproof as cp
from counterproof.metrics.fidelity import detectability as module
from counterproof.metrics.fidelity.detectability import detectability, permutation_sentence, set_task
from counterproof.metrics.metric import Value
from counterproof.metrics.shared.two_sample import (
    FOLDS,
    RIDGE,
    Task,
    boosting_scores,
    linear_scores,
    linear_tables,
    separating_columns,
    tree_codes,
)
from counterproof.metrics.workbench import Workbench

Frames = dict[str, pd.DataFrame]


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = normal_rows(n, seed, "abc")
    frame["town"] = rng.choice(list("uvw"), n)
    frame.loc[rng.random(n) < 0.1, "c"] = np.nan
    return frame


def auc(scores: Any, made: Any) -> float:
    return float(roc_auc_score(made, scores))


def values(bench: Workbench) -> dict[str, Value]:
    """By learner; the headline under the empty string."""
    return {v.group[0][1] or "" if v.group else "": v for v in detectability.values(bench, {})}


def point(value: Value) -> float:
    assert value.estimate is not None
    return value.estimate.value


def test_areas_are_scikit_learns_on_the_same_scores() -> None:
    frames = three(people, 300, 1)
    frames["synthetic"]["a"] += 0.3
    bench = desk(sources=frames)
    task = set_task(bench)
    found = values(bench)
    expected = {
        "linear": auc(linear_scores(task, 0), task.made),
        "boosting": auc(boosting_scores(task, 0), task.made),
    }
    for learner, area in expected.items():
        assert point(found[learner]) == pytest.approx(area, abs=1e-12)
    assert point(found[""]) == max(point(found[name]) for name in expected)
    assert found[""].reason == f"{max(expected, key=lambda name: expected[name])} tells best"


def test_linear_tables_are_ridge_regressions_fold_by_fold() -> None:
    task = set_task(desk(sources=three(people, 120, 2)))
    rng = np.random.default_rng(0)
    targets = np.column_stack([task.made, rng.permutation(task.made), rng.normal(size=len(task.made))]).astype(float)
    found = linear_tables(task, targets)
    x = np.column_stack([task.features, np.ones(len(task.features))])
    for fold in range(FOLDS):
        out = task.fold == fold
        gram = x[~out].T @ x[~out]
        ridge = RIDGE * max(np.trace(gram) / len(gram), 1.0)
        weights = np.linalg.solve(gram + ridge * np.eye(len(gram)), x[~out].T @ targets[~out])
        assert_allclose(found[out], x[out] @ weights, rtol=1e-8, atol=1e-10)


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    task = set_task(desk(sources=three(people, 100, 3)))
    turned = task.made.astype(float)[:, None].copy()
    before = linear_tables(task, turned)[:, 0]
    out = task.fold == 2
    turned[out] = 1 - turned[out]
    assert_allclose(linear_tables(task, turned)[out, 0], before[out], atol=1e-9)
    assert not np.allclose(linear_tables(task, turned)[~out, 0], before[~out])


def test_equal_rows_share_a_fold_and_folds_are_even() -> None:
    rng = np.random.default_rng(4)
    frames = {role: pd.DataFrame({c: rng.choice(list("abcdefgh"), 200) for c in "xyz"}) for role in three(people, 1, 0)}
    bench = desk(sources=frames)
    task = set_task(bench)
    rows = pd.concat([frames["holdout"], frames["synthetic"]]).apply("".join, axis=1).to_numpy()
    assert len(set(rows)) < len(rows)
    for row in set(rows):
        assert len(set(task.fold[rows == row])) == 1
    assert np.bincount(task.fold, minlength=FOLDS).min() > 0.5 * len(rows) / FOLDS
    assert set(task.fold) == set(range(FOLDS))


def test_rows_of_one_source_share_a_fold() -> None:
    def visits(n: int, seed: int) -> pd.DataFrame:
        return normal_rows(n, seed).assign(patient=[f"p{seed}-{i // 4}" for i in range(n)])

    bench = desk(sources=three(visits, 120, 5), cluster="patient")
    task = set_task(bench)
    clusters = bench.corpus.clusters
    assert clusters is not None
    both = clusters[np.concatenate([bench.reference.rows, bench.candidate.rows])]
    assert len(set(both)) == 60
    for source in set(both):
        assert len(set(task.fold[both == source])) == 1


def test_copies_do_not_make_a_release_detectable_or_worse_than_chance() -> None:
    frames = three(normal_rows, 300, 6)
    frames["synthetic"] = frames["holdout"].copy()
    found = values(desk(sources=frames))
    assert point(found["linear"]) == pytest.approx(0.5, abs=0.05)


def p_of(bench: Workbench) -> float:
    task = set_task(bench)
    sentence = permutation_sentence(bench, task, auc(linear_scores(task, 0), task.made))
    return float(sentence.split("= ")[1].split(" ")[0])


def test_the_permutation_p_is_about_uniform_for_fresh_rows() -> None:
    found = [p_of(desk(sources=three(normal_rows, 120, 100 + seed))) for seed in range(40)]
    assert min(found) >= 1 / 200
    assert 0.35 < np.mean(found) < 0.65
    assert np.mean(np.array(found) <= 0.1) <= 0.25  # P = 0.001 for uniform ones
    assert np.mean(np.array(found) <= 0.5) > 0.28


def test_the_permutation_p_is_that_of_a_loop() -> None:
    bench = desk(sources=three(normal_rows, 80, 7))
    task = set_task(bench)
    mine = auc(linear_scores(task, 0), task.made)
    rng = bench.generator("detectability permutations")
    more = 0
    for _ in range(module.PERMUTATIONS):
        made = rng.permutation(task.made)
        more += auc(linear_tables(task, made[:, None].astype(float))[:, 0], made) >= mine - 1e-12
    assert p_of(bench) == pytest.approx((1 + more) / 200, abs=5e-4)


def test_a_shift_has_the_least_p() -> None:
    frames = three(normal_rows, 150, 8)
    frames["synthetic"]["b"] += 1
    assert p_of(desk(sources=frames)) == 1 / 200


# -- planted flaws ---------------------------------------------------------------------------------


def with_flaw(flaw: str, n: int = 600) -> Frames:
    frames = three(people, n, 9)
    made = frames["synthetic"]
    if flaw == "rounded":
        made["b"] = made["b"].round(0)
    elif flaw == "clipped":
        made["b"] = made["b"].clip(-0.8, 0.8)
    return frames


@pytest.mark.parametrize("flaw", ["rounded", "clipped"])
def test_rounding_and_clipping_are_found_and_the_column_is_named(flaw: str) -> None:
    found = values(desk(sources=with_flaw(flaw)))[""]
    assert point(found) > 0.7
    evidence = found.evidence[0]
    assert evidence.rows[0][0] == "b"
    assert evidence.rows[0][1] > 2 * max([row[1] for row in evidence.rows[1:]] or [0.0])
    assert found.panels[0].data["labels"] == [row[0] for row in evidence.rows]


def test_the_policy_fails_flaws_and_passes_fresh_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))
    verdicts = {
        flaw: cp.audit(**with_flaw(flaw), metrics=["fidelity.detectability"]).verdict for flaw in ("none", "rounded")
    }
    assert verdicts == {"none": "pass", "rounded": "fail"}


def test_giveaways_of_fresh_rows_name_hardly_anything() -> None:
    labels, drops = separating_columns(set_task(desk(sources=three(people, 500, 10))), 0)
    assert len(labels) == len(drops)
    assert all(drop < 0.12 for drop in drops)
    assert drops == sorted(drops, reverse=True)


def test_the_floor_of_both_learners_lies_about_one_half() -> None:
    found = measured(detectability, desk(sources=three(people, 200, 11)))
    for learner, draws in (("linear", 20), ("boosting", 4)):
        floor = found["value", (("learner", learner),)].floor
        assert floor is not None
        assert floor.draws == draws
        assert abs(floor.value - 0.5) < 0.04
        assert ("excess", (("learner", learner),)) in found


def test_a_view_of_real_rows_yields_no_evidence() -> None:
    null = values(desk(sources=three(people, 200, 12)).resplit(0))
    assert not any(v.evidence or v.panels or v.reason for v in null.values())
    assert set(null) == {"linear", "boosting", ""}
    late = values(desk(sources=three(people, 200, 12)).resplit(module.BOOSTING_DRAWS))
    assert set(late) == {"linear"}


def test_feature_spaces_are_told_apart_too() -> None:
    rng = np.random.default_rng(13)
    parts = {role: rng.normal(size=(300, 40)) for role in ("train", "holdout", "synthetic")}
    fresh = values(desk(sources=dict(parts)))
    assert abs(point(fresh["linear"]) - 0.5) < 0.08
    parts["synthetic"][:, 17] += 1.5
    assert point(values(desk(sources=parts))["linear"]) > 0.8


def test_many_categories_do_not_break_the_trees() -> None:
    rng = np.random.default_rng(14)
    codes = [f"c{i:03d}" for i in range(300)]
    frames = {
        role: pd.DataFrame({"code": rng.choice(codes, 600), "x": rng.normal(size=600)}) for role in three(people, 1, 0)
    }
    assert abs(point(values(desk(sources=frames))["boosting"]) - 0.5) < 0.1


def test_common_categories_keep_codes_of_their_own() -> None:
    rng = np.random.default_rng(0)
    many = np.concatenate([np.arange(400), np.repeat([399, 398, 3], [50, 30, 20])])
    codes = np.column_stack([rng.permutation(many), np.arange(len(many)) % 7]).astype(np.int32)
    found = tree_codes(codes)
    assert (found[:, 1] == codes[:, 1]).all()
    own = found[:, 0]
    assert [set(own[codes[:, 0] == code]) for code in (399, 398, 3)] == [{0.0}, {1.0}, {2.0}]
    assert own.max() == 254
    assert (np.bincount(own.astype(int))[3:254] == 1).all()
    assert (own == 254).sum() == 400 - 254


def test_the_same_seed_gives_the_same_bytes() -> None:
    frames = three(people, 200, 15)
    assert values(desk(sources=frames)) == values(desk(sources=frames))
    assert values(desk(sources=frames, seed=1))["linear"] != values(desk(sources=frames))["linear"]


@pytest.mark.parametrize("sources", [1, 2])
def test_too_few_sources_to_hold_out_are_said_so(sources: int) -> None:
    def few(n: int, seed: int) -> pd.DataFrame:
        return normal_rows(n, seed).assign(patient=[f"{seed}-{i % sources}" for i in range(n)])

    bench = desk(sources={"real": few(60, 0), "synthetic": few(60, 1)}, cluster="patient")
    found = measured(detectability, bench)
    (only,) = found.values()
    assert only.status == "not_assessable"
    assert only.reason.startswith("fewer than 5 distinct rows or sources")


def test_an_empty_fold_is_no_crash() -> None:
    frames = {role: pd.DataFrame({"x": list("ab") * 20, "y": list("abcd") * 10}) for role in three(people, 1, 0)}
    task = set_task(desk(sources=frames))
    assert isinstance(task, Task)
    assert np.isfinite(linear_scores(task, 0)).all()
    assert np.isfinite(boosting_scores(task, 0)).all()


def test_a_column_with_a_value_in_three_rows_of_one_role_is_left_out_and_said_so() -> None:
    frames = three(people, 100, 3)
    frames = {role: frame.assign(rare=np.nan) for role, frame in frames.items()}
    frames["holdout"].loc[[3, 50, 77], "rare"] = [1.0, 2.0, 5.0]
    record = cp.audit(**frames, metrics=["fidelity.detectability"])
    assert {reading.status for reading in record.measurements} == {"measured"}
    lone = {role: frame.assign(rare=np.nan) for role, frame in frames.items()}
    lone["holdout"].loc[3, "rare"] = 1.0
    lone["train"].loc[4, "rare"] = 2.0
    found = values(desk(sources=lone))[""]
    assert "left out, as too few rows have a value to learn from: rare" in found.reason


def test_boosting_without_a_known_value_scores_all_rows_alike() -> None:
    task = set_task(desk(sources=three(people, 60, 3)))
    blank = replace(task, trees=np.full_like(task.trees, np.nan))
    assert len(np.unique(boosting_scores(blank, 0))) == 1
