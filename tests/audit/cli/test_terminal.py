"""What a user sees: progress and a table at a terminal, plain lines in a log."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pytest
from helpers.cli import MAIN, called, python, record_in, rows, saved

OPTIONS = ("--metrics", "fidelity.precision,coverage.recall,coverage.representation,fairness", "--out", "out")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an audit without label and groups was run by a process that is at no terminal."""
    made = tmp_path_factory.mktemp("terminal")
    given = [str(part) for part in saved(made, real=rows(80, 0), synthetic=rows(80, 1))]
    done = python("-c", MAIN, "run", *given, *OPTIONS, cwd=made, COUNTERPROOF_CACHE=str(made / "cache"))
    assert done.returncode == 3, done.stderr
    (made / "stdout").write_text(done.stdout)
    (made / "stderr").write_text(done.stderr)
    return made


def shown(folder: Path, columns: int, *arguments: str) -> str:
    """What a terminal of so many columns is sent."""
    child, line = pty.fork()
    if child == 0:  # pragma: no cover
        os.chdir(folder)
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "CI")}
        environment |= {"TERM": "xterm-256color", "COUNTERPROOF_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        size = struct.pack("HHHH", 40, columns, 0, 0)
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.execve(sys.executable, [sys.executable, "-c", MAIN, *arguments], environment)
    parts = []
    try:
        while part := os.read(line, 65536):
            parts.append(part)
    except OSError:
        pass  # the child has closed its end
    os.close(line)
    os.waitpid(child, 0)
    return b"".join(parts).decode()


def plain(text: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "").split("\n")]


def test_a_log_gets_a_line_per_stage_and_gate(folder: Path) -> None:
    stages = (folder / "stderr").read_text().splitlines()
    assert stages[0].startswith("reading and encoding: ")
    assert all(re.fullmatch(r"[\w. ]+: \d+\.\d s", line) for line in stages)
    out = (folder / "stdout").read_text()
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[-5].startswith("VERDICT INCONCLUSIVE: ")
    assert lines[-4:] == [f"{name}: out/{name}" for name in ("report.html", "record.json", "junit.xml", "summary.md")]


def test_policy_gates_that_do_not_apply_are_one_line(folder: Path) -> None:
    lines = (folder / "stdout").read_text().splitlines()
    (aside,) = [line for line in lines if line.startswith("not applicable: ")]
    assert "(no label was given)" in aside
    assert "fairness.equalized_odds_difference" in aside
    assert "coverage.representation" in aside
    assert not any(line.startswith("NOT APPLICABLE") for line in lines)
    gates = record_in(folder / "out")["gates"]
    assert sum(gate["verdict"] == "not_applicable" for gate in gates) >= 5, "the record keeps each"
    assert (folder / "out" / "junit.xml").read_text().count("<skipped") >= 5
    summary = (folder / "out" / "summary.md").read_text()
    assert "| – Not applicable |" not in summary
    assert "\nnot applicable: " in summary


def test_a_gate_that_the_user_asked_for_is_shown_though_it_does_not_apply(folder: Path) -> None:
    done = called("gate", folder / "out" / "record.json", "--gate", "fairness.worst_group_accuracy >= -0.1")
    assert any(line.startswith("NOT APPLICABLE fairness: fairness.worst") for line in done.stdout.splitlines())


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_the_table_fits(folder: Path, columns: int) -> None:
    lines = plain(shown(folder, columns, "gate", "out/record.json"))
    assert max(map(len, lines)) <= min(columns, 100)
    assert lines[0].startswith("? INCONCLUSIVE  ")
    heading = next(line for line in lines if "verdict" in line and "gate" in line)
    assert "value [low, high]" in heading
    assert "limit" in heading
    assert sum(line.startswith("not applicable: ") for line in lines) == 1
    assert not any("N/A" in line and "equalized" in line for line in lines)


def test_progress_tells_stages_and_the_time_left(folder: Path) -> None:
    given = ("--real", "real.csv", "--synthetic", "synthetic.csv")
    sent = shown(folder, 100, "run", *given, "--metrics", "fidelity.precision", "--out", "again")
    before, _, after = sent.partition("VERDICT" if "VERDICT" in sent else "INCONCLUSIVE")
    seen = " ".join(plain(before))
    assert "fidelity.precision" in seen
    assert re.search(r"\d/2 .*left", seen)
    assert "━" not in after, "bars are gone once there is a verdict"
    assert plain(sent)[-5].startswith("report.html: again/report.html")
