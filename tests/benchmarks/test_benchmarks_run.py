"""Every benchmark still runs, in a tiny size, by the one command; and its results are kept in order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
NAMES = sorted(script.stem.removeprefix("bench_") for script in FOLDER.glob("bench_*.py"))
HEADS = {"encoding": "Encoding images", "frechet": "Fréchet distance", "geometry": "Geometry"}


def run(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "run.py"), "--quick", "--out", str(out), *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    )


def sections(text: str) -> dict[str, str]:
    parts = text.split("<!-- ")[1:]
    return {part.partition(" -->")[0]: part.partition(" -->")[2].strip() for part in parts}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_runs(tmp_path: Path, name: str) -> None:
    out = tmp_path / "results.md"
    done = run(out, "--only", name)
    assert done.returncode == 0, done.stderr
    found = sections(out.read_text(encoding="utf-8"))
    assert list(found) == [name]
    assert found[name].startswith(f"## {HEADS.get(name, '')}")
    assert "It ended with exit code" not in found[name], done.stderr[-3000:]
    assert f"bench_{name}.py" in found[name]


def test_the_head_tells_machine_and_versions_and_other_sections_stay(tmp_path: Path) -> None:
    out = tmp_path / "results.md"
    out.write_text("# Benchmarks\n\n<!-- zebra -->\n## Stripes\n\n42\n", encoding="utf-8")
    assert run(out, "--only", "suite").returncode == 0
    text = out.read_text(encoding="utf-8")
    assert "* machine: " in text
    assert "best of five: not measured" in text
    assert "* versions: torch " in text
    assert "run.py --quick" in text
    found = sections(text)
    assert list(found) == ["suite", "zebra"]
    assert "no GPU here" in found["suite"]
    assert "42" in found["zebra"]


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path / "results.md", "--only", "speed")
    assert done.returncode == 2
    assert "no benchmark is called speed" in done.stderr
    assert not (tmp_path / "results.md").exists()
