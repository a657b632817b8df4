"""No group or label that only a handful of real rows carry stands in a record or a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import counterproof as cp
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in
from counterproof.loading.suppression import pool_rare_values, quoted
from counterproof.reports.record import Record


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def rows(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "s": rng.choice(["F", "M"], n), "lab": rng.choice(["no", "yes"], n)})
    frame["x"] += frame["lab"] == "yes"
    return frame


def frames(n: int = 300, *, rare: int = 1) -> dict[str, pd.DataFrame]:
    made = {role: rows(n, at) for at, role in enumerate(("train", "holdout", "synthetic"))}
    made["train"].loc[: rare - 1, ["s", "lab"]] = ["RAREGRP", "RARELAB"]
    return made


def taken(sources: dict[str, pd.DataFrame], **options: Any) -> Intake:
    intake = take_in(sources, label="lab", groups=["s"])
    return pool_rare_values(intake, **({"small_cell": 10, "show_real": False} | options))


def audited(sources: dict[str, pd.DataFrame], **run: Any) -> Record:
    wanted = ["coverage.representation", "fairness", "utility"]
    return cp.audit(**sources, label="lab", groups=["s"], metrics=wanted, **run)


def test_one_persons_group_and_label_stand_nowhere(tmp_path: Path) -> None:
    record = audited(frames())
    record.to_html(tmp_path / "report.html")
    for text in (record.to_json(), (tmp_path / "report.html").read_text()):
        assert "RAREGRP" not in text
        assert "RARELAB" not in text
        assert "(rare values)" in text
    assert "1 value of s is carried by fewer than 10 real rows: pooled" in record.manifest.findings
    assert not [r.reason for r in record.measurements if r.status == "error"]


def test_with_show_real_they_stand_there() -> None:
    intake = taken(frames(), show_real=True)
    assert "RAREGRP" in intake.corpus.groups["s"]
    assert "pooled" not in " ".join(intake.findings)


def test_ten_rows_are_not_rare_and_rows_of_all_real_roles_count() -> None:
    sources = frames(rare=5)
    sources["holdout"].loc[:3, "s"] = "RAREGRP"
    assert (taken(sources).corpus.groups["s"] == "(rare values)").sum() == 9
    sources["holdout"].loc[:4, "s"] = "RAREGRP"
    assert (taken(sources).corpus.groups["s"] == "RAREGRP").sum() == 10


def test_the_release_is_pooled_alike_and_what_it_alone_holds_keeps_its_name() -> None:
    sources = frames()
    sources["synthetic"].loc[:9, "s"] = ["RAREGRP"] * 4 + ["NEW"] * 6
    intake = taken(sources)
    made = intake.corpus.groups["s"][intake.roles["synthetic"]][:10]
    assert made.tolist() == ["(rare values)"] * 4 + ["NEW"] * 6
    labels = intake.corpus.labels
    assert labels is not None
    assert set(labels) == {"no", "yes", "(rare values)"}
    assert intake.corpus.frame is not None
    assert "RAREGRP" in set(intake.corpus.frame["s"])


def test_a_value_spelt_like_a_marker_is_told_from_it() -> None:
    sources = frames()
    sources["train"].loc[1:40, "s"] = "(missing)"
    sources["train"].loc[41:80, "s"] = None
    sources["train"].loc[81:120, "s"] = "(rare values)"
    for show_real in (False, True):
        assert {"'(missing)'", "", "'(rare values)'"} <= set(taken(sources, show_real=show_real).corpus.groups["s"])
    record = cp.audit(**sources, groups=["s"], metrics=["coverage.representation"])
    names = [r.group["s"] for r in record.measurements if "s" in r.group]
    assert {"(missing)", "'(missing)'", "(rare values)", "'(rare values)'"} <= set(names)
    assert len(names) == len(set(names))
    assert quoted(np.array(["(missing)", "'(missing)'"])).tolist() == ["''(missing)''", "'(missing)'"]


@pytest.mark.parametrize("n", [3, 9])
def test_a_tiny_audit_still_runs(n: int) -> None:
    sources = frames(n)
    sources["train"]["age"] = sources["holdout"]["age"] = sources["synthetic"]["age"] = np.arange(n) * 1.5
    record = audited(sources)
    assert record.verdict == "inconclusive"
    assert not [(r.metric, r.reason) for r in record.measurements if r.status == "error"]
