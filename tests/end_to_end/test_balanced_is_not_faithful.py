"""The worked example: balancing with faithful rows passes, balancing with rows that look like the majority fails."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counterproof.reports.outputs.markdown import markdown

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "balanced"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "balanced.py"))


@pytest.mark.slow
def test_the_gaps_of_the_notes_are_reproduced(example: dict[str, Any]) -> None:
    made = np.mean([list(example["gaps"](seed, 100_000).values()) for seed in range(4)], axis=0)
    assert made == pytest.approx([0.069, -0.001, 0.104], abs=0.004)
    told = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "+0.067" in told
    assert "+0.104" in told


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_faithful_release_passes_and_the_majority_looking_one_fails(example: dict[str, Any], seed: int) -> None:
    faithful, copied = (example["audit"](looks, seed) for looks in ("rural", "urban"))
    assert faithful.verdict == "pass"
    assert copied.verdict == "fail"
    assert [gate.verdict for gate in copied.gates] == ["pass", "fail", "pass"]
    assert copied["fairness.subgroup_fidelity"].reason == "worst: site=rural, best: site=urban"
    assert copied["fairness.subgroup_fidelity.density[site=rural]"].high < 0.5
    assert "## By group" in markdown(copied)
