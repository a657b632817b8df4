"""A fuzzer: random tables and feature spaces are audited without a crash, a warning, or a number that is not finite.

It takes about two minutes of a processor; an hour, with other examples each time, with ``COUNTERPROOF_FUZZ=1``.
"""

from __future__ import annotations

import math
import os
from typing import Any

import pytest
from helpers.random_tables import Case, drawn_space
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

import counterproof as cp
from counterproof.metrics.errors import MetricError
from counterproof.refusal import Refusal
from counterproof.reports.outputs.html import render
from counterproof.reports.outputs.junit import junit
from counterproof.reports.outputs.markdown import markdown

LONG = bool(os.environ.get("COUNTERPROOF_FUZZ"))
ROLES = {"train", "holdout", "real", "test", "synthetic"}
VARIES = {"seconds", "stages", "started", "audits_of_holdout"}
REPEATED = 80  # rows up to which an audit is made twice


def how(examples: int) -> Any:
    return settings(
        max_examples=40 * examples if LONG else examples,
        derandomize=not LONG,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),  # a case is drawn by its seed, of which none is simpler
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERPROOF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def not_finite(value: Any, at: str = "record") -> list[str]:
    """Where a number is none."""
    if isinstance(value, dict):
        return [place for key, one in value.items() for place in not_finite(one, f"{at}.{key}")]
    if isinstance(value, (list, tuple)):
        return [place for i, one in enumerate(value) for place in not_finite(one, f"{at}.{i}")]
    return [at] if isinstance(value, float) and not math.isfinite(value) else []


def plain(record: cp.Record) -> Any:
    """A record without what the clock says."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(one) for key, one in value.items() if key not in VARIES}
        return [without(one) for one in value] if isinstance(value, list) else value

    return without(record.model_dump())


def audited(arguments: dict[str, Any]) -> cp.Record | str:
    """The record, or the sentence of a refusal."""
    try:
        return cp.audit(**arguments)
    except (Refusal, MetricError) as refusal:
        return str(refusal)


def check(arguments: dict[str, Any], rows: int) -> None:
    """An audit, or a refusal in one sentence; warnings are errors in all tests."""
    record = audited(arguments)
    if isinstance(record, str):
        assert "\n" not in record
        assert "cannot be imported" not in record
        assert len(record) > 20
        return
    crashed = [f"{r.metric} {r.field} {r.where}: {r.reason}" for r in record.measurements if r.status == "error"]
    assert not crashed
    assert not not_finite(record.model_dump())
    assert cp.Record.model_validate_json(record.to_json()).verdict == record.verdict
    for write in (render, junit, markdown):
        assert write(record)
    if rows <= REPEATED:
        assert plain(cp.audit(**arguments)) == plain(record)


SEEDS = some.integers(0, 2**32 - 1)


@given(case=SEEDS.map(Case.drawn))
@how(30)
def test_random_tables(case: Case) -> None:
    check(case.arguments(), sum(case.sizes.values()))


@given(seed=SEEDS)
@how(12)
def test_random_feature_spaces(seed: int) -> None:
    roles = drawn_space(seed)
    rows = sum(len(one[0] if isinstance(one, tuple) else one) for name, one in roles.items() if name in ROLES)
    check(roles | {"allow_overlap": True}, rows)


# What it found, kept small: a metric crashed, or a library warned, on each of these.
FOUND = {
    "numbers alone": Case(("moments", "days"), {"real": 80, "synthetic": 40}),
    "serial numbers alone": Case(("serial",), {"train": 30, "holdout": 30, "synthetic": 30}),
    "one column, all of it a group": Case(
        ("holes",), {"train": 90, "holdout": 30, "synthetic": 40}, options={"label": 0, "groups": [0]}
    ),
    "numbers near the largest": Case(("huge", "category"), {"train": 40, "holdout": 40, "synthetic": 40}),
    "sources on both sides": Case(("normal", "category"), {"train": 60, "holdout": 60, "synthetic": 60}, sources=3),
    "few sources": Case(("heavy",), {"train": 90, "holdout": 12, "synthetic": 60}, sources=20),
    "values in few rows": Case(("hardly there", "normal"), {"train": 60, "holdout": 40, "synthetic": 40}),
    "a release without labels": Case(
        ("missing", "normal", "category"),
        {"train": 40, "holdout": 40, "synthetic": 40},
        spoil="nothing known",
        options={"label": 2, "groups": [2]},
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_it_found(name: str) -> None:
    check(FOUND[name].arguments() | {"allow_overlap": True}, 0)
