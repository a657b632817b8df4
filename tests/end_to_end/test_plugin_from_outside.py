"""``examples/plugin``: a distribution of its own, installed and audited with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PLUGIN = Path(__file__).resolve().parents[2] / "examples" / "plugin"
RUN = "from counterproof.cli.main import main; main()"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plugin is installed; building leaves nothing in the repository."""
    source, target = tmp_path_factory.mktemp("plugin") / "source", tmp_path_factory.mktemp("site")
    shutil.copytree(PLUGIN, source)
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, *pip, "--target", str(target), str(source)], check=True, capture_output=True)
    return target


def python(site: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(site),
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(cwd / "cache"),
        "COUNTERPROOF_CACHE": str(cwd / "cache"),
    }
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )


def rows(n: int, seed: int, *, distinct: int | None = None) -> pd.DataFrame:
    """Six independent columns; ``distinct`` repeats few rows, a little shaken, over and over."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 6))
    if distinct is not None:
        values = values[rng.integers(distinct, size=n)] + rng.normal(scale=0.01, size=(n, 6))
    return pd.DataFrame(values, columns=list("abcdef"))


def test_it_is_found_and_loaded(site: Path, tmp_path: Path) -> None:
    told = "from counterproof.metrics.metric import installed, load; print(load('acme.vendi').family, len(installed()))"
    found = python(site, "-c", told, cwd=tmp_path)
    assert found.stdout.split()[0] == "coverage", found.stderr
    assert (
        "acme.vendi"
        not in subprocess.run(
            [sys.executable, "-c", "from counterproof.metrics.metric import installed; print(*installed())"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    )


def test_it_stays_within_about_25_lines() -> None:
    code = [line for line in (PLUGIN / "acme_audit.py").read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(code) <= 25


@pytest.mark.parametrize(("distinct", "verdict", "exit_code"), [(None, "pass", 0), (2, "fail", 1)])
def test_an_audit_with_it_is_judged_by_its_own_tolerance(
    site: Path, tmp_path: Path, distinct: int | None, verdict: str, exit_code: int
) -> None:
    rows(1500, 1).to_csv(tmp_path / "train.csv", index=False)
    rows(1500, 2).to_csv(tmp_path / "holdout.csv", index=False)
    rows(1500, 3, distinct=distinct).to_csv(tmp_path / "release.csv", index=False)
    (tmp_path / "audit.toml").write_text(
        '[data]\ntrain = "train.csv"\nholdout = "holdout.csv"\nsynthetic = "release.csv"\n'
        '[run]\nmetrics = ["acme.vendi"]\n[gates]\nfail = ["acme.vendi >= 0.9 * floor"]\n'
        '[metrics."acme.vendi"]\nq = 2.0\n',
        encoding="utf-8",
    )
    done = python(site, "-c", RUN, "run", "audit.toml", "--out", "out", cwd=tmp_path)
    assert done.returncode == exit_code, done.stdout + done.stderr
    record = json.loads((tmp_path / "out" / "record.json").read_text(encoding="utf-8"))
    assert record["verdict"] == verdict
    assert [(gate["source"], gate["field"], gate["verdict"]) for gate in record["gates"]] == [
        ("policy", "excess", verdict),
        ("config", "value", verdict),
    ]
    measured = next(m for m in record["measurements"] if m["field"] == "value")
    assert measured["params"] == {"q": 2.0}
    assert measured["floor"]["draws"] == 20
    assert measured["low"] < measured["value"] < measured["high"]
