"""Contents of real records, hostile ones too, stay out of every output unless asked for; then all are marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import counterproof as cp
from counterproof.reports.outputs.html import render
from counterproof.reports.outputs.junit import junit
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.outputs.terminal import plain_lines
from counterproof.reports.record import Record

SECRET = "ann.secret@firm.org"
HOSTILE = f"<script>alert(1)</script>|`x`[a](javascript:1)\x1b[31m {SECRET}"


def audited(*, show_real: bool) -> Record:
    frames = {}
    for at, role in enumerate(("train", "holdout", "synthetic")):
        rng = np.random.default_rng(at)
        notes = [f"plain words of row {at} {i} again" for i in range(300)]
        frames[role] = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "note": notes})
    frames["train"].loc[:29, "note"] = [f"{HOSTILE} {i}" if i < 5 else f"plain {i}" for i in range(30)]
    frames["synthetic"].iloc[:30] = frames["train"].iloc[:30].to_numpy()
    return cp.audit(**frames, metrics=["leakage.copies", "leakage.identifiers"], show_real=show_real)


def outputs(record: Record) -> dict[str, str]:
    return {
        "page": render(record),
        "markdown": markdown(record),
        "terminal": "\n".join(plain_lines(record)),
        "junit": junit(record),
        "record": record.to_json(),
    }


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def test_nothing_real_is_told_by_default() -> None:
    record = audited(show_real=False)
    assert record.verdict == "fail"
    for text in outputs(record).values():
        assert SECRET not in text
        assert "alert(1)" not in text
        assert "ontains real records" not in text


def test_what_is_shown_on_request_is_marked_and_harmless() -> None:
    made = outputs(audited(show_real=True))
    assert SECRET in made["page"]  # side by side, in the closest pairs
    for name in ("page", "markdown", "terminal"):
        assert "ontain real records" in made[name] or "ontains real records" in made[name]
    assert "<script>alert" not in made["page"]
    assert not [name for name, text in made.items() if "\x1b" in text]
