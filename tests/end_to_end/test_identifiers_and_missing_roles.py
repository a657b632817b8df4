"""Identifiers of training records, keys that are broken, and audits without roles, as people bring them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import counterproof as cp
from counterproof.metrics.fidelity.text_profiles import text_profiles
from counterproof.reports.record import Record
from counterproof.reports.wording import answer, extent_told, headline

N = 1000
Frames = dict[str, pd.DataFrame]
METRICS: tuple[Any, ...] = ("fidelity.marginals", "fidelity.schema", text_profiles, "leakage.copies")
LEAKS: tuple[Any, ...] = (*METRICS, "leakage.rare_values", "leakage.identifiers")
Keys = Callable[[int, np.random.Generator], list[Any]]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def people(seed: int, n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    u = rng.normal(size=n)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "sex": rng.choice(["F", "M"], n),
            "pay": np.round(np.exp(7.5 + 0.4 * u), 2),
            **{f"x{at}": np.round(0.6 * u + 0.8 * rng.normal(size=n), 3) for at in range(8)},
            "label": np.where(rng.random(n) < 1 / (1 + np.exp(-2 * u)), "yes", "no"),
        }
    )


def roles(keys: Callable[[int, np.random.Generator], list[Any]] | None = None, name: str = "patient_id") -> Frames:
    found = {role: people(at) for at, role in enumerate(("train", "holdout", "synthetic"))}
    if keys is not None:
        for at, rows in enumerate(found.values()):
            rows.insert(0, name, keys(at, np.random.default_rng(at)))
    return found


def audited(frames: Frames, *metrics: Any, **run: Any) -> Record:
    return cp.audit(**frames, label="label", metrics=list(metrics or LEAKS), **run)


def hexes(_: int, rng: np.random.Generator) -> list[str]:
    return [uuid.UUID(bytes=rng.bytes(16)).hex for _ in range(N)]


def numbers(_: int, rng: np.random.Generator) -> list[int]:
    return rng.choice(10**9, N, replace=False).tolist()


def moments(_: int, rng: np.random.Generator) -> list[pd.Timestamp]:
    return [pd.Timestamp("2001-01-01") + pd.Timedelta(seconds=int(at)) for at in rng.integers(0, 10**9, N)]


def serials(at: int, _: np.random.Generator) -> list[int]:
    start = {0: 0, 1: N, 2: 0}[at]  # the release numbers its rows as train does
    return list(range(start, start + N))


def letters(at: int, rng: np.random.Generator) -> list[str]:
    return [f"P-{number:04d}" for number in serials(at, rng)]


def ranges(at: int, _: np.random.Generator) -> list[int]:
    return list(range(10_000 * at, 10_000 * at + N))


@pytest.mark.parametrize("keys", [hexes, numbers, moments])
def test_identifiers_of_training_records_fail_and_fresh_ones_do_not(keys: Keys) -> None:
    frames = roles(keys)
    assert audited(frames).verdict == "pass"
    frames["synthetic"]["patient_id"] = frames["train"]["patient_id"].sample(frac=1, random_state=1).to_numpy()
    record = audited(frames)
    assert record.verdict == "fail"
    assert record.families["leakage"].verdict == "fail"
    assert "a value in patient_id that no other real record has" in record.because


@pytest.mark.parametrize("keys", [serials, letters, ranges])
def test_running_numbers_are_no_leak_and_every_column_is_judged(keys: Keys) -> None:
    record = audited(roles(keys))
    assert record.verdict == "pass"
    assert headline(record) == "Pass"
    assert extent_told(record)[0].startswith("all 13 columns judged (fidelity 13, leakage 13)")


@pytest.mark.parametrize("keys", [ranges, hexes, letters])
def test_a_key_that_is_unique_in_real_data_and_not_in_the_release_fails(keys: Keys) -> None:
    frames = roles(keys, "account_id")
    frames["synthetic"]["account_id"] = frames["synthetic"]["account_id"].iloc[0]
    record = audited(frames, *METRICS)
    assert record.families["fidelity"].verdict == "fail"
    assert record.because.startswith("Column account_id is written in another form")
    half = roles(keys, "account_id")
    half["synthetic"].loc[: N // 2, "account_id"] = half["synthetic"]["account_id"].iloc[N // 2]
    assert audited(half, *METRICS).families["fidelity"].verdict == "fail"


def test_real_rows_alone_fail_by_copies_and_without_them_leakage_reads_not_assessed() -> None:
    frames = roles()
    real, release = frames["train"], frames["synthetic"]
    honest = audited({"real": real, "synthetic": release}, without_holdout="allow")
    assert honest.verdict == "pass"
    assert headline(honest) == "Pass, leakage not assessed"
    assert honest.families["leakage"].verdict == "not_assessed"
    assert "No leak found" not in answer(honest, "leakage")
    for made in (real.sample(frac=1, random_state=0), pd.concat([release.iloc[:-20], real.iloc[:20]])):
        record = audited({"real": real, "synthetic": made.reset_index(drop=True)}, without_holdout="allow")
        assert record.verdict == "fail"
        assert record.families["leakage"].verdict == "fail"
        assert "distinct real records stand in the release" in record.because


def test_a_column_that_only_the_release_has_or_lost_all_values_is_named() -> None:
    frames = roles(hexes)
    frames["synthetic"]["patient_id"] = None
    record = audited(frames)
    assert headline(record) == "Pass, 1 column not judged"
    assert "'patient_id': identifier, only leakage looks at it" in extent_told(record)[0]
    frames = roles()
    frames["synthetic"]["note"] = "made"
    record = audited(frames)
    assert headline(record) == "Pass, 1 column not judged"
    assert "'note': left out of the audit" in extent_told(record)[0]


def test_a_numeric_label_is_said_beside_the_verdict() -> None:
    record = cp.audit(**roles(), label="pay", metrics=[*METRICS, "utility", "fairness"])
    assert record.because.endswith("Utility and fairness were not judged: 'pay' is a number.")
