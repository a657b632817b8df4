"""What computes nothing imports nothing: help, lists and gates start without torch."""

from __future__ import annotations

import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.cli import MAIN, python, rows, saved

import counterproof

HEAVY = ("torch", "sklearn", "plotly")
TELL = f"import sys; sys.stderr.write('loaded:' + ','.join(m for m in {HEAVY!r} if m in sys.modules))"
VERB = f"import atexit; atexit.register(exec, {TELL!r}, {{}}); {MAIN}"


def loaded(done: subprocess.CompletedProcess[str]) -> str:
    assert "loaded:" in done.stderr, "the probe ran"
    return done.stderr.partition("loaded:")[2]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    given = [str(part) for part in saved(folder, real=rows(40, 0), synthetic=rows(40, 1))]
    options = ("--metrics", "fidelity.precision", "--policy", "none", "--gate", "fidelity.precision >= 0.01")
    done = python("-c", VERB, "run", *given, *options, "--out", "out", cwd=folder)
    assert "torch" in loaded(done), "the probe sees what is loaded"
    return folder / "out" / "record.json"


@pytest.mark.parametrize(
    "verb",
    [
        ("--help",),
        ("--version",),
        ("run", "--help"),
        ("metrics", "list"),
        ("metrics", "show", "utility.tstr"),
        ("weights", "list"),
        ("report", "--help"),
    ],
)
def test_verbs_that_compute_nothing(tmp_path: Path, verb: tuple[str, ...]) -> None:
    done = python("-c", VERB, *verb, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert loaded(done) == ""


def test_judging_again_with_all_its_files(record: Path, tmp_path: Path) -> None:
    done = python("-c", VERB, "gate", str(record), "--out", "again", cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert loaded(done) == ""
    assert len(list((tmp_path / "again").iterdir())) == 4


def test_pages_of_records_that_are_there(record: Path, tmp_path: Path) -> None:
    for out, given in (("one.html", [record]), ("two.html", [record, record]), ("all.html", [record.parent.parent])):
        done = python("-c", VERB, "report", *map(str, given), "--out", out, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert loaded(done) == ""


@pytest.mark.parametrize(
    "code",
    [
        "import counterproof; dir(counterproof)",
        "from counterproof import Record, Refusal, GateError, Judgement, Estimate, Metric, Value, metric",
        "import counterproof.pytest_plugin",
        "import counterproof.cli.demo",
        "from counterproof.metrics.metric import installed, load; [load(name) for name in installed()]",
    ],
)
def test_importing(tmp_path: Path, code: str) -> None:
    done = python("-c", f"{code}\n{TELL}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert loaded(done) == ""


def test_pytest_starts_without_it(tmp_path: Path) -> None:
    check = f"assert not {{*{HEAVY!r}, 'pandas'}} & sys.modules.keys()"
    (tmp_path / "test_nothing.py").write_text(f"import sys\n\n\ndef test_nothing():\n    {check}\n")
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_nothing.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_help_is_there_at_once(tmp_path: Path) -> None:
    """Under 0.3 s: the best of five, less what Python itself takes to start on this machine."""

    def seconds(*arguments: str) -> float:
        started = time.perf_counter()
        done = python(*arguments, cwd=tmp_path)
        assert done.returncode == 0
        return time.perf_counter() - started

    bare = min(seconds("-c", "pass") for _ in range(5))
    assert min(seconds("-c", MAIN, "--help") for _ in range(5)) - bare < 0.3


def test_no_public_name_is_also_a_module() -> None:
    """Importing ``counterproof.NAME`` binds the module to NAME, in place of what is public under it."""
    assert [name for name in counterproof.__all__ if find_spec(f"counterproof.{name}")] == []
