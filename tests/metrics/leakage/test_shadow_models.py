"""Shadow models: a generator that memorises is found, an honest one is not; what it returns is checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import normal_rows, three

import counterproof as cp
from counterproof.metrics.leakage._membership.shadow_models import likelihood_ratio
from counterproof.reports.record import Record

Frames = dict[str, pd.DataFrame]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def uneven(n: int, seed: int) -> pd.DataFrame:
    """Rows near the middle and rows far out: what is near for one is far for another."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(size=(n, 6)) * np.exp(0.7 * rng.normal(size=(n, 1))), columns=list("abcdef"))


def memorising(real: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Training rows with as much noise as the rows in the middle differ."""
    return real + np.random.default_rng(seed).normal(size=real.shape)


def honest(real: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A Gaussian: six numbers learned."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.multivariate_normal(real.mean(), real.cov(), len(real)), columns=real.columns)


def audited(frames: Frames, generator: Any, **run: Any) -> Record:
    return cp.audit(**frames, metrics=["leakage.membership"], generator=generator, **run)


def area(record: Record, attack: str) -> float:
    found = next(r for r in record.measurements if r.group == {"attack": attack})
    assert found.value is not None
    return found.value


def made_by(generator: Any, seed: int, n: int = 500) -> Frames:
    frames = three(normal_rows, n, seed)
    return frames | {"synthetic": generator(frames["train"], 99)}


def test_a_memorising_generator_is_found_better_with_shadows() -> None:
    found = []
    for seed in (0, 1):
        train, holdout = uneven(500, seed), uneven(500, 1000 + seed)
        record = audited({"train": train, "holdout": holdout, "synthetic": memorising(train, 99)}, memorising)
        rest = ("nearest", "ratio", "columns", "density", "narrow_density", "classifier")
        found.append((area(record, "shadows"), max(area(record, attack) for attack in rest)))
    assert all(shadows > others for shadows, others in found)
    assert np.mean(found, axis=0)[0] > 0.56


def test_the_likelihood_ratio_is_that_of_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    inside = np.array([[True] * 400, [False] * 400] * 4)
    shadows = rng.normal(size=(8, 400)) - 2.0 * inside
    seen = rng.normal(size=400) - 2.0 * (np.arange(400) < 200)
    told = likelihood_ratio(seen, shadows, inside)
    assert (np.sign(told) == np.where(np.arange(400) < 200, 1, -1)).mean() > 0.8
    exact = -2.0 * (seen + 1.0)
    assert np.corrcoef(told, exact)[0, 1] > 0.9


def test_an_honest_generator_is_not_accused() -> None:
    record = audited(made_by(honest, 2), honest)
    found = record["leakage.membership"]
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.5
    assert found.high < 0.6
    assert 0.4 < area(record, "shadows") < 0.6


def test_arrays_of_features_go_as_arrays() -> None:
    seen = []

    def generator(real: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
        seen.append((type(real), real.shape, seed))
        return real + 0.3 * np.random.default_rng(seed).normal(size=real.shape)

    rows = {role: frame.to_numpy() for role, frame in made_by(honest, 3, 120).items()}
    record = cp.audit(**rows, metrics=["leakage.membership"], generator=generator)
    assert record["leakage.membership"].status == "measured"
    assert seen == [(np.ndarray, (120, 4), seed) for seed in range(8)], "eight fits, planted leaks need no more"


def test_rows_of_one_source_are_learned_together() -> None:
    split = []

    def generator(real: pd.DataFrame, seed: int) -> pd.DataFrame:
        split.append(real["pid"].value_counts().min())
        return honest(real[list("abcd")], seed).assign(pid="made")

    frames = made_by(honest, 4, 160)
    for role, frame in frames.items():
        frame["pid"] = [f"{role}{i // 4}" for i in range(160)]
    record = audited(frames, generator, cluster="pid")
    assert record["leakage.membership"].status == "measured"
    assert split == [4] * 8


def broken(real: pd.DataFrame, seed: int) -> pd.DataFrame:
    raise RuntimeError("no convergence")


def test_a_generator_that_fails_is_one_sentence() -> None:
    found = audited(made_by(honest, 5, 100), broken)["leakage.membership"]
    assert found.status == "error"
    assert "the generator fails on 100 real rows: no convergence" in found.reason


@pytest.mark.parametrize("made", [None, 3, pd.DataFrame({"z": [1.0, 2.0]})])
def test_what_cannot_be_read_is_one_sentence(made: Any) -> None:
    found = audited(made_by(honest, 6, 100), lambda real, seed: made)["leakage.membership"]
    assert found.status == "error"
    assert "what the generator makes cannot be read" in found.reason


def test_a_generator_needs_train_and_holdout_in_memory(tmp_path: Any) -> None:
    frames = made_by(honest, 7, 100)
    frames["train"].to_csv(tmp_path / "train.csv", index=False)
    with pytest.raises(cp.Refusal, match="give train and holdout as pandas frames or as arrays"):
        audited(frames | {"train": tmp_path / "train.csv"}, honest)
    with pytest.raises(cp.Refusal, match="give train and holdout as pandas frames or as arrays"):
        cp.audit(real=frames["train"], synthetic=frames["synthetic"], generator=honest)
