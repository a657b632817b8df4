"""What a user sees: progress and the verdict at a terminal, plain lines in a log."""

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

from counterproof.metrics.metric import FAMILIES

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


def test_a_log_gets_the_verdict_and_a_line_every_half_minute(folder: Path) -> None:
    stages = (folder / "stderr").read_text().splitlines()
    told = re.compile(r"\d+ of \d+(, about \d+ (s|min) left)?|[\w. ]+: \d+ of \d+, .* a second")
    assert all(map(told.fullmatch, stages))
    out = (folder / "stdout").read_text()
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0].startswith("VERDICT INCONCLUSIVE: ")
    assert lines[-1] == "report: out/report.html (and record.json, junit.xml, summary.md)"
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100


def test_policy_gates_that_do_not_apply_are_one_line(folder: Path) -> None:
    lines = (folder / "stdout").read_text().splitlines()
    summary = (folder / "out" / "summary.md").read_text()
    (aside,) = [line for line in summary.splitlines() if line.startswith("not applicable: ")]
    assert "(no label was given)" in aside
    assert "fairness.equalized_odds_difference" in aside
    assert "coverage.representation" in aside
    assert not any("applicable" in line for line in lines), "the terminal tells what was judged and did not pass"
    gates = record_in(folder / "out")["gates"]
    assert sum(gate["verdict"] == "not_applicable" for gate in gates) >= 5, "the record keeps each"
    assert (folder / "out" / "junit.xml").read_text().count("<skipped") >= 5
    assert "| – Not applicable |" not in summary


def test_a_gate_that_the_user_asked_for_is_shown_though_it_does_not_apply(folder: Path) -> None:
    gate = "fairness.worst_group_accuracy >= -0.1"
    called("gate", folder / "out" / "record.json", "--gate", gate, "--out", folder / "asked")
    (row,) = [line for line in (folder / "asked" / "summary.md").read_text().splitlines() if gate in line]
    assert row.startswith("| – Not applicable |")


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_the_verdict_fits(folder: Path, columns: int) -> None:
    lines = plain(shown(folder, columns, "gate", "out/record.json"))
    assert max(map(len, lines)) <= min(columns, 100)
    assert lines[0].startswith("VERDICT INCONCLUSIVE: ")
    assert len(lines) <= 30
    at = lines.index(next(line for line in lines if line.endswith(" did not pass:")))
    assert ", limit ≥ " in lines[at + 1]
    for family in FAMILIES:
        assert sum(bool(re.match(f". {family:<10} ", line)) for line in lines) == 1
    assert not any("equalized" in line for line in lines)


def test_progress_tells_stages_and_the_time_left(folder: Path) -> None:
    given = ("--real", "real.csv", "--synthetic", "synthetic.csv")
    sent = shown(folder, 100, "run", *given, "--metrics", "fidelity.precision", "--out", "again")
    before, _, after = sent.partition("VERDICT")
    seen = " ".join(plain(before))
    assert "fidelity.precision" in seen
    assert "0 of 2: reading and encoding" in seen
    assert re.search(r"1 of 2, about \d+ s left: fidelity\.precision", seen)
    assert "━" not in after, "bars are gone once there is a verdict"
    (last,) = [line for line in plain(sent) if line.startswith("report: ")]
    assert last == "report: again/report.html (and record.json, junit.xml, summary.md)"
