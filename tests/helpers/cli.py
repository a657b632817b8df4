"""The command line as a user calls it: in this process for speed, or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from click.testing import CliRunner, Result

from counterproof.cli.main import main

CENSUS = Path(__file__).resolve().parents[2] / "audit" / "data" / "census"
FILES = {"record.json", "report.html", "junit.xml", "summary.md"}
MAIN = "from counterproof.cli.main import main; main()"


def called(*arguments: object) -> Result:
    """``counterproof …`` in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python process of its own."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | {"COUNTERPROOF_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1"} | environment,
    )


def refused(*arguments: object) -> str:
    """The one sentence of a refusal."""
    done = called(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("counterproof: ")]
    assert done.stderr.count("\n") == 1 + sum(": " in text and text.endswith(" s") for text in done.stderr.splitlines())
    return line.removeprefix("counterproof: ")


def rows(n: int, seed: int, **columns: Any) -> pd.DataFrame:
    """Numbers, a category and a label that depend on each other."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    group = rng.choice(["north", "south"], n)
    label = np.where(a + b + rng.normal(size=n) > 0, "yes", "no")
    return pd.DataFrame({"a": a, "b": b + a / 2, "group": group, "y": label, **columns})


def saved(folder: Path, **roles: pd.DataFrame) -> list[object]:
    """CSV files and the options that name them."""
    given: list[object] = []
    for role, frame in roles.items():
        frame.to_csv(folder / f"{role}.csv", index=False)
        given += [f"--{role}", folder / f"{role}.csv"]
    return given


def census(role: str, n: int) -> pd.DataFrame:
    """The first rows of the shipped census data."""
    return pd.read_parquet(CENSUS / f"{role}.parquet").iloc[:n]


def record_in(folder: Path) -> Mapping[str, Any]:
    """``record.json`` as plain values."""
    plain: Mapping[str, Any] = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return plain
