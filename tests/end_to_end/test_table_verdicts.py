"""The whole default policy on real generators' releases and on fresh real rows: census tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from counterproof import Record, audit

CENSUS = Path(str(files("counterproof") / "data" / "census"))


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERPROOF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def failing(record: Record) -> set[str]:
    return {name for name, family in record.families.items() if family.verdict == "fail"}


def failing_gates(record: Record) -> set[str]:
    return {gate.metric for gate in record.gates if gate.verdict == "fail" and gate.level == "fail"}


def test_planted_copies_fail_leakage_and_leakage_alone_with_the_rows_listed(audited: Callable[[str], Record]) -> None:
    record = audited("release_leaky")
    assert failing(record) == {"leakage"}
    assert {f.verdict for n, f in record.families.items() if n != "leakage"} == {"pass"}
    release = pd.read_parquet(CENSUS / "release_leaky.parquet")
    train = pd.read_parquet(CENSUS / "train.parquet")
    known = set(train.fillna("?").itertuples(index=False, name=None))
    equal = {str(i) for i, row in enumerate(release.fillna("?").itertuples(index=False, name=None)) if row in known}
    listed = {str(row[0]) for row in record["leakage.copies"].evidence[0].rows}
    assert len(equal) == 329  # of the data's README; 250 of them were planted
    assert listed == equal


@pytest.mark.parametrize("name", ["release_copula", "release_ctgan"])
def test_weak_generators_fail_fidelity_fairness_and_utility(name: str, audited: Callable[[str], Record]) -> None:
    record = audited(name)
    assert {"fidelity", "coverage", "fairness", "utility"} <= failing(record)
    assert record.families["leakage"].verdict == "pass"
    columns = {c.group["column"] for g in record.gates for c in g.cells if g.field == "excess" and "column" in c.group}
    assert "capital_gain" in columns  # spread over a continuum where 9 of 10 real values are 0


def test_the_copula_flattens_the_gap_between_women_and_men_and_ctgan_widens_it(
    audited: Callable[[str], Record],
) -> None:
    cell = 'fairness.demographic_parity_difference.change[sex="Female – Male",learner=linear]'
    flattened, widened = (audited(name)[cell] for name in ("release_copula", "release_ctgan"))
    assert flattened.value is not None
    assert flattened.value > 0.1
    assert widened.value is not None
    assert widened.value < -0.1


def test_an_undertrained_generator_fails_coverage_and_utility_by_what_is_gone(audited: Callable[[str], Record]) -> None:
    record = audited("release_tvae3")
    assert {"fidelity", "coverage", "utility"} <= failing(record)
    assert record.families["leakage"].verdict == "pass", "collapse, not memory: 9 against 5 distinct records"
    assert "No row with sex = Female" in record["coverage.representation[sex=Female]"].alarm
    assert "one class" in record["utility.tstr"].reason


def test_the_best_release_passes_narrowly_and_its_lost_countries_are_named(audited: Callable[[str], Record]) -> None:
    record = audited("release_argn")
    assert failing_gates(record) == set()
    assert record.families["fidelity"].verdict == record.families["leakage"].verdict == "pass"
    assert any("native_country" in warning for warning in record.warnings)
    lost = {row[1] for row in record["fidelity.marginals.lost"].evidence[0].rows}
    assert {"Guatemala", "Portugal", "Peru"} <= lost


def test_forty_rows_are_inconclusive_and_one_real_copy_of_many_fails() -> None:
    train, holdout = (pd.read_parquet(CENSUS / f"{n}.parquet").head(2000) for n in ("train", "holdout"))
    fresh = pd.read_parquet(CENSUS / "test.parquet").head(40)
    few = audit(train=train, holdout=holdout, synthetic=fresh, label="income", groups=["sex", "race"])
    assert few.verdict == "inconclusive"
    copied = audit(train=train, holdout=holdout, synthetic=train.head(40), metrics=["leakage"])
    assert copied.verdict == "fail"


def test_without_a_holdout_leakage_never_passes() -> None:
    train, fresh = (pd.read_parquet(CENSUS / f"{n}.parquet").head(1500) for n in ("train", "test"))
    for roles in ({"train": train}, {"real": train}):
        record = audit(**roles, synthetic=fresh, metrics=["leakage"])
        assert record.families["leakage"].verdict == "inconclusive"


@pytest.mark.slow
@pytest.mark.parametrize("draw", range(3))
def test_fresh_real_rows_never_fail(draw: int) -> None:
    frame = pd.concat([pd.read_parquet(CENSUS / f"{n}.parquet") for n in ("train", "holdout", "test")])
    order = np.random.default_rng([20261121, draw]).permutation(len(frame))
    train, holdout, fresh, test = (frame.iloc[order[i * 1000 : (i + 1) * 1000]] for i in range(4))
    record = audit(
        train=train, holdout=holdout, synthetic=fresh, test=test, label="income", groups=["sex", "race"], seed=draw
    )
    assert record.verdict in ("pass", "inconclusive"), record.because
    assert {gate.verdict for gate in record.gates} <= {"pass", "inconclusive", "not_applicable"}


@pytest.mark.slow
def test_fresh_real_rows_pass_the_whole_policy_at_five_thousand() -> None:
    frame = pd.concat([pd.read_parquet(CENSUS / f"{n}.parquet") for n in ("train", "holdout", "test")])
    order = np.random.default_rng(7).permutation(len(frame))
    train, holdout, fresh = (frame.iloc[order[i * 5000 : (i + 1) * 5000]] for i in range(3))
    record = audit(train=train, holdout=holdout, synthetic=fresh, label="income", groups=["sex", "race"])
    assert record.verdict == "pass", record.because
