"""Closed, full and unread streams, and signals: the exit code is a verdict's, or a sentence stands with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.cli import MAIN, called, python, rows, saved
from helpers.sample_tables import census_record

from counterproof.reports.serialise import write_texts

CODES = {"pass": 0, "fail": 1}
WAITING = """
import pathlib, time
import counterproof.run
def wait(*_, **__):
    pathlib.Path("started").touch()
    time.sleep(600)
counterproof.run.run_audit = wait
from counterproof.cli.main import main
main()
"""


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the shell in which ``$CP`` is counterproof."""
    program = f'{sys.executable} -c "{MAIN}"'
    return subprocess.run(
        ["bash", "-c", command.replace("$CP", program)], capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record, and gates that give each verdict when it is judged anew."""
    path = tmp_path_factory.mktemp("record") / "record.json"
    whole = census_record()
    kept = [r for r in whole.measurements if r.status == "measured"]
    whole.model_copy(update={"measurements": kept, "gates": []}).write(path)
    return path


GATES = {"pass": "fidelity.detectability <= 0.9", "fail": "fidelity.detectability <= 0.01"}


@pytest.mark.parametrize(
    ("verdict", "streams"),
    [("fail", ">&- 2>&-"), ("pass", ">&-"), ("fail", "2> /dev/full"), ("pass", "> /dev/full")],
)
def test_the_exit_code_is_the_verdicts_whatever_becomes_of_the_streams(
    tmp_path: Path, record: Path, verdict: str, streams: str
) -> None:
    done = shell(f"$CP gate {record} --gate '{GATES[verdict]}' --out out {streams}", tmp_path)
    assert done.returncode == CODES[verdict], done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert (tmp_path / "out" / "record.json").exists()
    if streams == "> /dev/full":
        assert "standard output could not be written (No space left on device)" in done.stderr


def test_a_reader_that_went_away_is_no_fail(tmp_path: Path, record: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    for arguments, code in ((("gate", str(record), "--gate", GATES["pass"]), 0), (("metrics", "list"), 2)):
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
        assert done.returncode == code
        assert done.stderr == "counterproof: standard output could not be written (Broken pipe)\n"
    os.close(write)


def heeding() -> None:
    """Signals end the process again: a run of the tests in the background ignores some of them."""
    for name in (signal.SIGHUP, signal.SIGINT):
        signal.signal(name, signal.SIG_DFL)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_signals_end_in_one_sentence(tmp_path: Path, name: str, code: int) -> None:
    given = [str(part) for part in saved(tmp_path, real=rows(9, 0), synthetic=rows(9, 1))]
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, "run", *given, "--out", "deep/out"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        preexec_fn=heeding,
    )
    while not (tmp_path / "started").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate()
    assert process.returncode == code
    (line,) = said.splitlines()
    how = "interrupted" if name == "SIGINT" else f"ended by {name}"
    assert line == f"counterproof: {how}; nothing was judged"
    assert not (tmp_path / "deep").exists()


def test_an_ignored_hangup_stays_ignored(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "import counterproof.run\n"
        "def hang(*_, **__):\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "    raise counterproof.run.Refusal('went on')\n"
        "counterproof.run.run_audit = hang\n"
        "from counterproof.cli.main import main\nmain()"
    )
    given = [str(part) for part in saved(tmp_path, real=rows(9, 0), synthetic=rows(9, 1))]
    done = python("-c", code, "run", *given, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "counterproof: went on\n")


def test_all_files_are_replaced_or_none_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {tmp_path / "new" / "deep" / name: f"{name} old" for name in ("a", "b")}
    write_texts(texts)
    calls: list[Any] = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("counterproof.reports.serialise.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_texts(dict.fromkeys(texts, "new"))
    assert {path: path.read_text() for path in texts} == texts
    assert sorted(path.name for path in (tmp_path / "new" / "deep").iterdir()) == ["a", "b"]
    calls.clear()
    with pytest.raises(OSError, match="No space left"):
        write_texts({tmp_path / "other" / "deep" / name: "x" for name in ("a", "b")})
    assert not (tmp_path / "other").exists()


def test_a_refused_run_leaves_no_folders(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"")
    given = saved(tmp_path, real=rows(9, 0))
    assert called("run", *given, "--synthetic", "bad.csv", "--out", "some/deep/folder").exit_code == 2
    assert not (tmp_path / "some").exists()
